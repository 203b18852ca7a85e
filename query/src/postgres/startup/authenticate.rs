//! Who a client is.

use std::time::{Duration, SystemTime};

use pgwire::api::auth::sasl::scram::ScramServerAuth;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::Authentication;
use tokio::time::Instant;

use crate::postgres::error::{Problem, Step};
use crate::postgres::gate::Gate;
use crate::postgres::wire::{Channel, password};
use crate::rules::{Method, Refusal};
use crate::service::User;

const SCRAM: &str = "SCRAM-SHA-256";
/// As [`SCRAM`], bound to the certificate of the connection.
const SCRAM_BOUND: &str = "SCRAM-SHA-256-PLUS";

/// A client that has shown who it is.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) user: User,
    /// When its token ends.
    pub(super) until: Option<Instant>,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encryption<'a> {
    pub(super) is_on: bool,
    /// SCRAM that is bound to the certificate.
    pub(super) bound: Option<&'a ScramServerAuth>,
}

fn refused(name: &str) -> Problem {
    Problem::fatal("28P01", Refusal::told(name))
}

/// Asks a client for its password or token.
pub(super) async fn authenticate(
    gate: &dyn Gate,
    name: &str,
    encryption: Encryption<'_>,
    channel: &mut Channel,
) -> Step<Known> {
    match gate.method(name) {
        Method::Password => scram(gate, name, encryption, channel).await,
        Method::Token if encryption.is_on => token(gate, name, channel).await,
        Method::Token => {
            let problem = Problem::fatal("28000", "a token is taken over TLS only")
                .with_hint("Connect with sslmode=require, or better verify-full.");
            Err(problem.into())
        }
    }
}

fn ask(channel: &mut Channel, question: Authentication) {
    channel.put(&PgWireBackendMessage::Authentication(question));
}

async fn scram(
    gate: &dyn Gate,
    name: &str,
    encryption: Encryption<'_>,
    channel: &mut Channel,
) -> Step<Known> {
    let plain = ScramServerAuth::new();
    let bound = encryption.bound.filter(|_| encryption.is_on);
    let methods = bound.map(|_| SCRAM_BOUND).into_iter().chain([SCRAM]);
    ask(channel, Authentication::SASL(methods.map(str::to_owned).collect()));
    let first = channel.take(password).await?;
    let (method, message) = initial(&first)?;
    if method != SCRAM && !(method == SCRAM_BOUND && bound.is_some()) {
        let text = "client selected an invalid SASL authentication mechanism";
        return Err(Problem::fatal("08P01", text).into());
    }
    let malformed = || Problem::fatal("08P01", "malformed SCRAM message");
    // A client that could be bound and says that it is not would be one in the middle.
    let server = bound.unwrap_or(&plain);
    if (method == SCRAM_BOUND) != message.starts_with(b"p=") {
        return Err(malformed().into());
    }
    let (answer, exchange) = server
        .on_client_first_message_with_secret(message, gate.secret(name))
        .map_err(|_error| malformed())?;
    ask(channel, Authentication::SASLContinue(answer.into()));
    let last = channel.take(password).await?;
    let fits = exchange.on_client_final_message(&last);
    match (fits, gate.user(name)) {
        (Ok(answer), Some(user)) => {
            ask(channel, Authentication::SASLFinal(answer.into()));
            Ok(Known { user, until: None })
        }
        (_, _) => {
            tracing::info!(user = name, "a password was refused at the PostgreSQL port");
            Err(refused(name).into())
        }
    }
}

/// The method and the first message of SCRAM.
pub(super) fn initial(body: &[u8]) -> Result<(&str, &[u8]), Problem> {
    let malformed = || Problem::fatal("08P01", "malformed SASL message");
    let end = body.iter().position(|&byte| byte == 0).ok_or_else(malformed)?;
    let (method, rest) = body.split_at(end);
    let method = std::str::from_utf8(method).map_err(|_| malformed())?;
    let (length, message) =
        rest.get(1..).and_then(|rest| rest.split_first_chunk::<4>()).ok_or_else(malformed)?;
    if usize::try_from(i32::from_be_bytes(*length)) != Ok(message.len()) {
        return Err(malformed());
    }
    Ok((method, message))
}

async fn token(gate: &dyn Gate, name: &str, channel: &mut Channel) -> Step<Known> {
    ask(channel, Authentication::CleartextPassword);
    let body = channel.take(password).await?;
    let token = body.strip_suffix(&[0]).and_then(|token| std::str::from_utf8(token).ok());
    let signed_in = match token {
        Some(token) => gate.token(token).await,
        None => None,
    };
    let signed_in = signed_in.ok_or_else(|| refused(name))?;
    Ok(Known { user: signed_in.user, until: signed_in.until.and_then(instant) })
}

/// A second since 1970 on the clock that does not jump; none if it never comes.
fn instant(seconds: i64) -> Option<Instant> {
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let left = until.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now().checked_add(left)
}
