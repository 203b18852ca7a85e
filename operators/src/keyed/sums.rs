//! How values are added up: in a sum of 128 bits as long as they fit, else in an [`Exact`] sum that
//! stands beside it (`beside`). The total is both together.
//!
//! A float is a whole number of steps of 2^-76 when its lowest bit is no lower and it is below
//! 2^50: amounts with cents up to 10^15 are, and rates and probabilities of 16 digits down to 6e-8.
//! All other floats, and sums that 128 bits do not hold, are added up exactly too, with more memory
//! and more work. A sum is rounded once, when it is shown: it is the float nearest to the exact
//! sum, whatever the order of the values, however many came and went.

use super::encode::float;
pub(crate) use super::exact::scaled;
use super::exact::{Exact, taken_apart};
use arrow::datatypes::DataType;

/// A float's steps are of two to this power.
pub(crate) const STEP_EXPONENT: i32 = -76;
/// A float of two to this power steps or more is not added up in 128 bits.
const FIXED_BITS: u32 = 126;

/// How a kept column's numbers are read when they are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// As they are: whole numbers, of a decimal's smallest unit.
    Whole,
    /// As floats in their order ([`super::encode`]).
    Float,
}

impl Unit {
    pub(crate) fn of(data_type: &DataType) -> Self {
        if data_type.is_floating() { Self::Float } else { Self::Whole }
    }

    /// The exponent of what 128-bit sums count.
    pub(crate) fn exponent(self) -> i32 {
        match self {
            Self::Whole => 0,
            Self::Float => STEP_EXPONENT,
        }
    }

    /// A kept number as one that is added up in 128 bits, if it is one.
    #[inline]
    pub(crate) fn fixed(self, kept: i128) -> Option<i128> {
        match self {
            Self::Whole => Some(kept),
            Self::Float => fixed(float(kept as i64)),
        }
    }

    /// Adds a kept number to an exact sum, `times` times.
    pub(crate) fn add_exactly(self, sum: &mut Exact, kept: i128, times: i64) {
        match self {
            Self::Whole => sum.add_times(kept, 0, times),
            Self::Float => sum.add_float(float(kept as i64), times),
        }
    }

    /// A 128-bit sum and what is beside it, as one.
    pub(crate) fn joined(self, fixed: i128, beside: &Exact) -> Exact {
        let mut sum = beside.clone();
        sum.add(fixed.unsigned_abs(), self.exponent(), fixed < 0);
        sum
    }

    /// A 128-bit sum as a float.
    #[inline]
    pub(crate) fn float_of(self, fixed: i128) -> f64 {
        match self {
            Self::Whole => fixed as f64,
            // Exact: a power of two, far from both ends of the floats.
            Self::Float => fixed as f64 * const { 1.0 / (1u128 << -STEP_EXPONENT) as f64 },
        }
    }
}

/// A sum of a few values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    fixed: i128,
    beside: Option<Exact>,
}

impl Sum {
    /// Adds a kept number.
    pub(crate) fn add(&mut self, unit: Unit, kept: i128) {
        match unit.fixed(kept).and_then(|fixed| self.fixed.checked_add(fixed)) {
            Some(sum) => self.fixed = sum,
            None => unit.add_exactly(self.beside.get_or_insert_default(), kept, 1),
        }
    }

    fn exact(&self, unit: Unit) -> Exact {
        unit.joined(self.fixed, self.beside.as_ref().unwrap_or(&Exact::default()))
    }

    /// The nearest float.
    pub(crate) fn to_float(&self, unit: Unit) -> f64 {
        if self.beside.is_none() { unit.float_of(self.fixed) } else { self.exact(unit).to_float() }
    }

    /// Of whole numbers: the sum, or its digits where the type does not hold it.
    pub(crate) fn fitting(&self, data_type: &DataType) -> Result<i128, String> {
        let sum = if self.beside.is_none() {
            Some(self.fixed)
        } else {
            self.exact(Unit::Whole).to_integer()
        };
        sum.filter(|sum| fits(*sum, data_type)).ok_or_else(|| self.exact(Unit::Whole).digits())
    }

