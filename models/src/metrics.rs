//! Measures of a score against labels, and thresholds chosen from them. Own implementations of
//! published definitions.
//!
//! All take one score and one label (true: fraud) per row; a higher score means more like fraud.
//! Equal scores are one group: no measure here but card precision at its cut depends on the order
//! of the rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::exact;

/// How the suggested thresholds are chosen, see [`Thresholds`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdRule {
    /// Most rows a day, on average over the test days, at or above the review threshold.
    pub reviews_per_day: f64,
    /// Least share of frauds among the test rows at or above the decline threshold.
    pub decline_precision: f64,
}

impl Default for ThresholdRule {
    fn default() -> Self {
        Self { reviews_per_day: 100.0, decline_precision: 0.9 }
    }
}

/// Rows with one score: how many of them, and of all rows with a higher score, there are.
struct Prefix {
    score: f64,
    rows: usize,
    frauds: usize,
}

/// The groups of equal scores, the highest first, with running totals.
fn prefixes(scores: &[f64], labels: &[bool]) -> Vec<Prefix> {
    let mut order: Vec<usize> = (0..scores.len().min(labels.len())).collect();
    order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut prefixes: Vec<Prefix> = Vec::new();
    let (mut rows, mut frauds) = (0, 0);
    for row in order {
        rows += 1;
        frauds += usize::from(labels[row]);
        match prefixes.last_mut() {
            Some(last) if last.score == scores[row] => (last.rows, last.frauds) = (rows, frauds),
            _ => prefixes.push(Prefix { score: scores[row], rows, frauds }),
        }
    }
    prefixes
}

/// Area under the ROC curve: the probability that a random fraud scores higher than a random
/// genuine row, ties counted half (Mann and Whitney). `None` without a fraud or without a genuine
/// row.
pub fn auc_roc(scores: &[f64], labels: &[bool]) -> Option<f64> {
    let prefixes = prefixes(scores, labels);
    let total = prefixes.last()?;
    let (frauds, genuine) = (total.frauds as f64, (total.rows - total.frauds) as f64);
    let mut pairs_won = 0.0;
    let mut before = (0, 0);
    for prefix in &prefixes {
        let group_frauds = (prefix.frauds - before.1) as f64;
        let group_genuine = (prefix.rows - before.0) as f64 - group_frauds;
        let genuine_below = (total.rows - total.frauds - (prefix.rows - prefix.frauds)) as f64;
        pairs_won += group_frauds * (genuine_below + 0.5 * group_genuine);
        before = (prefix.rows, prefix.frauds);
    }
    (frauds > 0.0 && genuine > 0.0).then(|| pairs_won / (frauds * genuine))
}

/// Average precision as scikit-learn defines it: Σ (recall_n − recall_{n−1}) · precision_n over the
/// distinct scores from the highest down, not interpolated. A random score gets about the share of
/// frauds. `None` without a fraud.
pub fn average_precision(scores: &[f64], labels: &[bool]) -> Option<f64> {
    let prefixes = prefixes(scores, labels);
    let frauds = prefixes.last()?.frauds;
    let mut sum = 0.0;
    let mut frauds_before = 0;
    for prefix in &prefixes {
        sum += (prefix.frauds - frauds_before) as f64 * (prefix.frauds as f64 / prefix.rows as f64);
        frauds_before = prefix.frauds;
    }
    (frauds > 0).then(|| sum / frauds as f64)
}

/// Card precision, its mean over the days and day by day.
#[derive(Debug, Clone, PartialEq)]
pub struct CardPrecision {
    /// Mean over the days.
    pub mean: f64,
    /// The days in order, each with its card precision.
    pub per_day: Vec<(i64, f64)>,
}

/// Card precision at `k` (Fraud Detection Handbook, chapter 4): per day, each card has the highest
/// score and the highest label of its rows; of the `k` cards with the highest scores, the share
/// with a fraud (`k` divides also on a day with fewer cards). A compromised card that was among the
/// `k` is known from then on and left out of later days. `None` without rows or with `k` = 0.
///
/// Equal scores at the cut: the smaller card number goes first.
pub fn card_precision_top_k(
    days: &[i64],
    cards: &[u32],
    scores: &[f64],
    labels: &[bool],
    k: usize,
) -> Option<CardPrecision> {
    let mut by_day: BTreeMap<i64, HashMap<u32, (f64, bool)>> = BTreeMap::new();
    for row in 0..days.len() {
        let card = by_day
            .entry(days[row])
            .or_default()
            .entry(cards[row])
            .or_insert((f64::NEG_INFINITY, false));
        card.0 = card.0.max(scores[row]);
        card.1 |= labels[row];
    }
    if by_day.is_empty() || k == 0 {
        return None;
    }
    let mut found: HashSet<u32> = HashSet::new();
    let mut per_day = Vec::with_capacity(by_day.len());
    for (day, cards) in by_day {
        let mut ranked: Vec<(u32, f64, bool)> = cards
            .into_iter()
            .filter(|(card, _)| !found.contains(card))
            .map(|(card, (score, fraud))| (card, score, fraud))
            .collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let compromised: Vec<u32> =
            ranked.iter().take(k).filter(|card| card.2).map(|card| card.0).collect();
        per_day.push((day, compromised.len() as f64 / k as f64));
        found.extend(compromised);
    }
    let mean = per_day.iter().map(|day| day.1).sum::<f64>() / per_day.len() as f64;
    Some(CardPrecision { mean, per_day })
}

