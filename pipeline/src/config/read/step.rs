//! `[[pipelines.NAME.steps]]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::book;
use crate::config::aggregate;
use crate::config::defaults;
use crate::config::document::{Entry, Node, Value};
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::{
    Aggregate, Aggregation, Changelog, Decide, DerivedColumn, Feature, Features, Period,
    ScoreColumn, Step, StepKind, Window, WindowEvery, WindowExtent,
};
use crate::config::values::{self, NameKind};

const KINDS: [&str; 11] = [
    "filter",
    "derive",
    "features",
    "changelog",
    "previous",
    "sample",
    "aggregate",
    "shares",
    "identities",
    "score",
    "decide",
];
/// Keys that only some steps have.
const KIND_KEYS: [(&str, &str); 10] = [
    ("by", "a `features`, `previous`, `sample` or `aggregate` step"),
    ("over", "a `features` step"),
    ("delay", "a `features` step"),
    ("include_current", "a `features` step"),
    ("empty", "a `features` step"),
    ("windows", "an `aggregate` step"),
    ("results", "an `aggregate` step"),
    ("keep", "a `features`, `changelog`, `previous` or `aggregate` step"),
    ("totals", "an `aggregate` step"),
    ("of", "a `shares` step"),
];
/// Windows of one step; each costs a cursor over the history and a state per key.
const WINDOWS_MAX: usize = 64;
/// Windows of one kind that a row is in.
const OVERLAP_MAX: u128 = 1_000;

/// The step's id, and the step if it could be read.
pub(super) fn step(
    node: &Node,
    index: usize,
    pipeline: &str,
    problems: &mut Vec<Problem>,
) -> (Option<Spanned<String>>, Option<Step>) {
    let Some(mut table) =
        Table::new(node, format!("step {} of pipeline `{pipeline}`", index + 1), problems)
    else {
        return (None, None);
    };
    let id = table
        .required("id", "id = \"NAME\", the key of the step's state", problems)
        .and_then(|id| reader::string(&id.node, "`id`", problems));
    if let Some(id) = &id {
        reader::check_name(NameKind::Id, id, "a step", problems);
        table.what = format!("step `{id}`");
    }
    let rules = table.get("rules");
    if let Some(rules) = rules {
        let help =
            "a `filter`, `derive` or `decide` step, or `when` of a destination, says much the same";
        problems.push(
            Problem::new(rules.key.span, "a `rules` step comes with a later release").help(help),
        );
    }
    let kinds: Vec<&Entry> = KINDS.iter().filter_map(|kind| table.get(kind)).collect();
    let kind = match kinds.as_slice() {
        [one] => kind(&mut table, one, problems),
        [] => {
            let names: Vec<_> =
                table.entries().iter().map(|entry| entry.key.value.as_str()).collect();
            let is_misspelled = KINDS
                .iter()
                .any(|kind| crate::config::suggest::closest(kind, names.iter().copied()).is_some());
            if !is_misspelled && rules.is_none() {
                let what = table.what.clone();
                problems.push(Problem::new(table.span, format!("{what} does nothing")).help(
                    "a step has one of `filter`, `derive`, `features`, `changelog`, `previous`, \
                     `sample`, `aggregate`, `shares`, `identities`, `score`, `decide`",
                ));
            }
            None
        }
        [first, second, ..] => {
            problems.push(
                Problem::new(
                    second.key.span,
                    format!("a step has one of `{}` and `{}`", first.key, second.key),
                )
                .related(first.key.span, "the first")
                .help("make two steps, each with its own `id`"),
            );
            None
        }
    };
    if kinds.is_empty() {
        // Which keys belong here can't be said; those of the commonest kind are no surprise.
        for (key, _) in KIND_KEYS {
            table.get(key);
        }
    }
    table.finish_with(problems, |key| {
        let (key, step) = KIND_KEYS.iter().find(|(name, _)| *name == key)?;
        Some(format!("`{key}` belongs to {step}"))
    });
    let step = id.clone().zip(kind).map(|(id, kind)| Step { id, kind });
    (id, step)
}

fn kind(table: &mut Table<'_>, entry: &Entry, problems: &mut Vec<Problem>) -> Option<StepKind> {
    match entry.key.value.as_str() {
        "filter" => table.sql("filter", problems).map(StepKind::Filter),
        "derive" => derive(table, problems).map(StepKind::Derive),
        "features" => features(table, problems).map(StepKind::Features),
        "changelog" => changelog(table, problems).map(StepKind::Changelog),
        "previous" => book::previous(table, problems).map(StepKind::Previous),
        "sample" => book::sample(table, problems).map(StepKind::Sample),
        "shares" => book::shares(table, problems).map(StepKind::Shares),
        "identities" => book::identities(table, problems).map(StepKind::Identities),
        "aggregate" => aggregation(table, problems).map(StepKind::Aggregate),
        "score" => score(entry, table, problems).map(StepKind::Score),
        _ => decide(table, problems).map(StepKind::Decide),
    }
}

