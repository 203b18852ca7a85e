//! Parsed values as values of DataFusion, of the type that a statement needs or a wider one.

use std::sync::Arc;

use arrow::array::ListArray;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::ScalarValue;

use crate::postgres::values::calendar::{DAY_US, SECOND_US};
use crate::postgres::values::error::ParameterError;
use crate::postgres::values::pg_types::PgType;
use crate::postgres::values::settings::ValueSettings;
use crate::postgres::values::types::{element_field, plain};

use super::decimal::Decimal;
use super::parsed::{Moment, Parsed, unsupported};
use super::units::{clock_scalar, in_unit, interval_scalar, timestamp};
use super::wide::{wide_decimal, wide_enough};

/// Makes a value of a type, or of a wider one of its kind if it has no such value.
pub(super) fn to_scalar(
    parsed: Parsed,
    wanted: &DataType,
    postgres: &'static PgType,
    settings: &ValueSettings,
) -> Result<ScalarValue, ParameterError> {
    let context = Context { postgres, settings };
    let data_type = plain(wanted);
    let parsed = context.on_clock(parsed, data_type);
    if let Parsed::List(elements) = parsed {
        return context.list(elements, data_type);
    }
    let data_type = wide_enough(&[&parsed], data_type);
    let scalar = context.scalar(parsed, &data_type)?;
    // A wider value isn't packed: the statement compares it as another type anyway.
    Ok(match wanted {
        DataType::Dictionary(keys, _) if data_type == *plain(wanted) => {
            ScalarValue::Dictionary(keys.clone(), Box::new(scalar))
        }
        DataType::RunEndEncoded(ends, values) if data_type == *plain(wanted) => {
            ScalarValue::RunEndEncoded(ends.clone(), values.clone(), Box::new(scalar))
        }
        _ => scalar,
    })
}

#[derive(Clone, Copy)]
struct Context<'a> {
    postgres: &'static PgType,
    settings: &'a ValueSettings,
}

