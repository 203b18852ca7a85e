//! Intervals times numbers.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, FieldRef, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::value_error::ValueError;
use super::field;

const MONTH_DAYS: f64 = 30.0;
const DAY_SECONDS: f64 = 86_400.0;
const SECOND_MICROSECONDS: f64 = 1_000_000.0;
const MICROSECOND_NANOSECONDS: i64 = 1_000;

/// An interval times or divided by a number.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Scaled {
    divides: bool,
    signature: Signature,
}

/// The call for an interval times or, if it `divides`, through a number.
pub(super) fn scaled(interval: Expr, number: Expr, divides: bool) -> Expr {
    static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 2]> = LazyLock::new(|| {
        [false, true].map(|divides| {
            let signature = Signature::user_defined(Volatility::Immutable);
            Arc::new(ScalarUDF::new_from_impl(Scaled { divides, signature }))
        })
    });
    FUNCTIONS[usize::from(divides)].call(vec![interval, number])
}

impl ScalarUDFImpl for Scaled {
    fn name(&self) -> &'static str {
        if self.divides { "interval_divide" } else { "interval_multiply" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [_, _] => {
                let interval = DataType::Interval(IntervalUnit::MonthDayNano);
                Ok(vec![interval, DataType::Float64])
            }
            _ => plan_err!("function {} takes an interval and a number", self.name()),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(field::of(self.name(), self.return_type(&[])?, &arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { arguments.number_rows };
        let [intervals, numbers] = arguments.args.as_slice() else {
            return plan_err!("function {} takes an interval and a number", self.name());
        };
        let (intervals, numbers) = (intervals.to_array(rows)?, numbers.to_array(rows)?);
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let numbers = numbers.as_primitive::<Float64Type>();
        let results = intervals.iter().zip(numbers).map(|(interval, number)| {
            let (Some(interval), Some(number)) = (interval, number) else { return Ok(None) };
            match self.divides {
                true if number == 0.0 => Err(ValueError::division_by_zero()),
                true => times(interval, |part| part / number).map(Some),
                false => times(interval, |part| part * number).map(Some),
            }
        });
        let array = results.collect::<Result<IntervalMonthDayNanoArray>>()?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
            false => Ok(ColumnarValue::Array(Arc::new(array))),
        }
    }
}

/// Averages: intervals through counts.
pub(super) fn parts(sums: &ArrayRef, counts: &ArrayRef) -> Result<ArrayRef> {
    let sums = sums.as_primitive::<IntervalMonthDayNanoType>();
    let averages = sums.iter().zip(counts.as_primitive::<Int64Type>()).map(|(sum, count)| {
        let (Some(sum), Some(count)) = (sum, count.filter(|count| *count > 0)) else {
            return Ok(None);
        };
        // There are not 2^53 rows.
        let count = count as f64;
        times(sum, |part| part / count).map(Some)
    });
    Ok(Arc::new(averages.collect::<Result<IntervalMonthDayNanoArray>>()?))
}

/// An interval whose fields are changed alike. What is more than whole months goes to days, and
/// what is more than whole days to the time, as PostgreSQL does it.
fn times(
    interval: IntervalMonthDayNano,
    change: impl Fn(f64) -> f64,
) -> Result<IntervalMonthDayNano> {
    let microseconds = interval.nanoseconds / MICROSECOND_NANOSECONDS;
    let months = change(f64::from(interval.months));
    let days = change(f64::from(interval.days));
    // PostgreSQL counts in doubles here, too.
    let time = change(microseconds as f64);
    let month_days = to_microseconds((months - months.trunc()) * MONTH_DAYS);
    let mut seconds =
        to_microseconds((days - days.trunc() + month_days - month_days.trunc()) * DAY_SECONDS);
    let mut whole_days = days.trunc() + month_days.trunc();
    if seconds.abs() >= DAY_SECONDS {
        whole_days += (seconds / DAY_SECONDS).trunc();
        seconds -= (seconds / DAY_SECONDS).trunc() * DAY_SECONDS;
    }
    let time = (time + seconds * SECOND_MICROSECONDS).round_ties_even();
    let out_of_range = || ValueError::of("22008", "interval out of range");
    let nanoseconds = whole::<i64>(time).and_then(|time| time.checked_mul(MICROSECOND_NANOSECONDS));
    Ok(IntervalMonthDayNano {
        months: whole(months.trunc()).ok_or_else(out_of_range)?,
        days: whole(whole_days).ok_or_else(out_of_range)?,
        nanoseconds: nanoseconds.ok_or_else(out_of_range)?,
    })
}

/// A float that is a whole number, as an integer that holds it.
fn whole<T: TryFrom<i128>>(float: f64) -> Option<T> {
    // What is too large is not taken below.
    let number = float as i128;
    T::try_from(number).ok().filter(|_| float.is_finite())
}

/// Seconds, or days, to the sixth digit.
fn to_microseconds(number: f64) -> f64 {
    (number * SECOND_MICROSECONDS).round_ties_even() / SECOND_MICROSECONDS
}
