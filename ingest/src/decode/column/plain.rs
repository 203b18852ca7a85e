//! The fast ways into a column, for bytes that are written plainly: they change nothing where the
//! careful way must look.

use super::values::{Values, any_integer, for_integers};
use super::{Column, Entry};
use crate::decode::number::{scan_decimal, scan_float, scan_integer};
use crate::decode::time::TimeFormat;

impl Column {
    /// Pushes a bare JSON value (no string) or an unquoted CSV field at the start of `text` the
    /// fast way, and returns its length. On none nothing was pushed, and the careful way must read
    /// the value. The caller checks what follows the value.
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
            Values::Float32(_) | Values::Timestamp(_) | Values::Date(_) => return None,
            integers @ (Values::Int8(_)
            | Values::Int16(_)
            | Values::Int32(_)
            | Values::UInt8(_)
            | Values::UInt16(_)
            | Values::UInt32(_)
            | Values::UInt64(_)) => {
                let (value, taken) = scan_integer(text)?;
                for_integers!(integers, v => v.push(value.try_into().ok()?), else return None);
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
            Values::Bool(_)
            | any_integer!()
            | Values::Float32(_)
            | Values::Float64(_)
            | Values::Decimal(..)
            | Values::Date(_) => return false,
        }
        self.len += 1;
        true
    }
}