impl Context<'_> {
    fn out_of_range(&self, text: impl ToString) -> ParameterError {
        ParameterError::OutOfRange { postgres: self.postgres.sql_name(), text: text.to_string() }
    }

    /// Moves a date or timestamp to the clock of the type: UTC's or the session's.
    fn on_clock(&self, parsed: Parsed, data_type: &DataType) -> Parsed {
        let DataType::Timestamp(_, zone) = data_type else { return parsed };
        let parsed = match parsed.midnight() {
            Some(at) => Parsed::Timestamp(Moment::new(at)),
            None => parsed,
        };
        let session = self.settings.time_zone;
        if let (Parsed::Timestamp(local), Some(_)) = (&parsed, zone)
            && let Some(microseconds) = session.instant(local.microseconds)
        {
            return Parsed::Timestamptz(Moment { microseconds, ..*local });
        }
        if let (Parsed::Timestamptz(at), None) = (&parsed, zone) {
            let offset = i64::from(session.offset_at(at.microseconds)) * SECOND_US;
            let microseconds = at.microseconds.saturating_add(offset);
            return Parsed::Timestamp(Moment { microseconds, ..*at });
        }
        parsed
    }

    fn list(
        &self,
        elements: Vec<Option<Parsed>>,
        data_type: &DataType,
    ) -> Result<ScalarValue, ParameterError> {
        let refused = || unsupported(self.postgres, data_type);
        let Some(field) = element_field(data_type) else { return Err(refused()) };
        let nested = element_field(plain(field.data_type())).is_some();
        if elements.iter().flatten().any(|element| matches!(element, Parsed::List(_)) != nested) {
            return Err(refused());
        }
        let (element_type, scalars) = match nested {
            true => self.lists(elements, field.data_type())?,
            false => self.elements(elements, plain(field.data_type()))?,
        };
        let values = match scalars.is_empty() {
            true => arrow::array::new_empty_array(&element_type),
            false => ScalarValue::iter_to_array(scalars).map_err(|_| refused())?,
        };
        let wanted_element = field.data_type() == values.data_type();
        let field = match wanted_element && field.is_nullable() {
            true => Arc::clone(field),
            false => Arc::new(Field::new(field.name(), values.data_type().clone(), true)),
        };
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let list = ListArray::try_new(field, offsets, values, None).map_err(|_| refused())?;
        let scalar = ScalarValue::List(Arc::new(list));
        match data_type {
            DataType::List(_) => Ok(scalar),
            other if wanted_element => scalar.cast_to(other).map_err(|_| refused()),
            _ => Ok(scalar),
        }
    }

    fn lists(
        &self,
        elements: Vec<Option<Parsed>>,
        data_type: &DataType,
    ) -> Result<(DataType, Vec<ScalarValue>), ParameterError> {
        let scalars = elements.into_iter().map(|element| {
            if let Some(Parsed::List(inner)) = element {
                return self.list(inner, data_type);
            }
            ScalarValue::try_new_null(data_type).map_err(|_| unsupported(self.postgres, data_type))
        });
        Ok((data_type.clone(), scalars.collect::<Result<_, _>>()?))
    }

    fn elements(
        &self,
        elements: Vec<Option<Parsed>>,
        data_type: &DataType,
    ) -> Result<(DataType, Vec<ScalarValue>), ParameterError> {
        let elements: Vec<Option<Parsed>> = elements
            .into_iter()
            .map(|element| element.map(|element| self.on_clock(element, data_type)))
            .collect();
        let present: Vec<&Parsed> = elements.iter().flatten().collect();
        let data_type = wide_enough(&present, data_type);
        let scalars = elements.into_iter().map(|element| match element {
            Some(element) => self.scalar(element, &data_type),
            None => ScalarValue::try_new_null(&data_type)
                .map_err(|_| unsupported(self.postgres, &data_type)),
        });
        let scalars = scalars.collect::<Result<Vec<_>, _>>()?;
        Ok((data_type, scalars))
    }

    /// A value of exactly this type.
    fn scalar(&self, parsed: Parsed, wanted: &DataType) -> Result<ScalarValue, ParameterError> {
        use DataType as D;
        use Parsed as P;
        let natural = match (parsed, wanted) {
            (
                P::Int(number),
                D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..),
            ) => return self.decimal(&Decimal::from_i64(number), wanted),
            (P::Decimal(number), _) => return self.number(&number, wanted),
            (P::Bool(value), _) => ScalarValue::Boolean(Some(value)),
            (P::Int(number), _) => ScalarValue::Int64(Some(number)),
            (P::Float4(float), _) => ScalarValue::Float32(Some(float)),
            (P::Float8(float), _) => ScalarValue::Float64(Some(float)),
            (P::Text(text), _) => {
                let scalar = ScalarValue::Utf8(Some(text.clone()));
                return match scalar.cast_to(wanted) {
                    Ok(scalar) if is_text(wanted) || !scalar.is_null() => Ok(scalar),
                    _ => Err(ParameterError::Syntax { postgres: self.postgres.sql_name(), text }),
                };
            }
            (P::Bytes(bytes), D::FixedSizeBinary(size))
                if i32::try_from(bytes.len()) == Ok(*size) =>
            {
                ScalarValue::FixedSizeBinary(*size, Some(bytes))
            }
            (P::Bytes(bytes), _) => ScalarValue::Binary(Some(bytes)),
            (P::Uuid(bytes), D::FixedSizeBinary(16)) => {
                ScalarValue::FixedSizeBinary(16, Some(bytes.to_vec()))
            }
            (P::Uuid(bytes), wanted) if is_text(wanted) => {
                ScalarValue::Utf8(Some(uuid_text(&bytes)))
            }
            (P::Uuid(bytes), _) => ScalarValue::Binary(Some(bytes.to_vec())),
            (P::Date(days), D::Date64) => ScalarValue::Date64(days.checked_mul(DAY_US / 1_000)),
            (P::Date(days), _) => ScalarValue::Date32(i32::try_from(days).ok()),
            (P::Time(time), wanted) => clock_scalar(time, wanted),
            (P::Timestamp(moment) | P::Timestamptz(moment), D::Timestamp(unit, zone)) => {
                match in_unit(moment, *unit) {
                    Some(count) => timestamp(*unit, count, zone.clone()),
                    None => return Err(self.beyond("timestamp", moment.microseconds)),
                }
            }
            (P::Timestamp(moment), _) => timestamp(TimeUnit::Microsecond, moment.rounded(), None),
            (P::Timestamptz(moment), _) => {
                timestamp(TimeUnit::Microsecond, moment.rounded(), Some("UTC".into()))
            }
            (P::Interval(interval), wanted) => match interval_scalar(interval, wanted) {
                Some(scalar) => scalar,
                None => {
                    return Err(self.beyond("interval field value", interval.microseconds));
                }
            },
            (P::List(_), _) => return Err(unsupported(self.postgres, wanted)),
        };
        if natural.is_null() {
            return Err(self.out_of_range("date"));
        }
        if natural.data_type() == *wanted {
            return Ok(natural);
        }
        match natural.cast_to(wanted) {
            Ok(scalar) if !scalar.is_null() => Ok(scalar),
            _ => Err(unsupported(self.postgres, wanted)),
        }
    }

    fn beyond(&self, what: &'static str, count: i64) -> ParameterError {
        ParameterError::DateRange { what, text: count.to_string() }
    }

    /// A decimal number in a type that it fits.
    fn number(&self, number: &Decimal, wanted: &DataType) -> Result<ScalarValue, ParameterError> {
        use DataType as D;
        match wanted {
            D::Float16 | D::Float32 | D::Float64 => {
                let float = number.to_f64().ok_or_else(|| self.out_of_range("number"))?;
                ScalarValue::Float64(Some(float))
                    .cast_to(wanted)
                    .map_err(|_| unsupported(self.postgres, wanted))
            }
            D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => {
                self.decimal(number, wanted)
            }
            _ => {
                let exact = wide_decimal(&[*number], 0, 0);
                let scalar = self.decimal(number, &exact)?;
                scalar.cast_to(wanted).map_err(|_| unsupported(self.postgres, wanted))
            }
        }
    }

    fn decimal(&self, number: &Decimal, wanted: &DataType) -> Result<ScalarValue, ParameterError> {
        let refused = || self.out_of_range("number");
        let at =
            |precision: u8, scale: i8| match number.whole_digits().saturating_add(i32::from(scale))
            {
                digits if digits <= i32::from(precision) => number.at_scale(i32::from(scale)),
                _ => None,
            };
        Ok(match *wanted {
            DataType::Decimal32(precision, scale) => {
                let value = at(precision, scale).and_then(|value| value.to_i128());
                let value =
                    value.and_then(|value| i32::try_from(value).ok()).ok_or_else(refused)?;
                ScalarValue::Decimal32(Some(value), precision, scale)
            }
            DataType::Decimal64(precision, scale) => {
                let value = at(precision, scale).and_then(|value| value.to_i128());
                let value =
                    value.and_then(|value| i64::try_from(value).ok()).ok_or_else(refused)?;
                ScalarValue::Decimal64(Some(value), precision, scale)
            }
            DataType::Decimal128(precision, scale) => {
                let value = at(precision, scale).and_then(|value| value.to_i128());
                ScalarValue::Decimal128(Some(value.ok_or_else(refused)?), precision, scale)
            }
            DataType::Decimal256(precision, scale) => {
                let value = at(precision, scale).ok_or_else(refused)?;
                ScalarValue::Decimal256(Some(value), precision, scale)
            }
            _ => return Err(unsupported(self.postgres, wanted)),
        })
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Memory that grows takes any text.
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok());
    }
    text
}
