//! Charts as SVG.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::no_chart::NoChart;
use super::plan::{Bars, Drawn, Lines};
use super::scale::{Scale, of_numbers};

/// Pixels.
const WIDTH: u32 = 900;
const LINES_HEIGHT: u32 = 480;
const BAR_HEIGHT: u32 = 22;
/// Around bars: the axis and its name below.
const BARS_AROUND: u32 = 110;
const MARGIN: u32 = 12;
const LABEL_AREA: u32 = 48;
const FONT: (&str, u32) = ("sans-serif", 14);
/// About what a character takes, and at most so many of a label.
const CHARACTER: usize = 8;
/// What a color takes in the legend, and a line of names.
const SWATCH: i32 = 22;
const LEGEND_LINE: i32 = 20;
const LABEL_CHARACTERS_MAX: usize = 40;
const TICKS: usize = 8;
/// Colors that are told apart by those who don't see all (Okabe and Ito).
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(80, 80, 80),
];
const GRID: RGBColor = RGBColor(222, 222, 222);

/// Draws what a terminal would show.
///
/// # Errors
/// The library can't draw it.
pub(in crate::commands::query) fn picture(drawn: &Drawn) -> Result<String, NoChart> {
    let mut svg = String::new();
    let done = match drawn {
        Drawn::Bars(bars) => draw_bars(bars, &mut svg),
        Drawn::Lines(lines) => draw_lines(lines, &mut svg),
    };
    match done {
        Ok(()) => Ok(svg),
        Err(error) => Err(NoChart::new(format!("it can't be drawn: {error}"), "draw less of it")),
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn color(series: usize) -> RGBColor {
    COLORS[series % COLORS.len()]
}

/// An axis whose marks we decide.
struct Axis {
    numbers: RangedCoordf64,
    marks: Vec<f64>,
}

impl Axis {
    fn of(scale: &Scale) -> Self {
        let marks = scale.ticks.iter().map(|tick| tick.at).collect();
        Self { numbers: (scale.low..scale.high).into(), marks }
    }
}

impl Ranged for Axis {
    // What its labels are is said by whoever draws them.
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.numbers.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // There are no finer lines between the marks.
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.numbers.range()
    }
}

/// The room that labels take.
fn room<'a>(labels: impl Iterator<Item = &'a str>) -> u32 {
    let longest = labels.map(|label| label.chars().count()).max().unwrap_or(0);
    u32::try_from((longest.min(LABEL_CHARACTERS_MAX) + 3) * CHARACTER).unwrap_or(LABEL_AREA)
}

/// Which color is which series: above the chart, where it covers nothing.
struct Legend {
    /// The names, each with its place.
    names: Vec<(String, (i32, i32))>,
    height: u32,
}

impl Legend {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let (left, right) = (bounded(MARGIN), bounded(WIDTH - MARGIN));
        let (mut x, mut y) = (left, bounded(MARGIN) / 2);
        let mut placed = Vec::new();
        for name in names {
            let name: String = name.chars().take(LABEL_CHARACTERS_MAX).collect();
            let width = SWATCH + bounded(name.chars().count() * CHARACTER) + bounded(MARGIN);
            if x > left && x + width > right {
                (x, y) = (left, y + LEGEND_LINE);
            }
            placed.push((name, (x, y)));
            x += width;
        }
        let height = if placed.is_empty() { 0 } else { y + LEGEND_LINE };
        Self { names: placed, height: u32::try_from(height).unwrap_or(0) }
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Done {
        for (index, (name, (x, y))) in self.names.iter().enumerate() {
            let corners = [(*x, y + 4), (x + SWATCH - 6, y + 12)];
            area.draw(&Rectangle::new(corners, color(index).filled()))?;
            area.draw(&Text::new(name.as_str(), (x + SWATCH, y + 2), FONT.into_font()))?;
        }
        Ok(())
    }
}

