//! One column under construction: values are pushed from text, and taken back when their row is
//! rejected.
//!
//! Nulls are rare, so they are kept as row numbers and become a bitmap at the end.

use crate::decode::civil::{EARLIEST_US, LATEST_US};
use crate::decode::forms::{NumberMarks, TruthWords, ValueForms};
use crate::decode::instant::{DayMemo, parse_date};
use crate::decode::number::{
    NumberFault, decimal_from_text, float_keeps, parse_decimal, scan_decimal, scan_float,
    scan_integer,
};
use crate::decode::reason;
use crate::decode::time::TimeFormat;
use crate::decode::time_pattern::TimePattern;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, PrimitiveArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use std::sync::Arc;

/// Why a record is rejected: a reason code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// One of [`reason`].
    pub(crate) reason: &'static str,
    /// What is wrong, with the value.
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// How a record writes a value, for messages and for what a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Text that says nothing of its type: a CSV field, a key, a header, a database's text.
    Text,
    /// A text column of a Parquet file.
    TextColumn,
    /// A JSON string.
    JsonString,
    /// A JSON number.
    JsonNumber,
    /// `true` or `false` of JSON.
    JsonBool,
    /// A JSON object.
    JsonObject,
    /// A JSON array.
    JsonArray,
}

impl Written {
    /// What a JSON value is.
    pub(crate) fn of_json(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'"') => Self::JsonString,
            Some(b'{') => Self::JsonObject,
            Some(b'[') => Self::JsonArray,
            Some(b't' | b'f') => Self::JsonBool,
            Some(_) | None => Self::JsonNumber,
        }
    }

    /// Before the value, in messages.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::TextColumn => "the text ",
            Self::JsonString => "the JSON string ",
            Self::JsonNumber => "the JSON number ",
            Self::JsonBool => "the JSON value ",
            Self::JsonObject => "the JSON object ",
            Self::JsonArray => "the JSON array ",
        }
    }
}

/// See [`Column::target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A decimal of this scale.
    Decimal(i8),
    /// Days.
    Date,
    /// Microseconds.
    Timestamp,
    /// Text.
    Text,
    /// Numbers and truth values.
    Other,
}

#[derive(Debug)]
enum Values {
    Bool(Vec<bool>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Text(Vec<u8>, Vec<i32>),
    Timestamp(Vec<i64>),
    Date(Vec<i32>),
}

/// How a bare field of a CSV record goes into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Up to the next delimiter, by [`Column::push_plain_text`].
    Text,
    /// As far as it is a number, by [`Column::push_bare_prefix`].
    Bare,
    /// Up to the next delimiter, by [`Column::push_text`].
    Careful,
}

/// What of a source's forms concerns a column.
#[derive(Debug)]
struct ColumnForms {
    marks: NumberMarks,
    words: Option<TruthWords>,
    /// A number with its marks taken out.
    plain: String,
}

/// A column under construction.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Its name in the input; none: it is not there.
    input: Option<String>,
    entry: Entry,
    forms: Option<Box<ColumnForms>>,
    values: Values,
    nulls: Vec<u32>,
    len: usize,
    format: TimeFormat,
    day: DayMemo,
    /// Its type was inferred from other values, so a number that it would change is refused.
    inferred: bool,
}

/// Runs `$body` with `$values` bound to the vector of any integer column.
macro_rules! for_integers {
    ($subject:expr, $values:ident => $body:expr, _ => $other:expr) => {
        match $subject {
            Values::Int8($values) => $body,
            Values::Int16($values) => $body,
            Values::Int32($values) => $body,
            Values::Int64($values) => $body,
            Values::UInt8($values) => $body,
            Values::UInt16($values) => $body,
            Values::UInt32($values) => $body,
            Values::UInt64($values) => $body,
            _ => $other,
        }
    };
}

