//! The columns of a result, as clients are told of them.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, RowDescription};

use super::error::Problem;
use super::values::encoder::Encoder;
use super::values::settings::{Format, ValueSettings};
use super::values::types::{PgColumn, pg_column};
use super::wire::check_formats;
use crate::catalog::postgres::column_name;

/// Columns with the names and types that a client sees.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Columns {
    schema: SchemaRef,
    types: Vec<PgColumn>,
}

impl Columns {
    /// The columns of a schema, with the names that the client wrote.
    pub(super) fn new(schema: &Schema) -> Result<Self, Problem> {
        let fields = schema.fields().iter();
        let fields = fields.map(|field| {
            let name = column_name(field.name()).replace('\0', "");
            field.as_ref().clone().with_name(name)
        });
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let types = schema.fields().iter().map(|field| pg_column(field));
        let types = types.collect::<Result<_, _>>()?;
        Ok(Self { schema: schema.into(), types })
    }

    /// Columns of text with these names.
    pub(super) fn texts(names: &[&str]) -> Result<Self, Problem> {
        let fields = names.iter().map(|name| Field::new(*name, DataType::Utf8, true));
        Self::new(&Schema::new(fields.collect::<Vec<_>>()))
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether a client that was told of these can read the others.
    pub(super) fn are_alike(&self, others: &Self) -> bool {
        let oids = |columns: &Self| {
            columns.types.iter().map(|column| column.postgres.oid).collect::<Vec<_>>()
        };
        oids(self) == oids(others)
    }

    /// The message for the client.
    pub(super) fn message(&self, formats: &[i16]) -> PgWireBackendMessage {
        let columns = self.schema.fields().iter().zip(&self.types).enumerate();
        let fields = columns.map(|(index, (field, column))| {
            let code = i16::from(format_of(formats, index) == Format::Binary);
            let PgColumn { postgres, typmod, .. } = *column;
            let name = field.name().clone();
            FieldDescription::new(name, 0, 0, postgres.oid, postgres.length, typmod, code)
        });
        PgWireBackendMessage::RowDescription(RowDescription::new(fields.collect()))
    }

    /// Whether formats are for so many columns.
    pub(super) fn check_count(&self, formats: &[i16]) -> Result<(), Problem> {
        let (given, columns) = (formats.len(), self.len());
        if given > 1 && given != columns {
            let text =
                format!("bind message has {given} result formats but query has {columns} columns");
            return Err(Problem::protocol(text));
        }
        Ok(())
    }

    /// What writes the rows.
    pub(super) fn encoders(
        &self,
        formats: &[i16],
        settings: &ValueSettings,
    ) -> Result<Vec<Encoder>, Problem> {
        self.check_count(formats)?;
        check_formats(formats)?;
        let fields = self.schema.fields().iter().enumerate();
        let encoders =
            fields.map(|(index, field)| Encoder::new(field, format_of(formats, index), settings));
        Ok(encoders.collect::<Result<_, _>>()?)
    }
}

/// The format of a column: none given means text, and one is for all.
pub(super) fn format_of(formats: &[i16], index: usize) -> Format {
    match formats {
        [] => Format::Text,
        [one] => form(*one),
        several => form(several.get(index).copied().unwrap_or_default()),
    }
}

fn form(code: i16) -> Format {
    if code == 1 { Format::Binary } else { Format::Text }
}
