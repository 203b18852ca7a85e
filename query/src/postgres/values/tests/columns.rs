//! Columns of all Arrow types: the PostgreSQL type, and both forms.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Date64Array,
    Decimal32Array, Decimal64Array, Decimal128Array, DictionaryArray, DurationMillisecondArray,
    FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, IntervalDayTimeArray, IntervalYearMonthArray,
    LargeBinaryArray, LargeListArray, LargeStringArray, ListArray, ListViewArray, NullArray,
    PrimitiveRunBuilder, RunArray, StringArray, StringViewArray, Time32MillisecondArray,
    Time32SecondArray, Time64MicrosecondArray, Time64NanosecondArray, TimestampMillisecondArray,
    TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{
    DataType, Field, Float16Type, Int32Type, Int64Type, IntervalDayTime, UInt8Type,
};
use bytes::BytesMut;

use super::{cell, field_as, hexadecimal};
use crate::postgres::values::encoder::Encoder;
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::types::pg_column;

fn plain(array: &dyn Array) -> Field {
    Field::new("c", array.data_type().clone(), true)
}

fn extension(array: &dyn Array, name: &str) -> Field {
    plain(array).with_metadata([("ARROW:extension:name".to_owned(), name.to_owned())].into())
}

/// Checks the first row of an array: its type's name, its text, and its bytes.
#[track_caller]
fn check(field: &Field, array: &dyn Array, postgres: &str, text: &str, bytes: &str) {
    let settings = ValueSettings::default();
    let column = pg_column(field).unwrap();
    assert_eq!(column.postgres.name, postgres);
    let written = cell(field, array, 0, Format::Text, &settings).unwrap().unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), text);
    let sent = cell(field, array, 0, Format::Binary, &settings).unwrap().unwrap();
    assert_eq!(hexadecimal(&sent), bytes);
}

#[track_caller]
fn check_plain(array: impl Array, postgres: &str, text: &str, bytes: &str) {
    check(&plain(&array), &array, postgres, text, bytes);
}

#[test]
fn whole_numbers_have_the_next_wider_type() {
    check_plain(Int8Array::from(vec![1]), "int2", "1", "0001");
    check_plain(Int8Array::from(vec![-128]), "int2", "-128", "ff80");
    check_plain(UInt8Array::from(vec![255]), "int2", "255", "00ff");
    check_plain(Int16Array::from(vec![i16::MIN]), "int2", "-32768", "8000");
    check_plain(UInt16Array::from(vec![u16::MAX]), "int4", "65535", "0000ffff");
    check_plain(Int32Array::from(vec![i32::MIN]), "int4", "-2147483648", "80000000");
    check_plain(UInt32Array::from(vec![u32::MAX]), "oid", "4294967295", "ffffffff");
    let (text, bytes) = ("-9223372036854775808", "8000000000000000");
    check_plain(Int64Array::from(vec![i64::MIN]), "int8", text, bytes);
    let (text, bytes) = ("18446744073709551615", "000500040000000007341a5802e103bb064f");
    check_plain(UInt64Array::from(vec![u64::MAX]), "numeric", text, bytes);
    check_plain(BooleanArray::from(vec![true]), "bool", "t", "01");
}

#[test]
fn decimals_tell_their_precision() {
    let typmod = |data_type| pg_column(&Field::new("c", data_type, true)).unwrap().typmod;
    assert_eq!(typmod(DataType::Decimal128(38, 18)), 2_490_390);
    assert_eq!(typmod(DataType::Decimal128(5, -2)), 329_730);
    assert_eq!(typmod(DataType::Decimal32(3, 5)), 196_617);
    assert_eq!(typmod(DataType::new_list(DataType::Decimal64(10, 2), true)), 655_366);
    assert_eq!(typmod(DataType::UInt64), 1_310_724);
    assert_eq!(typmod(DataType::Int64), -1);
    let array = Decimal32Array::from(vec![-5]).with_precision_and_scale(3, 1).unwrap();
    check_plain(array, "numeric", "-0.5", "0001ffff400000011388");
    let array = Decimal64Array::from(vec![123_450]).with_precision_and_scale(10, 2).unwrap();
    check_plain(array, "numeric", "1234.50", "000200000000000204d21388");
}

