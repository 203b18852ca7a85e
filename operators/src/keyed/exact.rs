//! Whole numbers of any size, in steps of any power of two. They hold the sums that 128 bits do not
//! hold, so that a value that enters a sum leaves it again exactly.
//!
//! A number is two's complement in limbs of 64 bits, from the limb of its lowest bit that was ever
//! set; it takes as many as its value needs. Infinities and what is no number have no place among
//! these: they are counted, and so leave again too.

use super::bytes::{bytes, number, push_bytes, push_number, unzigzag, zigzag};

/// Bits of a float's mantissa.
const MANTISSA_BITS: i32 = 53;
/// The exponent of the lowest bit of the smallest float.
const EXPONENT_MIN: i32 = -1074;

/// A sum. See the [module documentation](self).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exact {
    /// The place of the first limb: it counts 2^(64 · low).
    low: i32,
    limbs: Vec<u64>,
    /// Values that are no number, and those that are infinite, above and below.
    nans: i64,
    ups: i64,
    downs: i64,
}

/// A float as a whole number of a power of two: negative or not, the number, the exponent.
#[inline]
pub(crate) fn taken_apart(value: f64) -> (bool, u64, i32) {
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if exponent == 0 {
        (fraction, EXPONENT_MIN)
    } else {
        (fraction | 1 << 52, exponent - 1075)
    };
    (bits >> 63 == 1, mantissa, exponent)
}

/// `value · 2^exponent`, rounded once where the result is not below the smallest normal float.
pub(crate) fn scaled(value: f64, exponent: i32) -> f64 {
    let mut value = value;
    let mut left = exponent;
    while left != 0 && value != 0.0 && value.is_finite() {
        let step = left.clamp(-1000, 1000);
        value *= f64::from_bits(((1023 + step) as u64) << 52);
        left -= step;
    }
    value
}

impl Exact {
    /// Of a whole number.
    pub(crate) fn of(value: i128) -> Self {
        let mut sum = Self::default();
        sum.add(value.unsigned_abs(), 0, value < 0);
        sum
    }

    /// Adds `magnitude · 2^exponent`, or takes it off.
    pub(crate) fn add(&mut self, magnitude: u128, exponent: i32, is_negative: bool) {
        if magnitude == 0 {
            return;
        }
        let (place, shift) = (exponent.div_euclid(64), exponent.rem_euclid(64) as u32);
        let shifted = magnitude << shift;
        let above = if shift == 0 { 0 } else { (magnitude >> (128 - shift)) as u64 };
        let parts = [shifted as u64, (shifted >> 64) as u64, above];
        let from = self.reach(place, parts.len());
        let mut carry = false;
        for (at, limb) in self.limbs[from..].iter_mut().enumerate() {
            let part = parts.get(at).copied().unwrap_or(0);
            if at >= parts.len() && !carry {
                break;
            }
            (*limb, carry) =
                if is_negative { limb.borrowing(part, carry) } else { limb.carried(part, carry) };
        }
    }

    /// Makes room for `count` limbs at `place` and one above all that holds nothing but the sign;
    /// gives the index of the first.
    fn reach(&mut self, place: i32, count: usize) -> usize {
        if self.limbs.is_empty() {
            self.low = place;
        }
        if place < self.low {
            let missing = (self.low - place) as usize;
            self.limbs.splice(..0, std::iter::repeat_n(0, missing));
            self.low = place;
        }
        let from = (place - self.low) as usize;
        let sign = self.sign();
        if self.limbs.len() < from + count + 1 {
            self.limbs.resize(from + count + 1, sign);
        }
        if self.limbs.last() != Some(&sign) {
            self.limbs.push(sign);
        }
        from
    }

    fn sign(&self) -> u64 {
        if self.is_negative() { u64::MAX } else { 0 }
    }

    fn is_negative(&self) -> bool {
        self.limbs.last().is_some_and(|limb| limb >> 63 == 1)
    }

    /// Adds a whole number times a power of two, `times` times.
    pub(crate) fn add_times(&mut self, value: i128, exponent: i32, times: i64) {
        let (magnitude, factor) = (value.unsigned_abs(), u128::from(times.unsigned_abs()));
        let is_negative = (value < 0) != (times < 0);
        self.add((magnitude & u128::from(u64::MAX)) * factor, exponent, is_negative);
        self.add((magnitude >> 64) * factor, exponent + 64, is_negative);
    }

