//! What a run of the configuration would do with what the data folder holds, found out without
//! changing anything.
//!
//! The facts are those that a run gathers, and what they mean is decided by the same functions:
//! steps by [`decide_evolutions`](riskstream_engine::protocol::decide_evolutions), names by
//! [`Origin::changes`](riskstream_engine::protocol::Origin::changes), destinations by [`lacks`],
//! [`is_ahead`], [`Inspection::may_wait`] and [`check_waiting`], tables and topics by planning them
//! as a run does, sources by their own check of the committed positions. How far the delivery to a
//! topic has come is not asked here: asking the cluster takes the delivery over, which only a run
//! may do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use riskstream_engine::contract::{PartitionInfo, Position, Source};
use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::{Evolution, Missing, Origin, StepEvolution, Writer, is_ahead};
use riskstream_engine::runtime::{Clock, Plan, check_waiting, lacks};
use riskstream_engine::store::{Inspection, StoreError, StoredRows, check_readable, inspect};
use riskstream_ingest::{is_read_anew, is_replayed};
use riskstream_sinks::DeltaRuntime;

use super::destinations::{Looked, Target, look};
use super::error::PlanError;
use super::lay_out::{Stored, lay_out};
use super::names::{KnownAs, stores};
use super::places::store_location;
use super::source::open_source;
use super::state::decide_state;
use crate::config::spec::{KafkaStart, Pipeline, SourceKind};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
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
        Self {
            what,
            name: name.into(),
            fate,
            after_epoch: None,
            detail: detail.into(),
            place: None,
            ways_out: None,
        }
    }

    fn after(mut self, epoch: Epoch) -> Self {
        self.after_epoch = Some(epoch.0).filter(|epoch| *epoch > 0);
        self
    }

    fn of_problem(what: What, name: &str, fate: Fate, problem: Problem) -> Self {
        Self {
            place: Some(problem.span),
            ways_out: problem.help,
            ..Self::new(what, name, fate, problem.message)
        }
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

/// What a run would do with these pipelines, and what is stored of pipelines that the configuration
/// no longer has.
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
        let store = store_location(config, &pipeline.name.value);
        all.push(match check_readable(&store).and_then(|()| inspect(&store)) {
            Ok(stored) => of_pipeline(config, pipeline, stored, runtime, clock)?,
            Err(error) => of_unreadable(&pipeline.name.value, &error),
        });
    }
    for (name, folder) in stores(config)? {
        if config.spec.pipeline(&name).is_none()
            && let Ok(Some(found)) = inspect(&folder)
            && !(found.positions.is_empty() && found.state.is_empty())
        {
            all.push(of_gone(name, &found));
        }
    }
    Ok(all)
}

/// The forecast of a pipeline whose store a run can't read.
fn of_unreadable(name: &str, error: &StoreError) -> Forecast {
    let mut item = Item::new(What::Pipeline, name, Fate::IsRefused, error.to_string());
    item.ways_out =
        Some(format!("riskstream run --fresh {name}, which sets the unreadable store aside"));
    Forecast { pipeline: name.to_owned(), in_configuration: true, held_by: None, items: vec![item] }
}

