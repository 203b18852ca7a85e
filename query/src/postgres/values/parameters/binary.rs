//! Values from their binary form.

use crate::postgres::values::calendar::{DAY_US, EPOCH_DAYS, EPOCH_US, is_date, is_timestamp};
use crate::postgres::values::error::ParameterError;
use crate::postgres::values::pg_types::PgType;
use crate::postgres::values::types::Target;
use crate::postgres::values::value::Interval;

use super::array::DIMENSIONS_MAX;
use super::decimal::Decimal;
use super::parsed::{Moment, Parsed, element_of, unsupported, utf8};

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITE: u16 = 0xd000;
const NEGATIVE_INFINITE: u16 = 0xf000;
const JSONB_VERSION: u8 = 1;

/// Reads the binary form of a type.
pub(super) fn parse(postgres: &'static PgType, bytes: &[u8]) -> Result<Parsed, ParameterError> {
    let mut reader = Reader { rest: bytes, postgres };
    let parsed = match postgres.target() {
        Target::Bool => Parsed::Bool(reader.take::<1>()? != [0]),
        Target::Int2 => Parsed::Int(i64::from(i16::from_be_bytes(reader.take()?))),
        Target::Int4 => Parsed::Int(i64::from(reader.int()?)),
        Target::Int8 => Parsed::Int(reader.long()?),
        Target::Oid | Target::Reg(_) => Parsed::Int(i64::from(reader.oid()?)),
        Target::Numeric => reader.numeric()?,
        Target::Float4 => Parsed::Float4(f32::from_be_bytes(reader.take()?)),
        Target::Float8 => Parsed::Float8(f64::from_be_bytes(reader.take()?)),
        Target::Text => Parsed::Text(utf8(reader.all())?.to_owned()),
        Target::Char => {
            let byte = reader.take::<1>()?;
            // The byte zero is the empty one.
            let text = if byte == [0] { "" } else { utf8(&byte)? };
            Parsed::Text(text.to_owned())
        }
        Target::Json => Parsed::Text(utf8(reader.all())?.to_owned()),
        Target::Jsonb => {
            if reader.take()? != [JSONB_VERSION] {
                return Err(reader.invalid());
            }
            Parsed::Text(utf8(reader.all())?.to_owned())
        }
        Target::Bytea => Parsed::Bytes(reader.all().to_vec()),
        Target::Date => {
            let days = i64::from(reader.int()?) + EPOCH_DAYS;
            match is_date(days) {
                true => Parsed::Date(days),
                false => return Err(out_of_range("date", days)),
            }
        }
        Target::Time => match reader.long()? {
            time if (0..=DAY_US).contains(&time) => Parsed::Time(Moment::new(time)),
            time => return Err(out_of_range("time", time)),
        },
        Target::Timestamp => Parsed::Timestamp(reader.timestamp()?),
        Target::Timestamptz => Parsed::Timestamptz(reader.timestamp()?),
        Target::Interval => Parsed::Interval(Interval {
            microseconds: reader.long()?,
            days: reader.int()?,
            months: reader.int()?,
        }),
        Target::Uuid => Parsed::Uuid(reader.take()?),
        Target::Array | Target::Vector => reader.array()?,
        Target::Literal => return Err(unsupported(postgres, &arrow::datatypes::DataType::Null)),
    };
    match reader.rest.is_empty() {
        true => Ok(parsed),
        false => Err(reader.invalid()),
    }
}

fn out_of_range(what: &'static str, count: i64) -> ParameterError {
    ParameterError::DateRange { what, text: count.to_string() }
}

/// Bytes that are still to be read.
#[derive(Debug)]
struct Reader<'a> {
    rest: &'a [u8],
    postgres: &'static PgType,
}

