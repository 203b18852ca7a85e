//! Sinks: tables made if absent, console rows kept for the end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use riskstream_engine::contract::{
    Delivery, EpochClose, LATE, NEEDS_NOTHING_AGAIN, OutboxEntry, OutboxPart, SOURCE_OFFSET,
    SOURCE_PARTITION, SinkError, SinkWriter,
};
use riskstream_engine::ids::Epoch;
use riskstream_engine::runtime::{BuildWriter, SinkPlan, StepPlan};
use riskstream_operators::windows;
use riskstream_sinks::{
    AlertIdentity, DeltaRuntime, KafkaSink, KafkaSinkSpec, LastRows, OwnRows, PartitionRule,
    Projection, SessionIdentity, StageSettings, TableSink, TableSpec, alerts_table_schema,
};

use super::context::StepContext;
use super::dead_letters::{PIPELINE_COLUMN, TaggedWriter, dead_letter_table};
use super::destinations::{destination_name, table_name};
use super::error::PlanError;
use super::names::KnownAs;
use super::places::{store_location, table_location};
use super::strangers;
use crate::config::Spanned;
use crate::config::spec::{
    Deliver, Destination, DestinationKind, KafkaDestination, Late, Partitioning, TableDestination,
};
use crate::config::{Problem, defaults};
use crate::steps::plan_filter;

/// What the column `window` begins with for a session.
const SESSION_PREFIX: &str = "session ";
/// The file of a store's identity in Kafka clusters.
const KAFKA_IDENTITY: &str = "kafka-identity";

/// What a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Rows of a pipeline.
    Rows,
    /// Alerts.
    Alerts,
    /// Dead letters.
    DeadLetters,
}

/// A table that a pipeline writes.
#[derive(Debug, Clone)]
pub struct PlannedTable {
    /// The sink's id.
    pub sink: String,
    /// The table's name, as `query` knows it.
    pub table: String,
    /// Its folder.
    pub location: PathBuf,
    /// What it is for.
    pub kind: TableKind,
    /// Whether it is partitioned by the event's date.
    pub is_by_date: bool,
}

/// A sink whose table is not opened yet, or that has none.
enum Planning {
    Table { sink: Arc<TableSink>, steps: Vec<StepPlan> },
    Open(SinkPlan),
}

pub(super) struct Sinks {
    pub(super) plans: Vec<SinkPlan>,
    pub(super) dead_letters: SinkPlan,
    pub(super) tables: Vec<PlannedTable>,
    pub(super) consoles: Vec<(String, Arc<Mutex<LastRows>>)>,
}

