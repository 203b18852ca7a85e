//! A forest of regression trees on labels 0 and 1: the score is the mean of the trees' leaf means.
//!
//! Stored, each tree is four arrays; how they are compiled for scoring is in [`compiled`].
//!
//! Invariants (checked by [`Forest::new`]): a node's children come after it, so every walk ends;
//! the false child is next to the true child.

mod compiled;
pub(crate) mod fit;
mod tree;

use self::compiled::Compiled;
use crate::error::ForestError;
use crate::features::FeatureMatrix;

pub use tree::Tree;

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

#[cfg(test)]
mod tests;
