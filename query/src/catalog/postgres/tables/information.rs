//! The views of `information_schema`.

use super::super::known::{INFORMATION_SCHEMA, Known, OWNER_NAME, PG_CATALOG};
use super::attribute::{Attribute, system_attributes, user_attributes};
use super::class::relations;
use super::constraint::keys;
use super::rows::Rows;

/// The views that have rows.
pub(super) const FILLED: [&str; 12] = [
    "information_schema_catalog_name",
    "tables",
    "views",
    "columns",
    "schemata",
    "table_constraints",
    "key_column_usage",
    "constraint_column_usage",
    "character_sets",
    "table_privileges",
    "role_table_grants",
    "enabled_roles",
];

pub(super) fn fill(name: &str, known: &Known, rows: &mut Rows<'_>) {
    match name {
        "information_schema_catalog_name" => {
            rows.length(1).all("catalog_name", known.shown.database.as_str());
        }
        "tables" => tables(known, rows),
        "views" => views(known, rows),
        "columns" => columns(known, rows),
        "schemata" => schemata(known, rows),
        "table_constraints" => table_constraints(known, rows),
        "key_column_usage" | "constraint_column_usage" => key_columns(name, known, rows),
        "character_sets" => character_sets(known, rows),
        "table_privileges" | "role_table_grants" => table_privileges(known, rows),
        "enabled_roles" => {
            rows.length(known.roles.len()).texts("role_name", known.roles.iter().map(|r| &r.0));
        }
        _ => {}
    }
}

fn tables(known: &Known, rows: &mut Rows<'_>) {
    let all: Vec<_> = relations(known).into_iter().filter(|one| one.kind != "i").collect();
    rows.length(all.len())
        .all("table_catalog", known.shown.database.as_str())
        .texts("table_schema", all.iter().map(|one| one.schema))
        .texts("table_name", all.iter().map(|one| one.name))
        .texts(
            "table_type",
            all.iter().map(|one| if one.kind == "v" { "VIEW" } else { "BASE TABLE" }),
        )
        .all("is_insertable_into", "NO")
        .all("is_typed", "NO");
}

fn views(known: &Known, rows: &mut Rows<'_>) {
    let all: Vec<_> = relations(known).into_iter().filter(|one| one.kind == "v").collect();
    rows.length(all.len())
        .all("table_catalog", known.shown.database.as_str())
        .texts("table_schema", all.iter().map(|one| one.schema))
        .texts("table_name", all.iter().map(|one| one.name))
        .all("check_option", "NONE");
    for name in ["updatable", "insertable_into", "trigger_updatable", "trigger_deletable"] {
        rows.all(&format!("is_{name}"), "NO");
    }
    rows.all("is_trigger_insertable_into", "NO");
}

fn schemata(known: &Known, rows: &mut Rows<'_>) {
    let all = &known.schemas;
    rows.length(all.len())
        .all("catalog_name", known.shown.database.as_str())
        .texts("schema_name", all.iter().map(|one| &one.name))
        .all("schema_owner", OWNER_NAME);
}

/// Numbers of a type that `columns` tells: precision, its radix, scale.
fn precision(one: &Attribute<'_>) -> Option<(i32, i32, i32)> {
    match one.data.oid {
        21 => Some((16, 2, 0)),
        23 => Some((32, 2, 0)),
        20 => Some((64, 2, 0)),
        1700 if one.modifier >= 4 => {
            let packed = one.modifier - 4;
            Some(((packed >> 16) & 0xffff, 10, ((packed & 0x7ff) ^ 1024) - 1024))
        }
        _ => None,
    }
}

/// The precision and radix of numbers without a scale.
fn radix(one: &Attribute<'_>) -> Option<(i32, i32)> {
    match one.data.oid {
        700 => Some((24, 2)),
        701 => Some((53, 2)),
        1700 => Some((precision(one)?.0, 10)),
        _ => precision(one).map(|(digits, radix, _)| (digits, radix)),
    }
}

