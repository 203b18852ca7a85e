//! Numbers from bytes: exact decimals, and integers at the start of a slice for the fast decoders.

/// Why a text is not the number that a column wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberFault {
    /// Not a number.
    Syntax,
    /// More digits than the type holds.
    Range,
    /// Non-zero digits beyond the scale: taking it would mean rounding.
    Fraction,
}

/// 10 to the power 0 … 38.
pub(crate) const POWERS: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// An exact decimal: `[+-]digits[.digits][e[+-]digits]`, in units of 10^-scale.
pub(crate) fn parse_decimal(text: &[u8], precision: u8, scale: i8) -> Result<i128, NumberFault> {
    match parse_digits(text, precision, scale)? {
        (value, false) => Ok(value),
        (_, true) => Err(NumberFault::Fraction),
    }
}

/// The same, rounded down to a whole unit where there are digits below one.
pub(crate) fn parse_decimal_floor(
    text: &[u8],
    precision: u8,
    scale: i8,
) -> Result<i128, NumberFault> {
    let (value, more) = parse_digits(text, precision, scale)?;
    Ok(if more && text.first() == Some(&b'-') { value - 1 } else { value })
}

/// A decimal's whole units, and whether there is more below them.
fn parse_digits(text: &[u8], precision: u8, scale: i8) -> Result<(i128, bool), NumberFault> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', rest) {
        Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (whole, fraction) = match memchr::memchr(b'.', mantissa) {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty()
        || !whole.iter().chain(fraction).all(u8::is_ascii_digit)
    {
        return Err(NumberFault::Syntax);
    }
    // The digit at index `i` counts 10^(whole.len() + exponent - 1 - i).
    let kept = (whole.len() as i64).saturating_add(exponent).saturating_add(i64::from(scale));
    let mut value: i128 = 0;
    let (mut digits, mut more) = (0_i64, false);
    for (i, digit) in whole.iter().chain(fraction).map(|b| b - b'0').enumerate() {
        if (i as i64) < kept {
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(i128::from(digit)))
                .ok_or(NumberFault::Range)?;
            digits += 1;
        } else {
            more |= digit != 0;
        }
    }
    if value != 0 {
        for _ in digits..kept {
            value = value.checked_mul(10).ok_or(NumberFault::Range)?;
        }
    }
    if value >= POWERS[usize::from(precision.min(38))] {
        return Err(NumberFault::Range);
    }
    Ok((if negative { -value } else { value }, more))
}

fn parse_exponent(text: &[u8]) -> Result<i64, NumberFault> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberFault::Syntax);
    }
    let size = digits.iter().fold(0_i64, |v, d| (v * 10 + i64::from(d - b'0')).min(1_000_000));
    Ok(if negative { -size } else { size })
}

/// A JSON integer of at most 18 digits at the start of `text`, and its length. None: not one, or
/// not for the fast way.
#[inline]
pub(crate) fn scan_integer(text: &[u8]) -> Option<(i64, usize)> {
    let (negative, value, at) = scan_whole(text)?;
    Some((if negative { -value } else { value }, at))
}

/// Whether there is a minus, the value of the digits after it (1 to 18, no needless zero in front),
/// and the length.
#[inline]
fn scan_whole(text: &[u8]) -> Option<(bool, i64, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut at = start;
    let mut value: i64 = 0;
    while let Some(digit) = text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        if at - start == 18 {
            return None;
        }
        value = value * 10 + i64::from(digit);
        at += 1;
    }
    if at == start || (text[start] == b'0' && at > start + 1) {
        return None;
    }
    Some((negative, value, at))
}

/// A plain JSON decimal of at most 18 digits, of which at most `scale` below the point, at the
/// start of `text`: its value in units of 10^-scale, and its length. None: not one, or not for the
/// fast way.
#[inline]
pub(crate) fn scan_decimal(text: &[u8], scale: usize) -> Option<(i64, usize)> {
    let (mantissa, fraction, at) = scan_mantissa(text, scale)?;
    let factor = *SMALL_POWERS.get(scale - fraction)?;
    Some((mantissa.checked_mul(factor)?, at))
}

