//! Errors of the core as PostgreSQL tells them.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use super::error::Problem;
use crate::error::QueryError;
use crate::service::SqlState;

/// What PostgreSQL says behind a function or operator that is not there.
const NO_MATCH: &str = "No function or operator matches the given name and argument types. You \
                        might need to add explicit type casts.";

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let code = error.sql_state().0;
        let position = error.position();
        let text = error.postgres_text();
        let problem = match &error {
            QueryError::UnknownTable { name, help } => {
                Self::error(code, format!("relation \"{name}\" does not exist")).with_hint(help)
            }
            QueryError::UnknownColumn { name, help } => {
                Self::error(code, format!("column \"{name}\" does not exist")).with_hint(help)
            }
            QueryError::Syntax { .. }
            | QueryError::NotAQuery { .. }
            | QueryError::Stopped(_)
            | QueryError::Busy { .. }
            | QueryError::TooManyRows { .. }
            | QueryError::Behind { .. } => Self::error(code, error.to_string()),
            QueryError::Sql(inner) => match text {
                Some(text) => said(code, text, inner.find_root()),
                None => of_datafusion(code, inner),
            },
            QueryError::Format(inner) => match text {
                Some(text) => Self::error(code, text),
                None => of_arrow(code, inner),
            },
            // Their texts name files of this machine.
            QueryError::NoTables { .. }
            | QueryError::List { .. }
            | QueryError::Table(_)
            | QueryError::Store(_)
            | QueryError::Audit(_)
            | QueryError::Start(_) => hidden(code, &error),
        };
        Self { position, ..problem }
    }
}

/// PostgreSQL's text, with what else helps.
fn said(code: &'static str, text: String, root: &DataFusionError) -> Problem {
    let problem = Problem::error(code, text);
    match code {
        "42883" => problem.with_hint(NO_MATCH),
        // Only the machine of patterns knows what is wrong with one.
        "2201B" => problem.with_detail(first_line(&root.to_string())),
        _ => problem,
    }
}

/// An error whose text is not for clients.
fn hidden(code: &'static str, error: &dyn std::error::Error) -> Problem {
    tracing::error!(error = %error, code, "a statement of the PostgreSQL port failed");
    let message = match code {
        "58030" => "could not read the data of the tables",
        _ => "internal error",
    };
    Problem::error(code, message).with_hint("The log of the server says more.")
}

fn of_datafusion(code: &'static str, error: &DataFusionError) -> Problem {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => of_schema(code, schema),
        DataFusionError::Plan(said) if code == SqlState::UNKNOWN_FUNCTION.0 => {
            of_function(code, said)
        }
        DataFusionError::ResourcesExhausted(said) => {
            // How much is held, and by what, tells of others.
            tracing::info!(said, "a statement finds no memory");
            let detail = "The statement needs more memory than is left for it now.";
            Problem::error(code, "out of memory").with_detail(detail)
        }
        DataFusionError::ArrowError(inner, _) => of_arrow(code, inner),
        DataFusionError::Plan(said)
        | DataFusionError::NotImplemented(said)
        | DataFusionError::Execution(said)
        | DataFusionError::Configuration(said) => match code {
            "22012" => Problem::error(code, "division by zero"),
            _ => Problem::error(code, first_line(said)),
        },
        DataFusionError::SQL(inner, _) => Problem::error(code, inner.to_string()),
        root => hidden(code, root),
    }
}

/// DataFusion adds a trace of the place in its own source behind some texts.
fn first_line(said: &str) -> String {
    let said = said.split("\n\nbacktrace").next().unwrap_or(said);
    said.trim().to_owned()
}

fn of_schema(code: &'static str, error: &SchemaError) -> Problem {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let name = match &field.relation {
                Some(relation) => format!("{}.{}", relation.table(), field.name),
                None => format!("\"{}\"", field.name),
            };
            let names: Vec<&str> =
                valid_fields.iter().take(20).map(|column| column.name.as_str()).collect();
            let problem = Problem::error(code, format!("column {name} does not exist"));
            if names.is_empty() {
                problem
            } else {
                problem.with_hint(format!("Columns here are {}.", names.join(", ")))
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Problem::error(code, format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Problem::error(code, format!("column \"{name}\" specified more than once"))
        }
    }
}

/// DataFusion proposes a function that may be any of several that are as near.
fn of_function(code: &'static str, said: &str) -> Problem {
    let is_ours = said.starts_with("function ") || said.starts_with("operator ");
    match said.split('\'').nth(1).filter(|_| !is_ours) {
        Some(name) => {
            let problem = Problem::error(code, format!("function {name} does not exist"));
            let is_known = !said.starts_with("Invalid function");
            let problem = problem.with_hint(NO_MATCH);
            if is_known { problem.with_detail(first_line(said)) } else { problem }
        }
        None => Problem::error(code, first_line(said)).with_hint(NO_MATCH),
    }
}

fn of_arrow(code: &'static str, error: &ArrowError) -> Problem {
    match error {
        ArrowError::DivideByZero => Problem::error(code, "division by zero"),
        ArrowError::CastError(said) | ArrowError::ParseError(said) => {
            Problem::error(code, first_line(said))
        }
        ArrowError::ArithmeticOverflow(said) => {
            Problem::error(code, "value out of range").with_detail(first_line(said))
        }
        ArrowError::InvalidArgumentError(said) | ArrowError::ComputeError(said) => {
            Problem::error(code, first_line(said))
        }
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => of_datafusion(code, inner),
            None => hidden(code, error),
        },
        _ => hidden(code, error),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::stopped::Stopped;

    #[test]
    fn texts_begin_as_those_of_postgres_do() {
        for (error, code, text) in [
            (
                QueryError::UnknownTable { name: "t".into(), help: "h".into() },
                "42P01",
                "relation \"t\" does not exist",
            ),
            (
                QueryError::Format(ArrowError::CastError(
                    "Cannot cast string 'a' to value of Int64 type".into(),
                )),
                "22P02",
                "invalid input syntax for type bigint: \"a\"",
            ),
            (DataFusionError::from(ArrowError::DivideByZero).into(), "22012", "division by zero"),
            (
                QueryError::Stopped(Stopped::TimedOut),
                "57014",
                "canceling statement due to statement timeout",
            ),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.code, problem.message.as_str()), (code, text));
        }
    }

    #[test]
    fn paths_are_not_told() {
        let location = PathBuf::from("/secret/place");
        let source = std::io::Error::other("/secret/place is gone");
        for error in [
            QueryError::NoTables { location: location.clone() },
            QueryError::List { location, source },
            DataFusionError::IoError(std::io::Error::other("/secret/x")).into(),
        ] {
            let told = format!("{:?}", Problem::from(error).message());
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
