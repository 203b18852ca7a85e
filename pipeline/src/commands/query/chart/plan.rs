//! What is drawn of collected values, and on which scales.

use super::data::{Along, Collector, Data};
use super::kind::ChartKind;
use super::no_chart::NoChart;
use super::scale::{Scale, extent, of_numbers, within_numbers};
use super::times::{of_times, span};

/// Bars that are drawn; more can't be told apart.
const BARS_MAX: usize = 200;
/// Lines that are drawn, likewise.
const SERIES_MAX: usize = 12;

/// What is drawn.
#[derive(Debug)]
pub(in crate::commands::query) enum Drawn {
    /// A bar for each value.
    Bars(Bars),
    /// Lines.
    Lines(Lines),
}

impl Drawn {
    /// What a reader has to know of it.
    pub(in crate::commands::query) fn notes(&self) -> &[String] {
        match self {
            Self::Bars(bars) => &bars.notes,
            Self::Lines(lines) => &lines.notes,
        }
    }
}

/// Bars, those of one row beside each other.
#[derive(Debug)]
pub(in crate::commands::query) struct Bars {
    /// The column that they are of.
    pub(super) name: String,
    pub(super) labels: Vec<String>,
    pub(super) series: Vec<BarSeries>,
    /// The least and the greatest value, 0 among them.
    pub(super) extent: (f64, f64),
    notes: Vec<String>,
}

/// The bars of one column.
#[derive(Debug)]
pub(super) struct BarSeries {
    pub(super) name: String,
    /// Each with its exact text.
    pub(super) values: Vec<(Option<f64>, String)>,
}

/// Lines over an axis.
#[derive(Debug)]
pub(in crate::commands::query) struct Lines {
    /// What the axis is, and from when to when times are.
    pub(super) name: String,
    along: Along,
    x: (f64, f64),
    y: (f64, f64),
    pub(super) series: Vec<LineSeries>,
    notes: Vec<String>,
}

/// A line, in parts where a value is missing.
#[derive(Debug)]
pub(super) struct LineSeries {
    pub(super) name: String,
    pub(super) parts: Vec<Vec<(f64, f64)>>,
}

impl Lines {
    /// The scale along the axis, with about so many marks.
    pub(super) fn x_scale(&self, ticks: usize) -> Scale {
        match self.along {
            Along::Times(clock) => of_times(self.x.0, self.x.1, ticks, clock),
            Along::Numbers | Along::Texts => within_numbers(self.x.0, self.x.1, ticks),
        }
    }

    /// The scale of the values, likewise.
    pub(super) fn y_scale(&self, ticks: usize) -> Scale {
        of_numbers(self.y.0, self.y.1, ticks)
    }
}

/// Decides what is drawn.
///
/// # Errors
/// The values can't be drawn so: what could be.
pub(in crate::commands::query) fn plan(
    collector: Collector,
    kind: ChartKind,
) -> Result<Drawn, NoChart> {
    let data = collector.finish()?;
    if data.series.len() > SERIES_MAX {
        let message = format!("{} columns of numbers are too many", data.series.len());
        return Err(NoChart::new(message, format!("select at most {SERIES_MAX}")));
    }
    match (kind, data.along) {
        (ChartKind::Line, Along::Texts) => {
            let message =
                format!("a line needs times or numbers in its first column, not `{}`", data.name);
            Err(NoChart::new(message, "draw bars, or select a time or a number first"))
        }
        (ChartKind::Bar, _) | (ChartKind::Auto, Along::Texts) => bars(data).map(Drawn::Bars),
        (ChartKind::Line | ChartKind::Auto, Along::Numbers | Along::Times(_)) => {
            lines(data).map(Drawn::Lines)
        }
    }
}

fn bars(data: Data) -> Result<Bars, NoChart> {
    let Data { name, labels, series, mut notes, .. } = data;
    if labels.len() > BARS_MAX {
        let message = format!("{} rows are too many bars", labels.len());
        let help =
            format!("group or limit them to {BARS_MAX}, or draw a line over times or numbers");
        return Err(NoChart::new(message, help));
    }
    let values = series.iter().flat_map(|series| series.values.iter().flatten().copied());
    let extent = extent(values.chain([0.0])).ok_or_else(too_far)?;
    let missing = series.iter().flat_map(|series| &series.values).filter(|value| value.is_none());
    note_missing(missing.count(), &mut notes);
    let series = series.into_iter().map(|series| BarSeries {
        name: series.name,
        values: series.values.into_iter().zip(series.texts).collect(),
    });
    Ok(Bars { name, labels, series: series.collect(), extent, notes })
}

fn lines(data: Data) -> Result<Lines, NoChart> {
    let Data { name, along, places, series, mut notes, .. } = data;
    let without = places.iter().filter(|place| place.is_none()).count();
    if without > 0 {
        notes.push(format!("rows without a place on the axis of `{name}`, not drawn: {without}"));
    }
    let mut order: Vec<(f64, usize)> =
        places.iter().enumerate().filter_map(|(row, place)| Some(((*place)?, row))).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut drawn, mut missing) = (Vec::new(), 0);
    for series in series {
        let mut parts = vec![Vec::new()];
        for (x, row) in &order {
            match series.values.get(*row).copied().flatten() {
                Some(y) => {
                    if let Some(part) = parts.last_mut() {
                        part.push((*x, y));
                    }
                }
                None => {
                    missing += 1;
                    parts.push(Vec::new());
                }
            }
        }
        parts.retain(|part| !part.is_empty());
        drawn.push(LineSeries { name: series.name, parts });
    }
    note_missing(missing, &mut notes);
    let points = || drawn.iter().flat_map(|series| series.parts.iter().flatten());
    let (Some(x), Some(y)) =
        (extent(points().map(|point| point.0)), extent(points().map(|point| point.1)))
    else {
        return Err(too_far());
    };
    let name = match along {
        Along::Times(clock) => match span(x.0, x.1, clock) {
            Some(span) => format!("{name}: {span}"),
            None => name,
        },
        Along::Numbers | Along::Texts => name,
    };
    Ok(Lines { name, along, x, y, series: drawn, notes })
}

fn note_missing(values: usize, notes: &mut Vec<String>) {
    if values > 0 {
        notes.push(format!("values that are missing or infinite, not drawn: {values}"));
    }
}

fn too_far() -> NoChart {
    NoChart::new(
        "no value can be drawn, or they are too far apart for a scale",
        "select finite numbers",
    )
}
