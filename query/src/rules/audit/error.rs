//! Why there is no audit.

use std::path::{Path, PathBuf};

use super::tampered::Tampered;

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file can't be read or written.
    #[error("the audit in {}: {what}: {source}", folder.display())]
    Io {
        /// The audit's folder.
        folder: PathBuf,
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process writes there.
    #[error("the audit in {} is written by another process", folder.display())]
    Taken {
        /// The audit's folder.
        folder: PathBuf,
    },
    /// The end is not as it was written, so the chain can't go on from it.
    #[error(
        "the audit in {} was changed: {tampered}; move the folder away to begin a new one, and \
         keep it for whoever looks into this", folder.display()
    )]
    Tampered {
        /// The audit's folder.
        folder: PathBuf,
        /// What was found.
        tampered: Tampered,
    },
    /// The disk takes no more.
    #[error("the audit can't be written: {why}")]
    Stuck {
        /// What the disk says.
        why: String,
    },
    /// The writing thread has ended.
    #[error("the audit is closed")]
    Closed,
}

impl AuditError {
    pub(super) fn io(folder: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { folder: folder.to_owned(), what, source }
    }
}