fn derive(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<DerivedColumn>> {
    let columns = table.table("derive", problems)?;
    if columns.entries().is_empty() {
        problems.push(
            Problem::new(columns.span, "`derive` names no column")
                .help("such as derive = { is_night = \"extract(hour from tx_datetime) <= 6\" }"),
        );
    }
    expressions(&columns, problems)
}

/// Names and what they are made by.
fn expressions(columns: &Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<DerivedColumn>> {
    let mut derived = Vec::new();
    for entry in columns.entries() {
        reader::check_name(NameKind::Identifier, &entry.key, "a column", problems);
        let sql = reader::sql(&entry.node, &format!("`{}`", entry.key), problems);
        derived.push(sql.map(|sql| DerivedColumn { name: entry.key.clone(), sql }));
    }
    derived.into_iter().collect()
}

fn features(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Features> {
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
    Some(Features {
        features,
        by: by?,
        over,
        delay,
        include_current,
        empty: empty.map(|value| value.value),
        keep,
    })
}

/// The columns of `by`.
pub(super) fn key_columns(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Spanned<String>>> {
    let entry =
        table.required("by", "by = \"COLUMN\", the key whose rows share windows", problems)?;
    let by = reader::strings(&entry.node, "by", problems)?;
    if by.is_empty() {
        problems.push(
            Problem::new(entry.node.span, "`by` names no column")
                .help("name the key's column, such as by = \"customer_id\""),
        );
    }
    for (index, column) in by.iter().enumerate() {
        if let Some(first) = by[..index].iter().find(|first| first.value == column.value) {
            problems.push(
                Problem::new(column.span, format!("`by` names `{column}` twice"))
                    .related(first.span, "the first"),
            );
        }
    }
    Some(by)
}

fn changelog(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Changelog> {
    let keep = table.duration("keep", problems);
    let mut changelog = table.table("changelog", problems)?;
    changelog.what = "`changelog`".into();
    let key = changelog
        .required("key", "key = \"COLUMN\", which tells records apart", problems)
        .and_then(|key| reader::strings(&key.node, "key", problems));
    if key.as_ref().is_some_and(Vec::is_empty) {
        problems.push(
            Problem::new(changelog.span, "`key` names no column")
                .help("name the column that tells records apart"),
        );
    }
    let columns = changelog.strings("columns", problems);
    let operation = changelog.string("operation", problems);
    let deleted = changelog.sql("deleted", problems);
    if let (Some(operation), Some(deleted)) = (&operation, &deleted) {
        problems.push(
            Problem::new(deleted.span(), "captured changes say themselves which rows are gone")
                .related(operation.span, "this column does")
                .help(
                    "remove `deleted`; a condition for what leaves is a `filter` step after this \
                     one",
                ),
        );
    }
    if let (Some(operation), Some(keep)) = (&operation, &keep) {
        problems.push(
            Problem::new(
                keep.span,
                "captured changes come in their database's order, so no versions are kept",
            )
            .related(operation.span, "this column makes them captured changes")
            .help("remove `keep`"),
        );
    }
    let previous = previous(&mut changelog, operation.is_some(), problems);
    let ever = match changelog.table("ever", problems) {
        Some(ever) => expressions(&ever, problems)?,
        None => Vec::new(),
    };
    changelog.finish(problems);
    let keep = keep.map_or(defaults::KEEP_MIN, |keep| keep.value);
    Some(Changelog { key: key?, columns, operation, deleted, previous, ever, keep })
}

/// `previous = { NAME = "column" }` of a changelog.
fn previous(
    changelog: &mut Table<'_>,
    is_of_captured: bool,
    problems: &mut Vec<Problem>,
) -> Vec<(Spanned<String>, Spanned<String>)> {
    let Some(previous) = changelog.table("previous", problems) else { return Vec::new() };
    if !is_of_captured {
        problems.push(
            Problem::new(previous.span, "`previous` is for captured changes, which come in order")
                .help("name the column that says what happened: operation = \"_op\""),
        );
    }
    let mut columns = Vec::new();
    for entry in previous.entries() {
        reader::check_name(NameKind::Identifier, &entry.key, "a column", problems);
        if let Some(column) = reader::string(&entry.node, &format!("`{}`", entry.key), problems) {
            columns.push((entry.key.clone(), column));
        }
    }
    columns
}

fn aggregation(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Aggregation> {
    let calls = table.table("aggregate", problems);
    let by = key_columns(table, problems);
    let totals = book::totals(table, by.as_deref(), problems);
    let windows = windows_every(table, problems);
    let results =
        table.keyword("results", problems).map_or(defaults::RESULTS, |results| results.value);
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
    Some(Aggregation { aggregates: aggregates?, by: by?, totals: totals?, windows, results, keep })
}

/// Whether the totals of a window's parts give the window's.
fn is_additive(aggregate: &Aggregate) -> bool {
    use Aggregate::{Count, CountAll, Max, Mean, Min, Sum};
    matches!(aggregate, CountAll | Count(_) | Sum(_) | Mean(_) | Min(_) | Max(_))
}

/// `windows = ["1d", "30d by 1d"]`.
fn windows_every(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Spanned<WindowEvery>>> {
    let entry = table.required(
        "windows",
        "windows = [\"1d\"]; \"30d by 1d\" is a window of 30 days every day, \
         \"1mo\" a calendar month",
        problems,
    )?;
    let texts = reader::strings(&entry.node, "windows", problems)?;
    if texts.is_empty() || texts.len() > WINDOWS_MAX {
        let problem = Problem::new(
            entry.node.span,
            format!("`windows` has {} kinds of windows", texts.len()),
        );
        problems.push(
            problem.help(format!("1 to {WINDOWS_MAX}, such as windows = [\"1d\", \"30d by 1d\"]")),
        );
        return None;
    }
    let mut windows: Vec<Option<Spanned<WindowEvery>>> = Vec::new();
    for text in &texts {
        let window = window_every(text, problems);
        if let Some(window) = &window
            && let Some(first) = windows.iter().flatten().find(|w| w.extent == window.extent)
        {
            problems.push(
                Problem::new(
                    text.span,
                    format!("`{text}` are the same windows as `{}`", first.label),
                )
                .related(first.span, "the first"),
            );
        }
        windows.push(window);
    }
    windows.into_iter().collect()
}

fn window_every(
    text: &Spanned<String>,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<WindowEvery>> {
    let label = text.value.split_whitespace().collect::<Vec<_>>().join(" ");
    let refuse = |problems: &mut Vec<Problem>, message: String, help: &str| {
        problems.push(Problem::new(text.span, message).help(help));
        None
    };
    let extent = if let Some(gap) = label.strip_prefix("session ") {
        let gap = reader::parsed(gap, text.span, values::duration, problems)?;
        if gap.is_zero() {
            return refuse(
                problems,
                format!("the gap of `{text}` is empty"),
                "such as \"session 30m\"",
            );
        }
        WindowExtent::Session { gap }
    } else {
        let (length, step) = label.split_once(" by ").unwrap_or((&label, &label));
        let empty = |text: &str| {
            text.bytes().take_while(u8::is_ascii_digit).all(|digit| digit == b'0')
                && values::duration(text).is_ok()
        };
        if empty(length) || empty(step) {
            return refuse(
                problems,
                format!("the window `{text}` is empty"),
                "a window has some length, such as \"1d\"",
            );
        }
        let length = match length {
            "always" if step != length => None,
            length => Some(reader::parsed(length, text.span, values::period, problems)?),
        };
        let step = reader::parsed(step, text.span, values::period, problems)?;
        let (whole, part) = match (length, step) {
            (None, step) => {
                return Some(Spanned::new(
                    WindowEvery { label, extent: WindowExtent::Always { step } },
                    text.span,
                ));
            }
            (Some(Period::Time(length)), Period::Time(step)) => {
                (length.as_micros(), step.as_micros())
            }
            (Some(Period::Months(length)), Period::Months(step)) => {
                (u128::from(length), u128::from(step))
            }
            _ => {
                return refuse(
                    problems,
                    format!("`{text}`: a month is no whole number of days"),
                    "both in months, such as \"3mo by 1mo\", or neither",
                );
            }
        };
        if whole % part != 0 {
            return refuse(
                problems,
                format!("`{text}`: the length is no multiple of the step"),
                "such as \"30d by 1d\"",
            );
        }
        if whole / part > OVERLAP_MAX {
            return refuse(
                problems,
                format!("`{text}`: a row would be in {} windows", whole / part),
                "at most 1000: take a longer step",
            );
        }
        WindowExtent::Steps { step, count: (whole / part) as u64 }
    };
    Some(Spanned::new(WindowEvery { label, extent }, text.span))
}

fn feature(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Feature> {
    let text = reader::string(&entry.node, &format!("the feature `{}`", entry.key), problems)?;
    let Value::String { verbatim_at, .. } = entry.node.value else { return None };
    let call = crate::config::spec::Sql { text, verbatim_at };
    match aggregate::parse(&call) {
        Ok(aggregate) => Some(Feature { name: entry.key.clone(), aggregate, call }),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// `None` if a window is wrong; no windows if `over` is missing.
fn windows(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Spanned<Window>>> {
    let Some(entry) = table.get("over") else { return Some(Vec::new()) };
    let texts = reader::strings(&entry.node, "over", problems)?;
    if texts.is_empty() || texts.len() > WINDOWS_MAX {
        let problem = Problem::new(entry.node.span, format!("`over` has {} windows", texts.len()));
        problems.push(
            problem.help(format!("1 to {WINDOWS_MAX}, such as over = [\"1d\", \"7d\", \"30d\"]")),
        );
        return None;
    }
    let mut seen: BTreeMap<Duration, Spanned<String>> = BTreeMap::new();
    let mut windows = Vec::new();
    for text in texts {
        let Some(length) = reader::parsed(&text, text.span, values::duration, problems) else {
            windows.push(None);
            continue;
        };
        let label: String = text.value.chars().filter(|c| !c.is_whitespace()).collect();
        if length.is_zero() {
            problems.push(
                Problem::new(text.span, format!("the window `{text}` is empty"))
                    .help("a window has some length, such as \"1d\""),
            );
        } else if let Some(first) = seen.get(&length) {
            problems.push(
                Problem::new(text.span, format!("`{text}` is the same window as `{first}`"))
                    .related(first.span, "the first"),
            );
        }
        seen.entry(length).or_insert_with(|| text.clone());
        windows.push(Some(Spanned::new(Window { label, length }, text.span)));
    }
    windows.into_iter().collect()
}

fn score(
    entry: &Entry,
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<ScoreColumn>> {
    if let Value::String { text, .. } = &entry.node.value {
        let problem = reader::expected(&entry.node, "`score`", "a table");
        problems.push(problem.help(format!(
            "name the new column and the model: score = {{ fraud_score = \"{text}\" }}"
        )));
        return None;
    }
    let columns = table.table("score", problems)?;
    if columns.entries().is_empty() {
        problems.push(
            Problem::new(columns.span, "`score` names no column")
                .help("such as score = { fraud_score = \"fraud-card\" }"),
        );
    }
    let scores: Vec<_> =
        columns.entries().iter().map(|entry| score_column(entry, problems)).collect();
    scores.into_iter().collect()
}

fn score_column(entry: &Entry, problems: &mut Vec<Problem>) -> Option<ScoreColumn> {
    reader::check_name(NameKind::Identifier, &entry.key, "a column", problems);
    let (model, version) = match &entry.node.value {
        Value::String { .. } => (reader::string(&entry.node, "the model", problems)?, None),
        Value::Table(_) => {
            let mut table =
                Table::new(&entry.node, format!("the model of `{}`", entry.key), problems)?;
            let model = table
                .required("model", "model = \"NAME\"", problems)
                .and_then(|model| reader::string(&model.node, "`model`", problems));
            let version = table.get("version").and_then(|version| match &version.node.value {
                Value::Integer(number) if *number >= 0 => {
                    Some(Spanned::new(number.to_string(), version.node.span))
                }
                _ => reader::string(&version.node, "`version`", problems),
            });
            table.finish(problems);
            (model?, version)
        }
        _ => {
            problems.push(reader::expected(
                &entry.node,
                "the model",
                "a name or { model = \"NAME\", version = \"3\" }",
            ));
            return None;
        }
    };
    reader::check_name(NameKind::Id, &model, "a model", problems);
    Some(ScoreColumn { column: entry.key.clone(), model, version })
}

fn decide(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Decide> {
    let mut decide = table.table("decide", problems)?;
    decide.what = "`decide`".into();
    let score = decide
        .required("score", "score = \"COLUMN\", a column of a `score` step", problems)
        .and_then(|score| reader::string(&score.node, "`score`", problems));
    let review = decide.number("review", 0.0, 1.0, problems);
    let decline = decide.number("decline", 0.0, 1.0, problems);
    if let (Some(review), Some(decline)) = (review, decline)
        && review.value > decline.value
    {
        problems.push(
            Problem::new(
                review.span,
                format!("`review` ({}) is above `decline` ({})", review.value, decline.value),
            )
            .related(decline.span, "declined from here")
            .help("scores from `review` on are reviewed, from `decline` on declined"),
        );
    }
    let reasons = decide
        .integer("reasons", 0, 64, problems)
        .map_or(defaults::REASONS, |count| count.value as usize);
    decide.finish(problems);
    Some(Decide {
        score: score?,
        review: review.map(|value| value.value),
        decline: decline.map(|value| value.value),
        reasons,
    })
}
