//! `to_char` with PostgreSQL's patterns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{
    DataType, Float64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::OffsetName;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::number_format::{Number, NumberPattern};
use super::time_format::{Moment, TimePattern};

pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Stable);
    Arc::new(ScalarUDF::new_from_impl(ToChar { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToChar {
    signature: Signature,
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &'static str {
        "to_char"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [value, _] = arguments else {
            return plan_err!("function to_char takes a value and a pattern");
        };
        let value = match value {
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Interval(_) | DataType::Duration(_) => {
                DataType::Interval(IntervalUnit::MonthDayNano)
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                DataType::Interval(IntervalUnit::MonthDayNano)
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
            number if number.is_numeric() => number.clone(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            other => return plan_err!("function to_char does not take {other}"),
        };
        Ok(vec![value, DataType::Utf8])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { arguments.number_rows };
        let [values, patterns] = arguments.args.as_slice() else {
            return exec_err!("function to_char takes two arguments");
        };
        let (values, patterns) = (values.to_array(rows)?, patterns.to_array(rows)?);
        let patterns = patterns.as_string::<i32>();
        let texts: StringArray = match values.data_type() {
            DataType::Timestamp(_, _) | DataType::Interval(_) => times(&values, patterns)?,
            _ => numbers(&values, patterns)?,
        };
        if scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(texts)))
    }
}

/// Each row's pattern, which is read again only where it changes.
fn each<P>(
    patterns: &StringArray,
    parse: impl Fn(&str) -> P,
    mut show: impl FnMut(&P, usize) -> Option<String>,
) -> StringArray {
    let mut known: Option<(&str, P)> = None;
    (0..patterns.len())
        .map(|at| {
            if patterns.is_null(at) {
                return None;
            }
            let text = patterns.value(at);
            if known.as_ref().is_none_or(|(before, _)| *before != text) {
                known = Some((text, parse(text)));
            }
            known.as_ref().and_then(|(_, pattern)| show(pattern, at))
        })
        .collect()
}

fn times(values: &ArrayRef, patterns: &StringArray) -> Result<StringArray> {
    if let Some(intervals) = values.as_primitive_opt::<IntervalMonthDayNanoType>() {
        return Ok(each(patterns, TimePattern::parse, |pattern, at| {
            intervals.is_valid(at).then(|| {
                let interval = intervals.value(at);
                let moment =
                    Moment::of_interval(interval.months, interval.days, interval.nanoseconds);
                pattern.show(&moment)
            })
        }));
    }
    let zone: Option<(&str, arrow::array::timezone::Tz)> = match values.data_type() {
        DataType::Timestamp(_, Some(zone)) => Some((zone.as_ref(), zone.parse()?)),
        _ => None,
    };
    let times = values.as_primitive::<TimestampMicrosecondType>();
    Ok(each(patterns, TimePattern::parse, |pattern, at| {
        if times.is_null(at) {
            return None;
        }
        let time = DateTime::from_timestamp_micros(times.value(at))?.naive_utc();
        let moment = match zone {
            Some((named, zone)) => {
                let offset = zone.offset_from_utc_datetime(&time).fix();
                let name = offset_name(named, &time, offset.local_minus_utc());
                Moment::of_time(time + offset, Some((offset.local_minus_utc(), name)))
            }
            None => Moment::of_time(time, None),
        };
        Some(pattern.show(&moment))
    }))
}

/// The short name of a zone at a time: `CET`, or `+02` where it has none.
fn offset_name(zone: &str, time: &chrono::NaiveDateTime, seconds: i32) -> String {
    let named = zone.parse::<chrono_tz::Tz>().ok();
    let short = named
        .and_then(|named| named.offset_from_utc_datetime(time).abbreviation().map(str::to_owned));
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    match (short, minutes % 60) {
        (Some(short), _) => short,
        (None, _) if seconds == 0 => "UTC".to_owned(),
        (None, 0) => format!("{sign}{:02}", minutes / 60),
        (None, rest) => format!("{sign}{:02}:{rest:02}", minutes / 60),
    }
}

fn numbers(values: &ArrayRef, patterns: &StringArray) -> Result<StringArray> {
    if let Some(floats) = values.as_primitive_opt::<Float64Type>() {
        return Ok(each(patterns, NumberPattern::parse, |pattern, at| {
            floats.is_valid(at).then(|| pattern.show(&Number::of_float(floats.value(at))))
        }));
    }
    let options = FormatOptions::default();
    let texts = ArrayFormatter::try_new(values.as_ref(), &options)?;
    Ok(each(patterns, NumberPattern::parse, |pattern, at| {
        let valid = values.is_valid(at);
        valid.then(|| pattern.show(&Number::of_text(&texts.value(at).to_string())))
    }))
}
