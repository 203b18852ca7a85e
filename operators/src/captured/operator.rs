//! The step as an operator: changes are gathered as they come, and applied in the source's order
//! when an epoch closes.

use super::rows::{LastRow, LastRows, NONE, Sequence};
use super::spec::{CapturedSpec, OnInput};
use crate::dead_rows::{DeadRows, REASON_COMPUTE, isolate};
use crate::expression::EvaluationError;
use crate::keyed::BATCH_ROWS;
use crate::keyed::spelled::SpelledKeys;
use crate::step_error::{StepError, check_key};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType, UInt32Type};
use arrow::error::ArrowError;
use riskstream_engine::contract::{
    EpochClose, Feed, Op, Operator, OperatorError, Output, Routing, SavedState, Shape, StateBatch,
    StateDir,
};
use riskstream_engine::ids::{Epoch, Ownership};
use riskstream_engine::rows::{KeyedRows, RowsConfig, RowsError, SaveError};
use std::sync::Arc;

/// Rows whose keys' last rows are fetched from memory together: few enough that they are still in
/// the cache when their turn comes.
const TOUCHED_ROWS: usize = 512;
/// Reason code of a change without a key.
pub const REASON_NO_KEY: &str = "no-key";
/// Reason code of a change whose operation code is not known.
pub const REASON_OPERATION: &str = "operation";

/// Reason code of a change that leaves out unchanged columns although its key has no row before:
/// the change is applied, with nulls in these columns.
pub const REASON_UNSENT: &str = "unsent";

/// Turns captured changes into rows taken back and added. See the [module documentation](super).
#[derive(Debug)]
pub struct CapturedOperator {
    pub(super) plan: OnInput,
    pub(super) rows: LastRows,
    keys: SpelledKeys,
    /// Where the rows of a batch's keys are.
    places: Vec<u32>,
    /// The latest truncation.
    pub(super) truncated: Option<Sequence>,
    /// Whether the closed epoch had a truncation: rows saved before that epoch are forgotten.
    pub(super) forgot: bool,
    /// Batches of the open epoch.
    open: Vec<RecordBatch>,
    /// Places of keys that the closed epoch changed, for `changes`.
    pub(super) touched: Vec<u32>,
    leaving: Leaving,
    /// A row that is being put together, and where its values end and those of the row before.
    composed: Vec<u8>,
    ends: [Vec<usize>; 2],
    dead: DeadRows,
    /// Rows without a key reach every worker; this one reports them.
    reports_keyless: bool,
    pub(super) input: SchemaRef,
    pub(super) feed: Feed,
}

/// Rows on their way out.
#[derive(Debug, Default)]
struct Leaving {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    times: Vec<i64>,
    flags: Vec<u64>,
    diffs: Vec<i64>,
}

impl Leaving {
    fn push(&mut self, row: &[u8], time: i64, flags: u64, diff: i64) {
        self.bytes.extend_from_slice(row);
        self.ends.push(self.bytes.len());
        self.times.push(time);
        self.flags.push(flags);
        self.diffs.push(diff);
    }

    /// Sends rows on once there are many.
    fn send_many(&mut self, plan: &OnInput, out: &mut Output) -> Result<(), ArrowError> {
        if self.ends.len() < BATCH_ROWS { Ok(()) } else { self.send(plan, out) }
    }

    fn send(&mut self, plan: &OnInput, out: &mut Output) -> Result<(), ArrowError> {
        if self.ends.is_empty() {
            return Ok(());
        }
        // The next rows will be about as many.
        let (bytes, rows) = (self.bytes.len(), self.ends.len());
        let next = Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            flags: Vec::with_capacity(rows),
            diffs: Vec::with_capacity(rows),
        };
        let leaving = std::mem::replace(self, next);
        let starts = std::iter::once(0).chain(leaving.ends.iter().copied());
        let rows = starts.zip(&leaving.ends).map(|(start, end)| &leaving.bytes[start..*end]);
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(TimestampMicrosecondArray::from(leaving.times).with_timezone("UTC"))];
        columns.extend(plan.codec.decode(rows)?);
        for bit in 0..plan.ever.len() {
            columns.push(Arc::new(BooleanArray::from_iter(
                leaving.flags.iter().map(|flags| Some(flags >> bit & 1 == 1)),
            )));
        }
        columns.push(Arc::new(Int64Array::from(leaving.diffs)));
        out.push(RecordBatch::try_new(Arc::clone(&plan.output), columns)?);
        Ok(())
    }
}

