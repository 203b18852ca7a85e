//! From configured paths to files, in a stable order: as the paths are listed, and by name within a pattern.

use crate::file::format::FileSourceSpec;
use riskstream_engine::contract::SourceError;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// The path as written (patterns filled in): the partition's name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

pub(crate) fn unreadable(spec: &FileSourceSpec, object: impl Into<String>, reason: impl Into<String>) -> SourceError {
    SourceError::Unreadable { source_name: spec.name.clone(), object: object.into(), reason: reason.into() }
}

/// Whether a path is a pattern; a file that exists under exactly that name is none.
fn is_pattern(path: &Path, text: &str) -> bool {
    text.contains(['*', '?', '[']) && !path.exists()
}

/// All files that the source's paths name. A pattern that matches nothing is an error unless the source follows.
pub(crate) fn find_files(spec: &FileSourceSpec) -> Result<Vec<FoundFile>, SourceError> {
    if spec.paths.is_empty() {
        return Err(unreadable(spec, "its files", "no path is given"));
    }
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for text in &spec.paths {
        let path = spec.base.join(text);
        let found = if is_pattern(&path, text) { match_pattern(spec, text)? } else { vec![one_file(spec, text, path)?] };
        files.extend(found.into_iter().filter(|f| seen.insert(f.path.clone())));
    }
    Ok(files)
}

fn one_file(spec: &FileSourceSpec, text: &str, path: PathBuf) -> Result<FoundFile, SourceError> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            Err(unreadable(spec, text, format!("it is a folder; give a pattern such as {}/*.ndjson", text.trim_end_matches('/'))))
        }
        Ok(_) => Ok(FoundFile { name: text.to_owned(), path }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(unreadable(spec, text, format!("there is no such file; relative paths start at {}", spec.base.display())))
        }
        Err(e) => Err(unreadable(spec, text, e.to_string())),
    }
}

fn match_pattern(spec: &FileSourceSpec, text: &str) -> Result<Vec<FoundFile>, SourceError> {
    let pattern = if Path::new(text).is_absolute() {
        text.to_owned()
    } else {
        // What the base folder is called is no pattern.
        Path::new(&glob::Pattern::escape(&spec.base.to_string_lossy())).join(text).to_string_lossy().into_owned()
    };
    let matches = glob::glob(&pattern).map_err(|e| unreadable(spec, text, format!("the pattern is wrong: {e}")))?;
    let mut files = Vec::new();
    for path in matches {
        let path = path.map_err(|e| unreadable(spec, text, e.to_string()))?;
        if path.is_file() {
            let name = if Path::new(text).is_absolute() { path.as_path() } else { path.strip_prefix(&spec.base).unwrap_or(&path) };
            files.push(FoundFile { name: name.to_string_lossy().into_owned(), path: path.clone() });
        }
    }
    if files.is_empty() && !spec.follow {
        return Err(unreadable(spec, text, format!("no file matches; relative paths start at {}", spec.base.display())));
    }
    Ok(files)
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
        for (path, message) in [("*.parquet", "no file matches"), ("none.csv", "no such file"), ("", "is a folder"), ("[", "no such file")]
        {
            spec.paths = vec![path.into()];
            let error = find_files(&spec).expect_err("refused").to_string();
            assert!(error.contains(message) || path == "[", "{path}: {error}");
        }
    }
}
