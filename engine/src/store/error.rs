//! Why the store can't be used.

use crate::protocol::ResumeError;
use std::path::PathBuf;

/// Every failure of the store; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing failed.
    #[error("can't {action} {path}: {reason}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
    /// The disk is full.
    #[error(
        "can't {action} {path}: the disk is full; free some space and start again (everything \
         committed so far is safe)"
    )]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// Another program holds the folder.
    #[error(
        "the data folder {path} is in use by another riskstream{holder}; stop it, or give this one \
         another `data` folder"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Which process, when known.
        holder: String,
    },
    /// A store of another version or another program.
    #[error(
        "{path} was written by {found}, this program reads {expected}; use the program that wrote \
         it, or another `data` folder, or begin the pipeline anew: \
         `riskstream run --fresh PIPELINE`"
    )]
    OtherVersion {
        /// The identity file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What is read.
        expected: String,
    },
    /// A file is damaged.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        reason: String,
    },
    /// A newer run has taken over.
    #[error(
        "generation {mine} of this pipeline was fenced by generation {newer}: another program took \
         over; this one stops"
    )]
    Fenced {
        /// This run.
        mine: u64,
        /// The newer one.
        newer: u64,
    },
    /// Epochs are missing.
    #[error(transparent)]
    Resume(#[from] ResumeError),
}

impl StoreError {
    /// An I/O failure on `path`, told apart from a full disk.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let path = path.into();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(e) = cause {
            if let Some(io) = e.downcast_ref::<std::io::Error>()
                && matches!(
                    io.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                )
            {
                return Self::DiskFull { action, path };
            }
            cause = e.source();
        }
        Self::Io { action, path, reason: error.to_string() }
    }
}