/// The changes of a batch, column by column.
struct Changes<'a> {
    ops: &'a StringArray,
    times: &'a TimestampMicrosecondArray,
    commits: &'a Int64Array,
    positions: &'a Int64Array,
    offsets: &'a Int64Array,
    unchanged: &'a StringArray,
}

impl Changes<'_> {
    fn sequence(&self, row: usize) -> Sequence {
        let known =
            |column: &Int64Array| if column.is_null(row) { NONE } else { column.value(row) };
        Sequence {
            commit: known(self.commits),
            position: known(self.positions),
            offset: self.offsets.value(row),
        }
    }
}

impl CapturedOperator {
    /// A step with no rows, whose files go to `dir`.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: CapturedSpec, input: &SchemaRef, dir: StateDir) -> Result<Self, StepError> {
        let plan = OnInput::new(spec, input)?;
        check_key(&plan.key, input)?;
        let mut dead = DeadRows::new(&plan.spec.step_id, input);
        dead.set_event_time(&plan.spec.event_time, input)?;
        let reports_keyless = dir.worker == 0;
        let kept = KeyedRows::new(RowsConfig {
            dir,
            step: plan.spec.step_id.clone(),
            memory_bytes: plan.spec.memory_bytes,
        });
        Ok(Self {
            rows: LastRows::new(kept),
            keys: SpelledKeys::default(),
            places: Vec::new(),
            truncated: None,
            forgot: false,
            open: Vec::new(),
            touched: Vec::new(),
            leaving: Leaving::default(),
            composed: Vec::new(),
            ends: Default::default(),
            dead,
            reports_keyless,
            input: Arc::clone(input),
            feed: Feed::default(),
            plan,
        })
    }

    /// Sets what feeds the step, as far as the meaning of its state depends on it.
    #[must_use]
    pub fn fed_by(mut self, feed: Feed) -> Self {
        self.feed = feed;
        self
    }

    pub(super) fn storage(&self, RowsError { action, object, reason }: RowsError) -> OperatorError {
        OperatorError::Storage { step: self.plan.spec.step_id.clone(), action, object, reason }
    }

    pub(super) fn saving(&self, error: SaveError) -> OperatorError {
        match error {
            SaveError::Rows(e) => self.storage(e),
            SaveError::Arrow(e) => self.arrow(e),
        }
    }

    pub(super) fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.plan.spec.step_id.clone(), source }
    }

    /// The epoch's batches such that rows of a partition come by their offsets.
    fn in_order(&self, mut batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, ArrowError> {
        let place = |batch: &RecordBatch, row: usize| {
            let partition =
                batch.column(self.plan.partition).as_primitive::<UInt32Type>().value(row);
            (partition, batch.column(self.plan.offset).as_primitive::<Int64Type>().value(row))
        };
        batches.retain(|batch| batch.num_rows() > 0);
        batches.sort_by_key(|batch| place(batch, 0));
        let within = |batch: &RecordBatch| {
            (1..batch.num_rows()).all(|row| place(batch, row - 1) <= place(batch, row))
        };
        let between =
            |pair: &[RecordBatch]| place(&pair[0], pair[0].num_rows() - 1) <= place(&pair[1], 0);
        let Some(first) = batches.first() else { return Ok(batches) };
        if batches.iter().all(within) && batches.windows(2).all(between) {
            return Ok(batches);
        }
        let all = concat_batches(&first.schema(), &batches)?;
        let mut order: Vec<u32> = (0..all.num_rows() as u32).collect();
        // Stable: what one record of the source says comes in its order.
        order.sort_by_key(|row| place(&all, *row as usize));
        Ok(vec![take_record_batch(&all, &UInt32Array::from(order))?])
    }

    fn apply(&mut self, batch: &RecordBatch, out: &mut Output) -> Result<(), OperatorError> {
        let isolated = isolate(batch, |rows| self.conditions(&self.record(rows)));
        self.dead.push(batch, &isolated.bad, REASON_COMPUTE).map_err(|e| self.arrow(e))?;
        for (rows, truths) in &isolated.good {
            self.apply_good(rows, truths, out).map_err(|e| self.saving(e))?;
        }
        self.dead.flush(out);
        Ok(())
    }

    /// The batch's columns that rows consist of.
    fn record(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.plan.record.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        RecordBatch::try_new(Arc::clone(&self.plan.record_schema), columns)
    }

    fn conditions(
        &self,
        record: &Result<RecordBatch, ArrowError>,
    ) -> Result<Vec<BooleanArray>, EvaluationError> {
        let Ok(record) = record else { return Ok(Vec::new()) };
        self.plan.ever.iter().map(|condition| condition.evaluate_predicate(record)).collect()
    }

    fn apply_good(
        &mut self,
        batch: &RecordBatch,
        truths: &[BooleanArray],
        out: &mut Output,
    ) -> Result<(), SaveError> {
        let key_columns: Vec<ArrayRef> =
            self.plan.key.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        let keyless: Vec<bool> =
            (0..batch.num_rows()).map(|row| key_columns.iter().all(|c| c.is_null(row))).collect();
        self.keys.spell(&key_columns)?;
        let mut places = std::mem::take(&mut self.places);
        self.rows.kept.fetch(&self.keys.from(0), &mut places)?;
        let record = self.record(batch)?;
        // The `previous` columns are null until the row before is known.
        let nothing = |at: &usize| new_null_array(record.column(*at).data_type(), batch.num_rows());
        let columns: Vec<ArrayRef> = record
            .columns()
            .iter()
            .cloned()
            .chain(self.plan.previous.iter().map(nothing))
            .collect();
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        self.plan.codec.encode(&columns, &mut bytes, &mut ends)?;
        let changes = Changes {
            ops: batch.column(self.plan.op).as_string(),
            times: batch.column(self.plan.time).as_primitive::<TimestampMicrosecondType>(),
            commits: batch.column(self.plan.commit).as_primitive(),
            positions: batch.column(self.plan.position).as_primitive(),
            offsets: batch.column(self.plan.offset).as_primitive(),
            unchanged: batch.column(self.plan.unchanged).as_string(),
        };
        let (mut no_key, mut unknown, mut unsent) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for (row, end) in ends.into_iter().enumerate() {
            if row % TOUCHED_ROWS == 0 {
                self.rows.kept.touch(&places[row..places.len().min(row + TOUCHED_ROWS)]);
            }
            let new = &bytes[start..end];
            start = end;
            let (time, sequence) = (changes.times.value(row), changes.sequence(row));
            let op = Op::from_code(changes.ops.value(row));
            match op {
                None => unknown.push((
                    row,
                    format!("`{}` is none of c, u, d, r and t", changes.ops.value(row)),
                )),
                Some(Op::Truncate) => {
                    self.truncate(time, sequence, out)?;
                    let mut after = Vec::new();
                    self.rows.kept.fetch(&self.keys.from(row + 1), &mut after)?;
                    places[row + 1..].copy_from_slice(&after);
                }
                Some(_) if keyless[row] => no_key.push((
                    row,
                    "the columns of `key` are null, so nobody knows what it changes".to_owned(),
                )),
                Some(op) => {
                    let unchanged =
                        changes.unchanged.is_valid(row).then(|| changes.unchanged.value(row));
                    let held = truths.iter().enumerate().fold(0, |all, (bit, truth)| {
                        all | u64::from(truth.is_valid(row) && truth.value(row)) << bit
                    });
                    let change = CapturedChange {
                        place: places[row],
                        op,
                        new,
                        unchanged,
                        held,
                        time,
                        sequence,
                    };
                    if let Some(names) = self.change(&change)? {
                        unsent.push((
                            row,
                            format!(
                                "{names}: not sent, and no row before has it, so it is null; with \
                                 REPLICA IDENTITY FULL it is sent"
                            ),
                        ));
                    }
                }
            }
            self.leaving.send_many(&self.plan, out)?;
        }
        self.places = places;
        if self.reports_keyless {
            self.dead.push(batch, &no_key, REASON_NO_KEY)?;
        }
        self.dead.push(batch, &unsent, REASON_UNSENT)?;
        unknown.retain(|(row, _)| !keyless[*row] || self.reports_keyless);
        Ok(self.dead.push(batch, &unknown, REASON_OPERATION)?)
    }

    /// Takes back and forgets every row whose last change is before the truncation. The truncation
    /// is kept, so that a change before it that comes again is recognized as old.
    fn truncate(
        &mut self,
        time: i64,
        sequence: Sequence,
        out: &mut Output,
    ) -> Result<(), SaveError> {
        if self.truncated.is_some_and(|last| !sequence.is_after(last)) {
            // The truncation is a repetition: rows before it are gone already, and rows since are
            // newer.
            return Ok(());
        }
        self.truncated = Some(sequence);
        let mut newer: Vec<(u64, Vec<u8>, Vec<u8>)> = Vec::new();
        self.rows.kept.for_each(|hash, key, kept| {
            match LastRow::of(kept) {
                Some(LastRow { sequence: last, row, flags }) if sequence.is_after(last) => {
                    row.into_iter().for_each(|row| self.leaving.push(row, time, flags, -1));
                }
                _ => newer.push((hash, key.to_vec(), kept.to_vec())),
            }
            self.leaving.send_many(&self.plan, out).map_err(SaveError::from)
        })?;
        self.rows.kept.clear();
        self.forgot = true;
        self.touched.clear();
        self.touched
            .extend(newer.iter().map(|(hash, key, kept)| self.rows.kept.put(*hash, key, kept)));
        Ok(())
    }

    /// Applies a change; gives the names of columns that stay unknown.
    fn change<'a>(&mut self, change: &CapturedChange<'a>) -> Result<Option<&'a str>, ArrowError> {
        let CapturedChange { place, op, new, unchanged, held, time, sequence } = *change;
        let is_after = |last: Option<Sequence>| last.is_none_or(|last| sequence.is_after(last));
        let last = self.rows.get(place);
        if !is_after(last.map(|last| last.sequence))
            || !is_after(self.truncated.filter(|t| t.position != NONE))
        {
            return Ok(None);
        }
        self.touched.push(place);
        if op == Op::Delete {
            if let Some(LastRow { row: Some(row), flags, .. }) = last {
                self.leaving.push(row, time, flags, -1);
            }
            self.rows.set(place, None, 0, sequence);
            return Ok(None);
        }
        if unchanged.is_none() && self.plan.previous.is_empty() {
            self.replace(change, new, held);
            return Ok(None);
        }
        let of_the_record = |names: &&str| {
            names.split(',').any(|name| self.plan.record_schema.index_of(name).is_ok())
        };
        let unknown =
            unchanged.filter(|_| last.is_none_or(|last| last.row.is_none())).filter(of_the_record);
        let mut row = std::mem::take(&mut self.composed);
        let held = self.compose(change, &mut row)?;
        self.replace(change, &row, held);
        self.composed = row;
        Ok(unknown)
    }

    /// The key's row is `row` now, of which the conditions `held` hold.
    fn replace(
        &mut self,
        CapturedChange { place, time, sequence, .. }: &CapturedChange<'_>,
        row: &[u8],
        held: u64,
    ) {
        let last = self.rows.get(*place);
        let before = last.and_then(|last| Some((last.row?, last.flags)));
        let flags = before.map_or(0, |(_, flags)| flags) | held;
        if before != Some((row, flags)) {
            if let Some((before, flags_before)) = before {
                self.leaving.push(before, *time, flags_before, -1);
            }
            self.leaving.push(row, *time, flags, 1);
        }
        self.rows.set(*place, Some(row), flags, *sequence);
    }

    /// Puts a row together from what was sent and the row before; gives the conditions that hold
    /// for it.
    fn compose(
        &mut self,
        change: &CapturedChange<'_>,
        row: &mut Vec<u8>,
    ) -> Result<u64, ArrowError> {
        row.clear();
        let Some(before) = self.rows.get(change.place).and_then(|last| last.row) else {
            row.extend_from_slice(change.new);
            return Ok(change.held);
        };
        let [new_ends, before_ends] = &mut self.ends;
        self.plan.codec.ends(change.new, new_ends);
        self.plan.codec.ends(before, before_ends);
        for (column, field) in self.plan.record_schema.fields().iter().enumerate() {
            let was_sent = change
                .unchanged
                .is_none_or(|names| names.split(',').all(|name| name != field.name()));
            row.extend_from_slice(if was_sent {
                segment(change.new, new_ends, column)
            } else {
                segment(before, before_ends, column)
            });
        }
        // A row that equals the row before in the record's columns keeps its `previous` columns.
        let says_the_same = before.starts_with(row)
            && before_ends.get(self.plan.record.len() - 1) == Some(&row.len());
        let record = row.len();
        if says_the_same {
            row.extend_from_slice(&before[record..]);
        } else {
            self.plan
                .previous
                .iter()
                .for_each(|column| row.extend_from_slice(segment(before, before_ends, *column)));
        }
        if change.unchanged.is_some() { self.held(&row[..record]) } else { Ok(change.held) }
    }

    /// Conditions that hold for a row that was put together here; `row` has the record's columns
    /// only.
    fn held(&self, row: &[u8]) -> Result<u64, ArrowError> {
        if self.plan.ever.is_empty() {
            return Ok(0);
        }
        let mut whole = row.to_vec();
        (0..self.plan.previous.len()).for_each(|_| whole.push(0));
        let mut columns = self.plan.codec.decode([whole.as_slice()].into_iter())?;
        columns.truncate(self.plan.record.len());
        let record = RecordBatch::try_new(Arc::clone(&self.plan.record_schema), columns);
        // A condition that fails to compute for a composed row counts as false; a row for which it
        // fails as it was sent became a dead letter before.
        let truths = self.conditions(&record).unwrap_or_default();
        Ok(truths.iter().enumerate().fold(0, |all, (bit, truth)| {
            all | u64::from(truth.is_valid(0) && truth.value(0)) << bit
        }))
    }
}

