//! The form in which a forest is scored.
//!
//! A value is replaced by its **rank** among the forest's own cut points of that feature (how many
//! of them are below it). `value <= cut` is exactly `rank <= rank of the cut`, so ranks give bit
//! for bit what comparing floats gives, while the ranks of a row of up to 16 features fill one
//! cache line and a node is eight bytes. Rows go through a tree in blocks, so that the tree stays
//! in cache, and [`LANES`] rows step down side by side, so that the processor overlaps their reads.

use super::tree::Tree;
use crate::error::ForestError;
use crate::features::FeatureMatrix;

/// Rows ranked together: 16 KiB of ranks for up to 16 features.
const BLOCK_ROWS: usize = 256;
/// Rows that walk down a tree side by side.
const LANES: usize = 8;
// Else the last rows of each block would not be in any group.
const _: () = assert!(BLOCK_ROWS.is_multiple_of(LANES));
/// Most features; a row's ranks lie in an array of a fixed length, see [`Compiled::score_into`].
const WIDTH_MAX: usize = 1024;
/// Bits of a node for its cut, and for its child.
const FIELD_BITS: u32 = 24;
const FIELD_MAX: usize = (1 << FIELD_BITS) - 1;

/// From the lowest bit: feature (16 bits), child (24, counted from the tree's root), rank of the
/// cut (24). At a leaf, `child` is the node itself and no rank exceeds the cut, so that another
/// step stays there.
#[derive(Debug, Clone, Copy)]
struct Node(u64);

impl Node {
    fn new(feature: usize, child: usize, cut: usize) -> Self {
        Self(feature as u64 | (child as u64) << 16 | (cut as u64) << (16 + FIELD_BITS))
    }

    #[inline(always)]
    fn feature(self) -> usize {
        usize::from(self.0 as u16)
    }

    #[inline(always)]
    fn child(self) -> u32 {
        (self.0 >> 16) as u32 & FIELD_MAX as u32
    }

    #[inline(always)]
    fn cut(self) -> u32 {
        (self.0 >> (16 + FIELD_BITS)) as u32
    }
}

#[derive(Debug, Clone)]
pub(super) struct Compiled {
    /// Per feature, the distinct thresholds of all trees, ascending.
    cuts: Vec<Vec<f64>>,
    trees: Vec<CompiledTree>,
}

#[derive(Debug, Clone)]
struct CompiledTree {
    nodes: Vec<Node>,
    values: Vec<f64>,
}

impl Compiled {
    /// Compiles trees that have been checked.
    pub(super) fn new(trees: &[Tree], width: usize) -> Result<Self, ForestError> {
        let check = |what, found, limit| {
            if found <= limit { Ok(()) } else { Err(ForestError::TooLarge { what, found, limit }) }
        };
        check("the number of features", width, WIDTH_MAX)?;
        let mut cuts = vec![Vec::new(); width];
        for tree in trees {
            check("the number of nodes of a tree", tree.len(), FIELD_MAX)?;
            for node in (0..tree.len()).filter(|node| !tree.is_leaf(*node)) {
                cuts[tree.feature[node] as usize].push(tree.threshold[node]);
            }
        }
        for feature_cuts in &mut cuts {
            feature_cuts.sort_by(f64::total_cmp);
            // By `==`, so that -0.0 and 0.0, which compare as equal when scoring, are one cut.
            feature_cuts.dedup();
            check(
                "the number of distinct thresholds of a feature",
                feature_cuts.len(),
                FIELD_MAX - 1,
            )?;
        }
        let compile = |tree: &Tree| {
            let node = |node: usize| {
                if tree.is_leaf(node) {
                    return Node::new(0, node, FIELD_MAX);
                }
                let feature = tree.feature[node] as usize;
                Node::new(
                    feature,
                    tree.child[node] as usize,
                    rank(&cuts[feature], tree.threshold[node]) as usize,
                )
            };
            CompiledTree { nodes: (0..tree.len()).map(node).collect(), values: tree.value.clone() }
        };
        let trees = trees.iter().map(compile).collect();
        Ok(Self { cuts, trees })
    }

    /// Writes the mean of the trees' leaf values for each row. A row's ranks lie in an array whose
    /// length is known to the compiler, a power of two, so that no index into it has to be checked.
    pub(super) fn score_into(&self, columns: &FeatureMatrix<'_>, out: &mut [f64]) {
        match self.cuts.len() {
            ..=16 => self.score_strided::<16>(columns, out),
            17..=64 => self.score_strided::<64>(columns, out),
            65..=256 => self.score_strided::<256>(columns, out),
            _ => self.score_strided::<WIDTH_MAX>(columns, out),
        }
    }

    fn score_strided<const STRIDE: usize>(&self, columns: &FeatureMatrix<'_>, out: &mut [f64]) {
        let mut ranks = vec![[0u32; STRIDE]; BLOCK_ROWS.min(out.len().next_multiple_of(LANES))];
        for (block, sums) in out.chunks_mut(BLOCK_ROWS).enumerate() {
            let start = block * BLOCK_ROWS;
            for (feature, cuts) in self.cuts.iter().enumerate() {
                let values = &columns.column(feature)[start..start + sums.len()];
                for (row_ranks, value) in ranks.iter_mut().zip(values) {
                    row_ranks[feature] = rank(cuts, *value);
                }
            }
            sums.fill(0.0);
            let (groups, _) = ranks.as_chunks::<LANES>();
            for tree in &self.trees {
                for (group, sums) in groups.iter().zip(sums.chunks_mut(LANES)) {
                    for (sum, leaf) in sums.iter_mut().zip(tree.walk(group)) {
                        *sum += tree.values[leaf as usize];
                    }
                }
            }
            let trees = self.trees.len() as f64;
            for sum in sums {
                *sum /= trees;
            }
        }
    }
}

impl CompiledTree {
    /// The leaves that a group of rows reach.
    #[inline]
    fn walk<const STRIDE: usize>(&self, group: &[[u32; STRIDE]; LANES]) -> [u32; LANES] {
        let nodes = &self.nodes[..];
        let mut at = [0; LANES];
        loop {
            let mut moved = 0;
            for lane in 0..LANES {
                let node = nodes[at[lane] as usize];
                let next = node.child()
                    + u32::from(group[lane][node.feature() & (STRIDE - 1)] > node.cut());
                moved |= next ^ at[lane];
                at[lane] = next;
            }
            if moved == 0 {
                return at;
            }
        }
    }
}

/// How many of the ascending cuts are below the value.
fn rank(cuts: &[f64], value: f64) -> u32 {
    cuts.partition_point(|cut| *cut < value) as u32
}
