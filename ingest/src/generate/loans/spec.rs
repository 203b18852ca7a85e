//! What loan book is to be generated.

use arrow::datatypes::{DataType, Field, Schema};
use riskstream_engine::contract::change_fields;

/// Months before the first one in which loans are originated that the snapshot holds.
pub(crate) const HISTORY_MONTHS: u32 = 24;
/// Loans at most: their numbers have 31 bits.
pub(super) const LOANS_MAX: u32 = i32::MAX as u32;
/// Lenders at most: each has a minute of the night.
pub(super) const LENDERS_MAX: u32 = 180;
/// A century.
pub(super) const MONTHS_MAX: u32 = 1_200;

/// A loan book as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct LoansSpec {
    /// The source's name in the configuration.
    pub name: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// Loans, those of the snapshot included.
    pub loans: u32,
    /// Lenders, each with a currency.
    pub lenders: u32,
    /// The first day, in days since 1970; the first of a month.
    pub start_day: i32,
    /// The number of months.
    pub months: u32,
    /// The number of rows; none: as the months bring.
    pub rows: Option<u64>,
    /// The share of records that arrive broken, 0 to 1, to show dead letters.
    pub broken_share: f64,
}

impl LoansSpec {
    /// 20,000 loans of 8 lenders over the two years from 2023-01-01 on.
    #[must_use]
    pub fn new(name: &str, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            seed,
            loans: 20_000,
            lenders: 8,
            start_day: 19_358,
            months: 24,
            rows: None,
            broken_share: 0.0,
        }
    }

    /// Columns of the rows: the loan after the change, then what happened, as in [`change_fields`].
    #[must_use]
    pub fn columns() -> Schema {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let cents = |name| Field::new(name, DataType::Int64, true);
        let mut fields = vec![
            text("loan_id"),
            text("user_id"),
            text("lender_id"),
            text("status"),
            text("currency"),
            cents("balance_cents"),
            cents("original_balance_cents"),
            cents("overdue_cents"),
            cents("charges_cents"),
            cents("paid_cents"),
            cents("charged_off_cents"),
            cents("recovered_cents"),
            Field::new("term_months", DataType::Int32, true),
            Field::new("rate", DataType::Decimal128(6, 4), true),
            Field::new("score", DataType::Int32, true),
            Field::new("score_at_origination", DataType::Int32, true),
            Field::new("originated_on", DataType::Date32, true),
            Field::new("due_on", DataType::Date32, true),
            Field::new("updated_at", crate::types::utc_timestamp(), true),
        ];
        fields.extend(change_fields());
        Schema::new(fields)
    }
}
