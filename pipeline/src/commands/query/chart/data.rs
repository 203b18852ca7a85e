//! The values of a result that are drawn.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::no_chart::NoChart;

/// Rows that are collected.
const ROWS_MAX: usize = 100_000;
/// What stands along the axis where there is nothing.
const NULL: &str = "NULL";
const OPTIONS: FormatOptions<'static> =
    FormatOptions::new().with_display_error(false).with_null(NULL);

/// What the times of an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// Instants, shown in UTC.
    Instants,
    /// Dates and times of no zone.
    Local,
    /// Times of a day.
    OfDay,
}

/// What the values along the axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// Texts, and all else that has no place of its own.
    Texts,
    /// Numbers.
    Numbers,
    /// Times, in microseconds.
    Times(Clock),
}

/// A column of numbers.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    /// Its values, as far as they have a place.
    pub(super) values: Vec<Option<f64>>,
    /// The same as text, with all digits.
    pub(super) texts: Vec<String>,
}

/// What is drawn of a result.
#[derive(Debug, Clone)]
pub(super) struct Data {
    /// The column along the axis.
    pub(super) name: String,
    pub(super) along: Along,
    /// Its values as text.
    pub(super) labels: Vec<String>,
    /// Their places; none where a value has none.
    pub(super) places: Vec<Option<f64>>,
    pub(super) series: Vec<Series>,
    /// What is not drawn.
    pub(super) notes: Vec<String>,
}

/// Collects what is drawn from a result's rows.
#[derive(Debug)]
pub(in crate::commands::query) struct Collector {
    data: Data,
    /// Which columns the series are.
    columns: Vec<usize>,
}

impl Collector {
    /// Decides what is drawn of these columns.
    ///
    /// # Errors
    /// There is nothing to draw.
    pub(in crate::commands::query) fn new(schema: &Schema) -> Result<Self, NoChart> {
        const HELP: &str =
            "select first what goes along the axis (a time, a text or a number), then numbers";
        let Some(first) = schema.fields().first() else {
            return Err(NoChart::new("there are no columns to draw", HELP));
        };
        let (mut columns, mut left_out) = (Vec::new(), Vec::new());
        for (index, field) in schema.fields().iter().enumerate().skip(1) {
            match plain(field.data_type()).is_numeric() {
                true => columns.push(index),
                false => left_out.push(format!("`{}` ({})", field.name(), field.data_type())),
            }
        }
        if columns.is_empty() {
            let behind = match left_out.as_slice() {
                [] => "there is no other".to_owned(),
                others => format!("there are {}", others.join(", ")),
            };
            let message = format!("no column of numbers comes after `{}`: {behind}", first.name());
            return Err(NoChart::new(message, HELP));
        }
        let notes = match left_out.as_slice() {
            [] => Vec::new(),
            others => vec![format!("not drawn, as they are no numbers: {}", others.join(", "))],
        };
        let series = columns.iter().map(|index| Series {
            name: clean(schema.field(*index).name()),
            values: Vec::new(),
            texts: Vec::new(),
        });
        let data = Data {
            name: clean(first.name()),
            along: along(first.data_type()),
            labels: Vec::new(),
            places: Vec::new(),
            series: series.collect(),
            notes,
        };
        Ok(Self { data, columns })
    }

    /// Takes rows.
    ///
    /// # Errors
    /// There are too many, or a value has no text.
    pub(in crate::commands::query) fn take(&mut self, batch: &RecordBatch) -> Result<(), NoChart> {
        if self.data.labels.len() + batch.num_rows() > ROWS_MAX {
            let message = format!("more than {ROWS_MAX} rows can't be drawn");
            return Err(NoChart::new(message, "group them, such as by date_trunc, or limit them"));
        }
        let wrong = |error: ArrowError| {
            NoChart::new(format!("a value can't be drawn: {error}"), "cast it, or leave it out")
        };
        let Some(first) = batch.columns().first() else { return Ok(()) };
        self.data.labels.extend(texts(first).map_err(wrong)?);
        self.data.places.extend(places(first, self.data.along).map_err(wrong)?);
        for (series, index) in self.data.series.iter_mut().zip(&self.columns) {
            let Some(array) = batch.columns().get(*index) else { continue };
            series.texts.extend(texts(array).map_err(wrong)?);
            series.values.extend(floats(array).map_err(wrong)?);
        }
        Ok(())
    }

    /// All that is drawn.
    ///
    /// # Errors
    /// There are no rows.
    pub(super) fn finish(self) -> Result<Data, NoChart> {
        if self.data.labels.is_empty() {
            let help = "a chart needs some";
            return Err(NoChart::new("the statement gives no rows", help));
        }
        Ok(self.data)
    }
}

/// The type without a dictionary around it.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        other => other,
    }
}

fn along(data_type: &DataType) -> Along {
    match plain(data_type) {
        DataType::Timestamp(_, Some(_)) => Along::Times(Clock::Instants),
        DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 => {
            Along::Times(Clock::Local)
        }
        DataType::Time32(_) | DataType::Time64(_) => Along::Times(Clock::OfDay),
        number if number.is_numeric() => Along::Numbers,
        _ => Along::Texts,
    }
}

fn texts(array: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    let formatter = ArrayFormatter::try_new(array, &OPTIONS)?;
    let nulls = array.logical_nulls();
    let text = |row: usize| match &nulls {
        Some(nulls) if nulls.is_null(row) => Ok(NULL.to_owned()),
        _ => formatter.value(row).try_to_string().map(|text| clean(&text)),
    };
    (0..array.len()).map(text).collect()
}

/// A text in one line, without what a terminal or a picture would not show.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn places(array: &ArrayRef, along: Along) -> Result<Vec<Option<f64>>, ArrowError> {
    let micros = match along {
        Along::Texts => return Ok(vec![None; array.len()]),
        Along::Numbers => return floats(array),
        Along::Times(Clock::OfDay) => cast(array, &DataType::Time64(TimeUnit::Microsecond))?,
        Along::Times(Clock::Instants) => {
            cast(array, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?
        }
        Along::Times(Clock::Local) => {
            cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?
        }
    };
    let micros = cast(&micros, &DataType::Int64)?;
    let micros = micros.as_primitive::<Int64Type>();
    Ok(micros.iter().map(|micros| micros.map(|micros| micros as f64)).collect())
}

/// Numbers as floats: their place on a scale needs no more.
fn floats(array: &ArrayRef) -> Result<Vec<Option<f64>>, ArrowError> {
    let floats = cast(array, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    Ok(floats.iter().map(|value| value.filter(|value| value.is_finite())).collect())
}
