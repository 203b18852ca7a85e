//! A specification as what makes the rows.

use crate::generate::cards::rows::PaymentRows;
use crate::generate::cards::spec::GeneratorSpec;
use crate::generate::{Breakage, Generate, GeneratedRows};
use arrow::datatypes::{DataType, Field, Schema};
use xxhash_rust::xxh3::xxh3_64;

impl Generate for GeneratorSpec {
    fn name(&self) -> &str {
        &self.name
    }

    /// Columns of the rows: `transaction_id` (time order), `tx_datetime`, `customer_id`,
    /// `terminal_id`, `tx_amount` (decimal(12,2)), `tx_fraud` and `tx_fraud_scenario` (0 none, 1
    /// large amount, 2 compromised terminal, 3 compromised customer).
    fn schema(&self) -> Schema {
        Schema::new(vec![
            Field::new("transaction_id", DataType::Int64, true),
            Field::new("tx_datetime", crate::types::utc_timestamp(), false),
            Field::new("customer_id", self.ids.data_type(), true),
            Field::new("terminal_id", self.ids.data_type(), true),
            Field::new("tx_amount", DataType::Decimal128(12, 2), true),
            Field::new("tx_fraud", DataType::Int8, true),
            Field::new("tx_fraud_scenario", DataType::Int8, true),
        ])
    }

    fn order(&self) -> (&'static str, Vec<String>) {
        ("tx_datetime", vec!["transaction_id".to_owned()])
    }

    fn validate(&self) -> Result<(), String> {
        let max = i32::MAX as u32;
        if self.customers == 0 || self.customers > max {
            return Err(format!("customers is {}; use 1 to {max}", self.customers));
        }
        if self.terminals == 0 || self.terminals > max {
            return Err(format!("terminals is {}; use 1 to {max}", self.terminals));
        }
        if !(self.radius > 0.0 && self.radius <= 150.0) {
            return Err(format!(
                "radius is {}; use more than 0 and at most 150, the map is 100 by 100",
                self.radius
            ));
        }
        if !(0.0..=1.0).contains(&self.broken_share) {
            return Err(format!("broken_share is {}; use 0 to 1", self.broken_share));
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return Err(format!(
                "rate is {}; use more than 0 rows per second",
                self.rate.unwrap_or(0.0)
            ));
        }
        if self.jitter_seconds > 86_400 {
            return Err(format!("the jitter is {} s; use at most a day", self.jitter_seconds));
        }
        if !(-719_162..=2_932_000).contains(&self.start_day) {
            return Err("the start is outside the years 1 to 9996".into());
        }
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        let Self {
            seed,
            customers,
            terminals,
            radius,
            start_day,
            ids,
            jitter_seconds,
            broken_share,
            ..
        } = self;
        xxh3_64(
            format!(
                "1 {seed} {customers} {terminals} {radius} {start_day} {ids:?} {jitter_seconds} \
                 {broken_share}"
            )
            .as_bytes(),
        )
    }

    fn has_end(&self) -> bool {
        self.rows.is_some() || self.days.is_some()
    }

    fn breakage(&self) -> Breakage {
        Breakage {
            seed: self.seed,
            share: self.broken_share,
            amount: "tx_amount",
            time: ("tx_datetime", "tx_date"),
        }
    }

    fn rows(&self) -> Box<dyn GeneratedRows> {
        Box::new(PaymentRows::new(self))
    }
}
