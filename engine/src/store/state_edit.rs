//! What an epoch says that changes stored state instead of holding rows.

use crate::contract::{PartitionInfo, Position};
use crate::ids::Epoch;
use crate::protocol::Origin;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateEdit {
    /// The step's state is gone.
    Drop {
        /// The step.
        step: String,
    },
    /// The step's state goes on under another id, which has no state.
    Rename {
        /// The id so far.
        from: String,
        /// The id from now on.
        to: String,
    },
    /// All state and all positions are gone: the next run begins at the source's beginning.
    BeginAnew {
        /// Sinks whose destination is emptied of what was delivered before. What waits for them
        /// goes with it.
        empties: Vec<String>,
        /// Further sinks for which what was committed and not delivered is given up. For others it
        /// is delivered first.
        forgets: Vec<String>,
        /// The files of everything before are deleted at once. Then nothing of it is delivered any
        /// more.
        clears: bool,
        /// Where partitions begin, of a source that has to know that it was read before; none for
        /// most. Written as the epoch's positions.
        #[serde(skip)]
        positions: BTreeMap<u32, (PartitionInfo, Position)>,
        /// The destinations that are emptied, and the names under which they know the pipeline;
        /// destinations that only the next run has are not emptied. `None` keeps the origin of the
        /// last epoch. Written as the epoch's origin.
        #[serde(skip)]
        origin: Option<Origin>,
    },
}

/// A rename, as the headers after it remember it for as long as a snapshot from before it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// The epoch of the edit.
    pub epoch: Epoch,
    /// The id before.
    pub from: String,
    /// The id after.
    pub to: String,
}

impl StateEdit {
    /// Applies this edit to the state of the steps.
    pub(crate) fn apply<S>(&self, state: &mut BTreeMap<String, S>) {
        match self {
            Self::Drop { step } => {
                state.remove(step);
            }
            Self::Rename { from, to } => {
                if let Some(saved) = state.remove(from) {
                    state.insert(to.clone(), saved);
                }
            }
            Self::BeginAnew { .. } => state.clear(),
        }
    }

    /// Whether what epochs before this one have for a sink is not delivered any more.
    pub(crate) fn forgets(&self, sink: &str) -> bool {
        let is_in = |sinks: &[String]| sinks.iter().any(|s| s == sink);
        match self {
            Self::Drop { .. } | Self::Rename { .. } => false,
            Self::BeginAnew { empties, forgets, clears, .. } => {
                *clears || is_in(empties) || is_in(forgets)
            }
        }
    }
}

/// The names of a snapshot's history files, and those that they have been given since.
pub(crate) fn with_new_names(
    names: impl IntoIterator<Item = String>,
    snapshot: Epoch,
    renamed: &[Renamed],
) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = names.into_iter().collect();
    for Renamed { from, to, .. } in renamed.iter().filter(|r| r.epoch > snapshot) {
        let new: Vec<String> = all
            .iter()
            .filter_map(|name| {
                Some(format!("{to}/{}", name.strip_prefix(from.as_str())?.strip_prefix('/')?))
            })
            .collect();
        all.extend(new);
    }
    all
}
