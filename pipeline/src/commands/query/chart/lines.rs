//! Lines in a terminal.
//!
//! ratatui's canvas draws the lines; its axes stand only near their values, so these are drawn
//! here.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line, Points};
use unicode_width::UnicodeWidthStr;

use super::paint::{Paper, colored, legend};
use super::plan::Lines;
use super::scale::Scale;

/// Without colors, several series differ in their marks.
const MARKS: [char; 8] = ['●', '▲', '■', '◆', '○', '△', '□', '◇'];
/// What stands for a line of dots in a legend.
const LINE: char = '─';
/// Lines from one mark to the next, and characters of one along the axis with what is around it.
const Y_EVERY: usize = 4;
const X_EVERY: usize = 14;

/// Draws lines over an axis.
pub(in crate::commands::query) fn lines(lines: &Lines, paper: Paper) -> String {
    let height = paper.height();
    let y = lines.y_scale((height / Y_EVERY).max(1));
    let labels_width = y.ticks.iter().map(|tick| tick.label.width()).max().unwrap_or(0);
    let width = paper.width().saturating_sub(labels_width + 2).max(8);
    let x = lines.x_scale((width / X_EVERY).max(1));
    let by_marks = lines.series.len() > 1 && !paper.color;

    let mut text = String::new();
    let names: Vec<(&str, char)> = lines
        .series
        .iter()
        .enumerate()
        .map(|(index, series)| {
            (series.name.as_str(), if by_marks { MARKS[index % MARKS.len()] } else { LINE })
        })
        .collect();
    let title = match names.as_slice() {
        [(name, _)] => (*name).to_owned(),
        names => legend(names, paper.color),
    };
    text.push_str(&format!("{}{title}\n", " ".repeat(labels_width + 2)));
    for (row, line) in drawn(lines, (&x, &y), (width, height), by_marks).iter().enumerate() {
        let mark = y.ticks.iter().find(|tick| row_of(&y, tick.at, height) == row);
        let label = mark.map_or("", |tick| tick.label.as_str());
        let space = " ".repeat(labels_width - label.width());
        let axis = if mark.is_some() { '┤' } else { '│' };
        let mut cells = String::new();
        for (piece, series) in line {
            match series {
                Some(series) => cells.push_str(&colored(piece, *series, paper.color)),
                None => cells.push_str(piece),
            }
        }
        text.push_str(format!("{space}{label} {axis}{cells}").trim_end());
        text.push('\n');
    }
    let (axis, labels) = below(&x, width);
    let space = " ".repeat(labels_width + 1);
    text.push_str(&format!("{space}└{axis}\n"));
    text.push_str(format!("{space} {labels}").trim_end());
    text.push_str(&format!("\n{space} {}\n", lines.name));
    text
}

fn row_of(y: &Scale, value: f64, height: usize) -> usize {
    ((1.0 - y.share(value)) * (height - 1) as f64).round() as usize
}

/// The lines as pieces of text, each with the series whose color it has.
fn drawn(
    lines: &Lines,
    (x, y): (&Scale, &Scale),
    (width, height): (usize, usize),
    by_marks: bool,
) -> Vec<Vec<(String, Option<usize>)>> {
    let (columns, rows) = (bounded(width), bounded(height));
    let area = Rect::new(0, 0, columns, rows);
    let mut buffer = Buffer::empty(area);
    let canvas =
        Canvas::default().x_bounds([x.low, x.high]).y_bounds([y.low, y.high]).paint(|canvas| {
            for (index, series) in lines.series.iter().enumerate() {
                canvas.marker(match by_marks {
                    true => Marker::Custom(MARKS[index % MARKS.len()]),
                    false => Marker::Braille,
                });
                let color = color_of(index);
                for part in &series.parts {
                    canvas.draw(&Points { coords: part, color });
                    // Marks of their own stand where values are.
                    for pair in part.windows(2).filter(|_| !by_marks) {
                        canvas.draw(&Line::new(pair[0].0, pair[0].1, pair[1].0, pair[1].1, color));
                    }
                }
            }
        });
    canvas.render(area, &mut buffer);
    let mut text = Vec::with_capacity(height);
    for row in 0..rows {
        let mut pieces: Vec<(String, Option<usize>)> = Vec::new();
        for column in 0..columns {
            let Some(cell) = buffer.cell((column, row)) else { continue };
            let series = series_of(cell.fg);
            match pieces.last_mut() {
                Some((piece, of)) if *of == series => piece.push_str(cell.symbol()),
                Some(_) | None => pieces.push((cell.symbol().to_owned(), series)),
            }
        }
        // What is empty has no color, and no place at the end of a line.
        if let Some((piece, None)) = pieces.last_mut() {
            piece.truncate(piece.trim_end().len());
        }
        text.push(pieces);
    }
    text
}

/// A series' number as a color, from which it is read again.
fn color_of(series: usize) -> Color {
    Color::Indexed(u8::try_from(series).unwrap_or(u8::MAX))
}

fn series_of(color: Color) -> Option<usize> {
    match color {
        Color::Indexed(series) => Some(usize::from(series)),
        _ => None,
    }
}

fn bounded(characters: usize) -> u16 {
    u16::try_from(characters).unwrap_or(u16::MAX).min(1_000)
}

/// The axis below, and the labels of its marks, as many as have room.
fn below(x: &Scale, width: usize) -> (String, String) {
    let mut axis = vec!['─'; width];
    let mut labels = String::new();
    for tick in &x.ticks {
        let column = (x.share(tick.at) * (width - 1) as f64).round() as usize;
        axis[column] = '┬';
        let label_width = tick.label.width();
        let begin = column.saturating_sub(label_width / 2).min(width.saturating_sub(label_width));
        let taken = labels.width();
        if begin >= taken + usize::from(taken > 0) {
            labels.push_str(&" ".repeat(begin - taken));
            labels.push_str(&tick.label);
        }
    }
    (axis.into_iter().collect(), labels)
}
