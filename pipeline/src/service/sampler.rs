//! A thread that writes down how each pipeline is each second, takes a sample of it now and then,
//! and counts what is on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use riskstream_engine::runtime::Clock;

use super::gauges::Shared;
use super::life::Life;
use super::now;
use super::observer::Observer;
use super::samples::{EVERY_SECONDS, LastHour, Sample, beside};

/// Looks per sample. The first look takes a sample, so that a program that has just begun is seen.
const LOOKS_PER_SAMPLE: u64 = EVERY_SECONDS / now::EVERY_SECONDS;
/// The bytes of files are counted at most this often.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// Counting files takes at most one part in this many of the time.
const COUNT_SHARE: u32 = 100;

/// Takes samples until it is dropped.
#[derive(Debug)]
pub(crate) struct Sampler {
    stop: Option<Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sampler {
    /// Begins. `files`: where each pipeline's samples are, in the order of `lives`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn begin(
        lives: &[Arc<Life>],
        files: Vec<PathBuf>,
        tables: PathBuf,
        shared: &Arc<Shared>,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let (shared, clock) = (Arc::clone(shared), Arc::clone(clock));
        let mut sampled: Vec<Sampled> = lives
            .iter()
            .zip(files)
            .map(|(life, file)| Sampled::new(life, file, &shared, clock.as_ref()))
            .collect();
        let thread = std::thread::Builder::new().name("sampler".into()).spawn(move || {
            let wait = Duration::from_secs(now::EVERY_SECONDS);
            let mut count_at = Instant::now();
            for look in 0_u64.. {
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                let is_sampled = look.is_multiple_of(LOOKS_PER_SAMPLE);
                for sampled in &mut sampled {
                    sampled.observer.look(clock.as_ref(), false);
                    if is_sampled && sampled.observer.owns() {
                        sampled.sample(clock.as_ref());
                    }
                }
                if is_sampled && count_at <= Instant::now() {
                    let began = Instant::now();
                    for Sampled { life, .. } in &sampled {
                        count(&life.store, &life.store_disk_bytes);
                    }
                    count(&tables, &shared.tables_disk_bytes);
                    count_at = Instant::now() + COUNT_EVERY.max(began.elapsed() * COUNT_SHARE);
                }
            }
            sampled.iter_mut().for_each(|sampled| sampled.observer.look(clock.as_ref(), true));
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A sampler that has panicked has cost samples and nothing else.
            let _panicked = thread.join();
        }
    }
}

/// A pipeline that is sampled.
struct Sampled {
    observer: Observer,
    life: Arc<Life>,
    file: PathBuf,
    hour: LastHour,
    rows: u64,
    at_nanos: u64,
    told: bool,
}

impl Sampled {
    fn new(life: &Arc<Life>, file: PathBuf, shared: &Arc<Shared>, clock: &dyn Clock) -> Self {
        let observer = Observer::new(life, beside(&file), shared, clock);
        let hour = LastHour::read(&file);
        let life = Arc::clone(life);
        Self { observer, life, file, hour, rows: 0, at_nanos: clock.steady_nanos(), told: false }
    }

    fn sample(&mut self, clock: &dyn Clock) {
        let metrics = &self.life.control.metrics;
        let (rows, nanos) =
            (metrics.rows_committed_total.load(Ordering::Relaxed), clock.steady_nanos());
        let seconds = nanos.saturating_sub(self.at_nanos) as f64 / 1e9;
        let now = clock.wall_micros();
        let watermark = metrics.watermark_micros.load(Ordering::Relaxed);
        let lag = (watermark > i64::MIN).then(|| now.saturating_sub(watermark) as f64 / 1e6);
        self.hour.push(Sample {
            at: now.div_euclid(1_000_000),
            rows_per_second: rows.saturating_sub(self.rows) as f64 / seconds.max(1e-9),
            lag_seconds: lag,
        });
        (self.rows, self.at_nanos) = (rows, nanos);
        if let Err(error) = self.hour.write(&self.file)
            && !std::mem::replace(&mut self.told, true)
        {
            tracing::warn!("no samples for `status`: {}: {error}", self.file.display());
        }
    }
}

/// Adds up the bytes of the files below a folder. Files that are removed meanwhile don't count.
fn count(folder: &Path, to: &AtomicU64) {
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes += found.len(),
                Err(_) => {}
            }
        }
    }
    to.store(bytes, Ordering::Relaxed);
}
