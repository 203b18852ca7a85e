//! Small charts of the last hour, for `status` and `top`.

use super::samples::{LastHour, Sample, bars};
use crate::progress::grouped;

/// Columns of a chart: one a minute.
pub const COLUMNS: usize = 60;

/// A chart: a line of bars, with what its ends mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// What is drawn.
    pub name: &'static str,
    /// [`COLUMNS`] bars, the oldest first.
    pub bars: String,
    /// The newest value.
    pub last: String,
    /// The largest value.
    pub most: String,
}

impl Chart {
    /// As a line of text.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { name, bars, last, most } = self;
        format!("{name:<7}{bars}  last {last}, at most {most}")
    }
}

/// Rows per second and the lag of the watermark in the hour that ends at `now`, seconds since 1970.
/// None of which there is no sample.
#[must_use]
pub fn charts(hour: &LastHour, now: i64) -> Vec<Chart> {
    let rows = |sample: &Sample| Some(sample.rows_per_second);
    [
        chart("rows/s", hour, now, rows, |rows| grouped(rows.round() as u64)),
        chart("lag", hour, now, |sample| sample.lag_seconds, shown_lag),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn chart(
    name: &'static str,
    hour: &LastHour,
    now: i64,
    value: fn(&Sample) -> Option<f64>,
    text: fn(f64) -> String,
) -> Option<Chart> {
    let newest = hour.samples.back()?;
    let most = hour.samples.iter().filter_map(value).reduce(f64::max)?;
    Some(Chart {
        name,
        bars: bars(&hour.means(now, COLUMNS, value)),
        last: value(newest).map_or_else(|| "-".to_owned(), text),
        most: text(most),
    })
}

/// A lag for people: of a live stream seconds, of a backfill days.
#[must_use]
pub fn shown_lag(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    match seconds {
        s if s < 2.0 * MINUTE => format!("{s:.1} s"),
        s if s < 2.0 * HOUR => format!("{:.0} min", s / MINUTE),
        s if s < 2.0 * DAY => format!("{:.0} h", s / HOUR),
        s => format!("{} days", grouped((s / DAY).round() as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_the_hour_in_bars_and_its_newest_and_largest_value() {
        let mut hour = LastHour::default();
        assert_eq!(charts(&hour, 0), []);
        for (at, rows_per_second) in [(3_500, 1_000.0), (3_590, 1_500.4)] {
            hour.push(Sample { at, rows_per_second, lag_seconds: None });
        }
        let [rows] = &charts(&hour, 3_600)[..] else { panic!("{:?}", charts(&hour, 3_600)) };
        let line = format!("rows/s {}▆█  last 1,500, at most 1,500", " ".repeat(58));
        assert_eq!(rows.line(), line);
    }

    #[test]
    fn a_lag_is_shown_in_the_unit_that_suits_it() {
        for (seconds, shown) in [
            (0.04, "0.0 s"),
            (119.0, "119.0 s"),
            (150.0, "2 min"),
            (7_300.0, "2 h"),
            (270_000_000.0, "3,125 days"),
        ] {
            assert_eq!(shown_lag(seconds), shown, "{seconds}");
        }
    }
}
