//! Forms of PostgreSQL that DataFusion refuses or answers otherwise, into forms that it plans.
//!
//! The whole tree is walked once. A select list gets its names first, from what the client wrote;
//! then what is inside changes from the leaves up.
//!
//! Names of columns: a statement's columns are called as PostgreSQL calls them, but for what comes
//! behind [`hidden`] in a name, which keeps two columns of one name apart. [`column_name`] gives
//! the name for the client.

mod array_query;
mod arrays;
mod build;
mod bytea;
mod casts;
mod functions;
mod hidden;
mod infix;
mod item_name;
mod join_kind;
mod merged;
mod naming;
mod never;
mod operators;
mod outermost;
mod scope;
mod small;
mod specials;
mod subqueries;
mod tables;
mod times;
mod whole_row;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Query, Select, SetExpr, Statement, TableFactor, VisitorMut,
};

pub(crate) use self::hidden::{HIDDEN, column_name};
use self::scope::Scopes;
use super::known::Known;
use crate::trees::through;

/// Changes a statement's tree so that DataFusion plans it and answers as PostgreSQL does. It is
/// planned with [`functions`](super::functions()) registered and the first schema of `path` as the
/// one that is searched; tables of the others, and PostgreSQL's own, get their schema here.
pub(crate) fn rewrite(statement: &mut Statement, known: &Known, path: &[String]) {
    let query = statement.to_string();
    outermost::change(statement);
    let mut rewriter = Rewriter { query, known, scopes: Scopes::new(path), fields: Vec::new() };
    through(statement, &mut rewriter);
}

struct Rewriter<'a> {
    /// The whole statement, as `current_query()` gives it.
    query: String,
    known: &'a Known,
    scopes: Scopes,
    /// Where names of fields stand that have not been visited yet: they are no columns.
    fields: Vec<*const Expr>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        never::ends_with_first_rows(query, &self.scopes, self.known);
        self.scopes.enter_query(query, self.known);
        tables::expand_table_command(query);
        tables::limit_by_fetch(query);
        tables::limit_by_text(query);
        merged::merge(query, &self.scopes, self.known);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.scopes.leave_query();
        if let SetExpr::Select(select) = query.body.as_mut() {
            operators::order_distinct_on(select, query.order_by.as_ref());
        }
        if let SetExpr::Values(values) = query.body.as_mut() {
            small::change_rows(values);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        let _merged = merged::merge_select(select, &self.scopes, self.known);
        self.scopes.enter_select(select, self.known);
        naming::name_columns(select, &self.scopes);
        subqueries::before(select, &self.scopes, self.known);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Self::Break> {
        self.scopes.leave_select();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        tables::qualify(factor, &self.scopes, self.known);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            let fields = access_chain.iter().filter_map(|access| match access {
                AccessExpr::Dot(field) => Some(std::ptr::from_ref(field)),
                AccessExpr::Subscript(_) => None,
            });
            self.fields.extend(fields);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let place = std::ptr::from_ref::<Expr>(expr);
        if let Some(at) = self.fields.iter().rposition(|field| std::ptr::eq(*field, place)) {
            self.fields.swap_remove(at);
            return ControlFlow::Continue(());
        }
        specials::drop_schema(expr);
        specials::hidden_column(expr, &self.scopes);
        specials::without_parentheses(expr, &self.scopes);
        whole_row::change(expr, &self.scopes);
        times::change(expr);
        operators::change(expr);
        infix::change(expr);
        arrays::change(expr);
        casts::change(expr);
        functions::change(expr, &self.query);
        small::change(expr);
        ControlFlow::Continue(())
    }
}
