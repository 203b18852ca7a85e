//! `riskstream password`: what the file of users keeps of a password.

use std::io::{BufRead, IsTerminal, Write};

use riskstream_query::verifier;

use super::CommandError;

/// Reads a password from standard input and prints its verifier.
///
/// # Errors
/// There is no password, or the machine gives no random numbers.
pub fn password(out: &mut dyn Write) -> Result<(), CommandError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        writeln!(std::io::stderr(), "the password, and Enter (it is shown as it is typed):")?;
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(CommandError::Usage {
            message: "there is no password on standard input".into(),
            help: Some("such as: pass show lender | riskstream password".into()),
        });
    }
    writeln!(out, "{}", verifier(password).map_err(super::failed)?)?;
    Ok(())
}
