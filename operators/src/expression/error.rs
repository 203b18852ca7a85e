//! Why an expression is refused, or fails on a row; DataFusion's words made into ours, with the
//! place in the text.

use std::ops::Range;

use arrow::datatypes::{DataType, Schema};
use datafusion_common::utils::datafusion_strsim::levenshtein;
use datafusion_common::{DataFusionError, SchemaError};

use riskstream_expressions::place;

/// Aggregates that people expect to find in an expression.
const AGGREGATES: &[&str] = &[
    "avg",
    "count",
    "max",
    "mean",
    "median",
    "min",
    "stddev",
    "sum",
    "var",
    "first_value",
    "last_value",
    "lag",
    "lead",
    "row_number",
];

/// An expression that can't be used; [`Self::at`] says where in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// The text is not one SQL expression.
    #[error("not an SQL expression: {reason}")]
    Syntax {
        /// The parser's words.
        reason: String,
        /// Bytes of the expression that are meant.
        at: Option<Range<usize>>,
    },
    /// The rows have no such column.
    #[error("no column `{name}` at this step{}", hint(.suggestion.as_deref()))]
    UnknownColumn {
        /// The name as written.
        name: String,
        /// The column that was probably meant.
        suggestion: Option<String>,
        /// Bytes of the expression that are meant.
        at: Option<Range<usize>>,
    },
    /// There is no such function.
    #[error("no function `{name}`{}", hint(.suggestion.as_deref()))]
    UnknownFunction {
        /// The name as written.
        name: String,
        /// The function that was probably meant.
        suggestion: Option<String>,
        /// Bytes of the expression that are meant.
        at: Option<Range<usize>>,
    },
    /// An aggregate, where a value per row is needed.
    #[error(
        "`{name}` looks at many rows, but an expression sees one; compute it in a `features` step \
         and use its column here"
    )]
    Aggregate {
        /// The function.
        name: String,
        /// Bytes of the expression that are meant.
        at: Option<Range<usize>>,
    },
    /// A function whose value is not decided by the row.
    #[error(
        "`{function}` gives another value each time, so a replay would give other rows; use the \
         event time column or a column of the source"
    )]
    Impure {
        /// The function.
        function: String,
        /// Bytes of the expression that are meant.
        at: Option<Range<usize>>,
    },
    /// A condition is needed.
    #[error(
        "the expression is {found}, but a condition is needed: true, false or null; compare it \
         with something"
    )]
    NotACondition {
        /// The expression's type.
        found: DataType,
    },
    /// Types that don't go together, or anything else that planning refused.
    #[error("{reason}")]
    Type {
        /// DataFusion's words.
        reason: String,
    },
}

impl ExpressionError {
    /// The bytes of the expression that are meant, where that is known.
    #[must_use]
    pub fn at(&self) -> Option<Range<usize>> {
        match self {
            Self::Syntax { at, .. }
            | Self::UnknownColumn { at, .. }
            | Self::UnknownFunction { at, .. }
            | Self::Aggregate { at, .. }
            | Self::Impure { at, .. } => at.clone(),
            Self::NotACondition { .. } | Self::Type { .. } => None,
        }
    }
}

/// An expression failed on a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EvaluationError {
    reason: String,
}

impl EvaluationError {
    pub(crate) fn new(reason: String) -> Self {
        Self { reason }
    }

    /// What failed.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<&DataFusionError> for EvaluationError {
    fn from(error: &DataFusionError) -> Self {
        Self { reason: words(error) }
    }
}

pub(super) fn planning(error: &DataFusionError) -> ExpressionError {
    ExpressionError::Type { reason: words(error) }
}

pub(super) fn syntax(sql: &str, error: &DataFusionError) -> ExpressionError {
    let said = words(error);
    let (reason, at) = place::split_from_message(sql, &said);
    ExpressionError::Syntax { reason: reason.to_owned(), at }
}

pub(super) fn unknown_function<'a>(
    sql: &str,
    name: String,
    functions: impl Iterator<Item = &'a str>,
) -> ExpressionError {
    let at = place::of_call(sql, &name);
    if AGGREGATES.contains(&name.to_ascii_lowercase().as_str()) {
        return ExpressionError::Aggregate { name, at };
    }
    ExpressionError::UnknownFunction { suggestion: nearest(&name, functions), name, at }
}

/// A planning error that may be about a column.
pub(super) fn unresolved(sql: &str, error: &DataFusionError, schema: &Schema) -> ExpressionError {
    let root = innermost(error);
    let DataFusionError::SchemaError(schema_error, _) = root else {
        return planning(root);
    };
    match schema_error.as_ref() {
        SchemaError::FieldNotFound { field, .. } => {
            let name = field.name().to_owned();
            let suggestion = nearest(&name, schema.fields().iter().map(|f| f.name().as_str()));
            ExpressionError::UnknownColumn { at: place::of_word(sql, &name), suggestion, name }
        }
        _ => planning(root),
    }
}

/// The candidate that differs least from `name`, if it is near enough to have been meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted = name.to_lowercase();
    let within = (wanted.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (levenshtein(&candidate.to_lowercase(), &wanted), candidate))
        .filter(|(distance, _)| *distance <= within)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// `; did you mean ...?`, or nothing.
pub(crate) fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn innermost(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            innermost(inner)
        }
        DataFusionError::Shared(inner) => innermost(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, innermost),
        _ => error,
    }
}

/// The error's own message: without the kind in front, the backtrace, and the list of every
/// candidate behind.
fn words(error: &DataFusionError) -> String {
    let said = match innermost(error) {
        DataFusionError::Plan(said)
        | DataFusionError::Execution(said)
        | DataFusionError::NotImplemented(said)
        | DataFusionError::Internal(said) => said.clone(),
        DataFusionError::SQL(error, _) => error.to_string(),
        DataFusionError::ArrowError(error, _) => error.to_string(),
        other => other.strip_backtrace(),
    };
    let said = said.split("Candidate functions").next().unwrap_or_default();
    let said =
        said.split(datafusion_common::DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
    let said = said.strip_prefix("sql parser error: ").unwrap_or(said);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
