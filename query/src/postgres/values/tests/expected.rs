//! Parameters in the type that a statement has in their place.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Int32Type, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;

use super::read::{ACCEPTED, REFUSED};
use crate::postgres::values::error::ParameterError;
use crate::postgres::values::oid;
use crate::postgres::values::parameters::decode_parameter;
use crate::postgres::values::pg_types::all_types;
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::zone::SessionZone;

fn text(oid: u32, text: &str, expected: &DataType) -> Result<ScalarValue, ParameterError> {
    let settings = ValueSettings::default();
    decode_parameter(oid, Format::Text, Some(text.as_bytes()), expected, &settings)
}

fn in_berlin(oid: u32, text: &str, expected: &DataType) -> ScalarValue {
    let time_zone = SessionZone::parse("Europe/Berlin").unwrap();
    let settings = ValueSettings { time_zone, ..ValueSettings::default() };
    decode_parameter(oid, Format::Text, Some(text.as_bytes()), expected, &settings).unwrap()
}

fn micros(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

#[test]
fn values_without_type_are_read_as_what_is_expected() {
    let decimal = DataType::Decimal128(10, 2);
    let keyed = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let one = |data_type: &DataType, value: &str| text(0, value, data_type).unwrap();
    assert_eq!(one(&DataType::Int32, "5"), ScalarValue::Int32(Some(5)));
    assert_eq!(one(&DataType::UInt8, "200"), ScalarValue::UInt8(Some(200)));
    let max = u64::MAX;
    assert_eq!(one(&DataType::UInt64, &max.to_string()), ScalarValue::UInt64(Some(max)));
    assert_eq!(one(&decimal, "-1.5"), ScalarValue::Decimal128(Some(-150), 10, 2));
    assert_eq!(one(&DataType::Decimal64(10, -2), "1200"), ScalarValue::Decimal64(Some(12), 10, -2));
    assert_eq!(one(&DataType::Float64, "1e3"), ScalarValue::Float64(Some(1_000.0)));
    assert_eq!(one(&DataType::Utf8View, "a"), ScalarValue::Utf8View(Some("a".into())));
    assert_eq!(one(&DataType::Null, "a"), ScalarValue::Utf8(Some("a".into())));
    let value = ScalarValue::Dictionary(
        Box::new(DataType::Int32),
        Box::new(ScalarValue::Utf8(Some("a".into()))),
    );
    assert_eq!(one(&keyed, "a"), value);
    assert_eq!(one(&DataType::Boolean, "yes"), ScalarValue::Boolean(Some(true)));
    assert_eq!(one(&DataType::Date32, "1970-01-02"), ScalarValue::Date32(Some(1)));
    assert_eq!(one(&DataType::Date64, "1970-01-02"), ScalarValue::Date64(Some(86_400_000)));
    let uuid = "01010101-0101-0101-0101-010101010101";
    let bytes = ScalarValue::FixedSizeBinary(16, Some(vec![1; 16]));
    assert_eq!(one(&DataType::FixedSizeBinary(16), uuid), bytes);
    assert_eq!(one(&DataType::FixedSizeBinary(16), &format!("\\x{}", "01".repeat(16))), bytes);
    assert_eq!(
        text(oid::UUID, uuid, &DataType::Utf8).unwrap(),
        ScalarValue::Utf8(Some(uuid.into()))
    );
    // A client's text is no other than a value without type.
    assert_eq!(text(oid::TEXT, "5", &DataType::Int64).unwrap(), ScalarValue::Int64(Some(5)));
    assert_eq!(text(oid::TEXT, "x", &DataType::Int64).unwrap_err().sqlstate(), "22P02");
    assert_eq!(text(oid::UNKNOWN, "x", &DataType::Date32).unwrap_err().sqlstate(), "22007");
}

#[test]
fn values_that_a_type_cannot_hold_keep_a_wider_one() {
    let decimal = DataType::Decimal128(10, 2);
    let value = text(oid::NUMERIC, "1.005", &decimal).unwrap();
    assert_eq!(value, ScalarValue::Decimal128(Some(1_005), 38, 3));
    let digits = "12345678901234567890123456789012345678.5";
    let value = text(oid::NUMERIC, digits, &decimal).unwrap();
    assert_eq!(value.data_type(), DataType::Decimal256(76, 2));
    assert_eq!(text(oid::NUMERIC, &"9".repeat(77), &decimal).unwrap_err().sqlstate(), "22003");
    let value = text(oid::INT4, "5", &decimal).unwrap();
    assert_eq!(value, ScalarValue::Decimal128(Some(500), 10, 2));
    let value = text(oid::INT8, "3000000000", &DataType::Int32).unwrap();
    assert_eq!(value, ScalarValue::Int64(Some(3_000_000_000)));
    let value = text(oid::NUMERIC, "2.0", &DataType::Int32).unwrap();
    assert_eq!(value, ScalarValue::Int32(Some(2)));
    let value = text(oid::NUMERIC, "2.5", &DataType::Int32).unwrap();
    assert_eq!(value, ScalarValue::Decimal128(Some(25), 38, 1));
    // A float has no exact decimal that anyone meant: it is compared as a float.
    let value = text(oid::FLOAT8, "0.1", &decimal).unwrap();
    assert_eq!(value, ScalarValue::Float64(Some(0.1)));
    let value = text(oid::FLOAT8, "0.1", &DataType::Float32).unwrap();
    assert_eq!(value, ScalarValue::Float64(Some(0.1)));
    let value = text(oid::FLOAT8, "0.5", &DataType::Float32).unwrap();
    assert_eq!(value, ScalarValue::Float32(Some(0.5)));
    let months = DataType::Interval(IntervalUnit::YearMonth);
    assert_eq!(text(0, "1 year", &months).unwrap(), ScalarValue::IntervalYearMonth(Some(12)));
    let value = text(0, "1 day", &months).unwrap();
    assert_eq!(value.data_type(), DataType::Interval(IntervalUnit::MonthDayNano));
    let seconds = DataType::Duration(TimeUnit::Second);
    assert_eq!(text(0, "1 day", &seconds).unwrap(), ScalarValue::DurationSecond(Some(86_400)));
}

#[test]
fn instants_keep_what_their_column_keeps() {
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let value = text(0, "1970-01-01 00:00:00.123456789Z", &nanos).unwrap();
    assert_eq!(value, ScalarValue::TimestampNanosecond(Some(123_456_789), None));
    let value = text(0, "1970-01-01 00:00:00.1234567", &micros(None)).unwrap();
    assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(123_457), None));
    let value = text(0, "9999-12-31", &nanos).unwrap();
    assert_eq!(value.data_type(), micros(None));
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let value = text(0, "1970-01-01 00:00:00.001", &millis).unwrap();
    assert_eq!(value, ScalarValue::TimestampMillisecond(Some(1), None));
    let value = text(0, "1970-01-01 00:00:00.0011", &millis).unwrap();
    assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(1_100), None));
    for infinite in ["infinity", "-infinity"] {
        assert_eq!(text(oid::DATE, infinite, &DataType::Null).unwrap_err().sqlstate(), "22008");
        assert_eq!(text(0, infinite, &micros(None)).unwrap_err().sqlstate(), "22008");
    }
}

