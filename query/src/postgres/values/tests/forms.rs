//! Numbers, instants and intervals in both forms.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
    IntervalMonthDayNanoArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, i256};

use super::shown::{DOUBLES, INSTANTS, INTERVALS, NUMERICS, SINGLES};
use super::{cell, hexadecimal};
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::zone::SessionZone;

fn text(field: &Field, array: &ArrayRef, settings: &ValueSettings) -> String {
    let cell = cell(field, array, 0, Format::Text, settings).unwrap().unwrap();
    String::from_utf8(cell).unwrap()
}

fn bytes(field: &Field, array: &ArrayRef) -> String {
    let settings = ValueSettings::default();
    hexadecimal(&cell(field, array, 0, Format::Binary, &settings).unwrap().unwrap())
}

fn field(array: &ArrayRef) -> Field {
    Field::new("c", array.data_type().clone(), true)
}

const EXTRA_DIGITS: [i8; 4] = [1, 0, -3, -15];

#[test]
fn doubles_have_the_digits_of_postgres() {
    for (bits, texts) in DOUBLES {
        let array: ArrayRef = Arc::new(Float64Array::from(vec![f64::from_bits(*bits)]));
        assert_eq!(bytes(&field(&array), &array), format!("{bits:016x}"));
        for (extra_float_digits, expected) in EXTRA_DIGITS.into_iter().zip(texts) {
            let settings = ValueSettings { extra_float_digits, ..ValueSettings::default() };
            assert_eq!(text(&field(&array), &array, &settings), *expected, "{bits:x}");
        }
        let settings = ValueSettings { extra_float_digits: 3, ..ValueSettings::default() };
        let shown: f64 = text(&field(&array), &array, &settings).parse().unwrap();
        assert_eq!(shown.to_bits(), *bits);
    }
}

#[test]
fn singles_have_the_digits_of_postgres() {
    for (bits, texts) in SINGLES {
        let array: ArrayRef = Arc::new(Float32Array::from(vec![f32::from_bits(*bits)]));
        assert_eq!(bytes(&field(&array), &array), format!("{bits:08x}"));
        for (extra_float_digits, expected) in EXTRA_DIGITS.into_iter().zip(texts) {
            let settings = ValueSettings { extra_float_digits, ..ValueSettings::default() };
            assert_eq!(text(&field(&array), &array, &settings), *expected, "{bits:x}");
        }
    }
}

#[test]
fn numerics_have_their_scale_and_groups() {
    let settings = ValueSettings::default();
    for (whole, scale, expected, sent) in NUMERICS {
        let wide = i256::from_string(whole).unwrap();
        let array = Decimal256Array::from(vec![wide]);
        let array = array.with_precision_and_scale(76, *scale).unwrap();
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(array)];
        if let Some(narrow) = wide.to_i128() {
            let array = Decimal128Array::from(vec![narrow]);
            arrays.push(Arc::new(array.with_precision_and_scale(38, *scale).unwrap()));
        }
        for array in arrays {
            let field = field(&array);
            assert_eq!(text(&field, &array, &settings), *expected);
            assert_eq!(bytes(&field, &array), *sent, "{whole} {scale}");
        }
    }
}

#[test]
fn instants_are_shown_in_the_zone_of_the_session() {
    for (zone, at, expected, json) in INSTANTS {
        let time_zone = SessionZone::parse(zone).unwrap();
        let settings = ValueSettings { time_zone, ..ValueSettings::default() };
        let array: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![*at]).with_timezone("UTC"));
        assert_eq!(text(&field(&array), &array, &settings), *expected, "{zone} {at}");
        if json.is_empty() {
            continue;
        }
        let inner = Arc::new(Field::new("t", array.data_type().clone(), true));
        let nested: ArrayRef = Arc::new(StructArray::from(vec![(inner, array)]));
        let shown = text(&field(&nested), &nested, &settings);
        assert_eq!(shown, format!("{{\"t\":\"{json}\"}}"), "{zone} {at}");
    }
}

#[test]
fn offsets_of_a_session_need_no_place() {
    let time_zone = SessionZone::parse("-03:30").unwrap();
    let settings = ValueSettings { time_zone, ..ValueSettings::default() };
    let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC"));
    assert_eq!(text(&field(&array), &array, &settings), "1969-12-31 20:30:00-03:30");
}

