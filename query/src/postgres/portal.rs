//! Statements with their values, and what of their rows a client has taken: portals and cursors.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::columns::Columns;
use super::error::Halt;
use super::rows::Supply;
use super::sql::Action;
use super::values::encoder::Encoder;

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    /// The type that the client knows it by.
    pub(super) oid: u32,
    /// The type that the statement needs.
    pub(super) needed: DataType,
}

/// What a statement takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) parameters: Vec<Parameter>,
    /// None: it gives no rows.
    pub(super) columns: Option<Arc<Columns>>,
}

/// A prepared statement, with a name or without.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) action: Action,
    /// As it is recorded.
    pub(super) text: Arc<str>,
    /// The types that the client gave to its parameters; 0 where it gave none.
    pub(super) types: Vec<u32>,
    /// Found out when it is asked for.
    pub(super) shape: OnceLock<Shape>,
}

impl Named {
    /// A statement that the client has written so.
    pub(super) fn written(text: &str, action: Action, types: Vec<u32>) -> Arc<Self> {
        Arc::new(Self { action, text: text.into(), types, shape: OnceLock::new() })
    }

    /// A statement that stands within another one.
    pub(super) fn new(action: Action, types: Vec<u32>) -> Arc<Self> {
        let text = action.query().map(|query| query.statement.text().to_owned());
        Self::written(&text.unwrap_or_default(), action, types)
    }
}

/// From where a portal's rows come.
#[derive(Debug)]
pub(super) enum Source {
    /// From a statement of its own.
    Own(Supply),
    /// From a cursor, so many at most.
    Cursor { name: String, left: Option<u64> },
}

/// What CommandComplete says behind rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Select,
    Fetch,
    Show,
    Explain,
}

impl Tag {
    pub(super) fn text(self, rows: u64) -> String {
        match self {
            Self::Select => format!("SELECT {rows}"),
            Self::Fetch => format!("FETCH {rows}"),
            Self::Show => "SHOW".to_owned(),
            Self::Explain => "EXPLAIN".to_owned(),
        }
    }
}

/// Rows that have begun.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) source: Source,
    pub(super) columns: Arc<Columns>,
    pub(super) encoders: Vec<Encoder>,
    pub(super) tag: Tag,
}

/// How far a portal is.
#[derive(Debug)]
pub(super) enum State {
    Ready,
    Open(Open),
    /// All rows were taken.
    Read(Tag),
    /// It has done what it does, and has no rows.
    Done,
}

/// A statement with its values.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) named: Arc<Named>,
    pub(super) values: Vec<ScalarValue>,
    /// The formats of its columns.
    pub(super) formats: Vec<i16>,
    pub(super) state: State,
    /// Whether it lives on after its transaction.
    pub(super) hold: bool,
    /// Whether its transaction has been committed.
    pub(super) kept: bool,
    /// Whether it was declared to give binary values.
    pub(super) binary: bool,
    /// Savepoints that were set when it began.
    pub(super) depth: usize,
    /// Rows that were taken.
    pub(super) position: u64,
}

impl Portal {
    pub(super) fn new(
        named: Arc<Named>,
        values: Vec<ScalarValue>,
        formats: Vec<i16>,
        depth: usize,
    ) -> Self {
        Self {
            named,
            values,
            formats,
            state: State::Ready,
            hold: false,
            kept: false,
            binary: false,
            depth,
            position: 0,
        }
    }
}

impl Portal {
    /// Its client does not ask for more rows now.
    pub(super) fn pause(&self) {
        if let State::Open(Open { source: Source::Own(supply), .. }) = &self.state {
            supply.pause();
        }
    }
}

/// What a statement that was begun gives.
#[derive(Debug)]
pub(super) enum Started {
    /// It is done: its tag.
    Done(String),
    /// It has rows.
    Rows(Source, Arc<Columns>, Tag),
}

impl Started {
    pub(super) fn done(tag: impl Into<String>) -> Result<Self, Halt> {
        Ok(Self::Done(tag.into()))
    }

    pub(super) fn own(supply: Supply, tag: Tag) -> Self {
        let columns = Arc::clone(supply.columns());
        Self::Rows(Source::Own(supply), columns, tag)
    }
}
