//! Keys: those that are declared, and no foreign ones.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::sql::CommandGetPrimaryKeys;

use crate::catalog::shown::{ShownCatalog, ShownTable};

fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let field =
        |(name, of, nullable): &(&str, DataType, bool)| Field::new(*name, of.clone(), *nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// A column of a key: its schema, its table, its name, its place from 1 on.
type KeyColumn<'a> = (&'a str, &'a ShownTable, &'a String, i32);

/// The columns of a table's key.
pub(super) fn primary(
    command: &CommandGetPrimaryKeys,
    shown: &ShownCatalog,
) -> Result<RecordBatch, ArrowError> {
    let is_asked =
        |asked: &Option<String>, name: &str| asked.as_ref().is_none_or(|asked| asked == name);
    let mut keys: Vec<(&str, &ShownTable)> = Vec::new();
    if is_asked(&command.catalog, &shown.database) {
        for schema in &shown.schemas {
            if is_asked(&command.db_schema, &schema.name) {
                let tables = schema.tables.iter().filter(|table| table.name == command.table);
                keys.extend(tables.map(|table| (schema.name.as_str(), table)));
            }
        }
    }
    keys.retain(|(_, table)| {
        let is_shown = |name: &String| table.columns.iter().any(|c| c.field.name() == name);
        table.key.iter().all(is_shown)
    });
    let columns: Vec<KeyColumn<'_>> = keys
        .iter()
        .flat_map(|&(schema, table)| {
            let columns = table.key.iter().zip(1_i32..);
            columns.map(move |(column, place)| (schema, table, column, place))
        })
        .collect();
    let texts = |of: &dyn Fn(&KeyColumn<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(columns.iter().map(of)))
    };
    RecordBatch::try_new(
        schema(&[
            ("catalog_name", DataType::Utf8, true),
            ("db_schema_name", DataType::Utf8, true),
            ("table_name", DataType::Utf8, false),
            ("column_name", DataType::Utf8, false),
            ("key_name", DataType::Utf8, true),
            ("key_sequence", DataType::Int32, false),
        ]),
        vec![
            texts(&|_| shown.database.clone()),
            texts(&|(schema, ..)| (*schema).to_owned()),
            texts(&|(_, table, ..)| table.name.clone()),
            texts(&|(_, _, column, _)| (*column).clone()),
            // As `pg_constraint` has it.
            texts(&|(_, table, ..)| format!("{}_pkey", table.name)),
            Arc::new(Int32Array::from_iter_values(columns.iter().map(|(.., place)| *place))),
        ],
    )
}

/// The foreign keys, of which there are none.
pub(super) fn foreign() -> RecordBatch {
    RecordBatch::new_empty(schema(&[
        ("pk_catalog_name", DataType::Utf8, true),
        ("pk_db_schema_name", DataType::Utf8, true),
        ("pk_table_name", DataType::Utf8, false),
        ("pk_column_name", DataType::Utf8, false),
        ("fk_catalog_name", DataType::Utf8, true),
        ("fk_db_schema_name", DataType::Utf8, true),
        ("fk_table_name", DataType::Utf8, false),
        ("fk_column_name", DataType::Utf8, false),
        ("key_sequence", DataType::Int32, false),
        ("fk_key_name", DataType::Utf8, true),
        ("pk_key_name", DataType::Utf8, true),
        ("update_rule", DataType::UInt8, false),
        ("delete_rule", DataType::UInt8, false),
    ]))
}
