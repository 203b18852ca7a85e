//! Catalogs with many tables.

use std::time::Instant;

use super::*;

/// Two hundred tables of fifty columns.
fn many() -> ShownCatalog {
    let columns = || {
        let one = |at| column(&format!("column_{at}"), DataType::Int64, at > 0, Some("A number"));
        (0..50).map(one).collect::<Vec<_>>()
    };
    let tables = (0..200).map(|at| table(&format!("table_{at}"), columns(), &["column_0"]));
    let mut shown = lending();
    shown.schemas[0].tables = tables.collect();
    shown
}

#[tokio::test]
async fn rows_of_large_catalogs_are_made_fast() {
    let client = Client::new(many());
    let statements = [
        "select count(*) from pg_attribute",
        "select * from pg_attribute",
        "select * from information_schema.columns where table_name = 'table_7'",
        "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) from pg_class c \
         join pg_attribute a on a.attrelid = c.oid where c.relname = 'table_9' and attnum > 0",
        "select a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum) \
         from pg_class c join pg_attribute a on a.attrelid = c.oid where attnum > 0",
    ];
    for statement in statements {
        client.ask(statement).await.unwrap();
        let start = Instant::now();
        client.ask(statement).await.unwrap();
        let took = start.elapsed();
        println!("{took:?} {statement}");
        // Far more than it takes, so that a busy machine does not fail the test.
        assert!(took.as_millis() < 2_000, "{took:?}: {statement}");
    }
}
