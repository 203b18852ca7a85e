//! Tables, views and indexes: `pg_class` and the views over it.

use datafusion::common::ScalarValue;

use super::super::known::{INFORMATION_SCHEMA, Known, OWNER, OWNER_NAME, PG_CATALOG};
use super::columns::system_tables;
use super::rows::Rows;

/// The access method `heap`.
const HEAP: u32 = 2;
/// The access method `btree`.
pub(super) const BTREE: u32 = 403;

/// One row of `pg_class`.
pub(super) struct Relation<'a> {
    pub(super) oid: u32,
    pub(super) name: &'a str,
    pub(super) schema_oid: u32,
    pub(super) schema: &'a str,
    pub(super) kind: &'static str,
    pub(super) row_type: u32,
    pub(super) columns: usize,
    pub(super) rows: Option<u64>,
    pub(super) has_key: bool,
}

/// Everything that has a row in `pg_class`.
pub(super) fn relations(known: &Known) -> Vec<Relation<'_>> {
    let system = &system_tables().all;
    let mut relations = Vec::with_capacity(2 * known.tables.len() + system.len());
    for table in &known.tables {
        let shown = known.shown_table(table);
        let relation = Relation {
            oid: table.oid,
            name: &shown.name,
            schema_oid: table.schema_oid,
            schema: known.schema_name(table),
            kind: if shown.is_view { "v" } else { "r" },
            row_type: table.row_type,
            columns: shown.columns.len(),
            rows: shown.rows,
            has_key: table.key.is_some(),
        };
        if let Some(key) = &table.key {
            relations.push(Relation {
                oid: key.index,
                name: &key.name,
                kind: "i",
                row_type: 0,
                columns: key.columns.len(),
                has_key: false,
                ..relation
            });
        }
        relations.push(relation);
    }
    relations.extend(system.iter().map(|table| Relation {
        oid: table.oid,
        name: table.name,
        schema_oid: match table.schema {
            "pg_catalog" => PG_CATALOG,
            _ => INFORMATION_SCHEMA,
        },
        schema: table.schema,
        kind: if table.is_view { "v" } else { "r" },
        row_type: 0,
        columns: table.columns.len(),
        rows: None,
        has_key: false,
    }));
    relations
}

pub(super) fn pg_class(known: &Known, rows: &mut Rows<'_>) {
    let all = relations(known);
    rows.length(all.len())
        .oids("oid", all.iter().map(|one| one.oid))
        .texts("relname", all.iter().map(|one| one.name))
        .oids("relnamespace", all.iter().map(|one| one.schema_oid))
        .oids("reltype", all.iter().map(|one| one.row_type))
        .all("relowner", OWNER)
        .oids(
            "relam",
            all.iter().map(|one| match one.kind {
                "r" => HEAP,
                "i" => BTREE,
                _ => 0,
            }),
        )
        .oids("relfilenode", all.iter().map(|one| if one.kind == "v" { 0 } else { one.oid }))
        // A thousand pages or more would make DuckDB read a table in ranges of `ctid`.
        .all("relpages", 0)
        .float4s("reltuples", all.iter().map(|one| one.rows.map_or(-1.0, tuples)))
        .bools("relhasindex", all.iter().map(|one| one.has_key))
        .all("relpersistence", "p")
        .texts("relkind", all.iter().map(|one| one.kind))
        .int2s("relnatts", all.iter().map(|one| i16::try_from(one.columns).unwrap_or(i16::MAX)))
        .bools("relhasrules", all.iter().map(|one| one.kind == "v"))
        .all("relispopulated", true)
        .texts("relreplident", all.iter().map(|one| if one.kind == "r" { "d" } else { "n" }));
}

/// A count as `reltuples` has it, which is not exact beyond 24 bits in PostgreSQL either.
pub(super) fn tuples(rows: u64) -> f32 {
    rows as f32
}

pub(super) fn pg_tables(known: &Known, rows: &mut Rows<'_>) {
    let all: Vec<_> = relations(known).into_iter().filter(|one| one.kind == "r").collect();
    rows.length(all.len())
        .texts("schemaname", all.iter().map(|one| one.schema))
        .texts("tablename", all.iter().map(|one| one.name))
        .all("tableowner", OWNER_NAME)
        .bools("hasindexes", all.iter().map(|one| one.has_key))
        .all("hasrules", false)
        .all("hastriggers", false)
        .all("rowsecurity", false);
}

pub(super) fn pg_views(known: &Known, rows: &mut Rows<'_>) {
    let all: Vec<_> = relations(known).into_iter().filter(|one| one.kind == "v").collect();
    rows.length(all.len())
        .texts("schemaname", all.iter().map(|one| one.schema))
        .texts("viewname", all.iter().map(|one| one.name))
        .all("viewowner", OWNER_NAME)
        .all("definition", ScalarValue::from(""));
}
