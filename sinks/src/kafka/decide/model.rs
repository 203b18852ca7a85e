//! Every interleaving of a small sink and a small broker: three producers that take turns and one
//! that claims, runs that are killed or connect anew anywhere, commits whose request arrives or
//! not, and ends of transactions that are lost: of the offset, of the messages in any of two
//! partitions, or of several. Each epoch is to be in each partition once, and in order, whatever
//! happens, and nothing is to be delivered again that the store has let go of. Somebody else has
//! transactions in the topic too. Only where a broker has lost the messages' part of an end may an
//! epoch come after one that was committed behind it.

mod broker;

use self::broker::{Broker, CLAIMER, CONNECTIONS, Epochs, Fate, Forgets, Messages, OTHER};
use self::broker::{Offset, PARTITIONS, PRODUCERS, TURNS, committed, epochs, index, placed, tally};
use super::super::said::{Account, Bounds, Committed, Said, Whole};
use super::super::window::{Hole, holes};
use super::{
    Decision, Facts, Placed, decide_incomplete, decide_look, decide_lost, decide_progress,
};
use std::collections::HashSet;

const UNDER_WAY_MAX: usize = 2;

type Rule = fn(&Facts<'_>) -> Decision;

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    /// Fences the producers from this one on.
    Fence(usize),
    /// Ends what hangs.
    End,
    /// Copies what is lost; whether its request has been made.
    Copy {
        through: i64,
        asked: bool,
    },
    /// Finds out how far the topic is.
    Ask,
    /// Says how far the topic is, with this producer; `all`: then with those that take turns too.
    /// And whether its request has been made.
    Say {
        after: i64,
        producer: usize,
        all: bool,
        asked: bool,
    },
    Deliver,
    Done,
}

/// Which steps of the mending are done; a trial may leave one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mends {
    All,
    /// Nothing is copied.
    Nothing,
    /// After copying, the topic is not read again to verify the copies.
    Once,
    /// Transactions of somebody else are not waited for.
    AtOnce,
}

/// What there is to explore.
#[derive(Debug, Clone, Copy)]
struct Trial {
    crashes: u8,
    losses: u8,
    /// Whether messages' ends can be lost too.
    whole: bool,
    epochs: i64,
    mends: Mends,
    /// Transactions of somebody else.
    others: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    broker: Broker,
    run: u8,
    /// How many connections there were.
    connection: u8,
    step: Step,
    claimed: bool,
    /// The last epoch that is in the topic, or in a transaction under way.
    through: i64,
    /// Where the topic ends, as far as the run knows.
    ends: [usize; PARTITIONS],
    /// The starts of transactions that have to be looked at again: the epoch before, and the
    /// places.
    window: Vec<(i64, [usize; PARTITIONS])>,
    holes: Vec<Hole>,
    /// An epoch was delivered behind a later one.
    out_of_order: bool,
    taken: usize,
    /// Producers whose transactions wait for their commit, the oldest first.
    filled: Vec<usize>,
    crashes_left: u8,
    losses_left: u8,
    whole: bool,
    epochs: i64,
    mends: Mends,
    others_left: u8,
    /// The store no longer holds the epochs up to this one.
    gone: i64,
}

impl World {
    fn new(trial: Trial) -> Self {
        Self {
            broker: Broker::default(),
            run: 0,
            connection: 0,
            step: Step::Fence(0),
            claimed: false,
            through: 0,
            ends: [0; PARTITIONS],
            window: Vec::new(),
            holes: Vec::new(),
            out_of_order: false,
            taken: 0,
            filled: Vec::new(),
            crashes_left: trial.crashes,
            losses_left: trial.losses,
            whole: trial.whole,
            epochs: trial.epochs,
            mends: trial.mends,
            others_left: trial.others,
            gone: 0,
        }
    }

    fn said(&self) -> Option<Said> {
        let before = |o: &Offset| o.before.map(|place| i64::try_from(place).expect("a place"));
        self.broker.decided.map(|o| Said {
            through: o.through,
            run: o.run.to_string(),
            account: Some(Account {
                after: o.after,
                messages: u64::from(o.messages),
                before: Bounds::of(&before(&o), 1),
                whole: Some(o.whole),
                committed: o.committed(),
            }),
        })
    }

