//! Users by their passwords and tokens.

use super::outcome::{Method, Refusal, SignedIn};
use super::scram::Verifier;
use crate::rules::current::Rules;
use crate::user::User;

/// Longest password or token that is looked at, in bytes.
const SECRET_BYTES_MAX: usize = 64 * 1024;

impl Rules {
    /// How a client that gives this user name is asked, which tells nothing of who is there.
    #[must_use]
    pub fn method(&self, name: &str) -> Method {
        match &self.policy().token_settings {
            Some(settings) if settings.login == name => Method::Token,
            Some(_) | None => Method::Password,
        }
    }

    /// The verifier of a user; for a name that is not there one that no password fits, the same
    /// each time. After the exchange ask [`Self::user`].
    #[must_use]
    pub fn verifier_of(&self, name: &str) -> Verifier {
        let policy = self.policy();
        match policy.users.get(name) {
            Some(account) => account.verifier.clone(),
            None => {
                let real: Vec<&Verifier> = policy.users.values().map(|a| &a.verifier).collect();
                self.mock.verifier(name, &real)
            }
        }
    }

    /// A user of the file with the roles that it has now, if it is still there. Only for who has
    /// shown to be it.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<User> {
        self.policy().users.get(name).map(|account| User {
            name: name.to_owned(),
            roles: account.roles.clone(),
            attributes: account.attributes.clone(),
        })
    }

    /// Checks a password that has come in clear. It computes for milliseconds.
    ///
    /// # Errors
    /// The name is not there or the password is not its own.
    pub fn sign_in(&self, name: &str, password: &str) -> Result<SignedIn, Refusal> {
        if password.len() > SECRET_BYTES_MAX {
            return Err(Refusal(format!("user {name:?}: the password is too long")));
        }
        let fits = self.verifier_of(name).fits(password);
        match self.user(name) {
            Some(user) if fits => Ok(SignedIn { user, until: None }),
            Some(_) => Err(Refusal(format!("user {name:?}: wrong password"))),
            None => Err(Refusal(format!("user {name:?} is not in the users file"))),
        }
    }

    /// Checks a token. It may wait for the issuer's keys.
    ///
    /// # Errors
    /// The token is not of the issuer, not for us, not valid now, or names nobody.
    pub async fn sign_in_by_token(&self, token: &str) -> Result<SignedIn, Refusal> {
        let state = self.state();
        let Some(tokens) = &state.tokens else {
            return Err(Refusal("a token, but the users file has no [jwt]".to_owned()));
        };
        if token.len() > SECRET_BYTES_MAX {
            return Err(Refusal("the token is too long".to_owned()));
        }
        let signed_in = tokens.sign_in(token).await?;
        // Sessions are told apart by names: a token must not get at those of a user of the file.
        if state.policy.users.contains_key(&signed_in.user.name) {
            let name = &signed_in.user.name;
            return Err(Refusal(format!("a token for {name:?}, who is in the users file")));
        }
        Ok(signed_in)
    }
}
