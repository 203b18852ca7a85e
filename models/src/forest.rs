//! A forest of regression trees on labels 0 and 1: the score is the mean of the trees' leaf means.
//!
//! Stored, each tree is four arrays; how they are compiled for scoring is in [`compiled`].
//!
//! Invariants (checked by [`Forest::new`]): a node's children come after it, so every walk ends;
//! the false child is next to the true child.

mod compiled;
pub(crate) mod fit;

use serde::{Deserialize, Serialize};

use self::compiled::Compiled;
use crate::error::ForestError;
use crate::exact;
use crate::features::FeatureMatrix;

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

/// A forest, ready to score.
#[derive(Debug, Clone)]
pub struct Forest {
    trees: Vec<Tree>,
    width: usize,
    compiled: Compiled,
}

impl PartialEq for Forest {
    fn eq(&self, other: &Self) -> bool {
        // The rest is derived from these.
        self.trees == other.trees && self.width == other.width
    }
}

impl Forest {
    /// Checks the trees and prepares them for scoring rows of `width` features.
    pub fn new(trees: Vec<Tree>, width: usize) -> Result<Self, ForestError> {
        if trees.is_empty() {
            return Err(ForestError::Empty { tree: 0 });
        }
        if width == 0 {
            return Err(ForestError::NoFeatures);
        }
        for (index, tree) in trees.iter().enumerate() {
            tree.check(index, width)?;
        }
        let compiled = Compiled::new(&trees, width)?;
        Ok(Self { trees, width, compiled })
    }

    /// The trees as they are stored.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Number of features that rows must have.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of nodes, leaves included, of all trees.
    pub fn node_count(&self) -> usize {
        self.trees.iter().map(Tree::len).sum()
    }

    /// Writes the score of each row to `out`, which has as many entries as the matrix has rows.
    pub(crate) fn score_into(&self, columns: &FeatureMatrix<'_>, out: &mut [f64]) {
        self.compiled.score_into(columns, out);
    }

    /// What each feature of one row adds to the score, against the mean of the roots: each step
    /// down a tree changes the node's mean, and the change belongs to the feature that the step
    /// looked at (Saabas, 2014). The contributions and [`Forest::baseline`] add up to the score.
    pub(crate) fn contributions_into(
        &self,
        columns: &FeatureMatrix<'_>,
        row: usize,
        out: &mut [f64],
    ) {
        out.fill(0.0);
        for tree in &self.trees {
            let mut node = 0;
            while !tree.is_leaf(node) {
                let feature = tree.feature[node] as usize;
                let next = tree.child[node] as usize
                    + usize::from(columns.column(feature)[row] > tree.threshold[node]);
                out[feature] += tree.value[next] - tree.value[node];
                node = next;
            }
        }
        for contribution in out {
            *contribution /= self.trees.len() as f64;
        }
    }

    /// The score before any feature is looked at: the mean of the roots' means.
    pub fn baseline(&self) -> f64 {
        self.trees.iter().map(|tree| tree.value[0]).sum::<f64>() / self.trees.len() as f64
    }
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

    fn is_leaf(&self, node: usize) -> bool {
        self.child[node] == 0
    }

    fn check(&self, tree: usize, width: usize) -> Result<(), ForestError> {
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

#[cfg(test)]
mod tests;
