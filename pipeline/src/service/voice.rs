//! Reports what happens: to a person at a terminal, above the progress bars, or to the log.

use indicatif::MultiProgress;

use super::logs;
use crate::config::spec::LogFormat;

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Importance {
    /// A pipeline has failed.
    Error,
    /// Something is tried again, or was.
    Warn,
    /// All is as it should be.
    Info,
}

/// Tells of what happens.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    bars: MultiProgress,
    /// Whether progress is drawn; where it is not, only errors and warnings are printed.
    draws: bool,
}

impl Voice {
    /// Tells above these bars, or by the log where there is one.
    pub(crate) fn new(bars: MultiProgress, draws: bool) -> Self {
        Self { bars, draws }
    }

    /// Tells of the program as a whole.
    pub(crate) fn say(&self, importance: Importance, text: &str) {
        if logs::format().is_some() {
            match importance {
                Importance::Error => tracing::error!("{text}"),
                Importance::Warn => tracing::warn!("{text}"),
                Importance::Info => tracing::info!("{text}"),
            }
        } else {
            self.print(importance, text);
        }
    }

    /// Tells of a pipeline.
    pub(crate) fn say_of(&self, importance: Importance, pipeline: &str, text: &str) {
        let text = format!("pipeline {pipeline}: {text}");
        match (logs::format(), importance) {
            // A JSON line also has the pipeline as a field, to select by; a line of text would only
            // repeat it.
            (Some(LogFormat::Json), Importance::Error) => tracing::error!(pipeline, "{text}"),
            (Some(LogFormat::Json), Importance::Warn) => tracing::warn!(pipeline, "{text}"),
            (Some(LogFormat::Json), Importance::Info) => tracing::info!(pipeline, "{text}"),
            (Some(LogFormat::Text) | None, _) => self.say(importance, &text),
        }
    }

    fn print(&self, importance: Importance, text: &str) {
        let text = match importance {
            Importance::Error => format!("error: {text}"),
            Importance::Warn => text.to_owned(),
            Importance::Info if self.draws => text.to_owned(),
            Importance::Info => return,
        };
        // Standard error may be closed.
        let _closed = if self.bars.is_hidden() {
            std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes())
        } else {
            self.bars.println(text)
        };
    }
}
