//! The thread that writes.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::chain::{self, AuditRecord, Content};
use super::error::AuditError;
use super::folder::{self, End, Head, Reach};
use super::private;

/// Records that may wait to be written; a statement waits when there are more.
const QUEUE_MAX: usize = 4096;
/// Between two fsyncs: what a power loss may take.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// Between two tries while the disk takes nothing.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Size at which a new file is begun, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Takes the records of statements. Dropping it writes what is there.
#[derive(Debug)]
pub struct Audit {
    queue: Option<mpsc::Sender<AuditRecord>>,
    stuck: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
    torn_bytes: u64,
}

impl Audit {
    /// Goes on with the audit of a folder, or begins one.
    ///
    /// # Errors
    /// The folder can't be written, is written by another process, or what is there was changed.
    pub fn open(folder: &Path) -> Result<Self, AuditError> {
        Self::with(folder, FILE_BYTES_MAX)
    }

    /// Goes on with an audit whose folder has this name within that of another one, or begins it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(other: &Path, name: &str) -> Result<Self, AuditError> {
        private::make_folder(other).map_err(AuditError::io(other, "make the folder"))?;
        Self::open(&other.join(name))
    }

    pub(super) fn with(folder: &Path, file_bytes_max: u64) -> Result<Self, AuditError> {
        let io = |what| AuditError::io(folder, what);
        private::make_folder(folder).map_err(io("make the folder"))?;
        let lock = private::open(&folder.join("lock")).map_err(io("make the lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(AuditError::Taken { folder: folder.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock")(error)),
        }
        let end = folder::walk(folder, Reach::LastFile).map_err(io("read"))?;
        let end =
            end.map_err(|tampered| AuditError::Tampered { folder: folder.to_owned(), tampered })?;
        if end.torn_bytes > 0 {
            folder::put_aside_torn(folder, &end).map_err(io("put a torn line aside"))?;
            tracing::warn!(
                "the audit in {} ended within a line: {} bytes behind record {} are put aside",
                folder.display(),
                end.torn_bytes,
                end.sequence
            );
        }
        let torn_bytes = end.torn_bytes;
        let stuck = Arc::new(Mutex::new(None));
        let mut writer = Writer::new(folder, end, file_bytes_max, lock).map_err(io("write"))?;
        let (queue, records) = mpsc::channel(QUEUE_MAX);
        let said = Arc::clone(&stuck);
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(records, &said))
            .map_err(io("start the thread"))?;
        Ok(Self { queue: Some(queue), stuck, thread: Some(thread), torn_bytes })
    }

    /// Bytes of a half-written line that were put aside when it was opened.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Takes a record. It waits for a place in the queue, not for the disk.
    ///
    /// # Errors
    /// The disk takes no more: the record may not be kept, so the statement should not be answered.
    pub async fn record(&self, record: AuditRecord) -> Result<(), AuditError> {
        let queue = self.ready()?;
        queue.send(record.shortened()).await.map_err(|_closed| AuditError::Closed)
    }

    /// As [`Self::record`], for who can't wait, as a statement whose client has gone. A record for
    /// which there is no place in the queue waits for one by itself, where there is a runtime.
    ///
    /// # Errors
    /// As [`Self::record`]; or there is neither a place nor a runtime.
    pub(crate) fn record_soon(&self, record: AuditRecord) -> Result<(), AuditError> {
        let queue = self.ready()?;
        match (queue.try_send(record.shortened()), Handle::try_current()) {
            (Ok(()), _) => Ok(()),
            (Err(TrySendError::Full(record)), Ok(runtime)) => {
                let queue = queue.clone();
                runtime.spawn(async move {
                    if queue.send(record).await.is_err() {
                        tracing::error!("the audit was closed before it had a record");
                    }
                });
                Ok(())
            }
            (Err(TrySendError::Full(_) | TrySendError::Closed(_)), _) => Err(AuditError::Closed),
        }
    }

    /// As [`Self::record`], for a thread that is none of an async runtime.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn record_blocking(&self, record: AuditRecord) -> Result<(), AuditError> {
        self.ready()?.blocking_send(record.shortened()).map_err(|_closed| AuditError::Closed)
    }

    /// Whether records can be kept at the moment: to be asked before a statement begins.
    ///
    /// # Errors
    /// The disk takes no more.
    pub fn check(&self) -> Result<(), AuditError> {
        self.ready().map(|_queue| ())
    }

    fn ready(&self) -> Result<&mpsc::Sender<AuditRecord>, AuditError> {
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (stuck, &self.queue) {
            (Some(why), _) => Err(AuditError::Stuck { why }),
            (None, Some(queue)) => Ok(queue),
            (None, None) => Err(AuditError::Closed),
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        // The thread ends when it has written what is in the closed queue.
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the audit's thread had panicked");
        }
    }
}

