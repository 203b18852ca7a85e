//! What loan book is to be generated.

use crate::generate::calendar::civil_from_days;
use crate::generate::loans::rows::LoanRows;
use crate::generate::{Breakage, Generate, GeneratedRows};
use arrow::datatypes::{DataType, Field, Schema};
use riskstream_engine::contract::{COMMITTED_AT, change_fields};
use xxhash_rust::xxh3::xxh3_64;

/// Months before the first one in which loans are originated that the snapshot holds.
pub(crate) const HISTORY_MONTHS: u32 = 24;
/// Loans at most: their numbers have 31 bits.
const LOANS_MAX: u32 = i32::MAX as u32;
/// Lenders at most: each has a minute of the night.
const LENDERS_MAX: u32 = 180;
/// A century.
const MONTHS_MAX: u32 = 1_200;

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

impl Generate for LoansSpec {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> Schema {
        Self::columns()
    }

    fn order(&self) -> (&'static str, Vec<String>) {
        // Rows come in the order of their commits, so that their place in the source orders those
        // of one instant.
        (COMMITTED_AT, Vec::new())
    }

    fn validate(&self) -> Result<(), String> {
        if self.loans == 0 || self.loans > LOANS_MAX {
            return Err(format!("loans is {}; use 1 to {LOANS_MAX}", self.loans));
        }
        if self.lenders == 0 || self.lenders > LENDERS_MAX {
            return Err(format!("lenders is {}; use 1 to {LENDERS_MAX}", self.lenders));
        }
        if self.months == 0 || self.months > MONTHS_MAX {
            return Err(format!("months is {}; use 1 to {MONTHS_MAX}", self.months));
        }
        if !(0.0..=1.0).contains(&self.broken_share) {
            return Err(format!("broken_share is {}; use 0 to 1", self.broken_share));
        }
        if !(-715_000..=2_890_000).contains(&self.start_day) {
            return Err("the start is outside the years 12 to 9882".into());
        }
        if civil_from_days(i64::from(self.start_day)).2 != 1 {
            return Err("the start of a loan book is the first of a month".into());
        }
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        let Self { seed, loans, lenders, start_day, months, broken_share, .. } = self;
        xxh3_64(
            format!("loans 1 {seed} {loans} {lenders} {start_day} {months} {broken_share}")
                .as_bytes(),
        )
    }

    fn has_end(&self) -> bool {
        true
    }

    fn breakage(&self) -> Breakage {
        Breakage {
            seed: self.seed,
            share: self.broken_share,
            amount: "balance_cents",
            time: (COMMITTED_AT, "_commited_at"),
        }
    }

    fn rows(&self) -> Box<dyn GeneratedRows> {
        Box::new(LoanRows::new(self))
    }
}
