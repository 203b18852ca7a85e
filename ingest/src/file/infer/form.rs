//! What the values of a column have in common: the ways of writing that give all of them back.

use crate::decode::{parse_date, parse_timestamp, significant_digits};
use crate::types::utc_timestamp;
use arrow::datatypes::DataType;

/// Whole numbers of an int64.
const INTEGER: u16 = 1;
/// The shortest decimal of a float: `3`, `12.5`.
const FLOAT_SHORTEST: u16 = 2;
/// Python's: `3.0`, `12.5`, `1e-07`.
const FLOAT_PYTHON: u16 = 4;
/// A fixed count of digits below the point: `3.00`, `12.50`.
const FLOAT_FIXED: u16 = 8;
/// A JSON number.
const FLOAT_JSON: u16 = 16;
const BOOL_LOWER: u16 = 32;
const BOOL_TITLE: u16 = 64;
const BOOL_UPPER: u16 = 128;
const DATE: u16 = 256;
const TIME: u16 = 512;

const NUMBERS: u16 = INTEGER | FLOAT_SHORTEST | FLOAT_PYTHON | FLOAT_FIXED | FLOAT_JSON;
const FLOATS: u16 = FLOAT_SHORTEST | FLOAT_PYTHON | FLOAT_FIXED | FLOAT_JSON;
const BOOLS: u16 = BOOL_LOWER | BOOL_TITLE | BOOL_UPPER;

/// The ways in which a column's values so far may all be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Form {
    /// Whether there was any value.
    has_value: bool,
    ways: u16,
    /// Digits below the point of all values, for [`FLOAT_FIXED`].
    scale: Option<usize>,
    /// The first value that looks like a number and that no number would give back.
    kept: Option<String>,
}

impl Form {
    /// Whether there was any value.
    pub(super) fn has_value(&self) -> bool {
        self.has_value
    }

    /// Takes a CSV field in; an empty one says nothing.
    pub(super) fn add_field(&mut self, text: &str) {
        if !text.is_empty() {
            let (ways, scale) = ways_of_field(text);
            self.add(ways, scale, text);
        }
    }

    /// Takes a JSON number in.
    pub(super) fn add_number(&mut self, raw: &str) {
        self.add(ways_of_json_number(raw), None, raw);
    }

    /// Takes a JSON string in: a number in it is a text.
    pub(super) fn add_string(&mut self, text: &str) {
        self.add(ways_of_time(text), None, "");
    }

    pub(super) fn add_bool(&mut self) {
        self.add(BOOL_LOWER, None, "");
    }

    /// Takes in what only a text holds.
    pub(super) fn add_text(&mut self) {
        self.add(0, None, "");
    }

    fn add(&mut self, mut ways: u16, scale: Option<usize>, text: &str) {
        if !self.has_value {
            (self.has_value, self.scale) = (true, scale);
            self.ways = u16::MAX;
        }
        if scale != self.scale {
            ways &= !FLOAT_FIXED;
        }
        let numbers_before = self.ways & NUMBERS != 0;
        self.ways &= ways;
        if numbers_before
            && self.ways & NUMBERS == 0
            && self.kept.is_none()
            && looks_like_a_number(text)
        {
            self.kept = Some(text.to_owned());
        }
    }

    /// The type that gives all values back.
    pub(super) fn data_type(&self) -> DataType {
        let has = |ways: u16| self.has_value && self.ways & ways != 0;
        match () {
            () if has(INTEGER) => DataType::Int64,
            () if has(FLOATS) => DataType::Float64,
            () if has(BOOLS) => DataType::Boolean,
            () if has(DATE) => DataType::Date32,
            () if has(TIME) => utc_timestamp(),
            () => DataType::Utf8,
        }
    }

    /// The value for which a column of numbers is text.
    pub(super) fn kept_as_text(&self) -> Option<&str> {
        self.kept.as_deref()
    }
}

fn looks_like_a_number(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
}