#[test]
fn strings_are_text_however_they_are_packed() {
    let (text, bytes) = ("é", "c3a9");
    check_plain(StringArray::from(vec![text]), "text", text, bytes);
    check_plain(LargeStringArray::from(vec![text]), "text", text, bytes);
    check_plain(StringViewArray::from(vec![text]), "text", text, bytes);
    let keyed: DictionaryArray<UInt8Type> = vec![text, "b"].into_iter().collect();
    check_plain(keyed, "text", text, bytes);
    let runs: RunArray<Int32Type> = vec![text, text, "b"].into_iter().collect();
    check_plain(runs, "text", text, bytes);
    check_plain(BinaryArray::from_vec(vec![b"\x00\xff"]), "bytea", "\\x00ff", "00ff");
    check_plain(LargeBinaryArray::from_vec(vec![b"\x01"]), "bytea", "\\x01", "01");
    check_plain(BinaryViewArray::from(vec![b"\x01".as_slice()]), "bytea", "\\x01", "01");
    let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8; 16]].into_iter()).unwrap();
    let digits = "01".repeat(16);
    let three = FixedSizeBinaryArray::try_from_iter([[1_u8; 3]].into_iter()).unwrap();
    check_plain(three, "bytea", "\\x010101", "010101");
    let uuid = "01010101-0101-0101-0101-010101010101";
    // Only the values of parameters are 16 bytes, and of this type.
    check(&plain(&fixed), &fixed, "uuid", uuid, &digits);
    check(&extension(&fixed, "arrow.uuid"), &fixed, "uuid", uuid, &digits);
    let json = StringArray::from(vec!["{}"]);
    check(&extension(&json, "arrow.json"), &json, "json", "{}", "7b7d");
    check(&field_as(&json, "jsonb"), &json, "jsonb", "{}", "017b7d");
}

#[test]
fn rows_without_value_are_null_in_each_packing() {
    let settings = ValueSettings::default();
    let mut numbers = PrimitiveRunBuilder::<Int32Type, Int64Type>::new();
    numbers.extend([Some(1), None, None]);
    let keys: DictionaryArray<UInt8Type> = vec![Some("a"), None].into_iter().collect();
    let no_values = DictionaryArray::<UInt8Type>::try_new(
        UInt8Array::from(vec![None, None]),
        Arc::new(StringArray::from(Vec::<&str>::new())),
    );
    let null_value = DictionaryArray::<UInt8Type>::try_new(
        UInt8Array::from(vec![0, 1]),
        Arc::new(StringArray::from(vec![Some("a"), None])),
    );
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(NullArray::new(2)),
        Arc::new(Int32Array::from(vec![Some(1), None])),
        Arc::new(numbers.finish().slice(0, 3)),
        Arc::new(numbers_sliced()),
        Arc::new(keys),
        Arc::new(no_values.unwrap()),
        Arc::new(null_value.unwrap()),
    ];
    for array in arrays {
        for format in [Format::Text, Format::Binary] {
            let cell = cell(&plain(&array), &array, 1, format, &settings).unwrap();
            assert_eq!(cell, None, "{:?}", array.data_type());
        }
    }
}

fn numbers_sliced() -> RunArray<Int32Type> {
    let mut numbers = PrimitiveRunBuilder::<Int32Type, Int64Type>::new();
    numbers.extend([Some(1), Some(1), Some(2), None]);
    numbers.finish().slice(2, 2)
}

#[test]
fn floats_are_wide_or_narrow() {
    check_plain(Float32Array::from(vec![0.1]), "float4", "0.1", "3dcccccd");
    check_plain(Float64Array::from(vec![0.1]), "float8", "0.1", "3fb999999999999a");
    let half =
        Float16Array::from_iter_values(Float32Array::from(vec![1.5_f32]).values().iter().map(
            |value| <Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native::from_f32(*value),
        ));
    check_plain(half, "float4", "1.5", "3fc00000");
}

#[test]
fn clocks_of_all_units_are_shown() {
    check_plain(Date32Array::from(vec![0]), "date", "1970-01-01", "ffffd533");
    check_plain(Date64Array::from(vec![-1]), "date", "1969-12-31", "ffffd532");
    let (text, bytes) = ("00:00:01", "00000000000f4240");
    check_plain(Time32SecondArray::from(vec![1]), "time", text, bytes);
    check_plain(Time32MillisecondArray::from(vec![1_000]), "time", text, bytes);
    check_plain(Time64MicrosecondArray::from(vec![1_000_000]), "time", text, bytes);
    check_plain(Time64NanosecondArray::from(vec![1_000_000_999]), "time", text, bytes);
    let at = TimestampSecondArray::from(vec![946_684_800]);
    check_plain(at, "timestamp", "2000-01-01 00:00:00", "0000000000000000");
    let at = TimestampMillisecondArray::from(vec![946_684_800_001]).with_timezone("+02:00");
    check_plain(at, "timestamptz", "2000-01-01 00:00:00.001+00", "00000000000003e8");
    let (text, bytes) = ("1 year 1 mon", "0000000000000000000000000000000d");
    check_plain(IntervalYearMonthArray::from(vec![13]), "interval", text, bytes);
    let value = IntervalDayTime { days: 2, milliseconds: -1 };
    let (text, bytes) = ("2 days -00:00:00.001", "fffffffffffffc180000000200000000");
    check_plain(IntervalDayTimeArray::from(vec![value]), "interval", text, bytes);
    let (text, bytes) = ("25:00:00", "00000014f46b04000000000000000000");
    check_plain(DurationMillisecondArray::from(vec![90_000_000]), "interval", text, bytes);
}

