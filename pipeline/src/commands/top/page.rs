//! The picture: pure functions from a [`Model`] to lines of a terminal, or of text.

use bytesize::ByteSize;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row, Table, Widget};

use super::model::{Condition, Model, PipelineModel};
use super::view::{Sort, View};
use crate::progress::{grouped, time};
use crate::service::charts::{charts, shown_lag};
use crate::service::now::{Now, SinkNow, State, StepNow};

/// Cells of the bar that shows how busy a step is.
const BUSY_CELLS: usize = 10;
/// Steps that are shown however low the terminal is.
const STEPS_MIN: usize = 3;

/// A part of the picture, over its whole width.
struct Band<'a> {
    height: u16,
    drawn: Drawn<'a>,
}

enum Drawn<'a> {
    Text(Text<'a>),
    Table(Box<Table<'a>>),
}

impl<'a> Band<'a> {
    fn text(lines: Vec<Line<'a>>) -> Self {
        let text = Text::from(lines);
        Self { height: rows(text.lines.len()), drawn: Drawn::Text(text) }
    }

    /// A table with a heading; the first column takes what the others leave.
    fn table(heading: &[(&'static str, u16)], lines: Vec<Row<'a>>) -> Self {
        let width = |(_, width): &(&str, u16)| match width {
            0 => Constraint::Fill(1),
            width => Constraint::Length(*width),
        };
        let title = |(number, (title, _)): (usize, &(&'static str, u16))| match number {
            0 => Cell::from(*title),
            _ => right(*title),
        };
        let height = rows(lines.len() + 1);
        let titles = Row::new(heading.iter().enumerate().map(title)).style(Style::new().dim());
        let table = Table::new(lines, heading.iter().map(width)).header(titles);
        Self { height, drawn: Drawn::Table(Box::new(table)) }
    }
}

/// Draws the model into a terminal: all pipelines, the chosen one's steps and destinations, and
/// which keys do what.
pub(super) fn draw(model: &Model, view: &View, area: Rect, buffer: &mut Buffer) {
    let selected = view.selected.min(model.pipelines.len().saturating_sub(1));
    let (above, help) = (area.height.saturating_sub(1), area.height.min(1));
    let mut bands = overview(model, Some((view, selected)), area.width);
    if let Some(pipeline) = model.pipelines.get(selected) {
        let taken = height_of(&bands);
        bands.extend(details(pipeline, model, view.sort, Some(above.saturating_sub(taken))));
    }
    stack(bands, Rect { height: above, ..area }, buffer);
    let line = Rect { y: area.y + above, height: help, ..area };
    keys(view).render(line, buffer);
}

/// The model as text, with everything of every pipeline.
pub(super) fn text(model: &Model, columns: u16) -> String {
    let mut bands = overview(model, None, columns);
    for pipeline in &model.pipelines {
        bands.extend(details(pipeline, model, Sort::Flow, None));
    }
    let height = height_of(&bands);
    let area = Rect { x: 0, y: 0, width: columns, height };
    let mut buffer = Buffer::empty(area);
    stack(bands, area, &mut buffer);
    lines(&buffer)
}

/// The characters of a buffer, without blanks at the ends of lines.
pub(super) fn lines(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(buffer.area.width.max(1))) {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One band below the other, as far as there is room.
fn stack(bands: Vec<Band<'_>>, area: Rect, buffer: &mut Buffer) {
    let mut below = area;
    for Band { height, drawn } in bands {
        let height = height.min(below.height);
        let band = Rect { height, ..below };
        match drawn {
            Drawn::Text(text) => text.render(band, buffer),
            Drawn::Table(table) => Widget::render(*table, band, buffer),
        }
        below = Rect { y: below.y + height, height: below.height - height, ..below };
    }
}

/// Lines of bands that stand one below the other.
fn height_of(bands: &[Band<'_>]) -> u16 {
    bands.iter().fold(0, |height: u16, band| height.saturating_add(band.height))
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The program, its pipelines, and what is wrong with them. `chosen`: by a user at a terminal.
fn overview<'a>(model: &'a Model, chosen: Option<(&View, usize)>, columns: u16) -> Vec<Band<'a>> {
    let mut head = vec![Span::from(format!("{}   data {}", model.name, model.data.display()))];
    if chosen.is_some_and(|(view, _)| view.paused) {
        head.push(Span::styled("   paused", Style::new().bold().yellow()));
    }
    let mut bands = vec![Band::text(vec![Line::from(head).bold()])];
    bands.push(Band::text(programs(model)));
    bands.push(blank());
    let selected = chosen.map(|(_, selected)| selected);
    let row = |(number, p): (usize, &'a PipelineModel)| {
        pipeline(p).style(match selected {
            Some(selected) if selected == number => Style::new().reversed(),
            Some(_) | None => Style::new(),
        })
    };
    bands.push(Band::table(
        &[
            ("PIPELINE", 0),
            ("STATE", 6),
            ("ROWS/S", 9),
            ("ROWS", 11),
            ("LATE", 7),
            ("DEAD", 7),
            ("LAG", 10),
            ("CLOCK LAG", 10),
            ("EPOCH", 7),
            ("RESTARTS", 8),
        ],
        model.pipelines.iter().enumerate().map(row).collect(),
    ));
    let wrong: Vec<Line<'_>> =
        model.pipelines.iter().flat_map(|pipeline| wrong(pipeline, columns)).collect();
    if !wrong.is_empty() {
        bands.push(Band::text(wrong));
    }
    bands
}

/// A line for each program that looks after pipelines.
fn programs(model: &Model) -> Vec<Line<'_>> {
    let mut seen: Vec<&Now> = Vec::new();
    for told in model.pipelines.iter().filter_map(PipelineModel::said) {
        if !seen.iter().any(|known| known.program.process == told.program.process) {
            seen.push(told);
        }
    }
    if seen.is_empty() {
        let text = if model.runs() {
            "a program runs, and does not say how it is (yet)"
        } else {
            "no program runs any more"
        };
        return vec![Line::from(text).yellow()];
    }
    let line = |now: &Now| {
        let program = &now.program;
        let up = now.at_micros.saturating_sub(program.started_micros) as f64 / 1e6;
        let mut text = format!("process {}   up {}", program.process, shown_lag(up));
        if let Some(bytes) = program.memory_bytes {
            text.push_str(&format!("   {} of memory", ByteSize(bytes)));
        }
        if let Some(cores) = program.cores {
            text.push_str(&format!("   {cores:.1} cores busy"));
        }
        Line::from(text)
    };
    seen.into_iter().map(line).collect()
}

fn pipeline(pipeline: &PipelineModel) -> Row<'_> {
    let word = pipeline.condition.word();
    let color = match pipeline.condition {
        Condition::Said(State::Runs) => Color::Green,
        Condition::Said(State::Starts | State::StartsAgain) | Condition::Silent => Color::Yellow,
        Condition::Said(State::Failed) => Color::Red,
        Condition::Said(State::Ended) | Condition::Down => Color::DarkGray,
    };
    let mut cells = vec![Cell::from(pipeline.pipeline.as_str()), right(word.fg(color))];
    match pipeline.said() {
        Some(now) => cells.extend([
            right(rate(now.rows_per_second)),
            right(count(now.rows)),
            right(count(now.late)),
            right(if now.dead > 0 { count(now.dead).red() } else { count(0).into() }),
            right(or_none(lag(now), shown_lag)),
            right(or_none(clock_lag(now), shown_lag)),
            right(or_none(now.epoch_seconds, seconds)),
            right(count(now.restarts)),
        ]),
        None => cells.extend((0..8).map(|_| right("-"))),
    }
    Row::new(cells)
}

/// How far the watermark is behind the newest event time, in seconds.
fn lag(now: &Now) -> Option<f64> {
    let micros = now.event_time_micros?.saturating_sub(now.watermark_micros?);
    Some(micros.max(0) as f64 / 1e6)
}

/// How far the watermark is behind the clock, in seconds.
fn clock_lag(now: &Now) -> Option<f64> {
    let micros = now.at_micros.saturating_sub(now.watermark_micros?);
    Some(micros.max(0) as f64 / 1e6)
}

/// Why a pipeline has failed, and which of its destinations are away.
fn wrong(pipeline: &PipelineModel, columns: u16) -> Vec<Line<'_>> {
    let Some(now) = &pipeline.now else { return Vec::new() };
    let name = &pipeline.pipeline;
    let mut said = Vec::new();
    let away: Vec<&SinkNow> = now.sinks.iter().filter(|sink| sink.away.is_some()).collect();
    // A destination that is away is in `reason` too; it is shown with the destination, below.
    let (fails, is_down) = (now.state == State::Failed, pipeline.condition == Condition::Down);
    if let Some(reason) = now.reason.as_ref().filter(|_| fails || away.is_empty() && !is_down) {
        said.push((format!("{name}: {reason}"), if fails { Color::Red } else { Color::Yellow }));
    }
    for sink in away.into_iter().filter(|_| !is_down) {
        let Some(away) = &sink.away else { continue };
        let text = format!(
            "{name}: {} is away since {}, tried {} times: {}",
            sink.sink,
            time(away.since_micros),
            count(away.tried),
            away.reason
        );
        said.push((text, Color::Yellow));
    }
    let wrap = |(text, color): (String, Color)| {
        let pieces = wrapped(&text, usize::from(columns));
        pieces.into_iter().map(move |piece| Line::styled(piece, color))
    };
    said.into_iter().flat_map(wrap).collect()
}

/// A text in lines of at most so many characters, the second and later ones indented.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("  {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// One pipeline's last hour, steps and destinations; in at most so many lines, where a height is
/// given: steps are left out then, and a line says how many.
fn details<'a>(
    pipeline: &'a PipelineModel,
    model: &Model,
    sort: Sort,
    height: Option<u16>,
) -> Vec<Band<'a>> {
    let Some(now) = pipeline.said() else { return Vec::new() };
    let mut title = vec![pipeline.pipeline.as_str().bold()];
    let told = format!(
        "   epoch {}   {}{} held   {} on disk   {} workers",
        count(now.committed_epoch),
        now.read_ratio.map_or_else(String::new, |read| format!("{} read   ", percent(read))),
        ByteSize(now.held_bytes),
        ByteSize(now.store_bytes),
        now.workers
    );
    title.push(told.into());
    let mut lines = vec![Line::default(), Line::from(title)];
    let at = model.at_micros.div_euclid(1_000_000);
    lines.extend(charts(&pipeline.hour, at).iter().map(|chart| Line::from(chart.line())));
    let above = Band::text(lines);
    let mut below = vec![blank(), sinks(&now.sinks)];
    let taken = height_of(&below).saturating_add(above.height).saturating_add(2);
    let shown = height.map_or(now.steps.len(), |height| {
        match usize::from(height.saturating_sub(taken)) {
            // One line is kept for the number of steps that are left out.
            room if room < now.steps.len() => room.saturating_sub(1).max(STEPS_MIN),
            _ => now.steps.len(),
        }
    });
    let left_out = now.steps.len().saturating_sub(shown);
    if left_out > 0 {
        let text = format!("and {left_out} more steps; s sorts them otherwise");
        below.insert(0, Band::text(vec![Line::from(text).dim()]));
    }
    let mut bands =
        vec![above, blank(), steps(&sort.sorted(&now.steps)[..shown.min(now.steps.len())])];
    bands.extend(below);
    bands
}

