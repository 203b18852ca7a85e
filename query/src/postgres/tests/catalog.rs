//! PostgreSQL's own tables, as rows that are sent.

use super::Served;

#[test]
fn every_table_of_postgresqls_own_is_sent_whole() {
    let served = Served::new();
    let mut client = served.client();
    let named = client.ask(
        "select n.nspname || '.' || c.relname from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname in ('pg_catalog', 'information_schema') and c.relkind in ('r', 'v')",
    );
    assert_eq!(named.error(), None);
    assert!(named.rows.len() > 100, "{}", named.rows.len());
    for row in &named.rows {
        let name = String::from_utf8(row[0].clone().unwrap()).unwrap();
        let said = client.ask(&format!("select * from {name}"));
        assert_eq!(said.error(), None, "{name}");
    }
}
