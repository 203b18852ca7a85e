//! Which type holds values exactly: the one that a statement needs, or a wider one of its kind.

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, IntervalUnit, TimeUnit,
};
use datafusion::common::ScalarValue;

use super::decimal::Decimal;
use super::parsed::Parsed;
use super::units::{in_unit, interval_scalar};

/// The type itself if it holds all values exactly, else a wider one of its kind.
pub(super) fn wide_enough(values: &[&Parsed], wanted: &DataType) -> DataType {
    use DataType as D;
    let decimals = |values: &[&Parsed]| -> Vec<Decimal> {
        let decimal = |value: &&Parsed| {
            if let Parsed::Decimal(number) = value {
                return Some(*number);
            }
            value.integer().map(Decimal::from_i64)
        };
        values.iter().filter_map(decimal).collect()
    };
    let has_float =
        values.iter().any(|value| matches!(value, Parsed::Float4(_) | Parsed::Float8(_)));
    let fits_nothing_but_floats = has_float && !wanted.is_floating() && wanted.is_numeric();
    match wanted {
        _ if fits_nothing_but_floats => D::Float64,
        D::Decimal32(precision, scale)
        | D::Decimal64(precision, scale)
        | D::Decimal128(precision, scale)
        | D::Decimal256(precision, scale) => {
            let (precision, scale) = (i32::from(*precision), i32::from(*scale));
            let numbers = decimals(values);
            let fit = |number: &Decimal| {
                number.whole_digits().saturating_add(scale) <= precision
                    && number.at_scale(scale).is_some()
            };
            match numbers.iter().all(fit) {
                true => wanted.clone(),
                false => wide_decimal(&numbers, precision - scale, scale),
            }
        }
        wanted if wanted.is_integer() => {
            let numbers = decimals(values);
            match numbers.iter().all(|number| fits_integer(number, wanted)) {
                true => wanted.clone(),
                false if numbers.iter().all(|number| fits_integer(number, &D::Int64)) => D::Int64,
                false => wide_decimal(&numbers, 0, 0),
            }
        }
        D::Float16 | D::Float32 => {
            let is_cut = |value: &&Parsed| {
                matches!(value, Parsed::Float8(float)
                    if !float.is_nan() && narrowed(*float) != *float)
            };
            if values.iter().any(is_cut) { D::Float64 } else { wanted.clone() }
        }
        D::FixedSizeBinary(size) => {
            let other = |value: &&Parsed| {
                matches!(value, Parsed::Bytes(bytes)
                    if i32::try_from(bytes.len()) != Ok(*size))
            };
            if values.iter().any(other) { D::Binary } else { wanted.clone() }
        }
        D::Timestamp(unit, zone) => D::Timestamp(wide_unit(values, *unit), zone.clone()),
        D::Time32(unit) => match wide_unit(values, *unit) {
            wide if wide == *unit => wanted.clone(),
            wide => D::Time64(wide),
        },
        D::Interval(_) | D::Duration(_) => {
            let is_other = |value: &&Parsed| {
                matches!(value, Parsed::Interval(interval)
                    if interval_scalar(*interval, wanted).is_none())
            };
            match values.iter().any(is_other) {
                true => D::Interval(IntervalUnit::MonthDayNano),
                false => wanted.clone(),
            }
        }
        other => other.clone(),
    }
}

/// What is left of a double in a single.
fn narrowed(float: f64) -> f64 {
    match ScalarValue::Float64(Some(float)).cast_to(&DataType::Float32) {
        Ok(ScalarValue::Float32(Some(single))) => f64::from(single),
        _ => f64::NAN,
    }
}

fn fits_integer(number: &Decimal, wanted: &DataType) -> bool {
    let whole = number.at_scale(0).and_then(|value| value.to_i128());
    let (min, max) = match wanted {
        DataType::Int8 => (i128::from(i8::MIN), i128::from(i8::MAX)),
        DataType::Int16 => (i128::from(i16::MIN), i128::from(i16::MAX)),
        DataType::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        DataType::UInt8 => (0, i128::from(u8::MAX)),
        DataType::UInt16 => (0, i128::from(u16::MAX)),
        DataType::UInt32 => (0, i128::from(u32::MAX)),
        DataType::UInt64 => (0, i128::from(u64::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    whole.is_some_and(|whole| (min..=max).contains(&whole))
}

/// A decimal type for these numbers, with at least so many digits around the point if there is
/// room for them.
pub(super) fn wide_decimal(numbers: &[Decimal], whole_min: i32, scale_min: i32) -> DataType {
    let whole = numbers.iter().map(Decimal::whole_digits).max().unwrap_or(0);
    let scale = numbers.iter().map(Decimal::scale).max().unwrap_or(0);
    let (roomy_whole, roomy_scale) = (whole.max(whole_min), scale.max(scale_min).max(0));
    let narrow = i32::from(DECIMAL128_MAX_PRECISION);
    let wide = i32::from(DECIMAL256_MAX_PRECISION);
    let small = |scale: i32| i8::try_from(scale).unwrap_or(i8::MAX);
    let total = |whole: i32, scale: i32| whole.saturating_add(scale);
    if total(roomy_whole, roomy_scale) <= narrow {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, small(roomy_scale))
    } else if total(whole, scale) <= narrow {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, small(scale))
    } else if total(roomy_whole, roomy_scale) <= wide {
        DataType::Decimal256(DECIMAL256_MAX_PRECISION, small(roomy_scale))
    } else {
        // Too many digits are refused when they are written.
        DataType::Decimal256(DECIMAL256_MAX_PRECISION, small(scale.min(wide)))
    }
}

/// The unit itself if it counts all moments, else microseconds.
fn wide_unit(values: &[&Parsed], unit: TimeUnit) -> TimeUnit {
    let fits = |value: &&Parsed| match value {
        Parsed::Time(moment) | Parsed::Timestamp(moment) | Parsed::Timestamptz(moment) => {
            in_unit(*moment, unit).is_some()
        }
        _ => true,
    };
    if values.iter().all(fits) { unit } else { TimeUnit::Microsecond }
}
