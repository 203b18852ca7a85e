//! Adds or replaces columns by SQL expressions.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, Output, is_system_column};
use riskstream_engine::ids::Epoch;

use crate::dead_rows::{DeadRows, REASON_COMPUTE, isolate};
use crate::expression::{CompiledExpression, Compiler, EvaluationError};
use crate::stateless::Stateless;
use crate::step_error::StepError;

/// `derive = { NAME = "SQL", ... }`: columns computed in order, each seeing the ones before it. A
/// new name is appended, a known one is replaced where it stands. A row for which an expression
/// fails (overflow, division by zero, a cast that can't be done) becomes a dead letter with reason
/// `compute`; the others go on.
///
/// Values are stored as types that every Delta reader has: timestamps as UTC microseconds, text as
/// Utf8, unsigned integers as the next wider signed type.
#[derive(Debug)]
pub struct DeriveOperator {
    step: String,
    input: SchemaRef,
    output: SchemaRef,
    columns: Vec<Column>,
    dead: DeadRows,
}

#[derive(Debug)]
struct Column {
    name: String,
    expression: CompiledExpression,
    /// Its place in `schema`; equal to the number of columns before it when it is new.
    at: usize,
    /// All columns up to and with this one.
    schema: SchemaRef,
}

impl DeriveOperator {
    /// A step that computes `columns`, pairs of name and expression, from rows of `schema`.
    ///
    /// # Errors
    /// When an expression can't be compiled ([`StepError::Expression`] says which), has a type that
    /// tables can't hold, or a column belongs to the engine.
    pub fn new<N: AsRef<str>, E: AsRef<str>>(
        step_id: &str,
        columns: &[(N, E)],
        schema: SchemaRef,
    ) -> Result<Self, StepError> {
        let mut output = SchemaRef::clone(&schema);
        let mut compiled = Vec::with_capacity(columns.len());
        for (index, (name, sql)) in columns.iter().enumerate() {
            let column = Column::new(index, name.as_ref(), sql.as_ref(), &output)?;
            output = SchemaRef::clone(&column.schema);
            compiled.push(column);
        }
        Ok(Self {
            step: step_id.to_owned(),
            dead: DeadRows::new(step_id, &schema),
            input: schema,
            output,
            columns: compiled,
        })
    }

    /// Names the event time column for dead letters.
    ///
    /// # Errors
    /// When it is not there or not a timestamp in microseconds.
    pub fn with_event_time(mut self, column: &str) -> Result<Self, StepError> {
        self.dead.set_event_time(column, &self.input)?;
        Ok(self)
    }

    fn apply(&mut self, batch: RecordBatch, out: &mut Output) -> Result<(), ArrowError> {
        if let Ok(derived) = derive(&self.columns, &batch) {
            out.push(derived);
            return Ok(());
        }
        let isolated = isolate(&batch, |rows| derive(&self.columns, rows));
        self.dead.push(&batch, &isolated.bad, REASON_COMPUTE)?;
        self.dead.flush(out);
        let good: Vec<RecordBatch> =
            isolated.good.into_iter().map(|(_, derived)| derived).collect();
        out.push(concat_batches(&self.output, &good)?);
        Ok(())
    }
}

impl Column {
    fn new(index: usize, name: &str, sql: &str, input: &SchemaRef) -> Result<Self, StepError> {
        if is_system_column(name) {
            return Err(StepError::SystemColumn { column: name.to_owned() });
        }
        let expression = Compiler::shared()
            .compile(sql, input)
            .map_err(|source| StepError::Expression { index, source })?;
        let data_type =
            storage_type(expression.data_type()).map_err(|advice| StepError::ColumnType {
                column: name.to_owned(),
                found: expression.data_type().clone(),
                advice,
            })?;
        let expression = expression.stored_as(data_type.clone());
        let mut fields: Vec<_> = input.fields().iter().cloned().collect();
        let at = input.index_of(name).unwrap_or(fields.len());
        // Always nullable: the table's schema must not hang on how well a planner infers.
        let field = Arc::new(Field::new(name, data_type, true));
        match fields.get_mut(at) {
            Some(replaced) => *replaced = field,
            None => fields.push(field),
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, input.metadata().clone()));
        Ok(Self { name: name.to_owned(), expression, at, schema })
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<RecordBatch, EvaluationError> {
        let named = |reason: &dyn std::fmt::Display| {
            EvaluationError::new(format!("{}: {reason}", self.name))
        };
        let values = self.expression.evaluate(batch).map_err(|e| named(&e))?;
        let mut columns = batch.columns().to_vec();
        match columns.get_mut(self.at) {
            Some(replaced) => *replaced = values,
            None => columns.push(values),
        }
        RecordBatch::try_new(SchemaRef::clone(&self.schema), columns).map_err(|e| named(&e))
    }
}

fn derive(columns: &[Column], batch: &RecordBatch) -> Result<RecordBatch, EvaluationError> {
    columns.iter().try_fold(batch.clone(), |rows, column| column.evaluate(&rows))
}

/// The type in which tables hold values of `data_type`, or what to do instead.
fn storage_type(data_type: &DataType) -> Result<DataType, &'static str> {
    Ok(match data_type {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => storage_type(values)?,
        plain @ (DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(_, _)) => plain.clone(),
        DataType::Null => return Err("give the null a type: cast(null as bigint)"),
        DataType::Interval(_) | DataType::Duration(_) => {
            return Err(
                "take the difference in seconds: date_part('epoch', a) - date_part('epoch', b)",
            );
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            return Err("take the part that you need: date_part('hour', ...)");
        }
        DataType::Decimal256(_, _) => return Err("cast it to a decimal of at most 38 digits"),
        _ => return Err("make one column per value"),
    })
}

impl Stateless for DeriveOperator {
    fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.output)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.apply(batch, out)
            .map_err(|source| OperatorError::Arrow { step: self.step.clone(), source })
    }
}

#[cfg(test)]
mod tests;
