//! Operators whose result its type may not hold.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{ArrowPrimitiveType, DataType, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use super::super::value_error::ValueError;
use super::field;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Add, Self::Subtract, Self::Multiply, Self::Divide];

    fn name(self) -> &'static str {
        match self {
            Self::Add => "checked_add",
            Self::Subtract => "checked_subtract",
            Self::Multiply => "checked_multiply",
            Self::Divide => "checked_divide",
        }
    }

    fn compute(self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Add => numeric::add(left, right),
            Self::Subtract => numeric::sub(left, right),
            Self::Multiply => numeric::mul(left, right),
            Self::Divide => numeric::div(left, right),
        }
    }
}

/// An operator of two numbers of one type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Binary {
    operation: Operation,
    signature: Signature,
}

/// The call for an operator of two numbers of one type, if it is one that may overflow.
pub(super) fn binary(op: Operator, left: Expr, right: Expr) -> Option<Expr> {
    static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 4]> = LazyLock::new(|| {
        Operation::ALL.map(|operation| {
            let signature = Signature::any(2, Volatility::Immutable);
            Arc::new(ScalarUDF::new_from_impl(Binary { operation, signature }))
        })
    });
    let at = match op {
        Operator::Plus => 0,
        Operator::Minus => 1,
        Operator::Multiply => 2,
        Operator::Divide => 3,
        _ => return None,
    };
    FUNCTIONS.get(at).map(|function| function.call(vec![left, right]))
}

/// The name of an integer's type in SQL.
pub(super) fn integer_name(data: &DataType) -> &'static str {
    match data {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::UInt32 => "OID",
        _ => "bigint",
    }
}

/// Arrow's error about numbers of a type as PostgreSQL's.
fn explained(error: DataFusionError, data: &DataType) -> DataFusionError {
    match error.find_root() {
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ArithmeticOverflow(_) => ValueError::out_of_range(integer_name(data)),
            ArrowError::DivideByZero => ValueError::division_by_zero(),
            _ => error,
        },
        _ => error,
    }
}

impl ScalarUDFImpl for Binary {
    fn name(&self) -> &'static str {
        self.operation.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [left, right] if left == right => Ok(left.clone()),
            _ => plan_err!("operator {} takes two numbers of one type", self.name()),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<_> =
            arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(field::of(self.name(), self.return_type(&types)?, &arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = arguments.args.as_slice() else {
            return plan_err!("operator {} takes two numbers", self.name());
        };
        let data = arguments.return_field.data_type();
        let floats = match data {
            DataType::Float64 => Some(check_floats::<Float64Type> as Check),
            DataType::Float32 => Some(check_floats::<Float32Type> as Check),
            _ => None,
        };
        if let Some(check) = floats.filter(|_| self.operation == Operation::Divide) {
            check(self.operation, left, right, None)?;
        }
        let computed = apply(left, right, |left, right| self.operation.compute(left, right));
        let computed = computed.map_err(|error| explained(error, data))?;
        if let Some(check) = floats {
            check(self.operation, left, right, Some(&computed))?;
        }
        Ok(computed)
    }
}

type Check = fn(Operation, &ColumnarValue, &ColumnarValue, Option<&ColumnarValue>) -> Result<()>;

/// Refuses infinite floats that come from finite ones; without a result, divisors that are zero.
fn check_floats<T: ArrowPrimitiveType>(
    operation: Operation,
    left: &ColumnarValue,
    right: &ColumnarValue,
    computed: Option<&ColumnarValue>,
) -> Result<()>
where
    T::Native: Into<f64>,
{
    let rows = [Some(left), Some(right), computed].into_iter().flatten();
    let rows = rows.filter_map(|one| match one {
        ColumnarValue::Array(array) => Some(array.len()),
        ColumnarValue::Scalar(_) => None,
    });
    let rows = rows.max().unwrap_or(1);
    let float = |value: T::Native| -> f64 { value.into() };
    let Some(computed) = computed else {
        let divisors = right.to_array(rows)?;
        let divisors = divisors.as_primitive::<T>();
        let is_zero = |row: &usize| float(divisors.value(*row)) == 0.0;
        let zeros: Vec<usize> = (0..divisors.len()).filter(is_zero).collect();
        if zeros.is_empty() {
            return Ok(());
        }
        let dividends = left.to_array(rows)?;
        let dividends = dividends.as_primitive::<T>();
        let is_division = |row: usize| {
            let is_there = divisors.is_valid(row) && dividends.is_valid(row);
            is_there && !float(dividends.value(row)).is_nan()
        };
        return match zeros.into_iter().any(is_division) {
            true => Err(ValueError::division_by_zero()),
            false => Ok(()),
        };
    };
    let results = computed.to_array(rows)?;
    let results = results.as_primitive::<T>();
    if results.values().iter().all(|value| float(*value).is_finite()) {
        return Ok(());
    }
    let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    let overflows = |row: usize| {
        results.is_valid(row)
            && float(results.value(row)).is_infinite()
            && float(left.value(row)).is_finite()
            && (float(right.value(row)).is_finite() || operation == Operation::Divide)
    };
    match (0..results.len()).any(overflows) {
        true => Err(ValueError::of("22003", "value out of range: overflow")),
        false => Ok(()),
    }
}

/// The minus before a number.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Negation {
    signature: Signature,
}

/// The call for the minus before a number.
pub(super) fn negation(of: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Negation { signature }))
    });
    FUNCTION.call(vec![of])
}

impl ScalarUDFImpl for Negation {
    fn name(&self) -> &'static str {
        "checked_negative"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [one] => Ok(one.clone()),
            _ => plan_err!("operator {} takes one number", self.name()),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<_> =
            arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(field::of(self.name(), self.return_type(&types)?, &arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data = arguments.return_field.data_type().clone();
        let explain = |error: ArrowError| explained(DataFusionError::from(error), &data);
        match arguments.args.as_slice() {
            [ColumnarValue::Array(array)] => {
                numeric::neg(array).map(ColumnarValue::Array).map_err(explain)
            }
            [ColumnarValue::Scalar(scalar)] => {
                let negative = numeric::neg(&scalar.to_array()?).map_err(explain)?;
                let scalar = datafusion::common::ScalarValue::try_from_array(&negative, 0)?;
                Ok(ColumnarValue::Scalar(scalar))
            }
            _ => plan_err!("operator {} takes one number", self.name()),
        }
    }
}