/// The ways that give a CSV field back, and its digits below the point.
fn ways_of_field(text: &str) -> (u16, Option<usize>) {
    let bool_ways = match text {
        "true" | "false" => BOOL_LOWER,
        "True" | "False" => BOOL_TITLE,
        "TRUE" | "FALSE" => BOOL_UPPER,
        _ => 0,
    };
    if bool_ways != 0 {
        return (bool_ways, None);
    }
    if !looks_like_a_number(text) {
        return (ways_of_time(text), None);
    }
    let mut ways = 0;
    if text.parse::<i64>().is_ok_and(|value| value.to_string() == text) {
        ways |= INTEGER;
    }
    // A longer whole number may be the shortest form of some float, but its neighbors are not.
    let long_whole = ways == 0
        && text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit())
        && text.len() > 18;
    let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite() && !long_whole)
    else {
        return (ways_or_time(ways, text), None);
    };
    if value.to_string() == text {
        ways |= FLOAT_SHORTEST;
    }
    if python(value) == text {
        ways |= FLOAT_PYTHON;
    }
    let scale = text.split_once('.').map(|(_, fraction)| fraction.len());
    if scale.is_some_and(|scale| scale > 0 && format!("{value:.scale$}") == text) {
        ways |= FLOAT_FIXED;
    }
    (ways_or_time(ways, text), scale)
}

/// A date is made of digits and dashes, as some numbers are.
fn ways_or_time(ways: u16, text: &str) -> u16 {
    if ways == 0 { ways_of_time(text) } else { ways }
}

