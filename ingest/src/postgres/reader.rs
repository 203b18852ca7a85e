//! The reader: one thread that holds the connection, reads the snapshot and then the stream, and
//! hands over blocks.
//!
//! ```text
//! connect ─▶ check: the same server? publication? slot? ─▶ snapshot (when none was finished) ─┐
//!    ▲                                                                                        ▼
//!    └── connection lost: wait, and on from where reading was ◀──────────────────────────── stream
//! ```
//! Invariants:
//! - A slot is created only after a commit has recorded that the slot of this name belongs to this
//!   source. A slot that exists before that belongs to somebody else and is never dropped.
//! - Only committed positions are acknowledged to the server. On a slot without changes, an empty
//!   block carries the server's position into a commit, so that the slot still moves on.
//! - [`Place`] moves with each change, so a block may end within a transaction.
//! - Everything read belongs to one table under one publication. If the table was dropped and
//!   created again, or its publication was changed, some changes may not have been sent. The table
//!   is then read again, after a row that truncates, as at the first start.

use crate::postgres::catalog::{self, Table};
use crate::postgres::completion::Completion;
use crate::postgres::error::SessionError;
use crate::postgres::frames::{FrameWriter, Mapped, Transaction};
use crate::postgres::message::{Message, Relation, key_differs};
use crate::postgres::place::{Place, Published};
use crate::postgres::session::Session;
use crate::postgres::shared::{Handed, Setup, Shared};
use crate::postgres::watch::Watch;
use pgwire_replication::Lsn;
use pgwire_replication::protocol::replication::ReplicationCopyData;
use riskstream_engine::contract::{Position, SourceError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Blocks that may wait for the feed.
pub(crate) const BLOCKS_WAITING_MAX: usize = 4;
/// A block is handed over when it reaches this many bytes or rows,
const BLOCK_BYTES: usize = 1 << 20;
const BLOCK_ROWS: usize = 8_192;
/// or this age, or when no change has followed for the time of [`LINGER`].
const BLOCK_AGE: Duration = Duration::from_millis(10);
const LINGER: Duration = Duration::from_millis(1);
/// How often acknowledgements, heartbeats and a stop are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Waits between attempts to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// The catalog is looked at for changes with the heartbeat, but not more often than this.
const WATCH_MIN: Duration = Duration::from_secs(1);
/// A server that says nothing at all for this long, though it was asked, is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// The transaction that is being read.
struct Open {
    commit: Lsn,
    /// The table's changes seen so far in this transaction. An earlier run has read the first
    /// `taken`.
    seen: u64,
    taken: u64,
}

/// See the module.
pub(crate) struct Reader {
    setup: Arc<Setup>,
    shared: Arc<Shared>,
    out: SyncSender<Result<Handed, SourceError>>,
    /// The place up to which the table was read; none before the first run's claim.
    place: Option<Place>,
    /// The offset of the first row of the block under construction.
    first_offset: i64,
    block: FrameWriter,
    block_since: Instant,
    /// The columns of the following changes, and whether the block already holds them.
    columns: Vec<Mapped>,
    columns_written: bool,
    transaction: Option<Transaction>,
    transaction_written: bool,
    /// The end of the server's WAL when the run began, if reading is to stop there.
    end: Option<Lsn>,
    /// The position last handed over.
    handed: Option<Place>,
    backoff: Duration,
    /// This run or one before has reached the server.
    is_reached: bool,
    completion: Completion,
    watch: Watch,
}

impl Reader {
    pub(crate) fn new(
        setup: Arc<Setup>,
        shared: Arc<Shared>,
        out: SyncSender<Result<Handed, SourceError>>,
        place: Option<Place>,
        next_offset: i64,
    ) -> Self {
        Self {
            setup,
            shared,
            out,
            handed: place.clone(),
            is_reached: place.is_some(),
            place,
            first_offset: next_offset,
            block: FrameWriter::default(),
            block_since: Instant::now(),
            columns: Vec::new(),
            columns_written: false,
            transaction: None,
            transaction_written: false,
            end: None,
            backoff: BACKOFF.0,
            completion: Completion::default(),
            watch: Watch::default(),
        }
    }

    /// Reads until the source is dropped or its end is reached, or until an error that does not
    /// pass.
    pub(crate) fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended = match runtime {
            Ok(runtime) => runtime.block_on(self.read()),
            Err(e) => Err(SessionError::Fatal(format!("no thread can wait for the network: {e}"))),
        };
        self.shared.streaming.store(false, Ordering::Release);
        let (source_name, object) = (self.setup.name.clone(), self.object());
        let error = match ended {
            Ok(()) | Err(SessionError::Stopped) => return,
            Err(SessionError::Changed(reason)) => {
                SourceError::Changed { source_name, object, reason }
            }
            Err(SessionError::Fatal(reason) | SessionError::Passing(reason)) => {
                SourceError::Unreadable { source_name, object, reason }
            }
            Err(SessionError::Refused { code, message }) => SourceError::Unreadable {
                source_name,
                object,
                reason: format!("{message} (SQLSTATE {code})"),
            },
        };
        // Sending fails only when the source is gone, and then nobody needs the error.
        let _gone = self.out.send(Err(error));
    }

    fn object(&self) -> String {
        format!("table {} of {}", self.setup.table, self.setup.endpoint)
    }

    async fn read(&mut self) -> Result<(), SessionError> {
        let began = Instant::now();
        loop {
            let reason = match self.attempt().await.map_err(SessionError::settled) {
                Err(SessionError::Passing(reason)) => reason,
                other @ (Ok(())
                | Err(
                    SessionError::Fatal(_)
                    | SessionError::Refused { .. }
                    | SessionError::Changed(_)
                    | SessionError::Stopped,
                )) => return other,
            };
            if !self.is_reached && began.elapsed() >= self.setup.first_patience {
                return Err(SessionError::Fatal(format!(
                    "{reason}; no run has reached it yet, so that its address may be wrong"
                )));
            }
            self.shared.streaming.store(false, Ordering::Release);
            self.shared
                .say(Some(format!("{} can't be read, trying again: {reason}", self.object())));
            self.flush(None).await?;
            let until = Instant::now() + self.backoff;
            while Instant::now() < until {
                self.check_stop()?;
                sleep(TICK.min(self.backoff)).await;
            }
            self.backoff = (self.backoff * 2).min(BACKOFF.1);
        }
    }

    fn check_stop(&self) -> Result<(), SessionError> {
        if self.shared.stop.load(Ordering::Acquire) { Err(SessionError::Stopped) } else { Ok(()) }
    }

    /// One connection, from beginning to end.
    async fn attempt(&mut self) -> Result<(), SessionError> {
        let setup = Arc::clone(&self.setup);
        let mut session =
            Session::open(&setup.endpoint, &format!("riskstream {}", setup.name)).await?;
        let system = session.query("IDENTIFY_SYSTEM").await?;
        self.is_reached = true;
        let told = |at: usize| {
            system.first().and_then(|row| row.get(at).cloned().flatten()).unwrap_or_default()
        };
        let (system, timeline) = (told(0), told(1));
        // The snapshot is still to be read, and this is another server, so no slot on it belongs to
        // this source.
        if self.place.as_ref().is_some_and(|place| place.snapshot && place.system != system) {
            self.place = None;
        }
        if let Some(place) = &self.place {
            self.check_same_server(place, &system, &timeline)?;
        }
        let table = catalog::table(&mut session, &setup.table).await?;
        catalog::check_row_security(&table, &setup.endpoint.user)?;
        let filter =
            catalog::publication(&mut session, &table, &setup.publication, &setup.columns).await?;
        let published = catalog::published(&mut session, &setup.table, &setup.publication).await?;
        let published = published.ok_or_else(|| {
            SessionError::Passing("the table or its publication is being changed".into())
        })?;
        if setup.stop_at_end && self.end.is_none() {
            let rows = session.query("select pg_current_wal_flush_lsn()").await?;
            let text = rows
                .into_iter()
                .next()
                .and_then(|row| row.into_iter().next().flatten())
                .unwrap_or_default();
            self.end = Some(Lsn::parse(&text).map_err(|e| SessionError::Fatal(e.to_string()))?);
        }
        let database = setup.endpoint.database.as_str();
        let slot = catalog::slot(&mut session, &setup.slot).await?;
        match (&self.place, &slot) {
            (None, Some(_)) => {
                return Err(SessionError::Fatal(format!(
                    "there is a replication slot {} already, which is not of this data folder; if \
                     nobody needs it, run: select pg_drop_replication_slot('{}'), else name \
                     another in `slot`",
                    setup.slot, setup.slot
                )));
            }
            (None, None) => {
                let slot = setup.slot.clone();
                let (lsn, within) = (Lsn::ZERO, Lsn::ZERO);
                self.claim(Place {
                    system,
                    timeline,
                    slot,
                    snapshot: true,
                    lsn,
                    within,
                    taken: 0,
                    of: None,
                })
                .await?;
            }
            (Some(_), Some(slot)) => {
                if slot.plugin != "pgoutput" || slot.database != database {
                    return Err(SessionError::Changed(format!(
                        "the slot {} is now of the plugin {} and the database {}; name another in \
                         `slot` and begin the pipeline anew: `riskstream run --fresh`",
                        setup.slot, slot.plugin, slot.database
                    )));
                }
                if let Some(reader) = &slot.reader {
                    return Err(SessionError::Passing(format!(
                        "the slot {} is being read by the server's process {reader}",
                        setup.slot
                    )));
                }
            }
            (Some(_), None) => {}
        }
        self.check_same_table(&published).await?;
        if let Some(place) = &mut self.place {
            place.of = Some(published);
        }
        let place = self.place.clone().unwrap_or_else(|| unreachable_place(&setup.slot));
        if place.snapshot {
            self.snapshot(&mut session, &table, filter.as_deref(), slot.is_some()).await?;
        } else {
            check_slot(&setup.slot, slot.as_ref(), &place)?;
        }
        self.stream(&mut session, &table).await
    }

    fn check_same_server(
        &self,
        place: &Place,
        system: &str,
        timeline: &str,
    ) -> Result<(), SessionError> {
        let again = "point `url` at the server that was read before, or begin the pipeline anew: \
                     `riskstream run --fresh`";
        if place.system != system {
            return Err(SessionError::Changed(format!(
                "the server is of another cluster ({system}) than the one read before ({}); \
                 {again}",
                place.system
            )));
        }
        if place.timeline != timeline && !place.snapshot {
            return Err(SessionError::Changed(format!(
                "the server has changed its timeline from {} to {timeline} (a fail-over or a \
                 restored backup), so that what was read may not be what it has; {again}",
                place.timeline
            )));
        }
        if place.slot != self.setup.slot {
            return Err(SessionError::Changed(format!(
                "it was read by the slot {}, not {}; set `slot` back, or {again}",
                place.slot, self.setup.slot
            )));
        }
        Ok(())
    }

    /// Has the table read anew if it, or how it is published, is not what was read.
    async fn check_same_table(&mut self, published: &Published) -> Result<(), SessionError> {
        let Some(place) = self.place.clone().filter(|place| !place.snapshot) else { return Ok(()) };
        let Some(of) = place.of.as_ref().filter(|of| *of != published) else { return Ok(()) };
        let what = if of.table == published.table {
            "its publication was changed"
        } else {
            "it was dropped and made anew"
        };
        self.shared.say(Some(format!("{} is read anew: {what}", self.object())));
        self.claim(Place { snapshot: true, ..place }).await
    }

    /// The stream shows that the table was not what is known of it: it is read anew.
    async fn read_anew(&mut self, why: &str) -> SessionError {
        match self.place.clone() {
            Some(place) => match self.claim(Place { snapshot: true, ..place }).await {
                Ok(()) => SessionError::Passing(format!("{why}, and is read anew")),
                Err(error) => error,
            },
            None => SessionError::Passing(why.to_owned()),
        }
    }

    /// Waits for a commit which records that the slot of this name is this source's own and that
    /// the snapshot is to be read. The slot is created only after that.
    async fn claim(&mut self, place: Place) -> Result<(), SessionError> {
        self.place = Some(place);
        self.hand_over(None).await?;
        while !self.shared.is_claimed() {
            self.check_stop()?;
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Makes the slot anew and reads the table as it is at the slot's beginning.
    async fn snapshot(
        &mut self,
        session: &mut Session,
        table: &Table,
        filter: Option<&str>,
        has_slot: bool,
    ) -> Result<(), SessionError> {
        let slot = self.setup.slot.clone();
        catalog::check_columns(table, &self.setup.columns).map_err(SessionError::Fatal)?;
        if has_slot {
            session.query(&format!("DROP_REPLICATION_SLOT {slot}")).await?;
        }
        session.query("begin isolation level repeatable read read only").await?;
        let made = session
            .query(&format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput USE_SNAPSHOT"))
            .await?;
        let begins = made.first().and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default();
        let begins = Lsn::parse(&begins)
            .map_err(|e| SessionError::Fatal(format!("the new slot begins nowhere: {e}")))?;
        let now = session
            .query("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
            .await?;
        let now =
            now.first().and_then(|row| row.first()?.as_ref()?.parse().ok()).unwrap_or_default();
        let columns: Vec<&String> = table
            .columns
            .iter()
            .map(|(name, _)| name)
            .filter(|name| self.target(name).is_some())
            .collect();
        self.columns = columns
            .iter()
            .map(|name| Mapped { name: (*name).clone(), target: self.target(name), key: false })
            .collect();
        // The snapshot's rows come just before everything that the slot will send.
        self.transaction = Some(Transaction { commit: position(begins) - 1, at: now, xid: 0 });
        (self.columns_written, self.transaction_written) = (false, false);
        // The truncation takes away the rows that an earlier attempt, or an earlier slot, has read.
        self.prepare();
        self.block.row(b't', position(begins), &[]);
        let list: Vec<String> = columns.iter().map(|name| catalog::identifier(name)).collect();
        let only = if table.partitioned { "" } else { "only " };
        let rows_of = filter.map(|filter| format!(" where {filter}")).unwrap_or_default();
        session
            .begin_query(&format!(
                "select {} from {only}{}{rows_of}",
                list.join(", "),
                table.quoted
            ))
            .await?;
        while let Some(row) = session.next_row().await? {
            self.prepare();
            self.block.row(b'r', position(begins), &row);
            if self.is_full() {
                self.flush(None).await?;
            }
        }
        session.query("commit").await?;
        if let Some(place) = &mut self.place {
            (place.snapshot, place.lsn, place.within, place.taken) = (false, begins, Lsn::ZERO, 0);
        }
        self.transaction = None;
        self.hand_over(None).await
    }

    fn target(&self, name: &str) -> Option<u16> {
        self.setup
            .columns
            .iter()
            .position(|(column, _)| column == name)
            .and_then(|at| u16::try_from(at).ok())
    }

    /// Streams until the connection ends or the end is reached.
    async fn stream(&mut self, session: &mut Session, table: &Table) -> Result<(), SessionError> {
        let from = self.place.as_ref().map_or(Lsn::ZERO, |place| place.lsn);
        session.start(&self.setup.slot, &self.setup.publication, from).await?;
        self.backoff = BACKOFF.0;
        self.shared.say(None);
        self.shared.streaming.store(true, Ordering::Release);
        let (mut acknowledged, mut heard, mut beat, mut looked) =
            (Lsn::ZERO, Instant::now(), Instant::now(), Instant::now());
        let mut watched = Instant::now();
        let mut open: Option<Open> = None;
        session.acknowledge(self.shared.safe(), true).await?;
        loop {
            let received = tokio::select! {
                biased;
                message = session.receive() => Some(message?),
                () = sleep(LINGER), if self.block.rows() > 0 => {
                    self.flush(Some(session)).await?;
                    None
                }
                () = sleep(TICK) => None,
            };
            if let Some(received) = received {
                heard = Instant::now();
                self.apply(session, table, &mut open, received).await?;
                if self.is_full() {
                    self.flush(Some(session)).await?;
                }
            }
            let through = self.place.as_ref().map_or(Lsn::ZERO, |place| place.lsn);
            if open.is_none() && self.end.is_some_and(|end| through >= end) {
                self.flush(Some(session)).await?;
                let position = self.position(self.first_offset);
                return self.send(None, Handed::End(position)).await;
            }
            let now = Instant::now();
            if now - looked < TICK {
                continue;
            }
            looked = now;
            self.check_stop()?;
            let safe = self.shared.safe();
            let ask = now - beat >= self.setup.heartbeat || self.end.is_some();
            if safe > acknowledged || ask {
                session.acknowledge(safe, ask).await?;
                acknowledged = safe;
            }
            if now - watched >= self.setup.heartbeat.max(WATCH_MIN) {
                watched = now;
                self.watch(open.is_some()).await?;
            }
            if now - beat >= self.setup.heartbeat {
                beat = now;
                if self.block.rows() == 0 && self.place != self.handed {
                    self.hand_over(Some(session)).await?;
                }
            }
            if heard.elapsed() > SILENCE.max(self.setup.heartbeat * 4) {
                return Err(SessionError::Passing(format!(
                    "the server has said nothing for {} s",
                    heard.elapsed().as_secs()
                )));
            }
        }
    }

    /// Takes a message of the stream.
    async fn apply(
        &mut self,
        session: &mut Session,
        table: &Table,
        open: &mut Option<Open>,
        received: ReplicationCopyData,
    ) -> Result<(), SessionError> {
        let (at, data) = match received {
            ReplicationCopyData::KeepAlive { wal_end, reply_requested, .. } => {
                // Between transactions, everything that was committed before this was sent.
                if open.is_none() {
                    self.read_through(wal_end);
                }
                if reply_requested {
                    session.acknowledge(self.shared.safe(), false).await?;
                }
                return Ok(());
            }
            ReplicationCopyData::XLogData { wal_start, data, .. } => (wal_start, data),
        };
        let message = Message::parse(&data)
            .map_err(|_| SessionError::Fatal(format!("the message at {at} can't be read")))?;
        match message {
            Message::Begin { commit, at, xid } => {
                *open = Some(self.opened(commit)?);
                self.transaction = Some(Transaction { commit: position(commit), at, xid });
                self.transaction_written = false;
            }
            Message::Commit { end } => {
                *open = None;
                self.read_through(end);
            }
            Message::Relation(relation) if relation.id == table.oid => {
                self.mapped(&relation, table)
            }
            Message::Relation(relation)
                if catalog::quoted_name(&relation.schema, &relation.name) == table.quoted =>
            {
                return Err(self.read_anew("the table was dropped and made anew").await);
            }
            Message::Insert { relation, new } if relation == table.oid && self.is_new(open)? => {
                self.block.row(b'c', position(at), &new)
            }
            Message::Delete { relation, old } if relation == table.oid && self.is_new(open)? => {
                self.block.row(b'd', position(at), &old.tuple)
            }
            Message::Update { relation, old, new }
                if relation == table.oid && self.is_new(open)? =>
            {
                let columns = &self.columns;
                let key = |i: usize| columns.get(i).is_some_and(|c| c.key);
                match &old {
                    Some(old) if key_differs(&old.tuple, &new, key) => {
                        let Setup { endpoint, name, .. } = self.setup.as_ref();
                        let new = if old.full {
                            new
                        } else {
                            self.completion
                                .complete(
                                    endpoint,
                                    &format!("riskstream {name}"),
                                    table,
                                    columns,
                                    new,
                                )
                                .await?
                        };
                        self.block.change(b'k', position(at), &old.tuple, &new);
                    }
                    Some(old) if old.full => {
                        self.block.change(b'u', position(at), &old.tuple, &new)
                    }
                    _ => self.block.change(b'u', position(at), &[], &new),
                }
            }
            Message::Truncate { relations }
                if relations.contains(&table.oid) && self.is_new(open)? =>
            {
                self.block.row(b't', position(at), &[]);
            }
            Message::Relation(_)
            | Message::Insert { .. }
            | Message::Update { .. }
            | Message::Delete { .. }
            | Message::Truncate { .. }
            | Message::Other => {}
        }
        Ok(())
    }

    fn opened(&self, commit: Lsn) -> Result<Open, SessionError> {
        let taken = match &self.place {
            Some(place) if place.taken > 0 && place.within == commit => place.taken,
            Some(place) if place.taken > 0 && commit > place.within => {
                return Err(SessionError::Changed(format!(
                    "the transaction at {}, of which {} changes were read, is not sent any more; \
                     begin the pipeline anew: `riskstream run --fresh`",
                    place.within, place.taken
                )));
            }
            _ => 0,
        };
        Ok(Open { commit, seen: 0, taken })
    }

    /// Counts a change of the table; false if an earlier run has read it. Otherwise the block is
    /// prepared for the change.
    fn is_new(&mut self, open: &mut Option<Open>) -> Result<bool, SessionError> {
        let Some(open) = open else {
            return Err(SessionError::Fatal(
                "the server sends a change outside of a transaction".into(),
            ));
        };
        open.seen += 1;
        if open.seen <= open.taken {
            return Ok(false);
        }
        if let Some(place) = &mut self.place {
            (place.within, place.taken) = (open.commit, open.seen);
        }
        self.prepare();
        Ok(true)
    }

    fn read_through(&mut self, lsn: Lsn) {
        if let Some(place) = &mut self.place
            && lsn > place.lsn
        {
            place.lsn = lsn;
            // A transaction that was read in part stays recorded until the position is past its
            // commit.
            if lsn > place.within {
                (place.within, place.taken) = (Lsn::ZERO, 0);
            }
        }
    }

    /// Looks whether the table is still the one that is read, and published as it was.
    async fn watch(&mut self, within_transaction: bool) -> Result<(), SessionError> {
        let Setup { endpoint, name, table, publication, .. } = self.setup.as_ref();
        let now =
            self.watch.look(endpoint, &format!("riskstream {name}"), table, publication).await;
        let of = self.place.as_ref().and_then(|place| place.of.as_ref());
        match now {
            // Within a transaction reading goes on; the table is checked again at the next
            // heartbeat.
            Some(now) if of.is_some_and(|of| now.as_ref() != Some(of)) && !within_transaction => {
                Err(SessionError::Passing("the table, or how it is published, was changed".into()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn mapped(&mut self, relation: &Relation, table: &Table) {
        // With REPLICA IDENTITY FULL every column is of the identity; what tells rows apart is the
        // primary key, if there is one.
        let full = relation.identity == b'f' && !table.primary_key.is_empty();
        let columns = relation.columns.iter().map(|column| Mapped {
            name: column.name.clone(),
            target: self.target(&column.name),
            key: if full { table.primary_key.contains(&column.name) } else { column.key },
        });
        self.columns = columns.collect();
        self.columns_written = false;
        let ignored: Vec<&str> =
            self.columns.iter().filter(|c| c.target.is_none()).map(|c| c.name.as_str()).collect();
        let is_new = |name: &&str| !table.columns.iter().any(|(known, _)| known == *name);
        if ignored.iter().any(is_new) {
            self.shared.say(Some(format!(
                "the table {} has got columns that the source's schema lacks, and which are \
                 ignored: {}",
                self.setup.table,
                ignored.into_iter().filter(is_new).collect::<Vec<_>>().join(", ")
            )));
        }
    }

    /// Writes to the block what the next change needs.
    fn prepare(&mut self) {
        if self.block.rows() == 0 {
            self.block_since = Instant::now();
        }
        if !self.columns_written {
            self.block.relation(&self.columns);
            self.columns_written = true;
        }
        if let (false, Some(transaction)) = (self.transaction_written, self.transaction) {
            self.block.transaction(transaction);
            self.transaction_written = true;
        }
    }

    fn is_full(&self) -> bool {
        let rows = self.block.rows();
        rows > 0
            && (rows >= BLOCK_ROWS
                || self.block.len() >= BLOCK_BYTES
                || self.block_since.elapsed() >= BLOCK_AGE)
    }

    async fn flush(&mut self, session: Option<&mut Session>) -> Result<(), SessionError> {
        if self.block.rows() == 0 { Ok(()) } else { self.hand_over(session).await }
    }

    fn position(&self, next_offset: i64) -> Position {
        Position {
            next_offset,
            finished: false,
            fingerprint: self.place.as_ref().map(Place::text).unwrap_or_default(),
        }
    }

    /// Hands over the block, even an empty one.
    async fn hand_over(&mut self, session: Option<&mut Session>) -> Result<(), SessionError> {
        let first_offset = self.first_offset;
        self.first_offset += self.block.rows() as i64;
        let next = self.position(self.first_offset);
        let frames = self.block.take();
        (self.columns_written, self.transaction_written) = (false, false);
        self.handed.clone_from(&self.place);
        self.send(session, Handed::Block { frames, first_offset, next }).await
    }

    /// Waits for room in the channel (back-pressure), and keeps the connection alive meanwhile.
    async fn send(
        &self,
        mut session: Option<&mut Session>,
        handed: Handed,
    ) -> Result<(), SessionError> {
        let mut item = Ok(handed);
        let mut told = Instant::now();
        loop {
            match self.out.try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(SessionError::Stopped),
                Err(TrySendError::Full(back)) => item = back,
            }
            self.check_stop()?;
            sleep(Duration::from_millis(1)).await;
            if let (Some(session), true) = (&mut session, told.elapsed() > Duration::from_secs(1)) {
                told = Instant::now();
                session.acknowledge(self.shared.safe(), false).await?;
            }
        }
    }
}

fn check_slot(name: &str, slot: Option<&catalog::Slot>, place: &Place) -> Result<(), SessionError> {
    let again = "what came in between is lost; begin the pipeline anew, which makes the slot anew \
                 and reads the table: `riskstream run --fresh`";
    let Some(slot) = slot else {
        return Err(SessionError::Changed(format!("the replication slot {name} is gone; {again}")));
    };
    if slot.lost {
        return Err(SessionError::Changed(format!(
            "the server has thrown away changes that the slot {name} needs \
             (max_slot_wal_keep_size); {again}"
        )));
    }
    if slot.confirmed > place.lsn {
        return Err(SessionError::Changed(format!(
            "the slot {name} has moved on to {}, past {}, up to which this data folder has read: \
             somebody else has read or moved it; {again}",
            slot.confirmed, place.lsn
        )));
    }
    Ok(())
}

/// Positions are carried as signed numbers; PostgreSQL's WAL does not reach their end.
fn position(lsn: Lsn) -> i64 {
    i64::try_from(lsn.as_u64()).unwrap_or(i64::MAX)
}

fn unreachable_place(slot: &str) -> Place {
    Place {
        system: String::new(),
        timeline: String::new(),
        slot: slot.to_owned(),
        snapshot: true,
        lsn: Lsn::ZERO,
        within: Lsn::ZERO,
        taken: 0,
        of: None,
    }
}
