//! `to_timestamp` and `to_date`, with PostgreSQL's patterns.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::super::super::value_error::ValueError;
use super::super::settings::SettingsShown;
use super::time_format::TimePattern;
use super::time_read::ReadTime;
use super::zones::{parse, to_instant};

const SECOND: f64 = 1_000_000.0;
const SECOND_MICROSECONDS: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND_MICROSECONDS;

/// A function that reads times.
#[derive(Debug)]
struct FromText {
    is_date: bool,
    settings: SettingsShown,
    signature: Signature,
}

impl PartialEq for FromText {
    fn eq(&self, other: &Self) -> bool {
        self.is_date == other.is_date
    }
}

impl Eq for FromText {}

impl Hash for FromText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.is_date.hash(state);
    }
}

pub(super) fn functions(settings: &SettingsShown) -> [Arc<ScalarUDF>; 2] {
    [false, true].map(|is_date| {
        let signature = Signature::user_defined(Volatility::Stable);
        let settings = settings.clone();
        Arc::new(ScalarUDF::new_from_impl(FromText { is_date, settings, signature }))
    })
}

impl ScalarUDFImpl for FromText {
    fn name(&self) -> &'static str {
        if self.is_date { "to_date" } else { "to_timestamp" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [_, _] => Ok(vec![DataType::Utf8, DataType::Utf8]),
            [seconds] if !self.is_date && (seconds.is_numeric() || seconds.is_null()) => {
                Ok(vec![DataType::Float64])
            }
            _ => plan_err!("function {} takes a text and a pattern", self.name()),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.is_date {
            true => DataType::Date32,
            false => {
                let zone = self.settings.time_zone().into();
                DataType::Timestamp(TimeUnit::Microsecond, Some(zone))
            }
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { arguments.number_rows };
        let data = arguments.return_type().clone();
        let times: ArrayRef = match arguments.args.as_slice() {
            [seconds] => of_seconds(&seconds.to_array(rows)?)?,
            [texts, patterns] => {
                let (texts, patterns) = (texts.to_array(rows)?, patterns.to_array(rows)?);
                self.read(texts.as_string(), patterns.as_string())?
            }
            _ => return plan_err!("function {} takes a text and a pattern", self.name()),
        };
        let times: ArrayRef = match data {
            DataType::Timestamp(_, Some(zone)) => {
                let times = times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
                Arc::new(times.clone().with_timezone(zone))
            }
            data => cast(&times, &data)?,
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&times, 0)?)),
            false => Ok(ColumnarValue::Array(times)),
        }
    }
}

impl FromText {
    fn read(&self, texts: &StringArray, patterns: &StringArray) -> Result<ArrayRef> {
        let zone = parse(&self.settings.time_zone())?;
        let mut known: Option<(&str, TimePattern)> = None;
        let times = texts.iter().zip(patterns).map(|(text, pattern)| {
            let (Some(text), Some(pattern)) = (text, pattern) else { return Ok(None) };
            let read = match &known {
                Some((before, read)) if *before == pattern => read.read(text)?,
                _ => {
                    let new = TimePattern::parse(pattern);
                    known.insert((pattern, new)).1.read(text)?
                }
            };
            let ReadTime { microseconds, zone_seconds } = read;
            if self.is_date {
                return Ok(Some(microseconds));
            }
            let instant = match zone_seconds {
                Some(east) => Some(microseconds - east * SECOND_MICROSECONDS),
                None => chrono::DateTime::from_timestamp_micros(microseconds)
                    .map(|local| to_instant(local.naive_utc(), zone)),
            };
            instant.map(Some).ok_or_else(|| ValueError::out_of_range("timestamp"))
        });
        let times = times.collect::<Result<Vec<Option<i64>>>>()?;
        if self.is_date {
            let days = times.into_iter().map(|time| {
                let days = time.map(|time| i32::try_from(time.div_euclid(DAY)));
                days.transpose().map_err(|_| ValueError::of("22008", "date out of range"))
            });
            return Ok(Arc::new(days.collect::<Result<Date32Array>>()?));
        }
        Ok(Arc::new(TimestampMicrosecondArray::from(times)))
    }
}

/// Instants by the seconds since 1970.
fn of_seconds(seconds: &ArrayRef) -> Result<ArrayRef> {
    let instants = seconds.as_primitive::<Float64Type>().iter().map(|seconds| {
        let Some(seconds) = seconds else { return Ok(None) };
        let microseconds = (seconds * SECOND).round_ties_even();
        // What is too large is refused.
        let instant = microseconds as i64;
        match microseconds.is_finite() && instant.unsigned_abs() < i64::MAX.unsigned_abs() {
            true => Ok(Some(instant)),
            false => Err(ValueError::of("22008", "timestamp out of range")),
        }
    });
    Ok(Arc::new(instants.collect::<Result<TimestampMicrosecondArray>>()?))
}
