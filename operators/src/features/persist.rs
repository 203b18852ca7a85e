//! What a features step saves, and how it takes it back.
//!
//! Changes of an epoch: the rows it processed, in order (`history`), its new keys (`keys`), and the
//! watermark at its end (`close`). A snapshot: all keys (`keys`) with their numbers (`sums`,
//! `beside`) and structures (`extremes`, `distinct`, `last`), the history's chunks in segment files
//! (`segments`) and rows in none (`tail`, `side`), and the state's shape and clock (`meta`). To
//! restore is to load the snapshot and process the changes' rows again, without output. Rows carry
//! their key's number, and with it the shard, so that any number of workers can share them out.
//! State that depends on a worker's clock is saved with that clock: on restore, the rows of workers
//! whose clock was behind are counted up to the largest clock.

use super::beside::KeyBeside;
use super::extras::Different;
use super::operator::FeaturesOperator;
use super::since::{SavedColumns, text};
use super::state::{Promoted, State, SumLane, SumPlace};
use super::wide::{Lanes, WideColumn, parts_of, parts_of_squares};
use crate::keyed::columns::{batch, decimals, integers, numbers, wides, wrong};
use crate::keyed::exact::Exact;
use arrow::array::{
    ArrayRef, AsArray, BinaryArray, Int64Array, LargeBinaryArray, RecordBatch, StringArray,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use arrow::error::ArrowError;
use riskstream_engine::contract::{EpochClose, OperatorError, SavedState, StateBatch};
use riskstream_engine::history::{Chunk, SavedChunk, ShardSet};
use riskstream_engine::ids::{EventTime, KeyId, Ownership, ShardId};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const KEYS: &str = "keys";
pub(super) const HISTORY: &str = "history";
pub(super) const CLOSE: &str = "close";
pub(super) const META: &str = "meta";
/// In the close and the meta: the columns of the rows.
pub(super) const COLUMNS: &str = "columns";
/// In the close and the meta: since when features are complete.
pub(super) const SINCE: &str = "since";
/// In the close and the meta: keys were forgotten whose last rows were up to this time.
pub(super) const FORGOTTEN: &str = "forgotten";
/// In the meta: what the numbers depend on.
const FORM: &str = "form";
const SUMS: &str = "sums";
/// In the sums: since when a key has had no new row.
const IDLE: &str = "idle";
const BESIDE: &str = "beside";
const EXTREMES: &str = "extremes";
const DISTINCT: &str = "distinct";
const LAST: &str = "last";
/// The time of each key's latest row.
pub(super) const LATEST: &str = "latest";
pub(super) const SEGMENTS: &str = "segments";
pub(super) const TAIL: &str = "tail";
pub(super) const SIDE: &str = "side";

fn lane_name(lane: SumLane) -> String {
    match lane {
        SumLane::Rows => "rows".into(),
        SumLane::Sum(c) => format!("sum{c}"),
        SumLane::Nulls(c) => format!("nulls{c}"),
    }
}

/// The names of a wide column's numbers, in their order.
fn wide_names(wide: &WideColumn) -> Vec<String> {
    let names = |lanes: Option<Lanes>, what: &str| match lanes {
        None => Vec::new(),
        Some(Lanes { parts: 1, .. }) => vec![format!("{what}{}", wide.column)],
        Some(Lanes { parts, .. }) => {
            (0..parts).map(|part| format!("{what}{}part{part}", wide.column)).collect()
        }
    };
    [names(wide.sum, "wide"), names(wide.squares, "squares")].concat()
}

/// Adds columns that are the same in every row.
fn with_constants(
    batch: &RecordBatch,
    constants: &[(&str, i64)],
) -> Result<RecordBatch, ArrowError> {
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    for (name, value) in constants {
        fields.push(Arc::new(Field::new(*name, DataType::Int64, false)));
        columns.push(Arc::new(Int64Array::from(vec![*value; batch.num_rows()])));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The places of a shard's living keys.
fn of_shard((shard, living): (usize, Vec<bool>)) -> impl Iterator<Item = (usize, usize)> {
    living
        .into_iter()
        .enumerate()
        .filter(|(_, living)| *living)
        .map(move |(local, _)| (shard, local))
}

impl State {
    fn save_sums(&self, living: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
        let keys: Vec<u32> = living
            .iter()
            .map(|&(shard, local)| KeyId::new(ShardId(shard as u8), local as u32).0)
            .collect();
        let mut columns: Vec<(String, ArrayRef)> =
            vec![("key".into(), Arc::new(UInt32Array::from(keys)))];
        if self.idle.iter().any(|idle| !idle.is_empty()) {
            let since = living.iter().map(|&(shard, local)| self.idle[shard][local].since);
            columns.push((IDLE.into(), Arc::new(Int64Array::from_iter_values(since))));
        }
        for edge in 0..self.edges {
            let lanes = self.lanes.len();
            for (at, lane) in self.lanes.iter().enumerate() {
                let values = living.iter().map(|&(shard, local)| {
                    self.narrow[Self::place(edge, shard)][local * lanes + at]
                });
                columns.push((
                    format!("{}_{edge}", lane_name(*lane)),
                    Arc::new(Int64Array::from_iter_values(values)),
                ));
            }
            for (at, name) in self.wide_columns.iter().flat_map(wide_names).enumerate() {
                let place = edge * self.wide_lanes + at;
                let values = living
                    .iter()
                    .map(|&(shard, local)| self.wide[shard][local * self.wide_stride() + place]);
                columns.push((format!("{name}_{edge}"), decimals(values.collect())));
            }
        }
        RecordBatch::try_from_iter(columns)
    }

    /// Restores one worker's sums. Lanes that only the saved sums have are added first; in lanes
    /// that they lack, the worker's keys have 0.
    fn restore_sums(
        &mut self,
        saved: &RecordBatch,
        shards: &ShardSet,
        kept: usize,
    ) -> Result<(), ArrowError> {
        let keys = numbers(saved, "key")?;
        for column in 0..kept {
            let lane = SumLane::Nulls(column);
            if saved.column_by_name(&format!("{}_0", lane_name(lane))).is_some()
                && !self.lanes.contains(&lane)
            {
                self.add_lane(lane);
            }
            let has = |name: String| saved.column_by_name(&name).is_some();
            let is_wide = matches!(self.sum_place(column), SumPlace::Wide(_));
            let parts = |state: &Self, what: fn(&WideColumn) -> Option<Lanes>| {
                state
                    .wide_column(column)
                    .and_then(|at| what(&state.wide_columns[at]))
                    .map_or(0, |lanes| lanes.parts)
            };
            if !is_wide && (has(format!("wide{column}_0")) || has(format!("wide{column}part0_0"))) {
                self.promote(column, Promoted::Sum);
            }
            if parts(self, |wide| wide.sum) == 1 && has(format!("wide{column}part0_0")) {
                self.promote(column, Promoted::Sum);
            }
            if parts(self, |wide| wide.squares) == 1 && has(format!("squares{column}part0_0")) {
                self.promote(column, Promoted::Squares);
            }
        }
        let (lanes, wide_columns) = (self.lanes.clone(), self.wide_columns.clone());
        let wide_stride = self.wide_stride();
        for edge in 0..self.edges {
            for (at, lane) in lanes.iter().enumerate() {
                let name = format!("{}_{edge}", lane_name(*lane));
                if saved.column_by_name(&name).is_none() && matches!(lane, SumLane::Nulls(_)) {
                    continue;
                }
                for (key, value) in
                    keys.iter().zip(integers(saved, &name)?).filter(|(k, _)| shards.has_key(**k))
                {
                    let key = KeyId(*key);
                    self.narrow[Self::place(edge, usize::from(key.shard().0))]
                        [key.local() * lanes.len() + at] = *value;
                }
            }
            for wide in &wide_columns {
                let (sums, squares) = self.saved_wides(saved, wide, edge)?;
                for (lanes, values) in [(wide.sum, sums), (wide.squares, squares)] {
                    let Some(lanes) = lanes else { continue };
                    for (at, values) in (lanes.first..).zip(values) {
                        for (key, value) in
                            keys.iter().zip(values).filter(|(k, _)| shards.has_key(**k))
                        {
                            let key = KeyId(*key);
                            self.wide[usize::from(key.shard().0)]
                                [key.local() * wide_stride + edge * self.wide_lanes + at] = value;
                        }
                    }
                }
            }
        }
        if saved.column_by_name(IDLE).is_some() {
            for (key, since) in
                keys.iter().zip(integers(saved, IDLE)?).filter(|(k, _)| shards.has_key(**k))
            {
                self.restore_idle(KeyId(*key), *since);
            }
        }
        Ok(())
    }

    /// A worker's saved sums and sums of squares of a wide column at an edge, in as many parts as
    /// this state has. If that worker had not promoted the column, they are differences from the
    /// last edge, as after a promotion.
    fn saved_wides(
        &self,
        saved: &RecordBatch,
        wide: &WideColumn,
        edge: usize,
    ) -> Result<(Parts, Parts), ArrowError> {
        let (column, last) = (wide.column, self.edges - 1);
        let has = |name: &str| saved.column_by_name(&format!("{name}_{edge}")).is_some();
        let at = |name: &str, edge: usize| {
            Ok::<_, ArrowError>(wides(saved, &format!("{name}_{edge}"))?.to_vec())
        };
        let since_last = |name: &str| -> Result<Vec<i128>, ArrowError> {
            Ok(at(name, edge)?
                .into_iter()
                .zip(at(name, last)?)
                .map(|(here, last)| here.wrapping_sub(last))
                .collect())
        };
        let all = |what: &str, parts: usize| -> Result<Parts, ArrowError> {
            (0..parts).map(|part| at(&format!("{what}{column}part{part}"), edge)).collect()
        };
        let (one, squares) = (format!("wide{column}"), format!("squares{column}"));
        let sums = match wide.sum.map_or(0, |lanes| lanes.parts) {
            0 => Vec::new(),
            1 if has(&one) => vec![at(&one, edge)?],
            parts if has(&format!("{one}part0")) => all("wide", parts)?,
            parts => {
                let values = if has(&one) {
                    since_last(&one)?
                } else {
                    let narrow = |edge| {
                        integers(saved, &format!("{}_{edge}", lane_name(SumLane::Sum(column))))
                    };
                    narrow(edge)?
                        .iter()
                        .zip(narrow(last)?)
                        .map(|(here, last)| i128::from(here.wrapping_sub(*last)))
                        .collect()
                };
                if parts == 1 { vec![values] } else { in_parts(&values, parts_of) }
            }
        };
        let squares = match wide.squares.map_or(0, |lanes| lanes.parts) {
            0 => Vec::new(),
            1 => vec![at(&squares, edge)?],
            parts if has(&format!("{squares}part0")) => all("squares", parts)?,
            _ => in_parts(&since_last(&squares)?, parts_of_squares),
        };
        Ok((sums, squares))
    }

    fn save_beside(&self) -> Result<RecordBatch, ArrowError> {
        let mut keys: Vec<(&u32, &KeyBeside)> = self.beside.by_key.iter().collect();
        keys.sort_unstable_by_key(|(key, _)| **key);
        let columns: Vec<u32> = self.wide_columns[..self.beside_columns]
            .iter()
            .map(|wide| wide.column as u32)
            .collect();
        let (mut of, mut edges, mut kept, mut sums) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (key, own) in keys {
            for (place, [sum, squares]) in own.sums.iter().enumerate() {
                let mut bytes = Vec::new();
                sum.write(&mut bytes);
                squares.write(&mut bytes);
                of.push(*key);
                edges.push((place / columns.len()) as u32);
                kept.push(columns[place % columns.len()]);
                sums.push(bytes);
            }
        }
        batch(vec![
            ("key", Arc::new(UInt32Array::from(of))),
            ("edge", Arc::new(UInt32Array::from(edges))),
            ("column", Arc::new(UInt32Array::from(kept))),
            ("sums", Arc::new(LargeBinaryArray::from_iter_values(sums))),
        ])
    }

    fn restore_beside(&mut self, saved: &RecordBatch, shards: &ShardSet) -> Result<(), ArrowError> {
        let (keys, edges, kept) =
            (numbers(saved, "key")?, numbers(saved, "edge")?, numbers(saved, "column")?);
        let sums = saved
            .column_by_name("sums")
            .and_then(|c| c.as_binary_opt::<i64>())
            .ok_or_else(|| wrong("sums"))?;
        for row in (0..keys.len()).filter(|row| shards.has_key(keys[*row])) {
            let mut bytes = sums.value(row);
            let own = Exact::read(&mut bytes)
                .zip(Exact::read(&mut bytes))
                .ok_or_else(|| wrong("sums"))?;
            let columns = self.beside_columns;
            let at = self.wide_column(kept[row] as usize).ok_or_else(|| wrong("column"))?;
            let edges_here = self.edges;
            let key = self
                .beside
                .by_key
                .entry(keys[row])
                .or_insert_with(|| KeyBeside::new(edges_here, columns));
            *key.sums.get_mut(edges[row] as usize * columns + at).ok_or_else(|| wrong("edge"))? =
                [own.0, own.1];
        }
        Ok(())
    }

    fn save_extras(&self, living: &[(usize, usize)]) -> Result<Vec<StateBatch>, ArrowError> {
        let [mut extremes, mut distinct, mut last, mut latest] = [const { Rows::new() }; 4];
        for (shard, local) in living.iter().copied() {
            let key = KeyId::new(ShardId(shard as u8), local as u32).0;
            let Some(extras) = self.extras[shard].get(local) else { continue };
            for (index, candidates) in extras.extremes.iter().enumerate() {
                candidates
                    .iter()
                    .for_each(|(time, value)| extremes.push(key, index, *time, *value));
            }
            for (index, different) in extras.different.iter().enumerate() {
                for (value, counts) in &different.counts {
                    // The windows' counts one after another: the place of a window is the
                    // structure's times the windows and its own.
                    let base = index * counts.len();
                    counts.iter().enumerate().for_each(|(w, count)| {
                        distinct.push(key, base + w, i64::from(*count), *value)
                    });
                }
            }
            for (index, (time, value)) in
                extras.lasts.iter().enumerate().filter(|(_, l)| l.0 != i64::MIN)
            {
                last.push(key, index, *time, *value);
            }
            if extras.last_time != i64::MIN {
                latest.push(key, 0, extras.last_time, 0);
            }
        }
        Ok(vec![
            StateBatch::new(EXTREMES, extremes.into_batch()?),
            StateBatch::new(DISTINCT, distinct.into_batch()?),
            StateBatch::new(LAST, last.into_batch()?),
            StateBatch::new(LATEST, latest.into_batch()?),
        ])
    }

    fn restore_extras(
        &mut self,
        name: &str,
        saved: &RecordBatch,
        shards: &ShardSet,
        windows: usize,
    ) -> Result<(), ArrowError> {
        let (keys, index) = (numbers(saved, "key")?, numbers(saved, "index")?);
        let (times, values) = (integers(saved, "number")?, wides(saved, "value")?);
        for row in (0..keys.len()).filter(|r| shards.has_key(keys[*r])) {
            let key = KeyId(keys[row]);
            let extras = self.extras[usize::from(key.shard().0)]
                .get_mut(key.local())
                .ok_or_else(|| wrong("key"))?;
            let index = index[row] as usize;
            match name {
                EXTREMES => extras
                    .extremes
                    .get_mut(index)
                    .ok_or_else(|| wrong("index"))?
                    .push_back((times[row], values[row])),
                DISTINCT => {
                    let (structure, window) = (index / windows.max(1), index % windows.max(1));
                    let different: &mut Different =
                        extras.different.get_mut(structure).ok_or_else(|| wrong("index"))?;
                    let counts =
                        different.counts.entry(values[row]).or_insert_with(|| vec![0; windows]);
                    counts[window] = times[row] as u32;
                    different.values[window] += u32::from(times[row] > 0);
                }
                LAST => {
                    *extras.lasts.get_mut(index).ok_or_else(|| wrong("index"))? =
                        (times[row], values[row])
                }
                _ => extras.last_time = extras.last_time.max(times[row]),
            }
        }
        Ok(())
    }
}

/// Numbers of many keys, by part.
type Parts = Vec<Vec<i128>>;

fn in_parts<const N: usize>(values: &[i128], parts: fn(i128) -> [i128; N]) -> Parts {
    (0..N).map(|part| values.iter().map(|value| parts(*value)[part]).collect()).collect()
}

/// Rows of a structure: key, which structure, a time or count, a value.
struct Rows {
    keys: Vec<u32>,
    index: Vec<u32>,
    numbers: Vec<i64>,
    values: Vec<i128>,
}

impl Rows {
    const fn new() -> Self {
        Self { keys: Vec::new(), index: Vec::new(), numbers: Vec::new(), values: Vec::new() }
    }

    fn push(&mut self, key: u32, index: usize, number: i64, value: i128) {
        self.keys.push(key);
        self.index.push(index as u32);
        self.numbers.push(number);
        self.values.push(value);
    }

    fn into_batch(self) -> Result<RecordBatch, ArrowError> {
        batch(vec![
            ("key", Arc::new(UInt32Array::from(self.keys))),
            ("index", Arc::new(UInt32Array::from(self.index))),
            ("number", Arc::new(Int64Array::from(self.numbers))),
            ("value", decimals(self.values)),
        ])
    }
}

impl FeaturesOperator {
    pub(super) fn save_changes(
        &mut self,
        close: &EpochClose,
    ) -> Result<Vec<StateBatch>, OperatorError> {
        let mut out = Vec::new();
        if let Some(keys) = self.dictionary.take_new().map_err(|e| self.arrow(e))? {
            out.push(StateBatch::new(KEYS, keys));
        }
        for rows in std::mem::take(&mut self.processed) {
            out.push(StateBatch::new(HISTORY, rows.into_small_batch().map_err(|e| self.arrow(e))?));
        }
        let watermark: ArrayRef = Arc::new(Int64Array::from(vec![close.watermark.0]));
        let columns: ArrayRef = Arc::new(StringArray::from(vec![self.saved_layout.clone()]));
        let since: ArrayRef = Arc::new(StringArray::from(vec![self.since.told_later()]));
        let forgotten: ArrayRef = Arc::new(Int64Array::from(vec![self.forgotten_before]));
        let close = batch(vec![
            ("watermark", watermark),
            (COLUMNS, columns),
            (SINCE, since),
            (FORGOTTEN, forgotten),
        ]);
        out.push(StateBatch::new(CLOSE, close.map_err(|e| self.arrow(e))?));
        Ok(out)
    }

    pub(super) fn save_snapshot(
        &mut self,
        close: &EpochClose,
    ) -> Result<Vec<StateBatch>, OperatorError> {
        self.forget_keys();
        self.history.flush(close.epoch).map_err(|e| self.storage(e))?;
        let files = std::mem::replace(&mut self.snapshot_files[1], self.history.files());
        self.snapshot_files[0] = files;
        self.snapshot_batches().map_err(|e| self.arrow(e))
    }

    fn snapshot_batches(&self) -> Result<Vec<StateBatch>, ArrowError> {
        let clock = self.history.clock();
        let worker = self.worker as i64;
        let meta = batch(vec![
            (FORM, Arc::new(StringArray::from(vec![self.plan.form()]))),
            (COLUMNS, Arc::new(StringArray::from(vec![self.saved_layout.clone()]))),
            ("pruned", Arc::new(Int64Array::from(vec![self.history.pruned()]))),
            (FORGOTTEN, Arc::new(Int64Array::from(vec![self.forgotten_before]))),
            (SINCE, Arc::new(StringArray::from(vec![self.since.told()]))),
            ("clock", Arc::new(Int64Array::from(vec![clock]))),
            ("watermark", Arc::new(Int64Array::from(vec![self.watermark]))),
            (
                "magnitude",
                Arc::new(StringArray::from(vec![
                    self.state.magnitude.iter().map(u128::to_string).collect::<Vec<_>>().join(" "),
                ])),
            ),
        ])?;
        let living: Vec<(usize, usize)> =
            (0..).zip(self.dictionary.living()).flat_map(of_shard).collect();
        let mut out = vec![
            StateBatch::new(META, meta),
            StateBatch::new(KEYS, self.dictionary.all()?),
            StateBatch::new(SUMS, self.state.save_sums(&living)?),
        ];
        if !self.state.beside.by_key.is_empty() {
            out.push(StateBatch::new(BESIDE, self.state.save_beside()?));
        }
        if self.plan.has_extras() {
            out.extend(self.state.save_extras(&living)?);
        }
        for (number, (chunks, rest)) in self.history.saved_logs().into_iter().enumerate() {
            let constants = [("clock", clock), ("worker", worker), ("log", number as i64)];
            if !chunks.is_empty() {
                out.push(StateBatch::new(
                    SEGMENTS,
                    with_constants(&segments_batch(&chunks)?, &constants)?,
                ));
            }
            if !rest.is_empty() {
                out.push(StateBatch::new(TAIL, with_constants(&rest.into_batch()?, &constants)?));
            }
        }
        let side = self.history.side_rows();
        if !side.is_empty() {
            out.push(StateBatch::new(
                SIDE,
                with_constants(&side.into_batch()?, &[("clock", clock)])?,
            ));
        }
        Ok(out)
    }

    pub(super) fn restore_saved(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.worker = worker;
        self.dictionary
            .restore(&saved.named(KEYS).collect::<Vec<_>>(), &shards)
            .map_err(|e| self.arrow(e))?;
        self.state.grow(&self.plan, self.dictionary.counts());
        if let Some((epoch, batches)) = &saved.snapshot {
            let metas = batches.iter().filter(|b| b.name == META);
            let forms = metas.map(|meta| Ok(text(&meta.rows, FORM)? == self.plan.form()));
            let is_same = forms.collect::<Result<Vec<bool>, _>>().map_err(|e| self.arrow(e))?;
            self.restore_since(batches)?;
            if is_same.contains(&false) {
                self.rebuild(*epoch, batches, &shards)?
            } else {
                self.restore_snapshot(batches, &shards)?
            }
        }
        for (epoch, batches) in &saved.changes {
            let mut rows = Chunk::empty(self.history.layout());
            let mut watermark = EventTime::MIN;
            let mut columns = SavedColumns::default();
            for close in batches.iter().filter(|b| b.name == CLOSE) {
                let saved = integers(&close.rows, "watermark").map_err(|e| self.arrow(e))?;
                watermark = saved.iter().fold(watermark, |w, s| w.max(EventTime(*s)));
                columns =
                    SavedColumns::parse(text(&close.rows, COLUMNS).map_err(|e| self.arrow(e))?);
                self.since.restore(text(&close.rows, SINCE).map_err(|e| self.arrow(e))?);
                self.take_forgotten(&close.rows).map_err(|e| self.arrow(e))?;
            }
            for saved in batches.iter().filter(|b| b.name == HISTORY) {
                let mut some =
                    Chunk::from_batch(&saved.rows, &columns.layout()).map_err(|e| self.arrow(e))?;
                some.retain_keys(|k| shards.has_key(k));
                let some = self.conform(some, &columns);
                rows.extend(&some, 0, some.len());
            }
            // Workers' rows are put in time order; rows of one key, which are all one worker's,
            // keep their order where times are equal.
            if self.in_event_time() {
                rows = rows.sorted();
            }
            self.prepare(&rows);
            self.process(&rows, None)?;
            self.close(watermark)?;
            self.history.enforce_budget(*epoch).map_err(|e| self.storage(e))?;
        }
        Ok(())
    }

    fn restore_snapshot(
        &mut self,
        batches: &[StateBatch],
        shards: &ShardSet,
    ) -> Result<(), OperatorError> {
        let mut clock = i64::MIN;
        let mut logs: BTreeMap<(i64, i64), (Vec<SavedChunk>, Chunk, i64)> = BTreeMap::new();
        let windows = self.plan.tails.len();
        let mut side = Vec::new();
        for StateBatch { name, rows } in batches {
            let loaded: Result<(), ArrowError> = match name.as_str() {
                META => {
                    clock = clock.max(
                        integers(rows, "clock")
                            .map_err(|e| self.arrow(e))?
                            .iter()
                            .copied()
                            .max()
                            .unwrap_or(clock),
                    );
                    self.restore_meta(rows)
                }
                SUMS => self.state.restore_sums(rows, shards, self.plan.kept.len()),
                // Columns that are promoted later come after those that have anything here.
                BESIDE => self.state.restore_beside(rows, shards),
                EXTREMES | DISTINCT | LAST | LATEST => {
                    self.state.restore_extras(name, rows, shards, windows)
                }
                SEGMENTS => log_of(&mut logs, rows, self.history.layout()).and_then(|log| {
                    log.0.extend(segments_from(rows, shards)?);
                    Ok(())
                }),
                TAIL => Chunk::from_batch(rows, self.history.layout()).and_then(|mut tail| {
                    tail.retain_keys(|k| shards.has_key(k));
                    log_of(&mut logs, rows, self.history.layout())?.1.extend(&tail, 0, tail.len());
                    Ok(())
                }),
                SIDE => Chunk::from_batch(rows, self.history.layout()).and_then(|mut some| {
                    some.retain_keys(|k| shards.has_key(k));
                    side.push((
                        some,
                        integers(rows, "clock")?.first().copied().unwrap_or(i64::MIN),
                    ));
                    Ok(())
                }),
                _ => Ok(()),
            };
            loaded.map_err(|e| self.arrow(e))?;
        }
        // The longest log goes on as the main one.
        let mut logs: Vec<_> = logs
            .into_values()
            .filter(|(chunks, rest, _)| !chunks.is_empty() || !rest.is_empty())
            .collect();
        logs.sort_by_key(|(chunks, rest, _)| {
            std::cmp::Reverse(chunks.iter().map(|c| c.rows).sum::<usize>() + rest.len())
        });
        for (index, (chunks, rest, clock)) in logs.into_iter().enumerate() {
            self.history
                .restore_log(chunks, &rest, clock, index == 0)
                .map_err(|e| self.storage(e))?;
        }
        let (plan, state) = (&self.plan, &mut self.state);
        let fold = &mut |edge: usize, rows: &Chunk, row: usize| state.fold(plan, edge, rows, row);
        let started = self.history.start(clock, fold);
        for (rows, clock) in &side {
            for row in 0..rows.len() {
                self.history.insert_since(rows, row, *clock, fold);
            }
        }
        started.map_err(|e| self.storage(e))?;
        // What the snapshot names stays until a later snapshot is committed.
        self.snapshot_files = [self.history.files(), self.history.files()];
        Ok(())
    }

    /// Restores up to when keys were forgotten: features whose windows reach that far back are
    /// null.
    pub(super) fn take_forgotten(&mut self, saved: &RecordBatch) -> Result<(), ArrowError> {
        let forgotten = integers(saved, FORGOTTEN)?.iter().copied().max().unwrap_or(i64::MIN);
        self.forgotten_before = self.forgotten_before.max(forgotten);
        self.pruned_before = self.pruned_before.max(self.forgotten_before);
        Ok(())
    }

    fn restore_meta(&mut self, meta: &RecordBatch) -> Result<(), ArrowError> {
        self.watermark = integers(meta, "watermark")?.iter().fold(self.watermark, |w, s| w.max(*s));
        let saved = meta
            .column_by_name("magnitude")
            .and_then(|c| c.as_string_opt::<i32>())
            .ok_or_else(|| wrong("magnitude"))?;
        for (magnitude, saved) in self.state.magnitude.iter_mut().zip(saved.value(0).split(' ')) {
            *magnitude = (*magnitude).max(saved.parse().unwrap_or(0));
        }
        Ok(())
    }
}

pub(super) type SavedLog = (Vec<SavedChunk>, Chunk, i64);

/// The log that a batch of the snapshot belongs to, by the worker that saved it and its number
/// there.
pub(super) fn log_of<'a>(
    logs: &'a mut BTreeMap<(i64, i64), SavedLog>,
    rows: &RecordBatch,
    layout: &[riskstream_engine::history::Width],
) -> Result<&'a mut SavedLog, ArrowError> {
    let first = |name| integers(rows, name)?.first().copied().ok_or_else(|| wrong(name));
    let clock = first("clock")?;
    Ok(logs
        .entry((first("worker")?, first("log")?))
        .or_insert_with(|| (Vec::new(), Chunk::empty(layout), clock)))
}

fn segments_batch(chunks: &[SavedChunk]) -> Result<RecordBatch, ArrowError> {
    let shards: Vec<Vec<u8>> = chunks.iter().map(|c| c.shards.to_bytes()).collect();
    batch(vec![
        ("file", Arc::new(StringArray::from_iter_values(chunks.iter().map(|c| c.file.as_ref())))),
        ("index", Arc::new(UInt32Array::from_iter_values(chunks.iter().map(|c| c.index as u32)))),
        ("rows", Arc::new(UInt64Array::from_iter_values(chunks.iter().map(|c| c.rows as u64)))),
        ("min", Arc::new(Int64Array::from_iter_values(chunks.iter().map(|c| c.min)))),
        ("max", Arc::new(Int64Array::from_iter_values(chunks.iter().map(|c| c.max)))),
        ("shards", Arc::new(BinaryArray::from_iter_values(shards.iter()))),
    ])
}

/// The chunks of which any row may be of `owned`.
pub(super) fn segments_from(
    rows: &RecordBatch,
    owned: &ShardSet,
) -> Result<Vec<SavedChunk>, ArrowError> {
    let file = rows
        .column_by_name("file")
        .and_then(|c| c.as_string_opt::<i32>())
        .ok_or_else(|| wrong("file"))?;
    let index = numbers(rows, "index")?;
    let count = rows
        .column_by_name("rows")
        .and_then(|c| c.as_primitive_opt::<UInt64Type>())
        .ok_or_else(|| wrong("rows"))?;
    let (min, max) = (integers(rows, "min")?, integers(rows, "max")?);
    let shards = rows
        .column_by_name("shards")
        .and_then(|c| c.as_binary_opt::<i32>())
        .ok_or_else(|| wrong("shards"))?;
    let mut out = Vec::new();
    for row in 0..rows.num_rows() {
        let shards =
            ShardSet::from_bytes(shards.value(row)).ok_or_else(|| wrong("shards"))?.and(owned);
        if !shards.is_empty() {
            let (file, rows) = (file.value(row).into(), count.value(row) as usize);
            out.push(SavedChunk {
                file,
                index: index[row] as usize,
                rows,
                min: min[row],
                max: max[row],
                shards,
            });
        }
    }
    Ok(out)
}
