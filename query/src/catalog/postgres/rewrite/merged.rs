//! Joins by `USING` and `NATURAL`: their columns are one column of the two tables, which a bare
//! name means and `*` shows once.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, JoinOperator, OrderByKind, Query, Select, SelectItem,
    SetExpr, TableFactor, TableWithJoins, VisitorMut,
};

use super::super::known::Known;
use super::build::{boolean, call, normal, parts, quoted};
use super::join_kind::{constraint, has_merged};
use super::scope::{ScopeTable, Scopes};
use crate::trees::through;

/// A column of a FROM: its name and what it is.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    value: Expr,
    is_merged: bool,
}

/// Makes of these joins of a query joins with conditions, and of their columns qualified ones.
pub(super) fn merge(query: &mut Query, scopes: &Scopes, known: &Known) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let names = output_names(select);
    let Some(merged) = merge_select(select, scopes, known) else { return };
    let Some(order) = &mut query.order_by else { return };
    let OrderByKind::Expressions(exprs) = &mut order.kind else { return };
    for one in exprs {
        let is_output =
            matches!(&one.expr, Expr::Identifier(name) if names.contains(&normal(name)));
        if !is_output {
            let mut changer = Changer { merged: &merged, scopes, known, within: Vec::new() };
            through(&mut one.expr, &mut changer);
        }
    }
}

/// The names that a select list gives itself.
fn output_names(select: &Select) -> Vec<String> {
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(normal(name)),
        SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
        _ => None,
    };
    select.projection.iter().filter_map(name).collect()
}

/// Likewise of a select. Gives what the bare names of columns of two tables mean; none if there are
/// none, or if not all columns of its tables are known.
pub(super) fn merge_select(
    select: &mut Select,
    scopes: &Scopes,
    known: &Known,
) -> Option<HashMap<String, Expr>> {
    if !select.from.iter().any(has_merged) {
        return None;
    }
    let mut from = select.from.clone();
    let mut columns = Vec::new();
    for table in &mut from {
        columns.extend(joined(table, scopes, known)?);
    }
    select.from = from;
    let mut projection = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) if options == Default::default() => {
                projection.extend(columns.iter().map(shown));
            }
            // It has its name here, before it is something else.
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                let name = normal(&name);
                let mut found = columns.iter().filter(|column| column.name == name);
                projection.push(match (found.next(), found.next()) {
                    (Some(column), None) if column.is_merged => shown(column),
                    _ => SelectItem::UnnamedExpr(Expr::Identifier(quoted(&name))),
                });
            }
            item => projection.push(item),
        }
    }
    select.projection = projection;
    let mut merged = HashMap::new();
    for column in columns.iter().filter(|column| column.is_merged) {
        if columns.iter().filter(|other| other.name == column.name).count() == 1 {
            merged.insert(column.name.clone(), column.value.clone());
        }
    }
    let mut changer = Changer { merged: &merged, scopes, known, within: Vec::new() };
    through(select, &mut changer);
    Some(merged)
}

fn shown(column: &Column) -> SelectItem {
    match &column.value {
        Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(column.value.clone()),
        value => SelectItem::ExprWithAlias { expr: value.clone(), alias: quoted(&column.name) },
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(on)
        | J::Inner(on)
        | J::Left(on)
        | J::LeftOuter(on)
        | J::Right(on)
        | J::RightOuter(on)
        | J::FullOuter(on)
        | J::CrossJoin(on) => Some(on),
        _ => None,
    }
}

/// The columns of a table with its joins, which get conditions; none where one is not known.
fn joined(table: &mut TableWithJoins, scopes: &Scopes, known: &Known) -> Option<Vec<Column>> {
    use JoinOperator as J;
    let mut left = columns(&mut table.relation, scopes, known)?;
    for join in &mut table.joins {
        let right = columns(&mut join.relation, scopes, known)?;
        let has = |columns: &[Column], name: &str| columns.iter().any(|one| one.name == name);
        let names: Vec<String> = match constraint(&join.join_operator)? {
            JoinConstraint::Using(names) => {
                names.iter().map(|name| parts(name).pop()).collect::<Option<_>>()?
            }
            JoinConstraint::Natural => {
                let common = left.iter().filter(|column| has(&right, &column.name));
                common.map(|column| column.name.clone()).collect()
            }
            JoinConstraint::On(_) | JoinConstraint::None => {
                left.extend(right);
                continue;
            }
        };
        let mut pairs = Vec::new();
        for name in &names {
            pairs.push((only(&left, name)?.value.clone(), only(&right, name)?.value.clone()));
        }
        let merged = pairs.iter().zip(&names).map(|((left, right), name)| {
            let value = match &join.join_operator {
                J::Right(_) | J::RightOuter(_) => right.clone(),
                J::FullOuter(_) => call("coalesce", vec![left.clone(), right.clone()]),
                _ => left.clone(),
            };
            Column { name: name.clone(), value, is_merged: true }
        });
        let merged: Vec<_> = merged.collect();
        let rest = left.into_iter().chain(right).filter(|one| !names.contains(&one.name));
        left = merged.into_iter().chain(rest).collect();
        let equal = pairs.into_iter().map(|(left, right)| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::Eq,
            right: Box::new(right),
        });
        let all = equal.reduce(|so_far, one| Expr::BinaryOp {
            left: Box::new(so_far),
            op: BinaryOperator::And,
            right: Box::new(one),
        });
        let condition = JoinConstraint::On(all.unwrap_or_else(|| boolean(true)));
        *constraint_mut(&mut join.join_operator)? = condition;
    }
    Some(left)
}

fn only<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    let mut found = columns.iter().filter(|column| column.name == name);
    found.next().filter(|_| found.next().is_none())
}

fn columns(factor: &mut TableFactor, scopes: &Scopes, known: &Known) -> Option<Vec<Column>> {
    if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
        return joined(table_with_joins, scopes, known);
    }
    let tables = scopes.tables_in(factor, known);
    let mut all = Vec::new();
    for table in tables {
        let ScopeTable { name: table, columns: Some(columns), .. } = table else { return None };
        all.extend(columns.into_iter().map(|name| Column {
            value: Expr::CompoundIdentifier(vec![quoted(&table), quoted(&name)]),
            name,
            is_merged: false,
        }));
    }
    Some(all)
}

/// Puts what a bare name means in its place.
struct Changer<'a> {
    merged: &'a HashMap<String, Expr>,
    scopes: &'a Scopes,
    known: &'a Known,
    /// The tables of the selects around, that of the joins first.
    within: Vec<Vec<ScopeTable>>,
}

impl VisitorMut for Changer<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        self.within.push(self.scopes.tables_of(select, self.known));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Self::Break> {
        self.within.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let Expr::Identifier(name) = &*expr else { return ControlFlow::Continue(()) };
        let name = normal(name);
        let Some(value) = self.merged.get(&name) else { return ControlFlow::Continue(()) };
        let lacks = |table: &ScopeTable| {
            table.columns.as_ref().is_some_and(|columns| !columns.contains(&name))
        };
        if self.within.iter().skip(1).flatten().all(lacks) {
            *expr = value.clone();
        }
        ControlFlow::Continue(())
    }
}
