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
async fn subqueries_are_answered_wherever_they_stand() {
    check("subqueries.txt", Answer::lines).await;
}

#[tokio::test]
async fn columns_of_two_tables_and_whole_rows_are_answered() {
    check("joins.txt", Answer::lines).await;
}

#[tokio::test]
async fn a_subquery_for_a_value_has_one_row() {
    let client = Client::new(lending());
    let a = "with a(id) as (values (1), (2), (3))";
    let correlated = format!("{a} select (select b.id from a b where b.id <= a.id) from a");
    let error = client.ask(&correlated).await.unwrap_err().to_string();
    assert!(error.contains("more than one row"), "{error}");
    // Where it is not evaluated it may have any number.
    let guarded = format!(
        "{a} select case when id = 1 then (select b.id from a b where b.id <= a.id) end from a \
         order by 1"
    );
    assert_eq!(client.rows(&guarded).await, ["1", "∅", "∅"]);
    let error = client
        .ask(
            "select (select relname from pg_class c where c.oid > r.n limit 1) from \
             (select random() as n from pg_type) r",
        )
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("others each time they are read"), "{error}");
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

/// asyncpg has codecs of its own for these types, and asks about the types of its own question
/// where they are others.
#[tokio::test]
async fn asyncpg_hears_of_types_by_types_that_it_knows() {
    let client = Client::new(lending());
    let statements = include_str!("statements/asyncpg.sql");
    let question = statements.split("\n;;").nth(1).unwrap();
    let answer = client.ask(question).await.unwrap();
    let of = |name: &str| {
        let at = answer.names.iter().position(|one| one == name).unwrap();
        let values = answer.rows.iter().map(|row| row[at].as_deref().unwrap_or("-"));
        (answer.types[at].as_str(), values.collect::<Vec<_>>())
    };
    for (name, data) in [
        ("oid", "oid"),
        ("ns", "name"),
        ("name", "name"),
        ("kind", "char"),
        ("basetype", "oid"),
        ("elemtype", "oid"),
        ("elemdelim", "char"),
        ("range_subtype", "oid"),
        ("attrtypoids", "_oid"),
        ("attrnames", "_text"),
        ("basetype_name", "text"),
        ("elemtype_name", "text"),
        ("range_subtype_name", "text"),
    ] {
        assert_eq!(of(name).0, data, "{name}");
    }
    let mut found: Vec<_> = std::iter::zip(of("name").1, of("depth").1).collect();
    found.sort_unstable();
    assert_eq!(found, [("_numeric", "0"), ("int4", "1"), ("int4range", "0"), ("numeric", "1")]);
    let mut elements = of("elemtype_name").1;
    elements.sort_unstable();
    assert_eq!(elements, ["-", "-", "-", "numeric"]);
    let mut elements = of("range_subtype_name").1;
    elements.sort_unstable();
    assert_eq!(elements, ["-", "-", "-", "integer"]);
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
