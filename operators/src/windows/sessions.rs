//! The sessions of one kind: per key, rows that are less than a gap apart.
//!
//! Sessions of a key never touch: a row that is less than the gap from two of them makes them one.
//! A session is known by its start; where a late row moves the start, or two become one, the
//! session that was published under the old start is gone, and that is published too.

use super::moment::Moment;
use super::spec::Publish;
use super::totals::{Layout, Totals};
use crate::keyed::exact::Exact;
use crate::keyed::keys::Moved;
use hashbrown::HashMap;
use riskstream_engine::history::Chunk;
use std::collections::BTreeSet;

/// A session's flags in saved state.
const SAID: i64 = 1;
const UNSAID: i64 = 2;
const GONE: i64 = 4;

#[derive(Debug, Clone)]
struct Session {
    start: i64,
    last: i64,
    slot: usize,
    /// Published under this start.
    is_said: bool,
    /// Changed since it was published last.
    is_unsaid: bool,
    /// The end under which it stands in `ends`.
    indexed: Option<i64>,
}

/// A session that is to be published.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) key: u32,
    /// None: it is gone.
    pub(super) slot: Option<usize>,
    pub(super) start: i64,
    pub(super) end: i64,
}

/// A session as it is saved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saved {
    pub(super) key: u32,
    pub(super) start: i64,
    pub(super) last: i64,
    pub(super) flags: i64,
    /// None: it is gone.
    pub(super) slot: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Sessions {
    /// What the column `window` says.
    pub(super) label: String,
    gap: i64,
    /// In order of time.
    by_key: HashMap<u32, Vec<Session>>,
    pub(super) totals: Totals,
    free: Vec<usize>,
    /// End, key and start of all sessions but those that changed in the open epoch.
    ends: BTreeSet<(i64, u32, i64)>,
    /// Key and start of those that changed in the open epoch, or were published at its close.
    touched: BTreeSet<(u32, i64)>,
    /// Key, start, end of those that are gone since the open epoch, and whether they had been
    /// published.
    gone: Vec<(u32, i64, i64, bool)>,
}

