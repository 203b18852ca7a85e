//! `sum`, whose result holds any sum: of `bigint` it is a decimal, as in PostgreSQL.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, Volatility,
};

use super::decimal::DIGITS_256;

/// Digits of a decimal's type of which 10^10 values may be added in 128 bits.
const DIGITS_MAX: u8 = 28;

/// DataFusion's `sum` of wider numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    own: Arc<AggregateUDF>,
    signature: Signature,
}

pub(super) fn function() -> Arc<AggregateUDF> {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(Sum { own: sum_udaf(), signature }))
    });
    Arc::clone(&FUNCTION)
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.own.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [of] = arguments else {
            return plan_err!("function sum does not exist with {} arguments", arguments.len());
        };
        Ok(vec![match of {
            DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int32,
            DataType::UInt8 | DataType::UInt16 | DataType::Null => DataType::Int32,
            DataType::Int64 => DataType::Decimal128(19, 0),
            DataType::UInt32 | DataType::UInt64 => DataType::Decimal128(20, 0),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            DataType::Decimal128(precision, scale) if *precision > DIGITS_MAX => {
                DataType::Decimal256(*precision, *scale)
            }
            DataType::Decimal128(..) | DataType::Decimal256(..) => of.clone(),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
            DataType::Interval(_) | DataType::Duration(_) => of.clone(),
            other => return plan_err!("Function 'sum' does not take {other}"),
        }])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            // 2^32 rows can't make it overflow.
            [DataType::Int32] => Ok(DataType::Int64),
            [DataType::Decimal128(precision, scale)] => {
                Ok(DataType::Decimal128((*precision + 10).min(38), *scale))
            }
            [DataType::Decimal256(_, scale)] => Ok(DataType::Decimal256(DIGITS_256, *scale)),
            [other] => Ok(other.clone()),
            _ => plan_err!("function sum takes one argument"),
        }
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let is_narrow = is_narrow(&arguments);
        let inner = self.own.accumulator(arguments)?;
        if is_narrow { Ok(Box::new(Wide(inner))) } else { Ok(inner) }
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.own.state_fields(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        self.own.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let is_narrow = is_narrow(&arguments);
        let inner = self.own.create_groups_accumulator(arguments)?;
        if is_narrow { Ok(Box::new(Wide(inner))) } else { Ok(inner) }
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        let is_narrow = is_narrow(&arguments);
        let inner = self.own.create_sliding_accumulator(arguments)?;
        if is_narrow { Ok(Box::new(Wide(inner))) } else { Ok(inner) }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data: &DataType) -> SetMonotonicity {
        self.own.inner().set_monotonicity(data)
    }
}

/// Whether the values are of fewer bits than their sum.
fn is_narrow(arguments: &AccumulatorArgs<'_>) -> bool {
    arguments.expr_fields.iter().any(|field| field.data_type() == &DataType::Int32)
}

/// A sum of `bigint` of which the values are `integer`.
#[derive(Debug)]
struct Wide<S>(S);

fn widened(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    values.iter().map(|values| Ok(cast(values, &DataType::Int64)?)).collect()
}

impl Accumulator for Wide<Box<dyn Accumulator>> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&widened(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&widened(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
}

impl GroupsAccumulator for Wide<Box<dyn GroupsAccumulator>> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.0.update_batch(&widened(values)?, groups, filter, count)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.0.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.0.merge_batch(states, groups, count)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&widened(values)?, filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
