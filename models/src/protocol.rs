//! Which rows a model is trained on and tested on, as in the Fraud Detection Handbook (chapter 5,
//! prequential split).
//!
//! ```text
//!   start          + train_days        + delay_days          + test_days
//!     ├── training ──┼── delay (labels ──┼── test ─────────────┤
//!     │              │   still unknown)  │                     │
//! ```
//!
//! A fraud is reported `delay_days` after it happened, and a card with a reported fraud is blocked.
//! So test rows of a card are left out when the card had a fraud in the training window, or up to
//! day d − `delay_days` − 1 of the delay for test day d: each test day adds the frauds of exactly
//! one day.

use std::collections::HashSet;

use chrono::{Days, NaiveDate};

/// Microseconds in a day.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// The windows, in whole UTC days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// First day of the training window.
    pub train_start: NaiveDate,
    /// Days of training.
    pub train_days: u32,
    /// Days until a fraud is reported: between training and test, unused but for blocking cards.
    pub delay_days: u32,
    /// Days of test.
    pub test_days: u32,
}

impl Split {
    /// The day of an event time (UTC microseconds since 1970), counted from the first day of
    /// training.
    pub fn day_of(&self, event_time_micros: i64) -> i64 {
        event_time_micros.div_euclid(DAY_MICROS) - self.start_days_since_epoch()
    }

    /// All rows that matter: the first microsecond and the first after the end.
    pub fn range_micros(&self) -> (i64, i64) {
        let start = self.start_days_since_epoch();
        (start * DAY_MICROS, (start + self.test_end()) * DAY_MICROS)
    }

    /// The date of a day counted from the first day of training.
    pub fn date(&self, day: i64) -> NaiveDate {
        self.train_start
            .checked_add_days(Days::new(day.max(0).unsigned_abs()))
            .unwrap_or(NaiveDate::MAX)
    }

    /// First day after the training window.
    pub fn train_end(&self) -> i64 {
        i64::from(self.train_days)
    }

    /// First day of the test window.
    pub fn test_start(&self) -> i64 {
        self.train_end() + i64::from(self.delay_days)
    }

    /// First day after the test window.
    pub fn test_end(&self) -> i64 {
        self.test_start() + i64::from(self.test_days)
    }

    fn start_days_since_epoch(&self) -> i64 {
        (self.train_start - NaiveDate::default()).num_days()
    }
}

/// Indices of the rows of each window, in the order of the input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SplitRows {
    /// Rows to fit to.
    pub train: Vec<usize>,
    /// Rows to measure on, without those of blocked cards.
    pub test: Vec<usize>,
    /// Rows of the test window that were left out because the card was blocked.
    pub blocked: usize,
}

/// Splits rows given by their day (from [`Split::day_of`]), card number and label.
pub fn split_rows(days: &[i64], cards: &[u32], labels: &[bool], split: &Split) -> SplitRows {
    let mut rows = SplitRows::default();
    // The first test day on which each compromised card is blocked, by card.
    let mut fraud_days: Vec<(u32, i64)> = Vec::new();
    for row in 0..days.len() {
        let day = days[row];
        if (0..split.train_end()).contains(&day) {
            rows.train.push(row);
        }
        if labels[row] && (0..split.test_end()).contains(&day) {
            fraud_days.push((cards[row], day));
        }
    }
    for test_day in split.test_start()..split.test_end() {
        let reported_until =
            (test_day - i64::from(split.delay_days) - 1).max(split.train_end() - 1);
        let blocked: HashSet<u32> = fraud_days
            .iter()
            .filter(|(_, day)| *day <= reported_until)
            .map(|(card, _)| *card)
            .collect();
        for row in (0..days.len()).filter(|row| days[*row] == test_day) {
            if blocked.contains(&cards[row]) {
                rows.blocked += 1;
            } else {
                rows.test.push(row);
            }
        }
    }
    rows.test.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split() -> Split {
        Split {
            train_start: NaiveDate::from_ymd_opt(2018, 7, 25).unwrap(),
            train_days: 7,
            delay_days: 7,
            test_days: 7,
        }
    }

    #[test]
    fn days_and_dates_follow_the_calendar() {
        let split = split();
        let micros =
            |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
        assert_eq!(split.day_of(micros("2018-07-25T00:00:00Z")), 0);
        assert_eq!(split.day_of(micros("2018-07-24T23:59:59.999999Z")), -1);
        assert_eq!(split.day_of(micros("2018-08-08T12:00:00Z")), split.test_start());
        assert_eq!(split.date(split.test_start()).to_string(), "2018-08-08");
        assert_eq!(
            split.range_micros(),
            (micros("2018-07-25T00:00:00Z"), micros("2018-08-15T00:00:00Z"))
        );
    }

    #[test]
    fn a_fraud_blocks_its_card_from_the_day_after_it_is_reported() {
        // Card 1: fraud on training day 6. Card 2: fraud on delay day 8, reported on day 15, so
        // blocked from test day 16. Card 3: fraud on test day 14, never reported in time. Card 4:
        // fraud before the training window.
        let days = vec![6, 8, 14, -1, 14, 14, 15, 16, 16, 20, 14, 20, 0, 21];
        let cards = vec![1, 2, 3, 4, 1, 2, 2, 2, 3, 3, 4, 5, 5, 5];
        let mut labels = vec![false; days.len()];
        labels[..4].fill(true);
        let rows = split_rows(&days, &cards, &labels, &split());
        assert_eq!(rows.train, [0, 12]);
        // Blocked: row 4 (card 1) and row 7 (card 2 on day 16).
        assert_eq!(rows.test, [2, 5, 6, 8, 9, 10, 11]);
        assert_eq!(rows.blocked, 2);
    }

    #[test]
    fn without_a_delay_the_test_follows_the_training_at_once() {
        let split = Split { delay_days: 0, train_days: 2, test_days: 2, ..split() };
        // Card 9's fraud on test day 2 is reported at once and blocks it on day 3.
        let rows = split_rows(
            &[0, 1, 2, 3, 3],
            &[1, 2, 9, 9, 1],
            &[false, false, true, false, false],
            &split,
        );
        assert_eq!((rows.train, rows.test, rows.blocked), (vec![0, 1], vec![2, 4], 1));
    }
}
