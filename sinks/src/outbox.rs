//! A Delta table as the engine's sink: rows into the epoch's outbox on every worker, out of it into
//! the table once.
//!
//! A worker's part of a large epoch is staged as Parquet at once, and the epoch file only names the
//! files; a small part travels as rows in the epoch file and becomes Parquet when it is delivered,
//! many epochs to one file. Which of the two is a matter of cost, never of guarantees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use riskstream_engine::contract::{
    Delivery, EpochClose, OutboxEntry, OutboxPart, SinkError as EngineSinkError, SinkWriter,
    SyncFiles,
};
use riskstream_engine::ids::Epoch;
use serde_json::{Map, Value, json};

use crate::alerts::{ALERT_ID_COLUMN, AlertIdentity, alert_schema, identity_ids, with_alert_ids};
use crate::delta::{DeltaTableWriter, WriterOptions};
use crate::empty::{OwnRows, empty};
use crate::error::SinkError;
use crate::left_rows::{Pairing, RUN_THE_FORMER, check_staged, conform};
use crate::parquet_settings::StageSettings;
use crate::runtime::DeltaRuntime;
use crate::stage::{StagedFile, Stager, parquet_schema, sync_files};
use crate::table::TableSpec;

/// A worker's part of an epoch with fewer rows than this travels in the epoch file.
pub const STAGE_ROWS_MIN: usize = 8_192;
/// The worker number in the names of files that the delivery itself writes.
const DELIVERY_WORKER: u32 = u32::MAX;