pub(super) fn plan_sinks(
    context: &StepContext<'_>,
    runtime: &DeltaRuntime,
) -> Result<Sinks, PlanError> {
    let (mut planning, mut tables, mut consoles) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |sink: TableSink, steps: Vec<StepPlan>, kind: TableKind| {
        let (table, location) = (sink.table.name.clone(), sink.table.location.path().to_owned());
        tables.push(PlannedTable {
            sink: sink.id.clone(),
            table,
            location,
            kind,
            is_by_date: sink.table.partition.is_some(),
        });
        Planning::Table { sink: Arc::new(sink), steps }
    };
    for destination in &context.pipeline.to {
        let steps = match &destination.when {
            Some(sql) => {
                vec![plan_filter(&format!("{}.when", destination.id), sql, &context.chain.schema)?]
            }
            None => Vec::new(),
        };
        match &destination.kind {
            DestinationKind::Delta(table) => {
                let sink = table_sink(context, destination, table, None)?;
                planning.push(add(sink, steps, TableKind::Rows));
            }
            DestinationKind::Alerts(table) => {
                let identity = alert_identity(context);
                let sink = table_sink(context, destination, table, Some(identity))?;
                planning.push(add(sink, steps, TableKind::Alerts));
            }
            DestinationKind::Kafka(kafka) => {
                planning.push(Planning::Open(kafka_sink(context, destination, kafka, steps)?))
            }
            DestinationKind::Console(console) => {
                let rows = Arc::new(Mutex::new(LastRows::new(
                    usize::try_from(console.rows).unwrap_or(usize::MAX),
                )));
                let projection = Arc::new(projection(context, destination)?);
                let immediately = destination.deliver == Deliver::Immediately;
                let id = destination.id.value.clone();
                consoles.push((id.clone(), Arc::clone(&rows)));
                let writer_rows = Arc::clone(&rows);
                planning.push(Planning::Open(SinkPlan {
                    id,
                    steps,
                    writer: Arc::new(move |_| {
                        Ok(Box::new(ConsoleWriter {
                            projection: Arc::clone(&projection),
                            now: immediately.then(|| Arc::clone(&writer_rows)),
                            rows: Vec::new(),
                        }))
                    }),
                    sync: Arc::new(|_| Ok(())),
                    delivery: Box::new(ConsoleDelivery { rows }),
                    destination: None,
                    strangers: Vec::new(),
                }));
            }
        }
    }
    let dead_letters = add(dead_letters(context)?, Vec::new(), TableKind::DeadLetters);
    let pipeline = context.pipeline.name.value.clone();
    let (mut plans, mut dead_letters) =
        open_tables(&context.known_as, planning, dead_letters, runtime)?;
    let folders = strangers::folders(
        tables.iter().map(|table| (table.sink.as_str(), table.location.as_path())),
    );
    strangers::tell(context.config, &pipeline, &mut plans, &folders)?;
    let build = dead_letters.writer;
    dead_letters.writer = Arc::new(move |worker| {
        Ok(Box::new(TaggedWriter { pipeline: pipeline.clone(), inner: build(worker)? }))
    });
    Ok(Sinks { plans, dead_letters, tables, consoles })
}

/// Opens the tables in parallel: making one takes several durable writes, one after the other.
fn open_tables(
    known_as: &KnownAs,
    planning: Vec<Planning>,
    last: Planning,
    runtime: &DeltaRuntime,
) -> Result<(Vec<SinkPlan>, SinkPlan), SinkError> {
    std::thread::scope(|scope| {
        let opening: Vec<_> = planning
            .into_iter()
            .map(|planning| scope.spawn(move || planning.open(known_as, runtime)))
            .collect();
        let last = last.open(known_as, runtime);
        // A panic of a thread is passed on.
        let opened = opening
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok((opened.collect::<Result<_, _>>()?, last?))
    })
}

impl Planning {
    fn open(self, known_as: &KnownAs, runtime: &DeltaRuntime) -> Result<SinkPlan, SinkError> {
        let (sink, steps) = match self {
            Self::Table { sink, steps } => (sink, steps),
            Self::Open(plan) => return Ok(plan),
        };
        let delivery = sink.delivery(&known_as.app_id(&sink.id), runtime)?;
        let writer_sink = Arc::clone(&sink);
        Ok(SinkPlan {
            id: sink.id.clone(),
            steps,
            writer: Arc::new(move |worker| writer_sink.writer(worker.generation.0, worker.worker)),
            sync: sink.sync(),
            delivery: Box::new(delivery),
            destination: Some(table_name(&sink.table.name)),
            strangers: Vec::new(),
        })
    }
}

