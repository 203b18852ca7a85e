//! Scales of times: marks at whole hours, days and months.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

use super::data::Clock;
use super::scale::{Scale, Tick, within_numbers};

const SECOND: f64 = 1e6;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;
/// Steps of always the same length, in microseconds.
const STEPS: [f64; 22] = [
    SECOND,
    2.0 * SECOND,
    5.0 * SECOND,
    10.0 * SECOND,
    15.0 * SECOND,
    30.0 * SECOND,
    MINUTE,
    2.0 * MINUTE,
    5.0 * MINUTE,
    10.0 * MINUTE,
    15.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    4.0 * DAY,
    7.0 * DAY,
    14.0 * DAY,
];
/// Steps in months.
const MONTHS: [i32; 10] = [1, 2, 3, 6, 12, 24, 60, 120, 600, 1200];
/// The length of a month, about.
const MONTH: f64 = 30.44 * DAY;

/// How far apart the marks are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// Less than a second, in microseconds.
    Parts(f64),
    /// In microseconds.
    Fixed(f64),
    /// In months.
    Months(i32),
}

/// A scale that ends where the times do, with at most about so many marks.
pub(super) fn of_times(low: f64, high: f64, ticks: usize, clock: Clock) -> Scale {
    let (low, high) = if low < high { (low, high) } else { (low - HOUR, high + HOUR) };
    let step = step((high - low) / ticks.max(1) as f64, clock);
    let marks: Vec<f64> = match step {
        Step::Parts(_) => within_numbers(low, high, ticks).ticks.iter().map(|t| t.at).collect(),
        Step::Fixed(step) => {
            let first = (low / step).ceil();
            let count = ((high / step).floor() - first).max(-1.0) as i64 + 1;
            (0..count).map(|number| (first + number as f64) * step).collect()
        }
        Step::Months(months) => firsts_of_months(low, high, months),
    };
    let within = Within { same_day: day(low) == day(high), same_year: year(low) == year(high) };
    let ticks = marks.into_iter().map(|at| Tick { at, label: label(at, step, within, clock) });
    Scale { low, high, ticks: ticks.collect() }
}

/// From when to when times are, for those who see marks alone.
pub(super) fn span(low: f64, high: f64, clock: Clock) -> Option<String> {
    let shown = |micros: f64| {
        let text = at(micros)?.format("%Y-%m-%d %H:%M:%S").to_string();
        Some(text.strip_suffix(" 00:00:00").map_or(text.clone(), str::to_owned))
    };
    let zone = match clock {
        Clock::Instants => " UTC",
        Clock::Local => "",
        Clock::OfDay => return None,
    };
    Some(format!("{} to {}{zone}", shown(low)?, shown(high)?))
}

fn step(at_least: f64, clock: Clock) -> Step {
    if at_least < SECOND / 2.0 {
        return Step::Parts(at_least);
    }
    if let Some(step) = STEPS.into_iter().find(|step| *step >= at_least) {
        return Step::Fixed(step);
    }
    if clock == Clock::OfDay {
        return Step::Fixed(DAY.max(at_least));
    }
    let months = MONTHS.into_iter().find(|months| f64::from(*months) * MONTH >= at_least);
    Step::Months(months.unwrap_or(12_000))
}

fn at(micros: f64) -> Option<NaiveDateTime> {
    // Beyond the calendar the cast stops at the end of its type, where there is no date.
    DateTime::from_timestamp_micros(micros.round() as i64).map(|instant| instant.naive_utc())
}

fn day(micros: f64) -> Option<NaiveDate> {
    at(micros).map(|at| at.date())
}

fn year(micros: f64) -> Option<i32> {
    at(micros).map(|at| at.year())
}

/// The first days of months, each so many after the other.
fn firsts_of_months(low: f64, high: f64, step: i32) -> Vec<f64> {
    let Some(first) = day(low) else { return Vec::new() };
    let months = first.year() * 12 + i32::try_from(first.month0()).unwrap_or(0);
    let mut month = months.div_euclid(step) * step;
    let mut marks = Vec::new();
    loop {
        let of_year = u32::try_from(month.rem_euclid(12)).unwrap_or(0) + 1;
        let Some(date) = NaiveDate::from_ymd_opt(month.div_euclid(12), of_year, 1) else { break };
        let Some(start) = date.and_hms_opt(0, 0, 0) else { break };
        let micros = start.and_utc().timestamp_micros() as f64;
        if micros > high {
            break;
        }
        if micros >= low {
            marks.push(micros);
        }
        month += step;
    }
    marks
}

