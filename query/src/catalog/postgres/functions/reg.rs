//! Names into numbers and back: what casts to `regclass` and its like become.

use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::Volatility::Stable;

use super::super::known::{Relation, quote_ident, split_name};
use super::call::{Body, Definition, Row};
use super::context::FunctionContext;
use super::definitions::{no_such, type_oid};
use crate::builtins::procs::procs;

/// The types whose values are numbers that stand for names.
pub(in crate::catalog::postgres) const REG_KINDS: [&str; 9] = [
    "regclass",
    "regtype",
    "regproc",
    "regprocedure",
    "regnamespace",
    "regrole",
    "regoper",
    "regoperator",
    "regcollation",
];

pub(super) const DEFINITIONS: &[Definition] = &[
    // The number of a name, or a number as it is: `_reg_oid('regclass', 'public.loans')`.
    Definition {
        name: "_reg_oid",
        takes: &["TO"],
        gives: "oid",
        volatility: Stable,
        body: Body::Int(|context, row| {
            let Some(kind) = row.text(0) else { return Ok(None) };
            if let Some(oid) = row.int(1) {
                return Ok(Some(oid));
            }
            let Some(name) = row.text(1) else { return Ok(None) };
            match oid(context, kind, name) {
                Some(oid) => Ok(Some(i64::from(oid))),
                None => no_such(what(kind), name),
            }
        }),
    },
    // The name of a number, or a name in its usual form.
    Definition {
        name: "_reg_name",
        takes: &["TO"],
        gives: "text",
        volatility: Stable,
        body: Body::Text(|context, row| {
            let Some(kind) = row.text(0) else { return Ok(None) };
            let number = match (row.int(1), row.text(1)) {
                (Some(number), _) => number,
                (None, Some(name)) => match oid(context, kind, name) {
                    Some(oid) => i64::from(oid),
                    None => return no_such(what(kind), name),
                },
                (None, None) => return Ok(None),
            };
            let Ok(number) = u32::try_from(number) else {
                return exec_err!("OID out of range: {number}");
            };
            Ok(Some(name(context, kind, number)))
        }),
    },
    to("to_regclass", "regclass", |context, row| look_up(context, row, "regclass")),
    to("to_regtype", "regtype", |context, row| look_up(context, row, "regtype")),
    to("to_regproc", "regproc", |context, row| look_up(context, row, "regproc")),
    to("to_regnamespace", "regnamespace", |context, row| look_up(context, row, "regnamespace")),
    to("to_regrole", "regrole", |context, row| look_up(context, row, "regrole")),
    to("to_regprocedure", "regprocedure", |context, row| look_up(context, row, "regprocedure")),
];

const fn to(
    name: &'static str,
    gives: &'static str,
    body: fn(&FunctionContext, Row<'_>) -> Result<Option<i64>>,
) -> Definition {
    Definition { name, takes: &["T"], gives, volatility: Stable, body: Body::Int(body) }
}

fn look_up(context: &FunctionContext, row: Row<'_>, kind: &str) -> Result<Option<i64>> {
    Ok(row.text(0).and_then(|name| oid(context, kind, name)).map(i64::from))
}

fn what(kind: &str) -> &'static str {
    match kind {
        "regclass" => "relation",
        "regtype" => "type",
        "regnamespace" => "schema",
        "regrole" => "role",
        "regcollation" => "collation",
        _ => "function",
    }
}

/// The number that a name stands for; `-` is 0.
pub(super) fn oid(context: &FunctionContext, kind: &str, name: &str) -> Option<u32> {
    if name == "-" {
        return Some(0);
    }
    if let Ok(oid) = name.parse() {
        return Some(oid);
    }
    let known = &context.known;
    let bare = || split_name(name).and_then(|mut parts| parts.pop());
    match kind {
        "regclass" => {
            let path = context.settings.search_path();
            known.relation_of_text(name, &path).map(Relation::oid)
        }
        "regtype" => type_oid(context, name),
        "regproc" | "regprocedure" => {
            let name = name.split('(').next().unwrap_or(name);
            procs().by_name(name).map(|proc| proc.oid)
        }
        "regnamespace" => known.schema_named(&bare()?).map(|schema| schema.oid),
        "regrole" => {
            let bare = bare()?;
            known.roles.iter().find(|(role, _)| *role == bare).map(|(_, oid)| *oid)
        }
        "regcollation" => match bare()?.as_str() {
            "default" => Some(100),
            "c" => Some(950),
            "posix" => Some(951),
            _ => None,
        },
        _ => None,
    }
}

/// The name of a number; the number itself where it has none.
fn name(context: &FunctionContext, kind: &str, oid: u32) -> String {
    if oid == 0 {
        return "-".to_owned();
    }
    let known = &context.known;
    let name = match kind {
        "regclass" => {
            let path = context.settings.search_path();
            known.relation(oid).map(|relation| known.relation_text(relation, &path))
        }
        "regtype" => known.type_text(oid, -1),
        "regproc" => procs().by_oid(oid).map(|proc| proc.name.to_owned()),
        "regprocedure" => procs().by_oid(oid).map(|proc| {
            let arguments = proc.arguments.iter().filter_map(|oid| known.type_text(*oid, -1));
            format!("{}({})", proc.name, arguments.collect::<Vec<_>>().join(","))
        }),
        "regnamespace" => known.schema(oid).map(|schema| quote_ident(&schema.name)),
        "regrole" => known.role(oid).map(quote_ident),
        "regcollation" => match oid {
            100 => Some("\"default\"".to_owned()),
            950 => Some("\"C\"".to_owned()),
            951 => Some("\"POSIX\"".to_owned()),
            _ => None,
        },
        _ => None,
    };
    name.unwrap_or_else(|| oid.to_string())
}
