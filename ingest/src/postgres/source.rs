//! [`PostgresSource`]: the changes of one table as a source with one partition.

use crate::changes::change_fields;
use crate::decode::{Reading, RowRules, TimeFormat};
use crate::postgres::catalog::{carried_columns, table};
use crate::postgres::decoder::ChangeDecoder;
use crate::postgres::endpoint::Endpoint;
use crate::postgres::error::SessionError;
use crate::postgres::place::Place;
use crate::postgres::reader::{BLOCKS_WAITING_MAX, Reader};
use crate::postgres::session::Session;
use crate::postgres::shared::{Handed, Setup, Shared};
use crate::types::{is_carried, type_name};
use arrow::datatypes::{DataType, Field, Schema};
use riskstream_engine::contract::{
    Block, Decoder, Notice, PartitionInfo, Payload, Poll, PollLimit, Position, Source, SourceError,
    SourceSchema, is_system_column,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

/// What to read.
#[derive(Debug, Clone)]
pub struct PostgresSourceSpec {
    /// The source's name.
    pub name: String,
    /// The server.
    pub endpoint: Endpoint,
    /// `schema.table`.
    pub table: String,
    /// The replication slot, which is the source's own.
    pub slot: String,
    /// The publication; made when there is none.
    pub publication: String,
    /// The columns of the table; none for all, with the types of the catalog.
    pub schema: Option<Vec<(String, DataType)>>,
    /// The event time's column.
    pub event_time: String,
    /// Columns that order rows of the same event time.
    pub ties_by: Vec<String>,
    /// How far ahead of the clock an event time may be, in microseconds.
    pub future_skew_max_us: i64,
    /// How often a slot without changes moves on.
    pub heartbeat: Duration,
    /// Whether to end at the server's end instead of waiting for more.
    pub stop_at_end: bool,
    /// For how long a server is tried that no run has ever reached.
    pub first_patience: Duration,
}

/// Reads a table as it is and then its changes; see the module.
pub struct PostgresSource {
    setup: Arc<Setup>,
    rules: Arc<RowRules>,
    shared: Arc<Shared>,
    partitions: Vec<PartitionInfo>,
    blocks: Option<Receiver<Result<Handed, SourceError>>>,
    ended: Option<Position>,
}

impl std::fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSource").field("setup", &self.setup).finish_non_exhaustive()
    }
}

impl PostgresSource {
    /// Settles the columns; the server is asked only when no schema is given.
    ///
    /// # Errors
    /// When the server can't be asked, the table is not there, or a column can't be carried.
    pub fn new(spec: PostgresSourceSpec) -> Result<Self, SourceError> {
        let fail = |object: &str, reason: String| SourceError::Unreadable {
            source_name: spec.name.clone(),
            object: object.to_owned(),
            reason,
        };
        let columns = match &spec.schema {
            Some(columns) => columns.clone(),
            None => columns_of(&spec).map_err(|reason| {
                fail(&format!("table {} of {}", spec.table, spec.endpoint), reason)
            })?,
        };
        let changes = change_fields();
        for (i, (name, data_type)) in columns.iter().enumerate() {
            let wrong = if columns[..i].iter().any(|(other, _)| other == name) {
                "is there twice".to_owned()
            } else if is_system_column(name) || changes.iter().any(|field| field.name() == name) {
                "has a name that the program uses itself; rename it, or leave it out of `schema`"
                    .to_owned()
            } else if !is_carried(data_type) {
                format!("is {}, which a source can't carry", type_name(data_type))
            } else {
                continue;
            };
            return Err(fail("its schema", format!("column {name} {wrong}")));
        }
        let own = columns
            .iter()
            .map(|(name, data_type)| Field::new(name, data_type.clone(), *name != spec.event_time));
        let user = Schema::new(own.chain(changes).collect::<Vec<_>>());
        let schema = SourceSchema::new(&user, &spec.event_time, &spec.ties_by)
            .map_err(|e| fail("its schema", e.to_string()))?;
        let rules = RowRules {
            inferred: false,
            source_name: spec.name.clone(),
            schema,
            event_time_format: TimeFormat::Auto,
            future_skew_max_us: spec.future_skew_max_us,
            record_bytes_max: usize::MAX,
            reading: Reading::default(),
        };
        let setup = Setup {
            name: spec.name,
            endpoint: spec.endpoint,
            table: spec.table,
            slot: spec.slot,
            publication: spec.publication,
            columns,
            heartbeat: spec.heartbeat,
            stop_at_end: spec.stop_at_end,
            first_patience: spec.first_patience,
        };
        Ok(Self {
            partitions: vec![PartitionInfo { name: setup.table.clone() }],
            setup: Arc::new(setup),
            rules: Arc::new(rules),
            shared: Arc::default(),
            blocks: None,
            ended: None,
        })
    }

