//! Fitting the forest with smartcore and taking over its trees.
//!
//! smartcore's *regressor* is fitted to labels 0 and 1: on two classes, the squared error chooses
//! the same splits as the Gini impurity, and its leaves keep the share of frauds where smartcore's
//! classifier keeps only a class. The trees are read from smartcore's serialized form (its fields
//! are private). smartcore goes on splitting nodes that are pure; those subtrees predict one value,
//! so each is taken over as one leaf.
//!
//! The forest is grown in a fixed number of parts with seeds of their own, so that threads share
//! the work and the result depends on the seed only, not on the number of threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use smartcore::ensemble::random_forest_regressor::{
    RandomForestRegressor, RandomForestRegressorParameters,
};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Forest, Tree};
use crate::error::TrainError;

/// Parts that a forest is grown in. A part's trees exist in smartcore's bulky serialized form for a
/// moment: more parts take less memory, but each part sorts the columns again.
const PARTS: usize = 8;

/// A part's trees, once it is done.
type Grown = Option<Result<Vec<Tree>, TrainError>>;

/// How to fit a forest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForestParameters {
    /// Number of trees.
    pub trees: usize,
    /// Most steps from a root to a leaf.
    pub depth_max: u16,
    /// Fewest training rows in a leaf.
    pub leaf_rows_min: usize,
    /// Features tried at each split; `None` for a third of them, rounded up, the usual choice for
    /// regression trees.
    pub features_per_split: Option<usize>,
    /// The same seed gives the same forest.
    pub seed: u64,
    /// Threads to fit on; the result does not depend on it.
    pub threads: usize,
}

impl Default for ForestParameters {
    fn default() -> Self {
        Self {
            trees: 100,
            depth_max: 10,
            leaf_rows_min: 1,
            features_per_split: None,
            seed: 0,
            threads: 2,
        }
    }
}

type Fitted = RandomForestRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>;

fn failed(reason: String) -> TrainError {
    TrainError::Fit { algorithm: "random forest", reason }
}

/// Fits to `columns` (one per feature, finite values) and `labels` (true: fraud).
pub(crate) fn fit(
    columns: &[Vec<f64>],
    labels: &[bool],
    parameters: &ForestParameters,
) -> Result<Forest, TrainError> {
    if parameters.trees == 0
        || parameters.depth_max == 0
        || parameters.leaf_rows_min == 0
        || parameters.features_per_split == Some(0)
    {
        return Err(TrainError::Spec {
            problem: "a forest needs at least 1 tree, a depth of 1, 1 row per leaf and 1 feature \
                      per split"
                .to_owned(),
        });
    }
    let x = DenseMatrix::new(labels.len(), columns.len(), columns.concat(), true)
        .map_err(|error| failed(error.to_string()))?;
    let y: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();

    let parts = PARTS.min(parameters.trees);
    let next_part = AtomicUsize::new(0);
    let grown: Mutex<Vec<Grown>> = Mutex::new((0..parts).map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..parameters.threads.clamp(1, parts) {
            scope.spawn(|| {
                loop {
                    let part = next_part.fetch_add(1, Ordering::Relaxed);
                    if part >= parts {
                        break;
                    }
                    let trees = grow_part(&x, &y, parameters, part, parts);
                    grown.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[part] =
                        Some(trees);
                }
            });
        }
    });

    let mut trees = Vec::with_capacity(parameters.trees);
    for part in grown.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        trees.extend(part.expect("a thread fills every part before the scope ends")?);
    }
    Ok(Forest::new(trees, columns.len())?)
}

fn grow_part(
    x: &DenseMatrix<f64>,
    y: &Vec<f64>,
    parameters: &ForestParameters,
    part: usize,
    parts: usize,
) -> Result<Vec<Tree>, TrainError> {
    let trees = parameters.trees * (part + 1) / parts - parameters.trees * part / parts;
    let fitted = fit_smartcore(
        x,
        y,
        parameters,
        trees,
        xxh3_64_with_seed(&(part as u64).to_le_bytes(), parameters.seed),
    )?;
    read_trees(&fitted)
}

fn fit_smartcore(
    x: &DenseMatrix<f64>,
    y: &Vec<f64>,
    parameters: &ForestParameters,
    trees: usize,
    seed: u64,
) -> Result<Fitted, TrainError> {
    let features_per_split = parameters.features_per_split.unwrap_or(x.shape().1.div_ceil(3));
    let smartcore_parameters = RandomForestRegressorParameters::default()
        .with_n_trees(trees)
        // smartcore counts levels: the root is level 1.
        .with_max_depth(parameters.depth_max.saturating_add(1))
        .with_min_samples_leaf(parameters.leaf_rows_min)
        .with_m(features_per_split)
        .with_seed(seed);
    Fitted::fit(x, y, smartcore_parameters).map_err(|error| failed(error.to_string()))
}

