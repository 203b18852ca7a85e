//! Catalogs, schemas, tables.

use std::collections::{BTreeSet, HashMap};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use arrow_flight::error::Result;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables,
};

use crate::catalog::seen::CATALOG;
use crate::catalog::shown::{ShownCatalog, ShownColumn, ShownTable};
use crate::flight::plain::plain;

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";
/// The key of a column's comment in its metadata.
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";

pub(super) fn catalogs(command: CommandGetCatalogs) -> Result<RecordBatch> {
    let mut rows = command.into_builder();
    rows.append(CATALOG);
    rows.build()
}

pub(super) fn schemas(command: CommandGetDbSchemas, shown: &ShownCatalog) -> Result<RecordBatch> {
    let mut rows = command.into_builder();
    for schema in &shown.schemas {
        rows.append(&shown.database, &schema.name);
    }
    rows.build()
}

pub(super) fn tables(mut command: CommandGetTables, shown: &ShownCatalog) -> Result<RecordBatch> {
    // The builder looks at all tables for each type, however often it is named.
    let types: BTreeSet<String> = std::mem::take(&mut command.table_types)
        .into_iter()
        .map(|of| if [TABLE, VIEW].contains(&of.as_str()) { of } else { String::new() })
        .collect();
    command.table_types = types.into_iter().collect();
    let mut rows = command.into_builder();
    for schema in &shown.schemas {
        for table in &schema.tables {
            let of = type_of(table);
            rows.append(&shown.database, &schema.name, &table.name, of, &columns(table))?;
        }
    }
    rows.build()
}

pub(super) fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut rows = command.into_builder();
    rows.append(TABLE);
    rows.append(VIEW);
    rows.build()
}

fn type_of(table: &ShownTable) -> &'static str {
    if table.is_view { VIEW } else { TABLE }
}

/// A table's columns with their comments.
fn columns(table: &ShownTable) -> Schema {
    let fields: Vec<Field> = table.columns.iter().map(field).collect();
    plain(&Schema::new(fields)).as_ref().clone()
}

fn field(column: &ShownColumn) -> Field {
    let about = column.about.iter().map(|about| (REMARKS.to_owned(), about.clone()));
    let metadata: HashMap<String, String> = about.collect();
    column.field.as_ref().clone().with_metadata(metadata)
}
