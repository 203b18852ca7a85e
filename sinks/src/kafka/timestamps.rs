//! Timestamps in messages: RFC 3339 in UTC with six digits of the second, such as
//! `2018-04-01T00:00:31.000000Z`. The day, which is hard to say and rarely another than the row's
//! before, is said once; what is left are digits.

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder};
use chrono::DateTime;
use std::io::Write as _;

const DAY_SECONDS: i64 = 24 * 3600;

/// Encodes timestamps in microseconds; leaves everything else to Arrow.
#[derive(Debug)]
pub(super) struct Timestamps;

impl EncoderFactory for Timestamps {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        // Times as a local clock showed them, without a zone, are said like those in UTC.
        let plain = match array.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                zone.as_deref().is_none_or(|zone| zone == "UTC")
            }
            _ => false,
        };
        if !plain {
            return Ok(None);
        }
        let times: &PrimitiveArray<TimestampMicrosecondType> = array.as_primitive();
        if times.iter().flatten().any(|time| DateTime::from_timestamp_micros(time).is_none()) {
            return Ok(None);
        }
        let encoder = Text { times: times.values(), day: i64::MIN, prefix: Vec::new() };
        Ok(Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned())))
    }
}

struct Text<'a> {
    times: &'a [i64],
    /// The day that `prefix` says, in days since 1970.
    day: i64,
    prefix: Vec<u8>,
}

impl Encoder for Text<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let time = self.times[row];
        let (seconds, micros) = (time.div_euclid(1_000_000), time.rem_euclid(1_000_000));
        let (day, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
        if day != self.day {
            self.day = day;
            self.prefix.clear();
            if let Some(start) = DateTime::from_timestamp(day * DAY_SECONDS, 0) {
                // Room for the text is the only thing that could fail, and memory does not.
                let _written = write!(self.prefix, "\"{}", start.format("%Y-%m-%dT"));
            }
        }
        out.extend_from_slice(&self.prefix);
        for (number, after) in
            [(second / 3600, b':'), (second / 60 % 60, b':'), (second % 60, b'.')]
        {
            out.extend_from_slice(&[digit(number / 10), digit(number), after]);
        }
        let mut unit = 100_000;
        while unit > 0 {
            out.push(digit(micros / unit));
            unit /= 10;
        }
        out.extend_from_slice(b"Z\"");
    }
}

fn digit(number: i64) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::TimestampMicrosecondArray;

    #[test]
    fn timestamps_read_as_chrono_writes_them() {
        let times = [
            0,
            -1,
            1_522_540_800_000_001,
            1_522_627_199_999_999,
            86_399_000_000,
            253_402_300_800_000_000,
            -62_167_219_200_000_000,
        ];
        let array = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
        let field = std::sync::Arc::new(arrow::datatypes::Field::new(
            "at",
            array.data_type().clone(),
            true,
        ));
        let options = EncoderOptions::default();
        let mut encoder = Timestamps
            .make_default_encoder(&field, &array, &options)
            .expect("possible")
            .expect("its own");
        for (row, time) in times.iter().enumerate() {
            let mut text = Vec::new();
            encoder.encode(row, &mut text);
            let expected = DateTime::from_timestamp_micros(*time)
                .expect("a time")
                .format("\"%Y-%m-%dT%H:%M:%S%.6fZ\"")
                .to_string();
            assert_eq!(String::from_utf8(text).expect("UTF-8"), expected);
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_left_to_arrow() {
        let array = TimestampMicrosecondArray::from(vec![Some(0), Some(i64::MAX), None])
            .with_timezone("UTC");
        let field = std::sync::Arc::new(arrow::datatypes::Field::new(
            "at",
            array.data_type().clone(),
            true,
        ));
        assert!(
            Timestamps
                .make_default_encoder(&field, &array, &EncoderOptions::default())
                .expect("possible")
                .is_none()
        );
    }
}
