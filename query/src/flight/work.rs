//! What is to be run, and who can stop it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use tonic::{Code, Status};

use super::placeholders::numbered;
use super::running::Running;
use super::status::{invalid, status, with_state};
use crate::service::{SqlState, Statement, Stopped, parse};

/// A statement with the values of its parameters.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) statement: Arc<Statement>,
    /// For each of these rows the statement runs once. Without parameters it is one row without
    /// values.
    pub(super) values: Arc<Vec<Vec<ScalarValue>>>,
    /// The transaction whose moment it sees.
    pub(super) transaction: Option<Bytes>,
}

/// What a ticket stands for. It may be asked for again: then it runs again.
#[derive(Debug)]
pub(super) struct Ticketed {
    pub(super) work: Work,
    /// The columns that the client was told.
    pub(super) schema: SchemaRef,
    answers: Mutex<Vec<Weak<Running>>>,
}

/// The one statement of a text.
pub(super) fn statement(text: &str) -> Result<Arc<Statement>, Status> {
    let mut statements = parse(&numbered(text)).map_err(|error| status(&error))?;
    match (statements.pop(), statements.len()) {
        (Some(statement), 0) => Ok(Arc::new(statement)),
        (None, _) => {
            Err(with_state(Code::InvalidArgument, SqlState::SYNTAX, "the text holds no statement"))
        }
        (Some(_), more) => Err(with_state(
            Code::InvalidArgument,
            SqlState::SYNTAX,
            format!("the text holds {} statements: send them one by one", more + 1),
        )),
    }
}

/// A transaction that a client has named; none where it has named none.
fn named(transaction: Option<Bytes>) -> Option<Bytes> {
    transaction.filter(|transaction| !transaction.is_empty())
}

impl Work {
    /// A statement without parameters.
    pub(super) fn new(text: &str, transaction: Option<Bytes>) -> Result<Self, Status> {
        Ok(Self {
            statement: statement(text)?,
            values: Arc::new(vec![Vec::new()]),
            transaction: named(transaction),
        })
    }

    /// The values with which it runs at first.
    pub(super) fn first_values(&self) -> Result<&[ScalarValue], Status> {
        let first = self.values.first().map(Vec::as_slice);
        first.ok_or_else(|| invalid("no values were bound to the statement's parameters"))
    }
}

impl Ticketed {
    pub(super) fn new(work: Work, schema: SchemaRef) -> Self {
        Self { work, schema, answers: Mutex::default() }
    }

    /// Notes an answer, so that it can be stopped.
    pub(super) fn answered_by(&self, running: &Arc<Running>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| answer.strong_count() > 0);
        answers.push(Arc::downgrade(running));
    }

    /// Stops its answers; whether there is anything that could have gone on.
    pub(super) fn stop(&self) -> bool {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let was_asked_for = !answers.is_empty();
        let running: Vec<_> = answers.iter().filter_map(Weak::upgrade).collect();
        running.iter().for_each(|running| running.stop(Stopped::Cancelled));
        !was_asked_for || running.iter().any(|running| !running.has_ended())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_statement() {
        for (text, is_one) in [
            ("select 1", true),
            ("select 1;", true),
            ("-- ping\nselect ?", true),
            ("", false),
            (" ; -- nothing\n", false),
            ("select 1; select 2", false),
            ("selec 1", false),
        ] {
            let found = statement(text);
            assert_eq!(found.is_ok(), is_one, "{text}");
            if let Err(status) = found {
                assert_eq!(status.code(), Code::InvalidArgument);
            }
        }
    }

    #[test]
    fn a_ticket_stops_what_goes_on() {
        let ticketed = |text| {
            let work = Work::new(text, Some(Bytes::new())).unwrap();
            assert_eq!(work.transaction, None);
            Ticketed::new(work, Arc::new(arrow::datatypes::Schema::empty()))
        };
        assert!(ticketed("select 1").stop(), "nobody has begun");
        let one = ticketed("select 1");
        let [ended, going] = [(), ()].map(|()| Arc::new(Running::default()));
        one.answered_by(&ended);
        ended.end();
        assert!(!one.stop(), "it has ended");
        one.answered_by(&going);
        let cancel = going.next().unwrap();
        assert!(one.stop());
        assert_eq!(cancel.why(), Some(Stopped::Cancelled));
        drop((ended, going));
        assert!(!one.stop());
    }
}
