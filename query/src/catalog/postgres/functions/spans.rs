//! Times between times: `age`, and intervals with their fields carried over.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, NaiveDateTime};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const DAY: i64 = 86_400_000_000;
const MICROSECOND_NANOSECONDS: i64 = 1_000;
const MONTH_DAYS: i32 = 30;

/// What is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Years, months and days from the second time to the first.
    Age,
    /// 24 hours are a day.
    Hours,
    /// 30 days are a month.
    Days,
    /// Both, and all fields of one sign.
    Interval,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Span {
    kind: Kind,
    signature: Signature,
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [Kind::Age, Kind::Hours, Kind::Days, Kind::Interval].map(function).into()
}

/// The function that makes days of 24 hours, as a difference of times has them.
pub(crate) fn justify_hours() -> Arc<ScalarUDF> {
    function(Kind::Hours)
}

fn function(kind: Kind) -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Span { kind, signature }))
}

impl ScalarUDFImpl for Span {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Age => "age",
            Kind::Hours => "justify_hours",
            Kind::Days => "justify_days",
            Kind::Interval => "justify_interval",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let local = DataType::Timestamp(TimeUnit::Microsecond, None);
        match (self.kind, arguments) {
            (Kind::Age, [_, _]) => Ok(vec![local.clone(), local]),
            (Kind::Hours | Kind::Days | Kind::Interval, [_]) => {
                Ok(vec![DataType::Interval(IntervalUnit::MonthDayNano)])
            }
            _ => plan_err!(
                "function {} does not exist with {} arguments",
                self.name(),
                arguments.len()
            ),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { arguments.number_rows };
        let columns = arguments
            .args
            .into_iter()
            .map(|arg| arg.into_array(rows))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let spans: IntervalMonthDayNanoArray = match columns.as_slice() {
            [to, from] => {
                let (to, from) = (to.as_primitive::<TimestampMicrosecondType>(), from);
                let from = from.as_primitive::<TimestampMicrosecondType>();
                let pairs = to.iter().zip(from.iter());
                let ages = pairs.map(|(to, from)| match (to, from) {
                    (Some(to), Some(from)) => age(to, from).map(Some),
                    _ => Ok(None),
                });
                ages.collect::<Result<_>>()?
            }
            [spans] => {
                let spans = spans.as_primitive::<IntervalMonthDayNanoType>().iter();
                spans.map(|span| span.map(|span| justified(self.kind, span))).collect()
            }
            _ => return plan_err!("function {} takes one or two arguments", self.name()),
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&spans, 0)?)),
            false => Ok(ColumnarValue::Array(Arc::new(spans))),
        }
    }
}

fn local(microseconds: i64) -> Result<NaiveDateTime> {
    let time = DateTime::from_timestamp_micros(microseconds);
    let time = time.ok_or_else(|| exec_datafusion_err!("timestamp out of range"))?;
    Ok(time.naive_utc())
}

/// The months, days and time from one clock's time to another one's.
fn age(to: i64, from: i64) -> Result<IntervalMonthDayNano> {
    if to < from {
        let IntervalMonthDayNano { months, days, nanoseconds } = age(from, to)?;
        // Days are those of the earlier month, whichever sign they have.
        return Ok(IntervalMonthDayNano::new(-months, -days, -nanoseconds));
    }
    let (later, earlier) = (local(to)?, local(from)?);
    let months = |time: &NaiveDateTime| time.year() * 12 + time.month0().cast_signed();
    let day = |time: &NaiveDateTime| time.day().cast_signed();
    let mut time = to.rem_euclid(DAY) - from.rem_euclid(DAY);
    let mut days = day(&later) - day(&earlier);
    let mut whole_months = months(&later) - months(&earlier);
    if time < 0 {
        time += DAY;
        days -= 1;
    }
    if days < 0 {
        days += i32::from(earlier.num_days_in_month());
        whole_months -= 1;
    }
    Ok(IntervalMonthDayNano::new(whole_months, days, time * MICROSECOND_NANOSECONDS))
}

/// An interval whose small fields are carried over to larger ones.
fn justified(kind: Kind, span: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let IntervalMonthDayNano { mut months, mut days, nanoseconds } = span;
    let mut time = nanoseconds / MICROSECOND_NANOSECONDS;
    let hours = matches!(kind, Kind::Hours | Kind::Interval);
    if hours {
        days = days.saturating_add(i32::try_from(time / DAY).unwrap_or_default());
        time %= DAY;
    }
    if matches!(kind, Kind::Days | Kind::Interval) {
        months = months.saturating_add(days / MONTH_DAYS);
        days %= MONTH_DAYS;
        let rest = |sign: i32| {
            let own = days.signum() * sign < 0;
            own || (kind == Kind::Interval && days == 0 && time.signum() * i64::from(sign) < 0)
        };
        if months > 0 && rest(1) {
            days += MONTH_DAYS;
            months -= 1;
        } else if months < 0 && rest(-1) {
            days -= MONTH_DAYS;
            months += 1;
        }
    }
    if hours && days > 0 && time < 0 {
        time += DAY;
        days -= 1;
    } else if hours && days < 0 && time > 0 {
        time -= DAY;
        days += 1;
    }
    IntervalMonthDayNano::new(months, days, time * MICROSECOND_NANOSECONDS)
}
