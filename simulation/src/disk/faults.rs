//! How a disk fails.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::io::Error;

/// The chance of each failure, per call.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// The disk is full: writes, new names.
    pub full: f64,
    /// No descriptor is left: whatever opens a file or folder.
    pub descriptors: f64,
    /// What is asked for can't be read.
    pub read: f64,
    /// What is written can't be.
    pub write: f64,
    /// A sync fails.
    pub sync: f64,
    /// Less is written than was asked for; no failure by itself.
    pub short: f64,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Read,
    Look,
    List,
    Create,
    Overwrite,
    Write,
    Cut,
    Link,
    Rename,
    Remove,
    MakeFolder,
    Sync,
    Lock,
}

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;

impl Faults {
    pub(super) fn draw(&self, kind: Kind, rng: &mut ChaCha8Rng) -> Option<Error> {
        let chances: &[(f64, i32)] = match kind {
            Kind::Open => &[(self.descriptors, EMFILE), (self.read, EIO)],
            Kind::Read | Kind::Look => &[(self.read, EIO)],
            Kind::List => &[(self.descriptors, EMFILE), (self.read, EIO)],
            Kind::Create | Kind::Overwrite | Kind::Lock => {
                &[(self.descriptors, EMFILE), (self.full, ENOSPC), (self.write, EIO)]
            }
            Kind::Write | Kind::Link | Kind::MakeFolder => {
                &[(self.full, ENOSPC), (self.write, EIO)]
            }
            Kind::Cut | Kind::Rename | Kind::Remove => &[(self.write, EIO)],
            // Opening what is to be synced is a call of its own.
            Kind::Sync => &[(self.sync, EIO)],
        };
        chances
            .iter()
            .find(|(chance, _)| *chance > 0.0 && rng.random_bool(*chance))
            .map(|(_, code)| Error::from_raw_os_error(*code))
    }

    /// How many of these bytes are written by one call.
    pub(super) fn written(&self, bytes: usize, rng: &mut ChaCha8Rng) -> usize {
        if bytes > 1 && self.short > 0.0 && rng.random_bool(self.short) {
            rng.random_range(1..bytes)
        } else {
            bytes
        }
    }
}