fn of_gone(name: String, found: &Inspection) -> Forecast {
    let waiting: u64 = found
        .outbox
        .iter()
        .map(|(sink, epochs)| {
            epochs.iter().filter(|e| e.epoch > found.delivered(sink)).map(|e| e.rows).sum::<u64>()
        })
        .sum();
    let mut detail = "the configuration no longer has it; what is stored stays".to_owned();
    if waiting > 0 {
        detail = format!(
            "{detail}, and {waiting} rows that may wait for its destinations are not delivered"
        );
    }
    let mut item = Item::new(What::Pipeline, &name, Fate::IsGone, detail).after(found.committed);
    item.ways_out = Some(format!(
        "riskstream state drop {name}; or, if it has a new name, riskstream state rename {name} NEW"
    ));
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
    let looked = look(config, pipeline, &KnownAs::of(config, name)?, runtime)?;
    let of_tables = || {
        looked
            .iter()
            .filter(|sink| matches!(sink.target, Target::Table(_)))
            .map(|sink| delivered(sink, &found))
    };
    let least = looked
        .iter()
        .filter(|sink| sink.target != Target::Console)
        .map(|sink| delivered(sink, &found))
        .min()
        .unwrap_or_default();
    items.extend(found.in_the_way(least, of_tables().max().unwrap_or_default()).map(|problem| {
        let item = Item::new(What::Pipeline, name, Fate::IsRefused, problem);
        Item {
            ways_out: Some(format!(
                "riskstream run --fresh {name}, which sets the unreadable store aside"
            )),
            ..item
        }
    }));
    let forecast = |items| Forecast {
        pipeline: name.clone(),
        in_configuration: true,
        held_by: found.held_by,
        items,
    };
    let source_name = &pipeline.from.value;
    let Some(spec) = config.spec.source(source_name) else { return Ok(forecast(items)) };
    let source = match open_source(spec, clock) {
        Ok(source) => source,
        Err(error) => {
            items.push(Item::new(What::Source, source_name, Fate::IsRefused, error.to_string()));
            return Ok(forecast(items));
        }
    };
    let mut laid_out =
        match lay_out(config, pipeline, source) {
            Ok(laid_out) => laid_out,
            Err(PlanError::Config(problems)) => {
                items.extend(problems.into_iter().map(|problem| {
                    Item::of_problem(What::Pipeline, name, Fate::IsRefused, problem)
                }));
                return Ok(forecast(items));
            }
            Err(other) => {
                items.push(Item::new(What::Pipeline, name, Fate::IsRefused, other.to_string()));
                return Ok(forecast(items));
            }
        };
    items.extend(of_source(name, spec, laid_out.source.as_mut(), &found, clock));
    for (step, evolution, problem) in decide_state(config, pipeline, &laid_out.shapes)? {
        items.extend(of_step(&step, &evolution, problem, found.committed));
    }
    match laid_out.plan(Stored::Dropped, 1, runtime) {
        Ok(mut planned) => {
            items.extend(of_sinks(pipeline, looked, &mut planned.plan, &found));
            if is_new {
                let sinks = planned.plan.sinks.iter().filter(|sink| !sink.strangers.is_empty());
                items.extend(sinks.map(|sink| of_strangers(name, &sink.id, &sink.strangers)));
            }
        }
        Err(PlanError::Config(problems)) => {
            items.extend(
                problems
                    .into_iter()
                    .map(|problem| Item::of_problem(What::Sink, name, Fate::IsRefused, problem)),
            );
        }
        Err(other) => items.push(Item::new(What::Sink, name, Fate::IsRefused, other.to_string())),
    }
    items.sort_by_key(|item| item.what);
    Ok(forecast(items))
}

fn of_step(
    step: &str,
    evolution: &StepEvolution,
    problem: Option<Problem>,
    committed: Epoch,
) -> Option<Item> {
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
        StepEvolution::Kept(Evolution::TakenWith(taken)) => {
            taken.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        StepEvolution::New if committed > Epoch(0) => {
            format!("it sees nothing of what came through epoch {committed}")
        }
        StepEvolution::Kept(_) | StepEvolution::New | StepEvolution::Gone => String::new(),
    };
    let item = Item::new(What::Step, step, fate, detail);
    Some(if fate == Fate::GoesOn { item.after(committed) } else { item })
}

type Positions = BTreeMap<u32, (PartitionInfo, Position)>;

