//! An `aggregate` step with other aggregates and windows in every run.

use crate::dice::Dice;
use crate::world::{Committed, MINUTE, Manner, by_key, rows, schema};
use riskstream_engine::contract::Operator;
use riskstream_engine::protocol::{Evolution, decide_evolution};
use riskstream_operators::periods::Every;
use riskstream_operators::windows::{
    AggregateFunction, AggregateSpec, Extent, Publish, WindowKind, WindowsOperator, WindowsSpec,
};
use std::collections::BTreeMap;

/// Name, function, column.
const AGGREGATES: [(&str, AggregateFunction, Option<&str>); 7] = [
    ("n", AggregateFunction::Count, None),
    ("n_fee", AggregateFunction::Count, Some("fee")),
    ("sum_amount", AggregateFunction::Sum, Some("amount")),
    ("avg_amount", AggregateFunction::Mean, Some("amount")),
    ("sum_fee", AggregateFunction::Sum, Some("fee")),
    ("min_fee", AggregateFunction::Min, Some("fee")),
    ("max_amount", AggregateFunction::Max, Some("amount")),
];

fn kinds() -> Vec<WindowKind> {
    let steps = |label: &str, step, count| WindowKind {
        label: label.into(),
        extent: Extent::Steps { step: Every::Micros(step * MINUTE), count },
    };
    let session =
        WindowKind { label: "session 12m".into(), extent: Extent::Session { gap: 12 * MINUTE } };
    vec![steps("10m", 10, 1), steps("1h by 15m", 15, 4), steps("3h", 180, 1), session]
}

/// Some of a list, in any order.
fn some<T: Clone>(of: &[T], dice: &mut Dice) -> Vec<T> {
    let mut chosen: Vec<T> = of.iter().filter(|_| dice.one_in(2)).cloned().collect();
    for at in (1..chosen.len()).rev() {
        chosen.swap(at, dice.below(at as i64 + 1) as usize);
    }
    if chosen.is_empty() { vec![of[dice.below(of.len() as i64) as usize].clone()] } else { chosen }
}

fn spec(dice: &mut Dice) -> WindowsSpec {
    let aggregate = |(name, function, column): &(&str, AggregateFunction, Option<&str>)| {
        AggregateSpec { name: (*name).into(), function: *function, column: column.map(Into::into) }
    };
    WindowsSpec {
        step_id: "sums".into(),
        by: vec!["key".into()],
        aggregates: some(&AGGREGATES, dice).iter().map(aggregate).collect(),
        windows: some(&kinds(), dice),
        publish: if dice.one_in(2) { Publish::Changes } else { Publish::Final },
        keep: 10_000 * MINUTE,
        event_time: "time".into(),
    }
}

