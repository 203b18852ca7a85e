//! How payers of a credit score's band behave: the monthly Markov chain of unpaid installments.

/// Installments that are unpaid when the next one is due, at which a loan is charged off: 120 days
/// past due, as banks in the US do with closed-end loans.
pub(crate) const CHARGE_OFF: u32 = 4;

/// A band of the credit score, from the best, 0, to the worst, 4.
pub(crate) fn band(score: i32) -> usize {
    match score {
        740.. => 0,
        700..=739 => 1,
        660..=699 => 2,
        620..=659 => 3,
        _ => 4,
    }
}

/// By the number of unpaid installments before this month's, and the band: the probability that
/// nothing is left unpaid, that one less is, that as many are. The rest pays nothing.
const PROBABILITIES: [[[f64; 3]; 5]; 4] = [
    [[0.997, 0.0, 0.0], [0.994, 0.0, 0.0], [0.988, 0.0, 0.0], [0.977, 0.0, 0.0], [0.955, 0.0, 0.0]],
    [[0.55, 0.0, 0.20], [0.48, 0.0, 0.22], [0.42, 0.0, 0.22], [0.34, 0.0, 0.22], [0.27, 0.0, 0.20]],
    [
        [0.22, 0.12, 0.18],
        [0.19, 0.10, 0.18],
        [0.16, 0.08, 0.17],
        [0.13, 0.06, 0.16],
        [0.10, 0.05, 0.14],
    ],
    [
        [0.09, 0.07, 0.12],
        [0.08, 0.06, 0.11],
        [0.06, 0.05, 0.09],
        [0.05, 0.04, 0.08],
        [0.03, 0.03, 0.06],
    ],
];

/// How many installments are unpaid after a month, of `unpaid` before it (at most 3); `unit` is
/// from 0 to below 1.
#[inline]
pub(crate) fn unpaid_after(unpaid: u32, band: usize, unit: f64) -> u32 {
    let [none, one_less, as_many] = PROBABILITIES[unpaid.min(CHARGE_OFF - 1) as usize][band];
    if unit < none {
        0
    } else if unit < none + one_less {
        unpaid - 1
    } else if unit < none + one_less + as_many {
        unpaid
    } else {
        unpaid + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_band_gets_behind_less_and_catches_up_more() {
        for unpaid in 0..CHARGE_OFF {
            let share = |band: usize, after: fn(u32, u32) -> bool| {
                (0..1000)
                    .filter(|i| after(unpaid_after(unpaid, band, f64::from(*i) / 1000.0), unpaid))
                    .count()
            };
            for band in 1..5 {
                assert!(
                    share(band, |after, before| after > before)
                        > share(band - 1, |after, before| after > before)
                );
                assert!(
                    share(band, |after, _| after == 0) < share(band - 1, |after, _| after == 0)
                );
            }
        }
        assert_eq!([900, 740, 739, 660, 619, 300].map(band), [0, 0, 1, 2, 4, 4]);
    }
}
