//! Floats as PostgreSQL prints them.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::put::put_display;

/// Digits that a double always keeps, `DBL_DIG` of C.
const DOUBLE_DIGITS: i32 = 15;
/// Digits that a single always keeps, `FLT_DIG` of C.
const SINGLE_DIGITS: i32 = 6;
/// The most digits that a double needs to come back to its bits.
const SHORTEST_MAX: usize = 17;

/// Appends a double.
pub(super) fn put_float8(value: f64, extra_digits: i8, out: &mut BytesMut) {
    if put_special(value, out) {
        return;
    }
    if extra_digits > 0 {
        let read = |text: &str| text.parse::<f64>().is_ok_and(|read| read == value);
        let decimal = Decimal::parse(format_args!("{value:e}"));
        decimal.settled(&Float::new(value, f64::MANTISSA_DIGITS), read).put(DOUBLE_DIGITS, out);
    } else {
        put_general(value, DOUBLE_DIGITS + i32::from(extra_digits), out);
    }
}

/// Appends a single.
pub(super) fn put_float4(value: f32, extra_digits: i8, out: &mut BytesMut) {
    let double = f64::from(value);
    if put_special(double, out) {
        return;
    }
    if extra_digits > 0 {
        let read = |text: &str| text.parse::<f32>().is_ok_and(|read| read == value);
        let decimal = Decimal::parse(format_args!("{value:e}"));
        decimal.settled(&Float::new(double, f32::MANTISSA_DIGITS), read).put(SINGLE_DIGITS, out);
    } else {
        put_general(double, SINGLE_DIGITS + i32::from(extra_digits), out);
    }
}

/// Appends what has no digits, and zero.
fn put_special(value: f64, out: &mut BytesMut) -> bool {
    let text = match value {
        _ if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ if value == 0.0 && value.is_sign_negative() => "-0",
        _ if value == 0.0 => "0",
        _ => return false,
    };
    out.put_slice(text.as_bytes());
    true
}

/// Appends a number with so many digits, as C's `%g` does.
fn put_general(value: f64, digits: i32, out: &mut BytesMut) {
    let digits = digits.max(1);
    let behind = usize::try_from(digits - 1).unwrap_or_default();
    let mut decimal = Decimal::parse(format_args!("{value:.behind$e}"));
    while decimal.length > 1 && decimal.digits[decimal.length - 1] == b'0' {
        decimal.length -= 1;
    }
    decimal.put(digits, out);
}

/// Text on the stack.
#[derive(Debug, Clone, Copy)]
struct Short {
    bytes: [u8; 40],
    length: usize,
}

impl Short {
    fn of(text: std::fmt::Arguments<'_>) -> Self {
        let mut short = Self { bytes: [0; 40], length: 0 };
        // 40 bytes hold a sign, 17 digits, a point and an exponent.
        let written = short.write_fmt(text);
        debug_assert!(written.is_ok());
        short
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// `0.d₁d₂… × 10^(exponent + 1)`, digits as ASCII.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    negative: bool,
    digits: [u8; SHORTEST_MAX],
    length: usize,
    /// The power of ten of the first digit.
    exponent: i32,
}

impl Decimal {
    /// Reads what `{:e}` writes.
    fn parse(text: std::fmt::Arguments<'_>) -> Self {
        let text = Short::of(text);
        let text = text.as_str();
        let negative = text.starts_with('-');
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut decimal = Self {
            negative,
            digits: [b'0'; SHORTEST_MAX],
            length: 0,
            exponent: exponent.parse().unwrap_or_default(),
        };
        for byte in mantissa.bytes().filter(u8::is_ascii_digit).take(SHORTEST_MAX) {
            decimal.digits[decimal.length] = byte;
            decimal.length += 1;
        }
        decimal
    }

    /// The digits as a whole number, and the power of ten that it is multiplied with.
    fn integer(&self) -> (u64, i32) {
        let digits = self.digits.iter().take(self.length);
        let number = digits.fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        let behind = i32::try_from(self.length).unwrap_or_default() - 1;
        (number, self.exponent - behind)
    }

    /// The digits that PostgreSQL shows where Rust's fewest digits are others: Rust takes digits
    /// exactly between two floats if reading rounds them to the right one, and of two that are
    /// equally near it takes the upper ones, not the even ones.
    fn settled(self, float: &Float, reads_back: impl Fn(&str) -> bool) -> Self {
        if float.is_midpoint(&self) {
            return self.inside(float, reads_back);
        }
        let (digits, power) = self.integer();
        let other = match digits % 2 {
            1 if float.is(digits * 10 - 5, power - 1) => digits - 1,
            1 if float.is(digits * 10 + 5, power - 1) => digits + 1,
            _ => return self,
        };
        self.replaced(other, float, reads_back).unwrap_or(self)
    }

    /// The fewest digits strictly between the middles to a float's neighbors.
    fn inside(self, float: &Float, reads_back: impl Fn(&str) -> bool) -> Self {
        for length in self.length..=SHORTEST_MAX {
            let behind = length - 1;
            let nearest = Self::parse(format_args!("{:.behind$e}", float.value));
            let (digits, _) = nearest.integer();
            for digits in [digits, digits + 1, digits.saturating_sub(1)] {
                if let Some(found) = nearest.replaced(digits, float, &reads_back) {
                    return found;
                }
            }
        }
        self
    }

