//! Aggregates `WITHIN GROUP (ORDER BY …)` that give one of the values: `mode`, `percentile_disc`.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_comparator, new_empty_array};
use arrow::compute::{SortOptions, concat, filter, is_not_null, sort_to_indices};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Signature, Volatility,
};

use super::super::super::value_error::ValueError;

/// Which of the values is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Taken {
    /// The one that is there most often; of several the first.
    Mode,
    /// The first one that this part of all is not behind.
    Part(f64),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ordered {
    is_mode: bool,
    signature: Signature,
}

pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    let function = |is_mode| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(Ordered { is_mode, signature }))
    };
    vec![function(true), function(false)]
}

impl AggregateUDFImpl for Ordered {
    fn name(&self) -> &'static str {
        if self.is_mode { "mode" } else { "percentile_disc" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match (self.is_mode, arguments) {
            (true, [value]) => Ok(vec![value.clone()]),
            (false, [value, _]) => Ok(vec![value.clone(), DataType::Float64]),
            _ => plan_err!("WITHIN GROUP is required for ordered-set aggregate {}", self.name()),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(value) => Ok(value.clone()),
            None => plan_err!("WITHIN GROUP is required for {}", self.name()),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let values = Field::new_list_field(arguments.return_type().clone(), true);
        Ok(vec![Arc::new(Field::new_list(format!("{}[values]", arguments.name), values, true))])
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let taken = match arguments.exprs {
            [_, part] if !self.is_mode => {
                let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
                match part.evaluate(&nothing)? {
                    ColumnarValue::Scalar(ScalarValue::Float64(Some(part)))
                        if (0.0..=1.0).contains(&part) =>
                    {
                        Taken::Part(part)
                    }
                    ColumnarValue::Scalar(part) => {
                        let message = format!("percentile value {part} is not between 0 and 1");
                        return Err(ValueError::of("22003", message));
                    }
                    ColumnarValue::Array(_) => {
                        return plan_err!("percentile_disc takes one part for all rows");
                    }
                }
            }
            _ => Taken::Mode,
        };
        let descending = arguments.order_bys.first().is_some_and(|sort| sort.options.descending);
        let data = arguments.return_type().clone();
        Ok(Box::new(Values { taken, descending, data, values: Vec::new() }))
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

/// The values of a group.
#[derive(Debug)]
struct Values {
    taken: Taken,
    descending: bool,
    data: DataType,
    values: Vec<ArrayRef>,
}

impl Values {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        match values.null_count() {
            0 => self.values.push(Arc::clone(values)),
            _ => self.values.push(filter(values, &is_not_null(values)?)?),
        }
        Ok(())
    }

    fn all(&self) -> Result<ArrayRef> {
        let values: Vec<&dyn Array> = self.values.iter().map(AsRef::as_ref).collect();
        match values.is_empty() {
            true => Ok(new_empty_array(&self.data)),
            false => Ok(concat(&values)?),
        }
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |values| self.add(values))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|lists| lists.as_list_opt::<i32>()) else {
            return Ok(());
        };
        lists.iter().flatten().try_for_each(|values| self.add(&values))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = SingleRowListArrayBuilder::new(self.all()?).build_list_array();
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = self.all()?;
        if values.is_empty() {
            return ScalarValue::try_from(&self.data);
        }
        let options = SortOptions { descending: self.descending, nulls_first: false };
        let order = sort_to_indices(&values, Some(options), None)?;
        let place = |at: usize| usize::try_from(order.value(at)).unwrap_or_default();
        let at = match self.taken {
            Taken::Part(part) => {
                // A place between the first value and the last one.
                let at = (part * values.len() as f64).ceil().max(1.0) as usize;
                at.min(values.len()) - 1
            }
            Taken::Mode => {
                let compare = make_comparator(&values, &values, SortOptions::default())?;
                let (mut best, mut count, mut begin) = (0, 0, 0);
                for at in 0..values.len() {
                    if compare(place(begin), place(at)) != Ordering::Equal {
                        begin = at;
                    }
                    if at - begin + 1 > count {
                        (best, count) = (begin, at - begin + 1);
                    }
                }
                best
            }
        };
        ScalarValue::try_from_array(&values, place(at))
    }

    fn size(&self) -> usize {
        let values: usize = self.values.iter().map(|values| values.get_array_memory_size()).sum();
        size_of_val(self) + values
    }
}
