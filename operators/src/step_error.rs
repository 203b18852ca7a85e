//! Why a step can't be set up: the configuration names something that its input does not have or
//! can't do.

use arrow::datatypes::{DataType, Schema};
use riskstream_engine::key::can_be_key;

use crate::expression::{ExpressionError, hint, nearest};

/// A step that is not possible on its input. Raised while a pipeline is planned, never while rows
/// flow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StepError {
    /// An expression is refused.
    #[error("{source}")]
    Expression {
        /// Which of the step's expressions, from 0, in the order given.
        index: usize,
        /// Why.
        #[source]
        source: ExpressionError,
    },
    /// A value that a table can't hold.
    #[error("column `{column}` would be {found}, which a table can't hold; {advice}")]
    ColumnType {
        /// The new column.
        column: String,
        /// The expression's type.
        found: DataType,
        /// What to write instead.
        advice: &'static str,
    },
    /// The input has no such column.
    #[error("no column `{name}` at this step{}", hint(.suggestion.as_deref()))]
    UnknownColumn {
        /// The name as written.
        name: String,
        /// The column that was probably meant.
        suggestion: Option<String>,
    },
    /// The column is there but of a type that its role does not allow.
    #[error("column `{column}` is {found}, but {role}")]
    WrongType {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
        /// What it is for and which types are right.
        role: &'static str,
    },
    /// The step would add a column that is already there.
    #[error(
        "the step adds column `{column}`, but its input already has one of that name; name it \
         differently, or drop the other"
    )]
    ColumnExists {
        /// The column.
        column: String,
    },
    /// The engine's columns are not to be changed.
    #[error("column `{column}` belongs to the engine and can't be set; choose another name")]
    SystemColumn {
        /// The column.
        column: String,
    },
    /// A threshold that is not a score, or thresholds in the wrong order.
    #[error("{problem}")]
    Thresholds {
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The model reads what the input does not have.
    #[error(transparent)]
    Features(#[from] FeatureMismatch),
}

/// A model can't score the rows of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("model {model} can't score the rows of this step: {}", .problems.join("; "))]
pub struct FeatureMismatch {
    /// `name@version`.
    pub model: String,
    /// One sentence per feature that does not fit.
    pub problems: Vec<String>,
}

impl StepError {
    pub(crate) fn unknown_column(name: &str, schema: &Schema) -> Self {
        let suggestion = nearest(name, schema.fields().iter().map(|field| field.name().as_str()));
        Self::UnknownColumn { name: name.to_owned(), suggestion }
    }
}

/// The schema with `fields` appended; none of them may be there already.
pub(crate) fn append_columns(
    schema: &Schema,
    fields: impl IntoIterator<Item = arrow::datatypes::Field>,
) -> Result<Schema, StepError> {
    let mut all: Vec<_> = schema.fields().iter().cloned().collect();
    for field in fields {
        if riskstream_engine::contract::is_system_column(field.name()) {
            return Err(StepError::SystemColumn { column: field.name().clone() });
        }
        if all.iter().any(|known| known.name() == field.name()) {
            return Err(StepError::ColumnExists { column: field.name().clone() });
        }
        all.push(std::sync::Arc::new(field));
    }
    Ok(Schema::new_with_metadata(all, schema.metadata().clone()))
}

/// Whether columns can be a key.
pub(crate) fn check_key(columns: &[usize], input: &Schema) -> Result<(), StepError> {
    match columns.iter().map(|at| input.field(*at)).find(|field| !can_be_key(field.data_type())) {
        Some(field) => Err(StepError::WrongType {
            column: field.name().clone(),
            found: field.data_type().clone(),
            role: "a key is a number, a text, a time or a truth value",
        }),
        None => Ok(()),
    }
}
