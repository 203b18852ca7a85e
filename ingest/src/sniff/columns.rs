//! What the columns of a file are: their types, and which of them says when a row happened.

use super::numbers::{self, Digits};
use super::times::{self, Form};
use super::{Said, Sniffed, SniffedColumn, SniffedTime, listed};
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

/// The values of a file's columns.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) records: usize,
    pub(super) columns: Vec<ColumnValues>,
}

/// The values of a column, but for nulls.
#[derive(Debug, Default)]
pub(super) struct ColumnValues {
    pub(super) name: String,
    /// CSV fields, or JSON strings.
    pub(super) texts: Vec<String>,
    /// JSON numbers, as they are written.
    pub(super) numbers: Vec<String>,
    /// JSON's truth values.
    pub(super) bools: usize,
    /// Arrays and the like.
    pub(super) others: usize,
}

impl Values {
    pub(super) fn new(names: Vec<String>) -> Self {
        let column = |name| ColumnValues { name, ..ColumnValues::default() };
        Self { records: 0, columns: names.into_iter().map(column).collect() }
    }

    /// A column by its name, which may be new.
    pub(super) fn column(&mut self, name: &str) -> &mut ColumnValues {
        let place = self.columns.iter().position(|column| column.name == name);
        let place = place.unwrap_or_else(|| {
            self.columns.push(ColumnValues { name: name.to_owned(), ..ColumnValues::default() });
            self.columns.len() - 1
        });
        &mut self.columns[place]
    }

    /// Takes a CSV record in.
    pub(super) fn add_fields(&mut self, fields: &[String]) {
        self.records += 1;
        for (column, field) in self.columns.iter_mut().zip(fields) {
            if !field.is_empty() {
                column.texts.push(field.clone());
            }
        }
    }
}

