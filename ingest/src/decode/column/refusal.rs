//! Why a column does not take a value, in words.

use super::Column;
use super::fault::Fault;
use super::values::Values;
use super::written::{Written, shown};
use crate::decode::reason;
use crate::decode::time::TimeFormat;
use crate::decode::time_pattern::TimePattern;

impl Column {
    /// The value is not of the type of the column.
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

    /// The value is a number that the type of the column has not.
    pub(super) fn out_of_range(&self, text: &str, written: Written) -> Fault {
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
    pub(super) fn not_a_number(&self, text: &str, written: Written) -> Fault {
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

    /// What the column takes.
    pub(super) fn wanted(&self) -> String {
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
