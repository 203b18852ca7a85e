//! Scoring against a plain walk over floats, and the arithmetic of contributions.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

/// Root: x0 <= 1.5 ? 0.1 : (x1 <= -2 ? 0.2 : 0.9); means as if both leaves of a node held as many
/// rows.
fn two_level_tree() -> Tree {
    Tree {
        feature: vec![0, 0, 1, 0, 0],
        threshold: vec![1.5, 0.0, -2.0, 0.0, 0.0],
        child: vec![1, 0, 3, 0, 0],
        value: vec![0.325, 0.1, 0.55, 0.2, 0.9],
    }
}

fn matrix<'a>(columns: &[&'a [f64]]) -> FeatureMatrix<'a> {
    FeatureMatrix::from_columns(
        columns[0].len(),
        columns.iter().map(|column| Cow::Borrowed(*column)).collect(),
    )
    .unwrap()
}

fn score(forest: &Forest, matrix: &FeatureMatrix<'_>) -> Vec<f64> {
    let mut out = vec![f64::NAN; matrix.rows()];
    forest.score_into(matrix, &mut out);
    out
}

/// The definition: walk each tree comparing floats, add up in the order of the trees, divide.
fn plain_score(trees: &[Tree], row: &[f64]) -> f64 {
    let mut sum = 0.0;
    for tree in trees {
        let mut node = 0;
        while tree.child[node] != 0 {
            let left = row[tree.feature[node] as usize] <= tree.threshold[node];
            node = tree.child[node] as usize + usize::from(!left);
        }
        sum += tree.value[node];
    }
    sum / trees.len() as f64
}

#[test]
fn values_at_below_and_above_a_threshold_take_the_right_branch() {
    let forest = Forest::new(vec![two_level_tree()], 2).unwrap();
    let scores = score(&forest, &matrix(&[&[1.5, 1.4, 1.500001, 9.0], &[0.0, 0.0, -2.0, -1.999]]));
    assert_eq!(scores, [0.1, 0.1, 0.2, 0.9]);
}

#[test]
fn contributions_and_baseline_add_up_to_the_score() {
    let forest = Forest::new(vec![two_level_tree()], 2).unwrap();
    let mut contributions = [0.0; 2];
    forest.contributions_into(&matrix(&[&[9.0], &[5.0]]), 0, &mut contributions);
    // Root 0.325 to 0.55 by feature 0, then 0.55 to 0.9 by feature 1.
    assert!((contributions[0] - 0.225).abs() < 1e-15 && (contributions[1] - 0.35).abs() < 1e-15);
    assert!((forest.baseline() + contributions.iter().sum::<f64>() - 0.9).abs() < 1e-15);
}

#[test]
fn trees_that_could_loop_or_read_outside_are_refused() {
    let broken = |change: fn(&mut Tree)| {
        let mut tree = two_level_tree();
        change(&mut tree);
        Forest::new(vec![tree], 2).unwrap_err()
    };
    assert!(matches!(broken(|tree| tree.child[2] = 1), ForestError::Node { node: 2, .. }));
    assert!(matches!(broken(|tree| tree.child[2] = 4), ForestError::Node { node: 2, .. }));
    assert!(matches!(broken(|tree| tree.feature[0] = 2), ForestError::Node { node: 0, .. }));
    assert!(matches!(
        broken(|tree| tree.threshold[0] = f64::NAN),
        ForestError::Node { node: 0, .. }
    ));
    assert!(matches!(broken(|tree| tree.value.truncate(4)), ForestError::Lengths { tree: 0 }));
    assert_eq!(Forest::new(vec![], 2).unwrap_err(), ForestError::Empty { tree: 0 });
    assert_eq!(Forest::new(vec![Tree::default()], 2).unwrap_err(), ForestError::Empty { tree: 0 });
}

#[test]
fn wide_rows_score_as_narrow_ones_and_too_wide_ones_are_refused() {
    // The same decision on feature 0 or on the last of `width` features; the widths go through each
    // of the compiled forms.
    for width in [1, 16, 17, 64, 65, 256, 257, 1024] {
        let last = width - 1;
        let tree = Tree {
            feature: vec![last as u32, 0, 0],
            threshold: vec![0.5, 0.0, 0.0],
            child: vec![1, 0, 0],
            value: vec![0.4, 0.25, 0.75],
        };
        let forest = Forest::new(vec![tree], width).unwrap();
        let other = vec![9.0; 3];
        let mut columns: Vec<&[f64]> = vec![&other; width];
        columns[last] = &[0.5, 0.6, -1.0];
        assert_eq!(score(&forest, &matrix(&columns)), [0.25, 0.75, 0.25]);
    }
    let error = Forest::new(vec![two_level_tree()], 1025).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the number of features is 1025, but at most 1024 can be scored; fit smaller trees or \
         fewer features"
    );
    assert_eq!(Forest::new(vec![two_level_tree()], 0).unwrap_err(), ForestError::NoFeatures);
}

/// A tree grown from a list of choices: each splits one of the present leaves, chosen by the first
/// number.
fn arbitrary_tree(width: u32) -> impl Strategy<Value = Tree> {
    // Few distinct thresholds and values, so that ties with a threshold are common.
    proptest::collection::vec((any::<u32>(), 0..width, -4i32..4), 0..30).prop_map(|choices| {
        let mut tree =
            Tree { feature: vec![0], threshold: vec![0.0], child: vec![0], value: vec![0.5] };
        for (pick, feature, threshold) in choices {
            // Only the last nodes, so that children always come after their parents.
            let leaves: Vec<usize> = (0..tree.len()).filter(|node| tree.is_leaf(*node)).collect();
            let node = leaves[pick as usize % leaves.len()];
            tree.feature[node] = feature;
            tree.threshold[node] = f64::from(threshold) * 0.5;
            tree.child[node] = tree.len() as u32;
            for step in 0..2 {
                tree.feature.push(0);
                tree.threshold.push(0.0);
                tree.child.push(0);
                tree.value.push(f64::from((pick >> step) % 1000) / 999.0);
            }
        }
        tree
    })
}

proptest! {
    #[test]
    fn blocks_give_bit_for_bit_the_plain_walk(
        trees in proptest::collection::vec(arbitrary_tree(3), 1..6),
        rows in proptest::collection::vec((-4i32..4, -4i32..4, any::<f64>()), 1..600),
    ) {
        let columns: Vec<Vec<f64>> = vec![
            rows.iter().map(|row| f64::from(row.0) * 0.5).collect(),
            rows.iter().map(|row| f64::from(row.1) * 0.25).collect(),
            rows.iter().map(|row| row.2).collect(),
        ];
        let forest = Forest::new(trees.clone(), 3).unwrap();
        let scores = score(&forest, &matrix(&[&columns[0], &columns[1], &columns[2]]));
        for (row, score) in scores.iter().enumerate() {
            let expected =
                plain_score(&trees, &[columns[0][row], columns[1][row], columns[2][row]]);
            prop_assert_eq!(score.to_bits(), expected.to_bits());
        }
    }
}
