//! `riskstream audit`: whether the record of what was asked is as it was written.

use std::io::Write;

use riskstream_query::{Tampered, verify_audit};

use super::{CommandError, load};
use crate::cli::{AuditArgs, ConfigArgs};
use crate::plan::audit_location;

/// Looks at every line of the audit.
///
/// # Errors
/// There is no audit, it can't be read, or it was changed.
pub fn audit(args: &AuditArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&ConfigArgs::from(&args.config))?;
    let folder = audit_location(&config);
    if !folder.is_dir() {
        return Err(CommandError::Usage {
            message: format!("there is no audit in {}", folder.display()),
            help: Some("statements are recorded where `[query] users` names users".into()),
        });
    }
    let verified =
        verify_audit(&folder).map_err(super::failed)?.map_err(|tampered: Tampered| {
            CommandError::Failed { message: format!("{}: {tampered}", folder.display()) }
        })?;
    writeln!(
        out,
        "{}: {} statements, as they were written; the last has the hash {}",
        folder.display(),
        verified.records,
        verified.hash
    )?;
    if verified.torn_bytes > 0 {
        writeln!(
            out,
            "it ends within a line ({} bytes): the program was killed",
            verified.torn_bytes
        )?;
    }
    Ok(())
}
