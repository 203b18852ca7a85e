//! Keys: `pg_constraint`, `pg_index`, `pg_indexes`.

use super::super::known::{Known, KnownKey, KnownTable, Relation, default_path, quote_ident};
use super::rows::Rows;

/// The tables that have a key.
pub(super) fn keys(known: &Known) -> Vec<(&KnownTable, &KnownKey)> {
    known.tables.iter().filter_map(|table| Some((table, table.key.as_ref()?))).collect()
}

/// The names of a key's columns, as they stand in SQL.
pub(in crate::catalog::postgres) fn key_columns(
    known: &Known,
    table: &KnownTable,
    key: &KnownKey,
) -> Vec<String> {
    let columns = &known.shown_table(table).columns;
    key.columns
        .iter()
        .filter_map(|number| usize::try_from(*number - 1).ok())
        .filter_map(|at| columns.get(at))
        .map(|column| quote_ident(column.field.name()))
        .collect()
}

/// The statement that would make a key's index; a short one names no schema that is searched.
pub(in crate::catalog::postgres) fn index_definition(
    known: &Known,
    table: &KnownTable,
    key: &KnownKey,
    is_short: bool,
) -> String {
    let name = match is_short {
        true => known.relation_text(Relation::Table(table), &default_path()),
        false => format!(
            "{}.{}",
            quote_ident(known.schema_name(table)),
            quote_ident(&known.shown_table(table).name)
        ),
    };
    format!(
        "CREATE UNIQUE INDEX {} ON {name} USING btree ({})",
        quote_ident(&key.name),
        key_columns(known, table, key).join(", ")
    )
}

pub(super) fn pg_constraint(known: &Known, rows: &mut Rows<'_>) {
    let all = keys(known);
    rows.length(all.len())
        .oids("oid", all.iter().map(|(_, key)| key.constraint))
        .texts("conname", all.iter().map(|(_, key)| &key.name))
        .oids("connamespace", all.iter().map(|(table, _)| table.schema_oid))
        .all("contype", "p")
        .all("convalidated", true)
        .oids("conrelid", all.iter().map(|(table, _)| table.oid))
        .oids("conindid", all.iter().map(|(_, key)| key.index))
        .all("confupdtype", " ")
        .all("confdeltype", " ")
        .all("confmatchtype", " ")
        .all("conislocal", true)
        .all("connoinherit", true)
        .int2_lists("conkey", all.iter().map(|(_, key)| Some(&key.columns)));
}

pub(super) fn pg_index(known: &Known, rows: &mut Rows<'_>) {
    let all = keys(known);
    let count = |key: &KnownKey| i16::try_from(key.columns.len()).unwrap_or(i16::MAX);
    let zeros = |key: &KnownKey| vec![0_i16; key.columns.len()];
    let zero_oids = |key: &KnownKey| vec![0_u32; key.columns.len()];
    rows.length(all.len())
        .oids("indexrelid", all.iter().map(|(_, key)| key.index))
        .oids("indrelid", all.iter().map(|(table, _)| table.oid))
        .int2s("indnatts", all.iter().map(|(_, key)| count(key)))
        .int2s("indnkeyatts", all.iter().map(|(_, key)| count(key)))
        .all("indisunique", true)
        .all("indisprimary", true)
        .all("indimmediate", true)
        .all("indisvalid", true)
        .all("indisready", true)
        .all("indislive", true)
        .int2_lists("indkey", all.iter().map(|(_, key)| Some(&key.columns)))
        .oid_lists("indcollation", all.iter().map(|(_, key)| zero_oids(key)))
        .oid_lists("indclass", all.iter().map(|(_, key)| zero_oids(key)))
        .int2_lists("indoption", all.iter().map(|(_, key)| Some(zeros(key))));
}

pub(super) fn pg_indexes(known: &Known, rows: &mut Rows<'_>) {
    let all = keys(known);
    rows.length(all.len())
        .texts("schemaname", all.iter().map(|(table, _)| known.schema_name(table)))
        .texts("tablename", all.iter().map(|(table, _)| &known.shown_table(table).name))
        .texts("indexname", all.iter().map(|(_, key)| &key.name))
        .texts(
            "indexdef",
            all.iter().map(|(table, key)| index_definition(known, table, key, false)),
        );
}