impl Column {
    /// A column of a type that [`crate::types::is_carried`].
    pub(crate) fn new(
        name: &str,
        data_type: &DataType,
        format: TimeFormat,
    ) -> Result<Self, ArrowError> {
        let values = match data_type {
            DataType::Boolean => Values::Bool(Vec::new()),
            DataType::Int8 => Values::Int8(Vec::new()),
            DataType::Int16 => Values::Int16(Vec::new()),
            DataType::Int32 => Values::Int32(Vec::new()),
            DataType::Int64 => Values::Int64(Vec::new()),
            DataType::UInt8 => Values::UInt8(Vec::new()),
            DataType::UInt16 => Values::UInt16(Vec::new()),
            DataType::UInt32 => Values::UInt32(Vec::new()),
            DataType::UInt64 => Values::UInt64(Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            DataType::Decimal128(p, s) => Values::Decimal(Vec::new(), *p, *s),
            DataType::Utf8 => Values::Text(Vec::new(), vec![0]),
            DataType::Timestamp(..) => Values::Timestamp(Vec::new()),
            DataType::Date32 => Values::Date(Vec::new()),
            other => {
                return Err(ArrowError::SchemaError(format!(
                    "column {name}: a source can't carry {other}"
                )));
            }
        };
        let entry = match values {
            Values::Text(..) | Values::Timestamp(_) => Entry::Text,
            Values::Date(_) => Entry::Careful,
            _ => Entry::Bare,
        };
        Ok(Self {
            name: name.to_owned(),
            input: Some(name.to_owned()),
            entry,
            forms: None,
            values,
            nulls: Vec::new(),
            len: 0,
            format,
            day: DayMemo::default(),
            inferred: false,
        })
    }

    /// The same, of a type that was inferred from the first records: a number that it would not
    /// give back is refused.
    pub(crate) fn inferred(self) -> Self {
        Self { inferred: true, ..self }
    }

    /// The same under its name in the input; none: it is not there.
    pub(crate) fn named(self, input: Option<&str>) -> Self {
        Self { input: input.map(str::to_owned), ..self }
    }

    /// The same with values written in a source's forms, as far as they concern it.
    pub(crate) fn in_forms(mut self, forms: &ValueForms) -> Self {
        let is_concerned = match &self.values {
            Values::Text(..) | Values::Timestamp(_) | Values::Date(_) => false,
            Values::Bool(_) => forms.words.is_some(),
            _ => !forms.numbers.are_usual(),
        };
        if is_concerned {
            self.entry = Entry::Careful;
            self.forms = Some(Box::new(ColumnForms {
                marks: forms.numbers.clone(),
                words: forms.words.clone(),
                plain: String::new(),
            }));
        }
        self
    }

    /// How a bare CSV field goes in.
    #[inline]
    pub(crate) fn entry(&self) -> Entry {
        self.entry
    }

    /// Whether this is its name in the input.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.input.as_deref() == Some(name)
    }

    /// Whether its name in the input is that of a field of the object called `object`.
    pub(crate) fn is_field_of(&self, object: &str) -> bool {
        let rest = self.input.as_deref().and_then(|input| input.strip_prefix(object));
        rest.is_some_and(|rest| rest.starts_with('.'))
    }

    /// The newest value, when this is a text column and it is not null.
    pub(crate) fn last_text(&self) -> Option<&str> {
        let last = self.len.checked_sub(1)?;
        if self.nulls.last().is_some_and(|n| *n as usize == last) {
            return None;
        }
        match &self.values {
            Values::Text(bytes, offsets) => {
                std::str::from_utf8(&bytes[offsets[last] as usize..offsets[last + 1] as usize]).ok()
            }
            _ => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for `rows` more.
    pub(crate) fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(v) => v.reserve(rows),
            Values::Float32(v) => v.reserve(rows),
            Values::Float64(v) => v.reserve(rows),
            Values::Decimal(v, ..) => v.reserve(rows),
            Values::Text(bytes, offsets) => {
                bytes.reserve(rows * 8);
                offsets.reserve(rows);
            }
            Values::Timestamp(v) => v.reserve(rows),
            Values::Date(v) => v.reserve(rows),
            integers => for_integers!(integers, v => v.reserve(rows), _ => ()),
        }
    }

