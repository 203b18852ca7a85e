//! A specification as what makes the rows.

use crate::generate::calendar::civil_from_days;
use crate::generate::loans::rows::LoanRows;
use crate::generate::loans::spec::{LENDERS_MAX, LOANS_MAX, LoansSpec, MONTHS_MAX};
use crate::generate::{Breakage, Generate, GeneratedRows};
use arrow::datatypes::Schema;
use riskstream_engine::contract::COMMITTED_AT;
use xxhash_rust::xxh3::xxh3_64;

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
