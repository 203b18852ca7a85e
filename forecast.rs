//! What a run of the configuration would do with what the data folder holds, found out without changing anything.
//!
//! The facts are those that a run gathers, and what they mean is decided by the same functions: steps by
//! [`decide_evolutions`](riskstream_engine::protocol::decide_evolutions), sinks by [`decide_sink`], tables by
//! [`check_table`], sources by their own check of the committed positions. Only what a run would open or make is looked at instead. How far a
//! topic is, a cluster tells a run alone: to ask takes the delivery over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use riskstream_engine::contract::{PartitionInfo, Position, Source};
use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::{Evolution, SinkDecision, SinkFacts, StepEvolution, decide_sink};
use riskstream_engine::runtime::Clock;
use riskstream_engine::store::{Inspection, StoredRows, inspect};
use riskstream_sinks::{DeltaRuntime, SinkError, TableSnapshot, TableSpec, check_table};

use super::{KnownAs, LaidOut, PlanError, decide_state, lay_out, open_source, store_location, stores};
use crate::config::spec::{Pipeline, SourceKind};
use crate::config::{Config, Problem, Span, defaults};

/// What becomes of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// It goes on where it was.
    GoesOn,
    /// It has nothing yet, or is new.
    BeginsEmpty,
    /// All of it is read.
    BeginsAtBeginning,
    /// It is no longer there, and nothing needs it.
    IsGone,
    /// The run is refused until the user says what is to become of it.
    NeedsDecision,
    /// The run is refused.
    IsRefused,
}

impl Fate {
    /// Whether a run starts with it.
    pub(crate) fn starts(self) -> bool {
        match self {
            Self::GoesOn | Self::BeginsEmpty | Self::BeginsAtBeginning | Self::IsGone => true,
            Self::NeedsDecision | Self::IsRefused => false,
        }
    }
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// A pipeline as a whole.
    Pipeline,
    /// A source, or one of its partitions that is told of by itself.
    Source,
    /// A step with state.
    Step,
    /// A destination.
    Sink,
}

/// What becomes of one thing.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) what: What,
    pub(crate) name: String,
    pub(crate) fate: Fate,
    /// The epoch after which it goes on.
    pub(crate) after_epoch: Option<u64>,
    /// In words.
    pub(crate) detail: String,
    /// Where the file speaks of it, when that is what is wrong.
    pub(crate) place: Option<Span>,
    pub(crate) ways_out: Option<String>,
}

impl Item {
    fn new(what: What, name: impl Into<String>, fate: Fate, detail: impl Into<String>) -> Self {
        Self { what, name: name.into(), fate, after_epoch: None, detail: detail.into(), place: None, ways_out: None }
    }

    fn after(mut self, epoch: Epoch) -> Self {
        self.after_epoch = Some(epoch.0).filter(|epoch| *epoch > 0);
        self
    }

    fn of_problem(what: What, name: &str, fate: Fate, problem: Problem) -> Self {
        Self { place: Some(problem.span), ways_out: problem.help, ..Self::new(what, name, fate, problem.message) }
    }
}

/// What becomes of one pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Forecast {
    pub(crate) pipeline: String,
    pub(crate) in_configuration: bool,
    /// The process that runs it now, if one does, and its number, when known.
    pub(crate) held_by: Option<Option<u32>>,
    /// The pipeline itself first.
    pub(crate) items: Vec<Item>,
}

