//! Walks over plans, expressions and syntax trees by functions behind a pointer.
//!
//! The libraries' walks are compiled anew for every function that is given to them, with all kinds
//! of nodes that there are: some twenty of those were most of this crate. Behind a pointer they are
//! compiled once; next to what a walk copies, the call costs nothing.

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut,
    Visitor, VisitorMut,
};

/// Changes a node.
type Change<'a, T> = &'a mut dyn FnMut(T) -> Result<Transformed<T>>;
/// Looks at a node, and says where to look next.
type Look<'a, T> = &'a mut dyn FnMut(&T) -> Result<TreeNodeRecursion>;
/// Says whether a node is what is looked for.
type Test<'a, T> = &'a mut dyn FnMut(&T) -> Result<bool>;

/// A function for `transform_up` and its kin.
pub(crate) fn change<T>(function: &mut dyn FnMut(T) -> Result<Transformed<T>>) -> Change<'_, T> {
    function
}

/// A function for `apply` and its kin.
pub(crate) fn look<T>(function: &mut dyn FnMut(&T) -> Result<TreeNodeRecursion>) -> Look<'_, T> {
    function
}

/// A function for `exists`.
pub(crate) fn test<T>(function: &mut dyn FnMut(&T) -> Result<bool>) -> Test<'_, T> {
    function
}

/// A visitor of a syntax tree that goes through all of it.
pub(crate) type Through<'a> = dyn VisitorMut<Break = std::convert::Infallible> + 'a;

/// Has a visitor go through all of a syntax tree.
pub(crate) fn through(tree: &mut impl VisitMut, visitor: &mut Through<'_>) {
    let ControlFlow::Continue(()) = tree.visit(&mut Behind(visitor));
}

struct Behind<'a, 'b>(&'a mut Through<'b>);

impl VisitorMut for Behind<'_, '_> {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.0.pre_visit_query(query)
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.0.post_visit_query(query)
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        self.0.pre_visit_select(select)
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        self.0.post_visit_select(select)
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Self::Break> {
        self.0.pre_visit_relation(relation)
    }

    fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Self::Break> {
        self.0.post_visit_relation(relation)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        self.0.pre_visit_table_factor(factor)
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        self.0.post_visit_table_factor(factor)
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        self.0.pre_visit_expr(expr)
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        self.0.post_visit_expr(expr)
    }

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Self::Break> {
        self.0.pre_visit_statement(statement)
    }

    fn post_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Self::Break> {
        self.0.post_visit_statement(statement)
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Self::Break> {
        self.0.pre_visit_value(value)
    }

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Self::Break> {
        self.0.post_visit_value(value)
    }
}

/// A visitor that looks for something in a syntax tree, and breaks off where it has found that.
pub(crate) type Finder<'a> = dyn Visitor<Break = ()> + 'a;

/// Whether a visitor finds what it looks for.
pub(crate) fn finds(tree: &impl Visit, visitor: &mut Finder<'_>) -> bool {
    tree.visit(&mut Looking(visitor)).is_break()
}

struct Looking<'a, 'b>(&'a mut Finder<'b>);

impl Visitor for Looking<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.pre_visit_query(query)
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.post_visit_query(query)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.0.pre_visit_select(select)
    }

    fn post_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.0.post_visit_select(select)
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.0.pre_visit_relation(relation)
    }

    fn post_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.0.post_visit_relation(relation)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.0.pre_visit_table_factor(factor)
    }

    fn post_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.0.post_visit_table_factor(factor)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0.pre_visit_expr(expr)
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0.post_visit_expr(expr)
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.0.pre_visit_statement(statement)
    }

    fn post_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.0.post_visit_statement(statement)
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        self.0.pre_visit_value(value)
    }

    fn post_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        self.0.post_visit_value(value)
    }
}
