//! The names that a session knows, for completion and for those who misspell them.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// The statement that gives them: schema, table, column.
pub(super) const STATEMENT: &str = "select table_schema, table_name, column_name from \
    information_schema.columns where table_schema in ('public', 'system') order by 1, 2, \
    ordinal_position";
/// The schema whose tables need no schema in front.
pub(super) const PUBLIC: &str = "public";

/// A table and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::query) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<String>,
}

/// Tables by schema and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::commands::query) struct Names {
    pub(super) tables: Vec<Table>,
}

impl Names {
    /// The names in the rows of [`STATEMENT`].
    ///
    /// # Errors
    /// The rows are of another form.
    pub(super) fn of(batches: &[RecordBatch]) -> Result<Self, ArrowError> {
        let mut names = Self::default();
        for batch in batches {
            let texts = batch.columns().iter().map(|array| cast(array, &DataType::Utf8));
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            let [schemas, tables, columns] = texts.as_slice() else {
                return Err(ArrowError::SchemaError("three columns were expected".to_owned()));
            };
            let rows = schemas.as_string::<i32>().iter().zip(tables.as_string::<i32>());
            for ((schema, table), column) in rows.zip(columns.as_string::<i32>()) {
                let (Some(schema), Some(table), Some(column)) = (schema, table, column) else {
                    continue;
                };
                names.add(schema, table, column);
            }
        }
        Ok(names)
    }

    /// One more column; the columns of a table come one after the other.
    pub(super) fn add(&mut self, schema: &str, table: &str, column: &str) {
        match self.tables.last_mut() {
            Some(last) if last.schema == schema && last.name == table => {
                last.columns.push(column.to_owned());
            }
            Some(_) | None => self.tables.push(Table {
                schema: schema.to_owned(),
                name: table.to_owned(),
                columns: vec![column.to_owned()],
            }),
        }
    }

    /// The tables of a name, which may have its schema in front.
    pub(super) fn tables_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Table> {
        let (schema, name) = name.rsplit_once('.').unwrap_or((PUBLIC, name));
        self.tables.iter().filter(move |table| {
            table.schema.eq_ignore_ascii_case(schema) && table.name.eq_ignore_ascii_case(name)
        })
    }

    /// Schemas, each once.
    pub(super) fn schemas(&self) -> Vec<&str> {
        let mut schemas: Vec<&str> =
            self.tables.iter().map(|table| table.schema.as_str()).collect();
        schemas.dedup();
        schemas
    }
}
