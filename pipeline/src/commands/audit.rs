//! `riskstream audit`: whether the records of what was asked are as they were written.

use std::io::Write;
use std::path::Path;

use riskstream_query::verify_audit;

use super::{CommandError, load};
use crate::cli::{AuditArgs, ConfigArgs};
use crate::plan::{audit_location, audit_locations};

/// Looks at every line of the records, of the ports and of command lines.
///
/// # Errors
/// There is no record, one can't be read, or was changed: all that were are told.
pub fn audit(args: &AuditArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&ConfigArgs::from(&args.config))?;
    let folders = audit_locations(&config).map_err(super::failed)?;
    if folders.is_empty() {
        return Err(CommandError::Usage {
            message: format!("there is no audit in {}", audit_location(&config).display()),
            help: Some("statements are recorded where `[query] users` names users".into()),
        });
    }
    let mut changed = Vec::new();
    for folder in &folders {
        changed.extend(verify(folder, out)?);
    }
    match changed.is_empty() {
        true => Ok(()),
        false => Err(CommandError::Failed { message: changed.join("\n") }),
    }
}

/// Tells of one record that it is as it was written; or gives what was changed of it.
fn verify(folder: &Path, out: &mut dyn Write) -> Result<Option<String>, CommandError> {
    let place = folder.display();
    let verified = match verify_audit(folder).map_err(super::failed)? {
        Ok(verified) => verified,
        Err(tampered) => return Ok(Some(format!("{place}: {tampered}"))),
    };
    let (records, hash) = (verified.records, verified.hash);
    writeln!(
        out,
        "{place}: {records} statements, as they were written; the last has the hash {hash}"
    )?;
    if verified.torn_bytes > 0 {
        let bytes = verified.torn_bytes;
        writeln!(out, "it ends within a line ({bytes} bytes): the program was killed")?;
    }
    Ok(None)
}
