//! Decimals as whole numbers of 256 bits and the digits behind the point.

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use datafusion::common::{Result, exec_err};

use super::super::value_error::ValueError;

/// Digits that 128 bits always hold.
pub(super) const DIGITS_128: u8 = 38;
/// Digits that 256 bits always hold.
pub(super) const DIGITS_256: u8 = 76;

/// A power of ten that 256 bits hold.
pub(super) fn power_of_ten(exponent: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(exponent)
}

/// A quotient, halves away from zero.
pub(super) fn rounded(dividend: i256, divisor: i256) -> Option<i256> {
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend.checked_rem(divisor)?;
    let (rest, size) = (rest.wrapping_abs(), divisor.wrapping_abs());
    // As `rest * 2 >= size`, but for numbers that have no double.
    if rest >= size.wrapping_sub(rest) && rest != i256::ZERO {
        let away = if (dividend < i256::ZERO) == (divisor < i256::ZERO) { 1 } else { -1 };
        return quotient.checked_add(i256::from_i128(away));
    }
    Some(quotient)
}

/// A whole number of some scale in another one, halves away from zero.
pub(super) fn rescaled(number: i256, from: i32, to: i32) -> Option<i256> {
    let power = |digits: i32| u32::try_from(digits).ok().and_then(power_of_ten);
    match to.checked_sub(from)? {
        0 => Some(number),
        more if more > 0 => number.checked_mul(power(more)?),
        fewer => match power(-fewer) {
            Some(power) => rounded(number, power),
            None => Some(i256::ZERO),
        },
    }
}

/// Whether a number has no more digits than a precision.
pub(super) fn fits(number: i256, precision: u8) -> bool {
    power_of_ten(u32::from(precision)).is_none_or(|end| {
        let negative = i256::ZERO.wrapping_sub(end);
        negative < number && number < end
    })
}

/// A number of digits with or without a point and an exponent: its digits and its scale.
pub(super) fn parsed(text: &str) -> Option<(i256, i32)> {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number = i256::ZERO;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        let digit = i256::from_i128(i128::from(digit - b'0'));
        number = number.checked_mul(i256::from_i128(10))?.checked_add(digit)?;
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let number = if negative { i256::ZERO.wrapping_sub(number) } else { number };
    match scale {
        // Zeros in front of the point are digits as others.
        ..0 => Some((rescaled(number, scale, 0)?, 0)),
        scale => Some((number, scale)),
    }
}

/// Whole numbers as an array of decimals of a type.
pub(super) fn array(
    numbers: impl Iterator<Item = Result<Option<i256>>>,
    data: &DataType,
) -> Result<ArrayRef> {
    Ok(match data {
        DataType::Decimal128(precision, scale) => {
            let numbers = numbers.map(|number| match number? {
                None => Ok(None),
                Some(number) => match number.to_i128().filter(|_| fits(number, *precision)) {
                    Some(number) => Ok(Some(number)),
                    None => Err(overflow()),
                },
            });
            let array = numbers.collect::<Result<Decimal128Array>>()?;
            std::sync::Arc::new(array.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Decimal256(precision, scale) => {
            let numbers = numbers.map(|number| match number? {
                Some(number) if !fits(number, *precision) => Err(overflow()),
                number => Ok(number),
            });
            let array = numbers.collect::<Result<Decimal256Array>>()?;
            std::sync::Arc::new(array.with_precision_and_scale(*precision, *scale)?)
        }
        other => return exec_err!("{other} is no decimal"),
    })
}

fn overflow() -> datafusion::common::DataFusionError {
    ValueError::of("22003", "numeric field overflow")
}

/// The decimals of an array.
#[derive(Debug)]
pub(super) enum Decimals<'a> {
    Bits128(&'a Decimal128Array),
    Bits256(&'a Decimal256Array),
}

impl<'a> Decimals<'a> {
    pub(super) fn of(array: &'a ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Decimal128(..) => Ok(Self::Bits128(array.as_primitive::<Decimal128Type>())),
            DataType::Decimal256(..) => Ok(Self::Bits256(array.as_primitive::<Decimal256Type>())),
            other => exec_err!("{other} is no decimal"),
        }
    }

    pub(super) fn get(&self, row: usize) -> Option<i256> {
        match self {
            Self::Bits128(array) => array.is_valid(row).then(|| i256::from_i128(array.value(row))),
            Self::Bits256(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// The digits behind the point of a decimal's type; 0 for others.
pub(super) fn scale_of(data: &DataType) -> i32 {
    match data {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => i32::from(*scale),
        _ => 0,
    }
}

/// Texts as decimals of a type.
///
/// # Errors
/// A text is no number, or one that the type can't hold.
pub(crate) fn read_decimals(texts: Vec<Option<String>>, data: &DataType) -> Result<ArrayRef> {
    let numbers = texts.into_iter().map(|text| {
        let Some(text) = text else { return Ok(None) };
        let read =
            parsed(&text).and_then(|(number, scale)| rescaled(number, scale, scale_of(data)));
        read.map(Some).ok_or_else(overflow)
    });
    array(numbers, data)
}