fn steps<'a>(steps: &[&'a StepNow]) -> Band<'a> {
    let row = |step: &&'a StepNow| {
        Row::new([
            Cell::from(step.step.as_str()),
            right(rate(step.rows_in_per_second)),
            right(rate(step.rows_out_per_second)),
            right(percent(step.busy)),
            Cell::from(busy_bar(step.busy)),
            right(bytes(step.state_bytes)),
            right(count(step.errors)),
        ])
    };
    Band::table(
        &[
            ("STEP", 0),
            ("ROWS IN/S", 12),
            ("ROWS OUT/S", 12),
            ("BUSY", 6),
            ("", BUSY_CELLS as u16),
            ("STATE", 10),
            ("ERRORS", 9),
        ],
        steps.iter().map(row).collect(),
    )
}

fn sinks(sinks: &[SinkNow]) -> Band<'_> {
    let row = |sink: &SinkNow| {
        let waiting = count(sink.epochs_waiting);
        let away = if sink.away.is_some() { "away".yellow() } else { "".into() };
        Row::new([
            Cell::from(sink.sink.clone()),
            right(rate(sink.rows_per_second)),
            right(rate(sink.deliveries_per_second)),
            right(or_none(sink.delivery_seconds, seconds)),
            right(count(sink.delivered_epoch)),
            right(if sink.away.is_some() { waiting.yellow() } else { waiting.into() }),
            right(away),
        ])
    };
    Band::table(
        &[
            ("DESTINATION", 0),
            ("ROWS/S", 12),
            ("DELIVERIES/S", 12),
            ("EACH", 8),
            ("EPOCH", 10),
            ("WAITING", 9),
            ("", 6),
        ],
        sinks.iter().map(row).collect(),
    )
}