struct Writer {
    folder: PathBuf,
    file_bytes_max: u64,
    file: File,
    /// What is surely in the file, and where the next line goes.
    end: End,
    synced: Option<Instant>,
    dirty: bool,
    /// Held as long as the folder is ours.
    _lock: File,
}

impl Writer {
    fn new(folder: &Path, end: End, file_bytes_max: u64, lock: File) -> io::Result<Self> {
        let end = End { file: end.file.max(1), torn_bytes: 0, ..end };
        let file = open(folder, &end)?;
        let mut writer = Self {
            folder: folder.to_owned(),
            file_bytes_max,
            file,
            end,
            synced: None,
            dirty: true,
            _lock: lock,
        };
        writer.sync()?;
        writer.tell_head();
        Ok(writer)
    }

    fn run(&mut self, mut records: mpsc::Receiver<AuditRecord>, stuck: &Mutex<Option<String>>) {
        let mut batch = Vec::new();
        while records.blocking_recv_many(&mut batch, QUEUE_MAX) > 0 {
            let mut lines: Vec<AuditRecord> = std::mem::take(&mut batch);
            self.keep_trying(stuck, |writer| writer.write(&mut lines));
            if self.synced.is_some_and(|synced| synced.elapsed() < SYNC_EVERY)
                && !records.is_closed()
            {
                let rest = self
                    .synced
                    .map_or(SYNC_EVERY, |synced| SYNC_EVERY.saturating_sub(synced.elapsed()));
                std::thread::sleep(rest);
                // What has come meanwhile is kept by the same fsync.
                while let Ok(record) = records.try_recv() {
                    batch.push(record);
                    if batch.len() == QUEUE_MAX {
                        break;
                    }
                }
                let mut lines: Vec<AuditRecord> = std::mem::take(&mut batch);
                self.keep_trying(stuck, |writer| writer.write(&mut lines));
            }
            self.keep_trying(stuck, Writer::sync);
        }
    }

    /// Does it until the disk lets it, and tells while it does not.
    fn keep_trying(
        &mut self,
        stuck: &Mutex<Option<String>>,
        mut act: impl FnMut(&mut Self) -> io::Result<()>,
    ) {
        while let Err(error) = act(self) {
            tracing::error!("the audit in {} can't be written: {error}", self.folder.display());
            *stuck.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            std::thread::sleep(RETRY_EVERY);
            // A write that was cut short goes, or the file if it has gone bad.
            if let Ok(file) = open(&self.folder, &self.end) {
                self.file = file;
            }
        }
        *stuck.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Writes the records, and takes those away that are written.
    fn write(&mut self, records: &mut Vec<AuditRecord>) -> io::Result<()> {
        while !records.is_empty() {
            if self.end.bytes >= self.file_bytes_max {
                self.rotate()?;
            }
            let mut buffer = Vec::new();
            let mut end = self.end.clone();
            let mut taken = 0;
            for record in records.iter() {
                if self.end.bytes + buffer.len() as u64 >= self.file_bytes_max {
                    break;
                }
                end.sequence += 1;
                let content = Content::new(end.sequence, record.clone());
                end.hash = chain::append(&mut buffer, &content, &end.hash)?;
                taken += 1;
            }
            self.file.write_all(&buffer)?;
            end.bytes += buffer.len() as u64;
            self.end = end;
            self.dirty = true;
            records.drain(..taken);
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.sync()?;
        let end = End { file: self.end.file + 1, bytes: 0, ..self.end.clone() };
        self.file = open(&self.folder, &end)?;
        self.end = end;
        self.tell_head();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.sync_data()?;
            let head = Head { sequence: self.end.sequence, hash: chain::to_hex(&self.end.hash) };
            folder::write_head(&self.folder, &head)?;
            self.dirty = false;
        }
        self.synced = Some(Instant::now());
        Ok(())
    }

    fn tell_head(&self) {
        let hash = chain::to_hex(&self.end.hash);
        tracing::info!("the audit stands at record {}, hash {hash}", self.end.sequence);
    }
}

/// Opens the last file for what comes behind its whole lines.
fn open(folder: &Path, end: &End) -> io::Result<File> {
    let path = folder.join(folder::file_name(end.file));
    let mut file = private::open(&path)?;
    file.set_len(end.bytes)?;
    file.seek(SeekFrom::Start(end.bytes))?;
    Ok(file)
}
