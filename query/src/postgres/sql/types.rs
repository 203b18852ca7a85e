//! Types that a statement's text gives to its parameters.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, Query, Statement, Value, ValueWithSpan, Visitor,
};

use crate::postgres::values::pg_types::{PgType, type_by_name, type_by_oid};
use crate::trees::finds;

/// A type of one of its names in SQL, whatever its length or precision.
pub(super) fn named_type(name: &str) -> Option<&'static PgType> {
    let (front, brackets) = match name.strip_suffix("[]") {
        Some(element) => (element.trim_end(), true),
        None => (name, false),
    };
    let (base, rest) = front.split_once('(').unwrap_or((front, ""));
    let behind = rest.split_once(')').map_or("", |(_, behind)| behind);
    let base = format!("{}{behind}", base.trim_end());
    let known = match base.as_str() {
        "int" => "int4",
        "decimal" | "dec" => "numeric",
        "float" => "float8",
        "string" => "text",
        // Without quotes it is `character(1)`, which is another type than `"char"`.
        "char" | "character" => "bpchar",
        "\"char\"" => "char",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    };
    let found = type_by_name(known)?;
    if brackets { type_by_oid(found.array) } else { Some(found) }
}

/// The types of parameters that stand in a cast, as `$1::date` does, or behind LIMIT or OFFSET: by
/// the parameter's number, counted from 1.
pub(crate) fn parameter_types(statement: &Statement) -> BTreeMap<usize, u32> {
    let mut found = Found(BTreeMap::new());
    let _all_seen = finds(statement, &mut found);
    found.0
}

struct Found(BTreeMap<usize, u32>);

impl Found {
    /// The first type that is said counts.
    fn note(&mut self, expr: &Expr, postgres: Option<&PgType>) {
        if let (Some(number), Some(postgres)) = (number(expr), postgres) {
            self.0.entry(number).or_insert(postgres.oid);
        }
    }
}

/// The number of an expression that is nothing but a parameter.
fn number(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Nested(inner) => number(inner),
        Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) => {
            name.strip_prefix('$')?.parse().ok()
        }
        _ => None,
    }
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let rows = type_by_name("int8");
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                if let Some(limit) = limit {
                    self.note(limit, rows);
                }
                if let Some(offset) = offset {
                    self.note(&offset.value, rows);
                }
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.note(offset, rows);
                self.note(limit, rows);
            }
            None => {}
        }
        if let Some(quantity) = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()) {
            self.note(quantity, rows);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if let Expr::Cast { expr, data_type, .. } = expr {
            let named = named_type(&data_type.to_string().to_ascii_lowercase());
            // A name that stands for a number is looked up by the statement.
            let is_name = named.is_some_and(|postgres| postgres.name.starts_with("reg"));
            self.note(expr, if is_name { type_by_name("text") } else { named });
        }
        ControlFlow::Continue(())
    }
}
