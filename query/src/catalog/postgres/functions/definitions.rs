//! Definitions, comments and names of what the catalog holds.

use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::Volatility::{Immutable, Stable};

use super::super::known::{Known, KnownKey, KnownTable, Relation, quote_ident};
use super::super::tables::constraint;
use super::call::{Body, Definition, Row};
use super::context::FunctionContext;
use crate::builtins::procs::procs;
use crate::builtins::types::types;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "format_type",
        takes: &["OI"],
        gives: "text",
        volatility: Stable,
        body: Body::Text(|context, row| {
            let Some(oid) = row.oid(0) else { return Ok(None) };
            let modifier = row.int(1).and_then(|m| i32::try_from(m).ok()).unwrap_or(-1);
            let text = match oid {
                0 => Some("-".to_owned()),
                oid => context.known.type_text(oid, modifier),
            };
            Ok(Some(text.unwrap_or_else(|| "???".to_owned())))
        }),
    },
    // An expression is kept as its text, if there is ever one.
    text("pg_get_expr", &["TO", "TOB"], |_, row| Ok(row.text(0).map(str::to_owned))),
    text("pg_get_indexdef", &["O", "OIB"], |context, row| {
        let Some((table, key)) = index(context, row) else { return Ok(None) };
        match row.int(1).and_then(|at| usize::try_from(at).ok()) {
            None | Some(0) => {
                let is_short = row.bool(2) == Some(true);
                Ok(Some(constraint::index_definition(&context.known, table, key, is_short)))
            }
            Some(at) => {
                let columns = constraint::key_columns(&context.known, table, key);
                Ok(Some(columns.into_iter().nth(at - 1).unwrap_or_default()))
            }
        }
    }),
    text("pg_get_constraintdef", &["O", "OB"], |context, row| {
        let Some(oid) = row.oid(0) else { return Ok(None) };
        let known = &context.known;
        let found = known.tables.iter().find_map(|table| {
            table.key.as_ref().filter(|key| key.constraint == oid).map(|key| (table, key))
        });
        Ok(found.map(|(table, key)| {
            format!("PRIMARY KEY ({})", constraint::key_columns(known, table, key).join(", "))
        }))
    }),
    text("pg_get_viewdef", &["O", "OB", "OI"], |context, row| Ok(view(context, row))),
    nothing("pg_get_partkeydef", &["O"]),
    nothing("pg_get_partition_constraintdef", &["O"]),
    nothing("pg_get_ruledef", &["O", "OB"]),
    nothing("pg_get_triggerdef", &["O", "OB"]),
    nothing("pg_get_statisticsobjdef", &["O"]),
    nothing("pg_get_statisticsobjdef_columns", &["O"]),
    nothing("pg_get_serial_sequence", &["TT"]),
    nothing("pg_get_functiondef", &["O"]),
    nothing("pg_get_function_sqlbody", &["O"]),
    nothing("pg_get_function_arg_default", &["OI"]),
    nothing("pg_get_replica_identity_index", &["O"]),
    nothing("shobj_description", &["OT"]),
    text("pg_get_function_arguments", &["O"], |context, row| Ok(arguments(context, row))),
    text("pg_get_function_identity_arguments", &["O"], |context, row| Ok(arguments(context, row))),
    text("pg_get_function_result", &["O"], |context, row| {
        let Some(proc) = row.oid(0).and_then(|oid| procs().by_oid(oid)) else { return Ok(None) };
        let result = context.known.type_text(proc.returns, -1);
        Ok(result.map(|text| if proc.is_set { format!("SETOF {text}") } else { text }))
    }),
    Definition {
        name: "pg_get_userbyid",
        takes: &["O"],
        gives: "name",
        volatility: Stable,
        body: Body::Text(|context, row| {
            let Some(oid) = row.oid(0) else { return Ok(None) };
            let name = context.known.role(oid).map(str::to_owned);
            Ok(Some(name.unwrap_or_else(|| format!("unknown (OID={oid})"))))
        }),
    },
    text("obj_description", &["O", "OT"], |context, row| {
        let Some(oid) = row.oid(0) else { return Ok(None) };
        Ok(comment(&context.known, oid, row.text(1)))
    }),
    text("col_description", &["OI"], |context, row| {
        let (Some(oid), Some(number)) = (relation_oid(context, row), row.int(1)) else {
            return Ok(None);
        };
        let Some(Relation::Table(table)) = context.known.relation(oid) else { return Ok(None) };
        let columns = &context.known.shown_table(table).columns;
        let column = usize::try_from(number - 1).ok().and_then(|at| columns.get(at));
        Ok(column.and_then(|column| column.about.clone()))
    }),
    Definition {
        name: "pg_encoding_to_char",
        takes: &["I"],
        gives: "name",
        volatility: Immutable,
        body: Body::Text(|_, row| {
            Ok(row.int(0).map(|number| match number {
                0 => "SQL_ASCII".to_owned(),
                6 => "UTF8".to_owned(),
                _ => String::new(),
            }))
        }),
    },
    Definition {
        name: "pg_char_to_encoding",
        takes: &["T"],
        gives: "int4",
        volatility: Immutable,
        body: Body::Int(|_, row| {
            Ok(row.text(0).map(|name| match name.to_ascii_lowercase().as_str() {
                "utf8" | "utf-8" => 6,
                "sql_ascii" => 0,
                _ => -1,
            }))
        }),
    },
    Definition {
        name: "pg_typeof",
        takes: &["A"],
        gives: "regtype",
        volatility: Stable,
        body: Body::Int(|_, row| {
            let field = row.field(0);
            Ok(field.map(|field| match field.data_type().is_null() {
                true => 705,
                false => i64::from(crate::builtins::types::type_of(field).0),
            }))
        }),
    },
    // `age` of a transaction: none has ever been.
    Definition {
        name: "age",
        takes: &["I"],
        gives: "int4",
        volatility: Stable,
        body: Body::Int(|_, row| Ok(row.int(0).map(|_| 1))),
    },
    Definition {
        name: "mxid_age",
        takes: &["I"],
        gives: "int4",
        volatility: Stable,
        body: Body::Int(|_, row| Ok(row.int(0).map(|_| 1))),
    },
];

