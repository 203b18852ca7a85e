//! Where a shell keeps what was typed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file of what was typed before, in the user's folder of state.
pub(super) fn file() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    let folder = of_state(variable("XDG_STATE_HOME"), variable("HOME"))?;
    Some(folder.join("riskstream").join("query_history"))
}

/// The folder of state by the XDG specification, which lets only absolute paths count.
fn of_state(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    state
        .and_then(absolute)
        .or_else(|| home.and_then(absolute).map(|home| home.join(".local").join("state")))
}

/// Makes the folder of a file, which nobody else may look into.
pub(super) fn make_folder(file: &Path) -> std::io::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_state_is_that_of_the_specification() {
        let text = |text: &str| Some(OsString::from(text));
        for (state, home, expected) in [
            (text("/s"), text("/h"), Some("/s")),
            (None, text("/h"), Some("/h/.local/state")),
            (text("relative"), text("/h"), Some("/h/.local/state")),
            (None, None, None),
            (None, text("relative"), None),
        ] {
            assert_eq!(of_state(state, home).as_deref(), expected.map(Path::new));
        }
    }
}