    /// Forgets the rows from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        if self.len <= len {
            return;
        }
        self.len = len;
        while self.nulls.last().is_some_and(|n| *n as usize >= len) {
            self.nulls.pop();
        }
        match &mut self.values {
            Values::Bool(v) => v.truncate(len),
            Values::Float32(v) => v.truncate(len),
            Values::Float64(v) => v.truncate(len),
            Values::Decimal(v, ..) => v.truncate(len),
            Values::Text(bytes, offsets) => {
                offsets.truncate(len + 1);
                bytes.truncate(offsets[len] as usize);
            }
            Values::Timestamp(v) => v.truncate(len),
            Values::Date(v) => v.truncate(len),
            integers => for_integers!(integers, v => v.truncate(len), _ => ()),
        }
    }

    pub(crate) fn push_null(&mut self) {
        self.nulls.push(self.len as u32);
        match &mut self.values {
            Values::Bool(v) => v.push(false),
            Values::Float32(v) => v.push(0.0),
            Values::Float64(v) => v.push(0.0),
            Values::Decimal(v, ..) => v.push(0),
            Values::Text(bytes, offsets) => offsets.push(bytes.len() as i32),
            Values::Timestamp(v) => v.push(0),
            Values::Date(v) => v.push(0),
            integers => for_integers!(integers, v => v.push(0), _ => ()),
        }
        self.len += 1;
    }

    /// An int64, or a time in microseconds since 1970; false when this is neither's column.
    pub(crate) fn push_i64(&mut self, value: i64) -> bool {
        let (Values::Int64(v) | Values::Timestamp(v)) = &mut self.values else { return false };
        v.push(value);
        self.len += 1;
        true
    }

    /// The newest value, when this is a timestamp column and it is not null.
    pub(crate) fn last_time(&self) -> Option<i64> {
        let last = self.len.checked_sub(1)?;
        if self.nulls.last().is_some_and(|n| *n as usize == last) {
            return None;
        }
        match &self.values {
            Values::Timestamp(v) => v.last().copied(),
            _ => None,
        }
    }

    /// The fast way in for a bare JSON value (no string) or an unquoted CSV field at the start of
    /// `text`: its length when it was pushed. None changes nothing and says only that the careful
    /// way must look at it. What follows the value is the caller's to check.
    #[inline]
    #[expect(clippy::useless_conversion, reason = "of the macro's types one is i64 itself")]
    pub(crate) fn push_bare_prefix(&mut self, text: &[u8]) -> Option<usize> {
        let taken = match &mut self.values {
            Values::Int64(v) => {
                let (value, taken) = scan_integer(text)?;
                v.push(value);
                taken
            }
            Values::Decimal(v, p, s) => {
                let (value, taken) = scan_decimal(text, usize::from(s.unsigned_abs()))?;
                if *p < 18 && value.unsigned_abs() >= 10_u64.pow(u32::from(*p)) {
                    return None;
                }
                v.push(i128::from(value));
                taken
            }
            Values::Float64(v) => {
                let (value, taken) = scan_float(text)?;
                v.push(value);
                taken
            }
            Values::Bool(v) => match text {
                [b't', b'r', b'u', b'e', ..] => {
                    v.push(true);
                    4
                }
                [b'f', b'a', b'l', b's', b'e', ..] => {
                    v.push(false);
                    5
                }
                _ => return None,
            },
            Values::Timestamp(v) if self.format == TimeFormat::EpochMicros => {
                let (value, taken) = scan_integer(text)?;
                v.push(value);
                taken
            }
            Values::Timestamp(v) if self.format == TimeFormat::EpochMillis => {
                let (value, taken) = scan_integer(text)?;
                v.push(value.checked_mul(1_000)?);
                taken
            }
            Values::Text(bytes, offsets) => {
                let (_, taken) = scan_integer(text)?;
                bytes.extend_from_slice(&text[..taken]);
                offsets.push(bytes.len() as i32);
                taken
            }
            integers => {
                let (value, taken) = scan_integer(text)?;
                for_integers!(integers, v => v.push(value.try_into().ok()?), _ => return None);
                taken
            }
        };
        self.len += 1;
        Some(taken)
    }

    /// The fast way in for a number in a JSON string: true when the text is one as a whole. False
    /// changes nothing.
    #[inline]
    pub(crate) fn push_plain_number(&mut self, text: &[u8]) -> bool {
        if matches!(self.values, Values::Bool(_)) || self.entry == Entry::Careful {
            return false;
        }
        let len = self.len;
        if self.push_bare_prefix(text) == Some(text.len()) {
            return true;
        }
        self.truncate(len);
        false
    }

    /// The fast way in for the inside of a JSON string without escapes, or a CSV field of a string
    /// or timestamp column. False changes nothing.
    #[inline]
    pub(crate) fn push_plain_text(&mut self, text: &[u8]) -> bool {
        match &mut self.values {
            Values::Text(bytes, offsets) => {
                bytes.extend_from_slice(text);
                offsets.push(bytes.len() as i32);
            }
            Values::Timestamp(v) => match self.format.read_near(text, &mut self.day) {
                Some(us) => v.push(us),
                None => return false,
            },
            _ => return false,
        }
        self.len += 1;
        true
    }

    /// What it takes, as far as readers of forms other than plain JSON and CSV must know.
    pub(crate) fn target(&self) -> Target {
        match &self.values {
            Values::Decimal(_, _, scale) => Target::Decimal(*scale),
            Values::Date(_) => Target::Date,
            Values::Timestamp(_) => Target::Timestamp,
            Values::Text(..) => Target::Text,
            _ => Target::Other,
        }
    }

    /// Days since 1970, into a date column.
    pub(crate) fn push_days(&mut self, days: i32) -> Result<(), Fault> {
        match &mut self.values {
            Values::Date(v) => v.push(days),
            _ => return Err(self.wrong_type(&days.to_string(), Written::JsonNumber)),
        }
        self.len += 1;
        Ok(())
    }

    /// Microseconds since 1970, into a timestamp column.
    pub(crate) fn push_micros(&mut self, micros: i64) -> Result<(), Fault> {
        match &mut self.values {
            Values::Timestamp(v) if (EARLIEST_US..=LATEST_US).contains(&micros) => v.push(micros),
            _ => return Err(self.out_of_range(&micros.to_string(), Written::Text)),
        }
        self.len += 1;
        Ok(())
    }

    /// Whether [`Self::push_plain_text`] takes a bare CSV field of this column.
    pub(crate) fn is_textual(&self) -> bool {
        matches!(self.values, Values::Text(..) | Values::Timestamp(_))
    }

    /// A value that is written as text. Of numbers only exact ones are taken, whether they are in
    /// quotes or not; truth values are no strings.
    pub(crate) fn push_text(&mut self, text: &str, written: Written) -> Result<(), Fault> {
        let bytes = text.as_bytes();
        match &mut self.values {
            Values::Text(..) => {
                self.push_plain_text(bytes);
                return Ok(());
            }
            Values::Timestamp(v) => match self.format.read(bytes) {
                Some(us) => v.push(us),
                None => return Err(self.wrong_type(text, written)),
            },
            Values::Date(v) => match read_date(&self.format, bytes) {
                Some(days) => v.push(days as i32),
                None => return Err(self.wrong_type(text, written)),
            },
            Values::Bool(v) if self.forms.is_some() => {
                let words = self.forms.as_ref().and_then(|forms| forms.words.as_ref());
                match words.and_then(|words| words.read(text)) {
                    Some(value) => v.push(value),
                    None => return Err(self.wrong_type(text, written)),
                }
            }
            Values::Bool(v) if written == Written::Text => match text {
                "true" | "TRUE" | "True" | "1" => v.push(true),
                "false" | "FALSE" | "False" | "0" => v.push(false),
                _ => return Err(self.wrong_type(text, written)),
            },
            Values::Bool(_) => return Err(self.wrong_type(text, written)),
            _ => return self.push_marked_number(text, written),
        }
        self.len += 1;
        Ok(())
    }

    /// A number's text, with the marks of the source in it.
    fn push_marked_number(&mut self, text: &str, written: Written) -> Result<(), Fault> {
        let Some(forms) = &mut self.forms else { return self.push_number(text, written) };
        let mut plain = std::mem::take(&mut forms.plain);
        let pushed = match forms.marks.plain(text, &mut plain) {
            true => self.push_number_as(&plain, text, written),
            false => Err(self.wrong_type(text, written)),
        };
        if let Some(forms) = &mut self.forms {
            forms.plain = plain;
        }
        pushed
    }

    /// A number's text: an integer takes what is one, however it is written (`12`, `12.0`,
    /// `1.2e1`), as a decimal takes what fits it.
    pub(crate) fn push_number(&mut self, text: &str, written: Written) -> Result<(), Fault> {
        self.push_number_as(text, text, written)
    }

    /// The number `plain`, which the input writes as `text`.
    fn push_number_as(&mut self, plain: &str, text: &str, written: Written) -> Result<(), Fault> {
        let bytes = plain.as_bytes();
        if self.inferred && !self.gives_back(plain) {
            let detail = format!(
                "{}: {}{} would be changed by {}, the type inferred from the first records; give \
                 the source a schema",
                self.name,
                written.noun(),
                shown(text),
                self.wanted()
            );
            return Err(Fault::new(reason::TYPE, detail));
        }
        match &mut self.values {
            Values::Decimal(v, p, s) => match decimal_from_text(bytes, *p, *s) {
                Ok(value) => v.push(value),
                Err(NumberFault::Syntax) => return Err(self.not_a_number(text, written)),
                Err(NumberFault::Range) => return Err(self.out_of_range(text, written)),
                Err(NumberFault::Fraction) => {
                    let detail = format!(
                        "{}: {}{} has more than {s} digits below the point",
                        self.name,
                        written.noun(),
                        shown(text)
                    );
                    return Err(Fault::new(reason::TYPE, detail));
                }
            },
            Values::Float64(v) => match lexical_core::parse::<f64>(bytes) {
                Ok(value) if value.is_finite() => v.push(value),
                _ => return Err(self.not_a_number(text, written)),
            },
            Values::Float32(v) => match lexical_core::parse::<f32>(bytes) {
                Ok(value) if value.is_finite() => v.push(value),
                _ => return Err(self.not_a_number(text, written)),
            },
            Values::Timestamp(v) => match self.format.read_epoch(bytes) {
                Some(us) => v.push(us),
                None => return Err(self.wrong_type(text, written)),
            },
            // An identifier that is a number in the input and text in the schema: letter by letter.
            Values::Text(..) => {
                self.push_plain_text(bytes);
                return Ok(());
            }
            Values::Bool(_) | Values::Date(_) => return Err(self.wrong_type(text, written)),
            integers => {
                let value = match parse_decimal(bytes, 38, 0) {
                    Ok(value) => value,
                    Err(NumberFault::Syntax) => return Err(self.not_a_number(text, written)),
                    Err(NumberFault::Range) => return Err(self.out_of_range(text, written)),
                    Err(NumberFault::Fraction) => return Err(self.wrong_type(text, written)),
                };
                let pushed = for_integers!(
                    integers,
                    v => value.try_into().map(|x| v.push(x)).is_ok(),
                    _ => false
                );
                if !pushed {
                    return Err(self.out_of_range(text, written));
                }
            }
        }
        self.len += 1;
        Ok(())
    }

    /// Whether a number keeps its letters (of an integer) or its digits (of a float). What is no
    /// number at all is not looked at.
    fn gives_back(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        if !bytes
            .iter()
            .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
        {
            return true;
        }
        let digits = text.trim_start_matches(['-', '+']);
        let leads_with_zero =
            digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        let plain = !text.starts_with('+') && !leads_with_zero;
        match &self.values {
            Values::Int64(_) => {
                plain && !bytes.contains(&b'.') && !bytes.iter().any(|b| matches!(b, b'e' | b'E'))
            }
            Values::Float64(_) => plain && float_keeps(bytes),
            _ => true,
        }
    }

    /// A JSON object or array: a text column has it as it is written.
    pub(crate) fn push_nested(&mut self, raw: &str, written: Written) -> Result<(), Fault> {
        match &self.values {
            Values::Text(..) => {
                self.push_plain_text(raw.as_bytes());
                Ok(())
            }
            _ => Err(self.wrong_type(raw, written)),
        }
    }

    /// A truth value of JSON: a text column has it as it is written.
    pub(crate) fn push_bool(&mut self, value: bool) -> Result<(), Fault> {
        let text = if value { "true" } else { "false" };
        match &mut self.values {
            Values::Bool(v) => v.push(value),
            Values::Text(..) => {
                self.push_plain_text(text.as_bytes());
                return Ok(());
            }
            _ => return Err(self.wrong_type(text, Written::JsonBool)),
        }
        self.len += 1;
        Ok(())
    }

    pub(crate) fn wrong_type(&self, text: &str, written: Written) -> Fault {
        if let TimeFormat::Local(local) = &self.format
            && local.never_was(text.as_bytes())
        {
            let detail = format!(
                "{}: {}{} is a time that never came in {}: its clocks went forward over it",
                self.name,
                written.noun(),
                shown(text),
                local.zone()
            );
            return Fault::new(reason::TYPE, detail);
        }
        Fault::new(
            reason::TYPE,
            format!("{}: {}{} is not {}", self.name, written.noun(), shown(text), self.wanted()),
        )
    }

    fn out_of_range(&self, text: &str, written: Written) -> Fault {
        Fault::new(
            reason::TYPE,
            format!(
                "{}: {}{} does not fit {}",
                self.name,
                written.noun(),
                shown(text),
                self.wanted()
            ),
        )
    }

    /// Not a number at all, or one of the values that no amount can have.
    fn not_a_number(&self, text: &str, written: Written) -> Fault {
        let bare = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
        let overflows = lexical_core::parse::<f64>(text.as_bytes()).is_ok_and(|f| !f.is_finite());
        if overflows || matches!(bare.as_str(), "nan" | "inf" | "infinity") {
            return Fault::new(
                reason::IMPOSSIBLE,
                format!("{}: {}{} is not a finite number", self.name, written.noun(), shown(text)),
            );
        }
        self.wrong_type(text, written)
    }

    fn wanted(&self) -> String {
        match &self.values {
            Values::Bool(_) => match self.forms.as_ref().and_then(|forms| forms.words.as_ref()) {
                None => "true or false".into(),
                Some(words) => format!(
                    "one of the words for true or false ({})",
                    words.yes.iter().chain(&words.no).cloned().collect::<Vec<_>>().join(", ")
                ),
            },
            Values::Int8(_) => "an int8".into(),
            Values::Int16(_) => "an int16".into(),
            Values::Int32(_) => "an int32".into(),
            Values::Int64(_) => "an int64".into(),
            Values::UInt8(_) => "a uint8".into(),
            Values::UInt16(_) => "a uint16".into(),
            Values::UInt32(_) => "a uint32".into(),
            Values::UInt64(_) => "a uint64".into(),
            Values::Float32(_) => "a float32".into(),
            Values::Float64(_) => "a float64".into(),
            Values::Decimal(_, p, s) => format!("a decimal({p},{s})"),
            Values::Text(..) => "a string".into(),
            Values::Timestamp(_) => written_as("a timestamp", &self.format),
            Values::Date(_) => written_as("a date", &self.format),
        }
    }

    /// The column so far as an array, leaving this one empty.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.take_nulls();
        self.len = 0;
        Ok(match &mut self.values {
            Values::Bool(v) => {
                Arc::new(BooleanArray::new(BooleanBuffer::from(std::mem::take(v)), nulls))
            }
            Values::Int8(v) => primitive::<Int8Type>(v, nulls)?,
            Values::Int16(v) => primitive::<Int16Type>(v, nulls)?,
            Values::Int32(v) => primitive::<Int32Type>(v, nulls)?,
            Values::Int64(v) => primitive::<Int64Type>(v, nulls)?,
            Values::UInt8(v) => primitive::<UInt8Type>(v, nulls)?,
            Values::UInt16(v) => primitive::<UInt16Type>(v, nulls)?,
            Values::UInt32(v) => primitive::<UInt32Type>(v, nulls)?,
            Values::UInt64(v) => primitive::<UInt64Type>(v, nulls)?,
            Values::Float32(v) => primitive::<Float32Type>(v, nulls)?,
            Values::Float64(v) => primitive::<Float64Type>(v, nulls)?,
            Values::Decimal(v, p, s) => {
                let values = ScalarBuffer::from(std::mem::take(v));
                Arc::new(Decimal128Array::try_new(values, nulls)?.with_precision_and_scale(*p, *s)?)
            }
            Values::Text(bytes, offsets) => {
                let offsets = std::mem::replace(offsets, vec![0]);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(StringArray::try_new(offsets, std::mem::take(bytes).into(), nulls)?)
            }
            Values::Timestamp(v) => Arc::new(
                TimestampMicrosecondArray::try_new(ScalarBuffer::from(std::mem::take(v)), nulls)?
                    .with_timezone("UTC"),
            ),
            Values::Date(v) => {
                Arc::new(Date32Array::try_new(ScalarBuffer::from(std::mem::take(v)), nulls)?)
            }
        })
    }

    fn take_nulls(&mut self) -> Option<NullBuffer> {
        if self.nulls.is_empty() {
            return None;
        }
        let mut valid = vec![true; self.len];
        for row in self.nulls.drain(..) {
            valid[row as usize] = false;
        }
        Some(NullBuffer::from(valid))
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(std::mem::take(values)), nulls)?))
}