/// What a run would do with these pipelines, and what is stored of pipelines that the configuration no longer has.
///
/// # Errors
/// When the data folder can't be read.
pub(crate) fn forecast(
    config: &Config,
    pipelines: &[&Pipeline],
    runtime: &DeltaRuntime,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Forecast>, PlanError> {
    let mut all = Vec::new();
    for pipeline in pipelines {
        let stored = inspect(&store_location(config, &pipeline.name.value))?;
        all.push(of_pipeline(config, pipeline, stored, runtime, clock)?);
    }
    for (name, folder) in stores(config)? {
        if config.spec.pipeline(&name).is_none()
            && let Some(found) = inspect(&folder)?
            && !(found.positions.is_empty() && found.state.is_empty())
        {
            all.push(of_gone(name, &found));
        }
    }
    Ok(all)
}

fn of_gone(name: String, found: &Inspection) -> Forecast {
    let waiting: u64 = found
        .outbox
        .iter()
        .map(|(sink, epochs)| {
            let through = found.delivered.get(sink).copied().unwrap_or_default();
            epochs.iter().filter(|e| e.epoch > through).map(|e| e.rows).sum::<u64>()
        })
        .sum();
    let mut detail = "the configuration no longer has it; what is stored stays".to_owned();
    if waiting > 0 {
        detail = format!("{detail}, and {waiting} rows that may wait for its destinations are not delivered");
    }
    let mut item = Item::new(What::Pipeline, &name, Fate::IsGone, detail).after(found.committed);
    item.ways_out = Some(format!("riskstream state drop {name}; or, if it has a new name, riskstream state rename {name} NEW"));
    Forecast { pipeline: name, in_configuration: false, held_by: found.held_by, items: vec![item] }
}

fn of_pipeline(
    config: &Config,
    pipeline: &Pipeline,
    stored: Option<Inspection>,
    runtime: &DeltaRuntime,
    clock: &Arc<dyn Clock>,
) -> Result<Forecast, PlanError> {
    let name = &pipeline.name.value;
    let is_new = stored.as_ref().is_none_or(|found| found.committed == Epoch(0));
    let found = stored.unwrap_or_default();
    let mut items = vec![match is_new {
        true => Item::new(What::Pipeline, name, Fate::BeginsEmpty, "nothing is stored of it yet"),
        false => Item::new(What::Pipeline, name, Fate::GoesOn, "").after(found.committed),
    }];
    items.extend(found.problems.iter().map(|problem| Item::new(What::Pipeline, name, Fate::IsRefused, problem)));
    let forecast = |items| Forecast { pipeline: name.clone(), in_configuration: true, held_by: found.held_by, items };
    let source_name = &pipeline.from.value;
    let Some(spec) = config.spec.source(source_name) else { return Ok(forecast(items)) };
    let source = match open_source(spec, clock) {
        Ok(source) => source,
        Err(error) => {
            items.push(Item::new(What::Source, source_name, Fate::IsRefused, error.to_string()));
            return Ok(forecast(items));
        }
    };
    let mut laid_out = match lay_out(config, pipeline, source) {
        Ok(laid_out) => laid_out,
        Err(PlanError::Config(problems)) => {
            items.extend(problems.into_iter().map(|problem| Item::of_problem(What::Pipeline, name, Fate::IsRefused, problem)));
            return Ok(forecast(items));
        }
        Err(other) => {
            items.push(Item::new(What::Pipeline, name, Fate::IsRefused, other.to_string()));
            return Ok(forecast(items));
        }
    };
    items.extend(of_source(spec, laid_out.source.as_mut(), &found, clock));
    for (step, evolution, problem) in decide_state(config, pipeline, &laid_out.shapes)? {
        items.extend(of_step(&step, &evolution, problem, found.committed));
    }
    items.extend(of_sinks(config, pipeline, &laid_out, &found, runtime)?);
    Ok(forecast(items))
}

fn of_step(step: &str, evolution: &StepEvolution, problem: Option<Problem>, committed: Epoch) -> Option<Item> {
    let fate = match evolution {
        StepEvolution::Kept(Evolution::Same | Evolution::TakenWith(_)) => Fate::GoesOn,
        StepEvolution::Kept(Evolution::Refused(_)) => Fate::IsRefused,
        StepEvolution::New => Fate::BeginsEmpty,
        StepEvolution::Gone => Fate::NeedsDecision,
    };
    if let Some(problem) = problem {
        return Some(Item::of_problem(What::Step, step, fate, problem));
    }
    if step.starts_with("source.") {
        return None;
    }
    let detail = match evolution {
        StepEvolution::Kept(Evolution::TakenWith(taken)) => taken.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        StepEvolution::New if committed > Epoch(0) => format!("it sees nothing of what came through epoch {committed}"),
        StepEvolution::Kept(_) | StepEvolution::New | StepEvolution::Gone => String::new(),
    };
    let item = Item::new(What::Step, step, fate, detail);
    Some(if fate == Fate::GoesOn { item.after(committed) } else { item })
}

type Positions = BTreeMap<u32, (PartitionInfo, Position)>;

fn of_source(spec: &crate::config::spec::Source, source: &mut dyn Source, found: &Inspection, clock: &Arc<dyn Clock>) -> Vec<Item> {
    let name = &spec.name.value;
    if let Err(error) = source.check(&found.positions) {
        let mut item = Item::new(What::Source, name, Fate::IsRefused, error.to_string());
        item.ways_out = Some("put it back as it was; or begin the pipeline anew: riskstream run --fresh PIPELINE".into());
        return vec![item];
    }
    let known: BTreeSet<&str> = found.positions.values().map(|(info, _)| info.name.as_str()).collect();
    let new = source.partitions().iter().filter(|info| !known.contains(info.name.as_str())).count();
    let finished = found.positions.values().filter(|(_, position)| position.finished).count();
    let open: Vec<String> = found
        .positions
        .values()
        .filter(|(_, position)| !position.finished)
        .take(LISTED_MAX)
        .map(|(info, position)| format!("{} at {}", info.name, position.next_offset))
        .collect();
    let mut said = Vec::new();
    let of = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    if !open.is_empty() {
        let more = (found.positions.len() - finished).saturating_sub(open.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        said.push(format!("goes on with {}{more}", open.join(", ")));
    }
    if finished > 0 {
        said.push(format!("{} read to the end", of(finished, "partition")));
    }
    if new > 0 && !found.positions.is_empty() {
        said.push(format!("{} new, read from the beginning", of(new, "partition")));
    }
    let fate = if found.positions.is_empty() { Fate::BeginsAtBeginning } else { Fate::GoesOn };
    let mut items = vec![Item::new(What::Source, name, fate, said.join("; ")).after(found.committed)];
    items.extend(unnamed(spec, &found.positions, clock));
    items
}

/// Partitions that a message lists by name, at most.
const LISTED_MAX: usize = 4;

/// Files that were read and that no pattern names any more.
fn unnamed(spec: &crate::config::spec::Source, positions: &Positions, clock: &Arc<dyn Clock>) -> Option<Item> {
    let SourceKind::File(_) = &spec.kind else { return None };
    // A source that has read nothing finds what is named now.
    let mut anew = open_source(spec, clock).ok()?;
    let named: BTreeSet<String> = match anew.check(&Positions::new()) {
        Ok(()) => anew.partitions().iter().map(|info| info.name.clone()).collect(),
        Err(_) => BTreeSet::new(),
    };
    let unnamed: Vec<&str> =
        positions.values().filter(|(info, _)| !named.contains(&info.name) && !is_replay(&info.name)).map(|(info, _)| info.name.as_str()).collect();
    if unnamed.is_empty() {
        return None;
    }
    let listed = unnamed.iter().take(LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = unnamed.len().saturating_sub(LISTED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let detail = format!("{listed}{more}: read before, and no longer there or no longer named; what was read stays in state and tables");
    Some(Item::new(What::Source, &spec.name.value, Fate::IsGone, detail))
}

/// Dead letters that were taken in again are a partition, and no file.
fn is_replay(name: &str) -> bool {
    name.starts_with(riskstream_ingest::REPLAY_PREFIX)
}

fn of_sinks(
    config: &Config,
    pipeline: &Pipeline,
    laid_out: &LaidOut<'_>,
    found: &Inspection,
    runtime: &DeltaRuntime,
) -> Result<Vec<Item>, PlanError> {
    let known_as = KnownAs::of(config, &pipeline.name.value)?;
    let specs = match laid_out.table_specs() {
        Ok(specs) => specs,
        Err(PlanError::Config(problems)) => {
            let item = |problem| Item::of_problem(What::Sink, &pipeline.name.value, Fate::IsRefused, problem);
            return Ok(problems.into_iter().map(item).collect());
        }
        Err(other) => return Ok(vec![Item::new(What::Sink, &pipeline.name.value, Fate::IsRefused, other.to_string())]),
    };
    let mut items = Vec::new();
    let mut present = BTreeSet::new();
    for (sink, spec) in specs {
        let place = pipeline.to.iter().find(|to| to.id.value == sink).map(|to| to.id.span);
        present.insert(sink.clone());
        items.push(match spec {
            Some(spec) => of_table(&sink, &spec, &known_as, place, found, runtime),
            None => Item::new(What::Sink, &sink, if found.committed == Epoch(0) { Fate::BeginsEmpty } else { Fate::GoesOn }, "").after(found.committed),
        });
    }
    for (sink, epochs) in &found.outbox {
        if !present.contains(sink) {
            items.extend(of_sink_gone(sink, epochs, found));
        }
    }
    Ok(items)
}

fn waiting(epochs: &[StoredRows], after: Epoch) -> Option<(Epoch, Epoch)> {
    let mut waiting = epochs.iter().filter(|e| e.epoch > after).map(|e| e.epoch);
    let first = waiting.next()?;
    Some((first, waiting.next_back().unwrap_or(first)))
}

fn of_table(
    sink: &str,
    spec: &TableSpec,
    known_as: &KnownAs,
    place: Option<Span>,
    found: &Inspection,
    runtime: &DeltaRuntime,
) -> Item {
    let refused = |detail: String, ways_out: Option<String>| Item { place, ways_out, ..Item::new(What::Sink, sink, Fate::IsRefused, detail) };
    let look = || -> Result<Option<(Option<i64>, Vec<String>)>, SinkError> {
        let snapshot = match TableSnapshot::open(runtime, &spec.location) {
            Ok(snapshot) => snapshot,
            Err(SinkError::NotATable { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let added = check_table(spec, &snapshot)?;
        Ok(Some((runtime.block_on(snapshot.delivered_through(&known_as.app_id(sink)))?, added)))
    };
    let (recorded, added) = match look() {
        Ok(Some((recorded, added))) => (recorded.and_then(|epoch| u64::try_from(epoch).ok()).map(Epoch), added),
        Ok(None) => (None, Vec::new()),
        Err(error) => return refused(error.to_string(), None),
    };
    let outbox = found.outbox.get(sink).map(Vec::as_slice).unwrap_or_default();
    let facts = SinkFacts {
        is_present: true,
        visible: Some(recorded.unwrap_or_default()),
        mark: found.delivered.get(sink).copied(),
        waiting: waiting(outbox, recorded.unwrap_or_default()),
    };
    let table = format!("table {}", spec.name);
    match decide_sink(found.committed, &facts) {
        SinkDecision::Ahead { delivered } => refused(
            format!("{table} has epoch {delivered} already, but the data folder's last is {}: it was deleted, or is an old copy", found.committed),
            Some("bring the data folder back, or give the destination another table".into()),
        ),
        SinkDecision::Gone { .. } | SinkDecision::GoesOn => {
            let mut said = vec![table];
            if let Some((first, last)) = facts.waiting {
                let rows: u64 = outbox.iter().filter(|e| e.epoch >= first && e.epoch <= last).map(|e| e.rows).sum();
                if outbox.iter().any(|e| e.epoch >= first && e.empties) {
                    said.push("is emptied first".into());
                }
                if rows > 0 {
                    said.push(format!("{rows} rows of epochs {first} to {last} are delivered first"));
                }
            }
            if !added.is_empty() {
                said.push(format!("gets the columns {}, null in the rows that it has", added.join(", ")));
            }
            let fate = if recorded.is_some() { Fate::GoesOn } else { Fate::BeginsEmpty };
            Item::new(What::Sink, sink, fate, said.join("; ")).after(recorded.unwrap_or_default())
        }
    }
}

fn of_sink_gone(sink: &str, epochs: &[StoredRows], found: &Inspection) -> Option<Item> {
    let mark = found.delivered.get(sink).copied();
    let facts = SinkFacts { is_present: false, visible: None, mark, waiting: waiting(epochs, mark.unwrap_or_default()) };
    match decide_sink(found.committed, &facts) {
        SinkDecision::Gone { first, last } => {
            let rows: u64 = epochs.iter().filter(|e| e.epoch >= first).map(|e| e.rows).sum();
            let detail = format!("the pipeline no longer has it, and {rows} rows of epochs {first} to {last} were committed for it and not delivered");
            let mut item = Item::new(What::Sink, sink, Fate::NeedsDecision, detail);
            item.ways_out = Some("put it back and run, which delivers them; or delete the store's delivered.json, which gives them up".into());
            Some(item)
        }
        SinkDecision::GoesOn | SinkDecision::Ahead { .. } => {
            let known = sink != defaults::DEAD_LETTER_TABLE && mark.is_some();
            known.then(|| Item::new(What::Sink, sink, Fate::IsGone, "the pipeline no longer has it; all of its rows are delivered"))
        }
    }
}