/// The trees of a fitted forest, read from its serialized form. Through a `Value`, not through
/// text, so that no float is rounded.
fn read_trees(fitted: &Fitted) -> Result<Vec<Tree>, TrainError> {
    let value = serde_json::to_value(fitted).map_err(|error| failed(error.to_string()))?;
    let trees = value["forest_regressor"]["trees"]
        .as_array()
        .ok_or(TrainError::FittedForm { field: "forest_regressor.trees" })?;
    trees
        .iter()
        .map(|tree| {
            read_tree(tree["nodes"].as_array().ok_or(TrainError::FittedForm { field: "nodes" })?)
        })
        .collect()
}

/// Copies one tree breadth first, children side by side, pure subtrees as one leaf.
fn read_tree(nodes: &[Value]) -> Result<Tree, TrainError> {
    let mut tree = Tree::default();
    // The smartcore node behind each of ours; grows while it is walked.
    let mut sources = vec![0];
    let mut next = 0;
    while next < sources.len() {
        let node = nodes.get(sources[next]).ok_or(TrainError::FittedForm { field: "nodes[i]" })?;
        let value = node["output"].as_f64().ok_or(TrainError::FittedForm { field: "output" })?;
        let pure = value == 0.0 || value == 1.0;
        let children = (index_of(node, "true_child"), index_of(node, "false_child"));
        match children {
            (Some(true_child), Some(false_child)) if !pure => {
                tree.feature.push(
                    index_of(node, "split_feature")
                        .ok_or(TrainError::FittedForm { field: "split_feature" })?
                        as u32,
                );
                tree.threshold.push(
                    node["split_value"]
                        .as_f64()
                        .ok_or(TrainError::FittedForm { field: "split_value" })?,
                );
                tree.child.push(sources.len() as u32);
                sources.extend([true_child, false_child]);
            }
            // A node may carry a split that was found but not applied, for the depth; without
            // children it is a leaf.
            _ => {
                tree.feature.push(0);
                tree.threshold.push(0.0);
                tree.child.push(0);
            }
        }
        tree.value.push(value);
        next += 1;
    }
    Ok(tree)
}

fn index_of(node: &Value, field: &str) -> Option<usize> {
    node[field].as_u64().and_then(|index| usize::try_from(index).ok())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use rand::RngExt;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::features::FeatureMatrix;

    /// 2,000 rows of 5 features, of which two decide the label, with noise.
    fn rows() -> (Vec<Vec<f64>>, Vec<bool>) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut columns = vec![Vec::new(); 5];
        let mut labels = Vec::new();
        for _ in 0..2000 {
            for (feature, column) in columns.iter_mut().enumerate() {
                // The odd features take few values, so that ties with thresholds occur.
                column.push(if feature % 2 == 0 {
                    rng.random::<f64>() * 10.0
                } else {
                    f64::from(rng.random_range(0..6u8))
                });
            }
            let last = labels.len();
            labels.push(columns[0][last] + columns[1][last] > 11.0 || rng.random::<f64>() < 0.02);
        }
        (columns, labels)
    }

    fn matrix(columns: &[Vec<f64>]) -> FeatureMatrix<'_> {
        FeatureMatrix::from_columns(
            columns[0].len(),
            columns.iter().map(|column| Cow::Borrowed(&column[..])).collect(),
        )
        .unwrap()
    }

    #[test]
    fn our_scores_equal_smartcores_predictions_bit_for_bit() {
        let (columns, labels) = rows();
        let x = DenseMatrix::new(labels.len(), columns.len(), columns.concat(), true).unwrap();
        let y: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
        for depth_max in [1, 3, 12] {
            let parameters = ForestParameters { depth_max, ..ForestParameters::default() };
            let fitted = fit_smartcore(&x, &y, &parameters, 20, 3).unwrap();
            let forest = Forest::new(read_trees(&fitted).unwrap(), columns.len()).unwrap();
            let mut scores = vec![0.0; labels.len()];
            forest.score_into(&matrix(&columns), &mut scores);
            let predicted: Vec<f64> = fitted.predict(&x).unwrap();
            assert_eq!(
                scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>(),
                predicted.iter().map(|score| score.to_bits()).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_the_forest_and_the_seed_does() {
        let (columns, labels) = rows();
        let parameters =
            ForestParameters { trees: 11, depth_max: 4, threads: 1, ..ForestParameters::default() };
        let one = fit(&columns, &labels, &parameters).unwrap();
        let three = fit(&columns, &labels, &ForestParameters { threads: 3, ..parameters }).unwrap();
        let other = fit(&columns, &labels, &ForestParameters { seed: 1, ..parameters }).unwrap();
        assert_eq!(one.trees().len(), 11);
        assert_eq!(one, three);
        assert_ne!(one, other);
    }

    #[test]
    fn the_depth_is_at_most_the_stated_one() {
        let (columns, labels) = rows();
        let forest = fit(
            &columns,
            &labels,
            &ForestParameters { trees: 4, depth_max: 2, ..ForestParameters::default() },
        )
        .unwrap();
        // Two steps: at most 1 + 2 + 4 nodes.
        assert!(forest.trees().iter().all(|tree| tree.len() <= 7));
        assert!(forest.trees().iter().any(|tree| tree.len() > 3));
    }
}