/// The threshold with the best F1, and what it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestF1 {
    /// Rows with at least this score count as frauds.
    pub threshold: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Frauds among the rows at or above the threshold, as a share of those rows.
    pub precision: f64,
    /// The same frauds as a share of all frauds.
    pub recall: f64,
}

/// The threshold with the highest F1 (the highest such threshold, if several are equal). `None`
/// without a fraud.
pub fn best_f1(scores: &[f64], labels: &[bool]) -> Option<BestF1> {
    let prefixes = prefixes(scores, labels);
    let frauds = prefixes.last()?.frauds;
    let mut best: Option<BestF1> = None;
    for prefix in prefixes.iter().filter(|prefix| prefix.frauds > 0) {
        let found = prefix.frauds as f64;
        let f1 = 2.0 * found / (prefix.rows + frauds) as f64;
        if best.is_none_or(|best| f1 > best.f1) {
            best = Some(BestF1 {
                threshold: prefix.score,
                f1,
                precision: found / prefix.rows as f64,
                recall: found / frauds as f64,
            });
        }
    }
    best
}

/// Suggested cuts for decisions: a score at or above `decline` is declined, at or above `review`
/// reviewed, else approved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Lowest score that a person should look at.
    #[serde(with = "exact::number")]
    pub review: f64,
    /// Lowest score to decline without a person; at least `review`. `None`: no score is certain
    /// enough.
    #[serde(with = "exact::optional")]
    pub decline: Option<f64>,
}