/// What a column may be.
#[derive(Debug)]
enum Looks {
    /// This type, as it is written.
    Is(DataType),
    /// A date or a time.
    Time(Form),
    /// Numbers that may be counts since 1970.
    Epoch(&'static str),
    /// A time of day.
    Clock(&'static str),
}

/// Decides types, marks, words and the event time.
pub(super) fn settle(values: Values, sniffed: &mut Sniffed, said: &mut Said) {
    let records = values.records;
    let named = values.columns.into_iter().filter(|column| !column.name.is_empty());
    let columns: Vec<ColumnValues> = named.collect();
    let is_csv = sniffed.csv.is_some();
    if is_csv {
        let texts: Vec<&[String]> = columns.iter().map(|column| &column.texts[..]).collect();
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
    if let Some(clock) = times::clock(texts, hints > 0) {
        return Looks::Clock(clock);
    }
    odd_values(column, &sniffed.numbers, said);
    Looks::Is(DataType::Utf8)
}

/// Says of a column that is text because of a few values which they are.
fn odd_values(column: &ColumnValues, marks: &NumberMarks, said: &mut Said) {
    let is_number = |text: &String| Digits::of(std::slice::from_ref(text), marks).is_some();
    let is_time = |text: &String| times::form(std::slice::from_ref(text)).is_some();
    for (fits, what) in [(&is_number as &dyn Fn(&String) -> bool, "numbers"), (&is_time, "times")] {
        let looked_at = &column.texts[..column.texts.len().min(1000)];
        let odd: Vec<&String> = looked_at.iter().filter(|text| !fits(text)).collect();
        if !odd.is_empty() && odd.len() * 5 < looked_at.len() {
            said.unsure(format!(
                "the type of `{}`: most values are {what}, and {:?} is none, so that it is a \
                 string",
                column.name, odd[0]
            ));
            return;
        }
    }
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

/// How much a name sounds like the time at which a row happened; 0 for one that does not.
fn hints(name: &str) -> i32 {
    let name = name.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let is_time = has(&[
        "time",
        "date",
        "datum",
        "fecha",
        "data",
        "tag",
        "dag",
        "dato",
        "jour",
        "päivä",
        "uhrzeit",
        "heure",
        "hora",
        "stamp",
        "_at",
        "created",
        "day",
        "buchung",
        "opération",
        "tid",
    ]) || ["at", "ts", "dt"].contains(&name.as_str());
    if !is_time {
        return 0;
    }
    let is_of_event = has(&[
        "booking",
        "buchung",
        "transaction",
        "tx_",
        "txn",
        "timestamp",
        "datetime",
        "event",
        "occurred",
        "posted",
        "completed",
        "created",
        "bokf",
        "opération",
        "operation",
        "payment_at",
        "date_time",
        "bogf",
        "kirjaus",
    ]) || ["at", "ts", "time", "date", "datum", "timestamp"]
        .contains(&name.as_str());
    let is_of_else = has(&[
        "value", "valuta", "wert", "valeur", "birth", "geburt", "due", "expir", "fällig", "ränte",
        "rente", "updated", "modified", "start", "interest", "authori",
    ]);
    2 + 2 * i32::from(is_of_event) - 3 * i32::from(is_of_else)
}

/// Finds the column, or columns, of the event time.
fn event_time(
    columns: &[ColumnValues],
    looks: &[Looks],
    records: usize,
    sniffed: &mut Sniffed,
    said: &mut Said,
) {
    // By: no row lacks it; it has a time of day; what its name says.
    let mut candidates: Vec<((bool, bool, i32), usize)> = Vec::new();
    for (place, (column, looks)) in columns.iter().zip(looks).enumerate() {
        let has_clock = match looks {
            Looks::Time(form) => form.has_clock,
            Looks::Epoch(_) => true,
            Looks::Is(_) | Looks::Clock(_) => continue,
        };
        let values = column.texts.len() + column.numbers.len();
        candidates.push(((values >= records, has_clock, hints(&column.name)), place));
    }
    candidates.sort_by_key(|(rank, place)| (std::cmp::Reverse(*rank), *place));
    let Some((rank, best)) = candidates.first().copied() else { return };
    let name = columns[best].name.clone();
    let rivals: Vec<&String> = candidates[1..]
        .iter()
        .filter(|(other, _)| other.2 >= rank.2 && other.0 == rank.0)
        .map(|(_, place)| &columns[*place].name)
        .collect();
    let others: Vec<&String> =
        candidates[1..].iter().map(|(_, place)| &columns[*place].name).collect();
    if !rivals.is_empty() {
        said.unsure(format!(
            "when a row happened: `{name}` is taken, and {} would do as well",
            listed(&rivals)
        ));
    } else if !others.is_empty() {
        said.guess(format!("when a row happened: `{name}`, and not {}", listed(&others)));
    }
    if !rank.0 {
        said.unsure(format!("`{name}` has no value in some records, which would be dead letters"));
    }
    let form = match &looks[best] {
        Looks::Epoch(unit) => {
            sniffed.event_time = vec![name];
            sniffed.event_time_format = SniffedTime((*unit).to_owned());
            return;
        }
        Looks::Time(form) => form,
        Looks::Is(_) | Looks::Clock(_) => return,
    };
    let clock = looks.iter().zip(columns).find_map(|(looks, column)| match looks {
        Looks::Clock(clock) if column.texts.len() >= records => Some((*clock, &column.name)),
        Looks::Clock(_) | Looks::Is(_) | Looks::Time(_) | Looks::Epoch(_) => None,
    });
    if let (false, Some((clock, other))) = (form.has_clock, clock) {
        said.guess(format!("the day in `{name}` and the time in `{other}` are one time"));
        let is_auto = form.written == "auto" && matches!(clock, "%H:%M:%S" | "%H:%M");
        let date = if form.written == "auto" { "%Y-%m-%d" } else { &form.written };
        sniffed.event_time_format = match is_auto {
            true => SniffedTime::auto(),
            false => SniffedTime(format!("{date} {clock}")),
        };
        said_of_time(&name, form, said);
        said_of_zone(&name, "`event_time`", said);
        sniffed.event_time = vec![name, other.clone()];
        return;
    }
    said_of_time(&name, form, said);
    if form.has_clock && !form.has_offset {
        said_of_zone(&name, "`event_time`", said);
    }
    sniffed.event_time_format = SniffedTime(form.written.clone());
    sniffed.event_time = vec![name];
}

fn said_of_time(name: &str, form: &Form, said: &mut Said) {
    if let Some(rival) = &form.rival {
        said.unsure(format!(
            "the days of `{name}`: they are read as {:?}, and {rival:?} fits all of them too",
            form.written
        ));
    }
}

fn said_of_zone(name: &str, place: &str, said: &mut Said) {
    said.unsure(format!(
        "the zone of `{name}`: its times do not say one and are read as UTC; if they are those of \
         a place, add zone = \"Europe/Berlin\" (its name) to {place}"
    ));
}
