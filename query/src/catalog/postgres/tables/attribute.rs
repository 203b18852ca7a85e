//! Columns: `pg_attribute`.

use std::sync::OnceLock;

use super::super::known::Known;
use super::columns::system_tables;
use super::rows::Rows;
use crate::builtins::types::{TypeRow, type_of, types};

/// One row of `pg_attribute`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) relation: u32,
    pub(super) name: &'a str,
    pub(super) number: i16,
    pub(super) data: &'static TypeRow,
    pub(super) modifier: i32,
    pub(super) not_null: bool,
}

/// The columns of PostgreSQL's own tables.
pub(super) fn system_attributes() -> &'static [Attribute<'static>] {
    static ALL: OnceLock<Vec<Attribute<'static>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let tables = system_tables().all.iter();
        tables
            .flat_map(|table| {
                (1..).zip(&table.columns).map(|(number, column)| Attribute {
                    relation: table.oid,
                    name: column.name,
                    number,
                    data: column.data,
                    modifier: -1,
                    not_null: column.not_null,
                })
            })
            .collect()
    })
}

/// The columns of the user's tables, table by table in order.
pub(super) fn user_attributes(known: &Known) -> Vec<Attribute<'_>> {
    let mut all = Vec::with_capacity(16 * known.tables.len());
    for table in &known.tables {
        let shown = known.shown_table(table);
        for (number, column) in (1..).zip(&shown.columns) {
            let (oid, modifier) = type_of(&column.field);
            let Some(data) = types().by_oid(oid) else { continue };
            all.push(Attribute {
                relation: table.oid,
                name: column.field.name(),
                number,
                data,
                modifier,
                not_null: !column.field.is_nullable(),
            });
        }
    }
    all
}

pub(super) fn pg_attribute(known: &Known, rows: &mut Rows<'_>) {
    let mut all = user_attributes(known);
    let mut keys = Vec::new();
    let mut first = 0;
    for table in &known.tables {
        let count = known.shown_table(table).columns.len();
        let columns = all.get(first..first + count).unwrap_or_default();
        first += count;
        let Some(key) = &table.key else { continue };
        for (number, column) in (1..).zip(&key.columns) {
            let Some(attribute) = columns.iter().find(|one| one.number == *column) else {
                continue;
            };
            keys.push(Attribute { relation: key.index, number, ..*attribute });
        }
    }
    all.extend(keys);
    all.extend_from_slice(system_attributes());
    rows.length(all.len())
        .oids("attrelid", all.iter().map(|one| one.relation))
        .texts("attname", all.iter().map(|one| one.name))
        .oids("atttypid", all.iter().map(|one| one.data.oid))
        .all("attstattarget", -1)
        .int2s("attlen", all.iter().map(|one| one.data.length))
        .int2s("attnum", all.iter().map(|one| one.number))
        .int4s("attndims", all.iter().map(|one| i32::from(one.data.category == "A")))
        .all("attcacheoff", -1)
        .int4s("atttypmod", all.iter().map(|one| one.modifier))
        .bools("attbyval", all.iter().map(|one| one.data.by_value))
        .texts("attalign", all.iter().map(|one| one.data.align))
        .texts("attstorage", all.iter().map(|one| one.data.storage))
        .bools("attnotnull", all.iter().map(|one| one.not_null))
        .all("attislocal", true)
        .oids("attcollation", all.iter().map(|one| one.data.collation));
}
