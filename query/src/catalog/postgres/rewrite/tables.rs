//! Tables in FROM.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::super::known::Known;
use super::build::{call, function_name, parts, quoted};
use super::scope::{Scopes, is_system};

/// Functions that DataFusion has as tables.
const TABLE_FUNCTIONS: [&str; 3] = ["generate_series", "pg_get_keywords", "pg_show_all_settings"];

/// A query of a text that is known to be one.
pub(super) fn parse_query(text: &str) -> Option<Box<Query>> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(text).ok()?.parse_query().ok()
}

/// `TABLE name` as `SELECT * FROM name`.
pub(super) fn expand_table_command(query: &mut Query) {
    let SetExpr::Table(table) = query.body.as_ref() else { return };
    let Some(name) = &table.table_name else { return };
    let text = match &table.schema_name {
        Some(schema) => format!("SELECT * FROM {schema}.{name}"),
        None => format!("SELECT * FROM {name}"),
    };
    if let Some(whole) = parse_query(&text) {
        query.body = whole.body;
    }
}

/// Gives PostgreSQL's own tables their schema and an alias, takes the database's name away, and
/// makes functions in FROM what DataFusion has.
pub(super) fn qualify(factor: &mut TableFactor, scopes: &Scopes, known: &Known) {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let mut names = parts(name);
            if names.len() == 3 && names[0] == known.shown.database {
                names.remove(0);
                name.0.remove(0);
            }
            let Some(last) = names.last().cloned() else { return };
            if names.len() == 1 && is_system(&last) && !scopes.is_with(&last) {
                *name = ObjectName::from(vec![Ident::new("pg_catalog"), quoted(&last)]);
                names.insert(0, "pg_catalog".to_owned());
            }
            let is_own = names
                .first()
                .is_some_and(|schema| schema == "pg_catalog" || schema == "information_schema");
            if alias.is_none() && names.len() == 2 && is_own {
                *alias = Some(alias_of(&last, &[]));
            }
        }
        TableFactor::Table { name, alias, args: Some(args), with_ordinality: false, .. } => {
            let function = function_name(name);
            if TABLE_FUNCTIONS.contains(&function.as_str()) {
                *name = ObjectName::from(vec![Ident::new(&function)]);
                if function == "generate_series" {
                    name_column(alias, &function);
                }
                return;
            }
            let arguments = args.args.iter().map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            });
            let Some(arguments) = arguments.collect::<Option<Vec<_>>>() else { return };
            name_column(alias, &function);
            if let Some(derived) = scalar_function(&function, arguments, alias.take()) {
                *factor = derived;
            }
        }
        TableFactor::UNNEST { alias, array_exprs, .. } if array_exprs.len() == 1 => {
            name_column(alias, "unnest");
        }
        _ => {}
    }
}

fn alias_of(name: &str, columns: &[&str]) -> TableAlias {
    TableAlias {
        explicit: true,
        name: quoted(name),
        columns: columns
            .iter()
            .map(|column| TableAliasColumnDef { name: quoted(column), data_type: None })
            .collect(),
        at: None,
    }
}

/// The one column of a function in FROM has its alias as its name.
fn name_column(alias: &mut Option<TableAlias>, function: &str) {
    match alias {
        None => *alias = Some(alias_of(function, &[function])),
        Some(alias) if alias.columns.is_empty() => {
            let name = super::build::normal(&alias.name);
            *alias = alias_of(&name, &[&name]);
        }
        Some(_) => {}
    }
}

/// A function that gives one value, as a table of one row.
fn scalar_function(
    name: &str,
    arguments: Vec<Expr>,
    alias: Option<TableAlias>,
) -> Option<TableFactor> {
    let mut subquery = parse_query("SELECT 1")?;
    if let SetExpr::Select(select) = subquery.body.as_mut() {
        select.projection = vec![SelectItem::UnnamedExpr(call(name, arguments))];
    }
    Some(TableFactor::Derived { lateral: false, subquery, alias, sample: None })
}
