//! Structs and maps against `row_to_json`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int32Array, IntervalDayTimeArray, ListArray, MapBuilder,
    StringArray, StringBuilder, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::array::{Int32Builder, ListBuilder};
use arrow::datatypes::{DataType, Field, Int32Type, IntervalDayTime};

use super::{cell, field_as};
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::types::pg_column;

const AT: i64 = 1_705_313_472_500_000;

fn shown(array: &dyn Array) -> String {
    let field = Field::new("c", array.data_type().clone(), true);
    assert_eq!(pg_column(&field).unwrap().postgres.name, "json");
    let settings = ValueSettings::default();
    let text = cell(&field, array, 0, Format::Text, &settings).unwrap().unwrap();
    assert_eq!(cell(&field, array, 0, Format::Binary, &settings).unwrap().unwrap(), text);
    String::from_utf8(text).unwrap()
}

#[test]
fn structs_are_rows_as_json() {
    let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
    let mut push = |array: ArrayRef, postgres: Option<&str>| {
        let letter = b'a' + u8::try_from(columns.len()).unwrap();
        let field = match postgres {
            Some(postgres) => field_as(&array, postgres),
            None => Field::new("", array.data_type().clone(), true),
        };
        columns.push((field.with_name(char::from(letter).to_string()), array));
    };
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None, Some(3)])]);
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.append_value([Some("a\"b"), None]);
    let uuid = from_uuid("a0eebc999c0b4ef8bb6d6bb9bd380a11");
    let inner = Arc::new(Field::new("a", DataType::Int32, true));
    let inner = StructArray::from(vec![(inner, Arc::new(Int32Array::from(vec![1])) as ArrayRef)]);
    let day = IntervalDayTime { days: 1, milliseconds: 7_200_000 };
    let decimal = Decimal128Array::from(vec![150]).with_precision_and_scale(10, 2).unwrap();
    push(Arc::new(Int32Array::from(vec![1])), None);
    push(Arc::new(StringArray::from(vec!["x\"\\\n\t\r\u{8}\u{c}\u{1}é/"])), None);
    push(Arc::new(StringArray::from(vec![None::<&str>])), None);
    push(Arc::new(TimestampMicrosecondArray::from(vec![AT])), None);
    push(Arc::new(TimestampMicrosecondArray::from(vec![AT]).with_timezone("UTC")), None);
    push(Arc::new(Date32Array::from(vec![-735_160])), None);
    push(Arc::new(decimal), None);
    push(Arc::new(Float64Array::from(vec![f64::NAN])), None);
    push(Arc::new(BinaryArray::from_vec(vec![b"\x00\xff"])), None);
    push(Arc::new(BooleanArray::from(vec![true])), None);
    push(Arc::new(list), None);
    push(Arc::new(IntervalDayTimeArray::from(vec![day])), None);
    push(Arc::new(uuid), Some("uuid"));
    push(Arc::new(StringArray::from(vec!["{\"z\": 1}"])), Some("json"));
    push(Arc::new(Time64MicrosecondArray::from(vec![36_672_000_000])), None);
    push(Arc::new(Float64Array::from(vec![1e20])), None);
    push(Arc::new(TimestampMicrosecondArray::from(vec![-63_517_788_000_000_000])), None);
    push(Arc::new(texts.finish()), None);
    push(Arc::new(inner), None);
    push(Arc::new(StringArray::from(vec!["r"])), Some("char"));
    push(Arc::new(UInt32Array::from(vec![5])), Some("oid"));
    push(Arc::new(Float32Array::from(vec![1.5])), None);
    push(Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX])), None);
    let columns = columns.into_iter().map(|(field, array)| (Arc::new(field), array));
    let row = StructArray::from(columns.collect::<Vec<_>>());
    // What `select row_to_json(x)` gave.
    let expected = concat!(
        r#"{"a":1,"b":"x\"\\\n\t\r\b\f\u0001é/","c":null,"d":"2024-01-15T10:11:12.5","#,
        r#""e":"2024-01-15T10:11:12.5+00:00","f":"0044-03-15 BC","g":1.50,"h":"NaN","#,
        r#""i":"\\x00ff","j":true,"k":[1,null,3],"l":"1 day 02:00:00","#,
        r#""m":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","n":{"z": 1},"o":"10:11:12","p":1e+20,"#,
        r#""q":"0044-03-15T10:00:00 BC","r":["a\"b",null],"s":{"a":1},"t":"r","u":"5","#,
        r#""v":1.5,"w":"infinity"}"#,
    );
    assert_eq!(shown(&row), expected);
}

fn from_uuid(digits: &str) -> FixedSizeBinaryArray {
    let bytes = super::from_hexadecimal(digits);
    FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap()
}

#[test]
fn maps_are_objects_and_lists_of_lists_are_json() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("a\"");
    map.values().append_value(1);
    map.keys().append_value("b");
    map.values().append_null();
    map.append(true).unwrap();
    assert_eq!(shown(&map.finish()), r#"{"a\"":1,"b":null}"#);
    let mut map = MapBuilder::new(None, Int32Builder::new(), Int32Builder::new());
    map.keys().append_value(7);
    map.values().append_value(1);
    map.append(true).unwrap();
    assert_eq!(shown(&map.finish()), r#"{"7":1}"#);
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    lists.values().append_value([Some(1)]);
    lists.values().append_null();
    lists.values().append_value([None, Some(2)]);
    lists.append(true);
    assert_eq!(shown(&lists.finish()), "[[1],null,[null,2]]");
}

#[test]
fn lists_of_structs_are_arrays_of_json() {
    let inner = Arc::new(Field::new("a", DataType::Int32, true));
    let rows = Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef;
    let rows = StructArray::from(vec![(inner, rows)]);
    let field = Arc::new(Field::new("item", rows.data_type().clone(), true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2]);
    let list = ListArray::new(field, offsets, Arc::new(rows), None);
    let field = Field::new("c", list.data_type().clone(), true);
    assert_eq!(pg_column(&field).unwrap().postgres.name, "_json");
    let text = cell(&field, &list, 0, Format::Text, &ValueSettings::default()).unwrap().unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), r#"{"{\"a\":1}","{\"a\":2}"}"#);
}
