//! A `features` step with other features and windows in every run.

use crate::dice::Dice;
use crate::world::{Committed, MINUTE, Manner, Row, by_key, rows, schema};
use riskstream_engine::contract::{Operator, StateDir};
use riskstream_engine::ids::Generation;
use riskstream_engine::protocol::{Evolution, decide_evolution};
use riskstream_operators::features::{
    FeatureSpec, FeaturesOperator, FeaturesSpec, Function, Order, Window,
};
use std::collections::BTreeMap;
use std::path::Path;

const FEATURES: [(&str, Function, Option<&str>); 10] = [
    ("n", Function::Count, None),
    ("n_fee", Function::Count, Some("fee")),
    ("sum_amount", Function::Sum, Some("amount")),
    ("avg_amount", Function::Mean, Some("amount")),
    ("dev_fee", Function::StdDev, Some("fee")),
    ("min_fee", Function::Min, Some("fee")),
    ("max_amount", Function::Max, Some("amount")),
    ("different", Function::Distinct, Some("fee")),
    ("last_fee", Function::Last, Some("fee")),
    ("since", Function::SecondsSinceLast, None),
];

/// Label and minutes.
const WINDOWS: [(&str, i64); 4] = [("30m", 30), ("2h", 120), ("5h", 300), ("9h", 540)];

fn some<T: Copy>(of: &[T], dice: &mut Dice) -> Vec<T> {
    let mut chosen: Vec<T> = of.iter().filter(|_| dice.one_in(2)).copied().collect();
    for at in (1..chosen.len()).rev() {
        chosen.swap(at, dice.below(at as i64 + 1) as usize);
    }
    if chosen.is_empty() { vec![of[dice.below(of.len() as i64 - 1) as usize]] } else { chosen }
}

fn spec(order: Order, delay: i64, dice: &mut Dice) -> FeaturesSpec {
    let feature = |(name, function, column): &(&str, Function, Option<&str>)| FeatureSpec {
        name: (*name).into(),
        function: *function,
        column: column.map(Into::into),
        empty: None,
    };
    FeaturesSpec {
        step_id: "spent".into(),
        by: vec!["key".into()],
        features: some(&FEATURES, dice).iter().map(feature).collect(),
        windows: some(&WINDOWS, dice)
            .iter()
            .map(|(label, minutes)| Window { label: (*label).into(), micros: minutes * MINUTE })
            .collect(),
        delay_micros: delay,
        include_current: false,
        order,
        event_time: 0,
        ties: vec![1],
        history_memory_bytes: 1 << dice.below(16),
    }
}

fn make(
    spec: &FeaturesSpec,
    root: &Path,
    horizon: i64,
) -> impl Fn(usize, u64) -> Box<dyn Operator> {
    move |worker, generation| {
        let dir = StateDir { root: root.into(), generation: Generation(generation), worker };
        Box::new(
            FeaturesOperator::new(spec.clone(), &schema(), dir).unwrap().with_late_horizon(horizon),
        ) as Box<dyn Operator>
    }
}

/// The column that a feature keeps: what is not kept can't be made again.
fn kept(feature: &str) -> Option<&'static str> {
    FEATURES.iter().find(|(name, _, _)| *name == feature).and_then(|(_, _, column)| *column)
}

