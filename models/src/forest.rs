//! A forest of regression trees on labels 0 and 1: the score is the mean of the trees' leaf means.
//!
//! Stored, each tree is four arrays. Scored, all trees lie in one array of 12-byte nodes, and a value is replaced by its **rank** among
//! the forest's own cut points of that feature (how many of them are below it). `value <= cut` is exactly `rank <= rank of the cut`,
//! so ranks give bit for bit what comparing floats gives, while a row of 15 features fits one cache line and nodes stay small.
//! Rows go through a tree in blocks, so that the tree stays in cache, and [`LANES`] rows step down together, so that the processor
//! overlaps their memory reads.
//!
//! Invariants (checked by [`Forest::new`]): a node's children come after it, so every walk ends; the false child is next to the true child.

pub(crate) mod fit;

use serde::{Deserialize, Serialize};

use crate::exact;
use crate::features::FeatureMatrix;

/// Rows ranked together: 15 KiB of ranks for 15 features.
const BLOCK_ROWS: usize = 256;
/// Rows that walk down a tree side by side.
const LANES: usize = 8;

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
    /// Mean label of the training rows that reached the node: its prediction as a leaf, the baseline of its children otherwise.
    #[serde(with = "exact::numbers")]
    pub value: Vec<f64>,
}

/// The arrays do not form a forest.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ForestError {
    /// No trees, or a tree without nodes.
    #[error("tree {tree} has no nodes")]
    Empty {
        /// Which tree.
        tree: usize,
    },
    /// Rows without features can't be split.
    #[error("the forest has no features to look at")]
    NoFeatures,
    /// The arrays of a tree differ in length.
    #[error("the arrays of tree {tree} differ in length")]
    Lengths {
        /// Which tree.
        tree: usize,
    },
    /// A node names a feature or a child that can't be.
    #[error("node {node} of tree {tree}: {problem}")]
    Node {
        /// Which tree.
        tree: usize,
        /// Which node.
        node: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// More nodes than a 32-bit index can name.
    #[error("the forest has more than {} nodes", u32::MAX)]
    TooLarge,
}

/// A node as it is scored. At a leaf `child` is the node itself and no rank exceeds `cut`, so that another step stays there.
#[derive(Debug, Clone, Copy)]
struct Node {
    feature: u32,
    cut: u32,
    child: u32,
}

/// A forest, ready to score.
#[derive(Debug, Clone)]
pub struct Forest {
    trees: Vec<Tree>,
    width: usize,
    /// Per feature, the distinct thresholds of all trees, ascending.
    cuts: Vec<Vec<f64>>,
    nodes: Vec<Node>,
    values: Vec<f64>,
    roots: Vec<u32>,
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
        let node_count: usize = trees.iter().map(Tree::len).sum();
        if u32::try_from(node_count).is_err() {
            return Err(ForestError::TooLarge);
        }

        let mut cuts = vec![Vec::new(); width];
        for tree in &trees {
            for node in (0..tree.len()).filter(|node| !tree.is_leaf(*node)) {
                cuts[tree.feature[node] as usize].push(tree.threshold[node]);
            }
        }
        for feature_cuts in &mut cuts {
            feature_cuts.sort_by(f64::total_cmp);
            // `==`, so that -0.0 and 0.0, which compare as equal when scoring, are one cut.
            feature_cuts.dedup();
        }

        let mut nodes = Vec::with_capacity(node_count);
        let mut values = Vec::with_capacity(node_count);
        let mut roots = Vec::with_capacity(trees.len());
        for tree in &trees {
            let root = nodes.len() as u32;
            roots.push(root);
            for node in 0..tree.len() {
                nodes.push(if tree.is_leaf(node) {
                    Node { feature: 0, cut: u32::MAX, child: root + node as u32 }
                } else {
                    let cut = rank(&cuts[tree.feature[node] as usize], tree.threshold[node]);
                    Node { feature: tree.feature[node], cut, child: root + tree.child[node] }
                });
                values.push(tree.value[node]);
            }
        }
        Ok(Self { trees, width, cuts, nodes, values, roots })
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
        self.nodes.len()
    }

    /// Writes the score of each row to `out`, which has as many entries as the matrix has rows.
    pub(crate) fn score_into(&self, columns: &FeatureMatrix<'_>, out: &mut [f64]) {
        let mut ranks = vec![0u32; BLOCK_ROWS.min(out.len().next_multiple_of(LANES)) * self.width];
        for (block, sums) in out.chunks_mut(BLOCK_ROWS).enumerate() {
            let start = block * BLOCK_ROWS;
            for (feature, cuts) in self.cuts.iter().enumerate() {
                let values = &columns.column(feature)[start..start + sums.len()];
                for (row_ranks, value) in ranks.chunks_exact_mut(self.width).zip(values) {
                    row_ranks[feature] = rank(cuts, *value);
                }
            }
            sums.fill(0.0);
            for root in &self.roots {
                for (lanes, sums) in ranks.chunks_exact(LANES * self.width).zip(sums.chunks_mut(LANES)) {
                    let leaves = self.walk(*root, lanes);
                    for (sum, leaf) in sums.iter_mut().zip(leaves) {
                        *sum += self.values[leaf as usize];
                    }
                }
            }
            let trees = self.roots.len() as f64;
            for sum in sums {
                *sum /= trees;
            }
        }
    }

    /// The leaves that [`LANES`] rows reach from a root.
    fn walk(&self, root: u32, lanes: &[u32]) -> [u32; LANES] {
        let mut at = [root; LANES];
        loop {
            let mut moved = 0;
            for (lane, here) in at.iter_mut().enumerate() {
                let node = self.nodes[*here as usize];
                let next = node.child + u32::from(lanes[lane * self.width + node.feature as usize] > node.cut);
                moved |= next ^ *here;
                *here = next;
            }
            if moved == 0 {
                return at;
            }
        }
    }

    /// What each feature of one row adds to the score, against the mean of the roots: each step down a tree changes the node's mean,
    /// and the change belongs to the feature that the step looked at (Saabas, 2014). The contributions and
    /// [`Forest::baseline`] add up to the score.
    pub(crate) fn contributions_into(&self, columns: &FeatureMatrix<'_>, row: usize, out: &mut [f64]) {
        out.fill(0.0);
        for tree in &self.trees {
            let mut node = 0;
            while !tree.is_leaf(node) {
                let feature = tree.feature[node] as usize;
                let next = tree.child[node] as usize + usize::from(columns.column(feature)[row] > tree.threshold[node]);
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
        if [self.feature.len(), self.threshold.len(), self.value.len()].iter().any(|length| *length != self.len()) {
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

/// How many of the ascending cuts are below the value.
fn rank(cuts: &[f64], value: f64) -> u32 {
    cuts.partition_point(|cut| *cut < value) as u32
}

#[cfg(test)]
mod tests;
