//! `aggregate`: adds rows up per key and window of event time; what leaves are windows.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::DataType;
use riskstream_engine::contract::Fact;
use riskstream_operators::TotalsOperator;
use riskstream_operators::windows::{
    self, AggregateFunction, AggregateSpec, Publish, WindowKind, WindowsOperator, WindowsSpec,
};

use super::calls::{Aggregate, Feature, check_input, feature, feature_type};
use super::chain::{Chain, WindowsBefore, micros};
use super::columns::{Flow, Known, WindowKey};
use super::extents::{WindowEvery, WindowExtent, windows_every};
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage};
use super::read::{Pair, key_columns, names, pairs, texts};
use crate::config::defaults;
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::{Span, Spanned};
use crate::config::spec::keywords::keywords;
use crate::config::spec::timestamp_type;
use crate::config::suggest;
use crate::config::values::{NameKind, duration_text};

/// Columns of `totals`, at most: with n of them a row counts 2^n times.
const TOTALS_MAX: usize = 4;
/// `results`, where it is not given: a window is seen as it fills, and again when it is final.
const RESULTS: Results = Results::Changes;

/// `aggregate`, `by`, `totals`, `windows`, `results`, `keep`.
pub(crate) static KIND: Kind =
    Kind { key: "aggregate", others: &["by", "windows", "results", "keep", "totals"], read };

/// `aggregate = { NAME = "sum(col)" }`, `by`, `totals`, `windows`, `results`, `keep`.
#[derive(Debug, Clone)]
struct Aggregation {
    /// What is computed, in the order of the file: `count`, `sum`, `avg`, `min` and `max`.
    aggregates: Vec<Feature>,
    /// The key. Null is a value like others.
    by: Vec<Spanned<String>>,
    /// Columns of the key, each with the name of its total, under which every row counts too.
    totals: Vec<(Spanned<String>, Spanned<String>)>,
    /// The kinds of windows, at least one.
    windows: Vec<Spanned<WindowEvery>>,
    /// When windows leave.
    results: Results,
    /// How long after its end a window still takes late rows; rows that come later are dead
    /// letters.
    keep: Duration,
}

/// When the windows of an `aggregate` step leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Results {
    /// With every epoch those that it changed, and once more when they are final.
    Changes,
    /// When they are final; and again whenever a late row changes them.
    Final,
}
keywords!(Results { "changes" => Changes, "final" => Final });

/// `aggregate` and its keys.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let calls = table.table("aggregate", problems);
    let by = key_columns(table, problems);
    let totals = totals(table, by.as_deref(), problems);
    let windows = windows_every(table, problems);
    let results = table.keyword("results", problems).map_or(RESULTS, |results| results.value);
    let keep = table.duration("keep", problems);
    let calls = calls?;
    if calls.entries().is_empty() {
        problems.push(
            Problem::new(calls.span, "`aggregate` names no column")
                .help("such as aggregate = { n_events = \"count(*)\" }"),
        );
    }
    let mut aggregates = Vec::new();
    for entry in calls.entries() {
        reader::check_name(NameKind::Identifier, &entry.key, "a column", problems);
        let aggregate = feature(entry, problems);
        if let Some(aggregate) = &aggregate
            && !is_additive(&aggregate.aggregate)
        {
            let message =
                format!("`{}` can't be put together from parts of a window", aggregate.aggregate);
            problems.push(Problem::new(aggregate.call.span(), message).help(
                "an `aggregate` step has `count(*)`, `count(col)`, `sum(col)`, `avg(col)`, \
                 `min(col)` and `max(col)`",
            ));
        }
        aggregates.push(aggregate);
    }
    let aggregates: Option<Vec<Feature>> = aggregates.into_iter().collect();
    let windows = windows?;
    let longest = windows.iter().map(|window| window.extent.length()).max().unwrap_or_default();
    let session =
        windows.iter().find(|window| matches!(window.extent, WindowExtent::Session { .. }));
    if let (Some(session), false) =
        (session, aggregates.iter().flatten().any(|a| a.aggregate == Aggregate::CountAll))
    {
        problems.push(
            Problem::new(
                session.span,
                format!(
                    "`{}` needs a `count(*)`: a session that became part of another is said to \
                     have 0 rows",
                    session.label
                ),
            )
            .help("add such as n = \"count(*)\" to `aggregate`"),
        );
    }
    let keep = keep.map_or(longest.max(defaults::KEEP_MIN), |keep| keep.value);
    Some(Arc::new(Aggregation {
        aggregates: aggregates?,
        by: by?,
        totals: totals?,
        windows,
        results,
        keep,
    }))
}