    /// As many other digits, if they are those of the float.
    fn replaced(
        mut self,
        digits: u64,
        float: &Float,
        reads_back: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let (_, power) = self.integer();
        let shown = Short::of(format_args!("{digits}"));
        if shown.length != self.length {
            return None;
        }
        for (place, digit) in self.digits.iter_mut().zip(shown.as_str().bytes()) {
            *place = digit;
        }
        let sign = if self.negative { "-" } else { "" };
        let text = Short::of(format_args!("{sign}{digits}e{power}"));
        (reads_back(text.as_str()) && !float.is_midpoint(&self)).then(|| self.trimmed())
    }

    fn trimmed(mut self) -> Self {
        while self.length > 1 && self.digits[self.length - 1] == b'0' {
            self.length -= 1;
        }
        self
    }

    /// Appends the number, with an exponent if it is less than 0.0001 or has more than so many
    /// digits in front of the point.
    fn put(&self, fixed_digits_max: i32, out: &mut BytesMut) {
        let digits = self.digits.get(..self.length).unwrap_or_default();
        if self.negative {
            out.put_u8(b'-');
        }
        let (first, rest) = digits.split_at(digits.len().min(1));
        if self.exponent < -4 || self.exponent >= fixed_digits_max {
            out.put_slice(first);
            if !rest.is_empty() {
                out.put_u8(b'.');
                out.put_slice(rest);
            }
            let sign = if self.exponent < 0 { '-' } else { '+' };
            put_display(format_args!("e{sign}{:02}", self.exponent.unsigned_abs()), out);
            return;
        }
        let zeros = usize::try_from(-1 - self.exponent);
        if let Ok(zeros) = zeros {
            out.put_slice(b"0.");
            out.put_bytes(b'0', zeros);
            out.put_slice(digits);
            return;
        }
        let whole = usize::try_from(self.exponent + 1).unwrap_or_default();
        if digits.len() <= whole {
            out.put_slice(digits);
            out.put_bytes(b'0', whole - digits.len());
        } else {
            out.put_slice(&digits[..whole]);
            out.put_u8(b'.');
            out.put_slice(&digits[whole..]);
        }
    }
}

/// A float other than zero as an odd number times a power of two.
#[derive(Debug)]
struct Float {
    value: f64,
    odd: u64,
    power: i32,
    /// The power of two of the last place.
    unit: i32,
}

impl Float {
    fn new(value: f64, precision: u32) -> Self {
        let bits = value.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, power) = match i32::try_from((bits >> 52) & 0x7ff).unwrap_or_default() {
            0 => (fraction, -1_074),
            biased => (fraction | (1 << 52), biased - 1_075),
        };
        let zeros = mantissa.trailing_zeros();
        let power = power + i32::try_from(zeros).unwrap_or_default();
        let odd = mantissa.checked_shr(zeros).unwrap_or_default();
        let top = power + 63 - i32::try_from(odd.leading_zeros()).unwrap_or_default();
        let (floor, width) =
            if precision == f32::MANTISSA_DIGITS { (-149, 23) } else { (-1_074, 52) };
        Self { value, odd, power, unit: floor.max(top - width) }
    }

    /// Whether it is exactly `digits × 10^power`, but for its sign.
    fn is(&self, digits: u64, power: i32) -> bool {
        binary(digits, power) == Some((u128::from(self.odd), self.power))
    }

    /// Whether digits are exactly in the middle to a neighbor: half a unit away, or a quarter below
    /// a power of two.
    fn is_midpoint(&self, decimal: &Decimal) -> bool {
        let (digits, power) = decimal.integer();
        let Some((odd, twos)) = binary(digits, power) else { return false };
        let in_units = |odd: u128, power: i32, unit: i32| match u32::try_from(power - unit) {
            Ok(shift @ 0..64) => odd.checked_mul(1 << shift),
            _ => None,
        };
        let between = |unit: i32| {
            let value = in_units(u128::from(self.odd), self.power, unit);
            match (value, in_units(odd, twos, unit)) {
                (Some(value), Some(given)) => value.abs_diff(given) == 1,
                _ => false,
            }
        };
        between(self.unit - 1) || (self.odd == 1 && between(self.unit - 2))
    }
}

/// `digits × 10^power` as an odd number times a power of two, if it is one of few bits.
fn binary(digits: u64, power: i32) -> Option<(u128, i32)> {
    let mut number = u128::from(digits);
    if number == 0 {
        return None;
    }
    // 5^27 has 63 bits; more fives than that are in no midpoint of a float's bits.
    for _ in 0..power.unsigned_abs().min(56) {
        if power > 0 {
            number = number.checked_mul(5)?;
        } else if number % 5 == 0 {
            number /= 5;
        } else {
            return None;
        }
    }
    if power.unsigned_abs() > 56 {
        return None;
    }
    let twos = i32::try_from(number.trailing_zeros()).ok()?;
    Some((number >> twos, twos + power))
}