/// The sink of a topic; it connects to nothing before the run.
fn kafka_sink(
    context: &StepContext<'_>,
    destination: &Destination,
    kafka: &KafkaDestination,
    steps: Vec<StepPlan>,
) -> Result<SinkPlan, PlanError> {
    let index =
        |column: &Spanned<String>| {
            context.chain.schema.index_of(column).map_err(|_| {
                Problem::new(column.span, format!("there is no column `{column}` here"))
            })
        };
    let headers = kafka
        .headers
        .iter()
        .map(|(name, column)| Ok((name.value.clone(), index(column)?)))
        .collect::<Result<_, Problem>>()?;
    let origin = context
        .chain
        .schema
        .index_of(SOURCE_PARTITION)
        .ok()
        .zip(context.chain.schema.index_of(SOURCE_OFFSET).ok());
    let pipeline = &context.pipeline.name.value;
    let id = destination.id.value.clone();
    let sink = Arc::new(KafkaSink::new(KafkaSinkSpec {
        id: id.clone(),
        brokers: kafka.brokers.value.clone(),
        topic: kafka.topic.value.clone(),
        key: kafka.key.as_ref().map(index).transpose()?,
        headers,
        projection: projection(context, destination)?,
        settings: kafka
            .settings
            .iter()
            .map(|(name, value)| (name.value.clone(), value.clone()))
            .collect(),
        name: format!("{}.{}.{id}", context.known_as.program, context.known_as.pipeline),
        identity: store_location(context.config, pipeline).join(KAFKA_IDENTITY),
        origin,
    })?);
    let name = destination_name(destination);
    if destination.deliver == Deliver::Immediately {
        let (delivery, sync) = (sink.immediate_delivery(), sink.immediate_sync());
        let writer: BuildWriter = Arc::new(move |_| sink.immediate_writer());
        return Ok(SinkPlan {
            id,
            steps,
            writer,
            sync,
            delivery,
            destination: name,
            strangers: Vec::new(),
        });
    }
    let delivery = sink.committed_delivery();
    let writer: BuildWriter = Arc::new(move |_| Ok(sink.committed_writer()));
    Ok(SinkPlan {
        id,
        steps,
        writer,
        sync: Arc::new(|_| Ok(())),
        delivery,
        destination: name,
        strangers: Vec::new(),
    })
}

fn dead_letters(context: &StepContext<'_>) -> Result<TableSink, PlanError> {
    let table = dead_letter_table(context.config)?;
    let columns: Vec<(String, String)> =
        table.schema.fields().iter().map(|f| (f.name().clone(), f.name().clone())).collect();
    let projection = Projection::new(&table.schema, &columns)?;
    // All pipelines write the dead-letter table, so that a pipeline's own rows are told by a
    // column.
    let own_rows = Some(OwnRows {
        column: PIPELINE_COLUMN.into(),
        value: context.pipeline.name.value.clone(),
    });
    let settings = StageSettings::default();
    Ok(TableSink {
        id: defaults::DEAD_LETTER_TABLE.into(),
        table,
        projection,
        alerts: None,
        settings,
        own_rows,
    })
}

/// What tells the rows of an alerts table apart.
fn alert_identity(context: &StepContext<'_>) -> AlertIdentity {
    let has_sessions = context.chain.windows.as_ref().is_some_and(|windows| windows.has_sessions);
    let sessions = has_sessions.then(|| SessionIdentity {
        window: windows::WINDOW.into(),
        prefix: SESSION_PREFIX.into(),
        start: windows::WINDOW_START.into(),
        end: windows::WINDOW_END.into(),
    });
    AlertIdentity {
        pipeline: context.known_as.pipeline.clone(),
        columns: context.chain.identity.clone(),
        sessions,
    }
}

