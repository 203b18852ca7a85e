//! `timezone(zone, time)`, which `AT TIME ZONE` becomes: the zone is given to a time that has none,
//! and taken from one that has.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, TimeZone};
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// The function.
pub(crate) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Stable);
    Arc::new(ScalarUDF::new_from_impl(AtZone { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtZone {
    signature: Signature,
}

fn local() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl ScalarUDFImpl for AtZone {
    fn name(&self) -> &'static str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [_, DataType::Timestamp(_, Some(zone))] => {
                let data = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone)));
                Ok(vec![DataType::Utf8, data])
            }
            [_, DataType::Timestamp(_, None) | DataType::Date32] => {
                Ok(vec![DataType::Utf8, local()])
            }
            // A text is read as an instant, as PostgreSQL does.
            [_, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View] => {
                Ok(vec![DataType::Utf8, instant()])
            }
            _ => plan_err!("function timezone takes a zone and a timestamp"),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [_, DataType::Timestamp(_, Some(_))] => Ok(local()),
            _ => Ok(instant()),
        }
    }

    fn return_field_from_args(
        &self,
        arguments: ReturnFieldArgs<'_>,
    ) -> Result<arrow::datatypes::FieldRef> {
        let types: Vec<_> =
            arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(arrow::datatypes::Field::new(self.name(), self.return_type(&types)?, true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { arguments.number_rows };
        let [zones, times] = arguments.args.as_slice() else {
            return exec_err!("function timezone takes two arguments");
        };
        let (zones, times) = (zones.to_array(rows)?, times.to_array(rows)?);
        let to_local = arguments.return_type() == &local();
        // A time with a zone is an instant whatever the zone is called.
        let times: ArrayRef = if to_local { cast(&times, &instant())? } else { times };
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let mut known: Option<(String, Tz)> = None;
        let converted = zones.as_string::<i32>().iter().zip(times).map(|(zone, time)| {
            let (Some(zone), Some(time)) = (zone, time) else { return Ok(None) };
            let tz = match &known {
                Some((name, tz)) if name == zone => *tz,
                _ => {
                    let tz = parse(zone)?;
                    known = Some((zone.to_owned(), tz));
                    tz
                }
            };
            convert(time, tz, to_local).map(Some)
        });
        let array = converted.collect::<Result<TimestampMicrosecondArray>>()?;
        let array: ArrayRef = match to_local {
            true => Arc::new(array),
            false => Arc::new(array.with_timezone("UTC")),
        };
        if scalar {
            let value = datafusion::common::ScalarValue::try_from_array(&array, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// A zone by its name in any case, or by its offset.
pub(super) fn parse(zone: &str) -> Result<Tz> {
    zone.parse().or_else(|_| {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name());
        let name = names.into_iter().find(|name| name.eq_ignore_ascii_case(zone));
        match name.and_then(|name| name.parse().ok()) {
            Some(zone) => Ok(zone),
            None => exec_err!("time zone \"{zone}\" not recognized"),
        }
    })
}

fn convert(microseconds: i64, zone: Tz, to_local: bool) -> Result<i64> {
    let time = DateTime::from_timestamp_micros(microseconds)
        .ok_or_else(|| exec_datafusion_err!("timestamp out of range"))?;
    Ok(match to_local {
        true => time.with_timezone(&zone).naive_local().and_utc().timestamp_micros(),
        false => to_instant(time.naive_utc(), zone),
    })
}

/// A time that was skipped is counted on from before the gap; of two the second counts.
pub(super) fn to_instant(local: NaiveDateTime, zone: Tz) -> i64 {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(_, time) => {
            time.timestamp_micros()
        }
        MappedLocalTime::None => {
            let before = local - Duration::hours(3);
            let offset = match zone.from_local_datetime(&before) {
                MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => {
                    before.and_utc().timestamp_micros() - time.timestamp_micros()
                }
                MappedLocalTime::None => 0,
            };
            local.and_utc().timestamp_micros() - offset
        }
    }
}
