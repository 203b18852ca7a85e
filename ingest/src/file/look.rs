//! Looking for new files beside the feed: a folder of very many files takes a while to list, and
//! nobody waits for it.

use crate::file::format::FileSourceSpec;
use crate::file::paths::{FoundFile, KnownFiles, find_new_files};
use riskstream_engine::contract::SourceError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// A look that is done in this time is waited for.
const WAIT: Duration = Duration::from_millis(5);
/// The pause after a look, in times of what the look took: however many files a folder has, looking
/// takes a tenth of one core at most.
const PAUSE: u32 = 9;

/// A thread that looks when it is asked; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Lookout {
    source_name: String,
    ask: SyncSender<()>,
    found: Receiver<Looked>,
    is_looking: bool,
    /// When the pause after the last look is over.
    rested_at: Instant,
}

/// What a look found, and how long it took.
struct Looked {
    found: Result<Vec<FoundFile>, SourceError>,
    took: Duration,
}

impl Lookout {
    pub(crate) fn start(spec: FileSourceSpec, mut known: KnownFiles) -> std::io::Result<Self> {
        let source_name = spec.name.clone();
        let (ask, asked) = sync_channel(1);
        let (tell, found) = sync_channel(1);
        let thread = move || {
            while asked.recv().is_ok() {
                let started = Instant::now();
                let mut files = Vec::new();
                let found = find_new_files(&spec, &mut known, &mut files).map(|()| files);
                if tell.send(Looked { found, took: started.elapsed() }).is_err() {
                    break;
                }
            }
        };
        // It ends with the source, which nobody needs to wait for.
        let _thread = std::thread::Builder::new().name("lookout".into()).spawn(thread)?;
        Ok(Self { source_name, ask, found, is_looking: false, rested_at: Instant::now() })
    }

    /// Files that have appeared, of this look or, where a look takes long, of one before.
    pub(crate) fn look(&mut self) -> Result<Vec<FoundFile>, SourceError> {
        if !self.is_looking {
            if Instant::now() < self.rested_at {
                return Ok(Vec::new());
            }
            self.ask.send(()).map_err(|_| self.is_gone())?;
            self.is_looking = true;
        }
        match self.found.recv_timeout(WAIT) {
            Ok(Looked { found, took }) => {
                self.is_looking = false;
                self.rested_at = Instant::now() + took * PAUSE;
                found
            }
            Err(RecvTimeoutError::Timeout) => Ok(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => Err(self.is_gone()),
        }
    }

    fn is_gone(&self) -> SourceError {
        SourceError::Bug {
            source_name: self.source_name.clone(),
            reason: "the thread that looks for files is gone".into(),
        }
    }
}
