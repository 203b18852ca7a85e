//! A table of loans with columns of many types, a pipeline that lands its changes, and what the
//! changes come to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::Server;

pub(super) const TABLE: &str = "create type loan_status as enum ('current', 'late', 'paid'); \
                     create table loans (loan_id bigint primary key, lender text not null, \
                     status loan_status not null, balance numeric(14,2), opened date, \
                     changed timestamptz, is_open boolean, marks int[], note text); \
                     alter table loans alter column note set storage external; \
                     create table others (id bigint primary key, what text)";

/// `more`: lines of the source.
pub(super) fn prepare(server: &Server, folder: &Path, more: &str) {
    let (port, root) = (server.port, server.state().join("ca.crt"));
    let config = format!(
        r#"
[riskstream]
name  = "acme"
epoch = {{ min = "1ms", max = "50ms" }}

[sources.loans]
kind         = "postgres"
url          = "postgresql://riskstream@localhost:{port}/loans?sslmode=verify-full&sslrootcert={}"
password_env = "LOANS_PASSWORD"
table        = "public.loans"
slot         = "test_loans"
heartbeat    = "200ms"
{more}

[pipelines.loans]
from  = "loans"
order = "arrival"

[[pipelines.loans.to]]
id           = "changes"
kind         = "delta"
table        = "changes"
partition_by = []
"#,
        root.display()
    );
    std::fs::write(folder.join("pipelines.toml"), config).expect("written");
}

pub(super) fn run_to_end(server: &Server, folder: &Path) -> Value {
    server
        .riskstream(folder, &["run", "--set", "sources.loans.stop=end", "--format", "json"])
        .json()
}

/// All changes, in their order: a truncation and a deletion stand before what has the same
/// position.
pub(super) fn changes(server: &Server, folder: &Path) -> Vec<Value> {
    let sql = "select _op, _unchanged, _commit_position, _position, loan_id, lender, status, \
               cast(balance as varchar) as balance, \
               cast(opened as varchar) as opened, cast(changed as bigint) as changed, is_open, \
               marks, note from changes \
               order by _commit_position, _position, case _op when 't' then 0 when 'd' then 1 else \
               2 end";
    let rows = server.riskstream(folder, &["query", sql, "--format", "json"]).rows();
    let ids: BTreeSet<String> = rows
        .iter()
        .map(|row| {
            ["_commit_position", "_position", "_op", "loan_id"]
                .map(|c| row[c].to_string())
                .join(" ")
        })
        .collect();
    assert_eq!(ids.len(), rows.len(), "no change came twice");
    rows
}

const COLUMNS: [&str; 9] =
    ["loan_id", "lender", "status", "balance", "opened", "changed", "is_open", "marks", "note"];

/// The table that the changes make, by key.
fn folded(rows: &[Value]) -> BTreeMap<i64, Value> {
    let mut table: BTreeMap<i64, Value> = BTreeMap::new();
    let mut deleted = Value::Null;
    for row in rows {
        let key = row["loan_id"].as_i64();
        match (row["_op"].as_str().expect("an operation"), key) {
            ("t", None) => table.clear(),
            ("d", Some(key)) => deleted = table.remove(&key).expect("what is deleted was there"),
            (op, Some(key)) => {
                // Under a new key the row is what it was under the old one.
                let before = table
                    .remove(&key)
                    .unwrap_or_else(|| if op == "c" { deleted.clone() } else { Value::Null });
                let unchanged: Vec<&str> = row["_unchanged"]
                    .as_str()
                    .map(|names| names.split(',').collect())
                    .unwrap_or_default();
                let value = |column: &str| {
                    if unchanged.contains(&column) {
                        before[column].clone()
                    } else {
                        row[column].clone()
                    }
                };
                table.insert(
                    key,
                    COLUMNS
                        .iter()
                        .map(|c| ((*c).to_owned(), value(c)))
                        .collect::<serde_json::Map<_, _>>()
                        .into(),
                );
            }
            other => panic!("{other:?}"),
        }
    }
    table
}

#[track_caller]
pub(super) fn assert_is_the_table(server: &Server, folder: &Path) -> Vec<Value> {
    let rows = changes(server, folder);
    let found = folded(&rows);
    let sql = "select json_build_object('loan_id', loan_id, 'lender', lender, 'status', status, \
               'balance', balance::text, 'opened', opened::text, \
               'changed', (extract(epoch from changed) * 1000000)::bigint, 'is_open', is_open, \
               'marks', marks::text, 'note', note) from loans";
    let expected: BTreeMap<i64, Value> = server
        .psql(sql)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|row| (row["loan_id"].as_i64().expect("a key"), row))
        .collect();
    for (key, row) in &expected {
        assert_eq!(found.get(key).unwrap_or(&json!("missing")), row, "loan {key}");
    }
    assert_eq!(found.len(), expected.len(), "loans that should be gone");
    rows
}
