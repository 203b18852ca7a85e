//! Looking for new files beside the feed: a folder of very many files takes a while to list, and nobody waits for it.

use crate::file::format::FileSourceSpec;
use crate::file::paths::{FoundFile, find_files};
use riskstream_engine::contract::SourceError;
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_128;

/// A look that is done in this time is waited for.
const WAIT: Duration = Duration::from_millis(5);

/// The names of all files that are known, by their hashes: 16 bytes for a name of any length. Two names of one hash do not happen.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles(HashSet<u128>);

impl KnownFiles {
    /// Whether the name was not known.
    pub(crate) fn add(&mut self, name: &str) -> bool {
        self.0.insert(xxh3_128(name.as_bytes()))
    }

    /// Those of `found` that were not known.
    pub(crate) fn new_ones(&mut self, found: Vec<FoundFile>) -> Vec<FoundFile> {
        found.into_iter().filter(|file| self.add(&file.name)).collect()
    }
}

/// A thread that looks when it is asked; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Lookout {
    source_name: String,
    ask: SyncSender<()>,
    found: Receiver<Result<Vec<FoundFile>, SourceError>>,
    is_looking: bool,
}

impl Lookout {
    pub(crate) fn start(spec: FileSourceSpec, mut known: KnownFiles) -> std::io::Result<Self> {
        let source_name = spec.name.clone();
        let (ask, asked) = sync_channel(1);
        let (tell, found) = sync_channel(1);
        let thread = move || {
            while asked.recv().is_ok() {
                let new = find_files(&spec).map(|found| known.new_ones(found));
                if tell.send(new).is_err() {
                    break;
                }
            }
        };
        // It ends with the source, which nobody needs to wait for.
        let _thread = std::thread::Builder::new().name("lookout".into()).spawn(thread)?;
        Ok(Self { source_name, ask, found, is_looking: false })
    }

    /// Files that have appeared, of this look or, where a look takes long, of one before.
    pub(crate) fn look(&mut self) -> Result<Vec<FoundFile>, SourceError> {
        if !self.is_looking {
            self.ask.send(()).map_err(|_| self.is_gone())?;
            self.is_looking = true;
        }
        match self.found.recv_timeout(WAIT) {
            Ok(found) => {
                self.is_looking = false;
                found
            }
            Err(RecvTimeoutError::Timeout) => Ok(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => Err(self.is_gone()),
        }
    }

    fn is_gone(&self) -> SourceError {
        SourceError::Bug { source_name: self.source_name.clone(), reason: "the thread that looks for files is gone".into() }
    }
}
