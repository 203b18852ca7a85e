//! Whose eyes statements are answered for, and where they are recorded.

use std::sync::Arc;

use riskstream_query::service::User;
use riskstream_query::{Audit, AuditError, Rules};

use crate::commands::{CommandError, failed};
use crate::config::Config;
use crate::plan::{audit_location, command_line_audit};

/// The name of who owns the data folder, as records have it.
const LOCAL: &str = "command line";
/// Command lines that may ask at the same time where statements are recorded.
const COMMAND_LINES_MAX: usize = 100;

/// Who asks.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) user: User,
    pub(super) rules: Option<Arc<Rules>>,
    pub(super) audit: Option<Arc<Audit>>,
}

impl Who {
    /// The user of that name, or else whoever can read the data folder and so sees everything.
    ///
    /// # Errors
    /// There is no such user, the users file is wrong, or statements can't be recorded.
    pub(super) fn find(config: &Config, as_user: Option<&str>) -> Result<Self, CommandError> {
        let users = config.spec.query.as_ref().and_then(|query| query.users.as_ref());
        let Some(users) = users else {
            if let Some(name) = as_user {
                return Err(CommandError::Usage {
                    message: format!("there is no user `{name}`: no users are configured"),
                    help: Some("add [query] with users = \"users.toml\"".to_owned()),
                });
            }
            return Ok(Self { user: User::local(LOCAL), rules: None, audit: None });
        };
        let wrong = |message: String| CommandError::Usage { message, help: None };
        let rules = Rules::open(&users.value).map_err(|problems| wrong(problems.to_string()))?;
        let user = match as_user {
            None => User::local(LOCAL),
            Some(name) => rules.user(name).ok_or_else(|| {
                wrong(format!("there is no user `{name}` in {}", users.value.display()))
            })?,
        };
        let audit = audit(config)?;
        Ok(Self { user, rules: Some(Arc::new(rules)), audit: Some(audit) })
    }
}

/// A record of this command line's own, beside that of the ports: a record is one process', and a
/// shell that stays open must not keep a program from starting.
fn audit(config: &Config) -> Result<Arc<Audit>, CommandError> {
    for number in 1..=COMMAND_LINES_MAX {
        match Audit::open_within(&audit_location(config), &command_line_audit(number)) {
            Ok(audit) => return Ok(Arc::new(audit)),
            Err(AuditError::Taken { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(format!("{COMMAND_LINES_MAX} command lines ask already, and record it")))
}
