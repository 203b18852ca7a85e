//! From the tree of keys and values to a [`Spec`], section by section; what can't be read is noted
//! and left out.

mod destination;
mod event_time;
mod file;
mod formats;
mod forms;
mod generator;
mod kafka;
mod maintain;
mod pipeline;
mod postgres;
mod query;
mod service;
mod shared;
mod source;
mod step;

use std::path::PathBuf;

use shared::check_local;

use super::defaults;
use super::document::{Entry, Node};
use super::problem::Problem;
use super::reader::{self, Table};
use super::span::{Span, Spanned};
use super::spec::{EpochLimits, Log, Riskstream, Spec};
use super::values::NameKind;

/// Worker threads at most: a worker without a shard has nothing to do.
const WORKERS_MAX: u64 = 256;
/// Smallest `epoch.bytes`: a few rows.
const EPOCH_BYTES_MIN: u64 = 64 * 1024;
/// Smallest `history_memory`.
const HISTORY_MEMORY_MIN: u64 = 1024 * 1024;
/// Smallest `rows_memory`.
const ROWS_MEMORY_MIN: u64 = 1024 * 1024;
/// Smallest `staged_bytes_max`: the files of one epoch need room.
const STAGED_BYTES_MIN: u64 = 1024 * 1024;
/// Smallest `hold_memory`.
const HOLD_MEMORY_MIN: u64 = 1024 * 1024;

/// A [`Spec`] that may have holes, and what validation must know about them.
#[derive(Debug)]
pub(crate) struct Draft {
    /// What could be read.
    pub(crate) spec: Spec,
    /// Every source that the file names, readable or not.
    pub(crate) declared_sources: Vec<Spanned<String>>,
    /// Sources whose columns were read without a problem.
    pub(crate) sound_sources: Vec<String>,
    /// For each pipeline of the spec, how many steps from its first were read without a problem;
    /// `None`: all.
    pub(crate) sound_steps: Vec<Option<usize>>,
}

/// Reads the whole document.
pub(crate) fn document(root: &Node, problems: &mut Vec<Problem>) -> Draft {
    let mut draft = Draft {
        spec: Spec {
            riskstream: default_riskstream(),
            metrics: None,
            tracing: None,
            query: None,
            maintain: defaults::MAINTAIN,
            sources: Vec::new(),
            pipelines: Vec::new(),
        },
        declared_sources: Vec::new(),
        sound_sources: Vec::new(),
        sound_steps: Vec::new(),
    };
    let Some(mut table) = Table::new(root, "the file", problems) else { return draft };
    if let Some(mut section) = table.table("riskstream", problems) {
        section.what = "`[riskstream]`".into();
        draft.spec.riskstream = riskstream(section, problems);
    }
    if let Some(mut section) = table.table("metrics", problems) {
        section.what = "`[metrics]`".into();
        draft.spec.metrics = service::metrics(section, problems);
    }
    if let Some(mut section) = table.table("tracing", problems) {
        section.what = "`[tracing]`".into();
        draft.spec.tracing = service::tracing(section, problems);
    }
    if let Some(mut section) = table.table("query", problems) {
        section.what = "`[query]`".into();
        draft.spec.query = Some(query::query(section, problems));
    }
    if let Some(mut section) = table.table("maintain", problems) {
        section.what = "`[maintain]`".into();
        draft.spec.maintain = maintain::maintain(section, problems);
    }
    let sources = named_tables(&mut table, "sources", "kind = \"file\"", problems);
    for entry in sources {
        reader::check_name(NameKind::Id, &entry.key, "a source", problems);
        draft.declared_sources.push(entry.key.clone());
        let read = source::source(entry, problems);
        if read.has_sound_columns {
            draft.sound_sources.push(entry.key.value.clone());
        }
        draft.spec.sources.extend(read.source);
    }
    let pipelines = named_tables(&mut table, "pipelines", "from = \"NAME\"", problems);
    for entry in pipelines {
        reader::check_name(NameKind::Id, &entry.key, "a pipeline", problems);
        if let Some((pipeline, sound_steps)) = pipeline::pipeline(entry, problems) {
            draft.spec.pipelines.push(pipeline);
            draft.sound_steps.push(sound_steps);
        }
    }
    table.finish(problems);
    draft
}

/// The entries of `[sources.NAME]` or `[pipelines.NAME]`; having none is a problem.
fn named_tables<'n>(
    table: &mut Table<'n>,
    key: &'static str,
    example: &str,
    problems: &mut Vec<Problem>,
) -> &'n [Entry] {
    let one = key.trim_end_matches('s');
    let missing = |span: Span| {
        Problem::new(span, format!("there is no {one}"))
            .help(format!("add `[{key}.NAME]` with at least `{example}`"))
    };
    match table.get(key) {
        None => {
            if super::suggest::closest(
                key,
                table.entries().iter().map(|entry| entry.key.value.as_str()),
            )
            .is_none()
            {
                problems.push(missing(table.span));
            }
            &[]
        }
        Some(entry) => match Table::new(&entry.node, format!("`{key}`"), problems) {
            Some(named) if named.entries().is_empty() => {
                problems.push(missing(entry.key.span));
                &[]
            }
            Some(named) => named.entries(),
            None => &[],
        },
    }
}

