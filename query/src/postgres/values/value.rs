//! One value as PostgreSQL sees it, between Arrow's arrays and the two forms.

use arrow::datatypes::{IntervalDayTime, IntervalMonthDayNano, TimeUnit};

use super::calendar::{DAY_US, SECOND_US, is_date, is_timestamp};
use super::column::{Column, Source};
use super::error::EncodeError;
use super::numeric::Number;
use super::types::{Reg, Target};

/// A value that holds no other values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Oid(u32),
    /// An OID that is shown as a name.
    Reg(Reg, u32),
    /// The name of an OID.
    RegName(Reg, &'a str),
    Numeric(Number),
    Float4(f32),
    Float8(f64),
    Text(&'a str),
    Char(u8),
    Bytea(&'a [u8]),
    /// Days since 1970, or an infinity.
    Date(Instant),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970 on the clock that the value is from.
    Timestamp(Instant),
    /// Microseconds since 1970.
    Timestamptz(Instant),
    Interval(Interval),
    Uuid(&'a [u8]),
    Json(&'a str),
    Jsonb(&'a str),
    /// The text form of a value of the column's type.
    Literal(&'a str),
}

/// A point in time, in the unit of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instant {
    Past,
    Future,
    At(i64),
}

/// PostgreSQL's interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) microseconds: i64,
}

/// What a row holds.
#[derive(Debug)]
pub(super) enum Item<'a, 'b> {
    /// A plain value.
    Value(Value<'a>),
    /// A list, struct or map: the column that holds it and the row there.
    Nested(&'b Column<'a>, usize),
}

impl<'a> Column<'a> {
    /// The value of a row, nothing for a row without value.
    pub(super) fn item(&self, row: usize) -> Result<Option<Item<'a, '_>>, EncodeError> {
        if self.is_null(row) {
            return Ok(None);
        }
        Ok(Some(Item::Value(match &self.source {
            Source::Null => return Ok(None),
            Source::Indexed(rows, values) => return values.item(rows[row]),
            Source::List(..) | Source::Struct(_) | Source::Map(..) => {
                return Ok(Some(Item::Nested(self, row)));
            }
            Source::Bool(array) => Value::Bool(array.value(row)),
            Source::Int8(values) => self.signed(i64::from(values[row]))?,
            Source::Int16(values) => self.signed(i64::from(values[row]))?,
            Source::Int32(values) => self.signed(i64::from(values[row]))?,
            Source::Int64(values) => self.signed(values[row])?,
            Source::UInt8(values) => self.signed(i64::from(values[row]))?,
            Source::UInt16(values) => self.signed(i64::from(values[row]))?,
            Source::UInt32(values) => self.signed(i64::from(values[row]))?,
            Source::UInt64(values) if self.shape.target == Target::Numeric => {
                Value::Numeric(Number::from_u64(values[row]))
            }
            Source::UInt64(values) => match i64::try_from(values[row]) {
                Ok(value) => self.signed(value)?,
                Err(_) => return Err(self.out_of_range()),
            },
            Source::Decimal32(values, scale) => {
                Value::Numeric(Number::from_i64(i64::from(values[row]), *scale))
            }
            Source::Decimal64(values, scale) => {
                Value::Numeric(Number::from_i64(values[row], *scale))
            }
            Source::Decimal128(values, scale) => {
                Value::Numeric(Number::from_i128(values[row], *scale))
            }
            Source::Decimal256(values, scale) => {
                Value::Numeric(Number::from_i256(values[row], *scale))
            }
            Source::Float16(values) => self.float(values[row].to_f32()),
            Source::Float32(values) => self.float(values[row]),
            Source::Float64(values) => Value::Float8(values[row]),
            Source::Utf8(array) => self.string(array.value(row)),
            Source::LargeUtf8(array) => self.string(array.value(row)),
            Source::Utf8View(array) => self.string(array.value(row)),
            Source::Binary(array) => Value::Bytea(array.value(row)),
            Source::LargeBinary(array) => Value::Bytea(array.value(row)),
            Source::BinaryView(array) => Value::Bytea(array.value(row)),
            Source::FixedSizeBinary(array) if self.shape.target == Target::Uuid => {
                Value::Uuid(array.value(row))
            }
            Source::FixedSizeBinary(array) => Value::Bytea(array.value(row)),
            Source::Date32(values) => Value::Date(match values[row] {
                i32::MAX => Instant::Future,
                i32::MIN => Instant::Past,
                days => self.date(i64::from(days))?,
            }),
            // Midnight is what the type holds; what is behind it is cut.
            Source::Date64(values) => {
                Value::Date(self.date(values[row].div_euclid(DAY_US / 1_000))?)
            }
            Source::Time32(values, unit) => self.time(i64::from(values[row]), *unit)?,
            Source::Time64(values, unit) => self.time(values[row], *unit)?,
            Source::Timestamp(values, unit) => self.timestamp(values[row], *unit)?,
            Source::YearMonth(values) => {
                Value::Interval(Interval { months: values[row], days: 0, microseconds: 0 })
            }
            Source::DayTime(values) => Value::Interval(day_time(values[row])),
            Source::MonthDayNano(values) => Value::Interval(month_day_nano(values[row])),
            Source::Duration(values, unit) => Value::Interval(Interval {
                months: 0,
                days: 0,
                microseconds: microseconds(values[row], *unit)
                    .ok_or_else(|| self.out_of_range())?,
            }),
        })))
    }

    fn signed(&self, value: i64) -> Result<Value<'a>, EncodeError> {
        let out_of_range = |_| self.out_of_range();
        Ok(match self.shape.target {
            Target::Int2 => Value::Int2(i16::try_from(value).map_err(out_of_range)?),
            Target::Int4 => Value::Int4(i32::try_from(value).map_err(out_of_range)?),
            Target::Numeric => Value::Numeric(Number::from_i64(value, 0)),
            Target::Oid => Value::Oid(u32::try_from(value).map_err(out_of_range)?),
            Target::Reg(reg) => Value::Reg(reg, u32::try_from(value).map_err(out_of_range)?),
            Target::Char => {
                let [byte, ..] = value.to_le_bytes();
                Value::Char(byte)
            }
            // Integers have no other: what fits them says so.
            Target::Int8
            | Target::Bool
            | Target::Float4
            | Target::Float8
            | Target::Text
            | Target::Bytea
            | Target::Date
            | Target::Time
            | Target::Timestamp
            | Target::Timestamptz
            | Target::Interval
            | Target::Uuid
            | Target::Json
            | Target::Jsonb
            | Target::Array
            | Target::Vector
            | Target::Literal => Value::Int8(value),
        })
    }

    fn float(&self, value: f32) -> Value<'a> {
        if self.shape.target == Target::Float8 {
            return Value::Float8(f64::from(value));
        }
        Value::Float4(value)
    }

    fn string(&self, text: &'a str) -> Value<'a> {
        match self.shape.target {
            Target::Text => Value::Text(text),
            Target::Json => Value::Json(text),
            Target::Jsonb => Value::Jsonb(text),
            Target::Char => Value::Char(text.bytes().next().unwrap_or(0)),
            Target::Reg(reg) => Value::RegName(reg, text),
            // The text form of what the type says.
            Target::Literal
            | Target::Bool
            | Target::Int2
            | Target::Int4
            | Target::Int8
            | Target::Oid
            | Target::Numeric
            | Target::Float4
            | Target::Float8
            | Target::Bytea
            | Target::Date
            | Target::Time
            | Target::Timestamp
            | Target::Timestamptz
            | Target::Interval
            | Target::Uuid
            | Target::Array
            | Target::Vector => Value::Literal(text),
        }
    }

    fn date(&self, days: i64) -> Result<Instant, EncodeError> {
        match is_date(days) {
            true => Ok(Instant::At(days)),
            false => Err(self.out_of_range()),
        }
    }

    fn time(&self, count: i64, unit: TimeUnit) -> Result<Value<'a>, EncodeError> {
        match microseconds(count, unit) {
            Some(time) if (0..=DAY_US).contains(&time) => Ok(Value::Time(time)),
            _ => Err(self.out_of_range()),
        }
    }

    fn timestamp(&self, count: i64, unit: TimeUnit) -> Result<Value<'a>, EncodeError> {
        let instant = match (unit, count) {
            (TimeUnit::Microsecond, i64::MAX) => Instant::Future,
            (TimeUnit::Microsecond, i64::MIN) => Instant::Past,
            _ => match microseconds(count, unit) {
                Some(at) if is_timestamp(at) => Instant::At(at),
                _ => return Err(self.out_of_range()),
            },
        };
        Ok(match self.shape.target == Target::Timestamptz {
            true => Value::Timestamptz(instant),
            false => Value::Timestamp(instant),
        })
    }

    fn out_of_range(&self) -> EncodeError {
        let postgres = match self.shape.target == Target::Timestamptz {
            true => "timestamp",
            false => self.shape.postgres.name,
        };
        EncodeError::OutOfRange { postgres }
    }
}

/// Microseconds of a count; parts of a microsecond are cut toward minus infinity.
fn microseconds(count: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => count.checked_mul(SECOND_US),
        TimeUnit::Millisecond => count.checked_mul(1_000),
        TimeUnit::Microsecond => Some(count),
        TimeUnit::Nanosecond => Some(count.div_euclid(1_000)),
    }
}

fn day_time(value: IntervalDayTime) -> Interval {
    let microseconds = i64::from(value.milliseconds) * 1_000;
    Interval { months: 0, days: value.days, microseconds }
}

fn month_day_nano(value: IntervalMonthDayNano) -> Interval {
    let microseconds = value.nanoseconds.div_euclid(1_000);
    Interval { months: value.months, days: value.days, microseconds }
}
