//! Which windows are to be published at an epoch's close: a pure decision that looks only at panes
//! that can matter to it.

use super::moment::Moment;
use super::panes::Panes;
use super::spec::Publish;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Windows, by their starts.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Those whose end the watermark has reached now: all keys.
    pub(super) finals: BTreeSet<i64>,
    /// Those that are still open when the input ends: all keys.
    pub(super) open: BTreeSet<i64>,
    /// Others, with the keys that changed, in the order of panes; a key may stand in it more than
    /// once.
    pub(super) changed: BTreeMap<i64, Vec<u32>>,
}

/// The windows of a pane, as the number of steps that they begin before it: those that end after
/// the watermark (`open`), that ended with this close (`finals`), and that ended before it.
struct Ends {
    open: Range<i64>,
    finals: Range<i64>,
    before: Range<i64>,
}

impl Due {
    /// Of windows of `count` steps that begin after `not_before`.
    pub(super) fn of(
        publish: Publish,
        panes: &Panes,
        (count, not_before): (i64, i64),
        moment: Moment,
    ) -> Self {
        let step = panes.step;
        let window = |start: i64, back: i64| step.advance(start, -back);
        // Windows that begin earlier end earlier.
        let ends_after = |start: i64, time: i64| {
            first_not(count, |back| step.advance(window(start, back), count) > time)
        };
        let ends = |start: i64| {
            let (open, before) = (ends_after(start, moment.now), ends_after(start, moment.before));
            Ends { open: 0..open, finals: open..before, before: before..count }
        };
        let windows = |start: i64, backs: Range<i64>| {
            backs.map(move |back| window(start, back)).filter(|window| *window > not_before)
        };
        let mut due = Self::default();
        if moment.now > moment.before {
            for start in panes
                .panes
                .range(first_pane(panes, count, moment.before)..=moment.now)
                .map(|(start, _)| *start)
            {
                due.finals.extend(windows(start, ends(start).finals));
            }
        }
        if moment.open_too {
            for start in
                panes.panes.range(first_pane(panes, count, moment.now)..).map(|(start, _)| *start)
            {
                due.open.extend(windows(start, ends(start).open));
            }
        }
        for (start, pane) in panes.touched() {
            let Ends { open, before, .. } = ends(*start);
            let open = if publish == Publish::Changes && !moment.open_too { open } else { 0..0 };
            for window in windows(*start, before).chain(windows(*start, open)) {
                due.changed
                    .entry(window)
                    .or_default()
                    .extend(pane.changed.iter().map(|slot| pane.keys[*slot as usize]));
            }
        }
        due
    }
}

/// A lower bound for the starts of panes that have a window of `count` steps ending after `time`.
fn first_pane(panes: &Panes, count: i64, time: i64) -> i64 {
    panes.step.advance(panes.step.floor(time), -count)
}

/// The first number below `end` for which `is_so` is false, else `end`; it is true for all before.
fn first_not(end: i64, is_so: impl Fn(i64) -> bool) -> i64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low.midpoint(high);
        if is_so(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
