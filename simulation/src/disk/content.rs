//! A file's content: as it is seen, as it is durable, and what lies between.

use super::survives::Survives;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) visible: Vec<u8>,
    durable: Vec<u8>,
    /// Since then, in order.
    changes: VecDeque<ContentChange>,
}

#[derive(Debug)]
struct ContentChange {
    moment: u64,
    what: What,
    fate: Fate,
}

/// Whether a change is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not yet.
    Unsynced,
    /// The change was synced, and stands behind one that may not be durable.
    Synced,
    /// A sync has failed since: no later one makes it durable.
    Forgotten,
}

#[derive(Debug)]
enum What {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

impl What {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(bytes);
            }
            Self::Cut(length) => content.resize(*length, 0),
        }
    }
}

impl Content {
    pub(super) fn write(&mut self, moment: u64, at: usize, bytes: &[u8]) {
        self.change(moment, What::Write { at, bytes: bytes.to_vec() });
    }

    pub(super) fn cut(&mut self, moment: u64, length: usize) {
        if self.visible.len() != length {
            self.change(moment, What::Cut(length));
        }
    }

    fn change(&mut self, moment: u64, what: What) {
        what.apply(&mut self.visible);
        self.changes.push_back(ContentChange { moment, what, fate: Fate::Unsynced });
    }

    pub(super) fn sync(&mut self) {
        self.turn(Fate::Synced);
        // What stands behind a forgotten change is kept apart, so that an older write never comes
        // back over a newer one.
        while let Some(change) = self.changes.pop_front_if(|change| change.fate == Fate::Synced) {
            change.what.apply(&mut self.durable);
        }
    }

    pub(super) fn fail_to_sync(&mut self) {
        self.turn(Fate::Forgotten);
    }

    fn turn(&mut self, fate: Fate) {
        self.changes
            .iter_mut()
            .filter(|change| change.fate == Fate::Unsynced)
            .for_each(|change| change.fate = fate);
    }

    /// The second half is gone.
    pub(super) fn halve(&mut self) {
        self.visible.truncate(self.visible.len() / 2);
        self.durable.clone_from(&self.visible);
        self.changes.clear();
    }

    /// What is visible after a loss of power.
    pub(super) fn lose(&mut self, survives: Survives, rng: &mut ChaCha8Rng) {
        for mut change in self.changes.drain(..) {
            if change.fate != Fate::Synced && !survives.draw(change.moment, rng) {
                continue;
            }
            // A write may come to the disk in part.
            if let (true, Survives::Some(_), What::Write { bytes, .. }) =
                (change.fate != Fate::Synced, survives, &mut change.what)
                && rng.random_bool(0.3)
            {
                bytes.truncate(rng.random_range(0..=bytes.len()));
            }
            change.what.apply(&mut self.durable);
        }
        self.visible.clone_from(&self.durable);
    }
}
