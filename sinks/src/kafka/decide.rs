//! Decides which epoch is the last that the topic has, from the group's offset and the topic's
//! messages. The functions are pure; [`progress`](super::progress) asks the cluster.
//!
//! Kafka promises that a transaction's offset becomes visible together with its messages. A broker
//! that is stopped at the moment of a commit can lose the offset's half: the messages are visible,
//! but the offset stays undecided for ever. The topic itself, read from where the decided
//! transaction began, then tells which transactions were committed:
//!
//! ```text
//!   the group's offset      looked for in the topic             go on after
//!   ──────────────────      ───────────────────────             ───────────
//!   decided, no messages    nothing                             what it says
//!   decided                 its own messages: seen              what it says
//!                             not seen, though nothing can      what it says was there before
//!                             have been removed
//!   one more is undecided   every transaction of this sink      the newest that is seen
//!                             something may have been removed   refused: it can't be known
//! ```

use super::said::{Committed, Mark, Said, Sent};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What is to be looked for in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing: the group's offset is enough, or is all that there is.
    No,
    /// The messages of a transaction through this epoch, or of a later one.
    For(i64),
    /// All transactions of this sink.
    Whole,
}

/// What a `read_committed` consumer sees in the topic after the positions that the decided offset
/// names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Shown {
    /// The newest transaction of this sink.
    pub(crate) newest: Option<Mark>,
    /// Whether messages after those positions may have been missed: retention has removed some, the
    /// topic is compacted and others write into it, or it was not read to its end.
    pub(crate) removed: bool,
    /// The first partition that ends before the named position.
    pub(crate) cut: Option<usize>,
}

/// What is known once every other producer of this sink is fenced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The group's decided offset.
    pub(crate) said: Option<&'a Said>,
    /// Whether the group has an offset beside it that is not decided.
    pub(crate) undecided: bool,
    pub(crate) shown: &'a Shown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The topic has every epoch up to `after`; the run `by` delivered the last one.
    GoOn { after: i64, by: String },
    /// Which epochs the topic has can't be determined.
    Refuse(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The decided offset was written by a version that did not say enough.
    Unrecorded,
    /// The messages that would tell were removed from the topic, or may have been.
    Removed,
    /// This partition has lost messages, or the topic was made anew.
    Cut(usize),
    /// This partition has lost the end of a transaction that had been decided.
    Open(usize),
}

/// The messages of a transaction in a partition: the partition, the connection that sent them, and
/// the transaction's last epoch.
pub(crate) type Part = (i32, u32, i64);

/// Numbers of this sink's messages, by transaction and partition.
pub(crate) type Tally = BTreeMap<Part, u64>;

/// A message of this sink, where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) sent: Sent,
}

impl Placed {
    pub(crate) fn part(&self) -> Part {
        (self.partition, self.sent.by, self.sent.through)
    }

    /// Where it stood first: the same for a message and all copies of it.
    pub(crate) fn origin(&self) -> (i32, i64) {
        (self.partition, self.sent.copy_of.unwrap_or(self.offset))
    }
}

/// Finds committed transactions that are not `visible` with all of their `written` messages. Also
/// returns, for each connection of such a transaction, its newest transaction that is known to be
/// committed: the group says so, or a `read_committed` consumer sees a message of it.
pub(crate) fn decide_incomplete(
    said: &[Committed],
    written: &Tally,
    visible: &Tally,
) -> (BTreeSet<Part>, Vec<Committed>) {
    let mut newest: BTreeMap<u32, i64> = BTreeMap::new();
    for (by, through) in
        said.iter().copied().chain(visible.keys().map(|(_, by, through)| (*by, *through)))
    {
        let newest = newest.entry(by).or_insert(through);
        *newest = through.max(*newest);
    }
    let is_committed =
        |(_, by, through): &Part| newest.get(by).is_some_and(|newest| through <= newest);
    let differs = |(part, messages): &(&Part, &u64)| visible.get(part) != Some(messages);
    let incomplete: BTreeSet<Part> =
        written.iter().filter(differs).map(|(part, _)| *part).filter(is_committed).collect();
    newest.retain(|by, _| incomplete.iter().any(|(_, connection, _)| connection == by));
    (incomplete, newest.into_iter().collect())
}

/// The messages of incomplete transactions that no `read_committed` consumer will ever see: neither
/// the message nor a copy of it is visible. To be called once no transaction of this sink is open.
/// The result is ordered by partition and offset.
pub(crate) fn decide_lost(written: &[Placed], visible: &[Placed]) -> Vec<Placed> {
    let seen: HashSet<_> = visible.iter().map(Placed::origin).collect();
    let mut lost = BTreeMap::new();
    for message in written.iter().filter(|message| !seen.contains(&message.origin())) {
        // A copy may have been lost as its original was.
        lost.entry(message.origin()).or_insert(*message);
    }
    lost.into_values().collect()
}

