//! `features`: adds exact aggregates over trailing windows of the row's key.

use std::sync::Arc;
use std::time::Duration;

use riskstream_engine::contract::Operator;
use riskstream_operators::features::{self, FeaturesOperator, FeaturesSpec};

use super::calls::{Aggregate, Feature, check_input, feature, feature_type};
use super::chain::{Chain, micros, state_dir};
use super::columns::Flow;
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage};
use super::read::{WindowList, key_columns, names};
use crate::config::defaults;
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Order;
use crate::config::values::{self, NameKind, duration_text};

/// `features`, `by`, `over`, `delay`, `include_current`, `empty`, `keep`.
pub(crate) static KIND: Kind = Kind {
    key: "features",
    others: &["by", "over", "delay", "include_current", "empty", "keep"],
    read,
};

/// `features = { NAME = "avg(col)" }`, `by`, `over`, `delay`, `include_current`, `empty`, `keep`.
#[derive(Debug)]
struct Features {
    /// What is computed, in the order of the file.
    features: Vec<Feature>,
    /// The key: rows with equal values in these columns share windows. Nulls are equal, as in SQL's
    /// `partition by`.
    by: Vec<Spanned<String>>,
    /// Trailing windows, shortest first as written; empty where no feature has a window.
    over: Vec<Spanned<Window>>,
    /// Windows end this long before the row's event time (labels that become known later). Zero: at
    /// the row.
    delay: Duration,
    /// Whether the row itself counts. With a `delay` it never does, whatever this says.
    include_current: bool,
    /// The value of every `avg` where a window holds no value, instead of null (a sum of nothing is
    /// null, as in SQL).
    empty: Option<f64>,
    /// How far behind the watermark a row may come and still get its windows.
    keep: Duration,
}

/// A trailing window: rows with event time in (t - length, t], t being the row's own less `delay`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// As written, such as `7d`: the end of the column's name.
    label: String,
    /// Its length, a whole number of microseconds, at least one.
    length: Duration,
}

impl Features {
    /// The columns that this step adds: feature by feature, each window in order. A feature without
    /// windows adds one column.
    fn added(&self) -> impl Iterator<Item = (String, &Feature, Option<&Window>)> {
        self.features.iter().flat_map(|feature| {
            let windows: Vec<Option<&Window>> = match feature.aggregate.is_windowed() {
                true => self.over.iter().map(|window| Some(&window.value)).collect(),
                false => vec![None],
            };
            windows.into_iter().map(move |window| (column(feature, window), feature, window))
        })
    }
}

/// The name of a feature's column for `window`: `<name>_<window>`, or the name alone.
fn column(feature: &Feature, window: Option<&Window>) -> String {
    match window {
        Some(window) => format!("{}_{}", feature.name, window.label),
        None => feature.name.value.clone(),
    }
}

/// `features` and its keys.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let calls = table.table("features", problems);
    let by = key_columns(table, problems);
    let over_entry = table.get("over").map(|entry| entry.node.span);
    let over = windows(table, problems);
    let delay = table.duration("delay", problems).map(|delay| delay.value).unwrap_or_default();
    let include_current =
        table.boolean("include_current", problems).unwrap_or(defaults::INCLUDE_CURRENT);
    let empty = table.number("empty", f64::MIN, f64::MAX, problems);
    let keep = table.duration("keep", problems).map(|keep| keep.value);

    let calls = calls?;
    if calls.entries().is_empty() {
        problems.push(
            Problem::new(calls.span, "`features` names no feature")
                .help("such as features = { customer_nb_tx = \"count(*)\" }"),
        );
    }
    let mut features = Vec::new();
    for entry in calls.entries() {
        reader::check_name(NameKind::Identifier, &entry.key, "a feature", problems);
        features.push(feature(entry, problems));
    }
    let features: Option<Vec<Feature>> = features.into_iter().collect();
    let features = features?;
    if let (None, Some(windowed)) =
        (over_entry, features.iter().find(|feature| feature.aggregate.is_windowed()))
    {
        problems.push(
            Problem::new(windowed.call.span(), format!("`{}` needs windows", windowed.aggregate))
                .help("add over = [\"1d\", \"7d\"] to the step"),
        );
    }
    if let (Some(span), false) = (
        over_entry,
        features.is_empty() || features.iter().any(|feature| feature.aggregate.is_windowed()),
    ) {
        problems
            .push(Problem::new(span, "no feature of this step has a window").help("remove `over`"));
    }
    if let Some(empty) = empty
        && !features.iter().any(|feature| matches!(feature.aggregate, Aggregate::Mean(_)))
    {
        let problem = Problem::new(empty.span, "no feature of this step is an `avg`");
        problems.push(problem.help(
            "`empty` is the value of an `avg` over no rows; for others, `coalesce` in a `derive` \
             step after this one",
        ));
    }
    let over = over?;
    let reach = over.iter().map(|window| window.value.length).max().unwrap_or_default() + delay;
    let keep = keep.unwrap_or(reach.max(defaults::KEEP_MIN));
    Some(Arc::new(Features {
        features,
        by: by?,
        over,
        delay,
        include_current,
        empty: empty.map(|value| value.value),
        keep,
    }))
}