    /// A connection, of the same run or of one after it.
    fn connects(&self, run: u8, claimed: bool) -> Self {
        Self {
            run,
            claimed,
            connection: self.connection + 1,
            step: Step::Fence(0),
            filled: Vec::new(),
            window: Vec::new(),
            ..self.clone()
        }
    }

    /// Every world that may be next.
    fn next(&self, rule: Rule) -> Vec<Self> {
        let mut next = Vec::new();
        self.broker_goes_on(&mut next);
        if self.others_left > 0 && self.step != Step::Done {
            let began = |broker| Self { broker, others_left: self.others_left - 1, ..self.clone() };
            next.extend(self.broker.other(true).map(began));
        }
        next.extend(self.broker.other(false).map(|broker| Self { broker, ..self.clone() }));
        if self.crashes_left > 0 && self.step != Step::Done {
            let crashed = Self { crashes_left: self.crashes_left - 1, ..self.clone() };
            next.push(crashed.connects(self.run + 1, false));
            if self.claimed {
                next.push(crashed.connects(self.run, true));
            }
        }
        match self.step {
            Step::Fence(producer) => {
                // A promised transaction is waited for, another one is aborted.
                if self.broker.transactions[producer].is_some_and(|t| t.promised) {
                    return next;
                }
                let step =
                    if producer + 1 < PRODUCERS { Step::Fence(producer + 1) } else { Step::End };
                self.ends(producer, &Self { step, ..self.clone() }, &mut next);
            }
            Step::End => next.extend(self.clone().ended()),
            Step::Copy { through, asked } => self.copies(through, asked, &mut next),
            Step::Ask => next.push(self.clone().asked(rule)),
            Step::Say { after, producer, all, asked } => {
                self.says(after, producer, all, asked, &mut next)
            }
            Step::Deliver => self.delivers(&mut next),
            // What still hangs is for the next run to mend.
            Step::Done if self.is_open() => next.push(self.connects(self.run + 1, false)),
            Step::Done => {}
        }
        next.retain_mut(|world| {
            // What the group shows to the run that delivered it, the store lets go of.
            let shown = world
                .broker
                .decided
                .filter(|o| world.step == Step::Deliver && o.run == world.run)
                .map_or(0, |o| o.through);
            world.gone = world.gone.max(shown);
            true
        });
        next
    }

    fn is_open(&self) -> bool {
        self.broker.topic.iter().flatten().any(|m| m.fate == Fate::Open && m.producer != OTHER)
    }

    /// `then`, with the producer's transaction ended: wholly, or not.
    fn ends(&self, producer: usize, then: &Self, next: &mut Vec<Self>) {
        let mut ended = then.clone();
        ended.broker.end(producer, Forgets::default());
        next.push(ended);
        let Some(transaction) = self.broker.transactions[producer] else { return };
        if self.losses_left == 0 {
            return;
        }
        let either = [false, true];
        let lost = either
            .into_iter()
            .flat_map(|a| either.map(|b| [a, b]))
            .flat_map(|parts| either.map(|offset| Forgets { offset, parts }));
        let may_be = |f: &Forgets| {
            (0..PARTITIONS).all(|p| !f.parts[p] || self.whole && transaction.parts[p])
                && *f != Forgets::default()
        };
        for forgets in lost.filter(may_be) {
            let mut lost = then.clone();
            lost.broker.end(producer, forgets);
            lost.losses_left -= 1;
            next.push(lost);
        }
    }

    /// What the cluster has promised comes about at some time.
    fn broker_goes_on(&self, next: &mut Vec<Self>) {
        for producer in
            (0..PRODUCERS).filter(|p| self.broker.transactions[*p].is_some_and(|t| t.promised))
        {
            self.ends(producer, self, next);
        }
    }

