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
mod state;
mod survives;

pub use faults::Faults;
pub use hole::Hole;
pub use state::SimDisk;

#[cfg(test)]
mod tests;
