//! From which positions a sink's transactions still have to be verified: [`Window`].
//!
//! A transaction that the cluster has promised to commit may lose its commit marker, while later
//! transactions keep theirs. It hangs until its producer ends another transaction, and if that one
//! is aborted, it is aborted too. So every offset names the positions after which a later run has
//! to verify that all transactions are there: the newest ones up to which every partition is
//! decided.

use super::said::Mark;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How many starts are kept; beyond that every second one is dropped.
const STARTS_MAX: usize = 1_024;

/// Where the topic ended when a transaction began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    /// The last epoch that the topic had, or that an open transaction was to bring.
    pub(crate) since: i64,
    /// The end offset of each partition.
    pub(crate) ends: Vec<i64>,
}

/// The starts of the transactions that still have to be verified, the oldest first.
#[derive(Debug)]
pub(crate) struct Window(Mutex<VecDeque<Start>>);

impl Window {
    /// A window that begins at `first`, before which every transaction is known to be there.
    pub(crate) fn new(first: Start) -> Self {
        Self(Mutex::new(VecDeque::from([first])))
    }

    /// A transaction begins.
    pub(crate) fn begins(&self, start: Start) {
        let mut starts = self.lock();
        if starts.len() >= STARTS_MAX {
            // Every second one, but for the first.
            let mut place = 0;
            starts.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        starts.push_back(start);
    }

    /// Where to begin to look.
    pub(crate) fn first(&self) -> Option<Start> {
        self.lock().front().cloned()
    }

    /// Whether the window holds more than one start, so that it can move on.
    pub(crate) fn can_move(&self) -> bool {
        self.lock().len() > 1
    }

    /// Drops the starts that need not be verified again: every partition is decided up to its last
    /// stable offset, given by `stable`.
    pub(crate) fn decided(&self, stable: &[i64]) {
        let mut starts = self.lock();
        while starts
            .get(1)
            .is_some_and(|start| start.ends.iter().zip(stable).all(|(end, stable)| end <= stable))
        {
            starts.pop_front();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Start>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Epochs that no transaction has brought: those after the first number, through the second.
pub(crate) type Hole = (i64, i64);

/// Which epochs after `since`, through `through`, these transactions do not bring; in order.
pub(crate) fn holes<'a>(
    marks: impl IntoIterator<Item = &'a Mark>,
    since: i64,
    through: i64,
) -> Vec<Hole> {
    // A mark without `after` was written by an older version; its transaction may hold every epoch
    // before it.
    let mut brought: Vec<Hole> =
        marks.into_iter().map(|mark| (mark.after.unwrap_or(since), mark.through)).collect();
    brought.sort_unstable();
    let (mut holes, mut reached) = (Vec::new(), since);
    for (after, last) in brought {
        if after > reached && reached < through {
            holes.push((reached, after.min(through)));
        }
        reached = reached.max(last);
    }
    if reached < through {
        holes.push((reached, through));
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_moves_on_with_what_is_decided() {
        let start = |since: i64| Start { since, ends: vec![10 * since, 20 * since] };
        let window = Window::new(start(0));
        (1..4).for_each(|since| window.begins(start(since)));
        window.decided(&[29, 1_000]);
        assert_eq!(window.first(), Some(start(2)), "one partition holds it back");
        window.decided(&[1_000, 1_000]);
        assert_eq!((window.first(), window.can_move()), (Some(start(3)), false));
    }

    #[test]
    fn very_many_starts_are_thinned_out_but_for_the_first() {
        let window = Window::new(Start { since: -1, ends: vec![0] });
        (0..5_000).for_each(|since| window.begins(Start { since, ends: vec![since] }));
        assert_eq!(window.first().map(|start| start.since), Some(-1));
        assert!(
            window.lock().len() <= STARTS_MAX
                && window.lock().back().is_some_and(|start| start.since == 4_999)
        );
    }

    #[test]
    fn holes_are_the_epochs_that_no_transaction_brings() {
        let mark = |(after, through): (i64, i64)| Mark {
            sink: String::new(),
            through,
            after: Some(after),
            sent: None,
            run: String::new(),
        };
        let found = |brought: &[(i64, i64)], since, through| {
            holes(&brought.iter().copied().map(mark).collect::<Vec<_>>(), since, through)
        };
        assert_eq!(found(&[], 7, 7), []);
        assert_eq!(found(&[], 7, 9), [(7, 9)]);
        assert_eq!(found(&[(7, 8), (8, 9)], 7, 9), []);
        assert_eq!(found(&[(8, 9)], 7, 9), [(7, 8)]);
        assert_eq!(
            found(&[(8, 9), (10, 12), (7, 8)], 7, 12),
            [(9, 10)],
            "in whichever order they are read"
        );
        assert_eq!(found(&[(5, 8), (12, 13)], 7, 10), [(8, 10)], "only what is asked for");
        let old = Mark { after: None, ..mark((0, 9)) };
        assert_eq!(holes([&old], 7, 9), []);
    }
}
