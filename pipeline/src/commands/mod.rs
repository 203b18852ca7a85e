//! The commands of the program: one file each, each a function from its arguments to what it
//! prints.

pub mod accept;
pub mod audit;
pub mod check;
pub(crate) mod confirm;
pub mod explain;
pub mod generate;
pub mod maintain;
pub mod password;
pub mod plan;
pub mod query;
pub mod replay;
pub mod run;
pub mod serve;
pub mod sniff;
pub mod state;
pub mod status;
pub mod top;
pub mod train;

use std::io::IsTerminal;

use crate::config::{self, Config, ConfigError, Problem, Problems, Report, ReportedProblem};

/// Why a command failed, for the exit code: 2 for a configuration that can't be run, 3 for a
/// pipeline that failed, 1 for everything else.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration can't be run; nothing was started.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the user asked for isn't there, such as a pipeline of an unknown name.
    #[error(
        "{message}{}",
        help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default()
    )]
    Usage {
        /// What is wrong.
        message: String,
        /// What would be right.
        help: Option<String>,
    },
    /// The command was started and failed.
    #[error("{message}")]
    Failed {
        /// What failed, on what, and what to do.
        message: String,
    },
    /// Pipelines of a run failed. The reasons were reported when they failed.
    #[error("failed: {}", pipelines.join(", "))]
    PipelinesFailed {
        /// Their names.
        pipelines: Vec<String>,
    },
    /// The answer can't be written.
    #[error("the answer can't be written: {0}")]
    Output(#[from] std::io::Error),
    /// The answer can't be written as JSON.
    #[error("the answer can't be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl CommandError {
    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage { .. } => 2,
            Self::PipelinesFailed { .. } => 3,
            Self::Failed { .. } | Self::Output(_) | Self::Json(_) => 1,
        }
    }

    /// Whether the failure was already reported when it happened.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::PipelinesFailed { .. })
    }

    /// The message for a person: drawn with carets, in color on a terminal.
    pub fn render(&self, color: bool) -> String {
        if let Self::Config(ConfigError::Invalid(problems)) = self {
            return problems.render(color);
        }
        format!("error: {self}")
    }

    /// The message for a script, in the same shape for every way in which a configuration fails.
    pub fn report(&self, file: &str) -> Report {
        if let Self::Config(ConfigError::Invalid(problems)) = self {
            return problems.report();
        }
        let (line, column) = if let Self::Config(ConfigError::NotText { line, column, .. }) = self {
            (*line, *column)
        } else {
            (1, 1)
        };
        let problem = ReportedProblem {
            file: file.to_owned(),
            line,
            column,
            text: String::new(),
            message: self.to_string(),
            label: None,
            help: None,
        };
        Report { ok: false, file: file.to_owned(), problems: vec![problem], sources: Vec::new() }
    }
}

impl From<Problems> for CommandError {
    fn from(problems: Problems) -> Self {
        Self::Config(ConfigError::Invalid(problems))
    }
}

/// The error of a command that was started and failed, with the message of what failed.
pub(crate) fn failed(error: impl std::fmt::Display) -> CommandError {
    CommandError::Failed { message: error.to_string() }
}

/// Prints an answer for a script.
pub(crate) fn print_json(
    answer: &impl serde::Serialize,
    out: &mut dyn std::io::Write,
) -> Result<(), CommandError> {
    serde_json::to_writer_pretty(&mut *out, answer)?;
    writeln!(out)?;
    Ok(())
}

/// Loads the configuration that a command names.
///
/// # Errors
/// It can't be read, or has problems.
pub fn load(args: &crate::cli::ConfigArgs) -> Result<Config, CommandError> {
    Ok(config::load(args.file(), &args.set)?)
}

/// Draws problems that were found after loading.
pub fn refuse(config: &Config, problems: Vec<Problem>) -> CommandError {
    config.problems(problems).into()
}

/// Whether a stream takes colors: a terminal, and `NO_COLOR` isn't set (<https://no-color.org>).
pub fn takes_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