#[test]
fn aggregates_and_windows_come_and_go() {
    let (mut known, mut unknown) = (0, 0);
    for seed in 1..=400 {
        let mut dice = Dice(seed);
        let rows = rows(150, &mut dice);
        let mut committed = Committed::default();
        let (mut from, mut left) = (0, Vec::new());
        // By aggregate and by window, the newest row that it may not have seen.
        let mut since: BTreeMap<String, i64> = BTreeMap::new();
        let mut last: Option<WindowsSpec> = None;
        for _ in 0..3 {
            let to = (from + 1 + dice.below(60) as usize).min(rows.len());
            let mut spec = spec(&mut dice);
            spec.publish = last.as_ref().map_or(spec.publish, |last| last.publish);
            let make = |_: usize, _: u64| {
                Box::new(WindowsOperator::new(spec.clone(), &schema()).unwrap())
                    as Box<dyn Operator>
            };
            let before = if from == 0 { i64::MIN } else { rows[from - 1].time };
            let names = |spec: &WindowsSpec| -> Vec<String> {
                spec.aggregates
                    .iter()
                    .map(|a| a.name.clone())
                    .chain(spec.windows.iter().map(|w| w.label.clone()))
                    .collect()
            };
            let held = last.as_ref().map(names).unwrap_or_default();
            since = names(&spec)
                .into_iter()
                .map(|name| {
                    (name.clone(), if held.contains(&name) { since[&name] } else { before })
                })
                .collect();
            if let Some(last) = &last {
                let shape = |spec: &WindowsSpec| {
                    WindowsOperator::new(spec.clone(), &schema()).unwrap().shape().unwrap()
                };
                let decided = decide_evolution(&shape(last), &shape(&spec));
                assert!(!matches!(decided, Evolution::Refused(_)), "seed {seed}: {decided:?}");
            }
            left = committed.run(&make, &rows[from..to], Manner::any(&mut dice));
            from = to;
            last = Some(spec);
        }
        let spec = last.unwrap();
        let make = |_: usize, _: u64| {
            Box::new(WindowsOperator::new(spec.clone(), &schema()).unwrap()) as Box<dyn Operator>
        };
        let manner = Manner { workers: 1, rows_per_epoch: rows.len(), snapshot_every: None };
        let fresh = Committed::default().run(&make, &rows[..from], manner);
        let key = ["key", "window", "window_start"];
        let (evolved, fresh) = (by_key(&left, &key), by_key(&fresh, &key));
        let starts = |found: &BTreeMap<String, Option<String>>| {
            let text = found["window_start"].clone().unwrap();
            chrono::DateTime::parse_from_rfc3339(&text).unwrap().timestamp_micros()
        };
        for (key, row) in &evolved {
            let right = fresh
                .get(key)
                .unwrap_or_else(|| panic!("seed {seed}: {key:?} should not be there"));
            let start = starts(row);
            assert!(
                start > since[&key[1]],
                "seed {seed}: {key:?} begins before its windows were added"
            );
            for (column, value) in row {
                let complete_from = since.get(column).copied().unwrap_or(i64::MIN);
                if start > complete_from {
                    known += 1;
                    assert_eq!(value, &right[column], "seed {seed}: {key:?} {column}");
                } else {
                    unknown += 1;
                    assert!(
                        value.is_none() || *value == right[column],
                        "seed {seed}: {key:?} {column} is {value:?}, not {:?}",
                        right[column]
                    );
                }
            }
        }
        // What the last run changed or ended is all there.
        let newest = rows[from - 1].time;
        // A session may have begun up to its gap before what is known of it.
        let gap = |key: &Vec<String>| if key[1].starts_with("session") { 12 * MINUTE } else { 0 };
        let is_last = |key: &Vec<String>, start: i64| {
            start > since[&key[1]].saturating_add(gap(key)) && start >= newest
        };
        let last_rows: Vec<_> =
            fresh.iter().filter(|(key, row)| is_last(key, starts(row))).collect();
        assert!(last_rows.iter().all(|(key, _)| evolved.contains_key(*key)), "seed {seed}");
    }
    assert!(known > 10_000 && unknown > 1_000, "{known} {unknown}");
}

#[test]
fn a_step_that_begins_in_the_middle_says_no_window_that_began_before() {
    for seed in 1..=60 {
        let mut dice = Dice(seed);
        let rows = rows(150, &mut dice);
        let mut spec = spec(&mut dice);
        spec.windows = kinds();
        spec.windows.push(WindowKind {
            label: "always".into(),
            extent: Extent::Always { step: Every::Micros(60 * MINUTE) },
        });
        let make = |_: usize, _: u64| {
            Box::new(WindowsOperator::new(spec.clone(), &schema()).unwrap()) as Box<dyn Operator>
        };
        let unseen = rows[49].time;
        let mut committed = Committed::without_the_step(unseen);
        let mut left = committed.run(&make, &rows[50..90], Manner::any(&mut dice));
        // What it does not know it does not know after a restart either.
        left.extend(committed.run(&make, &rows[90..], Manner::any(&mut dice)));
        let manner = Manner { workers: 1, rows_per_epoch: rows.len(), snapshot_every: None };
        let fresh = by_key(
            &Committed::default().run(&make, &rows, manner),
            &["key", "window", "window_start", "window_end"],
        );
        let found = by_key(&left, &["key", "window", "window_start", "window_end"]);
        assert!(found.keys().any(|key| key[1] == "3h"), "seed {seed}");
        let text = |time: i64| {
            chrono::DateTime::from_timestamp_micros(time)
                .unwrap()
                .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
        };
        for (key, row) in found {
            if key[1] == "always" {
                assert_eq!(key[2], text(unseen + 1), "seed {seed}: it says from when on it counts");
            } else if !key[1].starts_with("session") {
                assert_eq!(Some(&row), fresh.get(&key), "seed {seed}: {key:?}");
            } else if let Some(right) = fresh.get(&key) {
                assert_eq!(&row, right, "seed {seed}: {key:?}");
            }
        }
    }
}
