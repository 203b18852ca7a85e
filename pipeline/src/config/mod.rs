//! `pipelines.toml`: from text to a checked [`Spec`], or to all that is wrong with it at once.
//!
//! ```text
//!  file ───┬─▶ document: a tree of keys ──▶ read/: typed getters ──▶ Spec ──▶ validate: names,
//!  --set ──┘   and values with spans          │                               tables, columns
//!                                             │                                 │
//!                                             └─▶ Problems (each with its place) ◀┘
//! ```
//!
//! # The file
//! One table `[riskstream]`, a table per source `[sources.NAME]` and per pipeline
//! `[pipelines.NAME]`, whose `steps` and `to` are arrays of tables in the order in which rows meet
//! them. The fields of [`spec`] say what each key means and its unit, and `defaults.rs` what a
//! missing one is. Durations are a whole number and a unit (`"10ms"`, `"5s"`, `"7d"`), sizes
//! likewise (`"64MiB"`), types are `int8` to `int64`, `uint8` to `uint64`, `float32`, `float64`,
//! `boolean`, `string`, `timestamp`, `date` and `decimal(precision,scale)`. Paths are relative to
//! the working directory.
//!
//! # Invariants
//! - Nothing else in the program reads TOML.
//! - No file, `--set` or mutation of one makes this module panic.
//! - Every problem has a place, in the file or in a `--set`, and one problem never hides another,
//!   except that a file that isn't TOML is only checked for that.

mod columns;
pub mod defaults;
pub(crate) mod document;
pub(crate) mod expression;
pub(crate) mod problem;
mod read;
pub(crate) mod reader;
pub(crate) mod span;
pub mod spec;
pub(crate) mod suggest;
mod validate;
pub(crate) mod values;

use std::path::{Path, PathBuf};

pub(crate) use columns::last_flow;
pub use columns::{check_columns, check_source_columns};
pub use problem::{Problem, Problems, Report, ReportedProblem, Texts};
pub use span::{Origin, Span, Spanned};
pub use spec::Spec;

/// Largest configuration file, in bytes; a larger one is not a configuration.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A checked configuration and the texts that its spans point into.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the file says.
    pub spec: Spec,
    /// The file and the `--set` arguments, for drawing problems that are found later.
    pub texts: Texts,
}

impl Config {
    /// Problems found later (by the planner), to be drawn against this configuration's texts.
    pub fn problems(&self, problems: Vec<Problem>) -> Problems {
        Problems::new(self.texts.clone(), problems)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration {} can't be read: {source}{}", path.display(), hint(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than [`FILE_BYTES_MAX`].
    #[error("the configuration {} has {bytes} bytes, more than {FILE_BYTES_MAX}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file isn't UTF-8.
    #[error(
        "{}:{line}:{column}: the configuration isn't UTF-8 text\n  help: save the file as UTF-8",
        path.display()
    )]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first wrong byte, from 1.
        line: usize,
        /// Its column, from 1, in characters.
        column: usize,
    },
    /// The file says something wrong.
    #[error("{0}")]
    Invalid(Problems),
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            "\n  help: name a file, such as `riskstream run examples/card-fraud-file.toml`"
        }
        _ => "",
    }
}

/// Reads and checks a file, after putting the `--set path.to.key=value` arguments into it.
///
/// # Errors
/// The file can't be read, or all of the problems that it has.
pub fn load(path: &Path, sets: &[String]) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), bytes });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()])
            .into_owned();
        let line_start = valid.rfind('\n').map_or(0, |newline| newline + 1);
        let (line, column) =
            (valid.matches('\n').count() + 1, valid[line_start..].chars().count() + 1);
        ConfigError::NotText { path: path.to_owned(), line, column }
    })?;
    parse(&path.display().to_string(), &text, sets).map_err(ConfigError::Invalid)
}

/// Checks a configuration's text; `file` is its name in messages.
///
/// # Errors
/// All of its problems.
pub fn parse(file: &str, text: &str, sets: &[String]) -> Result<Config, Problems> {
    // Some editors put a byte-order mark in front; TOML calls it an error in all but the first
    // version.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let texts = Texts { file: file.to_owned(), text: text.to_owned(), sets: sets.to_vec() };
    let mut root = match document::parse_document(Origin::File, text) {
        Ok(root) => root,
        Err(problems) => return Err(Problems::new(texts, problems)),
    };
    let mut problems = Vec::new();
    for (index, argument) in sets.iter().enumerate() {
        if let Err(problem) =
            document::apply_set(&mut root, u32::try_from(index).unwrap_or(u32::MAX), argument)
        {
            problems.push(problem);
        }
    }
    let draft = read::document(&root, &mut problems);
    validate::validate(&draft, &mut problems);
    match problems.is_empty() {
        true => Ok(Config { spec: draft.spec, texts }),
        false => Err(Problems::new(texts, problems)),
    }
}

/// The name among `candidates` that was likely meant by `name`.
pub fn closest_name<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    suggest::closest(name, candidates)
}

/// The help for a name that isn't among `candidates`: the nearest one, else all of them after
/// `lead` ("the pipelines are").
pub fn suggest_name<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
    lead: &str,
) -> Option<String> {
    suggest::help(name, candidates, lead)
}
