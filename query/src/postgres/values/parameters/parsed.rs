//! What the readers of text and of bytes have in common.

use arrow::datatypes::DataType;

use crate::postgres::values::calendar::DAY_US;
use crate::postgres::values::error::ParameterError;
use crate::postgres::values::pg_types::{PgType, type_by_oid};
use crate::postgres::values::types::Target;
use crate::postgres::values::value::Interval;

use super::decimal::Decimal;

/// A value as its text or bytes say it, before the statement's type is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parsed {
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Float4(f32),
    Float8(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Days since 1970.
    Date(i64),
    Time(Moment),
    /// Since 1970, on a clock without zone.
    Timestamp(Moment),
    /// Since 1970 in UTC.
    Timestamptz(Moment),
    Interval(Interval),
    Uuid([u8; 16]),
    List(Vec<Option<Parsed>>),
}

impl Parsed {
    /// A whole number.
    pub(super) fn integer(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The first microsecond of a date, if there is one for it.
    pub(super) fn midnight(&self) -> Option<i64> {
        if let Self::Date(days) = self { days.checked_mul(DAY_US) } else { None }
    }
}

/// A time, with what it has of a microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) microseconds: i64,
    /// From 0 to 999.
    pub(super) nanoseconds: u16,
}

impl Moment {
    pub(super) fn new(microseconds: i64) -> Self {
        Self { microseconds, nanoseconds: 0 }
    }

    /// The nearest microsecond, to which PostgreSQL rounds what it reads.
    pub(super) fn rounded(self) -> i64 {
        self.microseconds.saturating_add(i64::from(self.nanoseconds >= 500))
    }
}

/// The type of an array's elements.
pub(super) fn element_of(postgres: &'static PgType) -> Result<&'static PgType, ParameterError> {
    type_by_oid(postgres.element)
        .filter(|element| element.target() != Target::Vector)
        .ok_or_else(|| unsupported(postgres, &DataType::Null))
}

/// The spaces that C knows.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t'..='\r')
}

/// The refusal of values that the port takes in no form.
pub(super) fn unsupported(postgres: &PgType, data_type: &DataType) -> ParameterError {
    ParameterError::Unsupported { postgres: postgres.sql_name(), data_type: data_type.clone() }
}

/// Text without the byte zero, which no PostgreSQL text has.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, ParameterError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(ParameterError::Encoding),
    }
}