    /// Adds a float, `times` times.
    pub(crate) fn add_float(&mut self, value: f64, times: i64) {
        if !value.is_finite() {
            let count = if value.is_nan() {
                &mut self.nans
            } else if value > 0.0 {
                &mut self.ups
            } else {
                &mut self.downs
            };
            *count = count.saturating_add(times);
            return;
        }
        let (is_negative, mantissa, exponent) = taken_apart(value);
        self.add(
            u128::from(mantissa) * u128::from(times.unsigned_abs()),
            exponent,
            is_negative != (times < 0),
        );
    }

    /// Adds a float's square; of one that is not finite nothing, since its sum says enough.
    pub(crate) fn add_square(&mut self, value: f64, times: i64) {
        if value.is_finite() {
            let (_, mantissa, exponent) = taken_apart(value);
            self.add_times(i128::from(mantissa) * i128::from(mantissa), 2 * exponent, times);
        }
    }

    /// Adds another sum, or takes it off.
    pub(crate) fn merge(&mut self, other: &Self, is_taken_off: bool) {
        for (at, limb) in (0..).zip(&other.limbs) {
            self.add(u128::from(*limb), (other.low + at) * 64, is_taken_off);
        }
        if other.is_negative() {
            self.add(1, (other.low + other.limbs.len() as i32) * 64, !is_taken_off);
        }
        let sign = if is_taken_off { -1 } else { 1 };
        for (count, other) in [
            (&mut self.nans, other.nans),
            (&mut self.ups, other.ups),
            (&mut self.downs, other.downs),
        ] {
            *count = count.saturating_add(other.saturating_mul(sign));
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_zero(&self) -> bool {
        (self.nans, self.ups, self.downs) == (0, 0, 0) && self.limbs.iter().all(|limb| *limb == 0)
    }

    /// Whether it is the same number as another, however many limbs either has.
    pub(crate) fn is_equal(&self, other: &Self) -> bool {
        let places = self.low.min(other.low)
            ..(self.low + self.limbs.len() as i32).max(other.low + other.limbs.len() as i32);
        let specials = |sum: &Self| (sum.nans, sum.ups, sum.downs);
        specials(self) == specials(other)
            && places.into_iter().all(|place| self.limb(place) == other.limb(place))
            && self.sign() == other.sign()
    }

    /// The limb at a place.
    fn limb(&self, place: i32) -> u64 {
        match usize::try_from(place - self.low) {
            Ok(at) => self.limbs.get(at).copied().unwrap_or_else(|| self.sign()),
            Err(_) => 0,
        }
    }

    /// What it is if it is not finite.
    pub(crate) fn special(&self) -> Option<f64> {
        match (self.nans > 0, self.ups > 0, self.downs > 0) {
            (false, false, false) => None,
            (false, true, false) => Some(f64::INFINITY),
            (false, false, true) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    /// The absolute value's limbs without leading zeros.
    fn magnitude(&self) -> Vec<u64> {
        let mut limbs = self.limbs.clone();
        if self.is_negative() {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
            }
        }
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        limbs
    }

    /// The product with another finite sum.
    pub(crate) fn times(&self, other: &Self) -> Self {
        let (a, b) = (self.magnitude(), other.magnitude());
        let mut limbs = vec![0u64; a.len() + b.len() + 1];
        for (i, a) in a.iter().enumerate() {
            let mut carry = 0u128;
            for (j, b) in b.iter().enumerate() {
                let sum = u128::from(*a) * u128::from(*b) + u128::from(limbs[i + j]) + carry;
                limbs[i + j] = sum as u64;
                carry = sum >> 64;
            }
            limbs[i + b.len()] = carry as u64;
        }
        let product = Self { low: self.low + other.low, limbs, ..Self::default() };
        if self.is_negative() == other.is_negative() {
            return product;
        }
        let mut negative = Self::default();
        negative.merge(&product, true);
        negative
    }

    /// The nearest number of 53 bits and its exponent, ties to even: it is their product with
    /// 2^exponent.
    pub(crate) fn rounded(&self) -> (f64, i32) {
        self.rounded_to(|_| MANTISSA_BITS)
    }

    /// Rounded to as many bits as `bits` says of the exponent of its highest one.
    fn rounded_to(&self, bits: impl Fn(i32) -> i32) -> (f64, i32) {
        let limbs = self.magnitude();
        let Some(top) = limbs.last() else { return (0.0, 0) };
        let length = limbs.len() as i32 * 64 - top.leading_zeros() as i32;
        let drop = length - bits(self.low * 64 + length - 1);
        let bit = |at: i32| {
            at >= 0 && limbs.get((at / 64) as usize).is_some_and(|limb| limb >> (at % 64) & 1 == 1)
        };
        // Every bit that is not among those dropped.
        let mut mantissa =
            (drop.max(0)..length).rev().fold(0u64, |all, at| all << 1 | u64::from(bit(at)));
        if drop > 0 {
            let rest = (0..drop - 1).any(bit);
            mantissa += u64::from(bit(drop - 1) && (rest || mantissa & 1 == 1));
        }
        let value = mantissa as f64;
        (if self.is_negative() { -value } else { value }, self.low * 64 + drop.max(0))
    }

    /// The nearest float, ties to even; infinite beyond the largest.
    pub(crate) fn to_float(&self) -> f64 {
        if let Some(special) = self.special() {
            return special;
        }
        // Below the smallest normal float there are fewer bits.
        let (mantissa, exponent) =
            self.rounded_to(|highest| MANTISSA_BITS.min(highest - EXPONENT_MIN + 1));
        scaled(mantissa, exponent)
    }

    /// It as a whole number of 128 bits, if it is one.
    pub(crate) fn to_integer(&self) -> Option<i128> {
        let mut magnitude = 0u128;
        for (at, limb) in (self.low..).zip(self.magnitude()).filter(|(_, limb)| *limb != 0) {
            let shift = u32::try_from(at).ok().filter(|at| *at < 2)? * 64;
            magnitude |= u128::from(limb) << shift;
        }
        if self.is_negative() {
            0i128.checked_sub_unsigned(magnitude)
        } else {
            i128::try_from(magnitude).ok()
        }
    }

    /// Its digits, of a whole number.
    pub(crate) fn digits(&self) -> String {
        const CHUNK: u128 = 10_000_000_000_000_000_000;
        let mut limbs = self.magnitude();
        limbs.splice(..0, std::iter::repeat_n(0, usize::try_from(self.low).unwrap_or(0)));
        let mut chunks = Vec::new();
        while limbs.iter().any(|limb| *limb != 0) {
            let mut rest = 0u128;
            for limb in limbs.iter_mut().rev() {
                let all = rest << 64 | u128::from(*limb);
                (*limb, rest) = ((all / CHUNK) as u64, all % CHUNK);
            }
            chunks.push(rest);
        }
        let mut text = String::from(if self.is_negative() { "-" } else { "" });
        text.push_str(&chunks.pop().unwrap_or(0).to_string());
        chunks.iter().rev().for_each(|chunk| text.push_str(&format!("{chunk:019}")));
        text
    }

    /// Adds it to bytes, from which [`Self::read`] takes it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for value in [i64::from(self.low), self.nans, self.ups, self.downs] {
            push_number(zigzag(value), out);
        }
        let limbs: Vec<u8> = self.limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        push_bytes(&limbs, out);
    }

    /// Takes one from the front; none where there is none.
    pub(crate) fn read(from: &mut &[u8]) -> Option<Self> {
        let mut next = || number(from).map(unzigzag);
        let (low, nans, ups, downs) = (i32::try_from(next()?).ok()?, next()?, next()?, next()?);
        let (limbs, rest) = bytes(from)?.as_chunks::<8>();
        rest.is_empty().then(|| Self {
            low,
            limbs: limbs.iter().map(|limb| u64::from_le_bytes(*limb)).collect(),
            nans,
            ups,
            downs,
        })
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.limbs.capacity() * 8
    }
}

/// Addition and subtraction of limbs with what is carried.
trait Carrying: Sized {
    fn carried(self, other: Self, carry: bool) -> (Self, bool);
    fn borrowing(self, other: Self, borrow: bool) -> (Self, bool);
}

impl Carrying for u64 {
    #[inline]
    fn carried(self, other: Self, carry: bool) -> (Self, bool) {
        let (sum, first) = self.overflowing_add(other);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        (sum, first || second)
    }

    #[inline]
    fn borrowing(self, other: Self, borrow: bool) -> (Self, bool) {
        let (difference, first) = self.overflowing_sub(other);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        (difference, first || second)
    }
}

#[cfg(test)]
mod tests;
