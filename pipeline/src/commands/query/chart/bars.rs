//! Bars in a terminal.
//!
//! ratatui's bars are whole numbers in whole characters, and none is negative: these are our own.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::paint::{Paper, colored, legend};
use super::plan::Bars;

/// Without colors, several series differ in what fills their bars.
const FILLS: [char; 4] = ['█', '▒', '░', '▓'];
/// Eighths of a character, from the left.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// A bar is at least as long, whatever stands beside it.
const BAR_MIN: usize = 8;

/// Draws bars from the left to the right, a line each.
pub(in crate::commands::query) fn bars(bars: &Bars, paper: Paper) -> String {
    let several = bars.series.len() > 1;
    let values = bars.series.iter().flat_map(|series| &series.values);
    let values_width = values.map(|(_, text)| text.width()).max().unwrap_or(0);
    let widest = bars.labels.iter().map(|label| label.width()).max().unwrap_or(0);
    let labels_width = widest.max(bars.name.width()).min(paper.width() / 3);
    // A space before the axis, the axis, a space before the value.
    let around = labels_width + values_width + 3;
    let length = paper.width().saturating_sub(around).max(BAR_MIN);
    let (low, high) = bars.extent;
    let span = if high > low { high - low } else { 1.0 };
    let columns = |value: f64| value.abs() / span * length as f64;
    let before_zero = columns(low).ceil() as usize;

    let fill = |series: usize| match paper.color || !several {
        true => FILLS[0],
        false => FILLS[series % FILLS.len()],
    };
    let mut text = String::new();
    let title = pad(&cut(&bars.name, labels_width), labels_width);
    let names: Vec<(&str, char)> =
        bars.series.iter().enumerate().map(|(at, one)| (one.name.as_str(), fill(at))).collect();
    let names = match names.as_slice() {
        [(name, _)] => (*name).to_owned(),
        names => legend(names, paper.color),
    };
    text.push_str(format!("{title}   {names}").trim_end());
    text.push('\n');
    for (row, label) in bars.labels.iter().enumerate() {
        for (index, series) in bars.series.iter().enumerate() {
            let label = if index == 0 { label.as_str() } else { "" };
            let Some((value, value_text)) = series.values.get(row) else { continue };
            let value = value.unwrap_or(0.0);
            let bar = bar(columns(value), fill(index), several);
            let (left, right) = match value < 0.0 {
                true => (flipped(&bar), String::new()),
                false => (String::new(), bar),
            };
            let left_space = " ".repeat(before_zero.saturating_sub(left.width()));
            text.push_str(&pad(&cut(label, labels_width), labels_width));
            text.push(' ');
            text.push_str(&left_space);
            text.push_str(&colored(&left, index, paper.color));
            text.push('│');
            text.push_str(&colored(&right, index, paper.color));
            text.push(' ');
            text.push_str(value_text);
            text.push('\n');
        }
    }
    text
}

/// A bar of so many columns, to an eighth where it is filled.
fn bar(columns: f64, fill: char, whole: bool) -> String {
    let eighths = (columns * 8.0).round() as usize;
    // What is not nothing shows.
    let eighths = if columns > 0.0 { eighths.max(1) } else { 0 };
    if fill != FILLS[0] || whole {
        let columns = if eighths > 0 { (eighths / 8).max(1) } else { 0 };
        return fill.to_string().repeat(columns);
    }
    let mut bar = fill.to_string().repeat(eighths / 8);
    bar.push_str(EIGHTHS[eighths % 8]);
    bar
}

/// The same bar to the left: there are no blocks that begin at the right, but for the half.
fn flipped(bar: &str) -> String {
    let mut whole = bar.chars();
    match whole.next_back() {
        Some(last) if FILLS.contains(&last) => bar.to_owned(),
        Some('▏' | '▎' | '▍' | '▌') => format!("▐{}", whole.as_str()),
        Some(_) => format!("█{}", whole.as_str()),
        None => String::new(),
    }
}

fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// A label that fits.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut taken = 1;
    let kept = text.chars().take_while(|character| {
        taken += character.width().unwrap_or(0);
        taken <= columns
    });
    kept.chain(['…']).collect()
}