impl<'a> Reader<'a> {
    fn invalid(&self) -> ParameterError {
        ParameterError::Binary { postgres: self.postgres.sql_name() }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ParameterError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ParameterError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], ParameterError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.invalid())?;
        self.rest = rest;
        Ok(taken)
    }

    fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    fn short(&mut self) -> Result<u16, ParameterError> {
        Ok(u16::from_be_bytes(self.take()?))
    }

    fn int(&mut self) -> Result<i32, ParameterError> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    fn oid(&mut self) -> Result<u32, ParameterError> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    fn long(&mut self) -> Result<i64, ParameterError> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    fn timestamp(&mut self) -> Result<Moment, ParameterError> {
        let count = self.long()?;
        match count.checked_add(EPOCH_US) {
            // The smallest number is an infinity, which no column holds.
            Some(at) if is_timestamp(at) && count != i64::MIN => Ok(Moment::new(at)),
            _ => Err(out_of_range("timestamp", count)),
        }
    }

    fn numeric(&mut self) -> Result<Parsed, ParameterError> {
        let groups = usize::from(self.short()?);
        let weight = i32::from(i16::from_be_bytes(self.take()?));
        let sign = self.short()?;
        let shown_scale = i32::from(self.short()?);
        let special = match sign {
            0 | NEGATIVE => None,
            NOT_A_NUMBER => Some(f64::NAN),
            INFINITE => Some(f64::INFINITY),
            NEGATIVE_INFINITE => Some(f64::NEG_INFINITY),
            _ => return Err(self.invalid()),
        };
        let bytes = self.slice(groups * 2)?;
        if let Some(special) = special {
            return Ok(Parsed::Float8(special));
        }
        let mut digits = Vec::with_capacity(groups * 4);
        for pair in bytes.chunks_exact(2) {
            let group = pair.iter().fold(0_u16, |group, byte| group << 8 | u16::from(*byte));
            if group > 9_999 {
                return Err(self.invalid());
            }
            for divisor in [1_000, 100, 10, 1] {
                digits.push(u8::try_from(group / divisor % 10).unwrap_or_default());
            }
        }
        let count = i32::try_from(groups).map_err(|_| self.invalid())?;
        let mut exponent = (weight - count + 1) * 4;
        // Digits behind those that are shown don't count.
        let hidden = usize::try_from(-exponent - shown_scale).unwrap_or(0).min(digits.len());
        digits.truncate(digits.len() - hidden);
        exponent += i32::try_from(hidden).unwrap_or_default();
        Ok(Parsed::Decimal(Decimal::from_digits(sign == NEGATIVE, &digits, exponent)))
    }

    fn array(&mut self) -> Result<Parsed, ParameterError> {
        let dimensions = usize::try_from(self.int()?).map_err(|_| self.invalid())?;
        let flags = self.int()?;
        let element = element_of(self.postgres)?;
        let found = self.oid()?;
        if found != element.oid {
            return Err(ParameterError::ElementType { found, expected: element.oid });
        }
        if dimensions > DIMENSIONS_MAX || !matches!(flags, 0 | 1) {
            return Err(self.invalid());
        }
        let mut lengths = Vec::with_capacity(dimensions);
        for _ in 0..dimensions {
            lengths.push(usize::try_from(self.int()?).map_err(|_| self.invalid())?);
            // Bounds number the elements, which Arrow's lists don't.
            self.int()?;
        }
        if lengths.is_empty() || lengths.contains(&0) {
            return Ok(Parsed::List(Vec::new()));
        }
        self.elements(element, &lengths)
    }

    fn elements(
        &mut self,
        element: &'static PgType,
        lengths: &[usize],
    ) -> Result<Parsed, ParameterError> {
        let Some((length, inner)) = lengths.split_first() else { return Err(self.invalid()) };
        let mut elements = Vec::new();
        for _ in 0..*length {
            if !inner.is_empty() {
                elements.push(Some(self.elements(element, inner)?));
                continue;
            }
            elements.push(match self.int()? {
                -1 => None,
                length => {
                    let length = usize::try_from(length).map_err(|_| self.invalid())?;
                    Some(parse(element, self.slice(length)?)?)
                }
            });
        }
        Ok(Parsed::List(elements))
    }
}