/// What has to be looked for.
pub(crate) fn decide_look(said: Option<&Said>, undecided: bool) -> Look {
    match (said.map(|said| (said.through, &said.account)), undecided) {
        (None, false) | (Some((_, None)), _) => Look::No,
        (None, true) | (Some(_), true) => Look::Whole,
        (Some((through, Some(account))), false) => {
            if account.messages > 0 {
                Look::For(through)
            } else {
                Look::No
            }
        }
    }
}

/// Decides which epoch is the last that the topic has.
pub(crate) fn decide_progress(facts: &Facts<'_>) -> Decision {
    let Facts { said, undecided, shown } = *facts;
    let newest = shown.newest.as_ref().map(|mark| (mark.through, &mark.run));
    let go_on = |after: i64, by: &str| Decision::GoOn { after, by: by.to_owned() };
    let Some(Said { through, run, account }) = said else {
        // Before its first decided offset a sink has no messages in the topic. If it has some, a
        // user has deleted the offset, and only the topic tells what was delivered.
        return newest.map_or_else(|| go_on(0, ""), |(seen, by)| go_on(seen, by));
    };
    let Some(account) = account else {
        return if undecided { Decision::Refuse(Why::Unrecorded) } else { go_on(*through, run) };
    };
    if let Some(partition) = shown.cut {
        return Decision::Refuse(Why::Cut(partition));
    }
    if undecided && shown.removed {
        return Decision::Refuse(Why::Removed);
    }
    match newest {
        Some((seen, by)) if seen > *through => go_on(seen, by),
        Some((seen, _)) if seen == *through => go_on(*through, run),
        Some(_) | None if account.messages == 0 || shown.removed => go_on(*through, run),
        Some(_) | None => go_on(account.after, run),
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::super::said::{Account, Bounds};
    use super::*;

    const US: &str = "us";

    fn said(through: i64, after: i64, messages: u64) -> Said {
        let account = Some(Account {
            after,
            messages,
            before: Bounds::of(&[0, 10], 1),
            whole: None,
            committed: Vec::new(),
        });
        Said { through, run: US.into(), account }
    }

    fn mark(through: i64) -> Option<Mark> {
        Some(Mark { sink: "s".into(), through, after: None, sent: None, run: "them".into() })
    }

    fn shown(newest: Option<Mark>) -> Shown {
        Shown { newest, removed: false, cut: None }
    }

    fn go_on(after: i64, by: &str) -> Decision {
        Decision::GoOn { after, by: by.into() }
    }

    #[test]
    fn what_the_topic_shows_decides() {
        let old = Said { through: 140, run: US.into(), account: None };
        let (full, mark_of_a_run) = (said(140, 138, 7), said(140, 140, 0));
        let removed = |newest| Shown { removed: true, ..shown(newest) };
        let cut = Shown { cut: Some(1), ..Shown::default() };
        let rows: Vec<(&str, Option<&Said>, bool, Shown, Decision)> = vec![
            ("a first run", None, false, shown(None), go_on(0, "")),
            ("a first run whose own mark was lost", None, true, shown(None), go_on(0, "")),
            ("offsets that somebody removed", None, true, shown(mark(9)), go_on(9, "them")),
            ("committed in both", Some(&full), false, shown(mark(140)), go_on(140, US)),
            (
                "committed, and the transaction had no messages",
                Some(&mark_of_a_run),
                false,
                shown(None),
                go_on(140, US),
            ),
            (
                "committed in both, and removed by retention since",
                Some(&full),
                false,
                removed(None),
                go_on(140, US),
            ),
            (
                "committed in the group, not in the topic",
                Some(&full),
                false,
                shown(None),
                go_on(138, US),
            ),
            (
                "the same, and what was before it is seen",
                Some(&full),
                false,
                shown(mark(138)),
                go_on(138, US),
            ),
            (
                "more in the topic than the group says",
                Some(&full),
                false,
                shown(mark(143)),
                go_on(143, "them"),
            ),
            (
                "committed in the topic, its offset lost",
                Some(&full),
                true,
                shown(mark(143)),
                go_on(143, "them"),
            ),
            (
                "the same after a run's mark",
                Some(&mark_of_a_run),
                true,
                shown(mark(143)),
                go_on(143, "them"),
            ),
            (
                "aborted in the topic, its offset left undecided",
                Some(&full),
                true,
                shown(mark(140)),
                go_on(140, US),
            ),
            (
                "the same after a run's mark",
                Some(&mark_of_a_run),
                true,
                shown(None),
                go_on(140, US),
            ),
            ("neither is in the topic", Some(&full), true, shown(None), go_on(138, US)),
            (
                "undecided, and what would tell may be removed",
                Some(&full),
                true,
                removed(mark(140)),
                Decision::Refuse(Why::Removed),
            ),
            (
                "undecided after a run's mark, the same",
                Some(&mark_of_a_run),
                true,
                removed(None),
                Decision::Refuse(Why::Removed),
            ),
            (
                "undecided, and one later is seen, the same",
                Some(&full),
                true,
                removed(mark(143)),
                Decision::Refuse(Why::Removed),
            ),
            (
                "the topic has lost messages",
                Some(&full),
                false,
                cut.clone(),
                Decision::Refuse(Why::Cut(1)),
            ),
            ("the same, undecided", Some(&full), true, cut, Decision::Refuse(Why::Cut(1))),
            ("an earlier version's offset", Some(&old), false, shown(None), go_on(140, US)),
            (
                "an earlier version's, another undecided",
                Some(&old),
                true,
                shown(None),
                Decision::Refuse(Why::Unrecorded),
            ),
        ];
        for (what, said, undecided, shown, expected) in rows {
            assert_eq!(
                decide_progress(&Facts { said, undecided, shown: &shown }),
                expected,
                "{what}"
            );
        }
    }

    fn placed(offset: i64, by: u32, through: i64, copy_of: Option<i64>) -> Placed {
        Placed { partition: 0, offset, sent: Sent { by, through, copy_of } }
    }

    fn tally(messages: &[Placed]) -> Tally {
        let mut tally = Tally::new();
        messages.iter().for_each(|message| *tally.entry(message.part()).or_default() += 1);
        tally
    }

    /// The places of what is lost of these messages; of the second ones readers see all.
    fn lost(said: Committed, written: &[Placed], visible: &[Placed]) -> Vec<i64> {
        let (parts, known) = decide_incomplete(&[said], &tally(written), &tally(visible));
        assert_eq!(known.is_empty(), parts.is_empty());
        let of_them = |messages: &[Placed]| {
            messages.iter().filter(|m| parts.contains(&m.part())).copied().collect::<Vec<_>>()
        };
        decide_lost(&of_them(written), &of_them(visible))
            .iter()
            .map(|message| message.offset)
            .collect()
    }

    #[test]
    fn what_is_committed_and_not_visible_is_lost() {
        let written = [
            placed(0, 1, 7, None),
            placed(1, 1, 7, None),
            placed(3, 1, 8, None),
            placed(5, 2, 8, None),
            placed(6, 2, 9, None),
        ];
        let [a, b, c, d, e] = written;
        let before = (1, 6);
        assert_eq!(lost(before, &written, &written), [0; 0]);
        assert_eq!(lost(before, &written, &[]), [0; 0], "nobody knows of any that it is committed");
        assert_eq!(lost((1, 7), &written, &[]), [0, 1], "the group does");
        assert_eq!(
            lost(before, &written, &[c, d, e]),
            [0, 1],
            "the next one is committed, and so is the one before"
        );
        assert_eq!(
            lost(before, &written, &[a, b, d, e]),
            [3; 0],
            "the connection's last, which was delivered by the next connection again"
        );
        assert_eq!(lost(before, &written, &[b, e]), [0, 5], "half of one, and all of another");
    }

    #[test]
    fn a_copy_stands_for_its_original() {
        let (a, b) = (placed(0, 1, 7, None), placed(1, 1, 7, None));
        let (copy, again) = (placed(5, 1, 7, Some(0)), placed(9, 1, 7, Some(0)));
        let said = (1, 7);
        assert_eq!(lost(said, &[a, b, copy], &[b, copy]), [0; 0]);
        assert_eq!(lost(said, &[a, b, copy], &[b]), [0], "the copy was lost too, and counts once");
        assert_eq!(lost(said, &[a, b, copy, again], &[b, again]), [0; 0]);
        assert_eq!(lost(said, &[copy, again], &[]), [5], "the original is removed");
    }

    #[test]
    fn the_topic_is_looked_at_where_it_can_say_more() {
        let old = Said { through: 140, run: US.into(), account: None };
        assert_eq!(decide_look(None, false), Look::No);
        assert_eq!(decide_look(None, true), Look::Whole);
        assert_eq!(decide_look(Some(&old), false), Look::No);
        assert_eq!(decide_look(Some(&old), true), Look::No);
        assert_eq!(decide_look(Some(&said(140, 140, 0)), false), Look::No);
        assert_eq!(decide_look(Some(&said(140, 138, 7)), false), Look::For(140));
        assert_eq!(decide_look(Some(&said(140, 140, 0)), true), Look::Whole);
        assert_eq!(decide_look(Some(&said(140, 138, 7)), true), Look::Whole);
    }
}
