//! Prepared statements: a statement, and the values that were bound to its parameters.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use tonic::Status;

use super::plain::plain_type;
use super::status::invalid;
use super::work::Work;
use crate::service::Statement;

/// A prepared statement. It is planned each time that it runs.
#[derive(Debug)]
pub(super) struct Prepared {
    statement: Arc<Statement>,
    transaction: Option<Bytes>,
    /// The types of its parameters, `$1` first.
    pub(super) types: Vec<DataType>,
    bound: Mutex<Option<Arc<Vec<Vec<ScalarValue>>>>>,
}

impl Prepared {
    pub(super) fn new(
        statement: Arc<Statement>,
        types: Vec<DataType>,
        transaction: Option<Bytes>,
    ) -> Self {
        Self { statement, transaction, types, bound: Mutex::default() }
    }

    /// Its parameters, as a client is told of them.
    pub(super) fn parameters(&self) -> Schema {
        let field = |(index, of): (usize, &DataType)| {
            Field::new(format!("${}", index + 1), plain_type(of), true)
        };
        Schema::new(self.types.iter().enumerate().map(field).collect::<Vec<_>>())
    }

    /// Binds values: for each row the statement runs once.
    pub(super) fn bind(&self, rows: Vec<Vec<ScalarValue>>) {
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(rows));
    }

    /// What it is to run with the values that are bound now.
    pub(super) fn work(&self) -> Result<Work, Status> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let values = match (self.types.len(), bound) {
            (0, _) => Arc::new(vec![Vec::new()]),
            (_, Some(bound)) => bound,
            (needed, None) => {
                return Err(invalid(format!(
                    "the statement has {needed} parameters: bind their values first"
                )));
            }
        };
        let (statement, transaction) = (Arc::clone(&self.statement), self.transaction.clone());
        Ok(Work { statement, values, transaction })
    }
}
