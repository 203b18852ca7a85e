//! What the log says of all files of a table, as columns: by these files are skipped.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, UInt64Array, new_null_array};
use arrow::compute::{SortOptions, concat, sort_to_indices, sum, take};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{
    Column, ColumnStatistics, Result, ScalarValue, Statistics, pruning::PruningStatistics,
};

use super::file_statistics::ColumnBounds;

/// The bounds of a file: its rows, and one entry for each column of the table.
#[derive(Debug, Clone)]
pub(super) struct FileBounds {
    /// Rows, if the log says.
    pub rows: Option<u64>,
    /// As [`Bounds`] has them: the files' own columns, then the partition columns.
    pub columns: Vec<ColumnBounds>,
}

/// The bounds of a table's files, one row for each file.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    schema: SchemaRef,
    by_name: Arc<HashMap<String, usize>>,
    rows: UInt64Array,
    columns: Vec<BoundColumn>,
}

#[derive(Debug, Clone)]
struct BoundColumn {
    min: ArrayRef,
    max: ArrayRef,
    nulls: UInt64Array,
}

impl Bounds {
    /// The bounds of these files, in their order.
    pub(super) fn new(schema: &SchemaRef, files: &[FileBounds]) -> Result<Self> {
        let columns = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| BoundColumn::new(field.data_type(), index, files))
            .collect::<Result<Vec<_>>>()?;
        let names = schema.fields().iter().enumerate();
        Ok(Self {
            schema: Arc::clone(schema),
            by_name: Arc::new(names.map(|(index, f)| (f.name().clone(), index)).collect()),
            rows: files.iter().map(|file| file.rows).collect(),
            columns,
        })
    }

    /// Of these files, in this order, the bounds; then those of `more` files.
    pub(super) fn kept_and(&self, kept: &UInt32Array, more: &[FileBounds]) -> Result<Self> {
        let more = Self::new(&self.schema, more)?;
        let columns = self
            .columns
            .iter()
            .zip(&more.columns)
            .map(|(old, new)| {
                Ok(BoundColumn {
                    min: joined(&old.min, kept, &new.min)?,
                    max: joined(&old.max, kept, &new.max)?,
                    nulls: counts(&joined(&old.nulls, kept, &new.nulls)?),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let rows = counts(&joined(&self.rows, kept, &more.rows)?);
        Ok(Self { rows, columns, ..more })
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows of a file, if the log says.
    pub(super) fn rows_of(&self, file: usize) -> Option<u64> {
        self.rows.is_valid(file).then(|| self.rows.value(file))
    }

    /// A column's least bounds: for a partition column, the files' values.
    pub(super) fn least(&self, column: usize) -> &ArrayRef {
        &self.columns[column].min
    }

    /// What the reader is told of a file. Bounds are exact, so that it can skip the file by a
    /// filter that comes up while it runs, but for two kinds: those of floats, and those that are
    /// equal, which would make a constant of the column. Only `columns` are looked at.
    pub(super) fn file_statistics(&self, file: usize, columns: &[usize]) -> Result<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        if let Some(rows) = self.rows_of(file).and_then(|rows| usize::try_from(rows).ok()) {
            statistics.num_rows = Precision::Exact(rows);
        }
        for &index in columns {
            let Some(column) = self.columns.get(index) else { continue };
            let known = &mut statistics.column_statistics[index];
            let min = bound(&column.min, file)?;
            let max = bound(&column.max, file)?;
            let exact = min != max && !column.min.data_type().is_floating();
            let precision = if exact { Precision::Exact } else { Precision::Inexact };
            known.min_value = min.map_or(Precision::Absent, precision);
            known.max_value = max.map_or(Precision::Absent, precision);
            known.null_count = count(&column.nulls, file);
        }
        Ok(statistics)
    }

    /// What the optimizer is told of these files together: exact counts, and bounds that it must
    /// not take for values. Only `columns` are looked at.
    pub(super) fn total(&self, files: &UInt32Array, columns: &[usize]) -> Result<Statistics> {
        let mut total = Statistics::new_unknown(&self.schema);
        total.num_rows = exact_sum(&self.rows, files)?;
        for &index in columns {
            let Some(column) = self.columns.get(index) else { continue };
            let nulls = exact_sum(&column.nulls, files)?;
            // A file that is known to hold nothing but nulls has no bounds and needs none.
            let min = take(&column.min, files, None)?;
            let max = take(&column.max, files, None)?;
            let all_known = (0..files.len()).all(|at| {
                let file = files.value(at) as usize;
                (min.is_valid(at) && max.is_valid(at)) || self.is_all_null(column, file)
            });
            let extreme = |values: &ArrayRef, descending: bool| -> Result<Precision<ScalarValue>> {
                let options = SortOptions { descending, nulls_first: false };
                let first = sort_to_indices(values, Some(options), Some(1))?;
                if !all_known || first.is_empty() {
                    return Ok(Precision::Absent);
                }
                let value = ScalarValue::try_from_array(values, first.value(0) as usize)?;
                Ok(if value.is_null() { Precision::Absent } else { Precision::Inexact(value) })
            };
            total.column_statistics[index] = ColumnStatistics {
                null_count: nulls,
                min_value: extreme(&min, false)?,
                max_value: extreme(&max, true)?,
                ..ColumnStatistics::new_unknown()
            };
        }
        Ok(total)
    }

    fn is_all_null(&self, column: &BoundColumn, file: usize) -> bool {
        column.nulls.is_valid(file)
            && self.rows.is_valid(file)
            && column.nulls.value(file) == self.rows.value(file)
    }

    fn column(&self, column: &Column) -> Option<&BoundColumn> {
        self.columns.get(*self.by_name.get(&column.name)?)
    }
}

impl BoundColumn {
    fn new(data_type: &DataType, index: usize, files: &[FileBounds]) -> Result<Self> {
        let side =
            |pick: fn(&ColumnBounds) -> &Option<ScalarValue>| -> Result<ArrayRef> {
                if files.iter().all(|file| pick(&file.columns[index]).is_none()) {
                    return Ok(new_null_array(data_type, files.len()));
                }
                let missing = ScalarValue::try_from(data_type)?;
                ScalarValue::iter_to_array(files.iter().map(|file| {
                    pick(&file.columns[index]).clone().unwrap_or_else(|| missing.clone())
                }))
            };
        Ok(Self {
            min: side(|column| &column.min)?,
            max: side(|column| &column.max)?,
            nulls: files.iter().map(|file| file.columns[index].nulls).collect(),
        })
    }
}

fn joined(old: &dyn Array, kept: &UInt32Array, new: &dyn Array) -> Result<ArrayRef> {
    let old = take(old, kept, None)?;
    Ok(concat(&[old.as_ref(), new])?)
}

fn counts(array: &ArrayRef) -> UInt64Array {
    UInt64Array::from(array.to_data())
}

fn bound(values: &ArrayRef, file: usize) -> Result<Option<ScalarValue>> {
    if values.is_null(file) {
        return Ok(None);
    }
    ScalarValue::try_from_array(values, file).map(Some)
}

fn count(values: &UInt64Array, file: usize) -> Precision<usize> {
    let known = values.is_valid(file).then(|| values.value(file));
    known.and_then(|count| usize::try_from(count).ok()).map_or(Precision::Absent, Precision::Exact)
}

fn exact_sum(values: &UInt64Array, files: &UInt32Array) -> Result<Precision<usize>> {
    let values = counts(&take(values, files, None)?);
    if values.null_count() > 0 {
        return Ok(Precision::Absent);
    }
    let total = usize::try_from(sum(&values).unwrap_or(0)).ok();
    Ok(total.map_or(Precision::Absent, Precision::Exact))
}

impl PruningStatistics for Bounds {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column).map(|column| Arc::clone(&column.min))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column).map(|column| Arc::clone(&column.max))
    }

    fn num_containers(&self) -> usize {
        self.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column).map(|column| Arc::new(column.nulls.clone()) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.clone()))
    }

    /// For lists too long to be compared one by one: no value of them lies within a file's bounds.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let column = self.column(column)?;
        let mut wanted: Vec<&ScalarValue> =
            values.iter().filter(|value| !value.is_null()).collect();
        if wanted.iter().any(|value| value.data_type() != *column.min.data_type()) {
            return None;
        }
        wanted.sort_by(|left, right| left.partial_cmp(right).unwrap_or(Ordering::Equal));
        let known = (0..self.len()).map(|file| {
            if self.is_all_null(column, file) {
                return Some(false);
            }
            let min = bound(&column.min, file).ok()??;
            let max = bound(&column.max, file).ok()??;
            let from = wanted.partition_point(|value| **value < min);
            let out_of_bounds = wanted.get(from).is_none_or(|value| **value > max);
            out_of_bounds.then_some(false)
        });
        Some(known.collect())
    }
}

/// The schema of bounds: a table's own columns, then its partition columns.
pub(super) fn table_schema(file_schema: &Schema, partitions: &Schema) -> SchemaRef {
    let fields = file_schema.fields().iter().chain(partitions.fields());
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}
