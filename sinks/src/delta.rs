//! Delivery to a Delta table, exactly once.
//!
//! One commit carries an epoch's files and `txn(app id, epoch)`. Delta itself refuses neither a
//! repeated nor a lower `txn` version, so the writer looks first:
//!
//! ```text
//!   refresh ──▶ recorded >= epoch? ── yes ──▶ already delivered
//!      ▲               │ no
//!      │               ▼
//!      └── taken ── put version+1 if absent ── landed ──▶ delivered
//!          or unknown
//! ```
//!
//! A version that a commit has taken which changes nothing for the append (files of others came, a
//! compaction replaced some) is gone past without a refresh: a burst of them is outrun.
//!
//! Between refreshes the writer remembers the version it last saw. That is as good as a refresh:
//! the put is at exactly the next version, so it lands only if nothing else did since. A delivery
//! therefore costs one synced file, whatever the table's history, and the writer holds no list of
//! files.
//!
//! Invariants: a table has one writer per app id at a time (the engine's generation fences others),
//! and what is delivered for an epoch is what the epoch file names, so a stale writer could only
//! repeat the same files.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use deltalake_core::kernel::{
    Action, Add, Metadata, MetadataExt, Protocol, StructType, Transaction, new_metadata,
};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use serde_json::{Map, Value, json};

use crate::checkpoint::{is_due, last_checkpoint, write_checkpoint};
use crate::error::SinkError;
use crate::log::{
    Put, commit_bytes, has_entries, is_taken, leaves_appends_be, log_folder, put_commit,
};
use crate::runtime::DeltaRuntime;
use crate::snapshot::{TableSnapshot, table_url};
use crate::stage::{StagedFile, sync_path};
use crate::table::{SchemaDecision, TableSpec, decide_schema};
use crate::watch::reread;

/// Limits of a table's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// A log checkpoint is written after so many commits, and after more where the table has very
    /// many files. At least 1.
    pub checkpoint_commits: u64,
    /// Attempts per delivery before giving up.
    pub attempts_max: u32,
    /// The wait after the first failed attempt; doubled each time, to two seconds at most.
    pub backoff: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { checkpoint_commits: 50, attempts_max: 20, backoff: Duration::from_millis(10) }
    }
}

const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What a delivery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The epoch's files became visible at this table version.
    Now {
        /// The table's version.
        version: u64,
    },
    /// The table has this epoch or a later one already; nothing was changed.
    Already {
        /// The epoch recorded in the table.
        recorded: i64,
    },
}

/// What a table lacks before rows can be delivered to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unready {
    /// There is none.
    Absent,
    /// Columns.
    Columns,
}

/// How many commits of others a delivery goes past before it looks at the table again.
const PUTS_MAX: u32 = 1_000;

/// What the table's log said when it was last looked at.
#[derive(Debug, Clone, Copy)]
struct Seen {
    version: u64,
    recorded: Option<i64>,
}

/// Delivers epochs to one table. Blocking: for a delivery thread, never within an async task.
#[derive(Debug)]
pub struct DeltaTableWriter {
    spec: TableSpec,
    app_id: String,
    options: WriterOptions,
    runtime: DeltaRuntime,
    /// None after a commit whose outcome is unknown; the log is then read again.
    seen: Option<Seen>,
    /// Whether the table has to be made, or to get columns, before the first delivery.
    unready: Option<Unready>,
    checkpoint_error: Option<String>,
}

impl DeltaTableWriter {
    /// Looks at the table, and changes nothing: [`Self::prepare`] makes one that is not there, and
    /// adds columns that it lacks.
    ///
    /// # Errors
    /// The table has another schema, partitioning or protocol, or its log can't be read.
    pub fn open(
        spec: TableSpec,
        app_id: impl Into<String>,
        options: WriterOptions,
        runtime: &DeltaRuntime,
    ) -> Result<Self, SinkError> {
        let (app_id, runtime) = (app_id.into(), runtime.clone());
        let mut writer = Self {
            spec,
            app_id,
            options,
            runtime,
            seen: None,
            unready: None,
            checkpoint_error: None,
        };
        if has_entries(&writer.spec.location)? {
            let snapshot = writer.look()?;
            writer.unready = writer.evolved_metadata(&snapshot)?.map(|_| Unready::Columns);
        } else {
            writer.unready = Some(Unready::Absent);
        }
        Ok(writer)
    }

    /// Makes the table if there is none, or adds columns that it lacks.
    ///
    /// # Errors
    /// The folder can't be written; somebody has made another table there meanwhile.
    pub fn prepare(&mut self) -> Result<(), SinkError> {
        match self.unready {
            None => return Ok(()),
            Some(Unready::Columns) => self.evolve()?,
            // A table that was just written is as it should be; there is nothing to read and
            // nothing to add.
            Some(Unready::Absent) if self.create_if_absent()? => {
                self.seen = Some(Seen { version: 0, recorded: None })
            }
            Some(Unready::Absent) => self.evolve()?,
        }
        self.unready = None;
        Ok(())
    }

