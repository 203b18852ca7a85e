//! `kind = "generator"`.

use std::time::Duration;

use chrono::{Datelike, NaiveDate};

use crate::config::defaults;
use crate::config::document::Value;
use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::span::{Span, Spanned};
use crate::config::spec::{
    EventTime, GeneratorSource, Loans, Payments, Rate, Simulation, SimulationKind, TimeFormat,
};

/// Customers and terminals at most: their ids are 31 bits wide where 32-bit ids are asked for.
const SIMULATED_MAX: u64 = i32::MAX as u64;
/// Smallest `radius`: the distance within which a customer uses terminals, on a map of 100 by 100.
const RADIUS_MIN: f64 = 0.01;
/// A century of simulated days, or months.
const DAYS_MAX: u64 = 36_525;
const MONTHS_MAX: u64 = 1_200;
/// Lenders at most: each has a minute of the night for its changes.
const LENDERS_MAX: u64 = 180;

/// `None` when `of` is wrong; without `of`, payments are simulated.
pub(super) fn generator(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<GeneratorSource> {
    let is_said = table.get("of").is_some();
    let kind = match table.keyword::<SimulationKind>("of", problems) {
        Some(kind) => kind.value,
        None if is_said => return None,
        None => SimulationKind::Payments,
    };
    let integer = |table: &mut Table<'_>, key, max, default: u64, problems: &mut Vec<Problem>| {
        table.integer(key, 1, max, problems).map_or(default, |value| value.value)
    };
    let seed = table
        .integer("seed", 0, u64::MAX, problems)
        .map_or(defaults::GENERATOR_SEED, |seed| seed.value);
    let (of, start) = match kind {
        SimulationKind::Payments => {
            let payments = Payments {
                customers: integer(
                    table,
                    "customers",
                    SIMULATED_MAX,
                    defaults::GENERATOR_CUSTOMERS,
                    problems,
                ),
                terminals: integer(
                    table,
                    "terminals",
                    SIMULATED_MAX,
                    defaults::GENERATOR_TERMINALS,
                    problems,
                ),
                radius: table
                    .number("radius", RADIUS_MIN, 150.0, problems)
                    .map_or(defaults::GENERATOR_RADIUS, |radius| radius.value),
                days: integer(
                    table,
                    "days",
                    DAYS_MAX,
                    u64::from(defaults::GENERATOR_DAYS),
                    problems,
                ) as u32,
            };
            (Simulation::Payments(payments), start(table, defaults::GENERATOR_START, problems))
        }
        SimulationKind::Loans => {
            let loans = Loans {
                loans: integer(table, "loans", SIMULATED_MAX, defaults::GENERATOR_LOANS, problems),
                lenders: integer(
                    table,
                    "lenders",
                    LENDERS_MAX,
                    u64::from(defaults::GENERATOR_LENDERS),
                    problems,
                ) as u32,
                months: integer(
                    table,
                    "months",
                    MONTHS_MAX,
                    u64::from(defaults::GENERATOR_MONTHS),
                    problems,
                ) as u32,
            };
            let first = start(table, defaults::GENERATOR_LOANS_START, problems);
            if let Some(entry) = table.get("start")
                && first.day() != 1
            {
                let month = first.format("%Y-%m-01");
                problems.push(
                    Problem::new(
                        entry.node.span,
                        "the `start` of a loan book isn't the first of a month",
                    )
                    .help(format!("such as start = {month}")),
                );
            }
            (Simulation::Loans(loans), first)
        }
    };
    Some(GeneratorSource {
        of,
        seed,
        start,
        rate: rate(table, problems),
        rows: table.integer("rows", 1, u64::MAX, problems).map(|rows| rows.value),
        broken_share: table
            .number("broken_share", 0.0, 1.0, problems)
            .map_or(defaults::GENERATOR_BROKEN_SHARE, |share| share.value),
    })
}

fn start(
    table: &mut Table<'_>,
    (year, month, day): (i32, u32, u32),
    problems: &mut Vec<Problem>,
) -> NaiveDate {
    let default = NaiveDate::from_ymd_opt(year, month, day).unwrap_or(NaiveDate::MIN);
    let Some(entry) = table.get("start") else { return default };
    let parsed = match &entry.node.value {
        Value::String { text, .. } | Value::Datetime(text) => text.parse::<NaiveDate>().ok(),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Array(_)
        | Value::Table(_) => None,
    };
    // Years that Parquet readers and dates in text agree on.
    let (first, last) = (NaiveDate::from_ymd_opt(1970, 1, 1), NaiveDate::from_ymd_opt(2200, 1, 1));
    match parsed.filter(|date| Some(*date) >= first && Some(*date) < last) {
        Some(date) => date,
        None => {
            problems.push(
                Problem::new(entry.node.span, "`start` isn't a day from 1970 to 2199")
                    .help("such as start = 2018-04-01"),
            );
            default
        }
    }
}

fn rate(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Rate {
    let Some(entry) = table.get("rate") else { return Rate::Max };
    let rate = match &entry.node.value {
        Value::String { text, .. } if text == "max" => return Rate::Max,
        Value::Integer(rate) => *rate as f64,
        Value::Float(rate) => *rate,
        Value::String { .. }
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => f64::NAN,
    };
    if rate > 0.0 && rate.is_finite() {
        return Rate::PerSecond(rate);
    }
    problems.push(
        Problem::new(entry.node.span, "`rate` isn't a number of rows per second")
            .help("such as rate = 20000, or rate = \"max\""),
    );
    Rate::Max
}

/// The event time of simulated payments.
pub(super) fn event_time(span: Span) -> EventTime {
    EventTime {
        column: Spanned::new(defaults::GENERATOR_EVENT_TIME.into(), span),
        parts: Vec::new(),
        zone: None,
        format: TimeFormat::Auto,
        // The generator emits in event-time order.
        out_of_orderness: Duration::ZERO,
        ties_by: vec![Spanned::new(defaults::GENERATOR_TIES_BY.into(), span)],
        idle_after: defaults::IDLE_AFTER,
        skew_max: defaults::SKEW_MAX,
        when_quiet: defaults::WHEN_QUIET,
        future_skew_max: defaults::FUTURE_SKEW_MAX,
    }
}
