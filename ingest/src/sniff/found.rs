//! What is found of a file, and what is said while it is looked at.

use crate::decode::{ColumnForm, EncodingChoice, NumberMarks, TimeFormat, TruthWords};
use crate::file::{FileFormat, FileSourceSpec, SkipLines};
use arrow::datatypes::DataType;
use std::path::Path;

/// How much of a file is looked at.
pub(crate) const SAMPLE_BYTES: usize = 4 * 1024 * 1024;
/// Records that are looked at.
pub(crate) const SAMPLE_RECORDS: usize = 10_000;

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
    pub(crate) fn auto() -> Self {
        Self("auto".into())
    }

    /// Whether it need not be said.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        self.0 == "auto"
    }

    pub(crate) fn format(&self) -> TimeFormat {
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
pub(crate) struct Said {
    pub(crate) guesses: Vec<String>,
    pub(crate) unsure: Vec<String>,
}

impl Said {
    pub(crate) fn guess(&mut self, sentence: impl Into<String>) {
        self.guesses.push(sentence.into());
    }

    pub(crate) fn unsure(&mut self, sentence: impl Into<String>) {
        self.unsure.push(sentence.into());
    }
}

impl Sniffed {
    /// The source that reads the file so.
    pub(crate) fn spec(&self, path: &Path) -> FileSourceSpec {
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
                let form = ColumnForm { from: None, format: Some(format.format()) };
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
pub(crate) const MADE_EVENT_TIME: &str = "event_time";

/// A few words of a list, for sentences.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