#[test]
fn intervals_are_as_postgres_shows_and_sends_them() {
    let settings = ValueSettings::default();
    for (months, days, microseconds, expected, sent) in INTERVALS {
        // Arrow's months, days and nanoseconds end before PostgreSQL's do.
        let Some(nanoseconds) = microseconds.checked_mul(1_000) else { continue };
        let value = IntervalMonthDayNano { months: *months, days: *days, nanoseconds };
        let array: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![value]));
        assert_eq!(text(&field(&array), &array, &settings), *expected);
        assert_eq!(bytes(&field(&array), &array), *sent);
    }
}

#[test]
fn nanoseconds_are_cut_alike_in_text_and_binary() {
    let settings = ValueSettings::default();
    for (nanoseconds, expected, sent) in [
        (1_999, "1970-01-01 00:00:00.000001", -946_684_799_999_999_i64),
        (-1, "1969-12-31 23:59:59.999999", -946_684_800_000_001),
        (-1_000, "1969-12-31 23:59:59.999999", -946_684_800_000_001),
        (-1_001, "1969-12-31 23:59:59.999998", -946_684_800_000_002),
    ] {
        let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![nanoseconds]));
        assert_eq!(text(&field(&array), &array, &settings), expected);
        assert_eq!(bytes(&field(&array), &array), hexadecimal(&sent.to_be_bytes()));
    }
}

#[test]
fn ends_of_time_are_infinite_or_refused() {
    let settings = ValueSettings::default();
    let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX]));
    assert_eq!(text(&field(&array), &array, &settings), "infinity");
    assert_eq!(bytes(&field(&array), &array), "7fffffffffffffff");
    let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN]));
    assert_eq!(text(&field(&array), &array, &settings), "-infinity");
    assert_eq!(bytes(&field(&array), &array), "8000000000000000");
    let days = |days: i32| -> ArrayRef { Arc::new(arrow::array::Date32Array::from(vec![days])) };
    assert_eq!(text(&field(&days(i32::MAX)), &days(i32::MAX), &settings), "infinity");
    assert_eq!(bytes(&field(&days(i32::MIN)), &days(i32::MIN)), "80000000");
    assert_eq!(*days(0).data_type(), DataType::Date32);
    let arrays: Vec<ArrayRef> = vec![
        days(i32::MAX - 1),
        Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN + 1])),
        Arc::new(arrow::array::TimestampSecondArray::from(vec![i64::MAX])),
        Arc::new(arrow::array::Time64MicrosecondArray::from(vec![-1])),
        Arc::new(arrow::array::DurationSecondArray::from(vec![i64::MAX])),
    ];
    for array in arrays {
        for format in [Format::Text, Format::Binary] {
            let error = cell(&field(&array), &array, 0, format, &settings).unwrap_err();
            assert_eq!(error.sqlstate(), "22008");
        }
    }
}

#[test]
fn no_value_makes_it_panic() {
    use arrow::array::{ArrayData, make_array};
    use arrow::buffer::Buffer;
    use arrow::datatypes::{IntervalUnit, TimeUnit};
    const ROWS: usize = 4_096;
    let units =
        [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let mut types = vec![
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Decimal32(9, 2),
        DataType::Decimal64(18, -100),
        DataType::Decimal128(38, 127),
        DataType::Decimal128(38, -128),
        DataType::Decimal256(76, 40),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::DayTime),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::FixedSizeBinary(16),
    ];
    types.extend(units.map(|unit| DataType::Timestamp(unit, Some("UTC".into()))));
    types.extend(units.map(DataType::Duration));
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut words = Vec::with_capacity(ROWS * 4);
    for index in 0..ROWS * 4 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Numbers of all sizes, and those at the ends.
        words.push(match index % 5 {
            0 => u64::MAX >> (index % 63),
            1 => 1 << (index % 64),
            _ => random >> (random % 64),
        });
    }
    let buffer = Buffer::from_vec(words);
    for zone in ["UTC", "America/New_York", "Australia/Lord_Howe", "+15:59:59", "-15:59:59"] {
        let time_zone = SessionZone::parse(zone).unwrap();
        let settings = ValueSettings { time_zone, extra_float_digits: 0 };
        for data_type in &types {
            let data =
                ArrayData::try_new(data_type.clone(), ROWS, None, 0, vec![buffer.clone()], vec![]);
            let array = make_array(data.unwrap());
            for format in [Format::Text, Format::Binary] {
                let field = field(&array);
                let encoder =
                    crate::postgres::values::encoder::Encoder::new(&field, format, &settings);
                let encoder = encoder.unwrap();
                let cells = encoder.on(&array).unwrap();
                let mut out = bytes::BytesMut::new();
                for row in 0..array.len() {
                    out.clear();
                    let written = cells.encode(row, &mut out);
                    assert_eq!(written.is_err(), out.is_empty());
                }
            }
        }
    }
}
