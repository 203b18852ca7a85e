//! One column under construction: values are pushed from text, and taken back when their row is
//! rejected.
//!
//! Nulls are rare, so they are kept as row numbers and become a bitmap at the end. `plain` is the
//! fast way in, `text` and `number` the careful one, `typed` that of values already read; `refusal`
//! says why a value is not taken.

mod event_time;
mod fault;
mod number;
mod plain;
mod refusal;
mod text;
mod typed;
mod values;
mod written;

use crate::decode::forms::{NumberMarks, TruthWords, ValueForms};
use crate::decode::instant::DayMemo;
use crate::decode::time::TimeFormat;
use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use values::{Values, any_integer};

pub(crate) use event_time::check_event_time;
pub(crate) use fault::Fault;
pub(crate) use written::{Written, shown};

/// A column under construction.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its name in the schema.
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

/// What of a source's forms concerns a column.
#[derive(Debug)]
struct ColumnForms {
    marks: NumberMarks,
    words: Option<TruthWords>,
    /// A number with its marks taken out.
    plain: String,
}

impl Column {
    /// A column of a type that [`crate::types::is_carried`].
    pub(crate) fn new(
        name: &str,
        data_type: &DataType,
        format: TimeFormat,
    ) -> Result<Self, ArrowError> {
        let Some(values) = Values::of(data_type) else {
            return Err(ArrowError::SchemaError(format!(
                "column {name}: a source can't carry {data_type}"
            )));
        };
        let entry = match values {
            Values::Text(..) | Values::Timestamp(_) => Entry::Text,
            Values::Date(_) => Entry::Careful,
            Values::Bool(_)
            | any_integer!()
            | Values::Float32(_)
            | Values::Float64(_)
            | Values::Decimal(..) => Entry::Bare,
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
            any_integer!() | Values::Float32(_) | Values::Float64(_) | Values::Decimal(..) => {
                !forms.numbers.are_usual()
            }
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

    /// What it takes, as far as readers of forms other than plain JSON and CSV must know.
    pub(crate) fn target(&self) -> Target {
        match &self.values {
            Values::Decimal(_, _, scale) => Target::Decimal(*scale),
            Values::Date(_) => Target::Date,
            Values::Timestamp(_) => Target::Timestamp,
            Values::Text(..) => Target::Text,
            Values::Bool(_) | any_integer!() | Values::Float32(_) | Values::Float64(_) => {
                Target::Other
            }
        }
    }

    /// Whether [`Self::push_plain_text`] takes a bare CSV field of this column.
    pub(crate) fn is_textual(&self) -> bool {
        matches!(self.values, Values::Text(..) | Values::Timestamp(_))
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

    /// How many rows it has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The newest value, when this is a text column and it is not null.
    pub(crate) fn last_text(&self) -> Option<&str> {
        let last = self.len.checked_sub(1)?;
        if self.nulls.last().is_some_and(|n| *n as usize == last) {
            return None;
        }
        let Values::Text(bytes, offsets) = &self.values else { return None };
        std::str::from_utf8(&bytes[offsets[last] as usize..offsets[last + 1] as usize]).ok()
    }

    /// The newest value, when this is a timestamp column and it is not null.
    pub(crate) fn last_time(&self) -> Option<i64> {
        let last = self.len.checked_sub(1)?;
        if self.nulls.last().is_some_and(|n| *n as usize == last) {
            return None;
        }
        let Values::Timestamp(v) = &self.values else { return None };
        v.last().copied()
    }

    /// Makes room for `rows` more.
    pub(crate) fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
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
        self.values.truncate(len);
    }

    /// Pushes a null.
    pub(crate) fn push_null(&mut self) {
        self.nulls.push(self.len as u32);
        self.values.push_filler();
        self.len += 1;
    }

    /// The column so far as an array, leaving this one empty.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.take_nulls();
        self.len = 0;
        self.values.take(nulls)
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