fn totals(
    table: &mut Table<'_>,
    by: Option<&[Spanned<String>]>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Pair>> {
    if table.get("totals").is_none() {
        return Some(Vec::new());
    }
    let totals = table.table("totals", problems)?;
    let span = totals.span;
    let totals = pairs(totals, "totals = { lender_id = \"ALL\" }", problems)?;
    if totals.len() > TOTALS_MAX {
        problems.push(
            Problem::new(span, format!("`totals` has {} columns", totals.len()))
                .help(format!("at most {TOTALS_MAX}")),
        );
    }
    for (column, _) in &totals {
        if by.is_some_and(|by| by.iter().all(|key| key.value != column.value)) {
            let keys = by.unwrap_or_default().iter().map(|key| key.value.as_str());
            let problem =
                Problem::new(column.span, format!("`{column}` of `totals` is not in `by`"));
            problems.push(problem.maybe_help(suggest::help(
                column,
                keys,
                "the columns of `by` are",
            )));
        }
    }
    Some(totals)
}

/// Whether the totals of a window's parts give the window's.
fn is_additive(aggregate: &Aggregate) -> bool {
    use Aggregate::{Count, CountAll, Max, Mean, Min, Sum};
    matches!(aggregate, CountAll | Count(_) | Sum(_) | Mean(_) | Min(_) | Max(_))
}

impl Aggregation {
    fn window_key(&self) -> WindowKey {
        let is_session =
            |every: &&Spanned<WindowEvery>| matches!(every.extent, WindowExtent::Session { .. });
        let counts = |a: &&Feature| a.aggregate == Aggregate::CountAll;
        WindowKey {
            by: names(&self.by),
            kinds: self.windows.len(),
            sessions: self.windows.iter().filter(is_session).count(),
            count: self.aggregates.iter().find(counts).map(|a| a.name.value.clone()),
        }
    }
}

impl StepKind for Aggregation {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        true
    }

    fn by(&self) -> &[Spanned<String>] {
        &self.by
    }

    fn columns(&self, step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        flow.refuse_windows(step, problems);
        let keys: Vec<(String, Span, Option<DataType>)> = self
            .by
            .iter()
            .map(|key| {
                let data_type = flow.find(key, problems).and_then(|known| known.data_type.clone());
                (key.value.clone(), key.span, data_type)
            })
            .collect();
        for aggregate in &self.aggregates {
            check_input(flow, aggregate, problems);
        }
        // What leaves are windows: of the columns before the step only the key's are left.
        let event_time = windows::WINDOW_END.to_owned();
        *flow = Flow {
            columns: Vec::new(),
            event_time,
            is_complete: true,
            is_of_windows: true,
            window_key: Some(self.window_key()),
            is_of_changes: false,
            scores: std::mem::take(&mut flow.scores),
        };
        for (name, span, data_type) in keys {
            flow.add(&name, span, data_type, problems);
        }
        let time = timestamp_type();
        let own = [
            (windows::WINDOW, DataType::Utf8),
            (windows::WINDOW_START, time.clone()),
            (windows::WINDOW_END, time.clone()),
            (windows::REVISION, DataType::Int64),
            (windows::IS_FINAL, DataType::Boolean),
            (windows::COMPLETE_THROUGH, time),
        ];
        flow.columns.extend(own.map(|(name, data_type)| Known::new(name).of_type(data_type)));
        for aggregate in &self.aggregates {
            flow.add(
                &aggregate.name,
                aggregate.name.span,
                feature_type(&aggregate.aggregate),
                problems,
            );
        }
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        self.plan_totals(step, chain)?;
        self.plan_windows(step, chain)
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        let by = names(&self.by);
        let windows: Vec<&str> = self.windows.iter().map(|window| window.label.as_str()).collect();
        let before = lineage.clone();
        let mut read = by.clone();
        read.push(around.event_time.to_owned());
        let says = format!("windows {} by {}, {}", windows.join(", "), by.join(", "), self.results);
        lineage.rows_of(around.step, says, around.input, &read);
        lineage.feed.columns.retain(|column, _| by.contains(column));
        for aggregate in &self.aggregates {
            let own: Vec<String> = aggregate
                .aggregate
                .input()
                .map(|column| column.value.clone())
                .into_iter()
                .collect();
            let of = before.facts(around.input, &own);
            lineage.kept_by(around, &aggregate.name.value, &aggregate.aggregate.to_string(), &of);
        }
    }

    fn explain(&self) -> Explained {
        let mut details: Vec<String> =
            self.aggregates.iter().map(|a| format!("{} = {}", a.name, a.aggregate)).collect();
        details.extend(
            self.totals.iter().map(|(column, name)| format!("and of all {column}, as {name}")),
        );
        details.push(format!(
            "in windows of {}",
            self.windows.iter().map(|w| w.value.label.as_str()).collect::<Vec<_>>().join(", ")
        ));
        let results = match self.results {
            Results::Changes => "published as they change, and when they are final",
            Results::Final => "published when they are final",
        };
        details.push(format!("{results}; late rows change them for {}", duration_text(self.keep)));
        Explained {
            details,
            columns: self.aggregates.iter().map(|a| a.name.value.clone()).collect(),
        }
    }
}

