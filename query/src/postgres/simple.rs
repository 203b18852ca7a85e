//! The simple protocol: a text with any number of statements, and text for values.

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::connection::Connection;
use super::error::{Halt, Step};
use super::portal::{Open, Source, Started};
use super::sql::{Action, parse_texts};
use super::transaction::Undo;

impl Connection {
    /// Runs the statements of a text until one fails. All are read before the first is run.
    pub(super) async fn simple(&mut self, text: &str) -> Step<()> {
        self.statements.remove("");
        self.portals.remove("");
        let before = self.before(text);
        let actions = self.noted(Some(before), parse_texts(text).map_err(Halt::from)).await?;
        if actions.is_empty() {
            let empty = EmptyQueryResponse::new();
            self.channel.put(&PgWireBackendMessage::EmptyQueryResponse(empty));
            return Ok(());
        }
        let undo = (!self.transaction.is_open()).then(|| Undo::to_now(&self.settings));
        self.is_implicit_block = actions.len() > 1;
        let ran = self.run_all(&actions).await;
        self.is_implicit_block = false;
        if let (true, Some(undo), false) = (ran.is_err(), undo, self.transaction.is_open()) {
            undo.undo(&self.settings);
        }
        ran
    }

    async fn run_all(&mut self, actions: &[(&str, Action)]) -> Step<()> {
        for (text, action) in actions {
            let before = self.before_run(text, action);
            let ran = self.run_one(action).await;
            self.noted(before, ran).await?;
            self.running(None);
        }
        Ok(())
    }

    async fn run_one(&mut self, action: &Action) -> Step<()> {
        match self.start(action, &[]).await? {
            Started::Done(tag) => self.complete(tag),
            Started::Rows(source, columns, tag) => {
                let formats = self.formats_of(&source);
                let encoders = columns.encoders(&formats, &self.value_settings())?;
                let described = columns.message(&formats);
                let mut open = Open { source, columns, encoders, tag };
                // An error before the first row comes without a description of rows.
                let ahead = self.look_ahead(&mut open.source).await;
                ahead.map_err(|halt| halt.map(|problem| action.placed(problem)))?;
                self.channel.put(&described);
                let (rows, _) = self.send(&mut open, None).await?;
                self.complete(tag.text(rows));
            }
        }
        Ok(())
    }

    /// Text, unless a cursor was declared BINARY.
    fn formats_of(&self, source: &Source) -> Vec<i16> {
        let binary = match source {
            Source::Own(_) => false,
            Source::Cursor { name, .. } => {
                self.portals.get(name).is_some_and(|cursor| cursor.binary)
            }
        };
        if binary { vec![1] } else { Vec::new() }
    }

    pub(super) fn complete(&mut self, tag: impl Into<String>) {
        let complete = CommandComplete::new(tag.into());
        self.channel.put(&PgWireBackendMessage::CommandComplete(complete));
    }
}