/// A number of pixels as places have it.
fn bounded(pixels: impl TryInto<i32>) -> i32 {
    pixels.try_into().unwrap_or(i32::MAX / 4)
}

fn draw_lines(lines: &Lines, svg: &mut String) -> Done {
    let (x, y) = (lines.x_scale(TICKS), lines.y_scale(TICKS));
    let labels = room(y.ticks.iter().map(|tick| tick.label.as_str()));
    let legend = Legend::of(lines.series.iter().map(|series| series.name.as_str()));
    let size = (WIDTH, LINES_HEIGHT + legend.height);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(legend.height);
    legend.draw(&above)?;
    let mut chart = ChartBuilder::on(&below)
        .margin(MARGIN)
        .margin_right(4 * MARGIN)
        .x_label_area_size(LABEL_AREA)
        .y_label_area_size(labels)
        .build_cartesian_2d(Axis::of(&x), Axis::of(&y))?;
    chart
        .configure_mesh()
        .label_style(FONT)
        .bold_line_style(GRID)
        .x_desc(lines.name.as_str())
        .x_label_formatter(&|at| x.label(*at).to_owned())
        .y_label_formatter(&|at| y.label(*at).to_owned())
        .draw()?;
    for (index, series) in lines.series.iter().enumerate() {
        let color = color(index);
        for points in &series.parts {
            // A value between two that are missing is no line: it has a dot.
            let size = if points.len() == 1 { 3 } else { 0 };
            let style = color.stroke_width(2);
            let line = LineSeries::new(points.iter().copied(), style).point_size(size);
            chart.draw_series(line)?;
        }
    }
    root.present()?;
    Ok(())
}

fn draw_bars(bars: &Bars, svg: &mut String) -> Done {
    let (rows, series) = (bars.labels.len(), bars.series.len());
    let x = of_numbers(bars.extent.0, bars.extent.1, TICKS);
    let height = BARS_AROUND + BAR_HEIGHT * u32::try_from(rows * series).unwrap_or(1);
    let labels = room(bars.labels.iter().map(String::as_str));
    // The first row is above.
    let middle = |row: usize| (rows - row) as f64 - 0.5;
    let of_rows =
        Axis { numbers: (0.0..rows as f64).into(), marks: (0..rows).map(middle).collect() };
    let names: Vec<&str> = bars.series.iter().map(|series| series.name.as_str()).collect();
    // Of a single one the name stands below.
    let legend = Legend::of(names.iter().copied().filter(|_| series > 1));
    let size = (WIDTH, height + legend.height);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(legend.height);
    legend.draw(&above)?;
    let mut chart = ChartBuilder::on(&below)
        .margin(MARGIN)
        .margin_right(4 * MARGIN)
        .x_label_area_size(LABEL_AREA)
        .y_label_area_size(labels)
        .build_cartesian_2d(Axis::of(&x), of_rows)?;
    chart
        .configure_mesh()
        .label_style(FONT)
        .bold_line_style(GRID)
        .disable_y_mesh()
        .x_desc(if series > 1 { String::new() } else { names.concat() })
        .x_label_formatter(&|at| x.label(*at).to_owned())
        .y_label_formatter(&|at| {
            let row = (rows as f64 - at - 0.5).round().max(0.0) as usize;
            let label = bars.labels.get(row).map_or("", String::as_str);
            label.chars().take(LABEL_CHARACTERS_MAX).collect()
        })
        .draw()?;
    // Bars of one row share it, with some space between rows.
    let thickness = 0.8 / series as f64;
    for (index, series) in bars.series.iter().enumerate() {
        let color = color(index);
        let rectangles = series.values.iter().enumerate().filter_map(|(row, (value, _))| {
            let top = middle(row) + 0.4 - thickness * index as f64;
            Some(Rectangle::new([(0.0, top), ((*value)?, top - thickness)], color.filled()))
        });
        chart.draw_series(rectangles)?;
    }
    root.present()?;
    Ok(())
}