impl Aggregation {
    /// Adds a step before this one that repeats each row under the names of the totals.
    fn plan_totals(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        if self.totals.is_empty() {
            return Ok(());
        }
        let mut facts: Vec<String> =
            self.totals.iter().map(|(column, name)| format!("{column} = {name}")).collect();
        facts.sort();
        chain.lineage.feed.rows.push(Fact::new("totals", facts.join(", ")));
        let id = format!("{step}.totals");
        let (name, totals, schema) = (id.clone(), texts(&self.totals), Arc::clone(&chain.schema));
        chain.add_stateless(&id, (&[], step.span), move || {
            TotalsOperator::new(&name, &totals, &schema)
        })
    }

    fn plan_windows(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let schema = Arc::clone(&chain.schema);
        let spec = WindowsSpec {
            step_id: step.value.clone(),
            by: names(&self.by),
            aggregates: self.aggregates.iter().map(aggregate_spec).collect::<Result<_, _>>()?,
            windows: self
                .windows
                .iter()
                .map(|w| WindowKind { label: w.label.clone(), extent: w.extent.planned() })
                .collect(),
            publish: match self.results {
                Results::Changes => Publish::Changes,
                Results::Final => Publish::Final,
            },
            keep: micros(self.keep),
            event_time: chain.event_time.clone(),
        };
        let feed = chain.lineage.feed();
        chain.add_made(step, &[], move |_| {
            WindowsOperator::new(spec.clone(), &schema)
                .map(|operator| operator.fed_by(feed.clone()))
        })?;
        chain.windows = Some(WindowsBefore {
            by: names(&self.by),
            // A late row changes windows that began up to their length before its own.
            keep: micros(self.keep).saturating_add(
                self.windows.iter().map(|w| micros(w.extent.length())).max().unwrap_or_default(),
            ),
            has_sessions: self
                .windows
                .iter()
                .any(|w| matches!(w.extent, WindowExtent::Session { .. })),
        });
        // A window is known by its key, its kind and its end, and counts as of its end. Of a
        // session the end moves: it is known by its start, which the identity of an alerts table
        // takes into account.
        chain.event_time = windows::WINDOW_END.into();
        chain.ties = self
            .by
            .iter()
            .map(|b| b.value.clone())
            .chain([windows::WINDOW.into(), windows::WINDOW_END.into()])
            .collect();
        chain.identity = chain.ties.clone();
        Ok(())
    }
}

fn aggregate_spec(feature: &Feature) -> Result<AggregateSpec, Problem> {
    let function = match &feature.aggregate {
        Aggregate::CountAll | Aggregate::Count(_) => AggregateFunction::Count,
        Aggregate::Sum(_) => AggregateFunction::Sum,
        Aggregate::Mean(_) => AggregateFunction::Mean,
        Aggregate::Min(_) => AggregateFunction::Min,
        Aggregate::Max(_) => AggregateFunction::Max,
        Aggregate::StdDev(_)
        | Aggregate::CountDistinct(_)
        | Aggregate::Last(_)
        | Aggregate::SecondsSinceLast => {
            return Err(Problem::new(
                feature.call.span(),
                format!("`{}` can't be put together from parts of a window", feature.aggregate),
            ));
        }
    };
    Ok(AggregateSpec {
        name: feature.name.value.clone(),
        function,
        column: feature.aggregate.input().map(|c| c.value.clone()),
    })
}