fn of_source(
    pipeline: &str,
    spec: &crate::config::spec::Source,
    source: &mut dyn Source,
    found: &Inspection,
    clock: &Arc<dyn Clock>,
) -> Vec<Item> {
    let name = &spec.name.value;
    if let Err(error) = source.check(&found.positions) {
        let mut item = Item::new(What::Source, name, Fate::IsRefused, error.to_string());
        // A source that was never read has nothing to put back or to give up.
        item.ways_out = (!found.positions.is_empty()).then(|| {
            format!(
                "put it back as it was; or begin the pipeline anew: riskstream run --fresh \
                 {pipeline}"
            )
        });
        return vec![item];
    }
    let known: BTreeSet<&str> =
        found.positions.values().map(|(info, _)| info.name.as_str()).collect();
    let new = source.partitions().iter().filter(|info| !known.contains(info.name.as_str())).count();
    let is_read = |position: &Position| !is_replayed(position) && !is_read_anew(position);
    let read: Vec<&(PartitionInfo, Position)> =
        found.positions.values().filter(|(_, position)| is_read(position)).collect();
    let finished = read.iter().filter(|(_, position)| position.finished).count();
    let open: Vec<String> = read
        .iter()
        .filter(|(_, position)| !position.finished)
        .take(LISTED_MAX)
        .map(|(info, position)| format!("{} at {}", info.name, position.next_offset))
        .collect();
    let mut said = Vec::new();
    let of =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    if !open.is_empty() {
        let more = (read.len() - finished).saturating_sub(open.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        said.push(format!("goes on with {}{more}", open.join(", ")));
    }
    if finished > 0 {
        said.push(format!("{} read to the end", of(finished, "partition")));
    }
    if new > 0 && !read.is_empty() {
        said.push(format!("{} new, read from the beginning", of(new, "partition")));
    }
    let fate = if read.is_empty() { Fate::BeginsAtBeginning } else { Fate::GoesOn };
    if read.is_empty() && begins_at_end(spec) {
        said.push("`start = \"latest\"`: with the messages that come from then on".into());
    }
    let item = Item::new(What::Source, name, fate, said.join("; "));
    let mut items = vec![if fate == Fate::GoesOn { item.after(found.committed) } else { item }];
    items.extend(unnamed(spec, &found.positions, clock));
    items
}

/// Whether a source that has read nothing yet begins with what comes from then on.
pub(crate) fn begins_at_end(spec: &crate::config::spec::Source) -> bool {
    matches!(&spec.kind, SourceKind::Kafka(kafka) if kafka.start == KafkaStart::Latest)
}

/// Partitions that a message lists by name, at most.
const LISTED_MAX: usize = 4;

/// Files that were read and that no pattern names any more.
fn unnamed(
    spec: &crate::config::spec::Source,
    positions: &Positions,
    clock: &Arc<dyn Clock>,
) -> Option<Item> {
    let SourceKind::File(_) = &spec.kind else { return None };
    // A source without positions finds the files that the patterns name now.
    let mut anew = open_source(spec, clock).ok()?;
    let named: BTreeSet<String> = match anew.check(&Positions::new()) {
        Ok(()) => anew.partitions().iter().map(|info| info.name.clone()).collect(),
        Err(_) => BTreeSet::new(),
    };
    let unnamed: Vec<&str> = positions
        .values()
        .filter(|(info, at)| !named.contains(&info.name) && !is_replayed(at))
        .map(|(info, _)| info.name.as_str())
        .collect();
    if unnamed.is_empty() {
        return None;
    }
    let listed = unnamed.iter().take(LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = unnamed.len().saturating_sub(LISTED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let detail = format!(
        "{listed}{more}: read before, and no longer there or no longer named; what was read stays \
         in state and tables"
    );
    Some(Item::new(What::Source, &spec.name.value, Fate::IsGone, detail))
}

fn of_sinks(
    pipeline: &Pipeline,
    looked: Vec<Looked>,
    plan: &mut Plan,
    found: &Inspection,
) -> Vec<Item> {
    let name = &pipeline.name.value;
    let present = &plan.origin();
    let mut items = Vec::new();
    for change in found.origin.as_ref().map(|was| was.changes(present)).unwrap_or_default() {
        let mut item = Item::new(What::Pipeline, name, Fate::NeedsDecision, change.to_string());
        item.ways_out = Some(format!(
            "put the old name back; or riskstream accept {name}; or riskstream run --fresh {name}"
        ));
        items.push(item);
    }
    for sink in looked {
        let place = pipeline.to.iter().find(|to| to.id.value == sink.sink).map(|to| to.id.span);
        let mut item = Item { place, ..of_sink(name, &sink, present, found) };
        if let Some(planned) = plan
            .sinks
            .iter_mut()
            .chain([&mut plan.dead_letters])
            .find(|planned| planned.id == sink.sink)
            && item.fate.starts()
            && let Err(error) = check_waiting(
                found,
                &sink.sink,
                planned.delivery.as_mut(),
                delivered(&sink, found),
                present,
            )
        {
            (item.fate, item.detail) = (Fate::IsRefused, error.to_string());
        }
        items.push(item);
    }
    let gone = found.outbox.iter().filter(|(sink, _)| !present.destinations.contains_key(*sink));
    items.extend(gone.filter_map(|(sink, epochs)| of_sink_gone(sink, epochs, found)));
    items
}

/// A new pipeline whose destination holds rows of others: it may have been renamed, so that the run
/// is refused until the user decides.
fn of_strangers(pipeline: &str, sink: &str, strangers: &[Writer]) -> Item {
    let writers = strangers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let detail = format!("it holds rows of {writers}, which the configuration does not have");
    let mut item = Item::new(What::Sink, sink, Fate::NeedsDecision, detail);
    item.ways_out = Some(format!(
        "if the pipeline has a new name: riskstream state rename OLD {pipeline}; if its rows are \
         to be added to those: riskstream accept {pipeline}"
    ));
    item
}

fn epochs_of(missing: &[Missing]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The last epoch that a destination has: a table records it; for other destinations the store has
/// the answer of when they were last asked.
fn delivered(sink: &Looked, found: &Inspection) -> Epoch {
    match &sink.target {
        Target::Table(_) => {
            Epoch(sink.table.as_ref().and_then(|table| table.recorded).unwrap_or(0))
        }
        Target::Topic(_) | Target::Console => found.delivered(&sink.sink),
    }
}

fn of_sink(pipeline: &str, sink: &Looked, present: &Origin, found: &Inspection) -> Item {
    let item = |fate, detail| Item::new(What::Sink, &sink.sink, fate, detail);
    let target = &sink.target;
    let Target::Table(_) = target else {
        let fate = if found.committed == Epoch(0) { Fate::BeginsEmpty } else { Fate::GoesOn };
        return item(fate, target.to_string()).after(found.committed);
    };
    let recorded = delivered(sink, found);
    if is_ahead(recorded, found.committed) {
        let detail = format!(
            "{target} has epoch {recorded} already, but the data folder's last is {}",
            found.committed
        );
        let mut item = item(Fate::IsRefused, detail);
        item.ways_out = Some(format!(
            "bring the data folder back, or give the destination another table; or riskstream run \
             --fresh {pipeline}"
        ));
        return item;
    }
    let missing = lacks(&found.kept, &sink.sink, recorded, present);
    if !missing.is_empty() {
        let detail = format!(
            "{target} lacks rows of epochs {} that the data folder no longer has",
            epochs_of(&missing)
        );
        let mut item = item(Fate::NeedsDecision, detail).after(recorded);
        item.ways_out = Some(format!(
            "bring a newer copy back; or riskstream run --fresh {pipeline}; or riskstream accept \
             {pipeline}"
        ));
        return item;
    }
    let mut said = vec![target.to_string()];
    let waiting: Vec<&StoredRows> =
        found.outbox.get(&sink.sink).into_iter().flatten().filter(|e| e.epoch > recorded).collect();
    if waiting.iter().any(|e| e.empties()) {
        said.push("is emptied first".into());
    }
    let rows: u64 = waiting.iter().map(|e| e.rows).sum();
    if let (Some(first), Some(last), true) = (waiting.first(), waiting.last(), rows > 0) {
        said.push(format!(
            "{rows} rows of epochs {} to {} are delivered first",
            first.epoch, last.epoch
        ));
    }
    let fate = if recorded > Epoch(0) { Fate::GoesOn } else { Fate::BeginsEmpty };
    item(fate, said.join("; ")).after(recorded)
}

fn of_sink_gone(sink: &str, epochs: &[StoredRows], found: &Inspection) -> Option<Item> {
    let waiting: Vec<&StoredRows> =
        epochs.iter().filter(|e| found.may_wait(sink, e.epoch)).collect();
    if let (Some(first), Some(last)) = (waiting.first(), waiting.last()) {
        let rows: u64 = waiting.iter().map(|e| e.rows).sum();
        let detail = match rows {
            0 => "the pipeline no longer has it, and its destination was to be emptied first"
                .to_owned(),
            _ => format!(
                "the pipeline no longer has it, and {rows} rows of epochs {} to {} were committed \
                 for it and not delivered",
                first.epoch, last.epoch
            ),
        };
        let mut item = Item::new(What::Sink, sink, Fate::NeedsDecision, detail);
        item.ways_out = Some(
            "put it back and run, which delivers them; or delete the store's delivered.json, which \
             gives them up"
                .into(),
        );
        return Some(item);
    }
    (sink != defaults::DEAD_LETTER_TABLE).then(|| {
        Item::new(
            What::Sink,
            sink,
            Fate::IsGone,
            "the pipeline no longer has it; all of its rows are delivered",
        )
    })
}
