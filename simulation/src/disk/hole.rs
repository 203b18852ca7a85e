//! Mistakes of earlier versions, put back.

/// A mistake that the engine or the sinks once made, or that somebody might make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hole {
    /// A file gets its name before its content is synced.
    NameBeforeContent,
    /// A run goes on from an epoch whose name another one left unsynced.
    AdoptsUnsynced,
    /// The marks of what was delivered are renamed into place unsynced.
    MarksUnsynced,
    /// Folders are made and not synced in the folders that they are in.
    FoldersUnsynced,
    /// A snapshot that can't be read counts as one that names no history.
    SwallowsReadErrors,
    /// A snapshot names history files that were never synced.
    HistoryUnsynced,
    /// A sync that fails counts as one that did not.
    IgnoresFailedSync,
    /// A file gets its name, and its folder is not synced.
    NameUnsynced,
}

impl Hole {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NameBeforeContent,
        Self::AdoptsUnsynced,
        Self::MarksUnsynced,
        Self::FoldersUnsynced,
        Self::SwallowsReadErrors,
        Self::HistoryUnsynced,
        Self::IgnoresFailedSync,
        Self::NameUnsynced,
    ];
}