impl Sessions {
    pub(super) fn new(label: &str, gap: i64) -> Self {
        Self {
            label: label.to_owned(),
            gap,
            by_key: HashMap::new(),
            totals: Totals::default(),
            free: Vec::new(),
            ends: BTreeSet::new(),
            touched: BTreeSet::new(),
            gone: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, layout: &Layout, rows: &Chunk) {
        for (row, (key, time)) in rows.keys.iter().zip(&rows.times).enumerate() {
            let slot = self.slot_at(layout, *key, *time);
            self.totals.add(layout, slot, (&rows.columns, row, 1));
        }
    }

    /// The slot of the session that a row at `time` is in, which is made, or made of two, if need
    /// be.
    fn slot_at(&mut self, layout: &Layout, key: u32, time: i64) -> usize {
        let gap = self.gap;
        let held = self.by_key.entry(key).or_default();
        let from = held.partition_point(|s| s.last.saturating_add(gap) <= time);
        let near = held[from..].iter().take_while(|s| s.start.saturating_sub(gap) < time).count();
        if near == 0 {
            let slot = match self.free.pop() {
                Some(slot) => {
                    self.totals.reset(layout, slot);
                    slot
                }
                None => self.totals.push(layout),
            };
            held.insert(
                from,
                Session {
                    start: time,
                    last: time,
                    slot,
                    is_said: false,
                    is_unsaid: true,
                    indexed: None,
                },
            );
            self.touched.insert((key, time));
            return slot;
        }
        let others: Vec<Session> = held.drain(from + 1..from + near).collect();
        let session = &mut held[from];
        let mut left: Vec<Session> = Vec::new();
        if time < session.start {
            left.push(session.clone());
            (session.start, session.is_said, session.indexed) = (time, false, None);
        }
        session.last = others.iter().map(|s| s.last).fold(session.last.max(time), i64::max);
        session.is_unsaid = true;
        let (slot, start) = (session.slot, session.start);
        for other in &others {
            let mut copy = Totals::default();
            copy.push_copy(layout, &self.totals, other.slot);
            self.totals.merge(layout, slot, &copy, 0);
            self.free.push(other.slot);
        }
        for session in left.iter().chain(&others) {
            if let Some(end) = session.indexed {
                self.ends.remove(&(end, key, session.start));
            }
            self.touched.remove(&(key, session.start));
            self.gone.push((key, session.start, session.last.saturating_add(gap), session.is_said));
        }
        self.touched.insert((key, start));
        slot
    }

    fn session(&mut self, key: u32, start: i64) -> Option<&mut Session> {
        self.by_key.get_mut(&key)?.iter_mut().find(|s| s.start == start)
    }

    /// What is to be published at an epoch's close.
    pub(super) fn due(&mut self, moment: Moment, publish: Publish) -> Vec<Said> {
        let gap = self.gap;
        let said = self.gone.iter().filter(|(_, _, _, is_said)| *is_said);
        let mut said: Vec<Said> = said
            .map(|(key, start, end, _)| Said { key: *key, slot: None, start: *start, end: *end })
            .collect();
        for (key, start) in self.touched.clone() {
            let Some(session) = self.session(key, start) else { continue };
            let end = session.last.saturating_add(gap);
            let before = session.indexed.replace(end);
            if let Some(before) = before {
                self.ends.remove(&(before, key, start));
            }
            self.ends.insert((end, key, start));
        }
        // Due are: sessions whose end the watermark reaches now, sessions that changed after they
        // were final, and open ones as `publish` and the end of the input say.
        let finals = self
            .ends
            .range((moment.before.saturating_add(1), 0, i64::MIN)..)
            .take_while(|(end, _, _)| *end <= moment.now);
        let mut due: Vec<(i64, u32, i64)> = finals.copied().collect();
        for (key, start) in self.touched.clone() {
            let Some(end) = self.session(key, start).map(|s| s.last.saturating_add(gap)) else {
                continue;
            };
            if end <= moment.before || (end > moment.now && publish == Publish::Changes) {
                due.push((end, key, start));
            }
        }
        if moment.open_too {
            due.extend(self.ends.range((moment.now.saturating_add(1), 0, i64::MIN)..));
        }
        for (end, key, start) in due {
            let Some(session) = self.session(key, start) else { continue };
            // An open session that has not changed since it was published is not published again.
            if end > moment.now && !session.is_unsaid {
                continue;
            }
            (session.is_said, session.is_unsaid) = (true, false);
            said.push(Said { key, slot: Some(session.slot), start, end });
            self.touched.insert((key, start));
        }
        said
    }

    /// What the epoch changed.
    pub(super) fn changed(&self) -> Vec<Saved> {
        let gone = self.gone.iter().map(|(key, start, end, _)| Saved {
            key: *key,
            start: *start,
            last: *end,
            flags: GONE,
            slot: None,
        });
        let touched = self.touched.iter().filter_map(|(key, start)| {
            let session = self.by_key.get(key)?.iter().find(|s| s.start == *start)?;
            Some(session.saved(*key))
        });
        gone.chain(touched).collect()
    }

    /// All sessions.
    pub(super) fn all(&self) -> Vec<Saved> {
        let mut all: Vec<Saved> =
            self.by_key.iter().flat_map(|(key, held)| held.iter().map(|s| s.saved(*key))).collect();
        all.sort_unstable_by_key(|s| (s.key, s.start));
        all
    }

    /// Forgets what changed.
    pub(super) fn forget_changes(&mut self) {
        self.touched.clear();
        self.gone.clear();
    }

    /// Takes a saved session back, in place of what there was under its start.
    pub(super) fn restore(
        &mut self,
        layout: &Layout,
        saved: Saved,
        totals: (impl Iterator<Item = i64>, impl Iterator<Item = i128>),
        beside: Vec<(u32, Exact)>,
    ) {
        let held = self.by_key.entry(saved.key).or_default();
        if let Some(at) = held.iter().position(|s| s.start == saved.start) {
            let old = held.remove(at);
            self.free.push(old.slot);
            self.ends.remove(&(old.last.saturating_add(self.gap), saved.key, old.start));
        }
        if saved.flags & GONE != 0 {
            return;
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.totals.push(layout),
        };
        self.totals.restore(layout, slot, totals, beside);
        let end = saved.last.saturating_add(self.gap);
        let session = Session {
            start: saved.start,
            last: saved.last,
            slot,
            is_said: saved.flags & SAID != 0,
            is_unsaid: saved.flags & UNSAID != 0,
            indexed: Some(end),
        };
        let at = held.partition_point(|s| s.start < saved.start);
        held.insert(at, session);
        self.ends.insert((end, saved.key, saved.start));
    }

    /// Forgets sessions that no accepted row can touch; a row is accepted when a session of that
    /// row alone would end after `time`.
    pub(super) fn prune(&mut self, time: i64) {
        let last = time.saturating_sub(self.gap);
        while let Some((end, key, start)) = self.ends.first().copied()
            && end <= last
        {
            self.ends.pop_first();
            if let Some(held) = self.by_key.get_mut(&key) {
                self.free.extend(held.iter().filter(|s| s.start == start).map(|s| s.slot));
                held.retain(|s| s.start != start);
                if held.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }

    /// Marks the keys that have sessions.
    pub(super) fn mark_living(&self, living: &mut [bool]) {
        self.by_key
            .iter()
            .filter(|(_, held)| !held.is_empty())
            .for_each(|(key, _)| living[*key as usize] = true);
    }

    /// Calls keys by their new numbers and moves totals together. What changed must have been
    /// settled.
    pub(super) fn renumber(&mut self, layout: &Layout, moved: &Moved) {
        debug_assert!(self.touched.is_empty() && self.gone.is_empty(), "what changed was saved");
        let mut held: Vec<(u32, Vec<Session>)> = std::mem::take(&mut self.by_key)
            .into_iter()
            .filter(|(_, held)| !held.is_empty())
            .collect();
        held.sort_unstable_by_key(|(key, _)| *key);
        let totals = std::mem::take(&mut self.totals);
        self.free = Vec::new();
        self.by_key.reserve(held.len());
        for (key, mut sessions) in held {
            let Some(key) = moved.of(key) else { continue };
            for session in &mut sessions {
                session.slot = self.totals.push_copy(layout, &totals, session.slot);
            }
            self.by_key.insert(key, sessions);
        }
        let ends = std::mem::take(&mut self.ends);
        self.ends = ends
            .into_iter()
            .filter_map(|(end, key, start)| Some((end, moved.of(key)?, start)))
            .collect();
    }

    pub(super) fn bytes(&self) -> usize {
        self.totals.bytes()
            + self.ends.len() * (24 + size_of::<Session>())
            + self.by_key.capacity() * 40
    }
}

impl Session {
    fn saved(&self, key: u32) -> Saved {
        let flags = if self.is_said { SAID } else { 0 } | if self.is_unsaid { UNSAID } else { 0 };
        Saved { key, start: self.start, last: self.last, flags, slot: Some(self.slot) }
    }
}