    /// The share of a kept number in the sum; none where that is 0.
    pub(crate) fn share(&self, unit: Unit, kept: i128) -> Option<f64> {
        let value = match unit {
            Unit::Whole => kept as f64,
            Unit::Float => float(kept as i64),
        };
        let sum = self.to_float(unit);
        if sum == 0.0 {
            return None;
        }
        let exact = if sum.is_infinite() { Some(self.exact(unit)) } else { None };
        Some(match exact.filter(|exact| exact.special().is_none()) {
            // Larger than any float, and its parts may be no small ones.
            Some(exact) => {
                let (mantissa, exponent) = exact.rounded();
                scaled(value / mantissa, -exponent)
            }
            None => value / sum,
        })
    }
}

/// A float as steps, if it is a whole number of them that 128 bits hold.
#[inline]
fn fixed(value: f64) -> Option<i128> {
    let (is_negative, mantissa, exponent) = taken_apart(value);
    let shift = exponent - STEP_EXPONENT;
    let magnitude = if shift >= 0 {
        // The mantissa has 53 bits. What is not finite has the largest exponent of all.
        if shift > FIXED_BITS as i32 - 53 {
            return None;
        }
        u128::from(mantissa) << shift
    } else {
        if mantissa.trailing_zeros() < shift.unsigned_abs() {
            return (mantissa == 0).then_some(0);
        }
        u128::from(mantissa) >> shift.unsigned_abs()
    } as i128;
    Some(if is_negative { -magnitude } else { magnitude })
}

/// The mean of `count` values from their sum: rounded twice, and right also where the sum is beyond
/// the floats.
pub(crate) fn mean(sum: &Exact, count: i64, divisor: f64) -> f64 {
    if let Some(special) = sum.special() {
        return special;
    }
    let (mantissa, exponent) = sum.rounded();
    scaled(mantissa / divisor / count as f64, exponent)
}

/// The largest whole number of so many digits.
pub(crate) const DECIMAL_MAX: i128 = 10i128.pow(38) - 1;

/// Whether a sum fits the type that it is shown in; none: it is a float.
#[inline]
pub(crate) fn fits(sum: i128, data_type: &DataType) -> bool {
    match data_type {
        DataType::Int64 => i64::try_from(sum).is_ok(),
        _ => (-DECIMAL_MAX..=DECIMAL_MAX).contains(&sum),
    }
}

/// A sum that its type does not hold, as a sentence.
pub(crate) fn unfit(column: &str, digits: &str, data_type: &DataType) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let shown = match data_type {
        DataType::Decimal128(_, scale @ 1..) => {
            let scale = usize::from(scale.unsigned_abs());
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, rest) = padded.split_at(padded.len() - scale);
            format!("{sign}{whole}.{rest}")
        }
        _ => format!("{sign}{digits}"),
    };
    let name = match data_type {
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        _ => "int64".to_owned(),
    };
    format!(
        "{column} is null in this row, which is kept: the sum {shown} does not fit {name}; cast \
         what is added up in a `derive` step before, to a float or a larger unit"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_rates_are_whole_numbers_of_steps_and_stay_what_they_are() {
        for value in [
            0.0,
            -0.0,
            0.1,
            -0.1,
            0.01,
            12345.67,
            -99_999_999_999.99,
            1e15,
            0.1 + 0.2,
            1e-7,
            6e-8,
            2f64.powi(-76),
            2f64.powi(50) - 1.0,
        ] {
            let steps =
                fixed(value).unwrap_or_else(|| panic!("{value} is no whole number of steps"));
            assert_eq!(Unit::Float.float_of(steps), value);
        }
        for value in [
            2f64.powi(50),
            1e-30,
            2f64.powi(-77),
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
            f64::from_bits(1),
        ] {
            assert_eq!(fixed(value), None, "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_point() {
        let said = unfit("s_1h", "-9223372036854775808", &DataType::Int64);
        assert!(
            said.starts_with("s_1h is null in this row")
                && said.contains("-9223372036854775808 does not fit int64"),
            "{said}"
        );
        let said =
            unfit("s", "100000000000000000000000000000000000000", &DataType::Decimal128(38, 2));
        assert!(
            said.contains("1000000000000000000000000000000000000.00 does not fit decimal(38,2)"),
            "{said}"
        );
        assert!(unfit("s", "-7", &DataType::Decimal128(38, 2)).contains("-0.07"));
    }
}
