//! What the columns of a file are.

use super::doubts::{nearly_numbers, odd_values};
use super::event_time::{event_time, hints, is_of_day, said_of_time, said_of_zone};
use super::numbers::{self, Digits};
use super::values::{ColumnValues, Looks, Values};
use super::{Said, Sniffed, SniffedColumn, SniffedTime, listed, times};
use crate::decode::{NumberMarks, TruthWords};
use crate::file::FileFormat;
use crate::types::utc_timestamp;
use arrow::datatypes::DataType;

/// Words for truth values, true first.
const WORDS: [(&str, &str); 22] = [
    ("yes", "no"),
    ("Yes", "No"),
    ("YES", "NO"),
    ("Y", "N"),
    ("y", "n"),
    ("ja", "nein"),
    ("Ja", "Nein"),
    ("JA", "NEIN"),
    ("J", "N"),
    ("oui", "non"),
    ("Oui", "Non"),
    ("OUI", "NON"),
    ("O", "N"),
    ("ja", "nej"),
    ("Ja", "Nej"),
    ("JA", "NEJ"),
    ("ja", "nee"),
    ("Ja", "Nee"),
    ("kyllä", "ei"),
    ("Kyllä", "Ei"),
    ("sí", "no"),
    ("Sí", "No"),
];
/// Digits of an int64, and of a decimal that is held in one.
const INT_DIGITS: usize = 18;
/// Digits below the point of an amount; with more it is a measure.
const AMOUNT_DIGITS: usize = 6;

/// Decides types, marks, words and the event time.
pub(super) fn settle(values: Values, sniffed: &mut Sniffed, said: &mut Said) {
    let records = values.records;
    let named = values.columns.into_iter().filter(|column| !column.name.is_empty());
    let columns: Vec<ColumnValues> = named.collect();
    let is_csv = sniffed.csv.is_some();
    if is_csv {
        let is_clock = |column: &&ColumnValues| {
            is_of_day(&column.name) && times::clock(&column.texts, true).is_some()
        };
        let others = columns.iter().filter(|column| !is_clock(column));
        let texts: Vec<&[String]> = others.map(|column| &column.texts[..]).collect();
        sniffed.numbers = numbers::marks(&texts, said);
        sniffed.words = words(&columns, said);
    }
    let mut looks: Vec<Looks> = Vec::new();
    let mut empty = Vec::new();
    for column in &columns {
        let values = column.texts.len() + column.numbers.len() + column.bools + column.others;
        if values == 0 {
            empty.push(&column.name);
        }
        looks.push(match is_csv {
            true => of_field(column, sniffed, said),
            false => of_json(column),
        });
    }
    if !empty.is_empty() {
        said.unsure(format!("the type of {}: there is no value of it", listed(&empty)));
    }
    said_of_capitals(&columns, said);
    let is_of_changes = matches!(sniffed.format, FileFormat::Debezium(_));
    if !is_of_changes {
        event_time(&columns, &looks, records, sniffed, said);
    }
    for (column, looks) in columns.iter().zip(looks) {
        let is_time = sniffed.event_time.contains(&column.name);
        let is_made = sniffed.event_time.len() > 1;
        let (data_type, format) = match looks {
            _ if is_time && is_made => (DataType::Utf8, None),
            _ if is_time => (utc_timestamp(), None),
            Looks::Is(data_type) => (data_type, None),
            Looks::Time(_) if is_of_changes => (DataType::Utf8, None),
            Looks::Time(form) => {
                let data_type = if form.has_clock { utc_timestamp() } else { DataType::Date32 };
                said_of_time(&column.name, &form, said);
                if form.has_clock && !form.has_offset {
                    said_of_zone(&column.name, "the column", said);
                }
                (data_type, (form.written != "auto").then_some(SniffedTime(form.written)))
            }
            Looks::Epoch(_) => (DataType::Int64, None),
            Looks::Clock(_) => (DataType::Utf8, None),
        };
        let name = column.name.clone();
        sniffed.columns.push(SniffedColumn { name, data_type, format });
    }
}

/// Says of columns that a Delta table can't tell apart.
fn said_of_capitals(columns: &[ColumnValues], said: &mut Said) {
    for (place, column) in columns.iter().enumerate() {
        let lower = column.name.to_lowercase();
        let same = columns[..place].iter().find(|before| before.name.to_lowercase() == lower);
        if let Some(before) = same {
            said.unsure(format!(
                "whether both `{}` and `{}` are wanted: they differ in capitals only, and a Delta \
                 table holds one of them; leave one out, or give it another name by `from`",
                before.name, column.name
            ));
        }
    }
}

