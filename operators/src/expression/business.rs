//! Business days in expressions; the last argument is the text of a [calendar](crate::calendars).
//!
//! | function | value |
//! | --- | --- |
//! | `is_business_day(day, 'us-fed')` | whether it is one |
//! | `next_business_day(day, 'us-fed')` | the day itself, or the first business day after it |
//! | `previous_business_day(day, 'us-fed')` | the day itself, or the last business day before it |
//! | `business_days_between(from, to, 'us-fed')` | business days after `from` up to `to` |
//!
//! A payment that is due on a holiday is due on its `next_business_day`. `business_days_between` is
//! negative when `to` is earlier.
//!
//! Days may be dates or times (in UTC). With the conventions of [lateness](super::lateness):
//! `days_past_due(next_business_day(due, 'us-fed'), as_of)`. Null where an argument is.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef};
use datafusion_common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::calendars::Calendar;

/// What is asked of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    IsOpen,
    Next,
    Previous,
    Between,
}

impl Question {
    fn answer_type(self) -> DataType {
        match self {
            Self::IsOpen => DataType::Boolean,
            Self::Next | Self::Previous => DataType::Date32,
            Self::Between => DataType::Int64,
        }
    }

    fn answer(self, calendar: &Calendar, days: &[Date32Array]) -> Result<ArrayRef> {
        let shifted = |shift: fn(&Calendar, i64) -> i64| -> Result<ArrayRef> {
            let shifted = |day: Option<i32>| {
                day.map(|day| i32::try_from(shift(calendar, day.into()))).transpose()
            };
            let days = days[0].iter().map(shifted).collect::<Result<Date32Array, _>>();
            Ok(Arc::new(days.map_err(|_| {
                DataFusionError::Execution("a business day is beyond the calendar".into())
            })?))
        };
        match self {
            Self::IsOpen => Ok(Arc::new(
                days[0]
                    .iter()
                    .map(|day| Some(calendar.is_open(day?.into())))
                    .collect::<BooleanArray>(),
            )),
            Self::Next => shifted(Calendar::open_from),
            Self::Previous => shifted(Calendar::open_until),
            Self::Between => {
                let pairs = days[0].iter().zip(&days[1]);
                Ok(Arc::new(
                    pairs
                        .map(|(from, to)| Some(calendar.days_between(from?.into(), to?.into())))
                        .collect::<Int64Array>(),
                ))
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BusinessDays {
    name: &'static str,
    question: Question,
    signature: Signature,
}

impl BusinessDays {
    fn calendar(&self, text: Option<&ScalarValue>) -> Result<Calendar> {
        match text.and_then(|text| text.try_as_str().flatten()) {
            Some(text) => text.parse().or_else(|unknown| plan_err!("{}: {unknown}", self.name)),
            None => plan_err!(
                "the last argument of {} is the name of a calendar in quotes, e.g. 'us-fed'",
                self.name
            ),
        }
    }
}

impl ScalarUDFImpl for BusinessDays {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.question.answer_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.calendar(args.scalar_arguments.last().copied().flatten())?;
        let is_time =
            |t: &DataType| matches!(t, DataType::Date32 | DataType::Timestamp(..) | DataType::Null);
        match args.arg_fields.iter().rev().skip(1).find(|field| !is_time(field.data_type())) {
            Some(other) => {
                plan_err!("{} takes dates and times, not {}", self.name, other.data_type())
            }
            None => Ok(Arc::new(Field::new(self.name, self.question.answer_type(), true))),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let calendar = match args.args.pop() {
            Some(ColumnarValue::Scalar(text)) => self.calendar(Some(&text))?,
            _ => self.calendar(None)?,
        };
        let one = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if one { 1 } else { args.number_rows };
        let day = |value: ColumnarValue| -> Result<_> {
            Ok(cast(&value.into_array(rows)?, &DataType::Date32)?
                .as_primitive::<Date32Type>()
                .clone())
        };
        let days = args.args.into_iter().map(day).collect::<Result<Vec<_>>>()?;
        let answer = self.question.answer(&calendar, &days)?;
        if one {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?))
        } else {
            Ok(ColumnarValue::Array(answer))
        }
    }
}

/// The functions of this module.
pub(super) fn functions() -> impl Iterator<Item = ScalarUDF> {
    let named = [
        ("is_business_day", Question::IsOpen, 2),
        ("next_business_day", Question::Next, 2),
        ("previous_business_day", Question::Previous, 2),
        ("business_days_between", Question::Between, 3),
    ];
    named.into_iter().map(|(name, question, arguments)| {
        ScalarUDF::from(BusinessDays {
            name,
            question,
            signature: Signature::any(arguments, Volatility::Immutable),
        })
    })
}
