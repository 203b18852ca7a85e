//! What a table is: its name, folder, columns and partitioning; and which schema changes are
//! allowed.
//!
//! A table keeps to the part of Delta that every reader knows (reader 1, writer 2): no unsigned
//! integers, no timestamps without a zone, decimals of at most 38 digits. All columns are nullable
//! in the log, so that a column can be added later. The partition column is derived from the event
//! time, and lives in the path and the log, not in the files.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use deltalake_core::kernel::StructType;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use riskstream_engine::disk::Folder;

use crate::error::SinkError;

/// How rows are divided into folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionRule {
    /// By the UTC date of an event-time column.
    EventDate {
        /// The event-time column, a timestamp in UTC microseconds.
        time_column: String,
        /// The derived column, `event_date` by custom; not among the table's row columns.
        partition_column: String,
    },
}

impl PartitionRule {
    /// By the UTC date of `time_column`, as `event_date`.
    pub fn event_date(time_column: impl Into<String>) -> Self {
        Self::EventDate { time_column: time_column.into(), partition_column: "event_date".into() }
    }

    /// The derived column's name.
    pub fn partition_column(&self) -> &str {
        match self {
            Self::EventDate { partition_column, .. } => partition_column,
        }
    }
}

/// One table that a pipeline writes.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The name, for messages and queries.
    pub name: String,
    /// The table's folder.
    pub location: Folder,
    /// The columns of the rows that are staged, without the partition column.
    pub schema: SchemaRef,
    /// How rows are divided into folders, or `None` for one folder.
    pub partition: Option<PartitionRule>,
}

impl TableSpec {
    /// A checked table.
    ///
    /// # Errors
    /// A column type that Delta readers do not share, two columns with the same name, or a
    /// partition rule that does not fit.
    pub fn new(
        name: impl Into<String>,
        location: impl Into<Folder>,
        schema: SchemaRef,
        partition: Option<PartitionRule>,
    ) -> Result<Self, SinkError> {
        let spec = Self { name: name.into(), location: location.into(), schema, partition };
        spec.check()?;
        Ok(spec)
    }

    /// The columns by which the table is partitioned.
    pub fn partition_by(&self) -> Vec<String> {
        self.partition.iter().map(|rule| rule.partition_column().to_owned()).collect()
    }

    /// The columns a reader sees: the row columns, nullable and without dictionaries, then the
    /// partition column.
    pub fn table_schema(&self) -> SchemaRef {
        let mut fields: Vec<FieldRef> = self
            .schema
            .fields()
            .iter()
            .map(|field| Arc::new(Field::new(field.name(), logical_type(field.data_type()), true)))
            .collect();
        if let Some(rule) = &self.partition {
            fields.push(Arc::new(Field::new(rule.partition_column(), DataType::Date32, true)));
        }
        Arc::new(Schema::new(fields))
    }

    /// The position of the event-time column by which rows are divided.
    pub(crate) fn time_column_index(&self) -> Result<Option<usize>, SinkError> {
        let Some(PartitionRule::EventDate { time_column, .. }) = &self.partition else {
            return Ok(None);
        };
        self.schema
            .fields()
            .iter()
            .position(|field| field.name() == time_column)
            .map(Some)
            .ok_or_else(|| SinkError::PartitionRule {
                table: self.name.clone(),
                problem: format!(
                    "the event-time column '{time_column}' is not among the columns ({})",
                    column_names(&self.schema)
                ),
            })
    }

    pub(crate) fn delta_schema(&self) -> Result<StructType, SinkError> {
        Ok(self.table_schema().as_ref().try_into_kernel()?)
    }

    fn check(&self) -> Result<(), SinkError> {
        for (index, field) in self.schema.fields().iter().enumerate() {
            if let Some(help) = unsupported(field.data_type()) {
                return Err(SinkError::UnsupportedColumn {
                    table: self.name.clone(),
                    column: field.name().clone(),
                    data_type: field.data_type().to_string(),
                    help: help.to_owned(),
                });
            }
            let alike = self.schema.fields()[..index]
                .iter()
                .find(|other| other.name().eq_ignore_ascii_case(field.name()));
            if let Some(first) = alike {
                return Err(SinkError::NamesAlike {
                    table: self.name.clone(),
                    first: first.name().clone(),
                    second: field.name().clone(),
                });
            }
        }
        let Some(time_index) = self.time_column_index()? else {
            return Ok(());
        };
        let time_field = self.schema.field(time_index);
        if !matches!(time_field.data_type(), DataType::Timestamp(TimeUnit::Microsecond, Some(_))) {
            return Err(SinkError::PartitionRule {
                table: self.name.clone(),
                problem: format!(
                    "the event-time column '{}' has type {}, it has to be a timestamp in UTC \
                     microseconds",
                    time_field.name(),
                    time_field.data_type()
                ),
            });
        }
        let partition_column = self.partition_by().concat();
        if self.schema.fields().iter().any(|f| f.name().eq_ignore_ascii_case(&partition_column)) {
            return Err(SinkError::PartitionRule {
                table: self.name.clone(),
                problem: format!(
                    "'{partition_column}' is the derived partition column, rename the row column \
                     of that name"
                ),
            });
        }
        Ok(())
    }
}

/// What has to happen to a table on disk before rows of `wanted` can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemaDecision {
    /// The schemas are the same.
    Same,
    /// These columns are to be added, nullable, before the first row.
    AddColumns(Vec<String>),
    /// Not possible without a new table: the difference and what to do.
    Refuse {
        /// The first difference.
        difference: String,
        /// What to do.
        help: String,
    },
}