impl Thresholds {
    /// Chooses by the rule from the scores of `days` days. `None` without rows.
    ///
    /// `review` is the lowest score at or above which there are at most `rule.reviews_per_day` rows
    /// a day on average; when even the rows with the highest score are more, a cut above it.
    /// `decline` is the lowest score, at or above `review`, from which up at least
    /// `rule.decline_precision` of the rows are frauds.
    pub(crate) fn choose(
        scores: &[f64],
        labels: &[bool],
        days: u32,
        rule: &ThresholdRule,
    ) -> Option<Self> {
        let prefixes = prefixes(scores, labels);
        let rows_max = rule.reviews_per_day * f64::from(days);
        let reviewed = prefixes.iter().take_while(|prefix| prefix.rows as f64 <= rows_max);
        let review =
            reviewed.last().map_or(prefixes.first()?.score.next_up(), |prefix| prefix.score);
        let decline = prefixes
            .iter()
            .take_while(|prefix| prefix.score >= review)
            .filter(|prefix| prefix.frauds as f64 >= rule.decline_precision * prefix.rows as f64)
            .last()
            .map(|prefix| prefix.score);
        Some(Self { review, decline })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: bool = true;
    const F: bool = false;

    #[test]
    fn auc_by_hand_without_and_with_ties() {
        // Frauds 0.8 and 0.35 against genuine 0.1 and 0.4: won 0.8>0.1, 0.8>0.4, 0.35>0.1; lost
        // one: 3 of 4 pairs.
        assert_eq!(auc_roc(&[0.1, 0.4, 0.35, 0.8], &[F, F, T, T]), Some(0.75));
        // Fraud 0.5 ties with one genuine 0.5 (half) and beats 0.2: 1.5 of 2 pairs.
        assert_eq!(auc_roc(&[0.5, 0.5, 0.2], &[T, F, F]), Some(0.75));
        assert_eq!(auc_roc(&[0.3, 0.3, 0.3, 0.3], &[T, F, T, F]), Some(0.5));
    }

    #[test]
    fn average_precision_by_hand_without_and_with_ties() {
        // From the top: T (1/1), F, T (2/3), F: (1 + 2/3) / 2.
        let exact = average_precision(&[0.1, 0.4, 0.35, 0.8], &[F, F, T, T]).unwrap();
        assert!((exact - 0.833_333_333_333_333_3).abs() < 1e-15);
        // One group of four with two frauds: recall jumps from 0 to 1 at precision 1/2.
        assert_eq!(average_precision(&[0.3; 4], &[T, F, T, F]), Some(0.5));
        // {0.9: T, F} precision 1/2, recall 1/2; then {0.1: T} precision 2/3: 0.25 + 1/3.
        let tied = average_precision(&[0.9, 0.9, 0.1], &[T, F, T]).unwrap();
        assert!((tied - (0.25 + 1.0 / 3.0)).abs() < 1e-15);
    }

    #[test]
    fn one_class_or_no_rows_has_no_measure() {
        assert_eq!(auc_roc(&[0.1, 0.2], &[T, T]), None);
        assert_eq!(auc_roc(&[0.1, 0.2], &[F, F]), None);
        assert_eq!(auc_roc(&[], &[]), None);
        assert_eq!(average_precision(&[0.1, 0.2], &[F, F]), None);
        assert_eq!(best_f1(&[0.1], &[F]), None);
        assert_eq!(card_precision_top_k(&[], &[], &[], &[], 100), None);
        assert_eq!(card_precision_top_k(&[0], &[0], &[0.5], &[T], 0), None);
    }

    #[test]
    fn card_precision_groups_cards_by_day_and_forgets_the_found_ones() {
        // Day 0: card 1 has rows 0.2 (fraud) and 0.9 (genuine): score 0.9, compromised. Card 2 0.8
        // genuine. Card 3 0.1 fraud. Top 2 are cards 1 and 2: 1/2. Day 1: card 1 is known and left
        // out; top 2 of cards 2 (0.7 fraud), 3 (0.6 fraud), 4 (0.5): 2/2.
        let days = [0, 0, 0, 0, 1, 1, 1, 1];
        let cards = [1, 1, 2, 3, 1, 2, 3, 4];
        let scores = [0.2, 0.9, 0.8, 0.1, 0.99, 0.7, 0.6, 0.5];
        let labels = [T, F, F, T, T, T, T, F];
        let precision = card_precision_top_k(&days, &cards, &scores, &labels, 2).unwrap();
        assert_eq!(precision, CardPrecision { mean: 0.75, per_day: vec![(0, 0.5), (1, 1.0)] });
    }

    #[test]
    fn card_precision_divides_by_k_on_a_day_with_fewer_cards_and_breaks_ties_by_card() {
        let few = card_precision_top_k(&[5], &[1], &[0.5], &[T], 4).unwrap();
        assert_eq!(few.per_day, [(5, 0.25)]);
        let tied = card_precision_top_k(&[0, 0], &[8, 3], &[0.5, 0.5], &[T, F], 1).unwrap();
        assert_eq!(tied.mean, 0.0);
    }

    #[test]
    fn best_f1_by_hand() {
        // Down to 0.8: 1 of 1 found, F1 = 2·1/(1+2) = 2/3. To 0.4: 1/2. To 0.35: 2·2/(3+2) = 0.8.
        // All: 2·2/(4+2) = 2/3.
        let best = best_f1(&[0.1, 0.4, 0.35, 0.8], &[F, F, T, T]).unwrap();
        assert_eq!((best.threshold, best.f1, best.recall), (0.35, 0.8, 1.0));
        assert!((best.precision - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn thresholds_keep_to_the_reviews_per_day_and_the_precision() {
        let scores = [0.9, 0.8, 0.7, 0.7, 0.6];
        let labels = [T, T, F, T, F];
        let choose = |reviews_per_day, decline_precision| {
            Thresholds::choose(
                &scores,
                &labels,
                2,
                &ThresholdRule { reviews_per_day, decline_precision },
            )
            .unwrap()
        };
        // Two days of 1.5: 3 rows at most; the tie at 0.7 would make 4.
        assert_eq!(choose(1.5, 1.0), Thresholds { review: 0.8, decline: Some(0.8) });
        // Two days of 2: all down to 0.7, of which 3 of 4 are frauds.
        assert_eq!(choose(2.0, 0.75), Thresholds { review: 0.7, decline: Some(0.7) });
        assert_eq!(choose(2.0, 0.9), Thresholds { review: 0.7, decline: Some(0.8) });
        // No review is allowed: above the highest score.
        let none = choose(0.0, 0.9);
        assert!(none.review > 0.9 && none.decline.is_none());
        let never = Thresholds::choose(
            &[0.5, 0.4],
            &[F, T],
            1,
            &ThresholdRule { reviews_per_day: 2.0, decline_precision: 0.9 },
        )
        .unwrap();
        assert_eq!(never, Thresholds { review: 0.4, decline: None });
    }

    proptest! {
        #[test]
        fn auc_and_average_precision_equal_their_quadratic_definitions(
            rows in proptest::collection::vec((0u8..6, any::<bool>()), 2..60),
        ) {
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 5.0).collect();
            let labels: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let frauds = labels.iter().filter(|label| **label).count();
            prop_assume!(frauds > 0 && frauds < labels.len());
            let mut won = 0.0;
            let mut pairs = 0.0;
            for i in (0..rows.len()).filter(|i| labels[*i]) {
                for j in (0..rows.len()).filter(|j| !labels[*j]) {
                    pairs += 1.0;
                    won += if scores[i] > scores[j] {
                        1.0
                    } else if scores[i] == scores[j] {
                        0.5
                    } else {
                        0.0
                    };
                }
            }
            prop_assert!((auc_roc(&scores, &labels).unwrap() - won / pairs).abs() < 1e-12);
            // Each fraud contributes the precision at its own score.
            let precision_at = |cut: f64| {
                let above: Vec<usize> = (0..rows.len()).filter(|row| scores[*row] >= cut).collect();
                above.iter().filter(|row| labels[**row]).count() as f64 / above.len() as f64
            };
            let mean: f64 = (0..rows.len())
                .filter(|i| labels[*i])
                .map(|i| precision_at(scores[i]))
                .sum::<f64>()
                / frauds as f64;
            prop_assert!((average_precision(&scores, &labels).unwrap() - mean).abs() < 1e-12);
        }
    }
}