    /// The world after hanging transactions were aborted, with lost messages to be copied next;
    /// none while another application's transaction hides this sink's messages.
    fn ended(mut self) -> Option<Self> {
        let stable = self.broker.stable();
        let hangs =
            |p: &usize| self.broker.topic[*p].get(stable[*p]).is_some_and(|m| m.producer != OTHER);
        let hanging: Vec<usize> = (0..PARTITIONS).filter(hangs).collect();
        if let Some(partition) = hanging.first() {
            (0..PRODUCERS)
                .for_each(|producer| self.broker.end_messages(*partition, producer, Fate::Aborted));
            return Some(self);
        }
        if self.mends != Mends::AtOnce && self.broker.written(stable).next().is_some() {
            return None;
        }
        self.step = match self.lost() {
            (lost, _) if lost.is_empty() || self.mends == Mends::Nothing => Step::Ask,
            _ => Step::Copy { through: self.newest(), asked: false },
        };
        Some(self)
    }

    /// What readers see behind the place that the group says.
    fn visible(&self) -> Vec<Placed> {
        self.broker.decided.map_or_else(Vec::new, |said| placed(self.broker.visible(said.before)))
    }

    fn newest(&self) -> i64 {
        let said = self.broker.decided.map_or(0, |said| said.through);
        self.visible().iter().map(|m| m.sent.through).chain([said]).max().unwrap_or(said)
    }

    fn lost(&self) -> (Vec<Placed>, Vec<Committed>) {
        let Some(said) = self.broker.decided else { return (Vec::new(), Vec::new()) };
        let (written, visible) = (placed(self.broker.written(said.before)), self.visible());
        let seen = tally(&visible);
        let (parts, known) = decide_incomplete(&said.committed(), &tally(&written), &seen);
        if parts.is_empty() {
            return (Vec::new(), known);
        }
        let of_them = |messages: Vec<Placed>| {
            messages.into_iter().filter(|m| parts.contains(&m.part())).collect::<Vec<_>>()
        };
        let lost = decide_lost(&of_them(written), &of_them(visible));
        // The sink reads no further where everything that the group says is there and no offset is
        // undecided, so nothing may be lost then.
        let marks: Vec<_> = self
            .broker
            .visible(said.before)
            .filter(|(.., m)| m.is_marked)
            .map(|(.., m)| m.mark())
            .collect();
        let is_seen = |mark: &super::Mark| {
            mark.sent
                .is_some_and(|(by, _)| (0..2).all(|p| seen.contains_key(&(p, by, mark.through))))
        };
        let is_whole = holes(&marks, said.whole.since, said.whole.through).is_empty()
            && marks.iter().all(is_seen);
        assert!(
            !is_whole || lost.is_empty() || self.broker.undecided.iter().any(Option::is_some),
            "{self:?}"
        );
        (lost, known)
    }

    fn copies(&self, through: i64, asked: bool, next: &mut Vec<Self>) {
        let mut then = self.clone();
        if asked {
            if self.broker.transactions[CLAIMER].is_some() {
                return;
            }
            let shows = self
                .broker
                .decided
                .is_some_and(|o| (o.run, o.through, o.messages) == (self.run, through, false));
            // Mending is repeated, to verify that the copies are there.
            let step = if self.mends == Mends::Once { Step::Ask } else { Step::End };
            next.push(if shows {
                Self { step, ..then }
            } else {
                self.connects(self.run, self.claimed)
            });
            return;
        }
        let Some(said) = self.broker.decided else { return };
        let (lost, known) = self.lost();
        let mut parts = [false; PARTITIONS];
        for lost in lost {
            let (partition, origin) = lost.origin();
            let (partition, place) = (index(partition), index(lost.offset));
            let of = self.broker.topic[partition][place];
            let copy_of = Some(index(origin));
            then.broker.topic[partition].push(Messages {
                producer: CLAIMER,
                copy_of,
                fate: Fate::Open,
                ..of
            });
            parts[partition] = true;
        }
        let whole = Whole { since: said.whole.since, through };
        let committed = committed(&known);
        then.broker.say(
            CLAIMER,
            Offset {
                through,
                after: through,
                messages: false,
                whole,
                run: self.run,
                committed,
                ..said
            },
            parts,
        );
        then.out_of_order = true;
        self.commits_or_dies(CLAIMER, Step::Copy { through, asked: true }, then, next);
    }