/// `None` if a window is wrong; no windows if `over` is missing.
fn windows(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Spanned<Window>>> {
    let Some(entry) = table.get("over") else { return Some(Vec::new()) };
    let list = WindowList { key: "over", counted: "windows", example: "[\"1d\", \"7d\", \"30d\"]" };
    list.read(
        entry,
        window,
        // An empty window is refused as such, not as the same as another.
        |(text, window), (first, before)| {
            (window.length == before.length && !window.length.is_zero())
                .then(|| format!("`{text}` is the same window as `{first}`"))
        },
        problems,
    )
}

/// One text of `over`.
fn window(text: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<Window> {
    let length = reader::parsed(text, text.span, values::duration, problems)?;
    if length.is_zero() {
        problems.push(
            Problem::new(text.span, format!("the window `{text}` is empty"))
                .help("a window has some length, such as \"1d\""),
        );
    }
    let label = text.value.chars().filter(|c| !c.is_whitespace()).collect();
    Some(Window { label, length })
}

impl StepKind for Features {
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
        flow.refuse_revisions(step, problems);
        for key in &self.by {
            flow.find(key, problems);
        }
        for feature in &self.features {
            check_input(flow, feature, problems);
        }
        for (name, feature, _) in self.added() {
            flow.add(&name, feature.name.span, feature_type(&feature.aggregate), problems);
        }
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let schema = Arc::clone(&chain.schema);
        let column =
            |name: &str| schema.index_of(name).map_err(|e| Problem::new(step.span, e.to_string()));
        let ties = chain.ties.iter().map(|t| column(t)).collect::<Result<_, _>>()?;
        let spec = FeaturesSpec {
            step_id: step.value.clone(),
            by: names(&self.by),
            features: self.features.iter().map(|f| feature_spec(f, self.empty)).collect(),
            windows: self
                .over
                .iter()
                .map(|w| features::Window {
                    label: w.value.label.clone(),
                    micros: micros(w.value.length),
                })
                .collect(),
            delay_micros: micros(self.delay),
            include_current: self.include_current,
            order: match chain.order {
                Order::EventTime => features::Order::EventTime,
                Order::Arrival => features::Order::Arrival,
            },
            event_time: column(&chain.event_time)?,
            ties,
            history_memory_bytes: usize::try_from(chain.riskstream.history_memory)
                .unwrap_or(usize::MAX),
        };
        let output =
            spec.output_schema(&schema).map_err(|e| Problem::new(step.span, e.to_string()))?;
        let feed = chain.lineage.feed();
        let keep = micros(self.keep);
        chain.add(&step.value, output, move |worker| {
            let operator = FeaturesOperator::new(spec.clone(), &schema, state_dir(worker))
                .map_err(|e| e.to_string())?;
            Ok(Box::new(operator.with_late_horizon(keep).fed_by(feed.clone())) as Box<dyn Operator>)
        });
        Ok(())
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        let by = names(&self.by);
        let mut read = by.clone();
        read.push(around.event_time.to_owned());
        let of_all = lineage.facts(around.input, &read);
        for (name, feature, _) in self.added() {
            let own: Vec<String> =
                feature.aggregate.input().map(|column| column.value.clone()).into_iter().collect();
            let mut of = lineage.facts(around.input, &own);
            of.extend(of_all.iter().cloned());
            let says = format!(
                "{} by {} up to {} µs before{}, of nothing {:?}",
                feature.aggregate,
                by.join(", "),
                micros(self.delay),
                if self.include_current { " and with the row" } else { "" },
                self.empty
            );
            lineage.kept_by(around, &name, &says, &of);
        }
    }

    fn explain(&self) -> Explained {
        let mut details: Vec<String> = self
            .features
            .iter()
            .map(|feature| format!("{} = {}", feature.name, feature.aggregate))
            .collect();
        if !self.over.is_empty() {
            let windows =
                self.over.iter().map(|w| w.value.label.as_str()).collect::<Vec<_>>().join(", ");
            let end = match (self.delay.is_zero(), self.include_current) {
                (false, _) => format!(", ending {} before the row", duration_text(self.delay)),
                (true, true) => ", including the row".to_owned(),
                (true, false) => ", strictly before the row".to_owned(),
            };
            details.push(format!("over the trailing {windows}{end}"));
        }
        Explained { details, columns: self.added().map(|(name, _, _)| name).collect() }
    }
}

fn feature_spec(feature: &Feature, empty: Option<f64>) -> features::FeatureSpec {
    use features::Function;
    let function = match &feature.aggregate {
        Aggregate::CountAll | Aggregate::Count(_) => Function::Count,
        Aggregate::Sum(_) => Function::Sum,
        Aggregate::Mean(_) => Function::Mean,
        Aggregate::Min(_) => Function::Min,
        Aggregate::Max(_) => Function::Max,
        Aggregate::StdDev(_) => Function::StdDev,
        Aggregate::CountDistinct(_) => Function::Distinct,
        Aggregate::Last(_) => Function::Last,
        Aggregate::SecondsSinceLast => Function::SecondsSinceLast,
    };
    let empty = if matches!(feature.aggregate, Aggregate::Mean(_)) { empty } else { None };
    features::FeatureSpec {
        name: feature.name.value.clone(),
        function,
        column: feature.aggregate.input().map(|c| c.value.clone()),
        empty,
    }
}
