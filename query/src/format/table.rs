//! A table with a header, for people.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::cells::{Cells, is_number};
use super::columns::Columns;
use super::error::FormatError;
use super::fit::fit;
use super::width::{cut, lines, width};
use super::writer::{FormatSettings, RowWriter, Written};

const NAME: &str = "a table";
/// Rows that decide how wide the columns are. A later value that is wider sticks out, or is cut
/// where the width is bounded.
const SAMPLE_ROWS: usize = 1_000;
/// Text is given on in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;

/// Writes a table. Each column is as wide as its widest value among the first rows; numbers stand
/// to the right. Where a terminal bounds the width, texts that don't fit are cut; numbers never
/// are.
pub(super) struct TableWriter<'a> {
    out: &'a mut dyn Write,
    columns: Columns,
    null: String,
    width_max: Option<usize>,
    numbers: Vec<bool>,
    /// The first rows, until the widths are known.
    sample: Vec<Row>,
    widths: Option<Vec<usize>>,
    cut: Vec<u64>,
    rows: u64,
    text: String,
}

/// The values of a row, each as lines.
type Row = Vec<Vec<String>>;

impl<'a> TableWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write, schema: &Schema, settings: &FormatSettings) -> Self {
        let columns = Columns::of_text(schema, &settings.time_zone);
        let numbers = columns.schema().fields().iter().map(|field| is_number(field.data_type()));
        Self {
            out,
            null: settings.null.clone(),
            width_max: settings.width_max,
            numbers: numbers.collect(),
            sample: Vec::new(),
            widths: None,
            cut: vec![0; columns.schema().fields().len()],
            rows: 0,
            text: String::new(),
            columns,
        }
    }

    fn header(&self) -> Row {
        let fields = self.columns.schema().fields();
        fields.iter().map(|field| vec![lines(field.name()).join(" ")]).collect()
    }

    /// Decides the widths and writes what has waited for that.
    fn begin(&mut self) -> Result<(), FormatError> {
        let header = self.header();
        let sample = std::mem::take(&mut self.sample);
        let widest = |column: usize| {
            let values = std::iter::once(&header).chain(&sample).filter_map(|row| row.get(column));
            values.flatten().map(|line| width(line)).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..header.len()).map(widest).collect();
        if let Some(width_max) = self.width_max {
            fit(&mut widths, &self.numbers, width_max);
        }
        self.rule(&widths);
        self.row(&header, &widths);
        self.cut.fill(0);
        self.rule(&widths);
        for row in &sample {
            self.row(row, &widths);
        }
        self.widths = Some(widths);
        self.give(PIECE_BYTES)
    }

    /// A line between header and rows.
    fn rule(&mut self, widths: &[usize]) {
        self.text.push('+');
        for width in widths {
            self.text.extend(std::iter::repeat_n('-', width + 2));
            self.text.push('+');
        }
        self.text.push('\n');
    }

    /// A row, in as many lines as its values need.
    fn row(&mut self, row: &Row, widths: &[usize]) {
        let height = row.iter().map(Vec::len).max().unwrap_or(1);
        for at in 0..height {
            self.text.push('|');
            for (column, (value, &columns)) in row.iter().zip(widths).enumerate() {
                let line = value.get(at).map_or("", String::as_str);
                let shortened = match self.width_max {
                    Some(_) if !self.numbers[column] => cut(line, columns),
                    Some(_) | None => None,
                };
                self.cut[column] += u64::from(shortened.is_some());
                let line = shortened.as_deref().unwrap_or(line);
                let space = columns.saturating_sub(width(line));
                let (before, after) = if self.numbers[column] { (space, 0) } else { (0, space) };
                self.text.push(' ');
                self.text.extend(std::iter::repeat_n(' ', before));
                self.text.push_str(line);
                self.text.extend(std::iter::repeat_n(' ', after));
                // As psql marks a value that goes on in the next line.
                self.text.push(if at + 1 < value.len() { '+' } else { ' ' });
                self.text.push('|');
            }
            self.text.push('\n');
        }
    }

    /// Gives text on when there is as much as this.
    fn give(&mut self, bytes_min: usize) -> Result<(), FormatError> {
        if self.text.len() >= bytes_min {
            self.out.write_all(self.text.as_bytes())?;
            self.text.clear();
        }
        Ok(())
    }

    /// What was cut, if anything was.
    fn note(&self) -> Option<String> {
        let names = self.columns.schema().fields().iter().zip(&self.cut);
        let names =
            names.filter(|(_, cut)| **cut > 0).map(|(field, _)| format!("`{}`", field.name()));
        let names: Vec<String> = names.collect();
        let values: u64 = self.cut.iter().sum();
        let values = if values == 1 { "1 value".to_owned() } else { format!("{values} values") };
        (!names.is_empty()).then(|| {
            format!(
                "{values} of {} cut to fit the terminal: expanded display, another form or a pipe \
                 shows all",
                names.join(", ")
            )
        })
    }
}

impl RowWriter for TableWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        let batch = self.columns.of(batch).map_err(|error| FormatError::arrow(NAME, error))?;
        let cells = batch.columns().iter().map(|array| Cells::new(array));
        let cells: Vec<Cells<'_>> =
            cells.collect::<Result<_, _>>().map_err(|error| FormatError::arrow(NAME, error))?;
        for row in 0..batch.num_rows() {
            let texts = cells.iter().map(|cells| {
                let text = cells.text(row).map_err(|error| FormatError::arrow(NAME, error))?;
                Ok(lines(text.as_deref().unwrap_or(&self.null)))
            });
            let texts = texts.collect::<Result<Row, FormatError>>()?;
            self.rows += 1;
            match self.widths.take() {
                Some(widths) => {
                    self.row(&texts, &widths);
                    self.widths = Some(widths);
                    self.give(PIECE_BYTES)?;
                }
                None => {
                    self.sample.push(texts);
                    if self.sample.len() == SAMPLE_ROWS {
                        self.begin()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Written, FormatError> {
        if self.widths.is_none() {
            self.begin()?;
        }
        if let Some(widths) = self.widths.take() {
            self.rule(&widths);
        }
        self.give(0)?;
        Ok(Written { rows: self.rows, notes: self.note().into_iter().collect() })
    }
}
