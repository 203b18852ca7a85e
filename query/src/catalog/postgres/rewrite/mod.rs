//! Forms of PostgreSQL that DataFusion refuses or answers otherwise, into forms that it plans.
//!
//! The whole tree is walked once. A select list gets its names first, from what the client wrote;
//! then what is inside changes from the leaves up.
//!
//! Names of columns: a statement's columns are called as PostgreSQL calls them, but for what comes
//! behind [`hidden`] in a name, which keeps two columns of one name apart. [`column_name`] gives
//! the name for the client.

mod arrays;
mod build;
mod casts;
mod functions;
mod hidden;
mod item_name;
mod naming;
mod never;
mod operators;
mod scope;
mod subqueries;
mod tables;
mod times;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, SetExpr, Statement, TableFactor, VisitMut, VisitorMut,
};

pub(crate) use self::hidden::column_name;
use self::scope::Scopes;
use super::known::Known;

/// Changes a statement's tree so that DataFusion plans it and answers as PostgreSQL does. It is
/// planned with [`functions`](super::functions()) registered and `public` as the schema that is
/// searched; PostgreSQL's own tables get their schema here.
pub(crate) fn rewrite(statement: &mut Statement, known: &Known) {
    let mut rewriter = Rewriter { known, scopes: Scopes::default() };
    let ControlFlow::Continue(()) = statement.visit(&mut rewriter);
}

struct Rewriter<'a> {
    known: &'a Known,
    scopes: Scopes,
}

impl VisitorMut for Rewriter<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.scopes.enter_query(query);
        tables::expand_table_command(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.scopes.leave_query();
        if let SetExpr::Select(select) = query.body.as_mut() {
            operators::order_distinct_on(select, query.order_by.as_ref());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
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

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        scope::drop_schema(expr);
        scope::hidden_column(expr, &self.scopes);
        scope::current_schema(expr, &self.scopes);
        times::change(expr);
        operators::change(expr);
        arrays::change(expr);
        casts::change(expr);
        functions::change(expr);
        ControlFlow::Continue(())
    }
}
