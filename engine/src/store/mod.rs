//! The one durable truth of a pipeline: epoch files, snapshots, claims and history, in a folder.
//!
//! ```text
//! <root>/identity.json                     format, version, shards, hash seed
//! <root>/lock                              held by the running program
//! <root>/delivered.json                    how far each sink has come
//! <root>/away.json                         which sinks the run waits for
//! <root>/generations/<g>.claim, .resumed   who runs, and after which epoch it went on
//! <root>/epochs/<e>-<g>.epoch              one file per committed epoch (Arrow IPC), put if absent
//!                                          and synced; an edit of the state is one too
//! <root>/snapshots/<e>-<g>.snapshot        the same form: all state as of an epoch
//! <root>/history/<step>/...                segments of the event history and of keyed rows
//! <root>/spares/                           files without a name yet, and needless epoch files to
//!                                          write over
//! ```
//! Invariants: an epoch is committed exactly when its file is there, whole and of a generation that
//! counts; files are never changed; nothing that a kept snapshot or an undelivered epoch needs is
//! deleted.

mod away;
mod committed;
mod delivered;
mod edit;
mod epoch_file;
mod error;
mod files;
mod inspect;
mod kept;
mod open;
mod pieces;
mod recover;
mod recovered;
mod spares;
mod state_edit;

pub(crate) use away::AwayNotes;
pub use away::{AwayNote, read_away};
pub use committed::{Committed, CommittedEpoch, CommittedReader};
pub use delivered::DeliveredMarks;
pub use edit::{begin_after, edit, rename_store, set_store_aside};
pub use epoch_file::{EpochHeader, Section, SectionKind, batch_from_ipc, batch_to_ipc};
pub use error::StoreError;
pub(crate) use inspect::saved_place;
pub use inspect::{
    Inspection, SinkWaiting, StoredRows, StoredState, check_readable, held_by, inspect,
    saved_origin, saved_shapes,
};
pub use kept::KeptSnapshots;
pub use open::{Identity, Store};
pub use recovered::{KeptEpoch, Recovered, UndeliveredEpoch};
pub use state_edit::{Renamed, StateEdit};
