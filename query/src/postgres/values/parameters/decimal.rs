//! Decimal numbers of any scale, exactly.

use arrow::datatypes::i256;

/// Digits that a decimal of 256 bits always holds.
const DIGITS_MAX: usize = 76;

/// A whole number without zeros at its end, times a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    mantissa: i256,
    /// Digits of the mantissa, 0 for zero.
    digits: i32,
    exponent: i32,
}

impl Decimal {
    /// Reads `-12.5e3`. Numbers of more than 76 digits, which no column can hold, are read as
    /// numbers that fit nowhere.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits: Vec<u8> = digits.into_iter().map(|digit| digit - b'0').collect();
        let behind = i32::try_from(fraction.len()).ok()?;
        Some(Self::from_digits(negative, &digits, exponent.saturating_sub(behind)))
    }

    /// The number of these digits, the last one at a power of ten.
    pub(super) fn from_digits(negative: bool, digits: &[u8], exponent: i32) -> Self {
        let zeros = digits.iter().rev().take_while(|digit| **digit == 0).count();
        let significant = &digits[..digits.len() - zeros];
        let leading = significant.iter().take_while(|digit| **digit == 0).count();
        let significant = &significant[leading..];
        if significant.is_empty() {
            return Self { mantissa: i256::ZERO, digits: 0, exponent: 0 };
        }
        let exponent = exponent.saturating_add(i32::try_from(zeros).unwrap_or(i32::MAX));
        let length = i32::try_from(significant.len()).unwrap_or(i32::MAX);
        if significant.len() > DIGITS_MAX {
            return Self { mantissa: i256::ZERO, digits: length, exponent };
        }
        let ten = i256::from_i128(10);
        let mantissa = significant.iter().fold(i256::ZERO, |mantissa, digit| {
            mantissa.wrapping_mul(ten).wrapping_add(i256::from_i128(i128::from(*digit)))
        });
        let mantissa = if negative { mantissa.wrapping_neg() } else { mantissa };
        Self { mantissa, digits: length, exponent }
    }

    pub(super) fn from_i64(value: i64) -> Self {
        let digits: Vec<u8> = value.unsigned_abs().to_string().bytes().map(|d| d - b'0').collect();
        Self::from_digits(value < 0, &digits, 0)
    }

    /// Digits that it needs behind the point.
    pub(super) fn scale(&self) -> i32 {
        self.exponent.saturating_neg().max(0)
    }

    /// Digits that it needs in front of the point.
    pub(super) fn whole_digits(&self) -> i32 {
        match self.digits {
            0 => 0,
            digits => digits.saturating_add(self.exponent).max(0),
        }
    }

    /// The number times a power of ten, if that is a whole number of up to 76 digits.
    pub(super) fn at_scale(&self, scale: i32) -> Option<i256> {
        if self.digits == 0 {
            return Some(i256::ZERO);
        }
        let zeros = u32::try_from(self.exponent.checked_add(scale)?).ok()?;
        let length = u32::try_from(self.digits).ok()?.checked_add(zeros)?;
        if usize::try_from(length).ok()? > DIGITS_MAX {
            return None;
        }
        self.mantissa.checked_mul(i256::from_i128(10).checked_pow(zeros)?)
    }

    /// The nearest double, if there are not too many digits to tell.
    pub(super) fn to_f64(self) -> Option<f64> {
        match usize::try_from(self.digits) {
            Ok(0) => Some(0.0),
            Ok(1..=DIGITS_MAX) => {
                let float: f64 = format!("{}e{}", self.mantissa, self.exponent).parse().ok()?;
                float.is_finite().then_some(float)
            }
            _ => None,
        }
    }
}

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // An exponent beyond 32 bits is as impossible as the largest one there.
    Some(text.parse().unwrap_or(if text.starts_with('-') { i32::MIN } else { i32::MAX }))
}
