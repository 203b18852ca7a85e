//! Every interleaving of a small sink and a small broker: three producers that take turns and one that claims, runs that are killed or connect anew anywhere, commits whose
//! request arrives or not, and offsets that are lost when their transaction ends. Each epoch is to be in the topic once, and in order, whatever happens.

use super::super::said::{Account, Bounds, Mark, Said};
use super::{Decision, Facts, Look, Shown, decide_look, decide_progress};
use std::collections::HashSet;

const TURNS: usize = 3;
/// The one that claims the delivery comes last.
const CLAIMER: usize = TURNS;
const PRODUCERS: usize = TURNS + 1;
const UNDER_WAY_MAX: usize = 2;
const EPOCHS: i64 = 4;

type Rule = fn(&Facts<'_>) -> Decision;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

/// A transaction's messages in the topic, which has one partition: its position is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Messages {
    first: i64,
    through: i64,
    run: u8,
    fate: Fate,
}

/// What a transaction says: through, after, whether it has messages, where they may begin, and the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Offset {
    through: i64,
    after: i64,
    messages: bool,
    before: usize,
    run: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Transaction {
    offset: Offset,
    /// Its place in the topic.
    place: Option<usize>,
    /// The cluster has promised to commit it.
    promised: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Broker {
    topic: Vec<Messages>,
    decided: Option<Offset>,
    /// Undecided offsets of each producer: those of its transaction, and those that were lost.
    undecided: [Option<Offset>; PRODUCERS],
    transactions: [Option<Transaction>; PRODUCERS],
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    /// Fences the producers from this one on.
    Fence(usize),
    Ask,
    /// Says how far the topic is, with this producer; `all`: then with those that take turns too. And whether its request has been made.
    Say {
        after: i64,
        producer: usize,
        all: bool,
        asked: bool,
    },
    Deliver,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    broker: Broker,
    run: u8,
    step: Step,
    claimed: bool,
    /// The last epoch that is in the topic, or in a transaction under way.
    through: i64,
    /// Where the topic ends, as far as the run knows.
    end: usize,
    taken: usize,
    /// Producers whose transactions wait for their commit, the oldest first.
    filled: Vec<usize>,
    crashes_left: u8,
    losses_left: u8,
}

impl Broker {
    /// The producer's transaction ends, if there is one; `lost`: its offset stays undecided.
    fn end(&mut self, producer: usize, lost: bool) {
        let Some(transaction) = self.transactions[producer].take() else { return };
        if let Some(place) = transaction.place {
            self.topic[place].fate = if transaction.promised { Fate::Committed } else { Fate::Aborted };
        }
        if lost {
            return;
        }
        let offset = self.undecided[producer].take();
        // An older offset never replaces a newer one, though its transaction ends later.
        if transaction.promised && self.decided.is_none_or(|d| offset.is_some_and(|o| o.through >= d.through)) {
            self.decided = offset;
        }
    }

    /// An offset of a producer replaces the one that it left undecided.
    fn say(&mut self, producer: usize, offset: Offset, place: Option<usize>) {
        self.undecided[producer] = Some(offset);
        self.transactions[producer] = Some(Transaction { offset, place, promised: false });
    }

    fn shown(&self, look: Look, before: usize) -> Shown {
        let visible = || self.topic.iter().skip(before).filter(|m| m.fate == Fate::Committed);
        let newest = match look {
            Look::No => None,
            Look::For(through) => visible().find(|m| m.through >= through).or_else(|| visible().next_back()),
            Look::Whole => visible().max_by_key(|m| m.through),
        };
        let newest = newest.map(|m| Mark { sink: String::new(), through: m.through, run: m.run.to_string() });
        Shown { newest, removed: false, cut: None }
    }

    /// What a reader of committed transactions sees: the epochs in their order.
    fn seen(&self) -> Vec<i64> {
        self.topic.iter().filter(|m| m.fate == Fate::Committed).flat_map(|m| m.first..=m.through).collect()
    }
}

impl World {
    fn new(crashes_left: u8, losses_left: u8) -> Self {
        Self {
            broker: Broker::default(),
            run: 0,
            step: Step::Fence(0),
            claimed: false,
            through: 0,
            end: 0,
            taken: 0,
            filled: Vec::new(),
            crashes_left,
            losses_left,
        }
    }

    fn said(&self) -> Option<Said> {
        self.broker.decided.map(|o| Said {
            through: o.through,
            run: o.run.to_string(),
            account: Some(Account {
                after: o.after,
                messages: u64::from(o.messages),
                before: Bounds::of(&[i64::try_from(o.before).unwrap()], 1),
            }),
        })
    }

    /// Every world that may be next.
    fn next(&self, rule: Rule) -> Vec<Self> {
        let mut next = Vec::new();
        self.broker_goes_on(&mut next);
        if self.crashes_left > 0 && self.step != Step::Done {
            let begins_anew = |run: u8, claimed: bool| Self {
                run,
                claimed,
                step: Step::Fence(0),
                filled: Vec::new(),
                crashes_left: self.crashes_left - 1,
                ..self.clone()
            };
            next.push(begins_anew(self.run + 1, false));
            if self.claimed {
                next.push(begins_anew(self.run, true));
            }
        }
        match self.step {
            Step::Fence(producer) => {
                // A promised transaction is waited for, another one is aborted.
                if self.broker.transactions[producer].is_some_and(|t| t.promised) {
                    return next;
                }
                let step = if producer + 1 < PRODUCERS { Step::Fence(producer + 1) } else { Step::Ask };
                self.ends(producer, &Self { step, ..self.clone() }, &mut next);
            }
            Step::Ask => next.push(self.asked(rule)),
            Step::Say { after, producer, all, asked } => self.says(after, producer, all, asked, &mut next),
            Step::Deliver => self.delivers(&mut next),
            Step::Done => {}
        }
        next
    }

    /// `then`, with the producer's transaction ended: with its offset, or without.
    fn ends(&self, producer: usize, then: &Self, next: &mut Vec<Self>) {
        let mut ended = then.clone();
        ended.broker.end(producer, false);
        next.push(ended);
        if self.losses_left > 0 && self.broker.transactions[producer].is_some() {
            let mut lost = then.clone();
            lost.broker.end(producer, true);
            lost.losses_left -= 1;
            next.push(lost);
        }
    }

    /// What the cluster has promised comes about at some time.
    fn broker_goes_on(&self, next: &mut Vec<Self>) {
        for producer in (0..PRODUCERS).filter(|p| self.broker.transactions[*p].is_some_and(|t| t.promised)) {
            self.ends(producer, self, next);
        }
    }

    fn asked(&self, rule: Rule) -> Self {
        let said = self.said();
        let undecided = self.broker.undecided.iter().any(Option::is_some);
        let look = decide_look(said.as_ref(), undecided);
        let shown = self.broker.shown(look, self.broker.decided.map_or(0, |o| o.before));
        let Decision::GoOn { after, .. } = rule(&Facts { said: said.as_ref(), undecided, shown: &shown }) else {
            panic!("nothing is ever removed here: {self:?}")
        };
        let mut next = Self { through: after, taken: 0, end: self.broker.topic.len(), ..self.clone() };
        let is_said = said.is_some_and(|s| s.through == after);
        next.step = if self.claimed && !undecided && is_said {
            Step::Deliver
        } else {
            Step::Say { after, producer: CLAIMER, all: undecided, asked: false }
        };
        next
    }

    fn says(&self, after: i64, producer: usize, all: bool, asked: bool, next: &mut Vec<Self>) {
        let mut then = self.clone();
        if !asked {
            then.broker.say(producer, Offset { through: after, after, messages: false, before: self.end, run: self.run }, None);
            then.broker.transactions[producer].as_mut().unwrap().promised = true;
            then.step = Step::Say { after, producer, all, asked: true };
            // The request to commit may get lost with the run that made it.
            let mut open = then.clone();
            open.broker.transactions[producer].as_mut().unwrap().promised = false;
            if self.crashes_left > 0 {
                open.crashes_left -= 1;
                open.run += 1;
                (open.claimed, open.step) = (false, Step::Fence(0));
                next.push(open);
            }
            next.push(then);
            return;
        }
        if self.broker.transactions[producer].is_some() {
            return;
        }
        let shows = self.broker.decided.is_some_and(|o| o.run == self.run && o.through == after);
        then.step = match producer {
            // The group has to show it before anything else is touched.
            CLAIMER if !shows => Step::Fence(0),
            CLAIMER if all => Step::Say { after, producer: 0, all, asked: false },
            _ if producer + 1 < TURNS => Step::Say { after, producer: producer + 1, all, asked: false },
            _ => Step::Deliver,
        };
        then.claimed |= then.step == Step::Deliver;
        next.push(then);
    }

    fn delivers(&self, next: &mut Vec<Self>) {
        let producer = self.taken % TURNS;
        if self.through < EPOCHS && self.filled.len() < UNDER_WAY_MAX && self.broker.transactions[producer].is_none() {
            // One epoch, or two.
            for through in [self.through + 1, self.through + 2].into_iter().filter(|t| *t <= EPOCHS) {
                let mut then = self.clone();
                let place = then.broker.topic.len();
                let offset = Offset { through, after: self.through, messages: true, before: self.end, run: self.run };
                then.broker.topic.push(Messages { first: self.through + 1, through, run: self.run, fate: Fate::Open });
                then.broker.say(producer, offset, Some(place));
                (then.through, then.end, then.taken) = (through, place + 1, self.taken + 1);
                then.filled.push(producer);
                next.push(then);
            }
        }
        match self.filled.first() {
            Some(oldest) => {
                let mut then = self.clone();
                then.filled.remove(0);
                then.broker.transactions[*oldest].as_mut().unwrap().promised = true;
                next.push(then);
            }
            None if self.through == EPOCHS && self.broker.transactions.iter().all(Option::is_none) => {
                next.push(Self { step: Step::Done, ..self.clone() });
            }
            None => {}
        }
    }

    fn is_right(&self) -> bool {
        let seen = self.broker.seen();
        // One that is promised may be seen before the one before it, which is promised too.
        let in_order = seen.is_sorted_by(|a, b| a < b);
        in_order && (self.step != Step::Done || seen.len() == usize::try_from(EPOCHS).unwrap())
    }
}

/// Goes through all worlds; how many there are, or one that is wrong.
fn explore(rule: Rule, crashes: u8, losses: u8) -> Result<usize, Box<World>> {
    let first = World::new(crashes, losses);
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
    Ok(seen.len())
}

#[test]
fn every_epoch_is_there_once_whatever_is_lost_and_wherever_a_run_ends() {
    let worlds = explore(decide_progress, 2, 2).expect("each epoch once, in order");
    assert!(worlds > 20_000, "{worlds} worlds");
}

/// The model has teeth: the rule that was broken is found to be.
#[test]
fn taking_what_is_undecided_for_aborted_repeats_rows() {
    let group_alone: Rule = |facts| Decision::GoOn { after: facts.said.map_or(0, |s| s.through), by: String::new() };
    let wrong = explore(group_alone, 1, 1).expect_err("a repetition");
    let seen = wrong.broker.seen();
    assert!(seen.iter().enumerate().any(|(i, epoch)| seen[..i].contains(epoch)), "{seen:?}");
}

/// And so is the opposite.
#[test]
fn taking_what_is_undecided_for_committed_loses_rows() {
    let newest_undecided: Rule = |facts| match facts.undecided {
        true => Decision::GoOn { after: facts.said.map_or(0, |s| s.through) + 1, by: String::new() },
        false => decide_progress(facts),
    };
    let wrong = explore(newest_undecided, 1, 1).expect_err("a loss");
    assert!(wrong.step == Step::Done && wrong.broker.seen().len() < usize::try_from(EPOCHS).unwrap(), "{wrong:?}");
}
