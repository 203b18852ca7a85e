//! A small broker: a topic of two partitions, a group with one offset, and producers whose
//! transactions end wholly, or not. Somebody else writes into the first partition.

use super::super::super::said::{Committed, Mark, Sent, Whole};
use super::super::{Look, Placed, Shown, Tally};

pub(super) const TURNS: usize = 3;
/// The one that claims the delivery, and copies, comes last.
pub(super) const CLAIMER: usize = TURNS;
pub(super) const PRODUCERS: usize = TURNS + 1;
pub(super) const PARTITIONS: usize = 2;
/// Somebody else, of whom nothing is known.
pub(super) const OTHER: usize = PRODUCERS;
/// More connections are never made.
pub(super) const CONNECTIONS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Open,
    Committed,
    Aborted,
}

/// What a transaction has in a partition: its position is its place in the list. Of each epoch
/// there is a row in every partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Messages {
    /// Whose rows they are.
    pub(super) epochs: Epochs,
    pub(super) after: i64,
    pub(super) through: i64,
    /// Whether the transaction's first message is among them.
    pub(super) is_marked: bool,
    pub(super) run: u8,
    pub(super) by: u8,
    pub(super) producer: usize,
    pub(super) copy_of: Option<usize>,
    pub(super) fate: Fate,
}

/// A set of epochs, a bit each.
pub(super) type Epochs = u8;

/// The epochs after one, through another.
pub(super) fn epochs(after: i64, through: i64) -> Epochs {
    (after + 1..=through).fold(0, |epochs, epoch| epochs | 1 << epoch)
}