/// Which columns of a row land in the table, and under which names.
#[derive(Debug, Clone)]
pub struct Projection {
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl Projection {
    /// Takes `columns` (input name, table name) of `input`, in that order.
    ///
    /// # Errors
    /// A column is missing.
    pub fn new(input: &Schema, columns: &[(String, String)]) -> Result<Self, SinkError> {
        let mut indices = Vec::with_capacity(columns.len());
        let mut fields: Vec<FieldRef> = Vec::with_capacity(columns.len());
        for (from, to) in columns {
            let index = input.index_of(from)?;
            indices.push(index);
            fields.push(Arc::new(input.field(index).clone().with_name(to)));
        }
        Ok(Self { columns: indices, schema: Arc::new(Schema::new(fields)) })
    }

    /// The projected columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The projected columns of `rows`.
    ///
    /// # Errors
    /// The rows have other columns than those given to [`Self::new`].
    pub fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, SinkError> {
        let columns = self.columns.iter().map(|c| rows.column(*c).clone()).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// A table, and how rows become its rows.
#[derive(Debug, Clone)]
pub struct TableSink {
    /// The sink's id.
    pub id: String,
    /// The table.
    pub table: TableSpec,
    /// From the pipeline's rows.
    pub projection: Projection,
    /// Set for an alerts table: `alert_id` goes in front.
    pub alerts: Option<AlertIdentity>,
    /// How files are written.
    pub settings: StageSettings,
    /// Where others write the table too: which of its rows are this sink's.
    pub own_rows: Option<OwnRows>,
}

/// The schema of an alerts table over projected rows.
///
/// # Errors
/// The rows have an `alert_id` already.
pub fn alerts_table_schema(projection: &Projection) -> Result<SchemaRef, SinkError> {
    alert_schema(projection.schema())
}

impl TableSink {
    fn rows(&self, rows: &RecordBatch) -> Result<RecordBatch, SinkError> {
        let rows = self.projection.apply(rows)?;
        match &self.alerts {
            Some(identity) => with_alert_ids(&self.table.schema, &self.id, identity, &rows),
            None => Ok(rows),
        }
    }

    /// Rows that an earlier run left, as the table's are now. Alerts keep the ids that they were
    /// given; rows that were none get theirs.
    fn left_rows(&self, rows: &RecordBatch) -> Result<RecordBatch, SinkError> {
        let conformed = conform(&self.table, rows)?;
        match &self.alerts {
            Some(identity) if rows.column_by_name(ALERT_ID_COLUMN).is_none() => {
                let ids = identity_ids(&self.id, identity, &conformed)?;
                let columns = std::iter::once(Arc::new(ids) as ArrayRef)
                    .chain(conformed.columns()[1..].iter().cloned());
                Ok(RecordBatch::try_new(conformed.schema(), columns.collect())?)
            }
            _ => Ok(conformed),
        }
    }

    fn check_left_file(&self, epoch: Epoch, file: &StagedFile) -> Result<(), SinkError> {
        let pairs = check_staged(&self.table, epoch.0, file)?;
        if self.alerts.is_some() && pairs.first() == Some(&Pairing::Missing) {
            return Err(SinkError::LeftRows {
                table: self.table.name.clone(),
                problem: format!(
                    "{} was staged when they were no alerts: it has no '{ALERT_ID_COLUMN}'",
                    file.path
                ),
                help: RUN_THE_FORMER.into(),
            });
        }
        Ok(())
    }

    fn failed(&self, error: &SinkError) -> EngineSinkError {
        engine_error(&self.id, &self.table, error)
    }

    fn away(&self, error: &SinkError) -> EngineSinkError {
        let object = format!("table {} at {}", self.table.name, self.table.location.display());
        EngineSinkError::Away { sink: self.id.clone(), object, reason: error.to_string() }
    }

    /// The writer of one worker.
    ///
    /// # Errors
    /// The table's rule does not fit its columns.
    pub fn writer(
        self: &Arc<Self>,
        generation: u64,
        worker: usize,
    ) -> Result<Box<dyn SinkWriter>, EngineSinkError> {
        let worker = u32::try_from(worker).unwrap_or(DELIVERY_WORKER - 1);
        let stager = Stager::new(self.table.clone(), generation, worker, self.settings)
            .map_err(|e| self.failed(&e))?;
        Ok(Box::new(DeltaSinkWriter { sink: Arc::clone(self), stager, rows: Vec::new() }))
    }

    /// Makes staged files durable.
    pub fn sync(&self) -> SyncFiles {
        let (id, table) = (self.id.clone(), self.table.clone());
        Arc::new(move |names: &[Value]| {
            let files = staged(names).map_err(|e| engine_error(&id, &table, &e))?;
            sync_files(&table.location, &files).map_err(|e| engine_error(&id, &table, &e))
        })
    }

    /// The delivery into the table, which is made if absent once the delivery is prepared. `app_id`
    /// names this sink in the table's log for ever.
    ///
    /// # Errors
    /// The table can't be read, or has another schema.
    pub fn delivery(
        self: &Arc<Self>,
        app_id: &str,
        runtime: &DeltaRuntime,
    ) -> Result<DeltaDelivery, EngineSinkError> {
        let options = WriterOptions { attempts_max: ATTEMPTS, ..WriterOptions::default() };
        let writer = DeltaTableWriter::open(self.table.clone(), app_id, options, runtime)
            .map_err(|e| self.failed(&e))?;
        let recorded = writer.delivered_through();
        let runtime = runtime.clone();
        let waiting = Vec::new();
        Ok(DeltaDelivery {
            sink: Arc::clone(self),
            writer,
            app_id: app_id.to_owned(),
            recorded,
            run: None,
            waiting,
            runtime,
        })
    }
}

fn engine_error(sink: &str, table: &TableSpec, error: &SinkError) -> EngineSinkError {
    let (sink, object, reason) = (
        sink.to_owned(),
        format!("table {} at {}", table.name, table.location.display()),
        error.to_string(),
    );
    match error {
        SinkError::SchemaMismatch { .. }
        | SinkError::UnsupportedProtocol { .. }
        | SinkError::UnsupportedColumn { .. }
        | SinkError::LeftRows { .. }
        | SinkError::NamesAlike { .. } => EngineSinkError::Mismatch { sink, object, reason },
        SinkError::PartitionRule { .. }
        | SinkError::BatchSchema { .. }
        | SinkError::EventTimeRange { .. }
        | SinkError::StagedFileMissing { .. }
        | SinkError::PartlyDelivered { .. }
        | SinkError::WentBack { .. }
        | SinkError::DeliveryGaveUp { .. }
        | SinkError::CompactionRows { .. }
        | SinkError::NotATable { .. }
        | SinkError::Io { .. }
        | SinkError::Delta { .. }
        | SinkError::Parquet { .. }
        | SinkError::Arrow(_)
        | SinkError::Json(_) => EngineSinkError::Write { sink, object, reason },
    }
}

/// The staged files that an outbox names.
///
/// # Errors
/// What it names was staged by a sink of another kind.
pub fn staged(names: &[Value]) -> Result<Vec<StagedFile>, SinkError> {
    names.iter().map(|n| serde_json::from_value(n.clone()).map_err(SinkError::from)).collect()
}

#[derive(Debug)]
struct DeltaSinkWriter {
    sink: Arc<TableSink>,
    stager: Stager,
    rows: Vec<RecordBatch>,
}

impl SinkWriter for DeltaSinkWriter {
    fn on_batch(&mut self, _epoch: Epoch, batch: RecordBatch) -> Result<(), EngineSinkError> {
        self.rows.push(self.sink.rows(&batch).map_err(|e| self.sink.failed(&e))?);
        Ok(())
    }

    fn finish(&mut self, close: &EpochClose) -> Result<OutboxPart, EngineSinkError> {
        let rows = std::mem::take(&mut self.rows);
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        if count == 0 {
            return Ok(OutboxPart::default());
        }
        if count < STAGE_ROWS_MIN {
            let rows = concat_batches(&self.sink.table.schema, &rows)
                .map_err(|e| self.sink.failed(&e.into()))?;
            return Ok(OutboxPart { rows: vec![rows], ..OutboxPart::default() });
        }
        let files = match self.stager.stage(close.epoch.0, &rows) {
            Ok(files) => files,
            // Where the table's folder is away, the rows travel in the epoch file, and wait there.
            Err(error) if error.is_away() => {
                let rows = concat_batches(&self.sink.table.schema, &rows)
                    .map_err(|e| self.sink.failed(&e.into()))?;
                return Ok(OutboxPart { rows: vec![rows], ..OutboxPart::default() });
            }
            Err(error) => return Err(self.sink.failed(&error)),
        };
        let files = files
            .into_iter()
            .map(|f| serde_json::to_value(f).map_err(|e| self.sink.failed(&e.into())))
            .collect::<Result<_, _>>()?;
        Ok(OutboxPart { files, ..OutboxPart::default() })
    }
}

/// The process's side: committed epochs into the table, each once.
#[derive(Debug)]
pub struct DeltaDelivery {
    sink: Arc<TableSink>,
    writer: DeltaTableWriter,
    app_id: String,
    /// The last epoch that the table is known to have.
    recorded: Option<i64>,
    run: Option<Stager>,
    /// What was given while the table was away.
    waiting: Vec<OutboxEntry>,
    runtime: DeltaRuntime,
}

/// Attempts of one delivery: a few seconds. The engine tries again for as long as it takes.
const ATTEMPTS: u32 = 8;

impl DeltaDelivery {
    /// The table's folder.
    pub fn location(&self) -> &Path {
        &self.sink.table.location
    }

    /// Writes the rows of small epochs as files of one name series per delivery.
    fn stage_rows(
        &mut self,
        epoch: i64,
        rows: &[RecordBatch],
    ) -> Result<Vec<StagedFile>, SinkError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // Names must be new for each attempt: a repeat after a crash must not overwrite a file that
        // the table may name by now.
        let attempt = self.sink.table.location.disk().unique();
        let stager = match &mut self.run {
            Some(stager) => stager,
            None => self.run.insert(Stager::new(
                self.sink.table.clone(),
                attempt,
                DELIVERY_WORKER,
                self.sink.settings,
            )?),
        };
        // What an earlier run left may lack columns that have come since: null here, as in the
        // table's older files.
        let rows = concat_batches(&parquet_schema(&self.sink.table.schema), rows)?;
        let files = stager.stage(u64::try_from(epoch).unwrap_or(0), &[rows])?;
        sync_files(&self.sink.table.location, &files)?;
        Ok(files)
    }

    /// Looks whether the table has what it had: epochs are left out by what it is known to have.
    fn check_recorded(&mut self) -> Result<(), SinkError> {
        let (delivered, recorded) =
            (self.recorded.unwrap_or(0), self.writer.refresh()?.unwrap_or(0));
        if recorded < delivered {
            return Err(SinkError::WentBack {
                table: self.sink.table.name.clone(),
                delivered,
                recorded,
            });
        }
        Ok(())
    }

    /// Delivers what the table lacks. A delivery whose outcome was unknown, or another process, may
    /// have recorded some of these epochs since the last look: then only the rest goes out.
    fn deliver_all(&mut self, entries: &[OutboxEntry]) -> Result<(), SinkError> {
        match self.deliver_missing(entries) {
            Err(SinkError::PartlyDelivered { recorded, .. }) => {
                self.recorded = Some(recorded);
                self.deliver_missing(entries)
            }
            outcome => outcome,
        }
    }

    /// Empties the table where an epoch asks for it; gives the entries that are still to be
    /// delivered.
    fn empty_first<'a>(
        &mut self,
        entries: &'a [OutboxEntry],
    ) -> Result<&'a [OutboxEntry], SinkError> {
        // Entries before the last emptying are skipped, since it would remove their rows again.
        let Some(last) =
            entries.iter().rposition(|entry| entry.parts.iter().any(|part| part.empties))
        else {
            return Ok(entries);
        };
        let epoch = i64::try_from(entries[last].epoch.0).unwrap_or(i64::MAX);
        if self.recorded.is_none_or(|recorded| recorded < epoch) {
            empty(
                &self.runtime,
                &self.sink.table.location,
                &self.app_id,
                epoch,
                self.sink.own_rows.as_ref(),
            )?;
            self.recorded = self.writer.refresh()?;
        }
        Ok(&entries[last..])
    }

