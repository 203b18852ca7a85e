//! Sums and sums of squares in 128 bits, and where those might not hold them in several numbers of
//! 128 bits, each of which adds up a part of every value.
//!
//! A part is so many of a value's bits, so parts are added up without a carry from one to the next,
//! wrap around each for itself, and leave again each for itself. A window's total is put together
//! from its parts when it is shown.

use crate::keyed::exact::Exact;
use crate::keyed::sums::{Unit, fits, mean, scaled};
use arrow::datatypes::{DataType, i256};

/// Bits of a part of a value, and of a part of a square: with less than 2^39 rows in reach of a
/// window no part overflows.
const SUM_BITS: u32 = 64;
const SQUARE_BITS: u32 = 88;
/// Parts where one number does not do.
pub(super) const SUM_PARTS: usize = 2;
pub(super) const SQUARE_PARTS: usize = 3;

/// Numbers of 128 bits next to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lanes {
    pub(super) first: usize,
    /// One, or as many as there are parts.
    pub(super) parts: usize,
}

/// What of a kept column is added up in 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WideColumn {
    pub(super) column: usize,
    pub(super) unit: Unit,
    pub(super) sum: Option<Lanes>,
    pub(super) squares: Option<Lanes>,
}

impl WideColumn {
    /// Adds a value to a key's numbers at an edge, or takes it off.
    #[inline]
    pub(super) fn add(&self, value: i128, numbers: &mut [i128], is_taken_off: bool) {
        let change = |number: &mut i128, part: i128| {
            *number =
                if is_taken_off { number.wrapping_sub(part) } else { number.wrapping_add(part) };
        };
        if let Some(Lanes { first, parts }) = self.sum {
            if parts == 1 {
                change(&mut numbers[first], value);
            } else {
                for (number, part) in
                    numbers[first..first + SUM_PARTS].iter_mut().zip(parts_of(value))
                {
                    change(number, part);
                }
            }
        }
        if let Some(Lanes { first, parts }) = self.squares {
            if parts == 1 {
                // Fits, or the column would have been promoted.
                change(&mut numbers[first], value.wrapping_mul(value));
            } else {
                for (number, part) in
                    numbers[first..first + SQUARE_PARTS].iter_mut().zip(square_parts(value))
                {
                    change(number, part);
                }
            }
        }
    }
}

/// The parts of a value.
pub(super) fn parts_of(value: i128) -> [i128; SUM_PARTS] {
    [value & mask(SUM_BITS), value >> SUM_BITS]
}

/// The parts of a number that is a square, or a sum of squares.
pub(super) fn parts_of_squares(value: i128) -> [i128; SQUARE_PARTS] {
    [value & mask(SQUARE_BITS), value >> SQUARE_BITS, 0]
}

fn square_parts(value: i128) -> [i128; SQUARE_PARTS] {
    let magnitude = value.unsigned_abs();
    let (high, low) = (magnitude >> 64, magnitude & u128::from(u64::MAX));
    // At most 2^63 · 2^64.
    let middle = high * low;
    let (lower, carry) = (low * low).overflowing_add(middle << 65);
    let upper = high * high + (middle >> 63) + u128::from(carry);
    let part = |bits: u128| (bits & mask(SQUARE_BITS) as u128) as i128;
    [
        part(lower),
        part(lower >> SQUARE_BITS | upper << (128 - SQUARE_BITS)),
        (upper >> (2 * SQUARE_BITS - 128)) as i128,
    ]
}

fn mask(bits: u32) -> i128 {
    (1 << bits) - 1
}

/// A window's sum, or its sum of squares.
#[derive(Debug)]
pub(super) enum Total {
    /// So many units.
    Fixed(i128),
    /// More units than 128 bits hold.
    Wide(i256),
    /// Of any size, in ones.
    Exact(Exact),
}

impl Total {
    /// From the parts of a sum and what is beside it.
    #[inline]
    pub(super) fn of_sum(unit: Unit, parts: &[i128], beside: Option<&Exact>) -> Self {
        match (parts, beside) {
            (&[sum], None) => Self::Fixed(sum),
            _ => Self::of_parts(parts, SUM_BITS, unit.exponent(), beside),
        }
    }

