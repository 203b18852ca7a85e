//! Plans of a session's last statements, so that one that is described and then run, or run again,
//! is not planned anew.
//!
//! What is kept of a plan holds no rows: in place of each table of its moment stands the table's
//! name, and the rule that was applied to it. A statement that runs sees its own moment.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, TableSource, Volatility};

use super::statement::Statement;
use crate::catalog::moment;
use crate::catalog::postgres::Known;
use crate::live::Pinned;
use crate::rules::{Policy, TableRule, guard, guarded};
use crate::trees::{change, look};
use crate::user::User;

/// Plans that a session keeps.
const KEPT_MAX: usize = 8;

/// All that decides a statement's plan, beside the rows of tables.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    pub(super) statement: Statement,
    pub(super) user: Arc<User>,
    pub(super) known: Arc<Known>,
    /// None: there are no rules.
    pub(super) policy: Option<Arc<Policy>>,
    /// The session's zone.
    pub(super) zone: String,
    /// The schemas that are searched.
    pub(super) path: Vec<String>,
}

impl Basis {
    pub(super) fn is(&self, other: &Self) -> bool {
        let policy = |basis: &Self| basis.policy.as_ref().map(Arc::as_ptr);
        policy(self) == policy(other)
            && Arc::ptr_eq(&self.known, &other.known)
            && self.user == other.user
            && self.zone == other.zone
            && self.path == other.path
            && self.statement == other.statement
    }
}

/// A plan without rows.
#[derive(Debug)]
pub(super) struct Kept {
    basis: Basis,
    /// The tables that the statement names.
    pub(super) names: Vec<String>,
    /// Whether it asks what time it is.
    pub(super) tells_time: bool,
    plan: LogicalPlan,
    /// Its rows, where they are always the same.
    constant: OnceLock<RecordBatch>,
}

impl Kept {
    /// Its rows, if they are the same whenever it runs and it has run.
    pub(super) fn constant(&self) -> Option<&RecordBatch> {
        self.constant.get()
    }

    /// It gives these rows, by its optimized plan, for which nobody has to look again.
    pub(super) fn gives(&self, rows: RecordBatch) {
        if self.names.is_empty() && !self.tells_time {
            // Whoever was first has noted the same.
            let _same = self.constant.set(rows);
        }
    }

    /// The plan over the rows of a moment; none where a table has other columns by now.
    pub(super) fn at(&self, pinned: &Pinned) -> Option<LogicalPlan> {
        bound(self.plan.clone(), pinned).ok()
    }
}

/// The plans of a session, the last that was used at the end.
#[derive(Debug, Default)]
pub(super) struct KeptPlans(VecDeque<Arc<Kept>>);

impl KeptPlans {
    /// The plan of a statement, if it is kept.
    pub(super) fn find(&mut self, basis: &Basis) -> Option<Arc<Kept>> {
        let at = self.0.iter().position(|kept| kept.basis.is(basis))?;
        let kept = self.0.remove(at)?;
        self.0.push_back(Arc::clone(&kept));
        Some(kept)
    }

    /// Keeps a plan that was made over the rows of a moment, unless more of the moment is in it.
    /// Gives what is kept.
    pub(super) fn keep(
        &mut self,
        basis: Basis,
        names: Vec<String>,
        plan: &LogicalPlan,
        pinned: &Arc<Pinned>,
    ) -> Option<Arc<Kept>> {
        self.0.retain(|kept| !kept.basis.is(&basis));
        let (plan, tells_time) = unbound(plan, pinned)?;
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        let kept = Arc::new(Kept { basis, names, tells_time, plan, constant: OnceLock::new() });
        self.0.push_back(Arc::clone(&kept));
        Some(kept)
    }
}

/// What stands for a table in a plan that is kept.
struct Place {
    table: String,
    /// The columns of the table, before its rule.
    columns: SchemaRef,
    rule: Option<TableRule>,
}

impl TableSource for Place {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }
}

/// A plan whose tables are those of a moment, without their rows, and whether it has functions
/// whose values are not always the same; none where something else in it depends on when it was
/// planned.
fn unbound(plan: &LogicalPlan, pinned: &Arc<Pinned>) -> Option<(LogicalPlan, bool)> {
    let (mut is_whole, mut tells_time) = (true, false);
    let changed =
        plan.clone().transform_down_with_subqueries(change(&mut |node: LogicalPlan| match node {
            LogicalPlan::TableScan(scan) => match place_of(&scan, pinned) {
                Some(place) => {
                    let scan = TableScan { source: Arc::new(place), ..scan };
                    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
                }
                None => {
                    is_whole = false;
                    let node = LogicalPlan::TableScan(scan);
                    Ok(Transformed::new(node, false, TreeNodeRecursion::Stop))
                }
            },
            node => {
                let calls = calls(&node, &moment::FUNCTIONS)?;
                tells_time |= calls.changing;
                if calls.named {
                    is_whole = false;
                    return Ok(Transformed::new(node, false, TreeNodeRecursion::Stop));
                }
                Ok(Transformed::no(node))
            }
        }));
    changed.ok().map(|changed| (changed.data, tells_time)).filter(|_| is_whole)
}

/// The table of a moment that a scan reads; none for any other.
fn place_of(scan: &TableScan, pinned: &Pinned) -> Option<Place> {
    let provider = source_as_provider(&scan.source).ok()?;
    let (rows, rule) = match guarded(&provider) {
        Some((rows, rule)) => (rows, Some(rule)),
        None => (provider, None),
    };
    let is_it = |table: &dyn TableProvider| std::ptr::addr_eq(table, rows.as_ref());
    let found = pinned.tables().find(|table| is_it(table.provider().as_ref()))?;
    // An old version of a table is not what its name stands for.
    let named = pinned.table(found.name()).filter(|table| is_it(table.provider().as_ref()))?;
    Some(Place { table: named.name().to_owned(), columns: rows.schema(), rule })
}

/// What the expressions of a node call.
#[derive(Debug, Default)]
struct Calls {
    /// One of some functions.
    named: bool,
    /// One whose value is not always the same.
    changing: bool,
}

fn calls(node: &LogicalPlan, functions: &[&str]) -> Result<Calls> {
    let mut calls = Calls::default();
    node.apply_expressions(look(&mut |expr: &Expr| {
        expr.apply(look(&mut |part: &Expr| {
            if let Expr::ScalarFunction(function) = part {
                calls.named |= functions.contains(&function.name());
                let volatility = function.func.signature().volatility;
                calls.changing |= volatility != Volatility::Immutable;
            }
            Ok(TreeNodeRecursion::Continue)
        }))
    }))?;
    Ok(calls)
}

/// A plan with the rows of a moment.
fn bound(plan: LogicalPlan, pinned: &Pinned) -> Result<LogicalPlan> {
    let changed = |table: &str| DataFusionError::Plan(format!("the table '{table}' has changed"));
    let bound = plan.transform_down_with_subqueries(change(&mut |node: LogicalPlan| {
        let LogicalPlan::TableScan(scan) = node else { return Ok(Transformed::no(node)) };
        let Some(place) = scan.source.downcast_ref::<Place>() else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        let table = pinned.table(&place.table).ok_or_else(|| changed(&place.table))?;
        let rows = table.provider();
        if table.name() != place.table || rows.schema() != place.columns {
            return Err(changed(&place.table));
        }
        let provider = match &place.rule {
            Some(rule) => guard(rows, rule.clone(), table.divided_by()),
            None => rows,
        };
        let source = provider_as_source(provider);
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
    }))?;
    Ok(bound.data)
}
