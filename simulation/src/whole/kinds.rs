//! The kinds of pipelines that live through a world, and what each must have delivered: worked out
//! from the rows alone.

use crate::input::{Record, Row, SECOND, Setup};
use crate::oracle::{Expected, Value, features, values};
use crate::whole::source::Rows;
use anyhow::{Context, Result, ensure};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use riskstream_engine::contract::{Operator, OperatorError, StateDir, is_system_column};
use riskstream_engine::disk::Folder;
use riskstream_engine::ids::Generation;
use riskstream_engine::protocol::Order;
use riskstream_engine::runtime::{StepPlan, WorkerContext};
use riskstream_operators::changelog::{ChangelogOperator, ChangelogSpec, DIFF};
use riskstream_operators::features::FeaturesOperator;
use riskstream_operators::periods::Every;
use riskstream_operators::previous::{PreviousOperator, PreviousSpec};
use riskstream_operators::windows::{
    AggregateFunction, AggregateSpec, Extent, Publish, REVISION, WINDOW, WINDOW_START, WindowKind,
    WindowsOperator, WindowsSpec,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps are never asked to forget.
const KEEP: i64 = 10 * 365 * 86_400 * SECOND;

/// A pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two features steps.
    Features,
    /// Windows of a minute and of five, a minute apart.
    Windows,
    /// The last version of each customer's record.
    Changelog,
    /// Each row with the amount of the customer's row before.
    Previous,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Features, Self::Windows, Self::Changelog, Self::Previous];

    /// Whether rows may also be taken in the order in which they come.
    pub(super) fn fits(self, order: Order) -> bool {
        match order {
            Order::EventTime => true,
            Order::Arrival => self != Self::Features,
        }
    }

    /// The steps, and the columns that leave the last one.
    pub(super) fn steps(
        self,
        setup: &Setup,
        memory_bytes: usize,
    ) -> Result<(Vec<StepPlan>, SchemaRef)> {
        let nowhere = StateDir { root: Folder::from(""), generation: Generation(0), worker: 0 };
        let mut input = Arc::clone(&setup.schema.schema);
        let mut steps = Vec::new();
        for (id, make) in self.makers(setup, memory_bytes) {
            let output = make(&input, nowhere.clone())?.output_schema();
            let (step, from) = (id.clone(), std::mem::replace(&mut input, output));
            let build = move |worker: &WorkerContext| {
                let dir = StateDir {
                    root: worker.history.clone(),
                    generation: worker.generation,
                    worker: worker.worker,
                };
                make(&from, dir).map_err(|e| OperatorError::Compute {
                    step: step.clone(),
                    reason: format!("{e:#}"),
                })
            };
            steps.push(StepPlan { id, build: Arc::new(build) });
        }
        Ok((steps, input))
    }

    fn makers(self, setup: &Setup, memory_bytes: usize) -> Vec<(String, Make)> {
        let event_time = "t".to_owned();
        match self {
            Self::Features => {
                let of = |spec: &riskstream_operators::features::FeaturesSpec| {
                    let (id, spec) = (spec.step_id.clone(), spec.clone());
                    let make = move |input: &SchemaRef, dir: StateDir| {
                        Ok(Box::new(FeaturesOperator::new(spec.clone(), input, dir)?)
                            as Box<dyn Operator>)
                    };
                    (id, Box::new(make) as Make)
                };
                setup.steps.iter().map(of).collect()
            }
            Self::Windows => {
                let kind = |label: &str, count| {
                    let extent = Extent::Steps { step: Every::Micros(60 * SECOND), count };
                    WindowKind { label: label.into(), extent }
                };
                let aggregate = |name: &str, function, column: Option<&str>| AggregateSpec {
                    name: name.into(),
                    function,
                    column: column.map(str::to_owned),
                };
                let spec = WindowsSpec {
                    step_id: "windows".into(),
                    by: vec!["terminal".into()],
                    aggregates: vec![
                        aggregate("n", AggregateFunction::Count, None),
                        aggregate("total", AggregateFunction::Sum, Some("amount")),
                    ],
                    windows: vec![kind("1m", 1), kind("5m by 1m", 5)],
                    publish: Publish::Changes,
                    keep: KEEP,
                    event_time,
                };
                let make = move |input: &SchemaRef, _: StateDir| {
                    Ok(Box::new(WindowsOperator::new(spec.clone(), input)?) as Box<dyn Operator>)
                };
                vec![("windows".into(), Box::new(make))]
            }
            Self::Changelog => {
                let spec = ChangelogSpec {
                    step_id: "changelog".into(),
                    key: vec!["customer".into()],
                    columns: vec![],
                    deleted: None,
                    ever: vec![],
                    keep: KEEP,
                    event_time,
                    ties: vec![],
                    memory_bytes,
                };
                let make = move |input: &SchemaRef, dir: StateDir| {
                    Ok(Box::new(ChangelogOperator::new(spec.clone(), input, dir)?)
                        as Box<dyn Operator>)
                };
                vec![("changelog".into(), Box::new(make))]
            }
            Self::Previous => {
                let spec = PreviousSpec {
                    step_id: "previous".into(),
                    by: vec!["customer".into()],
                    columns: vec![("amount_before".into(), "amount".into())],
                    keep: KEEP,
                    event_time,
                    ties: vec![],
                    memory_bytes,
                };
                let make = move |input: &SchemaRef, dir: StateDir| {
                    Ok(Box::new(PreviousOperator::new(spec.clone(), input, dir)?)
                        as Box<dyn Operator>)
                };
                vec![("previous".into(), Box::new(make))]
            }
        }
    }

    /// The columns that go to the table.
    pub(super) fn columns(output: &Schema) -> Vec<(String, String)> {
        let names = output
            .fields()
            .iter()
            .map(|field| field.name())
            .filter(|name| !is_system_column(name) || *name == DIFF);
        names.map(|name| (name.clone(), name.clone())).collect()
    }

    /// Compares what the table holds with what it must hold.
    pub(super) fn compare(self, rows: &Rows, table: &[RecordBatch]) -> Result<usize> {
        let good = good(rows);
        match self {
            Self::Features => compare_features(rows, &good, table),
            Self::Windows => compare_windows(&good, table),
            Self::Changelog => compare_net(&latest(&good), table),
            Self::Previous => compare_net(&with_previous(&good), table),
        }
    }
}

