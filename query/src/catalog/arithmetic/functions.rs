//! Functions that have another meaning in DataFusion, and the length of intervals.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{
    DataType, FieldRef, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::field;
use super::floats::is_comparison;

const MONTH_DAYS: i128 = 30;
const DAY_NANOSECONDS: i128 = 86_400_000_000_000;

/// What is computed of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// `round` of a float: halves go to even numbers.
    Round,
    /// `length` of bytes.
    Bytes,
    /// The nanoseconds of an interval, of which a month has 30 days.
    Span,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Own {
    kind: Kind,
    signature: Signature,
}

fn call(kind: Kind, of: Expr) -> Expr {
    static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
        [Kind::Round, Kind::Bytes, Kind::Span].map(|kind| {
            let signature = Signature::any(1, Volatility::Immutable);
            Arc::new(ScalarUDF::new_from_impl(Own { kind, signature }))
        })
    });
    let at = match kind {
        Kind::Round => 0,
        Kind::Bytes => 1,
        Kind::Span => 2,
    };
    FUNCTIONS[at].call(vec![of])
}

/// A function of values for which PostgreSQL has another one of that name.
pub(super) fn of_values(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let [value] = args.as_slice() else { return Ok(Transformed::no(expr)) };
    let kind = match (func.name(), value.get_type(schema)) {
        ("round", Ok(of)) if of.is_floating() => Kind::Round,
        (
            "length" | "character_length",
            Ok(DataType::Binary | DataType::LargeBinary | DataType::BinaryView),
        ) => Kind::Bytes,
        _ => return Ok(Transformed::no(expr)),
    };
    Ok(Transformed::yes(call(kind, value.clone())))
}

/// A comparison of intervals, by how long they are. Arrow compares months before days.
pub(super) fn of_intervals(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let is_interval = |of: &Expr| {
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        of.get_type(schema).is_ok_and(|of| of == interval)
    };
    if !is_comparison(*op) || !is_interval(left) || !is_interval(right) {
        return Ok(Transformed::no(expr));
    }
    let span = |of: &Expr| Box::new(call(Kind::Span, of.clone()));
    let spans = BinaryExpr::new(span(left), *op, span(right));
    Ok(Transformed::yes(Expr::BinaryExpr(spans)))
}

impl ScalarUDFImpl for Own {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Round => "round_to_even",
            Kind::Bytes => "bytes_length",
            Kind::Span => "interval_span",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Round => DataType::Float64,
            Kind::Bytes => DataType::Int32,
            Kind::Span => DataType::Decimal128(38, 0),
        })
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(field::of(self.name(), self.return_type(&[])?, &arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values] = arguments.args.as_slice() else {
            return plan_err!("function {} takes one value", self.name());
        };
        let scalar = matches!(values, ColumnarValue::Scalar(_));
        let values = values.to_array(if scalar { 1 } else { arguments.number_rows })?;
        let results: ArrayRef = match self.kind {
            Kind::Round => {
                let floats = cast(&values, &DataType::Float64)?;
                let floats = floats.as_primitive::<Float64Type>();
                Arc::new(floats.unary::<_, Float64Type>(f64::round_ties_even))
            }
            Kind::Bytes => {
                let bytes = cast(&values, &DataType::Binary)?;
                length(&bytes)?
            }
            Kind::Span => {
                let spans = values.as_primitive::<IntervalMonthDayNanoType>().iter();
                let spans: Decimal128Array = spans.map(|span| span.map(nanoseconds)).collect();
                Arc::new(spans.with_precision_and_scale(38, 0)?)
            }
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&results, 0)?)),
            false => Ok(ColumnarValue::Array(results)),
        }
    }
}

fn nanoseconds(span: IntervalMonthDayNano) -> i128 {
    let days = i128::from(span.months) * MONTH_DAYS + i128::from(span.days);
    days * DAY_NANOSECONDS + i128::from(span.nanoseconds)
}