/// Compares the table's columns with those wanted. Only new columns are allowed, since old files
/// then read as null there.
pub(crate) fn decide_schema(
    existing: &Schema,
    existing_partitions: &[String],
    wanted: &Schema,
    wanted_partitions: &[String],
) -> SchemaDecision {
    const NEW_TABLE: &str = "write to a new table name, or move the old table's folder away";
    if existing_partitions != wanted_partitions {
        return SchemaDecision::Refuse {
            difference: format!(
                "it is partitioned by ({}), the pipeline partitions by ({})",
                existing_partitions.join(", "),
                wanted_partitions.join(", ")
            ),
            help: NEW_TABLE.into(),
        };
    }
    for field in existing.fields() {
        if wanted.field_with_name(field.name()).is_err() {
            return SchemaDecision::Refuse {
                difference: format!("it has a column '{}' that the pipeline lacks", field.name()),
                help: format!("keep producing '{}', or {NEW_TABLE}", field.name()),
            };
        }
    }
    let mut added = Vec::new();
    for field in wanted.fields() {
        match existing.field_with_name(field.name()) {
            Ok(found) if logical_type(found.data_type()) == logical_type(field.data_type()) => {}
            Ok(found) => {
                return SchemaDecision::Refuse {
                    difference: format!(
                        "column '{}' is {} in the table and {} in the pipeline",
                        field.name(),
                        found.data_type(),
                        field.data_type()
                    ),
                    help: format!(
                        "cast '{}' to {} in the pipeline, or {NEW_TABLE}",
                        field.name(),
                        found.data_type()
                    ),
                };
            }
            Err(_) => added.push(field.name().clone()),
        }
    }
    if added.is_empty() { SchemaDecision::Same } else { SchemaDecision::AddColumns(added) }
}

/// The type a reader sees: dictionaries unpacked, string views as strings, the zone written as UTC.
pub(crate) fn logical_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => logical_type(value),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(field) | DataType::LargeList(field) => {
            DataType::List(Arc::new(Field::new("element", logical_type(field.data_type()), true)))
        }
        other => other.clone(),
    }
}

fn unsupported(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Date32 => None,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => {
            if *scale < 0 || i16::from(*scale) > i16::from(*precision) {
                Some("use a scale between 0 and the precision")
            } else {
                None
            }
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => {
            if matches!(zone.as_ref(), "UTC" | "+00:00" | "Etc/UTC" | "Z") {
                None
            } else {
                Some("convert it to UTC")
            }
        }
        DataType::Timestamp(..) => Some("use a timestamp in UTC microseconds"),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Some("cast it to int64"),
        DataType::UInt64 => Some("cast it to int64 or decimal(20,0)"),
        DataType::Dictionary(_, value) => unsupported(value),
        DataType::List(field) | DataType::LargeList(field) => unsupported(field.data_type()),
        _ => Some(
            "cast it to a boolean, integer, float, decimal(p,s), string, binary, date, timestamp \
             or a list of these",
        ),
    }
}

pub(crate) fn column_names(schema: &Schema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
        Arc::new(Schema::new(
            fields
                .iter()
                .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
                .collect::<Vec<_>>(),
        ))
    }

    fn utc() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }

    #[test]
    fn types_that_readers_do_not_share_are_refused_with_what_to_do() {
        for (data_type, help) in [
            (DataType::UInt64, "int64"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "UTC microseconds"),
            (DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), "UTC microseconds"),
            (DataType::Float16, "float"),
            (DataType::Decimal128(5, -2), "scale"),
        ] {
            let error = TableSpec::new("t", "t", schema(&[("a", data_type)]), None)
                .expect_err("an unsupported type");
            assert!(error.to_string().contains(help), "{error}");
            assert!(error.to_string().contains("'a'"), "{error}");
        }
    }

    #[test]
    fn the_event_date_comes_after_the_row_columns() {
        let spec = TableSpec::new(
            "t",
            "t",
            schema(&[("at", utc()), ("amount", DataType::Decimal128(12, 2))]),
            Some(PartitionRule::event_date("at")),
        )
        .expect("a valid table");
        assert_eq!(column_names(&spec.table_schema()), "at, amount, event_date");
        assert_eq!(spec.partition_by(), ["event_date"]);
    }

    #[test]
    fn a_partition_rule_that_does_not_fit_is_refused() {
        let rule = || Some(PartitionRule::event_date("at"));
        for columns in [
            schema(&[("amount", DataType::Int64)]),
            schema(&[("at", DataType::Int64)]),
            schema(&[("at", utc()), ("event_date", DataType::Date32)]),
        ] {
            assert!(TableSpec::new("t", "t", columns, rule()).is_err());
        }
        assert!(
            TableSpec::new(
                "t",
                "t",
                schema(&[("a", DataType::Int64), ("A", DataType::Int64)]),
                None
            )
            .is_err()
        );
    }

    #[test]
    fn only_new_columns_are_allowed() {
        let old = schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
        let more =
            schema(&[("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Float64)]);
        let fewer = schema(&[("a", DataType::Int64)]);
        let other = schema(&[("a", DataType::Utf8), ("b", DataType::Utf8)]);
        let none: [String; 0] = [];
        assert_eq!(decide_schema(&old, &none, &old, &none), SchemaDecision::Same);
        assert_eq!(
            decide_schema(&old, &none, &more, &none),
            SchemaDecision::AddColumns(vec!["c".into()])
        );
        for refused in [fewer, other] {
            assert!(matches!(
                decide_schema(&old, &none, &refused, &none),
                SchemaDecision::Refuse { .. }
            ));
        }
        assert!(matches!(
            decide_schema(&old, &["d".into()], &old, &none),
            SchemaDecision::Refuse { .. }
        ));
    }
}
