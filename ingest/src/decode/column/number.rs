//! The careful way into a column for numbers: exact ones, with or without the marks of a source.

use super::Column;
use super::fault::Fault;
use super::values::{Values, any_integer, for_integers};
use super::written::{Written, shown};
use crate::decode::number::{NumberFault, decimal_from_text, float_keeps, parse_decimal};
use crate::decode::reason;

impl Column {
    /// A number's text: an integer takes what is one, however it is written (`12`, `12.0`,
    /// `1.2e1`), as a decimal takes what fits it.
    pub(crate) fn push_number(&mut self, text: &str, written: Written) -> Result<(), Fault> {
        self.push_number_as(text, text, written)
    }

    /// A number's text, with the marks of the source in it.
    pub(super) fn push_marked_number(&mut self, text: &str, written: Written) -> Result<(), Fault> {
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
            integers @ any_integer!() => {
                let value = match parse_decimal(bytes, 38, 0) {
                    Ok(value) => value,
                    Err(NumberFault::Syntax) => return Err(self.not_a_number(text, written)),
                    Err(NumberFault::Range) => return Err(self.out_of_range(text, written)),
                    Err(NumberFault::Fraction) => return Err(self.wrong_type(text, written)),
                };
                let pushed = for_integers!(
                    integers,
                    v => value.try_into().map(|x| v.push(x)).is_ok(),
                    else false
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
            Values::Bool(_)
            | Values::Int8(_)
            | Values::Int16(_)
            | Values::Int32(_)
            | Values::UInt8(_)
            | Values::UInt16(_)
            | Values::UInt32(_)
            | Values::UInt64(_)
            | Values::Float32(_)
            | Values::Decimal(..)
            | Values::Text(..)
            | Values::Timestamp(_)
            | Values::Date(_) => true,
        }
    }
}
