//! In UTC the functions give what DataFusion's own give.

use arrow::array::Int64Array;
use arrow::compute::cast;
use arrow::datatypes::{Field, TimeUnit};
use datafusion::config::ConfigOptions;
use datafusion::functions::datetime::{date_part, date_trunc};

use super::*;

const UNITS: [(TimeUnit, i64); 4] = [
    (TimeUnit::Second, 1),
    (TimeUnit::Millisecond, 1_000),
    (TimeUnit::Microsecond, 1_000_000),
    (TimeUnit::Nanosecond, 1_000_000_000),
];
const CUTS: [&str; 10] = [
    "microsecond",
    "millisecond",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
];
const PARTS: [&str; 15] = [
    "year",
    "isoyear",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "dow",
    "doy",
    "isodow",
    "epoch",
];

/// Instants from 1690 to 2250, many near midnight, some missing; not from the first on.
fn instants(unit: TimeUnit, per_second: i64, zone: &str) -> ArrayRef {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: i64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i64::try_from(state % bound.unsigned_abs()).unwrap()
    };
    let mut values: Vec<Option<i64>> = vec![None, Some(0), Some(-1), Some(1)];
    for _ in 0..4_000 {
        let day = below(204_000) - 102_000;
        let second = match below(4) {
            0 => 0,
            1 => 86_399,
            _ => below(86_400),
        };
        let value = (day * 86_400 + second) * per_second + below(per_second);
        values.push((below(10) > 0).then_some(value));
    }
    let values: ArrayRef = Arc::new(Int64Array::from(values));
    let values = cast(&values, &DataType::Timestamp(unit, None)).unwrap();
    as_type(&values, DataType::Timestamp(unit, Some(zone.into()))).unwrap().slice(1, 4_003)
}

fn called(function: &ScalarUDF, what: &str, times: &ColumnarValue) -> ColumnarValue {
    let what = ScalarValue::from(what);
    let arg_fields: Vec<FieldRef> = vec![
        Arc::new(Field::new("what", DataType::Utf8, false)),
        Arc::new(Field::new("times", times.data_type(), true)),
    ];
    let scalars = [Some(&what), None];
    let of = ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments: &scalars };
    let return_field = function.return_field_from_args(of).unwrap();
    let number_rows = match times {
        ColumnarValue::Array(times) => times.len(),
        ColumnarValue::Scalar(_) => 1,
    };
    let args = vec![ColumnarValue::Scalar(what.clone()), times.clone()];
    let config_options = Arc::new(ConfigOptions::default());
    let args = ScalarFunctionArgs { args, arg_fields, number_rows, return_field, config_options };
    function.invoke_with_args(args).unwrap()
}

#[test]
fn instants_are_cut_and_divided_as_by_the_plain_functions() {
    for (unit, per_second) in UNITS {
        for zone in ["UTC", "+00:00", "Asia/Kolkata", "America/New_York"] {
            let times = instants(unit, per_second, zone);
            let first = ScalarValue::try_from_array(&times, 5).unwrap();
            for (function, words) in [(date_trunc(), &CUTS[..]), (date_part(), &PARTS[..])] {
                let ours = in_utc(&function);
                for word in words {
                    for times in [
                        ColumnarValue::Array(Arc::clone(&times)),
                        ColumnarValue::Scalar(first.clone()),
                    ] {
                        let found = called(&ours, word, &times).into_array(1).unwrap();
                        let expected = called(&function, word, &times).into_array(1).unwrap();
                        assert_eq!(&found, &expected, "{} {word} {unit:?} {zone}", ours.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_function_is_wrapped_once() {
    let once = in_utc(&date_trunc());
    assert!(Arc::ptr_eq(&in_utc(&once), &once));
    assert_eq!(once.name(), date_trunc().name());
}
