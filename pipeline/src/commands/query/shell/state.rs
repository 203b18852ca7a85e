//! A shell's state, and how a statement's result leaves it.

use std::io::Write;
use std::time::Instant;

use riskstream_query::service::Cancel;
use riskstream_query::{Form, QueryError};

use super::names::Names;
use super::text;
use crate::commands::CommandError;
use crate::commands::query::asker::{Asker, Reply};
use crate::commands::query::chart::NoChart;
use crate::commands::query::failure::Origin;
use crate::commands::query::feed::Feed;
use crate::commands::query::interrupts::Interrupts;
use crate::commands::query::output::{FileForm, OutFile, not_written};
use crate::commands::query::pending::Piece;
use crate::commands::query::screen::Screen;
use crate::commands::query::show::{How, ShowError, show};
use crate::commands::query::view::View;

/// Where a shell writes.
pub(in crate::commands::query) struct Streams<'a> {
    /// Results.
    pub(in crate::commands::query) out: &'a mut dyn Write,
    /// What is said of them, and errors of what is typed.
    pub(in crate::commands::query) notes: &'a mut dyn Write,
    /// What `out` is.
    pub(in crate::commands::query) screen: Screen,
}

/// Statements one after the other, in one session.
pub(in crate::commands::query) struct Shell<'a> {
    pub(super) asker: Asker,
    pub(super) view: View,
    pub(super) streams: Streams<'a>,
    pub(super) interrupts: Interrupts,
    /// Where results go instead of `streams.out`.
    pub(super) file: Option<OutFile>,
    /// The last statement.
    pub(super) last: String,
    /// The names of tables, and when they were looked up.
    pub(super) names: Names,
    pub(super) named_at: Option<Instant>,
    /// How many files are open, each named by the one before.
    pub(super) depth: usize,
}

/// Why a statement has no result.
enum Problem {
    /// It failed, somewhere in its text.
    Statement(QueryError),
    /// Something else did.
    Other(CommandError),
}

impl<'a> Shell<'a> {
    /// A shell that nothing was typed in yet.
    pub(in crate::commands::query) fn new(
        asker: Asker,
        view: View,
        streams: Streams<'a>,
        interrupts: Interrupts,
        file: Option<OutFile>,
    ) -> Self {
        Self {
            asker,
            view,
            streams,
            interrupts,
            file,
            last: String::new(),
            names: Names::default(),
            named_at: None,
            depth: 0,
        }
    }

    /// Greets whoever types.
    pub(in crate::commands::query) fn greet(&mut self, greeting: &str) -> Result<(), CommandError> {
        Ok(writeln!(self.streams.out, "{greeting}")?)
    }

    /// Runs one statement and shows what it gives. `talks` is whether somebody sees it happen.
    pub(super) fn statement(
        &mut self,
        origin: &Origin<'_>,
        piece: Piece,
        talks: bool,
    ) -> Result<(), CommandError> {
        let began = Instant::now();
        let text = &origin.text[piece.start..piece.end];
        text.clone_into(&mut self.last);
        let cancel = Cancel::default();
        let going = self.interrupts.running(&cancel);
        let done = match self.asker.ask(text, &cancel) {
            Ok(Reply::Rows(feed)) => self.deliver(feed, talks),
            Ok(Reply::Done(said)) if talks => {
                writeln!(self.streams.out, "{said}").map_err(|error| Problem::Other(error.into()))
            }
            Ok(Reply::Done(_) | Reply::Nothing) => Ok(()),
            Err(error) => Err(Problem::Statement(error)),
        };
        drop(going);
        match done {
            Ok(()) => {}
            Err(Problem::Statement(error)) => return Err(origin.draw(error, piece)),
            Err(Problem::Other(error)) => return Err(error),
        }
        if self.view.timing {
            writeln!(self.streams.out, "{}", text::time(began.elapsed().as_secs_f64()))?;
        }
        Ok(())
    }

    fn deliver(&mut self, feed: Feed, talks: bool) -> Result<(), Problem> {
        let zone = self.asker.time_zone().to_owned();
        let is_table =
            self.file.is_none() && self.view.chart.is_none() && self.view.form == Form::Table;
        let written = match self.file.take() {
            Some(mut file) => {
                let path = file.path().to_owned();
                let form = file.form();
                let settings = self.view.of_file(&zone, true);
                let how = match form {
                    FileForm::Rows(form) => How::Rows(form, &settings),
                    FileForm::Picture => How::Picture(self.view.chart.unwrap_or_default()),
                };
                let out = match file.next_result() {
                    Ok(out) => out,
                    Err(error) => {
                        feed.stop();
                        return Err(Problem::Other(error));
                    }
                };
                // What has failed is not kept: the file is gone.
                let written = show(feed, &how, out).map_err(|error| match error {
                    ShowError::Write(error) => Problem::Other(not_written(&path, &error)),
                    other => problem(other),
                })?;
                self.file = Some(file);
                written
            }
            None => {
                let form = self.view.form;
                if !form.is_text() && self.view.chart.is_none() && self.streams.screen.is_terminal()
                {
                    feed.stop();
                    return Err(Problem::Other(CommandError::Usage {
                        message: format!("{} is nothing for a terminal", form.name()),
                        help: Some("write it to a file, or to a pipe".to_owned()),
                    }));
                }
                let settings = self.view.of_screen(self.streams.screen, &zone);
                let how = match self.view.chart {
                    Some(kind) => How::Chart(kind, self.streams.screen.paper()),
                    None => How::Rows(form, &settings),
                };
                show(feed, &how, self.streams.out).map_err(problem)?
            }
        };
        self.say(&written.notes)
            .and_then(|()| match talks && is_table {
                true => Ok(writeln!(self.streams.out, "{}", text::rows(written.rows))?),
                false => Ok(()),
            })
            .map_err(Problem::Other)
    }

    /// Says what has to be known of a result.
    fn say(&mut self, notes: &[String]) -> Result<(), CommandError> {
        if !notes.is_empty() {
            // What is said of rows comes behind them.
            self.streams.out.flush()?;
        }
        for note in notes {
            writeln!(self.streams.notes, "note: {note}")?;
        }
        Ok(())
    }

    /// Nothing comes any more: the file of results is whole.
    ///
    /// # Errors
    /// It can't be written to its end.
    pub(in crate::commands::query) fn finish(&mut self) -> Result<(), CommandError> {
        self.file.take().map_or(Ok(()), OutFile::finish)
    }
}

fn problem(error: ShowError) -> Problem {
    Problem::Other(match error {
        ShowError::Query(error) => return Problem::Statement(error),
        ShowError::Unwritable(message) => CommandError::Failed { message },
        ShowError::NoChart(NoChart { message, help }) => {
            CommandError::Usage { message, help: Some(help) }
        }
        ShowError::Write(error) => CommandError::Output(error),
    })
}
