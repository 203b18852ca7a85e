//! How late a payment is, by the conventions of mortgage servicing, as functions of the oldest due
//! date that is unpaid and of an instant.
//!
//! The instant is the first after the time looked at, as `as_of` and `window_end` are: midnight at
//! the end of a day says what held through that day.
//!
//! - `days_past_due(due, as_of)`: whole days from the due date to the day that ends at `as_of`, at
//!   least 0.
//! - `months_past_due_mba(due, as_of)`: due dates passed unpaid: one more if nothing came by the
//!   end of the day *before* the next due date.
//! - `months_past_due_ots(due, as_of)`: the same, but one more only if nothing came by the end of
//!   the *next due date itself*.
//!
//! Due on 1 April and unpaid at the end of 30 April (as of 1 May 00:00): 29 days; 1 month by MBA, 0
//! by OTS. A due date on a day that a month does not have is on the last of that month. Null where
//! an argument is.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion_common::{Result, ScalarValue, plan_err, utils::take_function_args};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::periods::{date_of, month_days, month_of};

const DAY_MICROS: i64 = 86_400_000_000;

/// A way to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Convention {
    Days,
    Mba,
    Ots,
}

impl Convention {
    fn count(self, due: i64, as_of: i64) -> i64 {
        let due = due.div_euclid(DAY_MICROS);
        let through = as_of.saturating_sub(1).div_euclid(DAY_MICROS);
        let late = match self {
            Self::Days => through - due,
            // Due dates on or before the day after the one that ends.
            Self::Mba => months_between(due, as_of.div_euclid(DAY_MICROS)),
            Self::Ots => months_between(due, as_of.div_euclid(DAY_MICROS) - 1),
        };
        late.max(0)
    }
}

/// Whole months from one day to another; days since 1970.
fn months_between(from: i64, to: i64) -> i64 {
    let month = |day: i64| month_of(day.saturating_mul(DAY_MICROS));
    let (first, last) = (month(from), month(to));
    let day_of_month = date_of(from).2;
    let days_in_last = month_days(last + 1) - month_days(last);
    let due = month_days(last) + day_of_month.min(days_in_last) - 1;
    last - first - i64::from(due > to)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Lateness {
    name: &'static str,
    convention: Convention,
    signature: Signature,
}

impl ScalarUDFImpl for Lateness {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let is_time =
            |t: &DataType| matches!(t, DataType::Date32 | DataType::Timestamp(..) | DataType::Null);
        match arguments.iter().find(|t| !is_time(t)) {
            Some(other) => plan_err!("{} takes dates and times, not {other}", self.name),
            None => Ok(DataType::Int64),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [due, as_of] = take_function_args(self.name(), args.args)?;
        let one = matches!((&due, &as_of), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if one { 1 } else { args.number_rows };
        let micros = |value: ColumnarValue| -> Result<_> {
            Ok(cast(&value.into_array(rows)?, &DataType::Timestamp(TimeUnit::Microsecond, None))?)
        };
        let (due, as_of) = (micros(due)?, micros(as_of)?);
        let pairs = due
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .zip(as_of.as_primitive::<TimestampMicrosecondType>());
        let late: Int64Array =
            pairs.map(|(due, as_of)| Some(self.convention.count(due?, as_of?))).collect();
        if one {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&late, 0)?))
        } else {
            Ok(ColumnarValue::Array(Arc::new(late)))
        }
    }
}

/// The functions of this module.
pub(super) fn functions() -> impl Iterator<Item = ScalarUDF> {
    let named = [
        ("days_past_due", Convention::Days),
        ("months_past_due_mba", Convention::Mba),
        ("months_past_due_ots", Convention::Ots),
    ];
    named.into_iter().map(|(name, convention)| {
        ScalarUDF::from(Lateness {
            name,
            convention,
            signature: Signature::any(2, Volatility::Immutable),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i64, month: i64, day: i64) -> i64 {
        (month_days((year - 1970) * 12 + month - 1) + day - 1) * DAY_MICROS
    }

    #[test]
    fn a_payment_of_april_that_never_comes_is_a_month_late_a_month_apart() {
        let due = day(2024, 4, 1);
        let late = |as_of| {
            [Convention::Days, Convention::Mba, Convention::Ots].map(|c| c.count(due, as_of))
        };
        assert_eq!(late(day(2024, 4, 2)), [0, 0, 0], "the due date itself");
        assert_eq!(late(day(2024, 4, 3)), [1, 0, 0]);
        assert_eq!(late(day(2024, 4, 30)), [28, 0, 0]);
        assert_eq!(late(day(2024, 5, 1)), [29, 1, 0], "the end of April");
        assert_eq!(late(day(2024, 5, 2)), [30, 1, 1], "the end of the next due date");
        assert_eq!(late(day(2024, 6, 1)), [60, 2, 1], "the end of May");
        assert_eq!(late(day(2024, 3, 1)), [0, 0, 0], "not due yet");
    }

    #[test]
    fn a_due_date_that_a_month_does_not_have_is_its_last_day() {
        let due = day(2024, 1, 31);
        let mba = |as_of| Convention::Mba.count(due, as_of);
        assert_eq!(
            [
                mba(day(2024, 2, 28)),
                mba(day(2024, 2, 29)),
                mba(day(2024, 3, 30)),
                mba(day(2024, 3, 31))
            ],
            [0, 1, 1, 2]
        );
    }
}
