//! What values are, next to what PostgreSQL 15 says of them.
//!
//! In the files a statement stands behind `>`, the types of its columns behind `:` and its rows
//! under them, as psql shows them; or an error's code and text behind `!`. Quotients and averages
//! have 16 digits behind the point here, so numbers may have other zeros at their end.

use std::path::Path;

use arrow::datatypes::FieldRef;
use bytes::BytesMut;

use super::*;
use crate::error::QueryError;
use crate::postgres::values::encoder::Encoder;
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::types::pg_column;
use crate::postgres::values::zone::SessionZone;

const LENGTH_BYTES: usize = 4;

/// A number without zeros at its end.
fn trimmed(text: String, field: &FieldRef) -> String {
    match field.data_type().is_decimal() && text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// The columns' types and the rows, or what PostgreSQL would tell of the error.
async fn told(client: &Client, statement: &str, zone: &str) -> Vec<String> {
    let (schema, batches) = match client.batches(statement).await {
        Ok(answer) => answer,
        Err(error) => {
            return vec![format!("! {}", QueryError::Sql(error).sql_state().0)];
        }
    };
    let zone = SessionZone::parse(zone).unwrap();
    let settings = ValueSettings { time_zone: zone, ..ValueSettings::default() };
    let types = schema.fields().iter().map(|field| match pg_column(field) {
        Ok(column) => column.postgres.display.to_owned(),
        Err(error) => error.to_string(),
    });
    let mut lines = vec![format!(": {}", types.collect::<Vec<_>>().join("|"))];
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cells = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
                let encoder = Encoder::new(field, Format::Text, &settings).unwrap();
                let mut cell = BytesMut::new();
                if let Err(error) = encoder.encode(column, row, &mut cell) {
                    return error.to_string();
                }
                match cell.starts_with(&(-1_i32).to_be_bytes()) {
                    true => "∅".to_owned(),
                    false => {
                        let text = String::from_utf8_lossy(&cell[LENGTH_BYTES..]).into_owned();
                        trimmed(text, field)
                    }
                }
            });
            lines.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// Expected lines, with types without their modifiers and numbers without zeros at their end.
fn expected(lines: &[&str]) -> Vec<String> {
    let Some((first, rows)) = lines.split_first() else { return Vec::new() };
    let Some(types) = first.strip_prefix(": ") else {
        // Texts of errors are compared elsewhere.
        return vec![first.chars().take("! 00000".len()).collect()];
    };
    let types: Vec<_> = types.split('|').map(|of| of.split('(').next().unwrap()).collect();
    let mut all = vec![format!(": {}", types.join("|"))];
    for row in rows {
        let cells = row.split('|').zip(&types).map(|(cell, of)| match *of {
            "numeric" if cell.contains('.') => {
                cell.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            _ => cell.to_owned(),
        });
        all.push(cells.collect::<Vec<_>>().join("|"));
    }
    all
}

async fn check(file: &str, zone: &str) {
    let client = Client::with(Known::new(Arc::new(lending())), zone);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalog/postgres/tests/answers");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let mut wrong = Vec::new();
    for case in text.split("\n\n") {
        let mut lines = case.lines();
        let statement = lines.next().unwrap().strip_prefix("> ").unwrap();
        let wanted = expected(&lines.collect::<Vec<_>>());
        let found = told(&client, statement, zone).await;
        if found != wanted {
            wrong.push(format!("{statement}\n  {found:?}\n  {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} are wrong", wrong.join("\n"), wrong.len());
}

#[tokio::test]
async fn numbers_are_counted_as_postgresql_counts() {
    check("arithmetic.txt", "UTC").await;
}

#[tokio::test]
async fn casts_give_what_postgresql_gives() {
    check("casts.txt", "UTC").await;
}

#[tokio::test]
async fn instants_are_at_the_clock_of_the_session() {
    check("zones.txt", "Asia/Kolkata").await;
}

#[tokio::test]
async fn functions_of_times_and_numbers_give_what_postgresql_gives() {
    check("times.txt", "UTC").await;
}