/// Which keys do what.
fn keys(view: &View) -> Line<'static> {
    let pause = if view.paused { "go on" } else { "pause" };
    let key = |key: &'static str, does: String| {
        [Span::styled(key, Style::new().bold()), Span::from(format!(" {does}   "))]
    };
    let spans = [
        key("q", "quit".into()),
        key("p", pause.into()),
        key("s", format!("steps by {}", view.sort.word())),
        key("up down", "pipeline".into()),
    ];
    Line::from(spans.into_iter().flatten().collect::<Vec<_>>())
}

fn blank<'a>() -> Band<'a> {
    Band::text(vec![Line::default()])
}

fn right<'a>(text: impl Into<Span<'a>>) -> Cell<'a> {
    Cell::from(Line::from(text.into()).right_aligned())
}

fn or_none(value: Option<f64>, shown: fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), shown)
}

/// A number with its thousands apart, in millions from a thousand millions on.
fn count(number: u64) -> String {
    const MILLION: u64 = 1_000_000;
    match number {
        n if n >= 1_000 * MILLION => format!("{} M", grouped(n / MILLION)),
        n => grouped(n),
    }
}

fn rate(per_second: f64) -> String {
    match per_second {
        r if r > 0.0 && r < 9.95 => format!("{r:.1}"),
        r => count(r.round() as u64),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1_000.0) } else { shown_lag(seconds) }
}

fn bytes(bytes: u64) -> String {
    if bytes == 0 { "-".to_owned() } else { ByteSize(bytes).to_string() }
}

fn busy_bar(busy: f64) -> String {
    "█".repeat((busy.clamp(0.0, 1.0) * BUSY_CELLS as f64).round() as usize)
}
