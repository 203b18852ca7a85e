//! What may be done with what, and what is seen without its schema's name.

use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::Volatility::Stable;

use super::super::known::Relation;
use super::call::{Body, Definition, Row};
use super::context::FunctionContext;
use super::reg::oid;
use crate::builtins::procs::procs;
use crate::builtins::types::types;

/// Two arguments: a thing and a privilege; three: a role before them.
const TWO_OR_THREE: &[&str] = &["OT", "OOT"];
/// Likewise, with a column behind the table.
const COLUMN: &[&str] = &["OOT", "OOOT"];

pub(super) const DEFINITIONS: &[Definition] = &[
    may("has_table_privilege", TWO_OR_THREE, |context, row| {
        relation(context, row, row.count() - 2, &["SELECT"])
    }),
    may("has_any_column_privilege", TWO_OR_THREE, |context, row| {
        relation(context, row, row.count() - 2, &["SELECT"])
    }),
    may("has_column_privilege", COLUMN, |context, row| {
        relation(context, row, row.count() - 3, &["SELECT"])
    }),
    may("has_schema_privilege", TWO_OR_THREE, |context, row| {
        thing(context, row, "regnamespace", &["USAGE"])
    }),
    may("has_database_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &["CONNECT"]))),
    may("has_function_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &["EXECUTE"]))),
    may("has_language_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &["USAGE"]))),
    may("has_type_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &["USAGE"]))),
    may("has_sequence_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &[]))),
    may("has_tablespace_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &[]))),
    may("has_server_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &[]))),
    may("has_foreign_data_wrapper_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &[]))),
    may("has_parameter_privilege", TWO_OR_THREE, |_, row| Ok(privilege(row, &["SET"]))),
    may("pg_has_role", TWO_OR_THREE, |context, row| {
        let at = row.count() - 2;
        let user = context.known.user_oid();
        let role = match row.text(at) {
            Some(name) => oid(context, "regrole", name),
            None => row.oid(at),
        };
        // The user has all of the roles that it knows of, but for the owner's.
        Ok(role.map(|role| role == user || context.known.roles.iter().skip(1).any(|r| r.1 == role)))
    }),
    may("row_security_active", &["O"], |_, row| Ok((!row.any(0)?.is_null()).then_some(false))),
    may("pg_relation_is_publishable", &["O"], |_, row| Ok(row.int(0).map(|_| false))),
    may("pg_table_is_visible", &["O"], |context, row| {
        let path = context.settings.search_path();
        let relation = row.oid(0).and_then(|oid| context.known.relation(oid));
        Ok(relation.map(|relation| context.known.is_visible(relation, &path)))
    }),
    may("pg_type_is_visible", &["O"], |context, row| {
        let Some(oid) = row.oid(0) else { return Ok(None) };
        let own = context
            .known
            .tables
            .iter()
            .find(|table| table.row_type == oid || table.row_array == oid);
        let path = context.settings.search_path();
        Ok(match (types().by_oid(oid), own) {
            (Some(builtin), _) => Some(builtin.schema == "pg_catalog"),
            (None, Some(table)) => Some(context.known.is_visible(Relation::Table(table), &path)),
            (None, None) => None,
        })
    }),
    may("pg_function_is_visible", &["O"], |_, row| {
        Ok(row.oid(0).and_then(|oid| procs().by_oid(oid)).map(|_| true))
    }),
    always("pg_collation_is_visible"),
    always("pg_conversion_is_visible"),
    always("pg_opclass_is_visible"),
    always("pg_operator_is_visible"),
    always("pg_opfamily_is_visible"),
    always("pg_statistics_obj_is_visible"),
    always("pg_ts_config_is_visible"),
    always("pg_ts_dict_is_visible"),
    always("pg_ts_parser_is_visible"),
    always("pg_ts_template_is_visible"),
    may("pg_index_column_has_property", &["OIT"], |_, row| {
        Ok(row.text(2).map(|property| {
            matches!(
                property.to_ascii_lowercase().as_str(),
                "asc" | "nulls_last" | "orderable" | "returnable" | "search_array" | "search_nulls"
            )
        }))
    }),
    may("pg_index_has_property", &["OT"], |_, row| {
        Ok(row.text(1).map(|property| property != "clusterable"))
    }),
    may("pg_indexam_has_property", &["OT"], |_, row| {
        Ok(row.text(1).map(|property| {
            matches!(property, "can_order" | "can_unique" | "can_multi_col" | "can_include")
        }))
    }),
    may("pg_column_is_updatable", &["OIB"], |_, row| Ok(row.int(1).map(|_| false))),
    Definition {
        name: "pg_relation_is_updatable",
        takes: &["OB"],
        gives: "int4",
        volatility: Stable,
        body: Body::Int(|_, row| Ok(row.bool(1).map(|_| 0))),
    },
];

const fn may(
    name: &'static str,
    takes: &'static [&'static str],
    body: fn(&FunctionContext, Row<'_>) -> Result<Option<bool>>,
) -> Definition {
    Definition { name, takes, gives: "bool", volatility: Stable, body: Body::Bool(body) }
}

const fn always(name: &'static str) -> Definition {
    may(name, &["O"], |_, row| Ok(row.int(0).map(|_| true)))
}

/// Whether one of the privileges that are asked for is among those that there are.
fn privilege(row: Row<'_>, there: &[&str]) -> Option<bool> {
    let asked = row.text(row.count().checked_sub(1)?)?;
    Some(asked.split(',').any(|one| {
        let one = one.trim().to_ascii_uppercase();
        there.contains(&one.as_str())
    }))
}

fn relation(
    context: &FunctionContext,
    row: Row<'_>,
    at: usize,
    there: &[&str],
) -> Result<Option<bool>> {
    let known = &context.known;
    let found = match (row.text(at), row.oid(at)) {
        (Some(name), _) => match known.relation_of_text(name, &context.settings.search_path()) {
            None => return exec_err!("relation \"{name}\" does not exist"),
            found => found,
        },
        (None, Some(oid)) => known.relation(oid),
        (None, None) => None,
    };
    Ok(found.and_then(|_| privilege(row, there)))
}

fn thing(
    context: &FunctionContext,
    row: Row<'_>,
    kind: &str,
    there: &[&str],
) -> Result<Option<bool>> {
    let at = row.count() - 2;
    let found = match (row.text(at), row.oid(at)) {
        (Some(name), _) => match oid(context, kind, name) {
            None => return exec_err!("schema \"{name}\" does not exist"),
            found => found,
        },
        (None, number) => number.filter(|oid| context.known.schema(*oid).is_some()),
    };
    Ok(found.and_then(|_| privilege(row, there)))
}
