//! `\e`: a statement in the user's own editor.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::Command;

use crate::commands::query::interrupts::Interrupts;

/// The editor where the environment names none, as psql has it.
const EDITOR: &str = "vi";

/// Has a text edited, and gives what became of it.
///
/// # Errors
/// There is no such editor, it fails, or the text can't be read again.
pub(super) fn edit(text: &str, interrupts: &Interrupts) -> io::Result<String> {
    let mut file = tempfile::Builder::new().prefix("riskstream-").suffix(".sql").tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    let editor = editor(&["VISUAL", "EDITOR"].map(std::env::var_os));
    let (program, arguments) =
        editor.split_first().map_or((EDITOR, &[][..]), |(first, rest)| (first.as_str(), rest));
    let path = file.into_temp_path();
    let going = interrupts.away();
    let ended = Command::new(program).args(arguments).arg(&path).status();
    drop(going);
    let ended = ended.map_err(|error| {
        io::Error::new(error.kind(), format!("the editor `{program}` does not start: {error}"))
    })?;
    if !ended.success() {
        return Err(io::Error::other(format!("the editor `{program}` ended with {ended}")));
    }
    std::fs::read_to_string(&path)
}

/// The words of the first editor that is named: a program and its arguments.
fn editor(named: &[Option<OsString>]) -> Vec<String> {
    let named = named.iter().flatten().find_map(|named| named.to_str());
    let named = named.filter(|named| !named.trim().is_empty()).unwrap_or(EDITOR);
    named.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editor_is_that_of_the_environment() {
        let text = |text: &str| Some(OsString::from(text));
        for (named, expected) in [
            ([None, None], vec!["vi"]),
            ([None, text("nano")], vec!["nano"]),
            ([text("code --wait"), text("nano")], vec!["code", "--wait"]),
            ([None, text("  ")], vec!["vi"]),
        ] {
            assert_eq!(editor(&named), expected, "{named:?}");
        }
    }
}