    /// From the parts of a sum of squares and what is beside it.
    pub(super) fn of_squares(unit: Unit, parts: &[i128], beside: Option<&Exact>) -> Self {
        match (parts, beside) {
            (&[sum], None) => Self::Fixed(sum),
            // Below 2^255 in all.
            (&[low, middle, high], None) if high < 1 << 77 => {
                let at = |part: i128, shift: u8| i256::from_i128(part) << shift;
                let all = at(low, 0)
                    .wrapping_add(at(middle, SQUARE_BITS as u8))
                    .wrapping_add(at(high, 2 * SQUARE_BITS as u8));
                Self::Wide(all)
            }
            _ => Self::of_parts(parts, SQUARE_BITS, 2 * unit.exponent(), beside),
        }
    }

    fn of_parts(parts: &[i128], bits: u32, exponent: i32, beside: Option<&Exact>) -> Self {
        let mut sum = beside.cloned().unwrap_or_default();
        for (at, part) in (0..).zip(parts) {
            sum.add(part.unsigned_abs(), exponent + at * bits as i32, *part < 0);
        }
        Self::Exact(sum)
    }

    fn exact(self, exponent: i32) -> Exact {
        let mut sum = Exact::default();
        match self {
            Self::Fixed(fixed) => sum.add(fixed.unsigned_abs(), exponent, fixed < 0),
            Self::Wide(wide) => {
                let (low, high) = wide.to_parts();
                sum.add(low, exponent, false);
                sum.add(high.unsigned_abs(), exponent + 128, high < 0);
            }
            Self::Exact(exact) => return exact,
        }
        sum
    }

    /// The nearest float.
    pub(super) fn to_float(&self, unit: Unit) -> f64 {
        match self {
            Self::Fixed(fixed) => unit.float_of(*fixed),
            Self::Exact(exact) => exact.to_float(),
            // Sums of squares are not shown.
            Self::Wide(_) => f64::NAN,
        }
    }

    /// Of whole numbers: the sum, or its digits where the type does not hold it.
    pub(super) fn fitting(self, data_type: &DataType) -> Result<i128, String> {
        match self {
            Self::Fixed(fixed) if fits(fixed, data_type) => Ok(fixed),
            other @ (Self::Fixed(_) | Self::Wide(_) | Self::Exact(_)) => {
                let exact = other.exact(0);
                exact.to_integer().filter(|sum| fits(*sum, data_type)).ok_or_else(|| exact.digits())
            }
        }
    }

    /// The mean of so many values.
    pub(super) fn mean(&self, unit: Unit, count: i64, divisor: f64) -> f64 {
        match self {
            Self::Exact(exact) => mean(exact, count, divisor),
            Self::Fixed(_) | Self::Wide(_) => self.to_float(unit) / divisor / count as f64,
        }
    }
}

/// The sample standard deviation of `n` values from their sum and the sum of their squares: √((n·q
/// − s²) / (n·(n − 1))), the numerator exact and rounded once.
pub(super) fn deviation(n: i64, sum: Total, squares: Total, unit: Unit) -> Option<f64> {
    if n < 2 {
        return None;
    }
    if let Total::Exact(sum) = &sum
        && sum.special().is_some()
    {
        return Some(f64::NAN);
    }
    let pairs = n as f64 * (n as f64 - 1.0);
    if let Some(numerator) = numerator(n, &sum, &squares) {
        return Some((numerator / pairs).sqrt() * unit.float_of(1));
    }
    let (sum, mut numerator) = (sum.exact(unit.exponent()), Exact::default());
    numerator.merge(&squares.exact(2 * unit.exponent()).times(&Exact::of(i128::from(n))), false);
    numerator.merge(&sum.times(&sum), true);
    let (mantissa, exponent) = numerator.rounded();
    let odd = exponent.rem_euclid(2);
    Some(scaled((mantissa * f64::from(1 << odd) / pairs).sqrt(), (exponent - odd) / 2))
}