    /// The request to commit may get lost with the run that made it.
    fn commits_or_dies(&self, producer: usize, step: Step, filled: Self, next: &mut Vec<Self>) {
        if self.crashes_left > 0 {
            next.push(
                Self { crashes_left: self.crashes_left - 1, ..filled.clone() }
                    .connects(self.run + 1, false),
            );
        }
        let mut promised = Self { step, ..filled };
        promised.broker.transactions[producer].as_mut().expect("an open one").promised = true;
        next.push(promised);
    }

    fn asked(self, rule: Rule) -> Self {
        let said = self.said();
        let undecided = self.broker.undecided.iter().any(Option::is_some);
        let before = self.broker.decided.map_or([0; PARTITIONS], |o| o.before);
        let shown = self.broker.shown(decide_look(said.as_ref(), undecided), before);
        let after = match rule(&Facts { said: said.as_ref(), undecided, shown: &shown }) {
            Decision::GoOn { after, .. } => after,
            Decision::Refuse(_) => panic!("nothing is ever removed here: {self:?}"),
        };
        let (ends, mut first, mut found) =
            (self.broker.ends(), (after, self.broker.ends()), Vec::new());
        if let Some(decided) = self.broker.decided {
            let since = decided.whole.since.min(after);
            let marked =
                if decided.through < after { after } else { decided.whole.through.min(after) };
            let marks: Vec<_> = self
                .broker
                .visible(decided.before)
                .filter(|(.., m)| m.is_marked)
                .map(|(.., m)| m.mark())
                .collect();
            found = holes(&marks, since, marked);
            if !found.is_empty() {
                first = (since, decided.before);
            }
        }
        if self.claimed && !found.is_empty() {
            // It ends, and is started again.
            return self.connects(self.run + 1, false);
        }
        let mut next =
            Self { through: after, taken: 0, ends, window: vec![first], holes: found, ..self };
        let is_said = said.is_some_and(|s| s.through == after);
        next.step = if next.claimed && !undecided && is_said {
            Step::Deliver
        } else {
            Step::Say { after, producer: CLAIMER, all: undecided, asked: false }
        };
        next
    }

    fn says(&self, after: i64, producer: usize, all: bool, asked: bool, next: &mut Vec<Self>) {
        let mut then = self.clone();
        if !asked {
            let whole = Whole { since: self.window[0].0, through: after };
            let (before, committed) = (self.window[0].1, [0; CONNECTIONS]);
            let offset = Offset {
                through: after,
                after,
                messages: false,
                before,
                whole,
                run: self.run,
                committed,
            };
            then.broker.say(producer, offset, [false; PARTITIONS]);
            self.commits_or_dies(
                producer,
                Step::Say { after, producer, all, asked: true },
                then,
                next,
            );
            return;
        }
        if self.broker.transactions[producer].is_some() {
            return;
        }
        let shows = self
            .broker
            .decided
            .is_some_and(|o| (o.run, o.through, o.messages) == (self.run, after, false));
        then.step = match producer {
            // The group has to show it before anything else is touched.
            CLAIMER if !shows => return next.push(self.connects(self.run, self.claimed)),
            CLAIMER if all => Step::Say { after, producer: 0, all, asked: false },
            _ if producer + 1 < TURNS => {
                Step::Say { after, producer: producer + 1, all, asked: false }
            }
            _ => Step::Deliver,
        };
        then.claimed |= then.step == Step::Deliver;
        next.push(then);
    }

    /// A transaction in both partitions; its first message is in one of them.
    fn fills(
        &mut self,
        producer: usize,
        epochs: Epochs,
        (after, through): (i64, i64),
        offset: Offset,
    ) {
        let (run, by) = (self.run, self.connection);
        for (partition, messages) in self.broker.topic.iter_mut().enumerate() {
            let is_marked = index(through) % PARTITIONS == partition;
            messages.push(Messages {
                epochs,
                after,
                through,
                is_marked,
                run,
                by,
                producer,
                copy_of: None,
                fate: Fate::Open,
            });
        }
        self.broker.say(producer, offset, [true; PARTITIONS]);
        (self.ends, self.taken) = (self.broker.ends(), self.taken + 1);
        self.filled.push(producer);
    }

