//! The aggregate `newest(value, revision)`: of the rows of a group, the value of the one with the
//! greatest revision.
//!
//! A table has few rows for each key and many keys, which is why neither a window nor
//! `first_value(… order by …)` will do: the one works group by group, the other goes through all
//! groups for each batch of rows. Here a batch costs a comparison of two integers for each of its
//! rows. Values stay in the batches in which they came; once most of these are values that a newer
//! one has replaced, those that count are copied out of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature,
    TypeSignature, Volatility,
};

/// Rows are held in vain up to so many times as there are groups, and this many more.
const REPLACED_MAX: usize = 2;
const REPLACED_MIN: usize = 65_536;

/// The value of the row with the greatest revision, an `int64`; of equal ones the first that came,
/// for each value the same. A revision that is null counts as the least.
pub(crate) fn newest(value: Expr, revision: Expr) -> Expr {
    AggregateUDF::from(Newest::new()).call(vec![value, revision])
}

/// The aggregate's name, which nobody can write: it is not registered.
pub(crate) const NEWEST: &str = "newest";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Newest {
    signature: Signature,
}

impl Newest {
    fn new() -> Self {
        Self { signature: Signature::new(TypeSignature::Any(2), Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Newest {
    fn name(&self) -> &str {
        NEWEST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    /// The value's own field, with what it says beside its type.
    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        match fields.first() {
            Some(value) => Ok(Arc::new(value.as_ref().clone().with_name(self.name()))),
            None => internal_err!("newest() has no argument"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let named = |name| format_state_name(args.name, name);
        let value = Field::new(named("value"), args.return_type().clone(), true);
        let revision = Field::new(named("revision"), DataType::Int64, true);
        Ok(vec![Arc::new(value), Arc::new(revision)])
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(args.return_field.data_type())))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One(Groups::new(args.return_field.data_type()))))
    }
}

/// Where the newest value of a group is, and its revision.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The number of the batch, and of the row in it.
    batch: u32,
    row: u32,
    revision: i64,
}

/// A group without a row: what stands first among the batches is a null.
const NOWHERE: Place = Place { batch: 0, row: 0, revision: NO_REVISION };
const NO_REVISION: i64 = i64::MIN;

#[derive(Debug)]
struct Groups {
    /// A null, then values as they came.
    batches: Vec<ArrayRef>,
    /// Rows in these, and their bytes.
    rows: usize,
    bytes: usize,
    /// By group.
    places: Vec<Place>,
}

impl Groups {
    fn new(data_type: &DataType) -> Self {
        let null = new_null_array(data_type, 1);
        Self { batches: vec![null], rows: 0, bytes: 0, places: Vec::new() }
    }

    /// Takes rows whose `filter`, if there is one, is true.
    fn take(
        &mut self,
        values: &ArrayRef,
        revisions: &Int64Array,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_count: usize,
    ) -> Result<()> {
        self.places.resize(groups_count.max(self.places.len()), NOWHERE);
        let batch = u32::try_from(self.batches.len()).map_err(too_many)?;
        let mut is_used = false;
        for (index, group) in groups.iter().enumerate() {
            if filter.is_some_and(|filter| filter.is_null(index) || !filter.value(index)) {
                continue;
            }
            let revision = match revisions.is_valid(index) {
                true => revisions.value(index),
                false => NO_REVISION,
            };
            let place = &mut self.places[*group];
            if place.batch == NOWHERE.batch || revision > place.revision {
                let row = u32::try_from(index).map_err(too_many)?;
                *place = Place { batch, row, revision };
                is_used = true;
            }
        }
        if is_used {
            self.rows += values.len();
            self.bytes += values.get_array_memory_size();
            self.batches.push(Arc::clone(values));
        }
        if self.rows > REPLACED_MAX * self.places.len() + REPLACED_MIN {
            let values = self.values(&self.places)?;
            self.restart(values)?;
        }
        Ok(())
    }

    /// The values at some places, in their order.
    fn values(&self, places: &[Place]) -> Result<ArrayRef> {
        let batches: Vec<&dyn Array> = self.batches.iter().map(AsRef::as_ref).collect();
        let at = |place: &Place| (place.batch as usize, place.row as usize);
        let at: Vec<(usize, usize)> = places.iter().map(at).collect();
        Ok(interleave(&batches, &at)?)
    }

    /// Forgets all batches but `values`, which are those of the groups in their order.
    fn restart(&mut self, values: ArrayRef) -> Result<()> {
        self.batches.truncate(1);
        (self.rows, self.bytes) = (values.len(), values.get_array_memory_size());
        self.batches.push(values);
        for (group, place) in self.places.iter_mut().enumerate() {
            if place.batch != NOWHERE.batch {
                (place.batch, place.row) = (1, u32::try_from(group).map_err(too_many)?);
            }
        }
        Ok(())
    }

    /// The values and revisions of groups that are not asked for again.
    fn emit(&mut self, emit_to: EmitTo) -> Result<(ArrayRef, Int64Array)> {
        let emitted = emit_to.take_needed(&mut self.places);
        let values = self.values(&emitted)?;
        let revisions = Int64Array::from_iter_values(emitted.iter().map(|place| place.revision));
        if self.places.is_empty() {
            self.batches.truncate(1);
            (self.rows, self.bytes) = (0, 0);
        } else if self.rows > REPLACED_MAX * self.places.len() + REPLACED_MIN {
            let left = self.values(&self.places)?;
            self.restart(left)?;
        }
        Ok((values, revisions))
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let revisions = values[1].as_primitive::<Int64Type>();
        self.take(&values[0], revisions, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.emit(emit_to).map(|(values, _)| values)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (values, revisions) = self.emit(emit_to)?;
        Ok(vec![values, Arc::new(revisions)])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let Some(filter) = opt_filter else { return Ok(values.to_vec()) };
        // A row that is left out is as a group without rows.
        let left_out = BooleanArray::from_iter(
            (0..filter.len()).map(|row| Some(filter.is_null(row) || !filter.value(row))),
        );
        let nulled = |values: &ArrayRef| arrow::compute::nullif(values.as_ref(), &left_out);
        Ok(values.iter().map(nulled).collect::<Result<_, _>>()?)
    }

    fn size(&self) -> usize {
        self.bytes
            + self.places.capacity() * size_of::<Place>()
            + self.batches.capacity() * size_of::<ArrayRef>()
    }
}

fn too_many(_: std::num::TryFromIntError) -> DataFusionError {
    DataFusionError::ResourcesExhausted("more groups or batches than can be numbered".to_owned())
}

/// All rows as one group.
#[derive(Debug)]
struct One(Groups);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; values[0].len()];
        self.0.update_batch(values, &groups, None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let place = self.0.places.first().copied().unwrap_or(NOWHERE);
        ScalarValue::try_from_array(&self.0.values(&[place])?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let place = self.0.places.first().copied().unwrap_or(NOWHERE);
        let revision = ScalarValue::from(place.revision);
        Ok(vec![self.evaluate()?, revision])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.size()
    }
}

#[cfg(test)]
mod tests;
