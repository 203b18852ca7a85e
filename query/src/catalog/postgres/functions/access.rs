//! Sizes, and where things are kept.

use datafusion::common::Result;
use datafusion::logical_expr::Volatility::{Immutable, Stable};

use super::super::known::Relation;
use super::call::{Body, Definition, Row};
use super::context::FunctionContext;
use super::definitions::relation_oid;

pub(super) const DEFINITIONS: &[Definition] = &[
    size("pg_relation_size", &["O", "OT"], bytes),
    size("pg_total_relation_size", &["O"], bytes),
    size("pg_table_size", &["O"], bytes),
    size("pg_indexes_size", &["O"], |_, row| Ok(row.int(0).map(|_| 0))),
    size("pg_tablespace_size", &["O"], all_bytes),
    size("pg_database_size", &["O"], all_bytes),
    size("pg_column_size", &["A"], |_, row| Ok(i64::try_from(row.any(0)?.size()).ok())),
    size("pg_stat_get_numscans", &["O"], |_, row| Ok(row.int(0).map(|_| 0))),
    size("pg_stat_get_live_tuples", &["O"], |context, row| Ok(rows(context, row))),
    size("pg_relation_filenode", &["O"], |_, row| Ok(row.int(0))),
    Definition {
        name: "pg_tablespace_location",
        takes: &["O"],
        gives: "text",
        volatility: Stable,
        body: Body::Text(|_, row| Ok(row.int(0).map(|_| String::new()))),
    },
    Definition {
        name: "pg_relation_filepath",
        takes: &["O"],
        gives: "text",
        volatility: Stable,
        body: Body::Text(|_, _| Ok(None)),
    },
    Definition {
        name: "pg_size_pretty",
        takes: &["F"],
        gives: "text",
        volatility: Immutable,
        body: Body::Text(|_, row| Ok(row.float(0).map(pretty))),
    },
];

const fn size(
    name: &'static str,
    takes: &'static [&'static str],
    body: fn(&FunctionContext, Row<'_>) -> Result<Option<i64>>,
) -> Definition {
    Definition { name, takes, gives: "int8", volatility: Stable, body: Body::Int(body) }
}

fn shown<'a>(
    context: &'a FunctionContext,
    row: Row<'_>,
) -> Option<&'a crate::catalog::shown::ShownTable> {
    match context.known.relation(relation_oid(context, row)?)? {
        Relation::Table(table) => Some(context.known.shown_table(table)),
        Relation::Index(..) | Relation::System(_) => None,
    }
}

/// The bytes of a table; 0 where they are not known.
fn bytes(context: &FunctionContext, row: Row<'_>) -> Result<Option<i64>> {
    if row.int(0).is_none() && row.text(0).is_none() {
        return Ok(None);
    }
    let bytes = shown(context, row).and_then(|table| table.bytes).unwrap_or_default();
    Ok(i64::try_from(bytes).ok())
}

fn rows(context: &FunctionContext, row: Row<'_>) -> Option<i64> {
    let rows = shown(context, row).and_then(|table| table.rows).unwrap_or_default();
    i64::try_from(rows).ok()
}

/// The bytes of all tables that the user may see.
fn all_bytes(context: &FunctionContext, _row: Row<'_>) -> Result<Option<i64>> {
    let schemas = context.known.shown.schemas.iter();
    let bytes: u64 =
        schemas.flat_map(|schema| &schema.tables).filter_map(|table| table.bytes).sum();
    Ok(i64::try_from(bytes).ok())
}

/// A number of bytes as people read it: PostgreSQL changes the unit at ten thousand.
fn pretty(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["bytes", "kB", "MB", "GB", "TB"] {
        if value.abs() < 10_240.0 {
            return format!("{:.0} {unit}", value.round());
        }
        value /= 1024.0;
    }
    format!("{:.0} PB", value.round())
}