    fn deliver_missing(&mut self, entries: &[OutboxEntry]) -> Result<(), SinkError> {
        self.check_recorded()?;
        let entries = self.empty_first(entries)?;
        let mut files = Vec::new();
        let mut rows = Vec::new();
        let mut newest = None;
        let mut oldest = None;
        for entry in entries {
            let epoch = i64::try_from(entry.epoch.0).unwrap_or(i64::MAX);
            if self.recorded.is_some_and(|r| epoch <= r) {
                continue;
            }
            oldest.get_or_insert(epoch);
            newest = Some(epoch);
            for part in &entry.parts {
                rows.extend(part.rows.iter().cloned());
                files.extend(staged(&part.files)?);
            }
        }
        let (Some(newest), Some(oldest)) = (newest, oldest) else { return Ok(()) };
        files.extend(self.stage_rows(newest, &rows)?);
        if files.is_empty() {
            return Ok(());
        }
        let mut metadata = Map::new();
        metadata.insert(
            "riskstream".into(),
            json!({ "app": self.app_id, "first_epoch": oldest, "last_epoch": newest }),
        );
        self.writer.deliver_range(oldest..=newest, &files, &metadata)?;
        self.recorded = Some(newest);
        Ok(())
    }
}

impl Delivery for DeltaDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, EngineSinkError> {
        if self.writer.is_absent() {
            return Ok(None);
        }
        let recorded = self.writer.refresh().map_err(|e| self.sink.failed(&e))?;
        self.recorded = recorded;
        Ok(recorded.and_then(|r| u64::try_from(r).ok()).map(Epoch))
    }

    fn take_over(&mut self, mut left: OutboxEntry) -> Result<OutboxEntry, EngineSinkError> {
        let sink = &self.sink;
        for part in &mut left.parts {
            for rows in &mut part.rows {
                *rows = sink.left_rows(rows).map_err(|e| sink.failed(&e))?;
            }
            let of_another_kind = |_| SinkError::LeftRows {
                table: sink.table.name.clone(),
                problem: format!(
                    "what epoch {} holds for '{}' is no table's, since it was a destination of \
                     another kind",
                    left.epoch, sink.id
                ),
                help: RUN_THE_FORMER.into(),
            };
            let files = staged(&part.files).map_err(|e| sink.failed(&of_another_kind(e)))?;
            files
                .iter()
                .try_for_each(|file| sink.check_left_file(left.epoch, file))
                .map_err(|e| sink.failed(&e))?;
        }
        Ok(left)
    }

    fn prepare(&mut self) -> Result<(), EngineSinkError> {
        self.writer.prepare().map_err(|e| self.sink.failed(&e))
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), EngineSinkError> {
        self.waiting = entries;
        self.try_again()
    }

    fn try_again(&mut self) -> Result<(), EngineSinkError> {
        let entries = std::mem::take(&mut self.waiting);
        let Err(error) = self.deliver_all(&entries) else { return Ok(()) };
        if error.is_away() {
            self.waiting = entries;
            return Err(self.sink.away(&error));
        }
        Err(self.sink.failed(&error))
    }
}

/// Paths (below each table's folder) that the outboxes of a store still name, by table: what a
/// vacuum must keep.
pub fn named_files(
    parts: &BTreeMap<PathBuf, Vec<Value>>,
) -> Result<BTreeMap<PathBuf, Vec<String>>, SinkError> {
    // What a sink of another kind wrote there is no object.
    let objects =
        |names: &[Value]| names.iter().filter(|n| n.is_object()).cloned().collect::<Vec<_>>();
    parts
        .iter()
        .map(|(table, names)| {
            Ok((table.clone(), staged(&objects(names))?.into_iter().map(|f| f.path).collect()))
        })
        .collect()
}