#[test]
fn features_and_windows_come_and_go() {
    let (mut known, mut unknown) = (0, 0);
    let seeds =
        std::env::var("SEED").map_or(1..=300, |seed| seed.parse().unwrap()..=seed.parse().unwrap());
    for seed in seeds {
        let mut dice = Dice(seed);
        let folder = tempfile::tempdir().unwrap();
        let order = if dice.one_in(2) { Order::EventTime } else { Order::Arrival };
        let delay = if dice.one_in(3) { 45 * MINUTE } else { 0 };
        // With a short horizon the history is forgotten soon.
        let horizon = if dice.one_in(2) { 0 } else { 2_000 * MINUTE };
        let rows = rows(400, &mut dice);
        let mut committed = Committed::default();
        let (mut from, mut left) = (0, Vec::new());
        // By kept column the newest row without it; by feature and window from when on it must be
        // known.
        let mut without: BTreeMap<&str, i64> = BTreeMap::new();
        let mut complete: BTreeMap<String, i64> = BTreeMap::new();
        let mut history_from = i64::MIN;
        let mut last: Option<FeaturesSpec> = None;
        let mut story = vec![format!("{order:?}, delay {delay}, horizon {horizon}")];
        for _ in 0..3 {
            let to = (from + 1 + dice.below(130) as usize).min(rows.len());
            let spec = spec(order, delay, &mut dice);
            let before = if from == 0 { i64::MIN } else { rows[from - 1].time };
            let columns: Vec<&str> = spec.features.iter().filter_map(|f| kept(&f.name)).collect();
            let held: Vec<&str> =
                last.iter().flat_map(|last| &last.features).filter_map(|f| kept(&f.name)).collect();
            let newest = |column: &&'static str| {
                if held.contains(column) { without[*column] } else { before }
            };
            without = ["amount", "fee"]
                .iter()
                .filter(|c| columns.contains(c))
                .map(|column| (*column, newest(column)))
                .collect();
            let reach = last
                .as_ref()
                .and_then(|last| last.windows.iter().map(|w| w.micros).max())
                .unwrap_or(0)
                + delay;
            // The history holds what the windows of every run reached, and the horizon beside it.
            history_from = if from == 0 {
                i64::MIN
            } else {
                history_from.max(before.saturating_sub(reach + horizon))
            };
            let columns_of = |feature: &FeatureSpec| {
                kept(&feature.name).map_or(i64::MIN, |column| without[column])
            };
            let now: BTreeMap<String, i64> = spec
                .features
                .iter()
                .filter(|f| f.function != Function::SecondsSinceLast)
                .flat_map(|f| {
                    spec.windows.iter().map(move |w| (format!("{}_{}", f.name, w.label), f, w))
                })
                .map(|(name, feature, _)| {
                    let from_history = complete.get(&name).copied().unwrap_or(history_from);
                    (name, from_history.max(columns_of(feature)))
                })
                .collect();
            complete = now;
            if let Some(last) = &last {
                let shape =
                    |spec: &FeaturesSpec| make(spec, folder.path(), horizon)(0, 0).shape().unwrap();
                let decided = decide_evolution(&shape(last), &shape(&spec));
                assert!(!matches!(decided, Evolution::Refused(_)), "seed {seed}: {decided:?}");
            }
            let manner = Manner::any(&mut dice);
            let names = spec.features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>();
            let labels = spec.windows.iter().map(|w| w.label.as_str()).collect::<Vec<_>>();
            story.push(format!("rows {from}..{to}, {names:?} over {labels:?}, {manner:?}"));
            left = committed.run(&make(&spec, folder.path(), horizon), &rows[from..to], manner);
            from = to;
            last = Some(spec);
        }
        let spec = last.unwrap();
        let fresh_folder = tempfile::tempdir().unwrap();
        let manner = Manner { workers: 1, rows_per_epoch: rows.len(), snapshot_every: None };
        let fresh = Committed::default().run(
            &make(&spec, fresh_folder.path(), 100_000 * MINUTE),
            &rows[..from],
            manner,
        );
        let (evolved, fresh) = (by_key(&left, &["id"]), by_key(&fresh, &["id"]));
        let times: BTreeMap<String, i64> =
            rows.iter().map(|row: &Row| (row.id.to_string(), row.time)).collect();
        for (key, row) in &evolved {
            for (column, value) in row {
                let right = &fresh[key][column];
                let reach = spec
                    .windows
                    .iter()
                    .find(|w| column.ends_with(&format!("_{}", w.label)))
                    .map_or(0, |w| w.micros)
                    + delay;
                let from = complete.get(column).copied().unwrap_or(i64::MIN);
                if column != "since" && times[&key[0]].saturating_sub(reach) >= from {
                    known += 1;
                    assert_eq!(
                        value, right,
                        "seed {seed}: row {key:?} {column}, known from {from}; {story:#?}"
                    );
                } else {
                    unknown += 1;
                    assert!(
                        value.is_none() || value == right,
                        "seed {seed}: row {key:?} {column} is {value:?}, not {right:?}"
                    );
                }
            }
        }
    }
    assert!(known > 50_000 && unknown > 5_000, "{known} {unknown}");
}

#[test]
fn a_step_that_begins_in_the_middle_shows_nothing_where_it_would_need_rows_from_before() {
    for seed in 1..=60 {
        let mut dice = Dice(seed);
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(300, &mut dice);
        let spec =
            spec(if dice.one_in(2) { Order::EventTime } else { Order::Arrival }, 0, &mut dice);
        let unseen = rows[49].time;
        let mut committed = Committed::without_the_step(unseen);
        let make_it = make(&spec, folder.path(), 2_000 * MINUTE);
        let mut left = committed.run(&make_it, &rows[50..150], Manner::any(&mut dice));
        left.extend(committed.run(&make_it, &rows[150..], Manner::any(&mut dice)));
        let fresh_folder = tempfile::tempdir().unwrap();
        let manner = Manner { workers: 1, rows_per_epoch: rows.len(), snapshot_every: None };
        let fresh = by_key(
            &Committed::default().run(
                &make(&spec, fresh_folder.path(), 100_000 * MINUTE),
                &rows,
                manner,
            ),
            &["id"],
        );
        let mut known = 0;
        for (key, row) in by_key(&left, &["id"]) {
            let time = rows[key[0].parse::<usize>().unwrap()].time;
            for (column, value) in row {
                let Some(window) =
                    spec.windows.iter().find(|w| column.ends_with(&format!("_{}", w.label)))
                else {
                    continue;
                };
                let is_known = time - window.micros >= unseen;
                known += i64::from(is_known);
                let right = if is_known { fresh[&key][&column].clone() } else { None };
                assert_eq!(value, right, "seed {seed}: row {key:?} {column}");
            }
        }
        assert!(
            known > 0 || spec.features.iter().all(|f| f.function == Function::SecondsSinceLast),
            "seed {seed}"
        );
    }
}
