//! The rows of one table, column by column: only those that a query reads are made.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int16Array, Int16Builder, Int32Array, Int64Array,
    ListBuilder, RecordBatch, RecordBatchOptions, StringArray, StringBuilder, UInt32Array,
    UInt32Builder, new_null_array,
};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};

use super::columns::SystemTable;

/// The columns of a table while they are made. What nobody fills is null, or empty where the column
/// is never null.
pub(super) struct Rows<'a> {
    table: &'a SystemTable,
    wanted: Vec<usize>,
    columns: Vec<Option<ArrayRef>>,
    length: usize,
    unknown: Option<String>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(table: &'a SystemTable, wanted: Option<&Vec<usize>>) -> Self {
        let wanted = wanted.cloned().unwrap_or_else(|| (0..table.arrow.fields().len()).collect());
        let columns = vec![None; wanted.len()];
        Self { table, wanted, columns, length: 0, unknown: None }
    }

    /// How many rows there are: to be said before any column is filled.
    pub(super) fn length(&mut self, length: usize) -> &mut Self {
        self.length = length;
        self
    }

    fn put(&mut self, name: &str, make: impl FnOnce() -> ArrayRef) -> &mut Self {
        let Some(at) = self.table.columns.iter().position(|column| column.name == name) else {
            self.unknown = Some(name.to_owned());
            return self;
        };
        if let Some(place) = self.wanted.iter().position(|wanted| *wanted == at) {
            self.columns[place] = Some(make());
        }
        self
    }

    pub(super) fn texts<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = T>,
    ) -> &mut Self {
        self.put(name, || Arc::new(StringArray::from_iter_values(values)))
    }

    pub(super) fn texts_or_null<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Option<T>>,
    ) -> &mut Self {
        self.put(name, || Arc::new(values.collect::<StringArray>()))
    }

    pub(super) fn oids(&mut self, name: &str, values: impl Iterator<Item = u32>) -> &mut Self {
        self.put(name, || Arc::new(UInt32Array::from_iter_values(values)))
    }

    pub(super) fn int2s(&mut self, name: &str, values: impl Iterator<Item = i16>) -> &mut Self {
        self.put(name, || Arc::new(Int16Array::from_iter_values(values)))
    }

    pub(super) fn int4s(&mut self, name: &str, values: impl Iterator<Item = i32>) -> &mut Self {
        self.put(name, || Arc::new(Int32Array::from_iter_values(values)))
    }

    pub(super) fn int4s_or_null(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Option<i32>>,
    ) -> &mut Self {
        self.put(name, || Arc::new(values.collect::<Int32Array>()))
    }

    pub(super) fn int8s(&mut self, name: &str, values: impl Iterator<Item = i64>) -> &mut Self {
        self.put(name, || Arc::new(Int64Array::from_iter_values(values)))
    }

    pub(super) fn float4s(&mut self, name: &str, values: impl Iterator<Item = f32>) -> &mut Self {
        self.put(name, || Arc::new(Float32Array::from_iter_values(values)))
    }

    pub(super) fn bools(&mut self, name: &str, values: impl Iterator<Item = bool>) -> &mut Self {
        self.put(name, || Arc::new(values.map(Some).collect::<BooleanArray>()))
    }

    pub(super) fn int2_lists<T: AsRef<[i16]>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Option<T>>,
    ) -> &mut Self {
        self.put(name, || {
            let mut builder = ListBuilder::new(Int16Builder::new());
            for value in values {
                match value {
                    Some(value) => {
                        builder.values().append_slice(value.as_ref());
                        builder.append(true);
                    }
                    None => builder.append(false),
                }
            }
            Arc::new(builder.finish())
        })
    }

    pub(super) fn oid_lists<T: AsRef<[u32]>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = T>,
    ) -> &mut Self {
        self.put(name, || {
            let mut builder = ListBuilder::new(UInt32Builder::new());
            for value in values {
                builder.values().append_slice(value.as_ref());
                builder.append(true);
            }
            Arc::new(builder.finish())
        })
    }

    pub(super) fn text_lists<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Option<Vec<T>>>,
    ) -> &mut Self {
        self.put(name, || {
            let mut builder = ListBuilder::new(StringBuilder::new());
            for value in values {
                let there = value.is_some();
                for text in value.into_iter().flatten() {
                    builder.values().append_value(text);
                }
                builder.append(there);
            }
            Arc::new(builder.finish())
        })
    }

    /// The same value in every row.
    pub(super) fn all(&mut self, name: &str, value: impl Into<ScalarValue>) -> &mut Self {
        let length = self.length;
        let Some(at) = self.table.columns.iter().position(|column| column.name == name) else {
            self.unknown = Some(name.to_owned());
            return self;
        };
        let data = self.table.arrow.field(at).data_type().clone();
        self.put(name, || {
            let array = value.into().cast_to(&data).and_then(|v| v.to_array_of_size(length));
            array.unwrap_or_else(|_| new_null_array(&data, length))
        })
    }

    pub(super) fn finish(self) -> Result<RecordBatch> {
        if let Some(name) = self.unknown {
            return internal_err!("{} has no column {name}", self.table.name);
        }
        let mut fields = Vec::with_capacity(self.wanted.len());
        let mut columns = Vec::with_capacity(self.wanted.len());
        for (at, column) in self.wanted.iter().zip(self.columns) {
            let field = Arc::clone(&self.table.arrow.fields()[*at]);
            columns.push(match column {
                Some(column) => column,
                None if field.is_nullable() => new_null_array(field.data_type(), self.length),
                None => nothing(field.data_type())?.to_array_of_size(self.length)?,
            });
            fields.push(field);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.length));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(DataFusionError::from)
    }
}

/// What stands in a column that is never null and has nothing to say.
fn nothing(data: &DataType) -> Result<ScalarValue> {
    match data {
        DataType::List(_) => ScalarValue::new_default(data),
        DataType::Utf8 => Ok(ScalarValue::from("")),
        DataType::Binary => Ok(ScalarValue::Binary(Some(Vec::new()))),
        data => ScalarValue::new_zero(data),
    }
}
