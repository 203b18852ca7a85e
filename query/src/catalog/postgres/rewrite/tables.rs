//! Tables in FROM.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, Ident, LimitClause, ObjectName, Query,
    SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, UnaryOperator, Value,
    Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::super::known::{Known, Relation};
use super::build::{arguments, call, cast, function_name, literal, number, parts, quoted};
use super::scope::{Scopes, is_system};
use crate::trees::finds;

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
            if names.len() == 1
                && !scopes.is_with(&last)
                && let Some(schema) = schema_of(&last, &scopes.path, known)
            {
                *name = ObjectName::from(vec![quoted(&schema), quoted(&last)]);
                names.insert(0, schema);
            }
            let is_own = names
                .first()
                .is_some_and(|schema| schema == "pg_catalog" || schema == "information_schema");
            if alias.is_none() && names.len() == 2 && is_own {
                *alias = Some(alias_of(&last, &[]));
            }
        }
        TableFactor::Table { name, alias, args: Some(args), with_ordinality: false, .. }
            if is_table_function(name, &args.args) =>
        {
            let function = function_name(name);
            *name = ObjectName::from(vec![Ident::new(&function)]);
            if function == "generate_series" {
                name_column(alias, &function);
            }
        }
        TableFactor::UNNEST { alias, array_exprs, with_ordinality: false, .. }
            if array_exprs.len() == 1 =>
        {
            name_column(alias, "unnest");
        }
        _ => {
            if let Some(derived) = function_query(factor) {
                *factor = derived;
            }
        }
    }
}

/// Whether DataFusion has a function in FROM as a table: of `generate_series` that of numbers.
fn is_table_function(name: &ObjectName, arguments: &[FunctionArg]) -> bool {
    let function = function_name(name);
    let is_number = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => match expr {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_integer(expr),
            expr => is_integer(expr),
        },
        _ => false,
    };
    TABLE_FUNCTIONS.contains(&function.as_str())
        && (function != "generate_series" || arguments.iter().all(is_number))
}

fn is_integer(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<i64>().is_ok(),
            _ => false,
        },
        _ => false,
    }
}

/// A function in FROM as a query of one column, or of two where its rows are numbered.
fn function_query(factor: &TableFactor) -> Option<TableFactor> {
    let (function, arguments, alias, is_numbered) = match factor {
        TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
            (function_name(name), plain_arguments(&args.args)?, alias, *with_ordinality)
        }
        TableFactor::Function { name, alias, args, with_ordinality, .. } => {
            (function_name(name), plain_arguments(args)?, alias, *with_ordinality)
        }
        TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
            ("unnest".to_owned(), array_exprs.clone(), alias, *with_ordinality)
        }
        _ => return None,
    };
    let is_lateral = arguments.iter().any(has_name);
    let mut alias = alias.clone();
    name_column(&mut alias, &function);
    let set = call(&function, arguments);
    let mut items = vec![SelectItem::UnnamedExpr(set.clone())];
    if is_numbered {
        items.push(SelectItem::UnnamedExpr(numbers_of(set)?));
        if let Some(alias) = alias.as_mut().filter(|alias| alias.columns.len() == 1) {
            let name = quoted("ordinality");
            alias.columns.push(TableAliasColumnDef { name, data_type: None });
        }
    }
    let mut subquery = parse_query("SELECT 1")?;
    if let SetExpr::Select(select) = subquery.body.as_mut() {
        select.projection = items;
    }
    Some(TableFactor::Derived { lateral: is_lateral, subquery, alias, sample: None })
}

/// The numbers of a set's rows, from 1.
fn numbers_of(set: Expr) -> Option<Expr> {
    let rows = match set {
        Expr::Function(function) if function_name(&function.name) == "unnest" => {
            arguments(&function)?.into_iter().next()?.clone()
        }
        // The list of which the set is made.
        Expr::Function(function) if function_name(&function.name) == "generate_series" => {
            call("_generate_series", arguments(&function)?.into_iter().cloned().collect())
        }
        Expr::Function(function) => {
            let name = function_name(&function.name);
            let is_split = name == "regexp_split_to_table";
            let arguments = arguments(&function)?.into_iter().cloned().collect();
            call(if is_split { "regexp_split_to_array" } else { return None }, arguments)
        }
        _ => return None,
    };
    let count = cast(call("cardinality", vec![rows]), DataType::BigInt(None));
    Some(call("generate_series", vec![number(1), count]))
}

fn plain_arguments(arguments: &[FunctionArg]) -> Option<Vec<Expr>> {
    let plain = arguments.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    plain.collect()
}

/// Whether an expression may name a column of the tables beside it.
fn has_name(expr: &Expr) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    finds(expr, &mut Finder)
}

/// `LIMIT '2'` as `LIMIT 2`: a text that stands for itself is of the type that is needed.
pub(super) fn limit_by_text(query: &mut Query) {
    let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause else {
        return;
    };
    let offset = offset.as_mut().map(|offset| &mut offset.value);
    for rows in limit.iter_mut().chain(offset) {
        if let Some(count) = literal(rows).and_then(|text| text.trim().parse().ok()) {
            *rows = number(count);
        }
    }
}

/// `FETCH FIRST n ROWS ONLY` as `LIMIT n`.
pub(super) fn limit_by_fetch(query: &mut Query) {
    let Some(fetch) = query.fetch.take_if(|fetch| !fetch.with_ties && !fetch.percent) else {
        return;
    };
    let rows = fetch.quantity.unwrap_or_else(|| number(1));
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(rows),
        Some(LimitClause::OffsetCommaLimit { limit, .. }) => *limit = rows,
        None => {
            let (limit, limit_by) = (Some(rows), Vec::new());
            query.limit_clause = Some(LimitClause::LimitOffset { limit, offset: None, limit_by });
        }
    }
}

/// The schema in which a name without one is found, where that is not the first of the path.
fn schema_of(name: &str, path: &[String], known: &Known) -> Option<String> {
    if is_system(name) {
        return Some("pg_catalog".to_owned());
    }
    let schema = match known.relation_in(path, name)? {
        Relation::Table(table) => known.schema_name(table),
        Relation::System(table) => table.schema,
        Relation::Index(..) => return None,
    };
    (path.first().map(String::as_str) != Some(schema)).then(|| schema.to_owned())
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