/// A float as Python writes it.
fn python(value: f64) -> String {
    let text = format!("{value:?}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn ways_of_json_number(raw: &str) -> u16 {
    let whole = raw.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if whole && raw != "-0" {
        return match raw.parse::<i64>() {
            Ok(value) if value.unsigned_abs() <= 1 << 53 => INTEGER | FLOAT_JSON,
            Ok(_) => INTEGER,
            Err(_) => 0,
        };
    }
    let finite = raw.parse::<f64>().is_ok_and(f64::is_finite);
    // Seventeen digits tell every float from its neighbors; more of them say more than a float
    // holds.
    if finite && significant_digits(raw.as_bytes()) <= 17 { FLOAT_JSON } else { 0 }
}

fn ways_of_time(text: &str) -> u16 {
    let bytes = text.as_bytes();
    if bytes.len() == 10 && parse_date(bytes).is_some() {
        return DATE | TIME;
    }
    if parse_timestamp(bytes).is_none() || cut(bytes) { 0 } else { TIME }
}

/// Whether a time has digits that a timestamp would lose, or a second that it does not have.
fn cut(time: &[u8]) -> bool {
    let fraction =
        time.iter().position(|b| matches!(b, b'.' | b',')).map_or(&[][..], |at| &time[at + 1..]);
    let below = fraction.iter().take_while(|b| b.is_ascii_digit()).skip(6).any(|b| *b != b'0');
    below || time.get(17..19).is_some_and(|second| second == b"60")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::type_name;
    use proptest::prelude::*;

    fn of(values: &[&str]) -> String {
        let mut form = Form::default();
        for value in values {
            form.add_field(value);
        }
        type_name(&form.data_type())
    }

    #[test]
    fn a_column_gets_the_type_that_gives_all_of_its_values_back() {
        for (values, expected) in [
            (&["12", "-7", "0", ""][..], "int64"),
            (&["9223372036854775807", "-9223372036854775808"], "int64"),
            (&["9223372036854775808"], "string"),
            (&["74063125074063125074063"], "string"),
            (&["10000000000000000000"], "string"),
            (&["18446744073709551615", "1"], "string"),
            (&["007"], "string"),
            (&["1", "2", "03"], "string"),
            (&["00"], "string"),
            (&["+491701234567"], "string"),
            (&["12E5"], "string"),
            (&["1e5", "2"], "string"),
            (&["0x1F"], "string"),
            (&["1_000"], "string"),
            (&["1,5"], "string"),
            (&[" 1"], "string"),
            (&["12", "1.5"], "float64"),
            (&["12.50", "1.50"], "float64"),
            (&["1200000.0", "3.5"], "float64"),
            (&["1200000.0"], "float64"),
            (&["1.1", "1.10"], "string"),
            (&["1", "2.0"], "string"),
            (&["0.30000000000000004", "1e-07", "1e+16"], "float64"),
            (&["1e-7"], "string"),
            (&["12345678901234567.89"], "string"),
            (&["0.1000000000000000055"], "string"),
            (&["-0"], "float64"),
            (&["-0", "1"], "float64"),
            (&["-0.0"], "float64"),
            (&[".5"], "string"),
            (&["5."], "string"),
            (&["1e400"], "string"),
            (&["NaN"], "string"),
            (&["1.5", "NaN"], "string"),
            (&["inf"], "string"),
            (&["1.2.3"], "string"),
            (&["true", "false"], "boolean"),
            (&["True", "False"], "boolean"),
            (&["true", "False"], "string"),
            (&["true", "1"], "string"),
            (&["2018-04-01"], "date"),
            (&["2018-04-01 00:00:31"], "timestamp"),
            (&["2018-04-01 00:00:31", "2018-04-01"], "timestamp"),
            (&["2018-04-01T00:00:31.123456Z"], "timestamp"),
            (&["2018-04-01T00:00:31.123456000Z"], "timestamp"),
            (&["2018-04-01T00:00:31.123456789Z"], "string"),
            (&["2016-12-31T23:59:60Z"], "string"),
            (&["2018-04-31"], "string"),
            (&["20180401"], "int64"),
            (&["10:30:00"], "string"),
            (&["2018-04-01", "5"], "string"),
            (&["x", "1"], "string"),
            (&["", ""], "string"),
            (&[], "string"),
        ] {
            let expected = if expected == "boolean" { "bool" } else { expected };
            assert_eq!(of(values), expected, "{values:?}");
        }
    }

    #[test]
    fn of_json_numbers_the_digits_count_and_strings_stay_strings() {
        let of = |values: &[&str]| {
            let mut form = Form::default();
            for value in values {
                match value.strip_prefix('"') {
                    Some(text) => form.add_string(text),
                    None => form.add_number(value),
                }
            }
            type_name(&form.data_type())
        };
        for (values, expected) in [
            (&["1", "-5"][..], "int64"),
            (&["1", "1.50"], "float64"),
            (&["1e5", "2.0E-3"], "float64"),
            (&["0.10000000000000001"], "float64"),
            (&["0.123456789012345678"], "string"),
            (&["12345678901234567890"], "string"),
            (&["9007199254740993"], "int64"),
            (&["9007199254740993", "0.5"], "string"),
            (&["-0"], "float64"),
            (&["1e400"], "string"),
            (&["\"12"], "string"),
            (&["\"12", "12"], "string"),
            (&["\"2018-04-01"], "date"),
            (&["\"2018-04-01 10:00", "5"], "string"),
        ] {
            assert_eq!(of(values), expected, "{values:?}");
        }
    }

    #[test]
    fn the_value_that_makes_a_column_of_numbers_text_is_known() {
        let mut form = Form::default();
        for value in ["1", "2", "007", "+4"] {
            form.add_field(value);
        }
        assert_eq!(form.kept_as_text(), Some("007"));
        let mut form = Form::default();
        form.add_field("a");
        form.add_field("007");
        assert_eq!(form.kept_as_text(), None);
    }

    proptest! {
        #[test]
        fn numbers_of_a_column_are_given_back(
            values in proptest::collection::vec(
                "[-+]?[0-9]{1,20}(\\.[0-9]{1,4})?([eE][-+]?[0-9]{1,2})?",
                1..4,
            ),
        ) {
            let mut form = Form::default();
            for value in &values {
                form.add_field(value);
            }
            match form.data_type() {
                DataType::Int64 => {
                    for value in &values {
                        prop_assert_eq!(
                            &value.parse::<i64>().expect("an integer").to_string(),
                            value
                        );
                    }
                }
                DataType::Float64 => {
                    let floats: Vec<f64> =
                        values.iter().map(|v| v.parse().expect("a float")).collect();
                    let scale = values[0].split_once('.').map_or(0, |(_, fraction)| fraction.len());
                    let all = |write: &dyn Fn(f64) -> String| {
                        floats.iter().zip(&values).all(|(float, text)| write(*float) == *text)
                    };
                    prop_assert!(
                        all(&|f| f.to_string()) || all(&python) || all(&|f| format!("{f:.scale$}")),
                        "{:?}",
                        values
                    );
                }
                _ => {}
            }
        }
    }
}