/// A plain JSON number of at most 15 significant digits as a float, exact by Clinger's fast path
/// (both parts are exact floats, and one division rounds correctly).
#[inline]
pub(crate) fn scan_float(text: &[u8]) -> Option<(f64, usize)> {
    let (mantissa, fraction, at) = scan_mantissa(text, 15)?;
    if !(-(1 << 53)..=(1 << 53)).contains(&mantissa) || (mantissa == 0 && text[0] == b'-') {
        return None;
    }
    Some((mantissa as f64 / SMALL_POWERS[fraction] as f64, at))
}

const SMALL_POWERS: [i64; 19] = {
    let mut powers = [1_i64; 19];
    let mut i = 1;
    while i < 19 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Digits without their point, the number of them below it, and the length.
#[inline]
fn scan_mantissa(text: &[u8], fraction_max: usize) -> Option<(i64, usize, usize)> {
    let (negative, mut value, mut at) = scan_whole(text)?;
    let whole = at - usize::from(negative);
    let mut fraction = 0;
    if text.get(at) == Some(&b'.') {
        at += 1;
        while let Some(digit) = text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
            if fraction == fraction_max || whole + fraction == 18 {
                return None;
            }
            value = value * 10 + i64::from(digit);
            fraction += 1;
            at += 1;
        }
        if fraction == 0 {
            return None;
        }
    }
    Some((if negative { -value } else { value }, fraction, at))
}

/// Decimals of one type from floats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FloatDecimals {
    precision: u8,
    scale: i8,
    power: f64,
    /// How far a float may be from a whole number of units: a billionth of the unit before scaling.
    tolerance: f64,
    /// No decimal has so many units.
    limit: i128,
}

impl FloatDecimals {
    pub(crate) fn new(precision: u8, scale: i8) -> Self {
        let power = POWERS[scale.unsigned_abs() as usize] as f64;
        Self {
            precision,
            scale,
            power,
            tolerance: (1e-9 * power).min(1e-6),
            limit: POWERS[usize::from(precision.min(38))],
        }
    }

    /// The decimal that a finite float stands for, in units of 10^-scale: within what a sum or a
    /// product of such decimals strays by (285.79999999999995 is 285.80), and never a rounding that
    /// a user could notice.
    pub(crate) fn of(&self, value: f64) -> Result<i128, NumberFault> {
        let scaled = value * self.power;
        // Above 2^53 every float is whole, so its digits decide.
        if scaled.abs() >= 9_007_199_254_740_991.5 {
            return parse_decimal(format!("{value:e}").as_bytes(), self.precision, self.scale);
        }
        // Rounded, a half away from zero: what is cut off is exact at this size.
        let whole = scaled as i64;
        let cut = scaled - whole as f64;
        let units = whole + i64::from(cut >= 0.5) - i64::from(cut <= -0.5);
        // The tolerance is at least four units in the float's last place.
        let tolerance = self.tolerance.max(scaled.abs() * (4.0 * f64::EPSILON)).min(0.01);
        if (scaled - units as f64).abs() > tolerance {
            return Err(NumberFault::Fraction);
        }
        let units = i128::from(units);
        if units.abs() < self.limit { Ok(units) } else { Err(NumberFault::Range) }
    }
}

/// See [`FloatDecimals::of`].
pub(crate) fn decimal_from_float(
    value: f64,
    precision: u8,
    scale: i8,
) -> Result<i128, NumberFault> {
    FloatDecimals::new(precision, scale).of(value)
}

/// A decimal from a number's text: exact, but for the printout of a float that strayed (15
/// significant digits or more), which [`decimal_from_float`] judges.
pub(crate) fn decimal_from_text(
    text: &[u8],
    precision: u8,
    scale: i8,
) -> Result<i128, NumberFault> {
    match parse_decimal(text, precision, scale) {
        Err(NumberFault::Fraction) if significant_digits(text) >= 15 => {
            match lexical_core::parse::<f64>(text) {
                Ok(value) => decimal_from_float(value, precision, scale),
                Err(_) => Err(NumberFault::Fraction),
            }
        }
        exact => exact,
    }
}

/// Whether a float keeps the digits of a number: seventeen tell it from its neighbors, and a whole
/// number is one that it holds.
pub(crate) fn float_keeps(text: &[u8]) -> bool {
    if significant_digits(text) <= 15 {
        return true;
    }
    let whole = text.iter().all(|b| b.is_ascii_digit() || *b == b'-');
    if !whole {
        return significant_digits(text) <= 17;
    }
    matches!(parse_decimal(text, 38, 0), Ok(value) if (value as f64) as i128 == value)
}

