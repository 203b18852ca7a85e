//! The check of a plan at the end of its making, which knows what DataFusion's does not.
//!
//! DataFusion asks whether rows come in an order by computing what is known of each of its
//! expressions. For `f(x) > y` it compares the ranges of both sides, and of a function without
//! bounds of its own it says that the range is of no type (`ScalarUDFImpl::evaluate_bounds` of
//! 55.2): the comparison fails, and the order counts as unknown, even right above the sort that has
//! made it. So a statement with `order by f(x) > y` was refused. Here an order is also there where
//! it is written out.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::LexRequirement;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::sanity_checker::{
    SanityCheckPlan, check_finiteness_requirements, check_plan_sanity,
};
use datafusion::physical_plan::execution_plan::InvariantLevel;
use datafusion::physical_plan::{ChildSatisfactionOptions, ExecutionPlan, ExecutionPlanProperties};

use crate::trees::look;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Rules of physical plans, with our check in place of DataFusion's.
pub(super) fn with_own_check(rules: Vec<Rule>) -> Vec<Rule> {
    let theirs = SanityCheckPlan::new();
    let own =
        |rule: Rule| -> Rule { if rule.name() == theirs.name() { Arc::new(Check) } else { rule } };
    rules.into_iter().map(own).collect()
}

#[derive(Debug)]
struct Check;

impl PhysicalOptimizerRule for Check {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.apply(look(&mut |node: &Arc<dyn ExecutionPlan>| {
            if let Err(error) = check_plan_sanity(node, &config.optimizer) {
                check_finiteness_requirements(node.as_ref(), &config.optimizer)?;
                if !has_what_it_needs(node)? {
                    return Err(error);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        }))?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "SanityCheckPlan"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether the inputs of a node come in the order and division that it needs, where an order that
/// is written out counts as well.
fn has_what_it_needs(node: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    node.check_invariants(InvariantLevel::Executable)?;
    let divisions = node.input_distribution_requirements();
    let options = ChildSatisfactionOptions::new().with_allow_subset(true);
    let orders = node.required_input_ordering();
    for (place, (child, order)) in node.children().into_iter().zip(orders).enumerate() {
        let is_ordered = match order.map(|order| order.into_single()) {
            Some(order) => comes_in(child, order)?,
            None => true,
        };
        let is_divided =
            divisions.child_satisfaction(place, child.as_ref(), options)?.is_satisfied();
        if !is_ordered || !is_divided {
            return Ok(false);
        }
    }
    Ok(true)
}

fn comes_in(child: &Arc<dyn ExecutionPlan>, wanted: LexRequirement) -> Result<bool> {
    let known = child.equivalence_properties();
    if known.ordering_satisfy_requirement(wanted.clone())? {
        return Ok(true);
    }
    Ok(known.oeq_class().iter().any(|order| {
        let mut pairs = order.iter().zip(wanted.iter());
        order.len() >= wanted.len()
            && pairs.all(|(is, wanted)| {
                is.expr.eq(&wanted.expr) && wanted.options.is_none_or(|o| o == is.options)
            })
    }))
}

#[cfg(test)]
mod tests;
