//! Answers that are known from PostgreSQL.
//!
//! In the files of `answers/` a statement stands behind `>`, and under it its rows, one a line,
//! with `|` between the columns and `∅` for a null.

use std::path::Path;

use super::*;

/// The statements of a file with the lines under them.
fn cases(file: &str) -> Vec<(String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalog/postgres/tests/answers");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let cases = text.split("\n\n").map(str::trim_start).filter_map(|case| {
        let mut lines = case.lines();
        let statement = lines.next()?.strip_prefix("> ")?.to_owned();
        Some((statement, lines.map(str::to_owned).collect()))
    });
    let cases: Vec<_> = cases.collect();
    assert!(!cases.is_empty(), "{file}");
    cases
}

async fn check(file: &str, lines: impl Fn(&Answer) -> Vec<String>) {
    let client = Client::new(lending());
    let mut wrong = Vec::new();
    for (statement, expected) in cases(file) {
        match client.ask(&statement).await {
            Ok(answer) if lines(&answer) == expected => {}
            Ok(answer) => {
                wrong.push(format!("{statement}\n  {:?}\n  {expected:?}", lines(&answer)))
            }
            Err(error) => wrong.push(format!("{statement}\n  {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn columns_have_the_names_that_postgresql_gives() {
    check("names.txt", |answer| vec![answer.names.join("|")]).await;
}

#[tokio::test]
async fn names_and_numbers_stand_for_each_other() {
    check("numbers.txt", Answer::lines).await;
}

#[tokio::test]
async fn forms_that_datafusion_refuses_are_answered() {
    check("forms.txt", Answer::lines).await;
}

#[tokio::test]
async fn functions_answer_as_postgresql_does() {
    check("functions.txt", Answer::lines).await;
}

#[tokio::test]
async fn a_number_is_the_same_as_a_text_and_as_a_number() {
    let client = Client::new(lending());
    let loans = numbers(&client.known)["loans"];
    let by_text = format!("select relname from pg_class where oid = '{loans}'");
    assert_eq!(client.rows(&by_text).await, ["loans"]);
    let by_number = format!("select relname from pg_class where oid = {loans}");
    assert_eq!(client.rows(&by_number).await, ["loans"]);
    assert_eq!(client.rows("select 'loans'::regclass::oid").await, [loans.to_string()]);
    assert!(client.ask("select 'nothing'::regclass").await.is_err());
}

#[tokio::test]
async fn tables_without_rows_are_those_that_are_known_to_have_none() {
    let client = Client::new(lending());
    let mut wrong = Vec::new();
    for table in &super::super::tables::columns::system_tables().all {
        let filled = super::super::tables::has_rows(table.schema, table.name);
        let rows = client.rows(&format!("select * from {}.{}", table.schema, table.name)).await;
        if !filled && !rows.is_empty() {
            wrong.push(table.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
