//! The hour, the minute and the day of the week of UTC times, by division.
//!
//! DataFusion's `date_part` makes a calendar date of every value first, which costs ten times as
//! much; these parts don't need one.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int32Type, TimeUnit, TimestampMicrosecondType};
use datafusion_common::{Result, ScalarValue, utils::take_function_args};
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const MINUTE_MICROS: i64 = 60_000_000;
const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;
/// 1970-01-01 was a Thursday, and Sunday counts as 0.
const EPOCH_DAY_OF_WEEK: i64 = 4;

/// A part of a time that division gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Minute,
    Hour,
    DayOfWeek,
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "minute" => Some(Self::Minute),
            "hour" => Some(Self::Hour),
            "dow" => Some(Self::DayOfWeek),
            _ => None,
        }
    }

    fn of(self, micros: i64) -> i32 {
        // Each fits: the largest is 59.
        (match self {
            Self::Minute => micros.div_euclid(MINUTE_MICROS).rem_euclid(60),
            Self::Hour => micros.div_euclid(HOUR_MICROS).rem_euclid(24),
            Self::DayOfWeek => (micros.div_euclid(DAY_MICROS) + EPOCH_DAY_OF_WEEK).rem_euclid(7),
        }) as i32
    }
}

/// `date_part` of one of the [`Part`]s and a time without a zone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ClockPart {
    part: Part,
    signature: Signature,
}

impl ScalarUDFImpl for ClockPart {
    fn name(&self) -> &str {
        "date_part"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times] = take_function_args(self.name(), args.args)?;
        let one = matches!(times, ColumnarValue::Scalar(_));
        let times = times.into_array(1)?;
        let parts = times
            .as_primitive::<TimestampMicrosecondType>()
            .unary::<_, Int32Type>(|t| self.part.of(t));
        if one {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&parts, 0)?))
        } else {
            Ok(ColumnarValue::Array(Arc::new(parts)))
        }
    }
}

/// The call that stands for `date_part(part, time)`, where `time` is of `data_type`; `None` when
/// DataFusion's has to do it.
pub(super) fn clock_part(part: &Expr, time: &Expr, data_type: &DataType) -> Option<Expr> {
    let name = part.as_literal()?.try_as_str()??;
    let (Some(part), DataType::Timestamp(TimeUnit::Microsecond, None)) =
        (Part::named(name), data_type)
    else {
        return None;
    };
    let signature = Signature::exact(vec![data_type.clone()], Volatility::Immutable);
    Some(ScalarUDF::from(ClockPart { part, signature }).call(vec![time.clone()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Datelike, Timelike};

    #[test]
    fn parts_are_those_of_the_calendar() {
        let times = [
            0,
            1,
            -1,
            DAY_MICROS - 1,
            DAY_MICROS,
            -DAY_MICROS,
            -DAY_MICROS - 1,
            1_522_540_831_000_000,
            -62_135_596_800_000_000,
        ];
        for micros in times
            .into_iter()
            .chain((0..400).map(|i| i * 7 * HOUR_MICROS + i * 1_000_003 - 90 * DAY_MICROS))
        {
            let date = DateTime::from_timestamp_micros(micros).expect("a date");
            let expected = [date.minute(), date.hour(), date.weekday().num_days_from_sunday()]
                .map(|part| part as i32);
            assert_eq!(
                [Part::Minute, Part::Hour, Part::DayOfWeek].map(|part| part.of(micros)),
                expected,
                "{date}"
            );
        }
    }
}