/// Makes a step on an input.
type Make = Box<dyn Fn(&SchemaRef, StateDir) -> Result<Box<dyn Operator>> + Send + Sync>;

/// A row and where it was.
type Placed<'a> = (&'a Row, (usize, i64));

fn good(rows: &Rows) -> Vec<Placed<'_>> {
    let of = |(partition, records): (usize, &'_ Vec<Record>)| -> Vec<(usize, usize)> {
        (0..records.len()).map(|offset| (partition, offset)).collect()
    };
    let places = rows.input.partitions.iter().enumerate().flat_map(of);
    let good =
        places.filter_map(|(partition, offset)| match &rows.input.partitions[partition][offset] {
            Record::Good(row) => Some((row, (partition, offset as i64))),
            Record::Broken => None,
        });
    good.collect()
}

fn compare_features(rows: &Rows, good: &[Placed<'_>], table: &[RecordBatch]) -> Result<usize> {
    let tie = |row: &Row| if rows.setup.ties { row.id } else { 0 };
    let mut expected: Vec<Expected<'_>> = good
        .iter()
        .map(|(row, place)| Expected { row, place: *place, epoch: 0, late: false })
        .collect();
    expected.sort_by_key(|e| (e.row.time, tie(e.row), e.place));
    let steps: Vec<BTreeMap<i64, Vec<Value>>> =
        rows.setup.steps.iter().map(|spec| features(&expected, spec)).collect();
    let mut delivered = BTreeMap::new();
    for batch in table {
        let ids = batch.column(0).as_primitive::<Int64Type>().values();
        // Behind the five columns of the source.
        for (id, values) in ids.iter().zip(values(batch, 5)) {
            ensure!(delivered.insert(*id, values).is_none(), "row {id} was delivered twice");
        }
    }
    ensure!(
        delivered.len() == expected.len(),
        "{} rows were delivered, {} must be",
        delivered.len(),
        expected.len()
    );
    for (id, values) in &delivered {
        let must: Vec<Value> =
            steps.iter().flat_map(|step| step.get(id).cloned().unwrap_or_default()).collect();
        let agree =
            values.len() == must.len() && values.iter().zip(&must).all(|(a, b)| a.agrees(*b));
        ensure!(agree, "features of row {id}\nare     {values:?}\nmust be {must:?}");
    }
    Ok(delivered.len())
}

fn compare_windows(good: &[Placed<'_>], table: &[RecordBatch]) -> Result<usize> {
    let minute = 60 * SECOND;
    let mut expected: BTreeMap<(String, String, i64), (i64, Option<i128>)> = BTreeMap::new();
    for (row, _) in good {
        let first = row.time.div_euclid(minute) * minute;
        for (label, count) in [("1m", 1), ("5m by 1m", 5)] {
            for step in 0..count {
                let window = expected
                    .entry((label.to_owned(), row.terminal.clone(), first - step * minute))
                    .or_default();
                window.0 += 1;
                if let Some(amount) = row.amount {
                    window.1 = Some(window.1.unwrap_or(0) + i128::from(amount));
                }
            }
        }
    }
    let mut delivered: BTreeMap<(String, String, i64), (i64, i64, Value)> = BTreeMap::new();
    for batch in table {
        let column = |name: &str| {
            batch.column_by_name(name).with_context(|| format!("the column {name} is gone"))
        };
        let text = |name: &str| {
            anyhow::Ok(arrow::compute::cast(column(name)?, &arrow::datatypes::DataType::Utf8)?)
        };
        let (labels, terminals) = (text(WINDOW)?, text("terminal")?);
        let starts = column(WINDOW_START)?.as_primitive::<TimestampMicrosecondType>();
        let (counts, revisions) = (
            column("n")?.as_primitive::<Int64Type>(),
            column(REVISION)?.as_primitive::<Int64Type>(),
        );
        let totals = values(&batch.project(&[batch.schema().index_of("total")?])?, 0);
        for (row, total) in totals.iter().enumerate() {
            let window = (
                labels.as_string::<i32>().value(row).to_owned(),
                terminals.as_string::<i32>().value(row).to_owned(),
                starts.value(row),
            );
            let revision = revisions.value(row);
            let known = delivered.get(&window).map(|(revision, ..)| *revision);
            ensure!(
                known != Some(revision),
                "revision {revision} of window {window:?} was delivered twice"
            );
            if known < Some(revision) {
                delivered.insert(window, (revision, counts.value(row), total[0]));
            }
        }
    }
    ensure!(
        delivered.len() == expected.len(),
        "{} windows were delivered, {} must be",
        delivered.len(),
        expected.len()
    );
    for (window, (_, n, total)) in &delivered {
        let must =
            expected.get(window).with_context(|| format!("there is no window {window:?}"))?;
        let total_must = must.1.map_or(Value::Null, Value::Exact);
        ensure!(
            *n == must.0 && total.agrees(total_must),
            "window {window:?} has {n} rows, total {total:?}; must be {must:?}"
        );
    }
    Ok(delivered.len())
}

/// A row's values, the id in front.
type Content = (i64, Vec<Option<i128>>);

/// Of each customer the latest row.
fn latest(good: &[Placed<'_>]) -> BTreeMap<Content, i64> {
    let mut latest: BTreeMap<i64, Placed<'_>> = BTreeMap::new();
    for (row, place) in good {
        let newer = latest
            .get(&row.customer)
            .is_none_or(|(other, at)| (row.time, *place) > (other.time, *at));
        if newer {
            latest.insert(row.customer, (row, *place));
        }
    }
    latest.values().map(|(row, _)| ((row.id, vec![row.amount.map(i128::from)]), 1)).collect()
}

/// Each row with the amount of its customer's row before.
fn with_previous(good: &[Placed<'_>]) -> BTreeMap<Content, i64> {
    let mut ordered = good.to_vec();
    ordered.sort_by_key(|(row, place)| (row.customer, row.time, *place));
    let before = std::iter::once(None).chain(ordered.iter().map(Some));
    let shown = ordered.iter().zip(before).map(|((row, _), before)| {
        let before = before
            .filter(|(other, _)| other.customer == row.customer)
            .and_then(|(other, _)| other.amount);
        ((row.id, vec![row.amount.map(i128::from), before.map(i128::from)]), 1)
    });
    shown.collect()
}

/// The sum of what changes did to each row is what must be there.
fn compare_net(expected: &BTreeMap<Content, i64>, table: &[RecordBatch]) -> Result<usize> {
    let mut net: BTreeMap<Content, i64> = BTreeMap::new();
    for batch in table {
        let column = |name: &str| {
            batch.column_by_name(name).with_context(|| format!("the column {name} is gone"))
        };
        let (ids, diffs) =
            (column("id")?.as_primitive::<Int64Type>(), column(DIFF)?.as_primitive::<Int64Type>());
        let shown: Vec<usize> = ["amount", "amount_before"]
            .iter()
            .filter_map(|name| batch.schema().index_of(name).ok())
            .collect();
        let amounts = values(&batch.project(&shown)?, 0);
        for (row, amounts) in amounts.iter().enumerate() {
            let exact =
                |value: &Value| if let Value::Exact(value) = value { Some(*value) } else { None };
            *net.entry((ids.value(row), amounts.iter().map(exact).collect())).or_default() +=
                diffs.value(row);
        }
    }
    net.retain(|_, times| *times != 0);
    for (content, times) in expected {
        ensure!(
            net.get(content) == Some(times),
            "{content:?} is there {:?} times, must be {times}",
            net.get(content)
        );
    }
    ensure!(
        net.len() == expected.len(),
        "{} rows are there, {} must be",
        net.len(),
        expected.len()
    );
    Ok(net.len())
}
