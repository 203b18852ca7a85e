//! Committed epochs into the topic, each once: [`KafkaDelivery`].
//!
//! While one transaction is committed, the next one is filled ([`Turns`](super::turns::Turns)). A
//! transaction counts as delivered once the group shows its offset
//! ([`Prover`](super::proven::Prover)). When one fails, the later ones are not committed either:
//! new producers are made, the cluster is asked which epochs it has, and all missing epochs under
//! way go out in one transaction. The engine repeats this until it succeeds.

use super::claim::{Claim, Connected};
use super::encode::{MessageRow, are_messages};
use super::said::{Mark, Sent, Whole, metadata};
use super::sink::KafkaSink;
use super::spec::KafkaSinkSpec;
use super::transaction::{Marking, Progress, Trouble};
use super::turns::WakeSlot;
use super::window::Start;
use riskstream_engine::contract::{Delivery, Notice, OutboxEntry, OutboxPart, SinkError, Wake};
use riskstream_engine::ids::Epoch;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How many deliveries may begin before the first of them is known to be visible. How many
/// transactions are open at once is limited by the turns.
const UNDER_WAY_MAX: usize = 64;

pub(crate) struct KafkaDelivery {
    sink: Arc<KafkaSink>,
    claim: Claim,
    wake: WakeSlot,
    connected: Option<Connected>,
    /// The entries of each delivery that is not yet known to be visible, the oldest first.
    under_way: VecDeque<Vec<OutboxEntry>>,
}

impl Connected {
    /// Waits until the transaction that fills the holes is committed.
    fn fill_holes(&mut self) -> Result<(), Trouble> {
        self.turns.wait_for_others(0)?;
        self.holes.clear();
        Ok(())
    }
}

impl KafkaDelivery {
    pub(crate) fn new(sink: Arc<KafkaSink>) -> Self {
        Self {
            sink,
            claim: Claim::new(),
            wake: WakeSlot::default(),
            connected: None,
            under_way: VecDeque::new(),
        }
    }

    fn connect(&mut self) -> Result<&mut Connected, Trouble> {
        match &mut self.connected {
            Some(connected) => Ok(connected),
            slot => Ok(slot.insert(self.claim.connect(&self.sink, &self.wake)?)),
        }
    }

    /// Fills the next transaction with what the topic lacks of the newest `deliveries` under way,
    /// and has it committed in its turn.
    fn begin(&mut self, deliveries: usize) -> Result<(), Trouble> {
        self.connect()?;
        let Some(connected) = &mut self.connected else {
            return Err(Trouble::Unknown("not connected".into()));
        };
        let (before, holes) = (connected.through, &connected.holes);
        let is_missing = |epoch: i64| {
            epoch > before || holes.iter().any(|(after, last)| epoch > *after && epoch <= *last)
        };
        let first = self.under_way.len().saturating_sub(deliveries);
        let missing = || {
            self.under_way.iter().skip(first).flatten().filter(|entry| is_missing(number(entry)))
        };
        let Some(newest) = missing().map(number).max() else { return connected.turns.skip(before) };
        let (run, through) = (&self.claim.run, newest.max(before));
        // The first transaction after a connect brings all epochs that are missing in the holes.
        let after = holes.first().map_or(connected.marked, |(after, _)| *after);
        let batches = || missing().flat_map(|e| &e.parts).flat_map(|p| &p.rows);
        let count: u64 = batches().map(|rows| rows.num_rows() as u64).sum();
        let by = connected.by;
        let mark = Mark {
            sink: connected.name.clone(),
            through: newest,
            after: Some(after),
            sent: Some((by, count)),
            run: run.clone(),
        }
        .write();
        let sent = Sent { by, through: newest, copy_of: None }.write(&connected.name);
        if holes.is_empty() {
            connected.window.begins(Start { since: before, ends: connected.ends.all() });
        }
        let marked = if count > 0 { connected.marked.max(newest) } else { connected.marked };
        let Some(first) = connected.window.first() else {
            return Err(Trouble::Unknown("no transaction has begun".into()));
        };
        let metadata = metadata(
            (run, &[(by, through)]),
            before,
            count,
            &first.ends,
            Whole { since: first.since, through: marked },
        );
        let messages = batches().flat_map(MessageRow::all);
        let progress = Progress {
            topic: &self.sink.spec.topic,
            group: &connected.group,
            epoch: through,
            metadata: &metadata,
            mark: Marking { value: &mark, all: connected.mark_all, sent: &sent },
        };
        connected.turns.begin(&progress, messages)?;
        (connected.through, connected.marked) = (through, marked);
        // Filling holes does not change the offset, so the prover can't tell when they are visible.
        // Only the end of the commit tells.
        if connected.holes.is_empty() { Ok(()) } else { connected.fill_holes() }
    }

    /// Delivers everything under way in one transaction, and waits for its commit.
    fn deliver_all(&mut self) -> Result<(), Trouble> {
        self.begin(self.under_way.len())?;
        let Some(connected) = &mut self.connected else {
            return Err(Trouble::Unknown("not connected".into()));
        };
        connected.turns.wait_for_others(0)
    }

    /// After something has failed: the producers are made anew, and all that was under way is
    /// delivered anew, when the engine asks for it.
    fn away(&mut self, trouble: Trouble) -> SinkError {
        // Waits for the transaction that is being committed, if any: the next producers will ask
        // how it ended.
        self.connected = None;
        match trouble {
            Trouble::Final(reason) => self.sink.failed(reason),
            Trouble::Unknown(reason) => self.sink.away(reason),
        }
    }
}

