//! The disk: everything that the engine and the sinks make durable goes through [`Disk`], and
//! nothing goes beside it (clippy sees to that).
//!
//! A disk keeps two things apart. What a call did is **visible** at once, to this process and to
//! the next. It is **durable**, so that it survives a loss of power, only after a sync: a file's
//! content after a sync of the file, a name (made, moved or removed) after a sync of the folder
//! that holds it. Until then a loss of power keeps any part of it, in any order.
//!
//! | what is wanted | calls | durable when it returns |
//! | --- | --- | --- |
//! | a file under a name that must be free | [`Disk::create_durably`] | content, then name |
//! | the same, over a file that nobody needs | [`Disk::create_over`] | content, then name |
//! | a file in the place of another | [`Disk::replace_durably`] | content, then name |
//! | a folder | [`Disk::make_folders_durably`] | names, all the way |
//! | a file that somebody syncs later | [`Disk::create`] | nothing |
//!
//! Invariant: a name that readers look for is given to a file only after its content is durable.
//!
//! [`LocalDisk`] is the machine's own. The simulation has one that loses power. Errors keep their
//! [`std::io::ErrorKind`].

mod contract;
mod folder;
mod local;

pub use contract::{Disk, Entry, Found, Lock, NewFile, OpenFile, PIECE_BYTES};
pub use folder::Folder;
pub use local::LocalDisk;

/// The default implementations of [`Disk`]'s methods of the same names, for a disk that overrides
/// one of them.
pub mod durable {
    pub use super::contract::{create_durably, give_name, make_folders_durably, replace_durably};
}

#[cfg(test)]
mod tests;