/// A time in words, for messages.
fn written_as(noun: &str, format: &TimeFormat) -> String {
    let of = |pattern: &TimePattern| {
        format!("{noun} of the form {pattern}, such as {}", pattern.example())
    };
    match format {
        TimeFormat::Auto => noun.to_owned(),
        TimeFormat::Pattern(pattern) => of(pattern),
        TimeFormat::Local(local) => local.pattern().map_or_else(|| noun.to_owned(), of),
        TimeFormat::EpochSeconds | TimeFormat::EpochMillis | TimeFormat::EpochMicros => {
            format!("{noun} in the stated unit since 1970")
        }
    }
}

/// Days since 1970 of a date that has no time of day, or midnight.
fn read_date(format: &TimeFormat, text: &[u8]) -> Option<i64> {
    const DAY_US: i64 = 86_400_000_000;
    if *format == TimeFormat::Auto {
        return parse_date(text).filter(|_| text.len() == 10);
    }
    format.read(text).filter(|us| us.rem_euclid(DAY_US) == 0).map(|us| us.div_euclid(DAY_US))
}

/// A value as a message shows it: quoted, cut when long.
pub(crate) fn shown(text: &str) -> String {
    if text.chars().count() > 80 {
        let head: String = text.chars().take(80).collect();
        format!("{head:?}…")
    } else {
        format!("{text:?}")
    }
}

/// Why an event time can't be taken; `latest` is the newest time that is possible now.
pub(crate) fn check_event_time(name: &str, time: Option<i64>, latest: i64) -> Result<(), Fault> {
    match time {
        None => Err(Fault::new(reason::NULL, format!("{name}: the event time is missing"))),
        Some(us) if !(EARLIEST_US..=LATEST_US).contains(&us) => Err(Fault::new(
            reason::IMPOSSIBLE,
            format!("{name}: the event time {us} µs since 1970 is outside the years 1 to 9999"),
        )),
        Some(us) if us > latest => {
            let time = chrono::DateTime::from_timestamp_micros(us)
                .map_or_else(|| us.to_string(), |t| t.to_rfc3339());
            Err(Fault::new(
                reason::FUTURE,
                format!("{name}: the event time {time} is further ahead than the clock allows"),
            ))
        }
        Some(_) => Ok(()),
    }
}
