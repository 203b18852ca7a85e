//! What a server has: schemas, databases, access methods, collations, languages, settings.

use datafusion::common::ScalarValue;

use super::super::known::{Known, OWNER, PG_CATALOG};
use super::super::settings::SettingsShown;
use super::rows::Rows;
use crate::builtins::procs::procs;

/// The encoding `UTF8`.
const UTF8: i32 = 6;
/// The table space `pg_default`.
const DEFAULT_SPACE: u32 = 1663;

pub(super) fn pg_namespace(known: &Known, rows: &mut Rows<'_>) {
    let all = &known.schemas;
    rows.length(all.len())
        .oids("oid", all.iter().map(|one| one.oid))
        .texts("nspname", all.iter().map(|one| &one.name))
        .all("nspowner", OWNER);
}

pub(super) fn pg_database(known: &Known, rows: &mut Rows<'_>) {
    rows.length(1)
        .all("oid", known.database)
        .all("datname", known.shown.database.as_str())
        .all("datdba", OWNER)
        .all("encoding", UTF8)
        .all("datlocprovider", "c")
        .all("datistemplate", false)
        .all("datallowconn", true)
        .all("datconnlimit", -1)
        .all("datfrozenxid", 1_u32)
        .all("datminmxid", 1_u32)
        .all("dattablespace", DEFAULT_SPACE)
        .all("datcollate", "C.UTF-8")
        .all("datctype", "C.UTF-8");
}

pub(super) fn pg_am(rows: &mut Rows<'_>) {
    let all = [(2, "heap", "heap_tableam_handler", "t"), (403, "btree", "bthandler", "i")];
    rows.length(all.len())
        .oids("oid", all.iter().map(|one| one.0))
        .texts("amname", all.iter().map(|one| one.1))
        .oids("amhandler", all.iter().map(|one| procs().oid_of(one.2)))
        .texts("amtype", all.iter().map(|one| one.3));
}

pub(super) fn pg_collation(rows: &mut Rows<'_>) {
    let all = [
        (100, "default", "d", None),
        (950, "C", "c", Some("C")),
        (951, "POSIX", "c", Some("POSIX")),
    ];
    rows.length(all.len())
        .oids("oid", all.iter().map(|one| one.0))
        .texts("collname", all.iter().map(|one| one.1))
        .all("collnamespace", PG_CATALOG)
        .all("collowner", OWNER)
        .texts("collprovider", all.iter().map(|one| one.2))
        .all("collisdeterministic", true)
        .all("collencoding", -1)
        .texts_or_null("collcollate", all.iter().map(|one| one.3))
        .texts_or_null("collctype", all.iter().map(|one| one.3));
}

pub(super) fn pg_tablespace(rows: &mut Rows<'_>) {
    let all = [(DEFAULT_SPACE, "pg_default"), (1664, "pg_global")];
    rows.length(all.len())
        .oids("oid", all.iter().map(|one| one.0))
        .texts("spcname", all.iter().map(|one| one.1))
        .all("spcowner", OWNER);
}

pub(super) fn pg_language(rows: &mut Rows<'_>) {
    let all = [(12, "internal", false), (13, "c", false), (14, "sql", true)];
    rows.length(all.len())
        .oids("oid", all.iter().map(|one| one.0))
        .texts("lanname", all.iter().map(|one| one.1))
        .all("lanowner", OWNER)
        .bools("lanpltrusted", all.iter().map(|one| one.2));
}

pub(super) fn pg_settings(settings: &SettingsShown, rows: &mut Rows<'_>) {
    let all = settings.all();
    let maybe = |text: &'static str| (!text.is_empty()).then_some(text);
    rows.length(all.len())
        .texts("name", all.iter().map(|one| one.about.name))
        .texts("setting", all.iter().map(|one| &one.raw))
        .texts_or_null("unit", all.iter().map(|one| maybe(one.about.unit)))
        .texts("category", all.iter().map(|one| one.about.category))
        .texts("short_desc", all.iter().map(|one| one.about.description))
        .texts("context", all.iter().map(|one| one.about.context))
        .texts("vartype", all.iter().map(|one| one.about.kind))
        .texts("source", all.iter().map(|one| if one.is_default { "default" } else { "session" }))
        .texts_or_null("min_val", all.iter().map(|one| maybe(one.about.min)))
        .texts_or_null("max_val", all.iter().map(|one| maybe(one.about.max)))
        .text_lists(
            "enumvals",
            all.iter().map(|one| match one.about.choices {
                "" => None,
                choices => Some(choices.split(',').collect()),
            }),
        )
        .texts("boot_val", all.iter().map(|one| one.about.default))
        .texts("reset_val", all.iter().map(|one| &one.reset))
        .all("pending_restart", ScalarValue::from(false));
}

/// Names of zones with their offsets of now, which no client reads for anything but the names.
pub(super) fn pg_timezone_names(rows: &mut Rows<'_>) {
    let all = chrono_tz::TZ_VARIANTS;
    rows.length(all.len())
        .texts("name", all.iter().map(|zone| zone.name()))
        .texts("abbrev", all.iter().map(|zone| zone.name()))
        .all("is_dst", false);
}
