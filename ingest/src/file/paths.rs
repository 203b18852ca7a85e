//! From configured paths to files, in a stable order: as the paths are listed, and by name within a
//! pattern.

use crate::file::format::FileSourceSpec;
use riskstream_engine::contract::SourceError;
use std::collections::HashSet;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// A file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// The path as written (patterns filled in): the partition's name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// The names of all files that are known, by their hashes: 16 bytes for a name of any length. Two
/// names of one hash do not happen.
///
/// It is names that are kept with what was read of a file; how the way to a file is written
/// (`./in/a.csv`, `in/a.csv`) may be another in each run.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles(HashSet<u128>);

impl KnownFiles {
    fn has(&self, name: &str) -> bool {
        self.0.contains(&xxh3_128(name.as_bytes()))
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.0.insert(xxh3_128(name.as_bytes()));
    }
}

/// A look for files: those that it has come past, by the hashes of their paths, and those of them
/// that are new.
struct Look<'a> {
    spec: &'a FileSourceSpec,
    known: &'a mut KnownFiles,
    passed: HashSet<u128>,
    new: &'a mut Vec<FoundFile>,
}

pub(crate) fn unreadable(
    spec: &FileSourceSpec,
    object: impl Into<String>,
    reason: impl Into<String>,
) -> SourceError {
    SourceError::Unreadable {
        source_name: spec.name.clone(),
        object: object.into(),
        reason: reason.into(),
    }
}

/// Whether a path is a pattern; a file that exists under exactly that name is none.
fn is_pattern(path: &Path, text: &str) -> bool {
    text.contains(['*', '?', '[']) && !path.exists()
}

/// All files that the source's paths name. A pattern that matches nothing is an error unless the
/// source follows.
pub(crate) fn find_files(spec: &FileSourceSpec) -> Result<Vec<FoundFile>, SourceError> {
    let mut files = Vec::new();
    find_new_files(spec, &mut KnownFiles::default(), &mut files).map(|()| files)
}

/// Adds those of them that were not known, which are known from now on. Nothing is asked of the
/// system about a file that is known: in a folder of very many files that would take longer than to
/// list it. A path that names nothing is an error, and the files of the others are added.
pub(crate) fn find_new_files(
    spec: &FileSourceSpec,
    known: &mut KnownFiles,
    files: &mut Vec<FoundFile>,
) -> Result<(), SourceError> {
    if spec.paths.is_empty() {
        return Err(unreadable(spec, "its files", "no path is given"));
    }
    let mut look = Look { spec, passed: HashSet::with_capacity(known.0.len()), known, new: files };
    let mut first_error = Ok(());
    for text in &spec.paths {
        let path = spec.base.join(text);
        let found = if is_pattern(&path, text) {
            look.match_pattern(text)
        } else {
            look.one_file(text, path)
        };
        first_error = first_error.and(found);
    }
    first_error
}

fn check_file(spec: &FileSourceSpec, text: &str, path: &Path) -> Result<(), SourceError> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(unreadable(
            spec,
            text,
            format!(
                "it is a folder; give a pattern such as {}/*.ndjson",
                text.trim_end_matches('/')
            ),
        )),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(unreadable(
            spec,
            text,
            format!("there is no such file; relative paths start at {}", spec.base.display()),
        )),
        Err(e) => Err(unreadable(spec, text, e.to_string())),
    }
}

impl Look<'_> {
    /// Whether the look has not come past the file before, by another of the source's paths.
    fn passes(&mut self, path: &Path) -> bool {
        let mut hasher = Xxh3::new();
        path.hash(&mut hasher);
        self.passed.insert(hasher.digest128())
    }

    fn one_file(&mut self, text: &str, path: PathBuf) -> Result<(), SourceError> {
        if !self.passes(&path) || self.known.has(text) {
            return Ok(());
        }
        check_file(self.spec, text, &path)?;
        self.known.add(text);
        self.new.push(FoundFile { name: text.to_owned(), path });
        Ok(())
    }

    fn match_pattern(&mut self, text: &str) -> Result<(), SourceError> {
        let spec = self.spec;
        let is_absolute = Path::new(text).is_absolute();
        let pattern = if is_absolute {
            text.to_owned()
        } else {
            // What the base folder is called is no pattern.
            Path::new(&glob::Pattern::escape(&spec.base.to_string_lossy()))
                .join(text)
                .to_string_lossy()
                .into_owned()
        };
        let matches = glob::glob(&pattern)
            .map_err(|e| unreadable(spec, text, format!("the pattern is wrong: {e}")))?;
        let mut any = false;
        for path in matches {
            let path = path.map_err(|e| unreadable(spec, text, e.to_string()))?;
            let name = if is_absolute {
                path.as_path()
            } else {
                path.strip_prefix(&spec.base).unwrap_or(&path)
            }
            .to_string_lossy();
            if !self.passes(&path) || self.known.has(&name) {
                any = true;
            } else if path.is_file() {
                any = true;
                self.known.add(&name);
                let name = name.into_owned();
                self.new.push(FoundFile { name, path });
            }
        }
        if !any && !spec.follow {
            return Err(unreadable(
                spec,
                text,
                format!("no file matches; relative paths start at {}", spec.base.display()),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_sorted_and_named_relative_to_the_base() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.csv", "a.csv", "c.txt"] {
            std::fs::write(folder.path().join(name), "x").expect("written");
        }
        let mut spec = FileSourceSpec::new("s", vec!["*.csv".into(), "a.csv".into()], "t");
        spec.base = folder.path().to_owned();
        let names: Vec<_> = find_files(&spec).expect("found").into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["a.csv", "b.csv"]);
        for (path, message) in [
            ("*.parquet", "no file matches"),
            ("none.csv", "no such file"),
            ("", "is a folder"),
            ("[", "no such file"),
        ] {
            spec.paths = vec![path.into()];
            let error = find_files(&spec).expect_err("refused").to_string();
            assert!(error.contains(message) || path == "[", "{path}: {error}");
        }
    }

    #[test]
    fn a_known_file_is_not_found_again_and_a_path_that_names_nothing_hides_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("in")).expect("made");
        std::fs::write(folder.path().join("in/a.csv"), "x").expect("written");
        let absolute = folder.path().join("in/*.csv").to_string_lossy().into_owned();
        let paths = ["none.csv", "in/*.csv", "in//a.csv", "in/./a.csv", &absolute, "out/*.csv"];
        let mut spec = FileSourceSpec::new("s", paths.map(String::from).into(), "t");
        spec.base = folder.path().to_owned();
        let mut known = KnownFiles::default();
        let mut look = || {
            let mut files = Vec::new();
            let error = find_new_files(&spec, &mut known, &mut files)
                .expect_err("a path names nothing")
                .to_string();
            assert!(error.contains("none.csv"), "{error}");
            files.into_iter().map(|file| file.name).collect::<Vec<_>>()
        };
        assert_eq!(look(), ["in/a.csv"]);
        assert_eq!(look(), [""; 0]);
        // A folder is no file, but may be one later.
        std::fs::create_dir(folder.path().join("in/b.csv")).expect("made");
        assert_eq!(look(), [""; 0]);
        std::fs::remove_dir(folder.path().join("in/b.csv")).expect("removed");
        std::fs::write(folder.path().join("in/b.csv"), "x").expect("written");
        assert_eq!(look(), ["in/b.csv"]);
    }
}
