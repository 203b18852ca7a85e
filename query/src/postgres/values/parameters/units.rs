//! Times and intervals in the units of Arrow's types.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalDayTime, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;

use crate::postgres::values::calendar::{DAY_US, SECOND_US};
use crate::postgres::values::value::Interval;

use super::parsed::Moment;

/// A moment's count of a unit, if there is a whole one that fits. Within PostgreSQL's timestamps
/// microseconds always do.
pub(super) fn in_unit(moment: Moment, unit: TimeUnit) -> Option<i64> {
    let whole = |parts: i64| {
        let exact = moment.nanoseconds == 0 && moment.microseconds % parts == 0;
        exact.then_some(moment.microseconds / parts)
    };
    match unit {
        TimeUnit::Second => whole(SECOND_US),
        TimeUnit::Millisecond => whole(1_000),
        TimeUnit::Microsecond => Some(moment.rounded()),
        TimeUnit::Nanosecond => {
            moment.microseconds.checked_mul(1_000)?.checked_add(i64::from(moment.nanoseconds))
        }
    }
}

/// A timestamp as a count of a unit.
pub(super) fn timestamp(unit: TimeUnit, count: i64, zone: Option<Arc<str>>) -> ScalarValue {
    match unit {
        TimeUnit::Second => ScalarValue::TimestampSecond(Some(count), zone),
        TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(count), zone),
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(count), zone),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(count), zone),
    }
}

/// A time of the day, nothing in it if the unit counts no such time.
pub(super) fn clock_scalar(time: Moment, wanted: &DataType) -> ScalarValue {
    let count = |unit| in_unit(time, unit);
    let small = |unit| count(unit).and_then(|count| i32::try_from(count).ok());
    match wanted {
        DataType::Time32(TimeUnit::Second) => ScalarValue::Time32Second(small(TimeUnit::Second)),
        DataType::Time32(_) => ScalarValue::Time32Millisecond(small(TimeUnit::Millisecond)),
        DataType::Time64(TimeUnit::Nanosecond) => {
            ScalarValue::Time64Nanosecond(count(TimeUnit::Nanosecond))
        }
        _ => ScalarValue::Time64Microsecond(Some(time.rounded())),
    }
}

/// An interval in a type that holds it exactly.
pub(super) fn interval_scalar(interval: Interval, wanted: &DataType) -> Option<ScalarValue> {
    let Interval { months, days, microseconds } = interval;
    Some(match wanted {
        DataType::Interval(IntervalUnit::YearMonth) if days == 0 && microseconds == 0 => {
            ScalarValue::IntervalYearMonth(Some(months))
        }
        DataType::Interval(IntervalUnit::DayTime) if months == 0 && microseconds % 1_000 == 0 => {
            let milliseconds = i32::try_from(microseconds / 1_000).ok()?;
            ScalarValue::IntervalDayTime(Some(IntervalDayTime { days, milliseconds }))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let nanoseconds = microseconds.checked_mul(1_000)?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano {
                months,
                days,
                nanoseconds,
            }))
        }
        DataType::Duration(unit) if months == 0 => {
            let total = i64::from(days).checked_mul(DAY_US)?.checked_add(microseconds)?;
            let count = in_unit(Moment::new(total), *unit)?;
            match unit {
                TimeUnit::Second => ScalarValue::DurationSecond(Some(count)),
                TimeUnit::Millisecond => ScalarValue::DurationMillisecond(Some(count)),
                TimeUnit::Microsecond => ScalarValue::DurationMicrosecond(Some(count)),
                TimeUnit::Nanosecond => ScalarValue::DurationNanosecond(Some(count)),
            }
        }
        _ => return None,
    })
}