#[test]
fn local_times_are_those_of_the_session() {
    let hour = 3_600_000_000;
    let utc = micros(Some("UTC"));
    let value = in_berlin(0, "1970-01-01 01:00:00", &utc);
    assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(0), Some("UTC".into())));
    let value = in_berlin(oid::TIMESTAMP, "1970-01-01 01:00:00Z", &utc);
    assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(0), Some("UTC".into())));
    let value = in_berlin(oid::DATE, "1970-01-01", &utc);
    assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(-hour), Some("UTC".into())));
    let value = in_berlin(oid::DATE, "1970-01-01", &micros(None));
    assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(0), None));
    let value = in_berlin(oid::TIMESTAMPTZ, "1970-01-01 00:00:00Z", &micros(None));
    assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(hour), None));
}

#[test]
fn arrays_have_the_elements_that_are_expected() {
    let strings = DataType::new_list(DataType::Utf8View, true);
    let value = text(0, "{a,NULL}", &strings).unwrap();
    assert_eq!(value.data_type(), strings);
    let decimals = DataType::new_list(DataType::Decimal128(10, 2), true);
    let value = text(0, "{1,2.5}", &decimals).unwrap();
    assert_eq!(value.data_type(), decimals);
    let value = text(0, "{1,2.125}", &decimals).unwrap();
    assert_eq!(value.data_type(), DataType::new_list(DataType::Decimal128(38, 3), true));
    let field = Arc::new(Field::new_list_field(DataType::Int32, true));
    let value = text(0, "{1,2}", &DataType::LargeList(Arc::clone(&field))).unwrap();
    assert_eq!(value.data_type(), DataType::LargeList(Arc::clone(&field)));
    let value = text(0, "{1,2}", &DataType::FixedSizeList(field, 2)).unwrap();
    let ScalarValue::FixedSizeList(list) = value else { panic!("{value:?}") };
    assert_eq!(list.values().as_primitive::<Int32Type>().values(), &[1, 2]);
    let nested = DataType::new_list(DataType::new_list(DataType::Int32, true), true);
    let value = text(0, "{{1,2},{3,4}}", &nested).unwrap();
    assert_eq!(value.data_type(), nested);
    let flat = DataType::new_list(DataType::Int32, true);
    assert_eq!(text(0, "{{1}}", &flat).unwrap_err().sqlstate(), "0A000");
    assert_eq!(text(0, "{}", &flat).unwrap().data_type(), flat);
    assert_eq!(text(0, "{x}", &flat).unwrap_err().sqlstate(), "22P02");
}

