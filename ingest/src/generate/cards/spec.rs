//! What is to be generated.

use arrow::datatypes::DataType;

/// How customer and terminal ids are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    /// 32-bit integers.
    Int32,
    /// 64-bit integers.
    Int64,
    /// The number as text.
    Text,
}

impl IdType {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Text => DataType::Utf8,
        }
    }
}

/// A generator as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratorSpec {
    /// The source's name in the configuration.
    pub name: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// Customers; at most `i32::MAX`.
    pub customers: u32,
    /// Terminals; at most `i32::MAX`.
    pub terminals: u32,
    /// How far a customer goes to pay, on a map of 100 by 100.
    pub radius: f64,
    /// The first day, in days since 1970.
    pub start_day: i32,
    /// The number of days; none: no end.
    pub days: Option<u32>,
    /// The number of rows; none: as the days bring.
    pub rows: Option<u64>,
    /// Rows per second that a [`crate::Paced`] source lets through; none: as fast as they are
    /// taken.
    pub rate: Option<f64>,
    /// How ids are written.
    pub ids: IdType,
    /// Rows arrive up to this many seconds out of order, within their day.
    pub jitter_seconds: u32,
    /// The share of records that arrive broken, 0 to 1, to show dead letters.
    pub broken_share: f64,
}

impl GeneratorSpec {
    /// The Handbook's own size: 5,000 customers and 10,000 terminals from 2018-04-01 on, without an
    /// end.
    #[must_use]
    pub fn new(name: &str, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            seed,
            customers: 5_000,
            terminals: 10_000,
            radius: 5.0,
            start_day: 17_622,
            days: None,
            rows: None,
            rate: None,
            ids: IdType::Int64,
            jitter_seconds: 0,
            broken_share: 0.0,
        }
    }

    /// The last day, exclusive. Times end with the year 9999.
    pub(crate) fn days_end(&self) -> u32 {
        let possible = (2_932_896 - i64::from(self.start_day)).max(0) as u32;
        self.days.unwrap_or(possible).min(possible)
    }
}