    fn delivers(&self, next: &mut Vec<Self>) {
        let producer = self.taken % TURNS;
        let run = self.run;
        let through_here = |through: i64| committed(&[(u32::from(self.connection), through)]);
        if let (Some((after, _)), Some((_, last))) =
            (self.holes.first().copied(), self.holes.last().copied())
        {
            // What fills them is committed before anything else is begun.
            let mut then = self.clone();
            if self.taken == 0 {
                let ((since, before), through) = (self.window[0], self.through);
                let whole = Whole { since, through };
                let missing = self
                    .holes
                    .iter()
                    .fold(0, |missing, (after, last)| missing | epochs(*after, *last));
                then.fills(
                    producer,
                    missing,
                    (after, last),
                    Offset {
                        through,
                        after: through,
                        messages: true,
                        before,
                        whole,
                        run,
                        committed: through_here(through),
                    },
                );
                then.out_of_order = true;
                next.push(then);
            } else if self.filled.is_empty() {
                then.holes.clear();
                next.push(then);
            }
        } else if self.through < self.epochs
            && self.filled.len() < UNDER_WAY_MAX
            && self.broker.transactions[producer].is_none()
        {
            // One epoch, or two.
            for through in
                [self.through + 1, self.through + 2].into_iter().filter(|t| *t <= self.epochs)
            {
                let mut then = self.clone();
                if !self.whole {
                    then.window.clear();
                }
                then.window.push((self.through, self.ends));
                let (since, before) = then.window[0];
                let (whole, committed) = (Whole { since, through }, through_here(through));
                let offset = Offset {
                    through,
                    after: self.through,
                    messages: true,
                    before,
                    whole,
                    run,
                    committed,
                };
                then.fills(
                    producer,
                    epochs(self.through, through),
                    (self.through, through),
                    offset,
                );
                then.through = through;
                next.push(then);
            }
        }
        // Where nothing hangs it makes no difference when it is looked.
        let stable = self.broker.stable();
        if self.whole
            && self.window.len() > 1
            && (0..PARTITIONS).all(|p| self.window[1].1[p] <= stable[p])
        {
            next.push(Self { window: self.window[1..].to_vec(), ..self.clone() });
        }
        match self.filled.first() {
            Some(oldest) => {
                let mut then = self.clone();
                then.filled.remove(0);
                then.broker.transactions[*oldest].as_mut().expect("an open one").promised = true;
                next.push(then);
            }
            None if self.holes.is_empty()
                && self.through == self.epochs
                && self.broker.transactions.iter().all(Option::is_none) =>
            {
                next.push(Self { step: Step::Done, ..self.clone() });
            }
            None => {}
        }
    }

    fn is_right(&self) -> bool {
        let all = epochs(0, self.epochs);
        let once = |seen: &[Epochs]| {
            seen.iter().try_fold(0, |before, of| (before & of == 0).then_some(before | of))
        };
        (0..PARTITIONS).all(|partition| {
            let seen = self.broker.seen(partition);
            // One that is promised may be seen before the one before it, which is promised too.
            let in_order = self.out_of_order || seen.is_sorted();
            let is_done = self.step == Step::Done && !self.is_open();
            in_order
                && once(&seen).is_some()
                && (!is_done || once(&self.broker.seen_at_last(partition)) == Some(all))
        }) && (self.step != Step::Deliver
            || self.through >= self.gone && self.holes.iter().all(|(after, _)| *after >= self.gone))
    }
}