#[test]
fn lists_of_all_kinds_are_arrays() {
    let rows = || vec![Some(vec![Some(1), None]), Some(vec![Some(2), Some(3)])];
    let bytes = "00000001000000010000001700000002000000010000000400000001ffffffff";
    check_plain(
        ListArray::from_iter_primitive::<Int32Type, _, _>(rows()),
        "_int4",
        "{1,NULL}",
        bytes,
    );
    let large = LargeListArray::from_iter_primitive::<Int32Type, _, _>(rows());
    check_plain(large, "_int4", "{1,NULL}", bytes);
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(rows(), 2);
    check_plain(fixed.slice(1, 1), "_int4", "{2,3}", &array_bytes(&[2, 3]));
    check_plain(fixed, "_int4", "{1,NULL}", bytes);
    let view: ListViewArray = ListArray::from_iter_primitive::<Int32Type, _, _>(rows()).into();
    check_plain(view, "_int4", "{1,NULL}", bytes);
    let sliced = ListArray::from_iter_primitive::<Int32Type, _, _>(rows()).slice(1, 1);
    check_plain(sliced, "_int4", "{2,3}", &array_bytes(&[2, 3]));
    let empty = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![None; 0])]);
    check_plain(empty, "_int4", "{}", "000000000000000000000017");
    let nested = DataType::new_list(DataType::new_list(DataType::Int32, true), true);
    let column = pg_column(&Field::new("c", nested, true)).unwrap();
    assert_eq!((column.postgres.name, column.element), ("json", None));
    let list = DataType::new_list(DataType::Utf8, true);
    let column = pg_column(&Field::new("c", list, true)).unwrap();
    assert_eq!((column.postgres.oid, column.element.unwrap().oid), (1009, 25));
}

fn array_bytes(numbers: &[i32]) -> String {
    let mut bytes = format!("0000000100000000000000{:02x}{:08x}00000001", 23, numbers.len());
    for number in numbers {
        bytes.push_str(&format!("00000004{number:08x}"));
    }
    bytes
}

#[test]
fn metadata_names_the_type_of_catalog_columns() {
    let oid = Int64Array::from(vec![26]);
    check(&field_as(&oid, "oid"), &oid, "oid", "26", "0000001a");
    check(&field_as(&oid, "xid"), &oid, "xid", "26", "0000001a");
    check(&field_as(&oid, "regtype"), &oid, "regtype", "oid", "0000001a");
    check(&field_as(&oid, "regclass"), &oid, "regclass", "26", "0000001a");
    let none = UInt32Array::from(vec![0]);
    check(&field_as(&none, "regproc"), &none, "regproc", "-", "00000000");
    let name = StringArray::from(vec!["int4recv"]);
    check(&field_as(&name, "name"), &name, "name", "int4recv", &hexadecimal(b"int4recv"));
    check(&field_as(&name, "regproc"), &name, "regproc", "int4recv", "00000966");
    check(&field_as(&name, "\"char\""), &name, "char", "i", "69");
    let letter = Int8Array::from(vec![b'r'.cast_signed()]);
    check(&field_as(&letter, "\"char\""), &letter, "char", "r", "72");
    let vector = StringArray::from(vec!["1 2"]);
    let bytes = "0000000100000000000000150000000200000000000000020001000000020002";
    check(&field_as(&vector, "int2vector"), &vector, "int2vector", "1 2", bytes);
    let vector = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), Some(2)])]);
    check(&field_as(&vector, "int2vector"), &vector, "int2vector", "1 2", bytes);
    let oids = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
    let bytes = "00000001000000000000001a00000001000000010000000400000001";
    check(&field_as(&oids, "_oid"), &oids, "_oid", "{1}", bytes);
    let literal = StringArray::from(vec!["{a,NULL}"]);
    let bytes = "00000001000000010000001900000002000000010000000161ffffffff";
    check(&field_as(&literal, "_text"), &literal, "_text", "{a,NULL}", bytes);
}

#[test]
fn columns_that_no_type_shows_are_refused() {
    let settings = ValueSettings::default();
    for (data_type, postgres) in
        [(DataType::Int32, "text"), (DataType::Utf8, "nothing"), (DataType::Float64, "int4")]
    {
        let array = arrow::array::new_null_array(&data_type, 1);
        let error = Encoder::new(&field_as(&array, postgres), Format::Text, &settings).unwrap_err();
        assert_eq!(error.sqlstate(), "0A000");
    }
    let encoder =
        Encoder::new(&plain(&Int32Array::from(vec![1])), Format::Text, &settings).unwrap();
    let other = StringArray::from(vec!["a"]);
    assert_eq!(encoder.on(&other).unwrap_err().sqlstate(), "XX000");
}

#[test]
fn nothing_is_appended_for_a_value_out_of_range() {
    let settings = ValueSettings::default();
    let array = Int64Array::from(vec![-1]);
    let encoder = Encoder::new(&field_as(&array, "oid"), Format::Binary, &settings).unwrap();
    let mut out = BytesMut::from(&b"before"[..]);
    let error = encoder.encode(&array, 0, &mut out).unwrap_err();
    assert_eq!(error.sqlstate(), "22003");
    assert_eq!(&out[..], b"before");
    let array = Decimal128Array::from(vec![1]);
    assert_eq!(array.len(), 1);
}
