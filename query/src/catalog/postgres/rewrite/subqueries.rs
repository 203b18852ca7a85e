//! Subqueries that are arrays, and those of which it is known that they give nothing.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, Query, Select, SelectItem, SetExpr, Visitor,
    VisitorMut,
};

use super::super::known::Known;
use super::array_query::aggregate;
use super::build::{boolean, call, function, function_name, null, text};
use super::never::{asks_for_nothing, base_of_domain};
use super::scope::Scopes;
use crate::trees::{finds, through};

/// Changes the subqueries of a select before anything in them is.
pub(super) fn before(select: &mut Select, scopes: &Scopes, known: &Known) {
    // What a table without rows is joined with is never evaluated.
    let never = scopes.here().iter().any(|table| table.is_empty)
        || select.selection.as_ref().is_some_and(asks_for_nothing);
    let mut changer = Changer { scopes, known, never, depth: 0 };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            through(expr, &mut changer);
        }
    }
    if let Some(selection) = &mut select.selection {
        through(selection, &mut changer);
    }
    if let Some(having) = &mut select.having {
        through(having, &mut changer);
    }
    for table in &mut select.from {
        for join in &mut table.joins {
            through(&mut join.join_operator, &mut changer);
        }
    }
}

fn function_of_no_rows() -> Function {
    function("unnest", vec![call("_text_array", vec![null()])])
}

struct Changer<'a> {
    scopes: &'a Scopes,
    known: &'a Known,
    never: bool,
    depth: usize,
}

impl VisitorMut for Changer<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if self.depth == 0 {
            self.change(expr);
        }
        ControlFlow::Continue(())
    }
}

impl Changer<'_> {
    fn change(&self, expr: &mut Expr) {
        match expr {
            Expr::Function(function) if self.never && function_name(&function.name) == "unnest" => {
                // Nothing is not the type of a list.
                *function = function_of_no_rows();
            }
            Expr::Function(function) => {
                let FunctionArguments::Subquery(query) = &mut function.args else { return };
                if !matches!(function_name(&function.name).as_str(), "array") {
                    return;
                }
                if self.never || self.is_empty(query) {
                    *expr = call("_text_array", vec![text("{}")]);
                } else {
                    aggregate(query);
                    *expr = call("_or_empty", vec![Expr::Subquery(query.clone())]);
                }
            }
            Expr::Subquery(query) if base_of_domain(query).is_some() => {
                if let Some(base) = base_of_domain(query) {
                    *expr = base;
                }
            }
            Expr::Subquery(query) => {
                let counts = has_aggregate(query, &["count"]);
                if self.never || (self.is_empty(query) && !counts) {
                    *expr = null();
                }
            }
            Expr::Exists { subquery, negated }
                if self.never || (self.is_empty(subquery) && !has_aggregate(subquery, &[])) =>
            {
                *expr = boolean(*negated);
            }
            Expr::InSubquery { subquery, negated, .. }
                if self.is_empty(subquery) && !has_aggregate(subquery, &[]) =>
            {
                *expr = boolean(*negated);
            }
            _ => {}
        }
    }

    /// Whether a query reads a table that never has rows, so that it has none.
    fn is_empty(&self, query: &Query) -> bool {
        let SetExpr::Select(select) = query.body.as_ref() else { return false };
        self.scopes.tables_of(select, self.known).iter().any(|table| table.is_empty)
            || select.selection.as_ref().is_some_and(asks_for_nothing)
    }
}

/// The aggregates that make one row of a query.
const AGGREGATES: [&str; 14] = [
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "array_agg",
    "string_agg",
    "bool_and",
    "bool_or",
    "every",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "first_value",
];

/// Whether a query's list has an aggregate, of these or of any.
fn has_aggregate(query: &Query, names: &[&str]) -> bool {
    struct Finder<'a>(&'a [&'a str]);
    impl Visitor for Finder<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
            let name = function_name(&function.name);
            let names = if self.0.is_empty() { &AGGREGATES[..] } else { self.0 };
            match function.over.is_none() && names.contains(&name.as_str()) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    if !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty()) {
        return false;
    }
    select.projection.iter().any(|item| finds(item, &mut Finder(names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_aggregates_is_seen() {
        let query = |text| super::super::tables::parse_query(text).unwrap();
        assert!(has_aggregate(&query("select max(a) from t"), &[]));
        assert!(!has_aggregate(&query("select a from t"), &[]));
        assert!(!has_aggregate(&query("select max(a) from t group by b"), &[]));
    }
}