/// Goes through all worlds; how many there are, or one that is wrong.
fn explore(rule: Rule, trial: Trial) -> Result<usize, Box<World>> {
    let first = World::new(trial);
    let mut seen = HashSet::from([first.clone()]);
    let mut open = vec![first];
    let mut done = 0;
    while let Some(world) = open.pop() {
        if !world.is_right() {
            return Err(Box::new(world));
        }
        done += usize::from(world.step == Step::Done);
        for next in world.next(rule) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    assert!(done > 0, "some end well");
    println!("{} worlds of {trial:?}", seen.len());
    Ok(seen.len())
}

const OFFSETS: Trial =
    Trial { crashes: 2, losses: 2, whole: false, epochs: 3, mends: Mends::All, others: 0 };
const ENDS: Trial = Trial { losses: 1, whole: true, ..OFFSETS };

/// One epoch more than usual where `RISKSTREAM_MODEL_LONG` is set: two minutes, and gigabytes.
fn longer(trial: Trial) -> Trial {
    let more = i64::from(std::env::var_os("RISKSTREAM_MODEL_LONG").is_some());
    Trial { epochs: trial.epochs + more, ..trial }
}

#[test]
fn every_epoch_is_there_once_whatever_is_lost_and_wherever_a_run_ends() {
    let worlds = explore(decide_progress, longer(OFFSETS)).expect("each epoch once, in order");
    assert!(worlds > 20_000, "{worlds} worlds");
}

#[test]
fn a_transaction_whose_end_is_lost_is_there_once_wherever_a_run_ends() {
    let worlds = explore(decide_progress, ENDS).expect("each epoch once");
    assert!(worlds > 100_000, "{worlds} worlds");
}

#[test]
fn transactions_of_somebody_else_hide_nothing_for_good() {
    let trial = longer(Trial { crashes: 1, epochs: 2, others: 1, ..ENDS });
    let worlds = explore(decide_progress, trial).expect("each epoch once");
    assert!(worlds > 10_000, "{worlds} worlds");
}

#[test]
fn two_transactions_whose_ends_are_lost_are_there_once_wherever_a_run_ends() {
    let trial = longer(Trial { crashes: 1, losses: 2, ..ENDS });
    let worlds = explore(decide_progress, trial).expect("each epoch once");
    assert!(worlds > 100_000, "{worlds} worlds");
}

/// The model finds a broken rule: one that takes every undecided offset for aborted.
#[test]
fn taking_what_is_undecided_for_aborted_repeats_rows() {
    let group_alone: Rule =
        |facts| Decision::GoOn { after: facts.said.map_or(0, |s| s.through), by: String::new() };
    let wrong =
        explore(group_alone, Trial { crashes: 1, losses: 1, ..OFFSETS }).expect_err("a repetition");
    let seen = wrong.broker.seen(0);
    assert!(
        seen.iter().enumerate().any(|(i, of)| seen[..i].iter().any(|before| before & of != 0)),
        "{seen:?}"
    );
}

/// The model finds that a transaction lost in one of its two partitions must be copied there.
#[test]
fn leaving_half_of_a_transaction_as_it_is_loses_rows_or_repeats_them() {
    let wrong = explore(decide_progress, Trial { mends: Mends::Nothing, ..ENDS })
        .expect_err("half a transaction");
    assert!(!wrong.is_right(), "{wrong:?}");
}

/// The model finds that copies have to be verified, and that other applications' transactions have
/// to be waited for.
#[test]
fn mending_without_looking_loses_rows_or_repeats_them() {
    for trial in [
        Trial { crashes: 1, losses: 2, mends: Mends::Once, ..ENDS },
        Trial { crashes: 1, epochs: 2, others: 1, mends: Mends::AtOnce, ..ENDS },
    ] {
        let wrong = explore(decide_progress, trial).expect_err("rows lost, or twice");
        assert!(!wrong.is_right(), "{wrong:?}");
    }
}

/// The model finds the opposite broken rule, too: one that takes an undecided offset for committed.
#[test]
fn taking_what_is_undecided_for_committed_loses_rows() {
    let newest_undecided: Rule = |facts| match facts.undecided {
        true => {
            Decision::GoOn { after: facts.said.map_or(0, |s| s.through) + 1, by: String::new() }
        }
        false => decide_progress(facts),
    };
    let wrong =
        explore(newest_undecided, Trial { crashes: 1, losses: 1, ..OFFSETS }).expect_err("a loss");
    let seen = wrong.broker.seen(0).into_iter().fold(0, |seen, of| seen | of);
    assert!(wrong.step == Step::Done && seen != epochs(0, OFFSETS.epochs), "{wrong:?}");
}