    /// Opens the table, creates it (empty) if there is none, and adds columns that it lacks.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::prepare`].
    pub fn open_or_create(
        spec: TableSpec,
        app_id: impl Into<String>,
        options: WriterOptions,
        runtime: &DeltaRuntime,
    ) -> Result<Self, SinkError> {
        let mut writer = Self::open(spec, app_id, options, runtime)?;
        writer.prepare()?;
        Ok(writer)
    }

    /// Whether there is no table yet; [`Self::prepare`] makes it.
    pub fn is_absent(&self) -> bool {
        self.unready == Some(Unready::Absent)
    }

    /// The highest epoch that the table records for this writer's app id, as last seen.
    pub fn delivered_through(&self) -> Option<i64> {
        self.seen.and_then(|seen| seen.recorded)
    }

    /// The table's version as last seen.
    pub fn version(&self) -> Option<u64> {
        self.seen.map(|seen| seen.version)
    }

    /// The table that is written.
    pub fn spec(&self) -> &TableSpec {
        &self.spec
    }

    /// Why the last log checkpoint failed, if it did. Deliveries go on without: reading the log
    /// only gets slower.
    pub fn checkpoint_error(&self) -> Option<&str> {
        self.checkpoint_error.as_deref()
    }

    /// Looks at the table's log again, reads it if anything was added since, and returns the epoch
    /// recorded.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn refresh(&mut self) -> Result<Option<i64>, SinkError> {
        if let Some(seen) = self.seen
            && self.is_next(seen)?
            && !is_taken(&self.spec.location, seen.version + 1)?
        {
            return Ok(seen.recorded);
        }
        self.look()?;
        Ok(self.delivered_through())
    }

    /// Reads the log, also for the epoch that it records.
    fn look(&mut self) -> Result<TableSnapshot, SinkError> {
        self.seen = None;
        let (location, runtime) = (&self.spec.location, &self.runtime);
        let (snapshot, recorded) = reread(location, || {
            let snapshot = TableSnapshot::open(runtime, location)?;
            let recorded = runtime.block_on(snapshot.delivered_through(&self.app_id))?;
            Ok((snapshot, recorded))
        })?;
        // What was just read has to survive a power failure before anyone relies on it.
        sync_path(location.disk().as_ref(), &log_folder(location))?;
        self.seen = Some(Seen { version: snapshot.version(), recorded });
        Ok(snapshot)
    }

    /// Makes an epoch's files visible, once however often it is called:
    /// [`DeltaTableWriter::deliver_range`] of one epoch.
    ///
    /// # Errors
    /// As there.
    pub fn deliver(
        &mut self,
        epoch: i64,
        files: &[StagedFile],
        metadata: &Map<String, Value>,
    ) -> Result<Delivered, SinkError> {
        self.deliver_range(epoch..=epoch, files, metadata)
    }

    /// Makes the files of consecutive epochs visible in one commit, once however often it is
    /// called. The files have to be synced. No files are a commit too, so that the table tells how
    /// far it is complete. `metadata` goes to the commit's information.
    ///
    /// # Errors
    /// [`SinkError::PartlyDelivered`] if the table has the first epochs of the range already, whose
    /// files must not land twice. A staged file is gone, or no attempt succeeded; nothing is
    /// visible then, unless the outcome of the last attempt is unknown, which the next call finds
    /// out.
    pub fn deliver_range(
        &mut self,
        epochs: RangeInclusive<i64>,
        files: &[StagedFile],
        metadata: &Map<String, Value>,
    ) -> Result<Delivered, SinkError> {
        let (first, epoch) = epochs.into_inner();
        let mut reason = String::new();
        let mut files_checked = false;
        for attempt in 0..self.options.attempts_max.max(1) {
            if attempt > 0 {
                std::thread::sleep(backoff(self.options.backoff, attempt));
            }
            let seen = match self.current() {
                Ok(seen) => seen,
                Err(error) if !error.is_away() => return Err(error),
                Err(error) => {
                    reason = error.to_string();
                    continue;
                }
            };
            if let Some(recorded) = seen.recorded.filter(|recorded| *recorded >= epoch) {
                return Ok(Delivered::Already { recorded });
            }
            if let Some(recorded) = seen.recorded.filter(|recorded| *recorded >= first) {
                return Err(SinkError::PartlyDelivered {
                    table: self.spec.name.clone(),
                    first,
                    last: epoch,
                    recorded,
                });
            }
            if !files_checked {
                self.check_files(epoch, files)?;
                files_checked = true;
            }
            match self.put(seen, epoch, files, metadata) {
                Ok(Some(version)) => {
                    self.seen = Some(Seen { version, recorded: Some(epoch) });
                    self.checkpoint_if_due(version);
                    return Ok(Delivered::Now { version });
                }
                Ok(None) => {
                    reason = format!("another commit has followed version {}", seen.version)
                }
                Err(error) if !error.is_away() => {
                    self.seen = None;
                    return Err(error);
                }
                Err(error) => reason = error.to_string(),
            }
            self.seen = None;
        }
        Err(SinkError::DeliveryGaveUp {
            table: self.spec.name.clone(),
            attempts: self.options.attempts_max.max(1),
            reason,
        })
    }

    /// Writes a log checkpoint at the newest version, so that readers start there.
    ///
    /// # Errors
    /// The log can't be read or the checkpoint can't be written; the table is unchanged.
    pub fn checkpoint(&mut self) -> Result<(), SinkError> {
        write_checkpoint(&self.runtime, &self.spec.location)
    }

    /// What is known about the log, read again where there is doubt.
    fn current(&mut self) -> Result<Seen, SinkError> {
        if let Some(seen) = self.seen
            && self.is_next(seen)?
        {
            return Ok(seen);
        }
        self.refresh()?;
        self.seen
            .ok_or_else(|| SinkError::NotATable { location: self.spec.location.path().to_owned() })
    }

    /// Whether a put after what was seen lands right after it, or nowhere. Old log entries are only
    /// removed below a checkpoint: without one ahead of what was seen, the next version's file
    /// would still be there if it was ever taken. And where the entry that was seen is gone, the
    /// table is not the one that it was.
    fn is_next(&self, seen: Seen) -> Result<bool, SinkError> {
        let location = &self.spec.location;
        Ok(last_checkpoint(location)?.is_none_or(|last| last.version <= seen.version)
            && is_taken(location, seen.version)?)
    }

    /// Puts a commit after what was seen, and after commits since then that change nothing for it.
    /// Gives its version; none where another commit has to be looked at first.
    fn put(
        &self,
        mut seen: Seen,
        epoch: i64,
        files: &[StagedFile],
        metadata: &Map<String, Value>,
    ) -> Result<Option<u64>, SinkError> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        let actions =
            files.iter().map(|file| Action::Add(add_action(file, now_ms, true))).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(self.spec.partition_by()).filter(|columns| !columns.is_empty()),
            predicate: None,
        };
        let mut info = metadata.clone();
        info.insert("riskstreamEpoch".into(), json!(epoch));
        let transaction = Transaction::new_with_last_update(&self.app_id, epoch, Some(now_ms));
        let bytes = Bytes::from(commit_bytes(actions, operation, info, vec![transaction])?);
        let location = &self.spec.location;
        for _ in 0..PUTS_MAX {
            match put_commit(location, seen.version + 1, bytes.clone())? {
                Put::Landed => return Ok(Some(seen.version + 1)),
                Put::Taken => seen.version += 1,
            }
            if !leaves_appends_be(location, seen.version, &self.app_id)? || !self.is_next(seen)? {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn check_files(&self, epoch: i64, files: &[StagedFile]) -> Result<(), SinkError> {
        for file in files {
            let path = self.spec.location.join(&file.path);
            let found =
                self.spec.location.disk().look(&path).map_err(SinkError::io("look for", &path))?;
            if found.is_none_or(|found| found.bytes != file.bytes) {
                return Err(SinkError::StagedFileMissing {
                    table: self.spec.name.clone(),
                    epoch,
                    path,
                });
            }
        }
        Ok(())
    }

    fn checkpoint_if_due(&mut self, version: u64) {
        let last = last_checkpoint(&self.spec.location).ok().flatten();
        if is_due(last, version, self.options.checkpoint_commits) {
            self.checkpoint_error = self.checkpoint().err().map(|error| error.to_string());
        }
    }

    /// Whether the table is new, made by this.
    fn create_if_absent(&self) -> Result<bool, SinkError> {
        let location = &self.spec.location;
        let log = log_folder(location);
        location.disk().make_folders_durably(&log).map_err(SinkError::io("create folder", &log))?;
        if has_entries(location)? {
            return Ok(false);
        }
        let protocol: Protocol =
            serde_json::from_value(json!({"minReaderVersion": 1, "minWriterVersion": 2}))?;
        let metadata = self.new_metadata(&self.spec.delta_schema()?)?;
        let operation = DeltaOperation::Create {
            mode: SaveMode::ErrorIfExists,
            location: table_url(location)?,
            protocol: protocol.clone(),
            metadata: metadata.clone(),
        };
        let actions = vec![Action::Protocol(protocol), Action::Metadata(metadata)];
        let bytes = commit_bytes(actions, operation, Map::new(), Vec::new())?;
        // Whoever creates the table first decides its schema; `evolve` compares it with ours.
        Ok(put_commit(location, 0, bytes)? == Put::Landed)
    }

    fn new_metadata(&self, columns: &StructType) -> Result<Metadata, SinkError> {
        let no_configuration: [(String, String); 0] = [];
        new_metadata(columns, self.spec.partition_by(), no_configuration)
            .and_then(|metadata| metadata.with_name(self.spec.name.clone()))
            .map_err(SinkError::delta(self.spec.location.path()))
    }

    /// Refreshes, and adds missing columns in a commit of their own before any row.
    fn evolve(&mut self) -> Result<(), SinkError> {
        for _ in 0..self.options.attempts_max.max(1) {
            let snapshot = self.look()?;
            let Some(metadata) = self.evolved_metadata(&snapshot)? else { return Ok(()) };
            let fields = metadata.1;
            let bytes = commit_bytes(
                vec![Action::Metadata(metadata.0)],
                DeltaOperation::AddColumn { fields },
                Map::new(),
                Vec::new(),
            )?;
            // Landed or taken, the next round reads what the table says now.
            put_commit(&self.spec.location, snapshot.version() + 1, bytes)?;
        }
        Err(SinkError::DeliveryGaveUp {
            table: self.spec.name.clone(),
            attempts: self.options.attempts_max.max(1),
            reason: "other writers kept changing the table while columns were added".into(),
        })
    }

    fn evolved_metadata(
        &self,
        snapshot: &TableSnapshot,
    ) -> Result<Option<(Metadata, Vec<deltalake_core::kernel::StructField>)>, SinkError> {
        let location = &self.spec.location;
        let (reader, writer) = snapshot.protocol()?;
        if reader > 1 || writer > 2 {
            return Err(SinkError::UnsupportedProtocol {
                table: self.spec.name.clone(),
                location: location.path().to_owned(),
                reader,
                writer,
            });
        }
        let decision = decide_schema(
            snapshot.schema()?.as_ref(),
            &snapshot.partition_by()?,
            self.spec.table_schema().as_ref(),
            &self.spec.partition_by(),
        );
        match decision {
            SchemaDecision::Same => Ok(None),
            SchemaDecision::Refuse { .. } if was_only_made(snapshot)? => {
                let wanted = self.spec.delta_schema()?;
                let metadata = self.new_metadata(&wanted)?;
                // It stays the same table to those who know it by its id.
                let mut told = serde_json::to_value(&metadata)?;
                told["id"] = serde_json::to_value(snapshot.metadata()?)?["id"].take();
                let metadata = serde_json::from_value(told)?;
                Ok(Some((metadata, wanted.fields().cloned().collect())))
            }
            SchemaDecision::Refuse { difference, help } => Err(SinkError::SchemaMismatch {
                table: self.spec.name.clone(),
                location: location.path().to_owned(),
                difference,
                help,
            }),
            SchemaDecision::AddColumns(columns) => {
                let wanted = self.spec.delta_schema()?;
                let added: Vec<_> = wanted
                    .fields()
                    .filter(|field| columns.contains(field.name()))
                    .cloned()
                    .collect();
                let existing = snapshot.kernel_schema()?;
                let fields = existing.fields().cloned().chain(added.iter().cloned());
                let schema = deltalake_core::kernel::StructType::try_new(fields)
                    .map_err(SinkError::delta(location.path()))?;
                let metadata = snapshot
                    .metadata()?
                    .clone()
                    .with_schema(&schema)
                    .map_err(SinkError::delta(location.path()))?;
                Ok(Some((metadata, added)))
            }
        }
    }
}

/// Whether a table was made and never written to: its columns bind nobody. A run that its source
/// refuses has made its tables before.
fn was_only_made(snapshot: &TableSnapshot) -> Result<bool, SinkError> {
    Ok(snapshot.version() == 0 && snapshot.files()?.is_empty())
}

/// The add action of a data file.
pub(crate) fn add_action(file: &StagedFile, modification_time: i64, data_change: bool) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: file
            .partition_values
            .iter()
            .map(|(column, value)| (column.clone(), value.clone()))
            .collect::<HashMap<_, _>>(),
        size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        modification_time,
        data_change,
        stats: Some(file.stats_json.clone()),
        ..Add::default()
    }
}

fn backoff(first: Duration, attempt: u32) -> Duration {
    first.saturating_mul(1 << (attempt - 1).min(16)).min(BACKOFF_MAX)
}