#[test]
fn parameters_without_value_are_null_of_the_expected_type() {
    let settings = ValueSettings::default();
    for row in all_types() {
        let read = decode_parameter(row.oid, Format::Text, None, &DataType::Int32, &settings);
        assert!(read.unwrap().is_null(), "{}", row.name);
    }
    let unknown = decode_parameter(0, Format::Binary, None, &DataType::Null, &settings).unwrap();
    assert_eq!(unknown, ScalarValue::Utf8(None));
    let list = DataType::new_list(DataType::Utf8, true);
    let null = decode_parameter(0, Format::Binary, None, &list, &settings).unwrap();
    assert!(null.is_null() && null.data_type() == list);
}

#[test]
fn wrong_bytes_have_their_codes() {
    let settings = ValueSettings::default();
    let code = |oid, bytes: &[u8]| {
        let read = decode_parameter(oid, Format::Binary, Some(bytes), &DataType::Null, &settings);
        read.unwrap_err().sqlstate()
    };
    assert_eq!(code(oid::INT4, &[0; 3]), "08P01");
    assert_eq!(code(oid::INT4, &[0; 5]), "22P03");
    assert_eq!(code(oid::NUMERIC, &[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10]), "22P03");
    assert_eq!(code(oid::TEXT, b"\xff"), "22021");
    assert_eq!(code(oid::TEXT, b"a\0"), "22021");
    assert_eq!(code(oid::DATE, &i32::MAX.to_be_bytes()), "22008");
    assert_eq!(code(oid::TIMESTAMP, &i64::MIN.to_be_bytes()), "22008");
    assert_eq!(code(1007, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 0, 0, 0, 0, 1]), "42804");
    assert_eq!(code(1007, &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 23]), "22P03");
    assert_eq!(code(99_999, b""), "0A000");
}

/// A stream of numbers that is the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn expected_types() -> Vec<DataType> {
    let fields = vec![
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::Int64,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal32(5, 2),
        DataType::Decimal128(38, 10),
        DataType::Decimal256(76, 76),
        DataType::Decimal128(5, -3),
        DataType::Utf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::FixedSizeBinary(16),
        DataType::FixedSizeBinary(3),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        micros(None),
        micros(Some("America/New_York")),
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Duration(TimeUnit::Nanosecond),
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
        DataType::Struct(vec![Field::new("a", DataType::Int32, true)].into()),
    ];
    let lists = fields.clone().into_iter().map(|field| DataType::new_list(field, true));
    fields.clone().into_iter().chain(lists).collect()
}

/// Reads as each type; what is read can also be sent.
fn try_all(bytes: &[u8], expected: &DataType, random: &mut Random) {
    let settings = ValueSettings {
        time_zone: SessionZone::parse("Europe/Berlin").unwrap(),
        extra_float_digits: 0,
    };
    let index = random.below(all_types().len() + 1);
    let oid = all_types().get(index).map_or(0, |row| row.oid);
    for format in [Format::Text, Format::Binary] {
        let Ok(value) = decode_parameter(oid, format, Some(bytes), expected, &settings) else {
            continue;
        };
        let array: ArrayRef = value.to_array().unwrap();
        let field = Field::new("c", array.data_type().clone(), true);
        for format in [Format::Text, Format::Binary] {
            let sent = super::cell(&field, &array, 0, format, &settings);
            assert!(sent.is_ok() || sent.is_err_and(|error| error.sqlstate().starts_with("22")));
        }
    }
}

#[test]
fn no_bytes_make_it_panic() {
    const ROUNDS: usize = 60_000;
    const ALPHABET: &[u8] = b"0123456789+-:. TZeE{}\\\",x[]=PYMDHSaginfuty\xc3\xa9\x00\xff";
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let types = expected_types();
    let inputs: Vec<Vec<u8>> = ACCEPTED
        .iter()
        .flat_map(|row| [row.1.as_bytes().to_vec(), super::from_hexadecimal(row.3)])
        .chain(REFUSED.iter().map(|row| row.1.as_bytes().to_vec()))
        .collect();
    for round in 0..ROUNDS {
        let mut bytes = match round % 3 {
            0 => (0..random.below(24)).map(|_| random.next().to_le_bytes()[0]).collect(),
            1 => (0..random.below(24)).map(|_| ALPHABET[random.below(ALPHABET.len())]).collect(),
            _ => inputs[random.below(inputs.len())].clone(),
        };
        if round % 2 == 0 && !bytes.is_empty() {
            let place = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[place] = ALPHABET[random.below(ALPHABET.len())],
                1 => bytes[place] = random.next().to_le_bytes()[0],
                _ => bytes.truncate(place),
            }
        }
        let expected = &types[random.below(types.len())];
        try_all(&bytes, expected, &mut random);
    }
}

#[test]
fn long_inputs_are_read_in_time_and_without_deep_calls() {
    let settings = ValueSettings::default();
    let length = 300_000;
    for text in ["{", "1", "9", "[", "-", "1 h ", "{\"", "é", ":", "1d"] {
        let text = text.repeat(length);
        for row in all_types().iter().filter(|row| row.array != 0 || row.is_array()) {
            let bytes = Some(text.as_bytes());
            // Only that it comes back counts.
            let read = decode_parameter(row.oid, Format::Text, bytes, &DataType::Null, &settings);
            drop(read);
        }
    }
}
