//! A disk that loses power and fails: what is visible is kept apart from what is durable, per file
//! content and per name.
//!
//! ```text
//!   write, cut ──▶ a file's visible content ──── sync of the file ───▶ its durable content
//!   link, rename, remove, make ──▶ visible names ── sync of the folder ──▶ durable names
//! ```
//! Every call that changes something has a number. [`SimDisk::lose_power_at`] says at which of them
//! the process dies: the call may still happen, or happen in part. [`SimDisk::restart`] begins the
//! next process: after a mere kill it sees all that was visible; after a loss of power, what was
//! durable, and of the rest a seeded part: all, none, everything up to some moment (as an ordered
//! journal does), or any subset, of writes also the first bytes alone.
//!
//! A sync that fails takes what was written since the last one out of the hands of later syncs, as
//! Linux does: they succeed, and it may be lost all the same. [`Faults`] says how often the disk is
//! full, has no descriptor left, can't read or write, writes less than asked.
//!
//! A [`Hole`] puts a mistake of earlier versions back.

mod content;
mod faults;
mod hole;
mod names;
mod process;

pub use faults::Faults;
pub use hole::Hole;

use content::Content;
use faults::Kind;
use names::Names;
use process::Process;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riskstream_engine::disk::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// See the [module documentation](self).
#[derive(Debug)]
pub struct SimDisk {
    state: Mutex<State>,
    hole: Option<Hole>,
}

/// What is on the disk, and what becomes of it.
#[derive(Debug)]
struct State {
    rng: ChaCha8Rng,
    faults: Faults,
    files: BTreeMap<u64, Content>,
    names: Names,
    locks: BTreeSet<PathBuf>,
    /// Of changes, in the order in which they were made.
    moment: u64,
    operations: u64,
    dies_at: Option<u64>,
    /// The number of the process that uses the disk; those before it are dead.
    process: u64,
    is_dead: bool,
    /// What this process was told that was not so.
    failed: Vec<String>,
    numbers: u64,
    trace: Trace,
}

/// A hash of all calls.
struct Trace(Xxh3);

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0.digest())
    }
}

impl SimDisk {
    /// An empty disk with a root folder.
    #[must_use]
    pub fn new(seed: u64, hole: Option<Hole>) -> Arc<Self> {
        let state = State {
            rng: ChaCha8Rng::seed_from_u64(seed),
            faults: Faults::default(),
            files: BTreeMap::new(),
            names: Names::default(),
            locks: BTreeSet::new(),
            moment: 0,
            operations: 0,
            dies_at: None,
            process: 0,
            is_dead: false,
            failed: Vec::new(),
            numbers: 0,
            trace: Trace(Xxh3::new()),
        };
        Arc::new(Self { state: Mutex::new(state), hole })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk as the process sees it that was begun last.
    #[must_use]
    pub fn process(self: &Arc<Self>) -> Arc<dyn Disk> {
        let number = self.state().process;
        Arc::new(Process::new(Arc::clone(self), number))
    }

    /// From now on it fails so.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// The process dies at the change that comes so many after those made so far.
    pub fn lose_power_at(&self, operations: u64) {
        let mut state = self.state();
        state.dies_at = Some(state.operations + operations);
    }

    /// Whether the process has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// The faults that the process has met.
    #[must_use]
    pub fn failed(&self) -> Vec<String> {
        self.state().failed.clone()
    }

    /// Changes made so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// A hash of all calls so far.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.state().trace.0.digest()
    }

    /// Half of a file is gone, whatever was synced.
    pub fn damage(&self, path: &Path) {
        let mut state = self.state();
        if let Ok(file) = state.names.file(path) {
            state.file(file).halve();
        }
    }

    /// Begins a new process, after a loss of power or a mere kill. It meets no faults until it is
    /// told to.
    pub fn restart(&self, power_was_lost: bool) {
        let mut state = self.state();
        if power_was_lost {
            state.lose();
        }
        state.process += 1;
        state.is_dead = false;
        state.dies_at = None;
        state.faults = Faults::default();
        state.failed.clear();
        state.locks.clear();
    }
}

/// What survives a loss of power, of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Survives {
    Nothing,
    Everything,
    /// What was made before a moment.
    Until(u64),
    /// Each with this chance.
    Some(f64),
}

impl State {
    /// Begins a change: counts it, and lets it fail or the process die. `True`: it is the last that
    /// the process does.
    fn change(&mut self, process: u64, kind: Kind, path: &Path) -> Result<bool> {
        self.alive(process)?;
        self.operations += 1;
        self.moment += 1;
        let number = self.operations;
        self.trace.0.update(format!("{number} {kind:?} {}\n", path.display()).as_bytes());
        if self.dies_at == Some(number) {
            self.is_dead = true;
            // It is done before the end, or not.
            return if self.rng.random_bool(0.5) { Ok(true) } else { Err(power_is_gone()) };
        }
        self.may_fail(kind, path)?;
        Ok(false)
    }

    /// Begins a call that changes nothing.
    fn look(&mut self, process: u64, kind: Kind, path: &Path) -> Result<()> {
        self.alive(process)?;
        self.may_fail(kind, path)
    }

    fn alive(&self, process: u64) -> Result<()> {
        if self.is_dead || process != self.process { Err(power_is_gone()) } else { Ok(()) }
    }

    fn may_fail(&mut self, kind: Kind, path: &Path) -> Result<()> {
        let Some(error) = self.faults.draw(kind, &mut self.rng) else { return Ok(()) };
        self.failed.push(format!("{kind:?} {}: {error}", path.display()));
        Err(error)
    }

    /// Ends a change that was done.
    fn done<T>(&self, was_last: bool, result: Result<T>) -> Result<T> {
        if was_last { Err(power_is_gone()) } else { result }
    }

    fn file(&mut self, number: u64) -> &mut Content {
        self.files.entry(number).or_default()
    }

    fn lose(&mut self) {
        let survives = match self.rng.random_range(0..8) {
            0 | 1 => Survives::Nothing,
            2 => Survives::Everything,
            3 | 4 => Survives::Until(self.rng.random_range(0..=self.moment)),
            _ => Survives::Some([0.1, 0.5, 0.9][self.rng.random_range(0..3)]),
        };
        for content in self.files.values_mut() {
            content.lose(survives, &mut self.rng);
        }
        self.names.lose(survives, &mut self.rng);
        let named: BTreeSet<u64> = self.names.files().collect();
        self.files.retain(|number, _| named.contains(number));
    }
}

impl Survives {
    fn draw(self, moment: u64, rng: &mut ChaCha8Rng) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Until(end) => moment <= end,
            Self::Some(chance) => rng.random_bool(chance),
        }
    }
}

fn power_is_gone() -> Error {
    Error::other("the power is gone")
}

#[cfg(test)]
mod tests;
