//! Rows into text, a file's bytes, or a chart.

use std::io::{self, Write};

use arrow::array::AsArray;
use riskstream_query::{Form, FormatError, FormatSettings, QueryError, Written, row_writer};

use super::chart::{ChartKind, Collector, Drawn, NoChart, Paper, bars, lines, picture, plan};
use super::feed::Feed;

/// How rows are shown.
#[derive(Debug)]
pub(super) enum How<'a> {
    /// As they are.
    Rows(Form, &'a FormatSettings),
    /// As a chart of characters.
    Chart(ChartKind, Paper),
    /// As a chart in SVG.
    Picture(ChartKind),
}

/// Why rows are not shown.
#[derive(Debug)]
pub(super) enum ShowError {
    /// The statement failed.
    Query(QueryError),
    /// They have no such form.
    Unwritable(String),
    /// They can't be drawn.
    NoChart(NoChart),
    /// The output takes no more.
    Write(io::Error),
}

impl From<QueryError> for ShowError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<NoChart> for ShowError {
    fn from(error: NoChart) -> Self {
        Self::NoChart(error)
    }
}

impl From<io::Error> for ShowError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<FormatError> for ShowError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Write(error) => Self::Write(error),
            other @ FormatError::Unwritable { .. } => Self::Unwritable(other.to_string()),
        }
    }
}

/// Shows rows as they come. What can't be shown stops its statement.
pub(super) fn show(
    mut feed: Feed,
    how: &How<'_>,
    out: &mut dyn Write,
) -> Result<Written, ShowError> {
    let shown = match how {
        How::Rows(Form::Table, settings) if feed.is_plan() && !settings.expanded => {
            plain(&mut feed, out)
        }
        How::Rows(form, settings) => rows(&mut feed, *form, settings, out),
        How::Chart(kind, paper) => drawn(&mut feed, *kind).and_then(|(drawn, written)| {
            let text = match &drawn {
                Drawn::Bars(drawn) => bars(drawn, *paper),
                Drawn::Lines(drawn) => lines(drawn, *paper),
            };
            out.write_all(text.as_bytes())?;
            Ok(written)
        }),
        How::Picture(kind) => drawn(&mut feed, *kind).and_then(|(drawn, written)| {
            out.write_all(picture(&drawn)?.as_bytes())?;
            Ok(written)
        }),
    };
    if shown.is_err() {
        feed.stop();
    }
    shown
}

fn rows(
    feed: &mut Feed,
    form: Form,
    settings: &FormatSettings,
    out: &mut dyn Write,
) -> Result<Written, ShowError> {
    let mut writer = row_writer(form, feed.schema(), settings, out)?;
    while let Some(batch) = feed.next() {
        writer.write(&batch?)?;
    }
    Ok(writer.finish()?)
}

/// A plan's lines, which a table would only make longer.
fn plain(feed: &mut Feed, out: &mut dyn Write) -> Result<Written, ShowError> {
    let mut written = Written::default();
    while let Some(batch) = feed.next() {
        let batch = batch?;
        let Some(lines) = batch.columns().first() else { continue };
        for line in lines.as_string::<i32>().iter().flatten() {
            writeln!(out, "{line}")?;
            written.rows += 1;
        }
    }
    Ok(written)
}

fn drawn(feed: &mut Feed, kind: ChartKind) -> Result<(Drawn, Written), ShowError> {
    let mut collector = Collector::new(feed.schema())?;
    let mut rows = 0;
    while let Some(batch) = feed.next() {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        collector.take(&batch)?;
    }
    let drawn = plan(collector, kind)?;
    let notes = drawn.notes().to_vec();
    Ok((drawn, Written { rows, notes }))
}
