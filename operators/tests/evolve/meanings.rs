//! What each kind of step says of its state: every change of its configuration, or of what feeds
//! it, that changes the meaning is told; others are not.

use riskstream_engine::contract::{Fact, Feed, Operator, Shape, StateDir};
use riskstream_engine::ids::Generation;
use riskstream_engine::protocol::{Evolution, decide_evolution};
use riskstream_operators::captured::{CapturedOperator, CapturedSpec};
use riskstream_operators::changelog::{ChangelogOperator, ChangelogSpec};
use riskstream_operators::periods::Every;
use riskstream_operators::previous::{PreviousOperator, PreviousSpec};
use riskstream_operators::sample::{SampleOperator, SampleSpec};
use riskstream_operators::shares::{ShareFunction, ShareSpec, SharesOperator, SharesSpec};
use riskstream_operators::windows::{
    AggregateFunction, AggregateSpec, Extent, Publish, WindowKind, WindowsOperator, WindowsSpec,
};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_engine::contract::{SOURCE_OFFSET, SOURCE_PARTITION, change_fields};
use std::sync::Arc;

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)
}

/// Rows of a table: its time, another time, two keys, an amount of this type, and more columns.
fn input(amount: DataType, more: &[Field]) -> SchemaRef {
    let mut fields = vec![
        time("at"),
        time("booked"),
        Field::new("k", DataType::Utf8, true),
        Field::new("g", DataType::Utf8, true),
    ];
    fields.push(Field::new("amount", amount, true));
    fields.extend(more.iter().cloned());
    fields.push(Field::new(SOURCE_PARTITION, DataType::UInt32, false));
    fields.push(Field::new(SOURCE_OFFSET, DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

fn money() -> DataType {
    DataType::Decimal128(12, 2)
}

fn nowhere() -> StateDir {
    StateDir { root: "".into(), generation: Generation(0), worker: 0 }
}

/// What a step is fed: rows where this holds, `amount` being made so.
fn feed(rows: &str, amount: &str) -> Feed {
    let column = ("amount".to_owned(), vec![Fact::new("column `amount`", amount)]);
    Feed {
        rows: vec![Fact::new("rows where", rows)],
        rows_read: Vec::new(),
        columns: [column].into(),
    }
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Each change of a step and what is told of it; nothing where state goes on.
fn assert_told(base: &Shape, changes: Vec<(&str, Shape, &[&str])>) {
    assert_eq!(decide_evolution(base, base), Evolution::Same);
    for (name, changed, expected) in changes {
        let told = match decide_evolution(base, &changed) {
            Evolution::Refused(differences) => {
                differences.iter().map(ToString::to_string).collect()
            }
            Evolution::TakenWith(_) | Evolution::Same => Vec::new(),
        };
        assert_eq!(told, expected, "{name}");
    }
}

fn windows(change: impl Fn(&mut WindowsSpec), input: &SchemaRef, feed: Feed) -> Shape {
    let of = |name: &str, function, column: &str| AggregateSpec {
        name: name.into(),
        function,
        column: Some(column.into()),
    };
    let kind = |label: &str, minutes: i64| WindowKind {
        label: label.into(),
        extent: Extent::Steps { step: Every::Micros(minutes * 60_000_000), count: 1 },
    };
    let mut spec = WindowsSpec {
        step_id: "it".into(),
        by: texts(&["k"]),
        aggregates: vec![
            of("a", AggregateFunction::Sum, "amount"),
            of("m", AggregateFunction::Max, "booked"),
        ],
        windows: vec![kind("10m", 10), kind("1h", 60)],
        publish: Publish::Changes,
        keep: 0,
        event_time: "at".into(),
    };
    change(&mut spec);
    WindowsOperator::new(spec, input).unwrap().fed_by(feed).shape().unwrap()
}

#[test]
fn of_an_aggregate_step() {
    let plain = input(money(), &[]);
    let fed = || feed("n > 0", "x");
    let base = windows(|_| {}, &plain, fed());
    let changed = |change: fn(&mut WindowsSpec)| windows(change, &plain, fed());
    let unfed = windows(|_| {}, &plain, Feed::default());
    let scaled = windows(|_| {}, &input(DataType::Decimal128(14, 4), &[]), Feed::default());
    assert_told(
        &unfed,
        vec![("scale", scaled, &["column `amount`: was Decimal128(12, 2), is Decimal128(14, 4)"])],
    );
    let always = |s: &mut WindowsSpec| {
        s.windows[1] =
            WindowKind { label: "all".into(), extent: Extent::Always { step: Every::Months(1) } }
    };
    let fewer = windows(
        |s| {
            always(s);
            s.aggregates.truncate(1);
        },
        &plain,
        fed(),
    );
    assert_told(
        &fewer,
        vec![(
            "beside all of time",
            windows(always, &plain, fed()),
            &["aggregate `m`: is max(booked), was not there"],
        )],
    );
    let wider =
        windows(|_| {}, &input(money(), &[Field::new("more", DataType::Int64, true)]), fed());
    assert_told(
        &base,
        vec![
            ("key", changed(|s| s.by = texts(&["g"])), &["by: was k Utf8, is g Utf8"]),
            (
                "keys",
                changed(|s| s.by = texts(&["k", "g"])),
                &["by: was k Utf8, is k Utf8, g Utf8"],
            ),
            (
                "event time",
                changed(|s| s.event_time = "booked".into()),
                &["event time: was at, is booked"],
            ),
            (
                "function",
                changed(|s| s.aggregates[0].function = AggregateFunction::Mean),
                &["aggregate `a`: was sum(amount), is avg(amount)"],
            ),
            (
                "column",
                changed(|s| s.aggregates[1].column = Some("at".into())),
                &["aggregate `m`: was max(booked), is max(at)"],
            ),
            ("order", changed(|s| s.aggregates.reverse()), &[]),
            ("windows' order", changed(|s| s.windows.reverse()), &[]),
            ("renamed", changed(|s| s.aggregates[0].name = "b".into()), &[]),
            ("left out", changed(|s| s.aggregates.truncate(1)), &[]),
            ("fewer windows", changed(|s| s.windows.truncate(1)), &[]),
            ("keep", changed(|s| s.keep = 1), &[]),
            ("results", changed(|s| s.publish = Publish::Final), &[]),
            ("a column beside", wider, &[]),
            (
                "filter",
                windows(|_| {}, &plain, feed("n > 1", "x")),
                &["rows where: was n > 0, is n > 1"],
            ),
            (
                "expression",
                windows(|_| {}, &plain, feed("n > 0", "y")),
                &["column `amount`: was x, is y"],
            ),
            (
                "from the beginning of time",
                changed(|s| {
                    s.windows[1] = WindowKind {
                        label: "all".into(),
                        extent: Extent::Always { step: Every::Months(1) },
                    }
                }),
                // It says from when on it counts.
                &[],
            ),
        ],
    );
}

#[test]
fn of_a_changelog_step() {
    let make = |change: fn(&mut ChangelogSpec), amount: DataType, feed: Feed| {
        let mut spec = ChangelogSpec {
            step_id: "it".into(),
            key: texts(&["k"]),
            columns: texts(&["amount", "g"]),
            deleted: Some("amount < 0".into()),
            ever: vec![("big".into(), "amount > 100".into())],
            keep: 0,
            event_time: "at".into(),
            ties: Vec::new(),
            memory_bytes: 1 << 20,
        };
        change(&mut spec);
        ChangelogOperator::new(spec, &input(amount, &[]), nowhere())
            .unwrap()
            .fed_by(feed)
            .shape()
            .unwrap()
    };
    let fed = || feed("n > 0", "x");
    let base = make(|_| {}, money(), fed());
    let changed = |change| make(change, money(), fed());
    assert_told(
        &base,
        vec![
            ("columns' order", changed(|s| s.columns.reverse()), &[]),
            ("keep", changed(|s| s.keep = 1), &[]),
            (
                "deleted",
                changed(|s| s.deleted = Some("amount < 1".into())),
                &["deleted: was amount < 0, is amount < 1"],
            ),
            (
                "ever",
                changed(|s| s.ever[0].1 = "amount > 99".into()),
                &["ever: was big = amount > 100, is big = amount > 99"],
            ),
            (
                "ties",
                changed(|s| s.ties = texts(&["g"])),
                &["order of versions: was at Timestamp(µs, \"UTC\"), _source_partition UInt32, \
                   _source_offset Int64, is at Timestamp(µs, \"UTC\"), g Utf8, _source_partition \
                   UInt32, _source_offset Int64"],
            ),
            (
                "filter",
                make(|_| {}, money(), feed("n > 1", "x")),
                &["rows where: was n > 0, is n > 1"],
            ),
            (
                "expression",
                make(|_| {}, money(), feed("n > 0", "y")),
                &["column `amount`: was x, is y"],
            ),
        ],
    );
    for (name, changed) in [
        ("key", changed(|s| s.key = texts(&["g"]))),
        ("columns", changed(|s| s.columns = texts(&["amount"]))),
        ("event time", changed(|s| s.event_time = "booked".into())),
        ("scale", make(|_| {}, DataType::Decimal128(12, 3), fed())),
    ] {
        assert!(matches!(decide_evolution(&base, &changed), Evolution::Refused(_)), "{name}");
    }
}

#[test]
fn of_a_step_over_captured_changes() {
    let make = |change: fn(&mut CapturedSpec), feed: Feed| {
        let mut spec = CapturedSpec {
            step_id: "it".into(),
            key: texts(&["k"]),
            columns: texts(&["amount", "g"]),
            previous: vec![("was".into(), "amount".into())],
            ever: vec![("big".into(), "amount > 100".into())],
            event_time: "at".into(),
            memory_bytes: 1 << 20,
        };
        change(&mut spec);
        CapturedOperator::new(spec, &input(money(), &change_fields()), nowhere())
            .unwrap()
            .fed_by(feed)
            .shape()
            .unwrap()
    };
    let fed = || feed("n > 0", "x");
    let base = make(|_| {}, fed());
    let changed = |change| make(change, fed());
    assert_told(
        &base,
        vec![
            ("order", changed(|s| s.columns.reverse()), &[]),
            (
                "ever",
                changed(|s| s.ever[0].1 = "amount > 99".into()),
                &["ever: was big = amount > 100, is big = amount > 99"],
            ),
            ("expression", make(|_| {}, feed("n > 0", "y")), &["column `amount`: was x, is y"]),
        ],
    );
    for (name, changed) in [
        ("key", changed(|s| s.key = texts(&["g"]))),
        ("columns", changed(|s| s.columns = texts(&["amount"]))),
        ("previous", changed(|s| s.previous[0].1 = "g".into())),
        ("event time", changed(|s| s.event_time = "booked".into())),
    ] {
        assert!(matches!(decide_evolution(&base, &changed), Evolution::Refused(_)), "{name}");
    }
}

#[test]
fn of_previous_and_sample_steps() {
    let previous = |change: fn(&mut PreviousSpec), amount: DataType, feed: Feed| {
        let mut spec = PreviousSpec {
            step_id: "it".into(),
            by: texts(&["k"]),
            columns: vec![("was".into(), "amount".into())],
            keep: 0,
            event_time: "at".into(),
            ties: Vec::new(),
            memory_bytes: 1 << 20,
        };
        change(&mut spec);
        PreviousOperator::new(spec, &input(amount, &[]), nowhere())
            .unwrap()
            .fed_by(feed)
            .shape()
            .unwrap()
    };
    let sample = |change: fn(&mut SampleSpec), amount: DataType, feed: Feed| {
        let mut spec = SampleSpec {
            step_id: "it".into(),
            by: texts(&["k"]),
            every: Every::Months(1),
            event_time: "at".into(),
            memory_bytes: 1 << 20,
        };
        change(&mut spec);
        let input = input(amount, &[Field::new("_diff", DataType::Int64, false)]);
        SampleOperator::new(spec, &input, nowhere()).unwrap().fed_by(feed).shape().unwrap()
    };
    let fed = || feed("n > 0", "x");
    let refused = |base: &Shape, changed: Vec<(&str, Shape)>| {
        for (name, changed) in changed {
            assert!(matches!(decide_evolution(base, &changed), Evolution::Refused(_)), "{name}");
        }
    };
    let base = previous(|_| {}, money(), fed());
    assert_eq!(decide_evolution(&base, &previous(|s| s.keep = 1, money(), fed())), Evolution::Same);
    refused(
        &base,
        vec![
            ("by", previous(|s| s.by = texts(&["g"]), money(), fed())),
            ("columns", previous(|s| s.columns[0].1 = "g".into(), money(), fed())),
            ("event time", previous(|s| s.event_time = "booked".into(), money(), fed())),
            ("ties", previous(|s| s.ties = texts(&["g"]), money(), fed())),
            ("scale", previous(|_| {}, DataType::Decimal128(12, 3), fed())),
            ("filter", previous(|_| {}, money(), feed("n > 1", "x"))),
            ("expression", previous(|_| {}, money(), feed("n > 0", "y"))),
        ],
    );
    let base = sample(|_| {}, money(), fed());
    assert_eq!(
        decide_evolution(&base, &sample(|s| s.memory_bytes = 1 << 21, money(), fed())),
        Evolution::Same
    );
    refused(
        &base,
        vec![
            ("by", sample(|s| s.by = texts(&["g"]), money(), fed())),
            ("every", sample(|s| s.every = Every::Micros(86_400_000_000), money(), fed())),
            ("event time", sample(|s| s.event_time = "booked".into(), money(), fed())),
            ("scale", sample(|_| {}, DataType::Decimal128(12, 3), fed())),
            ("filter", sample(|_| {}, money(), feed("n > 1", "x"))),
            ("expression", sample(|_| {}, money(), feed("n > 0", "y"))),
        ],
    );
}

#[test]
fn of_a_shares_step() {
    let make = |change: fn(&mut SharesSpec), amount: DataType, feed: Feed| {
        let windows = vec![
            Field::new("window", DataType::Utf8, false),
            time("window_start").with_nullable(true),
            time("window_end"),
            Field::new("revision", DataType::Int64, false),
            Field::new("is_final", DataType::Boolean, false),
            time("complete_through").with_nullable(true),
        ];
        let share = ShareSpec {
            name: "part".into(),
            function: ShareFunction::Share,
            column: "amount".into(),
        };
        let mut spec = SharesSpec {
            step_id: "it".into(),
            shares: vec![share],
            of: texts(&["g"]),
            by: texts(&["k", "g"]),
            keep: 0,
        };
        change(&mut spec);
        SharesOperator::new(spec, &input(amount, &windows)).unwrap().fed_by(feed).shape().unwrap()
    };
    let fed = || feed("n > 0", "x");
    let base = make(|_| {}, money(), fed());
    assert_told(
        &base,
        vec![
            ("of", make(|s| s.of = texts(&["k"]), money(), fed()), &["of: was g, is k"]),
            ("by", make(|s| s.by = texts(&["k"]), money(), fed()), &["by: was k, g, is k"]),
            (
                "what is shown",
                make(|s| s.shares[0].function = ShareFunction::Total, money(), fed()),
                &[],
            ),
            (
                "filter",
                make(|_| {}, money(), feed("n > 1", "x")),
                &["rows where: was n > 0, is n > 1"],
            ),
            (
                "expression",
                make(|_| {}, money(), feed("n > 0", "y")),
                &["column `amount`: was x, is y"],
            ),
        ],
    );
    assert!(matches!(
        decide_evolution(&base, &make(|_| {}, DataType::Decimal128(12, 3), fed())),
        Evolution::Refused(_)
    ));
}