impl Delivery for KafkaDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        let through = match self.connect() {
            Ok(connected) => connected.holes.first().map_or(connected.through, |(after, _)| *after),
            Err(trouble) => return Err(self.away(trouble)),
        };
        Ok(u64::try_from(through).ok().filter(|epoch| *epoch > 0).map(Epoch))
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn report_to(&mut self, notice: Notice) {
        self.sink.report_to(notice);
    }

    fn take_over(&mut self, left: OutboxEntry) -> Result<OutboxEntry, SinkError> {
        // Messages are whole as they are: they were encoded, with their headers, by the run that
        // left them. A number among the files is what a delivery at once leaves.
        let fits = |part: &OutboxPart| {
            part.rows.iter().all(are_messages) && !part.files.iter().any(Value::is_object)
        };
        if left.parts.iter().all(fits) {
            return Ok(left);
        }
        let KafkaSinkSpec { id, topic, brokers, .. } = &self.sink.spec;
        Err(SinkError::Mismatch {
            sink: id.clone(),
            object: format!("topic {topic} of {brokers}"),
            reason: format!(
                "rows of epoch {} wait for this destination that are no messages, since it was of \
                 another kind when they were committed; run once with the former configuration, \
                 which delivers them, and change it then",
                left.epoch
            ),
        })
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        self.under_way.push_back(entries);
        self.begin(1).map_err(|trouble| self.away(trouble))
    }

    fn try_again(&mut self) -> Result<(), SinkError> {
        self.deliver_all().map_err(|trouble| self.away(trouble))
    }

    fn hurry_by(&mut self, hurry: Arc<AtomicBool>) {
        self.sink.hurry_by(hurry);
    }

    fn under_way_max(&self) -> usize {
        UNDER_WAY_MAX
    }

    fn wake_by(&mut self, wake: Wake) {
        self.wake.set(wake);
    }

    fn settle(&mut self) -> Result<usize, SinkError> {
        let Some(connected) = &mut self.connected else { return Ok(0) };
        let failed = std::iter::from_fn(|| connected.turns.outcome()).find_map(Result::err);
        let visible = match failed {
            Some(trouble) => Err(trouble),
            None => connected.prover.through(),
        };
        let visible = visible.map_err(|trouble| self.away(trouble))?;
        let is_visible =
            |entries: &Vec<OutboxEntry>| entries.iter().all(|entry| number(entry) <= visible);
        let settled = self.under_way.iter().take_while(|entries| is_visible(entries)).count();
        self.under_way.drain(..settled);
        Ok(settled)
    }
}

/// An epoch as the group counts it.
fn number(entry: &OutboxEntry) -> i64 {
    i64::try_from(entry.epoch.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::encode::encode;
    use crate::outbox::Projection;
    use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};

    fn rows(names: [&str; 2]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        RecordBatch::try_from_iter([(names[0], ids), (names[1], texts)]).expect("a batch")
    }

    fn spec(rows: &RecordBatch, headers: &[&str]) -> KafkaSinkSpec {
        let columns: Vec<_> =
            rows.schema().fields().iter().map(|f| (f.name().clone(), f.name().clone())).collect();
        KafkaSinkSpec {
            id: "out".into(),
            brokers: "127.0.0.1:1".into(),
            topic: "t".into(),
            key: Some(0),
            headers: headers.iter().map(|name| ((*name).to_owned(), 1)).collect(),
            projection: Projection::new(&rows.schema(), &columns).expect("the columns are there"),
            settings: Vec::new(),
            name: "n".into(),
            identity: "identity".into(),
            origin: None,
        }
    }

    #[test]
    fn messages_that_were_left_go_out_as_they_were_encoded_and_rows_of_another_kind_are_refused() {
        let then = rows(["id", "name"]);
        let left = encode(&spec(&then, &["who", "why"]), false, &then).expect("encodable");
        // Meanwhile the columns are others, and there is one header less.
        let now = rows(["amount", "user"]);
        let mut delivery = KafkaDelivery::new(Arc::new(
            KafkaSink::new(spec(&now, &["who"])).expect("plain settings"),
        ));
        let entry = |rows: Vec<RecordBatch>, files| OutboxEntry {
            epoch: Epoch(7),
            parts: vec![OutboxPart { rows, files, ..OutboxPart::default() }],
        };
        let taken = delivery
            .take_over(entry(vec![left.clone()], vec![7.into()]))
            .expect("they are messages");
        assert_eq!(taken.parts[0].rows, [left]);
        let first = MessageRow::all(&taken.parts[0].rows[0]).next().expect("a message");
        assert_eq!((first.key(), first.value()), (Some(&b"1"[..]), &br#"{"id":1,"name":"a"}"#[..]));
        assert_eq!(
            first.headers().collect::<Vec<_>>(),
            [("who", Some(&b"a"[..])), ("why", Some(&b"a"[..]))]
        );

        let binary: ArrayRef = Arc::new(BinaryArray::from(vec![&b"x"[..]]));
        let two = RecordBatch::try_from_iter([("value", Arc::clone(&binary)), ("key", binary)])
            .expect("a batch");
        let staged = serde_json::json!({ "path": "part-1.parquet" });
        for other in
            [entry(vec![then], vec![]), entry(vec![two], vec![]), entry(vec![], vec![staged])]
        {
            let error = delivery.take_over(other).expect_err("no messages").to_string();
            assert!(error.contains("epoch 7") && error.contains("former configuration"), "{error}");
        }
    }
}
