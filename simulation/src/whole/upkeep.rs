//! The table kept up beside the engine: compacted, checkpointed, trimmed and cleaned without pause,
//! with nothing kept for readers, so that a crash meets each of its steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use riskstream_engine::disk::Folder;
use riskstream_sinks::{DeltaRuntime, MaintainOptions, SinkError, maintain};

use crate::auditor::Violation;

/// Between two rounds: rows come within milliseconds.
const PAUSE: Duration = Duration::from_millis(2);

/// What a seed has it do.
pub(super) fn options(rng: &mut ChaCha8Rng) -> MaintainOptions {
    let by: &[&str] = [&[][..], &["id"], &["amount", "id"], &["customer"], &["no such column"]]
        [rng.random_range(0..5)];
    MaintainOptions {
        sort_by: by.iter().map(|column| (*column).to_owned()).collect(),
        target_file_bytes: [2_000, 20_000, 128 << 20][rng.random_range(0..3)],
        min_files: [2, 4][rng.random_range(0..2)],
        spares_large: rng.random_bool(0.5),
        // Of these the first two sort by way of the disk.
        memory_bytes: [100, 20_000, 256 << 20][rng.random_range(0..3)],
        retention: Duration::ZERO,
        ..MaintainOptions::default()
    }
}

/// Works until it is ended, or its process is dead.
pub(super) struct Upkeep {
    stop: Arc<AtomicBool>,
    compacted: Arc<AtomicU64>,
    thread: JoinHandle<std::result::Result<(), SinkError>>,
}

impl Upkeep {
    pub(super) fn begin(location: Folder, options: MaintainOptions) -> Self {
        let (stop, compacted) = (Arc::default(), Arc::default());
        let options = MaintainOptions { stop: Arc::clone(&stop), ..options };
        let thread = std::thread::spawn({
            let (stop, compacted) = (Arc::clone(&stop), Arc::clone(&compacted));
            move || work(&location, &options, &stop, &compacted)
        });
        Self { stop, compacted, thread }
    }

    /// How many files it has compacted, and what it could not get over; stopped where it is.
    pub(super) fn end(self) -> (u64, Result<()>) {
        self.stop.store(true, Ordering::Release);
        let ended = match self.thread.join() {
            Ok(ended) => ended.map_err(anyhow::Error::from),
            Err(_panic) => Err(Violation("the upkeep panicked".into()).into()),
        };
        (self.compacted.load(Ordering::Relaxed), ended)
    }
}

fn work(
    location: &Folder,
    options: &MaintainOptions,
    stop: &AtomicBool,
    compacted: &AtomicU64,
) -> std::result::Result<(), SinkError> {
    let runtime = DeltaRuntime::background()?;
    while !stop.load(Ordering::Acquire) {
        match maintain(&runtime, location.clone(), options) {
            Ok(report) => {
                compacted.fetch_add(report.files_compacted, Ordering::Relaxed);
            }
            // The engine has not made it yet.
            Err(SinkError::NotATable { .. }) => {}
            Err(error) => return Err(error),
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