fn default_riskstream() -> Riskstream {
    let nowhere = Span::default();
    Riskstream {
        name: Spanned::new(defaults::NAME.into(), nowhere),
        data: Spanned::new(PathBuf::from(defaults::DATA), nowhere),
        registry: Spanned::new(PathBuf::from(defaults::REGISTRY), nowhere),
        workers: None,
        log: Log::default(),
        epoch: EpochLimits {
            min: defaults::EPOCH_MIN,
            max: defaults::EPOCH_MAX,
            rows: defaults::EPOCH_ROWS,
            bytes: defaults::EPOCH_BYTES,
        },
        in_flight_epochs: defaults::IN_FLIGHT_EPOCHS,
        snapshot_every: defaults::SNAPSHOT_EVERY,
        history_memory: defaults::HISTORY_MEMORY,
        rows_memory: defaults::ROWS_MEMORY,
        staged_bytes_max: defaults::STAGED_BYTES_MAX,
        hold_memory: defaults::HOLD_MEMORY,
        dead_rows_max: defaults::DEAD_ROWS_MAX,
        dead_rows_min: defaults::DEAD_ROWS_MIN,
    }
}

fn riskstream(mut table: Table<'_>, problems: &mut Vec<Problem>) -> Riskstream {
    let mut settings = default_riskstream();
    if let Some(name) = table.string("name", problems) {
        reader::check_name(NameKind::Id, &name, "`[riskstream]`", problems);
        settings.name = name;
    }
    if let Some(data) = folder(&mut table, "data", problems) {
        settings.data = data;
    }
    if let Some(registry) = folder(&mut table, "registry", problems) {
        settings.registry = registry;
    }
    settings.workers = table
        .integer("workers", 1, WORKERS_MAX, problems)
        .map(|workers| workers.map(|count| count as usize));
    if let Some(log) = table.table("log", problems) {
        settings.log = service::log(log, problems);
    }
    if let Some(epoch) = table.table("epoch", problems) {
        settings.epoch = epoch_limits(epoch, problems);
    }
    if let Some(count) = table.integer("in_flight_epochs", 1, 64, problems) {
        settings.in_flight_epochs = count.value as usize;
    }
    if let Some(epochs) = table.integer("snapshot_every", 1, 1_000_000, problems) {
        settings.snapshot_every = epochs.value;
    }
    if let Some(bytes) = table.size("history_memory", HISTORY_MEMORY_MIN, problems) {
        settings.history_memory = bytes;
    }
    if let Some(bytes) = table.size("rows_memory", ROWS_MEMORY_MIN, problems) {
        settings.rows_memory = bytes;
    }
    if let Some(bytes) = table.size("staged_bytes_max", STAGED_BYTES_MIN, problems) {
        settings.staged_bytes_max = bytes;
    }
    if let Some(bytes) = table.size("hold_memory", HOLD_MEMORY_MIN, problems) {
        settings.hold_memory = bytes;
    }
    if let Some(share) = table.number("dead_rows_max", 0.0, 1.0, problems) {
        settings.dead_rows_max = share.value;
    }
    if let Some(rows) = table.integer("dead_rows_min", 0, u64::MAX, problems) {
        settings.dead_rows_min = rows.value;
    }
    table.finish(problems);
    settings
}

fn epoch_limits(mut table: Table<'_>, problems: &mut Vec<Problem>) -> EpochLimits {
    let mut limits = default_riskstream().epoch;
    let min = table.duration("min", problems);
    let max = table.duration("max", problems);
    if let Some(min) = min {
        limits.min = min.value;
    }
    if let Some(max) = max {
        limits.max = max.value;
        if max.is_zero() {
            problems.push(
                Problem::new(max.span, "`max` of an epoch is zero")
                    .help("an epoch needs some time, such as \"1s\""),
            );
        }
    }
    // A `max` below the default `min` is a wish for short epochs, not a contradiction.
    match (min, max) {
        (None, Some(max)) => limits.min = limits.min.min(max.value),
        (Some(min), None) => limits.max = limits.max.max(min.value),
        (Some(min), Some(max)) if min.value > max.value => problems.push(
            Problem::new(min.span, "`min` of an epoch is longer than its `max`")
                .related(max.span, "the `max`")
                .help("lower `min` or raise `max`"),
        ),
        _ => {}
    }
    if let Some(rows) = table.integer("rows", 1, 100_000_000, problems) {
        limits.rows = rows.value;
    }
    if let Some(bytes) = table.size("bytes", EPOCH_BYTES_MIN, problems) {
        limits.bytes = bytes;
    }
    table.finish(problems);
    limits
}

fn folder(
    table: &mut Table<'_>,
    key: &'static str,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<PathBuf>> {
    let text = table.string(key, problems)?;
    check_local(&text, problems).then(|| text.map(PathBuf::from))
}
