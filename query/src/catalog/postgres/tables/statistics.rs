//! Counts: `pg_stat_user_tables`, `pg_statio_user_tables`, `pg_stat_activity`, `pg_stat_database`.

use super::super::known::Known;
use super::super::settings::SettingsShown;
use super::rows::Rows;

pub(super) fn pg_stat_user_tables(known: &Known, rows: &mut Rows<'_>) {
    let all: Vec<_> =
        known.tables.iter().filter(|table| !known.shown_table(table).is_view).collect();
    rows.length(all.len())
        .oids("relid", all.iter().map(|table| table.oid))
        .texts("schemaname", all.iter().map(|table| known.schema_name(table)))
        .texts("relname", all.iter().map(|table| &known.shown_table(table).name))
        .int8s(
            "n_live_tup",
            all.iter().map(|table| {
                i64::try_from(known.shown_table(table).rows.unwrap_or_default()).unwrap_or(i64::MAX)
            }),
        );
    for name in ["seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch", "n_tup_ins", "n_tup_upd"]
    {
        rows.all(name, 0_i64);
    }
    for name in ["n_tup_del", "n_tup_hot_upd", "n_dead_tup", "n_mod_since_analyze"] {
        rows.all(name, 0_i64);
    }
    for name in ["vacuum_count", "autovacuum_count", "analyze_count", "autoanalyze_count"] {
        rows.all(name, 0_i64);
    }
}

/// Nothing is counted here, but tools join these views for the number of a table.
pub(super) fn pg_statio_user_tables(known: &Known, rows: &mut Rows<'_>) {
    let all: Vec<_> =
        known.tables.iter().filter(|table| !known.shown_table(table).is_view).collect();
    rows.length(all.len())
        .oids("relid", all.iter().map(|table| table.oid))
        .texts("schemaname", all.iter().map(|table| known.schema_name(table)))
        .texts("relname", all.iter().map(|table| &known.shown_table(table).name))
        .all("heap_blks_read", 0_i64)
        .all("heap_blks_hit", 0_i64);
}

/// The own connection alone: others are nobody's business.
pub(super) fn pg_stat_activity(known: &Known, settings: &SettingsShown, rows: &mut Rows<'_>) {
    rows.length(1)
        .all("datid", known.database)
        .all("datname", known.shown.database.as_str())
        .all("pid", settings.backend_pid())
        .all("usesysid", known.user_oid())
        .all("usename", known.shown.user.as_str())
        .all("application_name", settings.get("application_name").unwrap_or_default())
        .all("state", "active")
        .all("backend_type", "client backend");
}

pub(super) fn pg_stat_database(known: &Known, rows: &mut Rows<'_>) {
    rows.length(1)
        .all("datid", known.database)
        .all("datname", known.shown.database.as_str())
        .all("numbackends", 1);
}

/// The own connection in `pg_stat_ssl` and `pg_stat_gssapi`.
pub(super) fn pg_stat_ssl(name: &str, settings: &SettingsShown, rows: &mut Rows<'_>) {
    rows.length(1).all("pid", settings.backend_pid());
    if name == "pg_stat_gssapi" {
        rows.all("gss_authenticated", false).all("encrypted", false);
    } else {
        rows.all("ssl", settings.get("ssl").is_ok_and(|ssl| ssl == "on"));
    }
}