/// What a column of CSV fields looks like.
fn of_field(column: &ColumnValues, sniffed: &Sniffed, said: &mut Said) -> Looks {
    let texts = &column.texts;
    let all = |words: &[&str]| texts.iter().all(|text| words.contains(&text.as_str()));
    if texts.is_empty() {
        return Looks::Is(DataType::Utf8);
    }
    if let Some(words) = &sniffed.words {
        if texts.iter().all(|text| words.read(text).is_some()) {
            return Looks::Is(DataType::Boolean);
        }
    } else if all(&["true", "false"]) || all(&["True", "False"]) || all(&["TRUE", "FALSE"]) {
        return Looks::Is(DataType::Boolean);
    }
    let hints = hints(&column.name);
    let clock = times::clock(texts, is_of_day(&column.name));
    if let (Some(clock), true) = (clock, is_of_day(&column.name)) {
        return Looks::Clock(clock);
    }
    if let Some(digits) = Digits::of(texts, &sniffed.numbers) {
        let eight = texts.iter().all(|text| text.len() == 8);
        if hints > 0
            && eight
            && let Some(form) = times::form(texts)
        {
            return Looks::Time(form);
        }
        if hints > 0
            && let Some(unit) = times::epoch(texts)
        {
            return Looks::Epoch(unit);
        }
        return Looks::Is(number(&digits));
    }
    if let Some(form) = times::form(texts) {
        return Looks::Time(form);
    }
    if let Some(clock) = clock {
        return Looks::Clock(clock);
    }
    if !nearly_numbers(column, said) {
        odd_values(column, &sniffed.numbers, said);
    }
    Looks::Is(DataType::Utf8)
}

/// What a field of JSON records looks like.
fn of_json(column: &ColumnValues) -> Looks {
    let text = Looks::Is(DataType::Utf8);
    let kinds =
        [!column.texts.is_empty(), !column.numbers.is_empty(), column.bools > 0, column.others > 0];
    if kinds.iter().filter(|kind| **kind).count() != 1 || column.others > 0 {
        return text;
    }
    if column.bools > 0 {
        return Looks::Is(DataType::Boolean);
    }
    let usual = NumberMarks::default();
    if !column.numbers.is_empty() {
        if hints(&column.name) > 0
            && let Some(unit) = times::epoch(&column.numbers)
        {
            return Looks::Epoch(unit);
        }
        return Digits::of(&column.numbers, &usual)
            .map_or(text, |digits| Looks::Is(number(&digits)));
    }
    // A number in a string is one where it has digits below a point; else it may be a name.
    let digits = Digits::of(&column.texts, &usual);
    if let Some(digits) = digits.filter(|digits| digits.fraction > 0 && !digits.is_code) {
        return Looks::Is(number(&digits));
    }
    if digits.is_none()
        && let Some(form) = times::form(&column.texts)
    {
        return Looks::Time(form);
    }
    text
}

/// The type that holds numbers of so many digits.
fn number(digits: &Digits) -> DataType {
    let Digits { whole, fraction, has_exponent, is_code } = *digits;
    if is_code {
        return DataType::Utf8;
    }
    if fraction == 0 && !has_exponent {
        return if whole <= INT_DIGITS { DataType::Int64 } else { DataType::Utf8 };
    }
    if has_exponent || fraction > AMOUNT_DIGITS {
        return if whole + fraction <= 17 || has_exponent {
            DataType::Float64
        } else {
            DataType::Utf8
        };
    }
    let precision = if whole + fraction <= INT_DIGITS { INT_DIGITS } else { 38 };
    match (whole + fraction <= 38, i8::try_from(fraction)) {
        (true, Ok(scale)) => DataType::Decimal128(precision as u8, scale),
        _ => DataType::Utf8,
    }
}

/// The words for truth values: pairs of which a column has both, and nothing else.
fn words(columns: &[ColumnValues], said: &mut Said) -> Option<TruthWords> {
    let mut words = TruthWords::default();
    for (yes, no) in WORDS {
        let has = |column: &&ColumnValues| {
            let texts = &column.texts;
            texts.iter().any(|text| text == yes)
                && texts.iter().any(|text| text == no)
                && texts.iter().all(|text| text == yes || text == no)
        };
        if let Some(column) = columns.iter().find(has)
            && !words.yes.iter().any(|word| word == yes)
            && !words.no.iter().any(|word| word == yes)
            && !words.yes.iter().any(|word| word == no)
        {
            said.guess(format!("`{}` is true as {yes:?}, false as {no:?}", column.name));
            words.yes.push(yes.to_owned());
            if !words.no.iter().any(|word| word == no) {
                words.no.push(no.to_owned());
            }
        }
    }
    if words.yes.is_empty() {
        return None;
    }
    // These are the only ones then, so that those of other columns are named too.
    for (yes, no) in [("true", "false"), ("True", "False"), ("TRUE", "FALSE")] {
        let has = |column: &ColumnValues| {
            !column.texts.is_empty() && column.texts.iter().all(|text| text == yes || text == no)
        };
        if columns.iter().any(has) {
            words.yes.push(yes.to_owned());
            words.no.push(no.to_owned());
        }
    }
    Some(words)
}