    fn bug(&self, reason: &str) -> SourceError {
        SourceError::Bug { source_name: self.setup.name.clone(), reason: reason.to_owned() }
    }
}

/// The table's columns as the catalog has them.
fn columns_of(spec: &PostgresSourceSpec) -> Result<Vec<(String, DataType)>, String> {
    let ask = || async {
        let mut session =
            Session::open(&spec.endpoint, &format!("riskstream {}", spec.name)).await?;
        let found = table(&mut session, &spec.table).await?;
        carried_columns(&found).map_err(SessionError::Fatal)
    };
    // On a thread of its own, since the caller's may belong to a runtime already.
    let asked = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(ask()),
                Err(e) => Err(SessionError::Fatal(e.to_string())),
            }
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    asked.map_err(|error| match error.settled() {
        SessionError::Fatal(reason)
        | SessionError::Changed(reason)
        | SessionError::Refused { message: reason, .. } => reason,
        SessionError::Passing(reason) => {
            format!("{reason}; start the server, or give `schema`, so that a run can wait for it")
        }
        SessionError::Stopped => "stopped".into(),
    })
}

impl PostgresSource {
    /// The place from which to go on, and the offset of the next row.
    fn place_of(
        &self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(Option<Place>, i64), SourceError> {
        let Some((info, position)) = resume.get(&0) else { return Ok((None, 0)) };
        let changed = |reason| SourceError::Changed {
            source_name: self.setup.name.clone(),
            object: info.name.clone(),
            reason,
        };
        if info.name != self.setup.table {
            let reason = format!(
                "`table` is {} now; set it back, or begin the pipeline anew: \
                 `riskstream run --fresh`",
                self.setup.table
            );
            return Err(changed(reason));
        }
        Ok((Some(Place::parse(&position.fingerprint).map_err(changed)?), position.next_offset))
    }
}

impl Source for PostgresSource {
    fn name(&self) -> &str {
        &self.setup.name
    }

    fn schema(&self) -> &SourceSchema {
        &self.rules.schema
    }

    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        let from = self.place_of(resume)?;
        if let (Some(place), _) = &from {
            self.shared.set_committed(place.clone());
        }
        let (out, blocks) = sync_channel(BLOCKS_WAITING_MAX);
        let reader =
            Reader::new(Arc::clone(&self.setup), Arc::clone(&self.shared), out, from.0, from.1);
        let named = std::thread::Builder::new().name(format!("source {}", self.setup.name));
        // It ends when the source is dropped, or with the program.
        let _thread = named
            .spawn(move || reader.run())
            .map_err(|e| self.bug(&format!("no thread for the reader: {e}")))?;
        self.blocks = Some(blocks);
        Ok(())
    }

    /// Only compares the position with the settings: the slot itself may be in use by a running
    /// pipeline.
    fn check(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        self.place_of(resume).map(|_| ())
    }

    fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    fn endless(&self) -> bool {
        !self.setup.stop_at_end
    }

    fn committed(&mut self, positions: &BTreeMap<u32, (PartitionInfo, Position)>) {
        // A position that can't be parsed does not occur. If it did, the server would only keep
        // more WAL than it has to.
        if let Some(place) =
            positions.get(&0).and_then(|(_, position)| Place::parse(&position.fingerprint).ok())
        {
            self.shared.set_committed(place);
        }
    }

    fn report_to(&mut self, notice: Notice) {
        self.shared.set_notice(notice);
    }

    fn poll(&mut self, partition: u32, _limit: PollLimit) -> Result<Poll, SourceError> {
        if let Some(position) = &self.ended {
            return Ok(Poll::Finished(position.clone()));
        }
        let Some(blocks) = &self.blocks else {
            return Err(self.bug("it is polled before it is opened"));
        };
        match blocks.try_recv() {
            Ok(Ok(Handed::Block { frames, first_offset, next })) => Ok(Poll::Block(Block {
                partition,
                first_offset,
                next,
                payload: Payload::Raw(frames),
                read_at: 0,
            })),
            Ok(Ok(Handed::End(position))) => {
                self.ended = Some(position.clone());
                Ok(Poll::Finished(position))
            }
            Ok(Err(error)) => Err(error),
            Err(TryRecvError::Empty) => {
                Ok(Poll::Pending { caught_up: self.shared.streaming.load(Ordering::Acquire) })
            }
            Err(TryRecvError::Disconnected) => Err(self.bug("its reader has ended without a word")),
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(ChangeDecoder::new(Arc::clone(&self.rules), self.setup.table.as_str().into()))
    }
}

impl Drop for PostgresSource {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}
