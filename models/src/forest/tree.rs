//! A regression tree.

use crate::error::ForestError;
use crate::exact;
use serde::{Deserialize, Serialize};

/// One tree. All vectors have one entry per node; node 0 is the root.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// Which feature the node looks at; 0 for a leaf.
    pub feature: Vec<u32>,
    /// Rows whose value is at most this go to the true child; 0 for a leaf.
    #[serde(with = "exact::numbers")]
    pub threshold: Vec<f64>,
    /// The true child; the false child is the next node. 0 (the root is nobody's child) for a leaf.
    pub child: Vec<u32>,
    /// Mean label of the training rows that reached the node: its prediction as a leaf, the
    /// baseline of its children otherwise.
    #[serde(with = "exact::numbers")]
    pub value: Vec<f64>,
}

impl Tree {
    /// Number of nodes, leaves included.
    pub fn len(&self) -> usize {
        self.child.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.child.is_empty()
    }

    pub(super) fn is_leaf(&self, node: usize) -> bool {
        self.child[node] == 0
    }

    pub(super) fn check(&self, tree: usize, width: usize) -> Result<(), ForestError> {
        if self.is_empty() {
            return Err(ForestError::Empty { tree });
        }
        if [self.feature.len(), self.threshold.len(), self.value.len()]
            .iter()
            .any(|length| *length != self.len())
        {
            return Err(ForestError::Lengths { tree });
        }
        for node in 0..self.len() {
            let child = self.child[node] as usize;
            let problem = if !self.value[node].is_finite() || !self.threshold[node].is_finite() {
                "its value or threshold is not a finite number"
            } else if self.is_leaf(node) {
                continue;
            } else if child <= node || child + 1 >= self.len() {
                "its children are not later nodes of the tree"
            } else if self.feature[node] as usize >= width {
                "it looks at a feature that the model does not have"
            } else {
                continue;
            };
            return Err(ForestError::Node { tree, node, problem });
        }
        Ok(())
    }
}
