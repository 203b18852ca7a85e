//! Decimal numbers of any width as decimal digits, the common ground of text and binary.

use arrow::datatypes::i256;

/// The most digits of 256 bits.
const DIGITS_MAX: usize = 78;
/// The largest power of ten in 64 bits, and its exponent.
const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;

/// A decimal number: a whole number of up to 256 bits, divided by a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    negative: bool,
    /// The absolute value, low part first.
    limbs: [u64; 4],
    scale: i8,
}

impl Number {
    pub(super) fn from_i64(value: i64, scale: i8) -> Self {
        Self { negative: value < 0, limbs: [value.unsigned_abs(), 0, 0, 0], scale }
    }

    pub(super) fn from_u64(value: u64) -> Self {
        Self { negative: false, limbs: [value, 0, 0, 0], scale: 0 }
    }

    pub(super) fn from_i128(value: i128, scale: i8) -> Self {
        let [low, high] = halves(value.unsigned_abs());
        Self { negative: value < 0, limbs: [low, high, 0, 0], scale }
    }

    pub(super) fn from_i256(value: i256, scale: i8) -> Self {
        // The lowest number has no positive one in 256 bits; its bits are those of its absolute
        // value without a sign.
        let negative = value.is_negative();
        let (low, high) = if negative { value.wrapping_neg() } else { value }.to_parts();
        let [first, second] = halves(low);
        let [third, fourth] = halves(u128::from_le_bytes(high.to_le_bytes()));
        Self { negative, limbs: [first, second, third, fourth], scale }
    }

    /// Digits behind the decimal point.
    pub(super) fn scale(&self) -> i32 {
        i32::from(self.scale)
    }

    /// Whether it is less than zero.
    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    /// The digits of the whole number, without leading zeros: none for zero.
    pub(super) fn digits(&self) -> Digits {
        let mut digits = Digits { bytes: [0; DIGITS_MAX], start: DIGITS_MAX };
        let mut limbs = self.limbs;
        while limbs[1..] != [0; 3] {
            let chunk = divide(&mut limbs);
            digits.push(chunk, CHUNK_DIGITS);
        }
        digits.push(limbs[0], 0);
        digits.trim();
        digits
    }
}

fn halves(value: u128) -> [u64; 2] {
    let half = |shift: u32| u64::try_from((value >> shift) & u128::from(u64::MAX));
    [half(0).unwrap_or_default(), half(64).unwrap_or_default()]
}

/// Divides by `CHUNK` and gives the rest.
fn divide(limbs: &mut [u64; 4]) -> u64 {
    let divisor = u128::from(CHUNK);
    let mut rest = 0;
    for limb in limbs.iter_mut().rev() {
        let value = (rest << 64) | u128::from(*limb);
        *limb = u64::try_from(value / divisor).unwrap_or_default();
        rest = value % divisor;
    }
    u64::try_from(rest).unwrap_or_default()
}

/// Decimal digits as numbers from 0 to 9, the most significant one first.
#[derive(Debug)]
pub(super) struct Digits {
    bytes: [u8; DIGITS_MAX],
    start: usize,
}

impl Digits {
    /// Puts a number in front, with leading zeros up to a width.
    fn push(&mut self, mut value: u64, width: usize) {
        let mut written = 0;
        while (value > 0 || written < width) && self.start > 0 {
            self.start -= 1;
            self.bytes[self.start] = u8::try_from(value % 10).unwrap_or_default();
            value /= 10;
            written += 1;
        }
    }

    fn trim(&mut self) {
        while self.bytes.get(self.start) == Some(&0) {
            self.start += 1;
        }
    }

    /// The digits.
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: Number) -> String {
        number.digits().as_slice().iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    #[test]
    fn digits_are_those_of_the_number() {
        assert_eq!(shown(Number::from_i64(0, 0)), "");
        assert_eq!(shown(Number::from_i64(i64::MIN, 0)), "9223372036854775808");
        assert_eq!(shown(Number::from_u64(u64::MAX)), u64::MAX.to_string());
        for value in [1, 10, i128::from(CHUNK), i128::from(CHUNK) - 1, i128::MAX, i128::MIN] {
            let expected = value.unsigned_abs().to_string();
            assert_eq!(shown(Number::from_i128(value, 0)), expected);
            assert_eq!(shown(Number::from_i256(i256::from_i128(value), 0)), expected);
        }
        assert_eq!(shown(Number::from_i256(i256::MAX, 0)), i256::MAX.to_string());
        assert_eq!(shown(Number::from_i256(i256::MIN, 0)), i256::MIN.to_string()[1..]);
    }
}
