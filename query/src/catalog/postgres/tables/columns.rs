//! The columns of PostgreSQL's own tables, as PostgreSQL 16 has them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};

use crate::builtins::types::{TYPE_KEY, TypeRow, types};

/// A table or view of `pg_catalog` or `information_schema`.
#[derive(Debug)]
pub(crate) struct SystemTable {
    /// Its schema.
    pub(crate) schema: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it is a view.
    pub(crate) is_view: bool,
    /// Its number.
    pub(crate) oid: u32,
    /// Its columns.
    pub(crate) columns: Vec<SystemColumn>,
    /// Its columns in Arrow.
    pub(crate) arrow: SchemaRef,
}

/// A column of such a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemColumn {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its type.
    pub(crate) data: &'static TypeRow,
    /// Whether it is never null.
    pub(crate) not_null: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct SystemTables {
    /// In order of schema and name.
    pub(crate) all: Vec<SystemTable>,
    by_name: HashMap<&'static str, Vec<usize>>,
    by_oid: HashMap<u32, usize>,
}

impl SystemTables {
    /// A table by name.
    pub(crate) fn get(&self, schema: &str, name: &str) -> Option<&SystemTable> {
        let places = self.by_name.get(name)?;
        places.iter().filter_map(|at| self.all.get(*at)).find(|table| table.schema == schema)
    }

    /// A table by number.
    pub(crate) fn by_oid(&self, oid: u32) -> Option<&SystemTable> {
        self.by_oid.get(&oid).and_then(|at| self.all.get(*at))
    }
}

/// PostgreSQL's own tables.
pub(crate) fn system_tables() -> &'static SystemTables {
    static TABLES: OnceLock<SystemTables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let all: Vec<_> = include_str!("../lists/tables.txt").lines().filter_map(parse).collect();
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for (at, table) in all.iter().enumerate() {
            by_name.entry(table.name).or_default().push(at);
        }
        let by_oid = all.iter().enumerate().map(|(at, table)| (table.oid, at)).collect();
        SystemTables { all, by_name, by_oid }
    })
}

fn parse(line: &'static str) -> Option<SystemTable> {
    let mut words = line.split(' ');
    let (schema, name) = words.next()?.split_once('.')?;
    let is_view = words.next()? == "v";
    let oid = words.next()?.parse().ok()?;
    let columns: Vec<_> = words.map(column).collect::<Option<_>>()?;
    let fields: Vec<_> = columns.iter().map(field).collect();
    Some(SystemTable { schema, name, is_view, oid, columns, arrow: Arc::new(Schema::new(fields)) })
}

fn column(word: &'static str) -> Option<SystemColumn> {
    let (name, data) = word.split_once(':')?;
    let (data, not_null) = match data.strip_suffix('!') {
        Some(data) => (data, true),
        None => (data, false),
    };
    Some(SystemColumn { name, data: types().by_name(data)?, not_null })
}

fn field(column: &SystemColumn) -> Field {
    Field::new(column.name, arrow_type(column.data), !column.not_null)
        .with_metadata(HashMap::from([(TYPE_KEY.to_owned(), column.data.name.to_owned())]))
}

/// The Arrow type in which values of a PostgreSQL type are kept. An `oid` is a `UInt32`, as are the
/// types that are numbers and print as names.
pub(crate) fn arrow_type(data: &TypeRow) -> DataType {
    match data.name {
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" => DataType::Int64,
        "float4" => DataType::Float32,
        "float8" => DataType::Float64,
        "numeric" => DataType::Decimal128(38, 0),
        "oid" | "xid" | "cid" | "regproc" | "regtype" | "regclass" | "regnamespace" | "regrole" => {
            DataType::UInt32
        }
        "bytea" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "interval" => DataType::Interval(IntervalUnit::MonthDayNano),
        "int2vector" => DataType::new_list(DataType::Int16, true),
        "oidvector" => DataType::new_list(DataType::UInt32, true),
        _ => match types().by_oid(data.element).filter(|_| data.category == "A") {
            Some(element) => DataType::new_list(arrow_type(element), true),
            None => DataType::Utf8,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_the_file_is_read() {
        let tables = system_tables();
        assert_eq!(tables.all.len(), include_str!("../lists/tables.txt").lines().count());
        assert_eq!(tables.get("pg_catalog", "pg_class").map(|table| table.oid), Some(1259));
        assert!(tables.get("information_schema", "pg_class").is_none());
    }
}