/// What all of a scale's times have in common, and labels need not say.
#[derive(Debug, Clone, Copy)]
struct Within {
    same_day: bool,
    same_year: bool,
}

fn label(micros: f64, step: Step, within: Within, clock: Clock) -> String {
    let date = match (clock, within) {
        (Clock::OfDay, _) | (_, Within { same_day: true, .. }) => "",
        (_, Within { same_year: true, .. }) => "%m-%d ",
        (Clock::Instants | Clock::Local, _) => "%Y-%m-%d ",
    };
    let format = match step {
        Step::Parts(step) if step < 1e3 => "%H:%M:%S%.6f".to_owned(),
        Step::Parts(_) => "%H:%M:%S%.3f".to_owned(),
        Step::Fixed(step) if step < MINUTE => "%H:%M:%S".to_owned(),
        Step::Fixed(step) if step < DAY => format!("{date}%H:%M"),
        Step::Fixed(_) if within.same_year => "%m-%d".to_owned(),
        Step::Fixed(_) => "%Y-%m-%d".to_owned(),
        Step::Months(months) if months < 12 => "%Y-%m".to_owned(),
        Step::Months(_) => "%Y".to_owned(),
    };
    at(micros).map(|at| at.format(&format).to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> f64 {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect(text);
        time.and_utc().timestamp_micros() as f64
    }

    #[test]
    fn marks_are_at_whole_times_within_the_scale() {
        for (low, high, ticks, expected) in [
            (
                "2018-04-01 00:00:00",
                "2018-04-20 18:00:00",
                5,
                vec!["04-03", "04-07", "04-11", "04-15", "04-19"],
            ),
            (
                "2018-04-01 07:10:00",
                "2018-04-01 12:20:00",
                6,
                vec!["08:00", "09:00", "10:00", "11:00", "12:00"],
            ),
            ("2018-04-01 22:10:00", "2018-04-02 02:20:00", 3, vec!["04-02 00:00", "04-02 02:00"]),
            ("2018-04-01 22:10:05", "2018-04-01 22:10:38", 3, vec!["22:10:15", "22:10:30"]),
            (
                "2018-11-15 00:00:00",
                "2019-03-02 00:00:00",
                5,
                vec!["2018-12", "2019-01", "2019-02", "2019-03"],
            ),
            ("2017-11-15 00:00:00", "2021-03-02 00:00:00", 4, vec!["2018", "2019", "2020", "2021"]),
        ] {
            let scale = of_times(micros(low), micros(high), ticks, Clock::Instants);
            let labels: Vec<&str> = scale.ticks.iter().map(|t| t.label.as_str()).collect();
            assert_eq!(labels, expected, "{low} to {high}");
            assert!(scale.ticks.iter().all(|t| (scale.low..=scale.high).contains(&t.at)));
        }
    }

    #[test]
    fn times_of_no_calendar_and_single_times_have_a_scale() {
        for (low, high) in [(0.0, 0.0), (-9e18, 9e18), (1e30, 1e31), (0.0, 1.0), (0.0, 1e5)] {
            for clock in [Clock::Instants, Clock::Local, Clock::OfDay] {
                let scale = of_times(low, high, 5, clock);
                assert!(scale.low < scale.high && scale.ticks.len() < 30, "{scale:?}");
                let _said = span(low, high, clock);
            }
        }
    }

    #[test]
    fn a_span_says_what_labels_leave_out() {
        let (low, high) = (micros("2018-04-01 00:00:00"), micros("2018-04-20 18:00:00"));
        assert_eq!(
            span(low, high, Clock::Instants).as_deref(),
            Some("2018-04-01 to 2018-04-20 18:00:00 UTC")
        );
        assert_eq!(span(low, high, Clock::OfDay), None);
    }
}
