//! Lines that somebody types, with a line editor.

use std::io;
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::complete::complete;
use super::history;
use super::lines::{Line, Lines};
use super::names::Names;
use crate::commands::query::pending::is_whole;

/// Statements that are remembered.
const HISTORY_MAX: usize = 10_000;

/// A terminal on which lines are edited: with history and completion, and a statement as a whole.
pub(in crate::commands::query) struct Typed {
    editor: Editor<Known, DefaultHistory>,
    history: Option<PathBuf>,
    offered: Option<String>,
}

impl Typed {
    /// Begins to read a terminal.
    ///
    /// # Errors
    /// It can't be used.
    pub(in crate::commands::query) fn new() -> io::Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(HISTORY_MAX)
            .and_then(|builder| builder.history_ignore_dups(true))
            .map_err(as_io)?
            .build();
        let mut editor = Editor::with_config(config).map_err(as_io)?;
        editor.set_helper(Some(Known::default()));
        let history = history::file();
        if let Some(file) = &history {
            // The first time there is none; and one that can't be read is no reason not to type.
            let _none = editor.load_history(file);
        }
        Ok(Self { editor, history, offered: None })
    }

    /// Remembers what was typed, for later shells too.
    fn remember(&mut self, text: &str) {
        let text = text.trim_end();
        if text.trim().is_empty() || !self.editor.add_history_entry(text).unwrap_or(false) {
            return;
        }
        if let Some(file) = &self.history {
            let kept = history::make_folder(file).map_err(ReadlineError::Io);
            if kept.and_then(|()| self.editor.append_history(file)).is_err() {
                // The disk takes nothing: what was typed is still known here.
                self.history = None;
            }
        }
    }
}

impl Lines for Typed {
    fn name(&self) -> Option<&str> {
        None
    }

    fn next(&mut self, prompt: &str, begun: &str) -> io::Result<Line> {
        if let Some(known) = self.editor.helper_mut() {
            known.begun.clear();
            known.begun.push_str(begun);
        }
        let read = match self.offered.take() {
            Some(text) => self.editor.readline_with_initial(prompt, (&text, "")),
            None => self.editor.readline(prompt),
        };
        match read {
            Ok(text) => {
                self.remember(&text);
                Ok(Line::Text(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Dropped),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(other) => Err(as_io(other)),
        }
    }

    fn offer(&mut self, text: String) {
        self.offered = Some(text);
    }

    fn learn(&mut self, names: Names) {
        if let Some(known) = self.editor.helper_mut() {
            known.names = names;
        }
    }
}

fn as_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// What the editor knows of what is typed.
#[derive(Debug, Default)]
struct Known {
    names: Names,
    begun: String,
}

impl Helper for Known {}

impl Highlighter for Known {}

impl Hinter for Known {
    type Hint = String;
}

impl Validator for Known {
    /// Enter begins another line as long as a statement has no end.
    fn validate(&self, typed: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_whole(typed.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Completer for Known {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        place: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&self.begun, line, place, &self.names))
    }
}