/// `n·q − s²` in units, where 256 bits hold it.
fn numerator(n: i64, sum: &Total, squares: &Total) -> Option<f64> {
    let Total::Fixed(sum) = sum else { return None };
    if let Total::Fixed(squares) = squares {
        let exact = i128::from(n)
            .checked_mul(*squares)
            .zip(sum.checked_mul(*sum))
            .and_then(|(a, b)| a.checked_sub(b));
        if let Some(exact) = exact {
            return Some(exact as f64);
        }
    }
    let squares = match squares {
        Total::Fixed(squares) => i256::from_i128(*squares),
        Total::Wide(squares) => *squares,
        Total::Exact(_) => return None,
    };
    let sum = i256::from_i128(*sum);
    let exact =
        i256::from_i128(i128::from(n)).checked_mul(squares)?.checked_sub(sum.checked_mul(sum)?)?;
    // Never below 0.
    let (low, high) = exact.to_parts();
    let high = high as u128;
    if high == 0 {
        return Some(low as f64);
    }
    let up = high.leading_zeros();
    // The highest 128 bits; the lowest of them says whether any below is set.
    let (highest, rest) =
        if up == 0 { (high, low) } else { (high << up | low >> (128 - up), low << up) };
    Some((highest | u128::from(rest != 0)) as f64 * 2f64.powi(128 - up as i32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    fn put_together(parts: &[i128], bits: u32) -> BigInt {
        (0u32..).zip(parts).map(|(at, part)| BigInt::from(*part) << (at * bits)).sum()
    }

    proptest! {
        #[test]
        fn parts_of_sums_and_squares_are_all_of_them(
            values in prop::collection::vec((any::<i128>(), 0u32..127), 0..20),
        ) {
            let values: Vec<i128> =
                values.into_iter().map(|(value, shift)| value >> shift).collect();
            let column = WideColumn {
                column: 0,
                unit: Unit::Whole,
                sum: Some(Lanes { first: 0, parts: SUM_PARTS }),
                squares: Some(Lanes { first: SUM_PARTS, parts: SQUARE_PARTS }),
            };
            let mut numbers = [0; SUM_PARTS + SQUARE_PARTS];
            values.iter().for_each(|value| column.add(*value, &mut numbers, false));
            let sum: BigInt = values.iter().map(|v| BigInt::from(*v)).sum();
            let squares: BigInt = values.iter().map(|v| BigInt::from(*v) * BigInt::from(*v)).sum();
            prop_assert_eq!(put_together(&numbers[..SUM_PARTS], SUM_BITS), sum.clone());
            prop_assert_eq!(put_together(&numbers[SUM_PARTS..], SQUARE_BITS), squares.clone());
            prop_assert_eq!(
                Total::of_sum(Unit::Whole, &numbers[..SUM_PARTS], None).exact(0).digits(),
                sum.to_string()
            );
            prop_assert_eq!(
                Total::of_squares(Unit::Whole, &numbers[SUM_PARTS..], None).exact(0).digits(),
                squares.to_string()
            );
            values.iter().for_each(|value| column.add(*value, &mut numbers, true));
            prop_assert_eq!(numbers, [0; SUM_PARTS + SQUARE_PARTS]);
        }

        #[test]
        fn a_deviation_is_the_same_however_its_sums_are_kept(
            values in prop::collection::vec(-1_000_000_000i64..1_000_000_000, 2..20),
        ) {
            let n = values.len() as i64;
            let sum: i128 = values.iter().map(|v| i128::from(*v)).sum();
            let squares: i128 = values.iter().map(|v| i128::from(*v).pow(2)).sum();
            let fixed = deviation(n, Total::Fixed(sum), Total::Fixed(squares), Unit::Whole);
            let wide =
                deviation(n, Total::Fixed(sum), Total::Wide(i256::from_i128(squares)), Unit::Whole);
            let exact = deviation(
                n,
                Total::Exact(Exact::of(sum)),
                Total::Exact(Exact::of(squares)),
                Unit::Whole,
            );
            prop_assert_eq!(fixed, wide);
            let (fixed, exact) = (fixed.expect("two values"), exact.expect("two values"));
            prop_assert!(
                (fixed - exact).abs() <= fixed * 4.0 * f64::EPSILON,
                "{} {}",
                fixed,
                exact
            );
        }
    }
}
