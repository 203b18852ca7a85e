//! `riskstream query`: SQL over the tables of a data folder.
//!
//! Prints the rows and nothing else, so that the answer can be piped on. Works beside a running
//! program.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use riskstream_query::service::{Cancel, User, parse};
use riskstream_query::{Catalog, QueryError, format_json, format_table, listing};

use super::{CommandError, load};
use crate::cli::{ConfigArgs, OutputFormat, QueryArgs};
use crate::config::Config;
use crate::plan::tables_location;
use crate::service::query_service;

/// Answers one query.
///
/// # Errors
/// An SQL statement that can't be understood or does not read, an unknown table or column, or a
/// table that can't be read.
pub fn query(args: &QueryArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&ConfigArgs::from(&args.config))?;
    let catalog = Catalog::open(tables_location(&config)).map_err(query_failed)?;
    let rows = if asks_for_tables(&args.sql) {
        vec![catalog.tables().and_then(|tables| listing(&tables)).map_err(query_failed)?]
    } else {
        answer(&config, &args.sql).map_err(query_failed)?
    };
    match args.output.format {
        OutputFormat::Json => {
            out.write_all(format_json(&rows).map_err(query_failed)?.as_bytes())?
        }
        OutputFormat::Text => writeln!(out, "{}", format_table(&rows).map_err(query_failed)?)?,
    }
    Ok(())
}

fn answer(config: &Config, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let statements = parse(sql)?;
    let [statement] = statements.as_slice() else {
        return Err(QueryError::Syntax {
            message: format!("one statement is asked for, this has {}", statements.len()),
            position: None,
        });
    };
    let service = query_service(config, None, None)?;
    let mut session = service.session(User::local("command line"));
    let cancel = Cancel::default();
    let mut answer = service.block_on(session.run(statement, &[], &cancel))?;
    let mut batches = Vec::new();
    while let Some(batch) = answer.next_blocking() {
        batches.push(batch?);
    }
    if batches.is_empty() {
        // An empty result still has columns to show.
        batches.push(RecordBatch::new_empty(Arc::clone(answer.schema())));
    }
    Ok(batches)
}

/// `show tables`, which the catalog answers itself: DataFusion knows only the tables that a query
/// names.
fn asks_for_tables(sql: &str) -> bool {
    let words: Vec<String> =
        sql.trim().trim_end_matches(';').split_whitespace().map(str::to_lowercase).collect();
    words == ["show", "tables"]
}

/// Makes a usage error of what the user can put right in the statement, and a failure of the rest.
pub(crate) fn query_failed(error: QueryError) -> CommandError {
    match error {
        QueryError::UnknownTable { name, help } => {
            CommandError::Usage { message: format!("there is no table `{name}`"), help: Some(help) }
        }
        QueryError::UnknownColumn { name, help } => CommandError::Usage {
            message: format!("there is no column `{name}`"),
            help: Some(help),
        },
        QueryError::NotAQuery { .. } | QueryError::Syntax { .. } => {
            CommandError::Usage { message: error.to_string(), help: None }
        }
        QueryError::Sql(ref sql)
            if matches!(
                sql.find_root(),
                DataFusionError::SQL(..)
                    | DataFusionError::Plan(_)
                    | DataFusionError::SchemaError(..)
            ) =>
        {
            CommandError::Usage {
                message: format!("the query can't be understood: {error}"),
                help: None,
            }
        }
        other @ (QueryError::NoTables { .. }
        | QueryError::List { .. }
        | QueryError::Table(_)
        | QueryError::Sql(_)
        | QueryError::Stopped(_)
        | QueryError::Busy { .. }
        | QueryError::TooManyRows { .. }
        | QueryError::Store(_)
        | QueryError::Behind { .. }
        | QueryError::Start(_)
        | QueryError::Audit(_)
        | QueryError::Format(_)) => super::failed(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn show_tables_is_known_in_any_case_and_spacing() {
        for sql in ["show tables", " SHOW  TABLES ;", "Show\ntables"] {
            assert!(asks_for_tables(sql), "{sql}");
        }
        assert!(!asks_for_tables("select 'show tables'"));
    }
}
