//! Which rows pass a rule, column by column.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::record_batch::RecordBatchOptions;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::logical_expr::Expr;

use super::super::rule::{Condition, TableRule};
use super::asked::Asked;
use super::masks::Mask;

/// Values up to which a list is looked through instead of a set.
const LIST_MAX: usize = 8;

/// A rule made ready for the batches of one scan.
#[derive(Debug)]
pub(super) struct Screen {
    /// The columns of the table that the scan reads: those shown first, then those that only the
    /// rule looks at, or the statement's filters.
    columns: Vec<usize>,
    /// What the statement asks of the rows that are seen.
    asked: Option<Asked>,
    /// Of each grant: places in `columns`, and what must be there. None of them: all rows pass.
    grants: Vec<Vec<(usize, Values)>>,
    leaves_out_rows: bool,
    /// The masks of the shown columns.
    masks: Vec<Option<ColumnMask>>,
    /// What comes out.
    schema: SchemaRef,
}

#[derive(Debug)]
struct ColumnMask {
    mask: Mask,
    /// The grants in whose rows the column is shown as it is.
    shown_by: Vec<usize>,
}

impl Screen {
    /// The rule for a scan that shows these columns of a table.
    pub(super) fn new(rule: &TableRule, schema: &Schema, shown: &[usize]) -> Result<Self> {
        let mut columns = shown.to_vec();
        let mut grants = Vec::new();
        for grant in &rule.grants {
            let mut conditions = Vec::new();
            for condition in &grant.conditions {
                conditions.push(match schema.column_with_name(&condition.column) {
                    Some((index, field)) => {
                        let place = columns.iter().position(|column| *column == index);
                        let place = place.unwrap_or_else(|| {
                            columns.push(index);
                            columns.len() - 1
                        });
                        (place, Values::new(condition, field.data_type()))
                    }
                    // Without the column nothing passes; any place will do.
                    None => (0, Values::None),
                });
            }
            grants.push(conditions);
        }
        let masked = rule.masked();
        let masks = shown
            .iter()
            .map(|index| {
                let found = masked.get(schema.field(*index).name().as_str())?;
                let mask = Mask::new(found.kind, rule.mask_key.as_ref());
                Some(ColumnMask { mask, shown_by: found.shown_by.clone() })
            })
            .collect();
        Ok(Self {
            columns,
            asked: None,
            grants,
            leaves_out_rows: rule.leaves_out_rows(),
            masks,
            schema: Arc::new(schema.project(shown)?),
        })
    }

    /// With filters of the statement, which can't fail, of a table with these columns.
    pub(super) fn asked(
        mut self,
        filters: &[Expr],
        state: &dyn Session,
        schema: &Schema,
    ) -> Result<Self> {
        self.asked = Asked::new(filters, state, schema, &mut self.columns)?;
        Ok(self)
    }

    /// The columns of the table that it needs, in this order.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The columns that it gives.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a batch that the user sees, as the user sees them.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut passes: BTreeMap<usize, BooleanBuffer> = BTreeMap::new();
        let shown_by = self.masks.iter().flatten().flat_map(|mask| &mask.shown_by).copied();
        let all = if self.leaves_out_rows { 0..self.grants.len() } else { 0..0 };
        for grant in all.chain(shown_by) {
            passes.entry(grant).or_insert_with(|| self.pass(grant, batch));
        }
        let shown = self.masks.len().min(batch.num_columns());
        // The filters of the statement may look at more.
        let looked_at = if self.asked.is_some() { batch.num_columns() } else { shown };
        let mut columns = batch.columns()[..looked_at].to_vec();
        let mut count = rows;
        if self.leaves_out_rows {
            let seen = BooleanArray::new(union(rows, passes.values()), None);
            count = keep(&seen, &mut columns, &mut passes)?;
        }
        if let Some(asked) = &self.asked {
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            let seen =
                RecordBatch::try_new_with_options(batch.schema(), columns.clone(), &options)?;
            let found = asked.find(&seen)?;
            columns.truncate(shown);
            count = keep(&found, &mut columns, &mut passes)?;
        }
        for (column, mask) in columns.iter_mut().zip(&self.masks) {
            let Some(ColumnMask { mask, shown_by }) = mask else { continue };
            let shown = union(count, shown_by.iter().filter_map(|grant| passes.get(grant)));
            *column = mask.apply(column, &shown)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// The rows that a grant lets pass.
    fn pass(&self, grant: usize, batch: &RecordBatch) -> BooleanBuffer {
        let rows = batch.num_rows();
        let mut passed = BooleanBuffer::new_set(rows);
        for (place, values) in self.grants.get(grant).into_iter().flatten() {
            let found = match batch.columns().get(*place) {
                Some(column) => values.find(column),
                None => BooleanBuffer::new_unset(rows),
            };
            passed = &passed & &found;
        }
        passed
    }
}

/// Leaves of columns, and of what the grants let pass, the rows that are `kept`; gives how many.
fn keep(
    kept: &BooleanArray,
    columns: &mut [ArrayRef],
    passes: &mut BTreeMap<usize, BooleanBuffer>,
) -> Result<usize> {
    let count = kept.true_count();
    if count < kept.len() {
        for column in columns {
            *column = filter(column, kept)?;
        }
        for pass in passes.values_mut() {
            let left = filter(&BooleanArray::new(pass.clone(), None), kept)?;
            *pass = left.as_boolean().values().clone();
        }
    }
    Ok(count)
}

fn union<'a>(rows: usize, passes: impl Iterator<Item = &'a BooleanBuffer>) -> BooleanBuffer {
    passes.fold(BooleanBuffer::new_unset(rows), |all, pass| &all | pass)
}