/// What a transaction says: through, after, whether it has messages, where they may begin, what is
/// behind that, the run, and the last epoch of each connection that is known to be committed; 0 for
/// none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Offset {
    pub(super) through: i64,
    pub(super) after: i64,
    pub(super) messages: bool,
    pub(super) before: [usize; PARTITIONS],
    pub(super) whole: Whole,
    pub(super) run: u8,
    pub(super) committed: [i8; CONNECTIONS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Transaction {
    /// Which partitions have messages of it.
    pub(super) parts: [bool; PARTITIONS],
    /// The cluster has promised to commit it.
    pub(super) promised: bool,
}

/// What the broker forgets when a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Forgets {
    pub(super) offset: bool,
    pub(super) parts: [bool; PARTITIONS],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Broker {
    pub(super) topic: [Vec<Messages>; PARTITIONS],
    pub(super) decided: Option<Offset>,
    /// Undecided offsets of each producer: those of its transaction, and those that were lost.
    pub(super) undecided: [Option<Offset>; PRODUCERS],
    pub(super) transactions: [Option<Transaction>; PRODUCERS],
}

impl Messages {
    pub(super) fn mark(&self) -> Mark {
        let sent = Some((u32::from(self.by), PARTITIONS as u64));
        Mark {
            sink: String::new(),
            through: self.through,
            after: Some(self.after),
            sent,
            run: self.run.to_string(),
        }
    }

    fn placed(&self, partition: usize, place: usize) -> Placed {
        let copy_of = self.copy_of.map(|place| i64::try_from(place).expect("few messages"));
        let sent = Sent { by: u32::from(self.by), through: self.through, copy_of };
        let partition = i32::try_from(partition).expect("few partitions");
        let offset = i64::try_from(place).expect("few messages");
        Placed { partition, offset, sent }
    }
}

impl Broker {
    /// The producer's transaction ends, if there is one.
    pub(super) fn end(&mut self, producer: usize, forgets: Forgets) {
        let Some(transaction) = self.transactions[producer].take() else { return };
        let fate = if transaction.promised { Fate::Committed } else { Fate::Aborted };
        for partition in (0..PARTITIONS).filter(|p| transaction.parts[*p] && !forgets.parts[*p]) {
            self.end_messages(partition, producer, fate);
        }
        if forgets.offset {
            return;
        }
        let offset = self.undecided[producer].take();
        // An older offset never replaces a newer one, though its transaction ends later. The
        // claimer's is the newest, since nobody delivers while it claims.
        let is_newer = producer == CLAIMER
            || self.decided.is_none_or(|d| offset.is_some_and(|o| o.through >= d.through));
        if transaction.promised && is_newer {
            self.decided = offset;
        }
    }

    /// Ends everything that the producer has left open in the partition, as the marker of a
    /// transaction does.
    pub(super) fn end_messages(&mut self, partition: usize, producer: usize, fate: Fate) {
        self.topic[partition]
            .iter_mut()
            .filter(|m| m.producer == producer && m.fate == Fate::Open)
            .for_each(|m| m.fate = fate);
    }

    /// Somebody else begins a transaction in the first partition, or ends it.
    pub(super) fn other(&self, begins: bool) -> Option<Self> {
        let mut then = self.clone();
        let is_open = |m: &&mut Messages| m.producer == OTHER && m.fate == Fate::Open;
        match (then.topic[0].iter_mut().find(is_open), begins) {
            (Some(open), false) => open.fate = Fate::Committed,
            (None, true) => {
                let (epochs, after, through, run, by) = (0, 0, 0, 0, 0);
                let (is_marked, copy_of) = (false, None);
                let of = Messages {
                    epochs,
                    after,
                    through,
                    is_marked,
                    run,
                    by,
                    producer: OTHER,
                    copy_of,
                    fate: Fate::Open,
                };
                then.topic[0].push(of);
            }
            _ => return None,
        }
        Some(then)
    }

    /// Where each partition ends.
    pub(super) fn ends(&self) -> [usize; PARTITIONS] {
        [0, 1].map(|partition: usize| self.topic[partition].len())
    }

    /// Where they end for a reader of committed transactions.
    pub(super) fn stable(&self) -> [usize; PARTITIONS] {
        let stable = |messages: &Vec<Messages>| {
            messages.iter().position(|m| m.fate == Fate::Open).unwrap_or(messages.len())
        };
        [0, 1].map(|partition: usize| stable(&self.topic[partition]))
    }

    /// An offset of a producer replaces the one that it left undecided.
    pub(super) fn say(&mut self, producer: usize, offset: Offset, parts: [bool; PARTITIONS]) {
        self.undecided[producer] = Some(offset);
        self.transactions[producer] = Some(Transaction { parts, promised: false });
    }

    /// What a reader of committed transactions sees behind these places.
    pub(super) fn visible(
        &self,
        before: [usize; PARTITIONS],
    ) -> impl Iterator<Item = (usize, usize, &Messages)> {
        let stable = self.stable();
        self.written(before).filter(move |(partition, place, m)| {
            *place < stable[*partition] && m.fate == Fate::Committed
        })
    }

    /// What is there behind these places.
    pub(super) fn written(
        &self,
        before: [usize; PARTITIONS],
    ) -> impl Iterator<Item = (usize, usize, &Messages)> {
        let of = move |partition: usize| {
            self.topic[partition]
                .iter()
                .enumerate()
                .skip(before[partition])
                .filter(|(_, m)| m.producer != OTHER)
        };
        (0..PARTITIONS)
            .flat_map(move |partition| of(partition).map(move |(place, m)| (partition, place, m)))
    }

    pub(super) fn shown(&self, look: Look, before: [usize; PARTITIONS]) -> Shown {
        let marks = || self.visible(before).map(|(.., m)| m).filter(|m| m.is_marked);
        let newest = || marks().max_by_key(|m| m.through);
        let newest = match look {
            Look::No => None,
            Look::For(through) => marks().find(|m| m.through >= through).or_else(newest),
            Look::Whole => newest(),
        };
        Shown { newest: newest.map(Messages::mark), removed: false, cut: None }
    }

    /// What a reader of committed transactions sees of a partition: sets of epochs, in their order.
    pub(super) fn seen(&self, partition: usize) -> Vec<Epochs> {
        self.visible([0; PARTITIONS])
            .filter(|(p, ..)| *p == partition)
            .map(|(.., m)| m.epochs)
            .collect()
    }

    /// The same, once nothing is open.
    pub(super) fn seen_at_last(&self, partition: usize) -> Vec<Epochs> {
        self.topic[partition]
            .iter()
            .filter(|m| m.fate == Fate::Committed)
            .map(|m| m.epochs)
            .collect()
    }
}

/// Messages as the sink's own reader finds them.
pub(super) fn placed<'a>(
    messages: impl Iterator<Item = (usize, usize, &'a Messages)>,
) -> Vec<Placed> {
    messages.map(|(partition, place, m)| m.placed(partition, place)).collect()
}

pub(super) fn tally(messages: &[Placed]) -> Tally {
    let mut tally = Tally::new();
    messages.iter().for_each(|message| *tally.entry(message.part()).or_default() += 1);
    tally
}

impl Offset {
    pub(super) fn committed(&self) -> Vec<Committed> {
        let each = self.committed.iter().enumerate().filter(|(_, through)| **through > 0);
        let connection = |by| u32::try_from(by).expect("few connections");
        each.map(|(by, through)| (connection(by), i64::from(*through))).collect()
    }
}

/// Through which epoch each connection's transactions are committed, as an offset keeps it.
pub(super) fn committed(of: &[Committed]) -> [i8; CONNECTIONS] {
    let mut committed = [0; CONNECTIONS];
    for (by, through) in of {
        committed[*by as usize] = i8::try_from(*through).expect("few epochs");
    }
    committed
}

/// A partition's, a place's or an epoch's number as an index: none is negative.
pub(super) fn index(number: impl TryInto<usize>) -> usize {
    number.try_into().ok().expect("a number that is not negative")
}