/// One change of one key.
#[derive(Clone, Copy)]
struct CapturedChange<'a> {
    place: u32,
    op: Op,
    new: &'a [u8],
    unchanged: Option<&'a str>,
    held: u64,
    time: i64,
    sequence: Sequence,
}

/// A value of a row.
fn segment<'a>(row: &'a [u8], ends: &[usize], column: usize) -> &'a [u8] {
    let start = if column == 0 { 0 } else { ends[column - 1] };
    &row[start..ends[column]]
}

impl Operator for CapturedOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    fn routing(&self) -> Routing {
        Routing::ByKeyOrAll(self.plan.key.clone())
    }

    fn shape(&self) -> Option<Shape> {
        Some(self.meaning())
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.restore_saved(saved, worker, ownership)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        _out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.open.push(batch);
        Ok(())
    }

    fn on_close(&mut self, _close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        self.touched.clear();
        self.forgot = false;
        self.rows.kept.make_room().map_err(|e| self.storage(e))?;
        let batches = std::mem::take(&mut self.open);
        for batch in self.in_order(batches).map_err(|e| self.arrow(e))? {
            self.apply(&batch, out)?;
        }
        self.leaving.send(&self.plan, out).map_err(|e| self.arrow(e))
    }

    fn changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_changes().map_err(|e| self.arrow(e))
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_all().map_err(|e| self.saving(e))
    }

    fn state_bytes(&self) -> usize {
        self.rows.kept.bytes()
    }

    fn live_files(&self) -> Vec<String> {
        self.rows.kept.live_files()
    }
}
