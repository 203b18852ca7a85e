//! Subqueries where DataFusion takes none: in select lists, correlated without an aggregate, as
//! arrays.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, DuplicateTreatment, Expr, Function, FunctionArgumentClause,
    FunctionArguments, GroupByExpr, LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr,
    Visit, VisitMut, Visitor, VisitorMut,
};

use super::super::known::Known;
use super::build::{
    binary, boolean, call, function, function_name, normal, null, number, take, text,
};
use super::never::{asks_for_nothing, base_of_domain};
use super::scope::Scopes;

/// Changes the subqueries of a select before anything in them is.
pub(super) fn before(select: &mut Select, scopes: &Scopes, known: &Known) {
    // What a table without rows is joined with is never evaluated.
    let never = scopes.here().iter().any(|table| table.is_empty)
        || select.selection.as_ref().is_some_and(asks_for_nothing);
    let mut changer = Changer { scopes, known, never, depth: 0, in_list: true };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let ControlFlow::Continue(()) = expr.visit(&mut changer);
        }
    }
    changer.in_list = false;
    if let Some(selection) = &mut select.selection {
        let ControlFlow::Continue(()) = selection.visit(&mut changer);
    }
    if let Some(having) = &mut select.having {
        let ControlFlow::Continue(()) = having.visit(&mut changer);
    }
    for table in &mut select.from {
        for join in &mut table.joins {
            let ControlFlow::Continue(()) = VisitMut::visit(&mut join.join_operator, &mut changer);
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
    in_list: bool,
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
                } else if aggregate_array(query) {
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
                } else if self.is_correlated(query) && !has_aggregate(query, &[]) {
                    aggregate_first(query);
                }
            }
            Expr::Exists { subquery, negated } => {
                if self.never || (self.is_empty(subquery) && !has_aggregate(subquery, &[])) {
                    *expr = boolean(*negated);
                } else if self.in_list && !has_aggregate(subquery, &[]) && count_rows(subquery) {
                    let op = if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
                    *expr = binary(Expr::Subquery(subquery.clone()), op, number(0));
                }
            }
            Expr::InSubquery { expr: value, subquery, negated } => {
                if self.is_empty(subquery) && !has_aggregate(subquery, &[]) {
                    *expr = boolean(*negated);
                } else if self.in_list && count_equal(value, subquery) {
                    let op = if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
                    *expr = binary(Expr::Subquery(subquery.clone()), op, number(0));
                }
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

    /// Whether a query refers to the tables around it.
    fn is_correlated(&self, query: &Query) -> bool {
        let mut inner = Inner { scopes: self.scopes, known: self.known, found: false, own: vec![] };
        let _done = query.visit(&mut inner);
        inner.found
    }
}

/// Looks for a column of the select around a query.
struct Inner<'a> {
    scopes: &'a Scopes,
    known: &'a Known,
    own: Vec<super::scope::ScopeTable>,
    found: bool,
}

impl Visitor for Inner<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.own.extend(self.scopes.tables_of(select, self.known));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let outer = self.scopes.here();
        let found = match expr {
            Expr::CompoundIdentifier(parts) => {
                let qualifier = parts.iter().rev().nth(1).map(normal);
                qualifier.is_some_and(|qualifier| {
                    self.own.iter().all(|table| table.name != qualifier)
                        && outer.iter().any(|table| table.name == qualifier)
                })
            }
            Expr::Identifier(name) => {
                let name = normal(name);
                let has = |table: &super::scope::ScopeTable| {
                    table.columns.as_ref().is_some_and(|columns| columns.contains(&name))
                };
                let all_known = self.own.iter().all(|table| table.columns.is_some());
                all_known && !self.own.iter().any(has) && outer.iter().any(has)
            }
            _ => false,
        };
        if found {
            self.found = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
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
    select.projection.iter().any(|item| item.visit(&mut Finder(names)).is_break())
}

/// The select and the one expression of a query, and the query's order; none for other queries.
fn single(query: &mut Query) -> Option<&mut Select> {
    if query.with.is_some() {
        return None;
    }
    match query.body.as_mut() {
        SetExpr::Select(select) if select.projection.len() == 1 => Some(select),
        _ => None,
    }
}

fn only_item(select: &mut Select) -> Option<&mut Expr> {
    match select.projection.as_mut_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => Some(expr),
        _ => None,
    }
}

/// `ARRAY(SELECT a FROM … ORDER BY b)` as `(SELECT array_agg(a ORDER BY b) FROM …)`.
fn aggregate_array(query: &mut Query) -> bool {
    if query.limit_clause.is_some() || has_aggregate(query, &[]) {
        return false;
    }
    let order = query.order_by.take();
    let Some(select) = single(query) else { return false };
    let is_distinct = matches!(select.distinct, Some(Distinct::Distinct));
    let Some(item) = only_item(select) else { return false };
    let value = take(item);
    let mut aggregate = function("array_agg", vec![value.clone()]);
    if let FunctionArguments::List(list) = &mut aggregate.args {
        if is_distinct {
            list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
        }
        if let Some(OrderByKind::Expressions(mut order)) = order.map(|order| order.kind) {
            for one in &mut order {
                // `ORDER BY 1` means the one column.
                if one.expr.to_string() == "1" {
                    one.expr = value.clone();
                }
            }
            list.clauses.push(FunctionArgumentClause::OrderBy(order));
        }
    }
    *item = Expr::Function(aggregate);
    select.distinct = None;
    true
}

/// A correlated subquery has to have an aggregate: the first of its values, which is the only one.
fn aggregate_first(query: &mut Query) {
    let is_one = match &query.limit_clause {
        None => true,
        Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, .. }) => {
            limit.to_string() == "1"
        }
        Some(_) => false,
    };
    if !is_one {
        return;
    }
    let order = query.order_by.take();
    let Some(select) = single(query) else {
        query.order_by = order;
        return;
    };
    let has_groups =
        !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
    if has_groups || select.distinct.is_some() || select.from.is_empty() {
        query.order_by = order;
        return;
    }
    let Some(item) = only_item(select) else { return };
    let value = take(item);
    let mut aggregate = function("first_value", vec![value]);
    if let (FunctionArguments::List(list), Some(OrderByKind::Expressions(order))) =
        (&mut aggregate.args, order.map(|order| order.kind))
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    *item = Expr::Function(aggregate);
    query.limit_clause = None;
}

/// The number of a query's rows in place of them.
fn count_rows(query: &mut Query) -> bool {
    query.order_by = None;
    query.limit_clause = None;
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    let plain = matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
    if !plain || query.with.is_some() {
        return false;
    }
    select.distinct = None;
    select.projection = vec![SelectItem::UnnamedExpr(call("count", vec![number(1)]))];
    true
}

/// The number of a query's rows that equal a value.
fn count_equal(value: &mut Expr, query: &mut Query) -> bool {
    if has_aggregate(query, &[]) || query.limit_clause.is_some() {
        return false;
    }
    let Some(select) = single(query) else { return false };
    let plain = matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
    let Some(item) = only_item(select).filter(|_| plain) else { return false };
    let equal = binary(take(item), BinaryOperator::Eq, take(value));
    select.selection = Some(match select.selection.take() {
        Some(selection) => {
            let selection = Expr::Nested(Box::new(selection));
            binary(selection, BinaryOperator::And, equal)
        }
        None => equal,
    });
    count_rows(query)
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
