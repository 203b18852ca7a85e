//! The careful way into a column, for values written as text, and what of JSON is no number.

use super::Column;
use super::fault::Fault;
use super::values::{Values, any_integer};
use super::written::Written;
use crate::decode::instant::parse_date;
use crate::decode::time::TimeFormat;

impl Column {
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
            any_integer!() | Values::Float32(_) | Values::Float64(_) | Values::Decimal(..) => {
                return self.push_marked_number(text, written);
            }
        }
        self.len += 1;
        Ok(())
    }

    /// A JSON object or array: a text column has it as it is written.
    pub(crate) fn push_nested(&mut self, raw: &str, written: Written) -> Result<(), Fault> {
        if !matches!(self.values, Values::Text(..)) {
            return Err(self.wrong_type(raw, written));
        }
        self.push_plain_text(raw.as_bytes());
        Ok(())
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
            any_integer!()
            | Values::Float32(_)
            | Values::Float64(_)
            | Values::Decimal(..)
            | Values::Timestamp(_)
            | Values::Date(_) => return Err(self.wrong_type(text, Written::JsonBool)),
        }
        self.len += 1;
        Ok(())
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
