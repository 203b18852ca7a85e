//! What a plan reads, and what is applied to it, for the audit.

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{LogicalPlan, TableScan};

use crate::catalog::as_of::old;
use crate::catalog::seen::{SYSTEM, newest_of};
use crate::live::Pinned;
use crate::rules::guarded;
use crate::trees::look;

/// The tables that a plan reads, those about the program with their schema, and what of the rules
/// is applied to them. Within a transaction more tables are pinned than a statement reads, and a
/// name in a statement need not be a table's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) tables: Vec<String>,
    pub(super) policies: Vec<String>,
}

impl Applied {
    /// Of a plan over the rows of a moment, in which names without a schema are of `schema`.
    pub(super) fn to(plan: &LogicalPlan, pinned: &Pinned, schema: &str) -> Result<Self> {
        let mut applied = Self::default();
        plan.apply_with_subqueries(look(&mut |node: &LogicalPlan| {
            if let LogicalPlan::TableScan(scan) = node {
                applied.add(scan, pinned, schema);
            }
            Ok(TreeNodeRecursion::Continue)
        }))?;
        Ok(applied)
    }

    fn add(&mut self, scan: &TableScan, pinned: &Pinned, schema: &str) {
        let Ok(provider) = source_as_provider(&scan.source) else { return };
        let (rows, rule) = match guarded(&provider) {
            Some((rows, rule)) => (rows, Some(rule)),
            None => (provider, None),
        };
        let of_moment = pinned.name_of(rows.as_ref());
        let Some(table) = of_moment.or_else(|| named(scan, pinned, schema)) else { return };
        let policies = rule.map(|rule| rule.policies()).unwrap_or_default();
        put(&mut self.tables, [table]);
        put(&mut self.policies, policies);
    }
}

/// Each text once.
fn put(to: &mut Vec<String>, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        if !to.contains(&text) {
            to.push(text);
        }
    }
}

/// The table for which what is scanned was made: newest revisions, or a table about the program;
/// none where it is one of PostgreSQL's own catalogs.
fn named(scan: &TableScan, pinned: &Pinned, schema: &str) -> Option<String> {
    let name = scan.table_name.table();
    if scan.table_name.schema().unwrap_or(schema) == SYSTEM {
        return Some(format!("{SYSTEM}.{name}"));
    }
    let name = old(name).map_or(name, |old| old.table);
    let table = pinned.table(newest_of(name).unwrap_or(name))?;
    Some(table.name().to_owned())
}
