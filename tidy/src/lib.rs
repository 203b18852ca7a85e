//! What the house asks of all sources and no compiler checks: no module of a crate imports,
//! directly or through others, a module that imports it, and lines have at most 100 columns. `cargo
//! run -p riskstream-tidy` lists what is wrong; `cargo test -p riskstream-tidy` fails on it.
//!
//! # Invariants
//! - It reads only the files that git tracks or would track if they were added, and writes none.
//! - It depends on nothing, so that it is compiled in a second.

pub mod circles;
mod imports;
mod tokens;
mod width;

use circles::Crate;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names of files whose lines are checked.
const CHECKED: [&str; 4] = ["rs", "md", "py", "sh"];

/// The workspace's folder.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The files below `root` that are the project's: those that git tracks, or would if they were
/// added.
///
/// # Errors
/// When git can't be asked.
fn tracked(root: &Path) -> io::Result<Vec<String>> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").arg("-C").arg(root).args(listing).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names = names.map(|name| String::from_utf8_lossy(name).into_owned());
    // A file that was deleted is tracked until that is committed.
    Ok(names.filter(|name| root.join(name).exists()).collect())
}

/// The circles of every crate below `root`: each as the imports between its modules.
///
/// # Errors
/// When a file can't be read.
pub fn circles(root: &Path) -> io::Result<Vec<Vec<String>>> {
    let mut found = Vec::new();
    for manifest in tracked(root)?.iter().filter(|name| name.ends_with("Cargo.toml")) {
        let sources = root.join(manifest).with_file_name("src");
        for file in ["lib.rs", "main.rs"].map(|name| sources.join(name)) {
            if file.is_file() {
                found.extend(Crate::read(&file)?.circles());
            }
        }
    }
    Ok(found)
}

/// Lines of tracked sources and pages that are too wide.
///
/// # Errors
/// When a file can't be read.
pub fn wide_lines(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for name in tracked(root)? {
        let extension = Path::new(&name).extension().and_then(|e| e.to_str());
        let path = root.join(&name);
        if extension.is_some_and(|e| CHECKED.contains(&e)) && path.is_file() {
            found.extend(width::wide(&name, &String::from_utf8_lossy(&std::fs::read(path)?)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_modules_of_a_crate_import_each_other_in_a_circle() {
        let circles = circles(&workspace()).unwrap();
        let told: Vec<String> = circles.iter().map(|circle| circle.join("\n")).collect();
        assert!(told.is_empty(), "{} circles\n{}", told.len(), told.join("\n\n"));
    }

    #[test]
    fn no_line_is_wider_than_100_columns() {
        let wide = wide_lines(&workspace()).unwrap();
        assert!(wide.is_empty(), "{}", wide.join("\n"));
    }
}