fn columns(known: &Known, rows: &mut Rows<'_>) {
    // Attributes come table by table, as the tables do.
    let mut all: Vec<(&str, &str, Attribute<'_>)> = Vec::new();
    let mut tables = known.tables.iter().peekable();
    for attribute in user_attributes(known) {
        while tables.next_if(|table| table.oid != attribute.relation).is_some() {}
        let Some(table) = tables.peek() else { break };
        all.push((known.schema_name(table), &known.shown_table(table).name, attribute));
    }
    for attribute in system_attributes() {
        let Some(table) = super::columns::system_tables().by_oid(attribute.relation) else {
            continue;
        };
        all.push((table.schema, table.name, *attribute));
    }
    let database = known.shown.database.as_str();
    let display = |one: &Attribute<'_>| match one.data.category {
        "A" => "ARRAY",
        _ => one.data.display,
    };
    rows.length(all.len())
        .all("table_catalog", database)
        .texts("table_schema", all.iter().map(|one| one.0))
        .texts("table_name", all.iter().map(|one| one.1))
        .texts("column_name", all.iter().map(|one| one.2.name))
        .int4s("ordinal_position", all.iter().map(|one| i32::from(one.2.number)))
        .texts("is_nullable", all.iter().map(|one| if one.2.not_null { "NO" } else { "YES" }))
        .texts("data_type", all.iter().map(|one| display(&one.2)))
        .int4s_or_null(
            "character_octet_length",
            all.iter().map(|one| matches!(one.2.data.oid, 25 | 1043).then_some(1 << 30)),
        )
        .int4s_or_null("numeric_precision", all.iter().map(|one| radix(&one.2).map(|r| r.0)))
        .int4s_or_null("numeric_precision_radix", all.iter().map(|one| radix(&one.2).map(|r| r.1)))
        .int4s_or_null("numeric_scale", all.iter().map(|one| precision(&one.2).map(|r| r.2)))
        .int4s_or_null(
            "datetime_precision",
            all.iter().map(|one| match one.2.data.oid {
                1082 => Some(0),
                1083 | 1114 | 1184 | 1186 | 1266 => Some(6),
                _ => None,
            }),
        )
        .all("udt_catalog", database)
        .texts("udt_schema", all.iter().map(|one| one.2.data.schema))
        .texts("udt_name", all.iter().map(|one| one.2.data.name))
        .texts("dtd_identifier", all.iter().map(|one| one.2.number.to_string()))
        .all("is_self_referencing", "NO")
        .all("is_identity", "NO")
        .all("identity_cycle", "NO")
        .all("is_generated", "NEVER")
        .all("is_updatable", "NO");
}

fn table_constraints(known: &Known, rows: &mut Rows<'_>) {
    let all = keys(known);
    let database = known.shown.database.as_str();
    rows.length(all.len())
        .all("constraint_catalog", database)
        .texts("constraint_schema", all.iter().map(|(table, _)| known.schema_name(table)))
        .texts("constraint_name", all.iter().map(|(_, key)| &key.name))
        .all("table_catalog", database)
        .texts("table_schema", all.iter().map(|(table, _)| known.schema_name(table)))
        .texts("table_name", all.iter().map(|(table, _)| &known.shown_table(table).name))
        .all("constraint_type", "PRIMARY KEY")
        .all("is_deferrable", "NO")
        .all("initially_deferred", "NO")
        .all("enforced", "YES");
}

fn key_columns(name: &str, known: &Known, rows: &mut Rows<'_>) {
    let mut all = Vec::new();
    for (table, key) in keys(known) {
        let columns = &known.shown_table(table).columns;
        for (position, number) in (1_i32..).zip(&key.columns) {
            let at = usize::try_from(*number - 1).unwrap_or_default();
            let Some(column) = columns.get(at) else { continue };
            all.push((table, key, position, column.field.name()));
        }
    }
    let database = known.shown.database.as_str();
    rows.length(all.len())
        .all("constraint_catalog", database)
        .texts("constraint_schema", all.iter().map(|one| known.schema_name(one.0)))
        .texts("constraint_name", all.iter().map(|one| &one.1.name))
        .all("table_catalog", database)
        .texts("table_schema", all.iter().map(|one| known.schema_name(one.0)))
        .texts("table_name", all.iter().map(|one| &known.shown_table(one.0).name))
        .texts("column_name", all.iter().map(|one| one.3));
    if name == "key_column_usage" {
        rows.int4s("ordinal_position", all.iter().map(|one| one.2));
    }
}

fn character_sets(known: &Known, rows: &mut Rows<'_>) {
    rows.length(1)
        .all("character_set_name", "UTF8")
        .all("character_repertoire", "UCS")
        .all("form_of_use", "UTF8")
        .all("default_collate_catalog", known.shown.database.as_str());
}

fn table_privileges(known: &Known, rows: &mut Rows<'_>) {
    let mut all = relations(known);
    all.retain(|one| one.kind != "i" && !matches!(one.schema_oid, PG_CATALOG | INFORMATION_SCHEMA));
    rows.length(all.len())
        .all("grantor", OWNER_NAME)
        .all("grantee", known.shown.user.as_str())
        .all("table_catalog", known.shown.database.as_str())
        .texts("table_schema", all.iter().map(|one| one.schema))
        .texts("table_name", all.iter().map(|one| one.name))
        .all("privilege_type", "SELECT")
        .all("is_grantable", "NO")
        .all("with_hierarchy", "YES");
}