/// The values that a column may have.
#[derive(Debug)]
enum Values {
    None,
    Texts(Vec<String>),
    ManyTexts(HashSet<String>),
    Integers(Vec<i128>),
}

impl Values {
    fn new(condition: &Condition, data_type: &DataType) -> Self {
        let data_type = match data_type {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        if data_type.is_integer() {
            let mut integers: Vec<i128> =
                condition.values.iter().filter_map(|text| text.parse().ok()).collect();
            integers.sort_unstable();
            Self::Integers(integers)
        } else if condition.values.len() <= LIST_MAX {
            Self::Texts(condition.values.clone())
        } else {
            Self::ManyTexts(condition.values.iter().cloned().collect())
        }
    }

    /// The rows whose value is one of them. A row without a value is none.
    fn find(&self, column: &ArrayRef) -> BooleanBuffer {
        let found = match column.data_type() {
            DataType::Dictionary(..) => self.find_in_dictionary(column),
            DataType::Int8 => self.find_integers::<Int8Type>(column),
            DataType::Int16 => self.find_integers::<Int16Type>(column),
            DataType::Int32 => self.find_integers::<Int32Type>(column),
            DataType::Int64 => self.find_integers::<Int64Type>(column),
            DataType::UInt8 => self.find_integers::<UInt8Type>(column),
            DataType::UInt16 => self.find_integers::<UInt16Type>(column),
            DataType::UInt32 => self.find_integers::<UInt32Type>(column),
            DataType::UInt64 => self.find_integers::<UInt64Type>(column),
            DataType::Utf8 => column.as_string_opt::<i32>().map(|texts| {
                BooleanBuffer::collect_bool(texts.len(), |row| self.has(texts.value(row)))
            }),
            DataType::LargeUtf8 => column.as_string_opt::<i64>().map(|texts| {
                BooleanBuffer::collect_bool(texts.len(), |row| self.has(texts.value(row)))
            }),
            DataType::Utf8View => column.as_string_view_opt().map(|texts| {
                BooleanBuffer::collect_bool(texts.len(), |row| self.has(texts.value(row)))
            }),
            _ => None,
        };
        let found = found.unwrap_or_else(|| BooleanBuffer::new_unset(column.len()));
        match column.logical_nulls() {
            Some(nulls) => &found & nulls.inner(),
            None => found,
        }
    }

    fn has(&self, text: &str) -> bool {
        match self {
            Self::Texts(texts) => texts.iter().any(|known| known == text),
            Self::ManyTexts(texts) => texts.contains(text),
            Self::None | Self::Integers(_) => false,
        }
    }

    fn find_integers<T>(&self, column: &ArrayRef) -> Option<BooleanBuffer>
    where
        T: ArrowPrimitiveType,
        T::Native: TryFrom<i128> + Ord,
    {
        let Self::Integers(wanted) = self else { return None };
        let wanted: Vec<T::Native> =
            wanted.iter().filter_map(|value| T::Native::try_from(*value).ok()).collect();
        let values = column.as_primitive_opt::<T>()?.values();
        let few = wanted.len() <= LIST_MAX;
        Some(BooleanBuffer::collect_bool(values.len(), |row| match few {
            true => wanted.contains(&values[row]),
            false => wanted.binary_search(&values[row]).is_ok(),
        }))
    }

    fn find_in_dictionary(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        let dictionary = column.as_any_dictionary_opt()?;
        let found = self.find(dictionary.values());
        if found.is_empty() {
            return None;
        }
        let keys = dictionary.normalized_keys();
        Some(BooleanBuffer::collect_bool(keys.len(), |row| found.value(keys[row])))
    }
}
