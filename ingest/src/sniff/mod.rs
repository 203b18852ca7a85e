//! Looking at a file: how it would be read, and what is not sure about that.
//!
//! ```text
//!   bytes ──▶ encoding, kind ──▶ CSV: delimiter, lines before ──▶ columns: types, marks, words
//!   (begin)   (bytes.rs)         the header (csv.rs)              (columns.rs, numbers.rs, times.rs)
//!                                JSON: fields of objects          the event time (event_time.rs)
//!                                (json.rs)
//!         ──▶ the source that reads it so, and what it gives of the file itself (trial.rs)
//! ```
//! Everything that was chosen among several readings is said: as a guess where the others fit
//! worse, as unsure where they fit as well.

mod bytes;
mod columns;
mod csv;
mod doubts;
mod event_time;
mod json;
mod numbers;
mod times;
mod trial;
mod values;

use crate::decode::{EncodingChoice, NumberMarks, TimeFormat, TruthWords};
use crate::file::{FileFormat, FileSourceSpec, SkipLines};
use arrow::datatypes::DataType;
use bytes::Kind;
use std::path::Path;

/// How much of a file is looked at.
const SAMPLE_BYTES: usize = 4 * 1024 * 1024;
/// Records that are looked at.
const SAMPLE_RECORDS: usize = 10_000;

/// How a file would be read.
#[derive(Debug, Clone)]
pub struct Sniffed {
    /// The format.
    pub format: FileFormat,
    /// The encoding; none: what the source finds by itself.
    pub encoding: Option<EncodingChoice>,
    /// Of CSV.
    pub csv: Option<SniffedCsv>,
    /// The marks in numbers.
    pub numbers: NumberMarks,
    /// The words for truth values.
    pub words: Option<TruthWords>,
    /// The columns, in the order of the file.
    pub columns: Vec<SniffedColumn>,
    /// The columns of the event time, one or several; none was found if it is empty.
    pub event_time: Vec<String>,
    /// How it is written.
    pub event_time_format: SniffedTime,
    /// What was chosen among several readings, a sentence each.
    pub guesses: Vec<String>,
    /// What another reading fits as well, or nothing tells: a sentence each.
    pub unsure: Vec<String>,
    /// Rows that the file gives when it is read so, as far as it was read.
    pub rows: u64,
    /// Records of it that would be dead letters.
    pub dead: u64,
    /// Whether all of the file was read so.
    pub is_whole: bool,
}

/// How a CSV file is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SniffedCsv {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: u8,
    /// Before a character within quotes that is text.
    pub escape: Option<u8>,
    /// Lines before the header, or before the first record.
    pub skip_lines: usize,
    /// Whether there is a header.
    pub header: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct SniffedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// How its dates or times are written, where not as usual.
    pub format: Option<SniffedTime>,
}

/// How times are written: a name of the configuration (`auto`, `unix-s`), or a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SniffedTime(pub String);

impl SniffedTime {
    fn auto() -> Self {
        Self("auto".into())
    }

    /// Whether it need not be said.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        self.0 == "auto"
    }

    fn format(&self) -> TimeFormat {
        match self.0.as_str() {
            "unix-s" => TimeFormat::EpochSeconds,
            "unix-ms" => TimeFormat::EpochMillis,
            "unix-us" => TimeFormat::EpochMicros,
            pattern => TimeFormat::pattern(pattern).unwrap_or(TimeFormat::Auto),
        }
    }
}

/// What is said of a file while it is looked at.
#[derive(Debug, Default)]
struct Said {
    guesses: Vec<String>,
    unsure: Vec<String>,
}

impl Said {
    fn guess(&mut self, sentence: impl Into<String>) {
        self.guesses.push(sentence.into());
    }

    fn unsure(&mut self, sentence: impl Into<String>) {
        self.unsure.push(sentence.into());
    }
}

/// Looks at a file. `now` is the time of the clock, in microseconds since 1970.
///
/// # Errors
/// A sentence on why the file can't be read as it is, and what would help.
pub fn sniff(path: &Path, now: i64) -> Result<Sniffed, String> {
    let mut said = Said::default();
    let looked = bytes::look(path, &mut said)?;
    let mut sniffed = Sniffed {
        format: FileFormat::Csv,
        encoding: looked.encoding,
        csv: None,
        numbers: NumberMarks::default(),
        words: None,
        columns: Vec::new(),
        event_time: Vec::new(),
        event_time_format: SniffedTime::auto(),
        guesses: Vec::new(),
        unsure: Vec::new(),
        rows: 0,
        dead: 0,
        is_whole: looked.is_whole,
    };
    match &looked.kind {
        Kind::Parquet => {
            sniffed.format = FileFormat::Parquet;
            trial::parquet(path, &mut sniffed, &mut said)?;
        }
        Kind::Json(text) => {
            let (format, values) = json::look(text, looked.is_whole, &mut said)?;
            sniffed.format = format;
            columns::settle(values, &mut sniffed, &mut said);
        }
        Kind::Csv(text) => {
            let (csv, values) = csv::look(text, looked.is_whole, &mut said)?;
            sniffed.csv = Some(csv);
            columns::settle(values, &mut sniffed, &mut said);
        }
    }
    if !looked.is_whole {
        said.guess("types and forms are those of the beginning of the file".to_owned());
    }
    if sniffed.event_time.is_empty() && !matches!(sniffed.format, FileFormat::Debezium(_)) {
        said.unsure(
            "no column says when a row happened, or several might: `event_time` has to name it",
        );
    } else {
        trial::read(path, now, &mut sniffed, &mut said)?;
    }
    (sniffed.guesses, sniffed.unsure) = (said.guesses, said.unsure);
    Ok(sniffed)
}

impl Sniffed {
    /// The source that reads the file so.
    fn spec(&self, path: &Path) -> FileSourceSpec {
        let time = self.event_time.first().cloned().unwrap_or_default();
        let is_made = self.event_time.len() > 1;
        let name = if is_made { MADE_EVENT_TIME.to_owned() } else { time };
        let escaped = glob::Pattern::escape(&path.to_string_lossy());
        let mut spec = FileSourceSpec::new("sniffed", vec![escaped], &name);
        spec.format = Some(self.format);
        spec.encoding = self.encoding.unwrap_or_default();
        if let Some(csv) = &self.csv {
            spec.csv.header = csv.header;
            spec.csv.delimiter = Some(csv.delimiter);
            spec.csv.quote = csv.quote;
            spec.csv.escape = csv.escape;
            spec.csv.skip_lines = SkipLines::Count(csv.skip_lines);
        }
        spec.forms.numbers = self.numbers.clone();
        spec.forms.words.clone_from(&self.words);
        let mut columns = Vec::new();
        for column in &self.columns {
            columns.push((column.name.clone(), column.data_type.clone()));
            if let Some(format) = &column.format {
                let form = crate::decode::ColumnForm { from: None, format: Some(format.format()) };
                spec.forms.columns.push((column.name.clone(), form));
            }
        }
        spec.schema = (self.format != FileFormat::Parquet).then_some(columns);
        spec.event_time.format = self.event_time_format.format();
        if is_made {
            spec.event_time.parts.clone_from(&self.event_time);
        }
        spec
    }
}

/// The name of an event time that is made of several columns.
const MADE_EVENT_TIME: &str = "event_time";

/// A few words of a list, for sentences.
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