const fn text(
    name: &'static str,
    takes: &'static [&'static str],
    body: fn(&FunctionContext, Row<'_>) -> Result<Option<String>>,
) -> Definition {
    Definition { name, takes, gives: "text", volatility: Stable, body: Body::Text(body) }
}

/// What there never is: a partition key, a trigger, a rule.
const fn nothing(name: &'static str, takes: &'static [&'static str]) -> Definition {
    text(name, takes, |_, _| Ok(None))
}

/// The relation that the first argument means, by number or name.
pub(super) fn relation_oid(context: &FunctionContext, row: Row<'_>) -> Option<u32> {
    match row.text(0) {
        Some(text) => {
            let path = context.settings.search_path();
            context.known.relation_of_text(text, &path).map(Relation::oid)
        }
        None => row.oid(0),
    }
}

fn index<'a>(context: &'a FunctionContext, row: Row<'_>) -> Option<(&'a KnownTable, &'a KnownKey)> {
    match context.known.relation(relation_oid(context, row)?)? {
        Relation::Index(table, key) => Some((table, key)),
        Relation::Table(_) | Relation::System(_) => None,
    }
}

/// A statement that gives what a view gives: its own is not kept in what is shown.
fn view(context: &FunctionContext, row: Row<'_>) -> Option<String> {
    let (known, path) = (&context.known, context.settings.search_path());
    let relation = match row.text(0) {
        Some(text) => known.relation_of_text(text, &path),
        None => known.relation(row.oid(0)?),
    };
    let Some(Relation::Table(table)) = relation else { return None };
    let shown = known.shown_table(table);
    if !shown.is_view {
        return None;
    }
    let columns: Vec<_> =
        shown.columns.iter().map(|column| quote_ident(column.field.name())).collect();
    let name = known.relation_text(Relation::Table(table), &path);
    Some(format!(" SELECT {}\n   FROM {name};", columns.join(",\n    ")))
}

fn arguments(context: &FunctionContext, row: Row<'_>) -> Option<String> {
    let proc = procs().by_oid(row.oid(0)?)?;
    let names = proc.arguments.iter().map(|oid| context.known.type_text(*oid, -1));
    Some(names.map(Option::unwrap_or_default).collect::<Vec<_>>().join(", "))
}

fn comment(known: &Known, oid: u32, catalog: Option<&str>) -> Option<String> {
    let of_schema = || known.schema(oid).and_then(|schema| schema.about.clone());
    let of_table = || match known.relation(oid)? {
        Relation::Table(table) => known.shown_table(table).about.clone(),
        Relation::Index(..) | Relation::System(_) => None,
    };
    match catalog {
        Some("pg_namespace") => of_schema(),
        Some("pg_class") => of_table(),
        Some(_) => None,
        None => of_table().or_else(of_schema),
    }
}

/// Refuses a name that stands for nothing, as `'…'::regclass` does.
pub(super) fn no_such<T>(what: &str, name: &str) -> Result<T> {
    exec_err!("{what} \"{name}\" does not exist")
}

/// The number of a type by its name.
pub(super) fn type_oid(context: &FunctionContext, text: &str) -> Option<u32> {
    context.known.type_of_text(text).or_else(|| types().by_text(text).map(|row| row.oid))
}
