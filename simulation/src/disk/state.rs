//! The disk itself.

use super::content::Content;
use super::faults::{Faults, Kind};
use super::hole::Hole;
use super::names::Names;
use super::survives::Survives;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// See the [module documentation](super).
#[derive(Debug)]
pub struct SimDisk {
    pub(super) state: Mutex<State>,
    pub(super) hole: Option<Hole>,
}

/// What is on the disk, and what becomes of it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rng: ChaCha8Rng,
    pub(super) faults: Faults,
    pub(super) files: BTreeMap<u64, Content>,
    pub(super) names: Names,
    pub(super) locks: BTreeSet<PathBuf>,
    /// The number of changes made so far, which orders them.
    pub(super) moment: u64,
    pub(super) operations: u64,
    pub(super) dies_at: Option<u64>,
    /// The number of the process that uses the disk; those before it are dead.
    pub(super) process: u64,
    pub(super) is_dead: bool,
    /// The faults that this process has met.
    pub(super) failed: Vec<String>,
    pub(super) numbers: u64,
    pub(super) trace: Trace,
}

/// A hash of all calls.
pub(super) struct Trace(pub(super) Xxh3);

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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the disk fail with these chances from now on.
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

impl State {
    /// Begins a change: counts it, and lets it fail or the process die. `True`: it is the last that
    /// the process does.
    pub(super) fn change(&mut self, process: u64, kind: Kind, path: &Path) -> Result<bool> {
        self.alive(process)?;
        self.operations += 1;
        self.moment += 1;
        let number = self.operations;
        self.trace.0.update(format!("{number} {kind:?} {}\n", path.display()).as_bytes());
        if self.dies_at == Some(number) {
            self.is_dead = true;
            // The last change is made before the process dies, or it is not.
            return if self.rng.random_bool(0.5) { Ok(true) } else { Err(power_is_gone()) };
        }
        self.may_fail(kind, path)?;
        Ok(false)
    }

    /// Begins a call that changes nothing.
    pub(super) fn look(&mut self, process: u64, kind: Kind, path: &Path) -> Result<()> {
        self.alive(process)?;
        self.may_fail(kind, path)
    }

    pub(super) fn alive(&self, process: u64) -> Result<()> {
        if self.is_dead || process != self.process { Err(power_is_gone()) } else { Ok(()) }
    }

    pub(super) fn may_fail(&mut self, kind: Kind, path: &Path) -> Result<()> {
        let Some(error) = self.faults.draw(kind, &mut self.rng) else { return Ok(()) };
        self.failed.push(format!("{kind:?} {}: {error}", path.display()));
        Err(error)
    }

    /// Ends a change that was done.
    pub(super) fn done<T>(&self, was_last: bool, result: Result<T>) -> Result<T> {
        if was_last { Err(power_is_gone()) } else { result }
    }

    pub(super) fn file(&mut self, number: u64) -> &mut Content {
        self.files.entry(number).or_default()
    }

    pub(super) fn lose(&mut self) {
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

pub(super) fn power_is_gone() -> Error {
    Error::other("the power is gone")
}
