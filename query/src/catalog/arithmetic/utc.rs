//! Functions of the calendar and the clock, in UTC.
//!
//! DataFusion computes them for each value by the rules of its zone, which takes some twenty times
//! as long as without a zone. UTC has no rules: its calendar is that of a timestamp without a zone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

/// Whether a zone is UTC by its name.
pub(super) fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00")
}

/// `date_trunc` or `date_part`, faster for instants whose zone is UTC and otherwise the same.
pub(super) fn in_utc(function: &Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if function.inner().is::<InUtc>() {
        return Arc::clone(function);
    }
    Arc::new(ScalarUDF::from(InUtc { function: Arc::clone(function) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InUtc {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for InUtc {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Array(times)) = args.args.get(1) else {
            return self.function.invoke_with_args(args);
        };
        let DataType::Timestamp(unit, Some(zone)) = times.data_type() else {
            return self.function.invoke_with_args(args);
        };
        if !is_utc(zone) {
            return self.function.invoke_with_args(args);
        }
        let (with_zone, bare) = (times.data_type().clone(), DataType::Timestamp(*unit, None));
        args.args[1] = ColumnarValue::Array(as_type(times, bare.clone())?);
        if let Some(field) = args.arg_fields.get_mut(1) {
            *field = Arc::new(field.as_ref().clone().with_data_type(bare.clone()));
        }
        if *args.return_field.data_type() != with_zone {
            return self.function.invoke_with_args(args);
        }
        args.return_field = Arc::new(args.return_field.as_ref().clone().with_data_type(bare));
        match self.function.invoke_with_args(args)? {
            ColumnarValue::Array(times) => Ok(ColumnarValue::Array(as_type(&times, with_zone)?)),
            ColumnarValue::Scalar(time) => {
                let time = as_type(&time.to_array()?, with_zone)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&time, 0)?))
            }
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.function.simplify(args, info)
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.function.preimage(args, literal, info)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.function.evaluate_bounds(inputs)
    }

    fn propagate_constraints(
        &self,
        interval: &Interval,
        inputs: &[&Interval],
    ) -> Result<Option<Vec<Interval>>> {
        self.function.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.function.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// The same instants under another type of the same unit.
fn as_type(times: &ArrayRef, data_type: DataType) -> Result<ArrayRef> {
    Ok(make_array(times.to_data().into_builder().data_type(data_type).build()?))
}

#[cfg(test)]
mod tests;