fn table_sink(
    context: &StepContext<'_>,
    destination: &Destination,
    table: &TableDestination,
    alerts: Option<AlertIdentity>,
) -> Result<TableSink, PlanError> {
    let projection = projection(context, destination)?;
    let schema: SchemaRef = if alerts.is_some() {
        alerts_table_schema(&projection)?
    } else {
        Arc::clone(projection.schema())
    };
    if let Some(identity) = &alerts {
        for column in identity.needed() {
            if schema.index_of(column).is_err() {
                let message =
                    format!("an alert's id is made from `{column}`, which `columns` leaves out");
                return Err(Problem::new(destination.id.span, message)
                    .help(format!("add `{column}` to `columns`"))
                    .into());
            }
        }
    }
    let partition = match &table.partition_by {
        Partitioning::EventDate if schema.index_of(&context.chain.event_time).is_ok() => {
            Some(PartitionRule::event_date(&context.chain.event_time))
        }
        Partitioning::EventDate => {
            let message = format!(
                "the table is partitioned by the date of `{}`, which `columns` leaves out",
                context.chain.event_time
            );
            return Err(Problem::new(destination.id.span, message)
                .help(format!("add `{}` to `columns`", context.chain.event_time))
                .into());
        }
        Partitioning::None => None,
    };
    let location = table_location(context.config, &table.table.value);
    let spec = TableSpec::new(&*table.table.value, location, schema, partition)
        .map_err(|e| Problem::new(table.table.span, e.to_string()))?;
    let settings = StageSettings::default();
    Ok(TableSink {
        id: destination.id.value.clone(),
        table: spec,
        projection,
        alerts,
        settings,
        own_rows: None,
    })
}

/// The columns that are delivered: those named, or all but the source position (and the late flag,
/// unless late rows are applied).
fn projection(
    context: &StepContext<'_>,
    destination: &Destination,
) -> Result<Projection, PlanError> {
    let names: Vec<String> = match &destination.columns {
        Some(columns) => columns.iter().map(|c| c.value.clone()).collect(),
        None => context
            .chain
            .schema
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .filter(|n| lands(n, context))
            .collect(),
    };
    let columns: Vec<(String, String)> = names.into_iter().map(|n| (n.clone(), n)).collect();
    let schema: &Schema = &context.chain.schema;
    Projection::new(schema, &columns)
        .map_err(|e| Problem::new(destination.id.span, e.to_string()).into())
}

fn lands(column: &str, context: &StepContext<'_>) -> bool {
    match column {
        SOURCE_PARTITION | SOURCE_OFFSET => false,
        LATE => context.pipeline.late == Late::Apply,
        _ => true,
    }
}

/// Writes rows for the console: into `now` as they come, or with their epoch where `now` is none.
struct ConsoleWriter {
    projection: Arc<Projection>,
    now: Option<Arc<Mutex<LastRows>>>,
    rows: Vec<RecordBatch>,
}

impl SinkWriter for ConsoleWriter {
    fn on_batch(&mut self, _epoch: Epoch, batch: RecordBatch) -> Result<(), SinkError> {
        let rows = self.projection.apply(&batch).map_err(|e| SinkError::Write {
            sink: "console".into(),
            object: "rows".into(),
            reason: e.to_string(),
        })?;
        match &self.now {
            Some(shown) => shown.lock().unwrap_or_else(PoisonError::into_inner).push(&rows),
            None => self.rows.push(rows),
        }
        Ok(())
    }

    fn finish(&mut self, _close: &EpochClose) -> Result<OutboxPart, SinkError> {
        // Only the newest rows are shown, so the epoch carries at most `CONSOLE_OUTBOX_ROWS` of
        // them.
        let mut rows: Vec<RecordBatch> = Vec::new();
        let mut count = 0;
        for batch in std::mem::take(&mut self.rows).into_iter().rev() {
            if count >= CONSOLE_OUTBOX_ROWS {
                break;
            }
            let take = batch.num_rows().min(CONSOLE_OUTBOX_ROWS - count);
            count += take;
            rows.push(batch.slice(batch.num_rows() - take, take));
        }
        rows.reverse();
        Ok(OutboxPart { rows, ..OutboxPart::default() })
    }
}

/// Rows of one worker's epoch that a console keeps at most.
const CONSOLE_OUTBOX_ROWS: usize = 1_000;

struct ConsoleDelivery {
    rows: Arc<Mutex<LastRows>>,
}

impl Delivery for ConsoleDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        // A console needs no row a second time after a restart.
        Ok(Some(NEEDS_NOTHING_AGAIN))
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        let mut shown = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for rows in entries.iter().flat_map(|e| &e.parts).flat_map(|p| &p.rows) {
            shown.push(rows);
        }
        Ok(())
    }
}