/// Digits from the first that is not 0 to the last one, the exponent aside.
pub(crate) fn significant_digits(text: &[u8]) -> usize {
    let mantissa = text.split(|b| matches!(b, b'e' | b'E')).next().unwrap_or(text);
    mantissa
        .iter()
        .skip_while(|b| !(b'1'..=b'9').contains(*b))
        .filter(|b| b.is_ascii_digit())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(parse_decimal(b"33.1", 12, 2), Ok(3310));
        assert_eq!(parse_decimal(b"-0.05", 12, 2), Ok(-5));
        assert_eq!(parse_decimal(b"33.100", 12, 2), Ok(3310));
        assert_eq!(parse_decimal(b"33.101", 12, 2), Err(NumberFault::Fraction));
        assert_eq!(parse_decimal(b"1.5e3", 12, 2), Ok(150_000));
        assert_eq!(parse_decimal(b"150e-2", 12, 2), Ok(150));
        assert_eq!(parse_decimal(b"1e-3", 12, 2), Err(NumberFault::Fraction));
        assert_eq!(parse_decimal(b"0e999999999999", 12, 2), Ok(0));
        assert_eq!(parse_decimal(b"1e999999999999", 12, 2), Err(NumberFault::Range));
        assert_eq!(parse_decimal(b"9999999999.99", 12, 2), Ok(999_999_999_999));
        assert_eq!(parse_decimal(b"10000000000", 12, 2), Err(NumberFault::Range));
        assert_eq!(
            parse_decimal(b"99999999999999999999999999999999999999", 38, 0),
            Ok(POWERS[38] - 1)
        );
        for text in ["", "-", ".", "1.2.3", "0x1", "NaN", "1e", "1 "] {
            assert_eq!(parse_decimal(text.as_bytes(), 12, 2), Err(NumberFault::Syntax), "{text:?}");
        }
    }

    #[test]
    fn a_float_becomes_the_decimal_that_it_stands_for() {
        assert_eq!(decimal_from_float(33.1, 12, 2), Ok(3310));
        assert_eq!(decimal_from_float(0.1 + 0.2, 12, 2), Ok(30));
        assert_eq!(decimal_from_float(57.16 * 5.0, 12, 2), Ok(28_580));
        assert_eq!(decimal_from_float(0.300_001, 12, 2), Err(NumberFault::Fraction));
        assert_eq!(decimal_from_text(b"285.79999999999995", 12, 2), Ok(28_580));
        assert_eq!(decimal_from_text(b"285.7999", 12, 2), Err(NumberFault::Fraction));
        assert_eq!(decimal_from_text(b"285.7999999900000", 12, 2), Err(NumberFault::Fraction));
        assert_eq!(decimal_from_float(1e300, 12, 2), Err(NumberFault::Range));
        assert_eq!(decimal_from_float(-0.0, 12, 2), Ok(0));
        assert_eq!(decimal_from_float(1e17, 38, 2), Ok(POWERS[19]));
    }

    proptest! {
        #[test]
        fn cents_survive_a_float(cents in -100_000_000_000_i64..100_000_000_000) {
            let text = format!("{}.{:02}", cents / 100, (cents % 100).abs());
            let text = if cents < 0 && cents > -100 { format!("-{text}") } else { text };
            prop_assert_eq!(parse_decimal(text.as_bytes(), 20, 2), Ok(i128::from(cents)));
            prop_assert_eq!(scan_decimal(text.as_bytes(), 2), Some((cents, text.len())));
            let float: f64 = text.parse().expect("a float");
            prop_assert_eq!(decimal_from_float(float, 20, 2), Ok(i128::from(cents)));
            prop_assert_eq!(scan_float(text.as_bytes()).map(|(f, _)| f).unwrap_or(float), float);
        }

        #[test]
        fn scanned_floats_equal_parsed_ones(text in "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,8})?") {
            if let Some((value, length)) = scan_float(text.as_bytes()) {
                prop_assert_eq!(length, text.len());
                prop_assert_eq!(value.to_bits(), text.parse::<f64>().expect("a float").to_bits());
            }
        }
    }
}
