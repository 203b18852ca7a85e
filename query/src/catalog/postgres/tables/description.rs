//! Comments: `pg_description`.

use super::super::known::Known;
use super::rows::Rows;

/// The number of `pg_class`, in which comments of tables and columns are looked up.
const CLASS: u32 = 1259;
/// The number of `pg_namespace`, likewise.
const NAMESPACE: u32 = 2615;

pub(super) fn pg_description(known: &Known, rows: &mut Rows<'_>) {
    let mut all: Vec<(u32, u32, i32, &str)> = Vec::new();
    for schema in &known.schemas {
        all.extend(schema.about.as_deref().map(|about| (schema.oid, NAMESPACE, 0, about)));
    }
    for table in &known.tables {
        let shown = known.shown_table(table);
        all.extend(shown.about.as_deref().map(|about| (table.oid, CLASS, 0, about)));
        for (number, column) in (1..).zip(&shown.columns) {
            all.extend(column.about.as_deref().map(|about| (table.oid, CLASS, number, about)));
        }
    }
    rows.length(all.len())
        .oids("objoid", all.iter().map(|one| one.0))
        .oids("classoid", all.iter().map(|one| one.1))
        .int4s("objsubid", all.iter().map(|one| one.2))
        .texts("description", all.iter().map(|one| one.3));
}
