//! The files of tables are kept few, large and sorted while pipelines write them.
//!
//! ```text
//!   thread (one, of low priority) ── every ──▶ round, table by table
//!     compact: small files into large ones     options: as the configuration says
//!     clean, now and then: old files go        needed: but those that stores name and queries see
//! ```
//! *Invariants:* nothing here stops a pipeline: what fails is told, counted, and tried again. It
//! ends soon after it is asked to, whatever it does.

mod needed;
mod options;
mod thread;
mod upkeep;

pub(crate) use needed::waiting_files;
pub(crate) use options::maintain_options;
pub(crate) use thread::Housekeeping;
