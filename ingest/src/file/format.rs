//! What a user says about a file source, and what a file's name says by itself.

use crate::changes::DebeziumOptions;
use crate::decode::{CsvMarks, EncodingChoice, TimeFormat, ValueForms};
use arrow::datatypes::DataType;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How a file's records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object per line.
    Json,
    /// Comma- or otherwise separated values.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// Debezium's records, one per line: their values, or whole records as consumers write them.
    Debezium(DebeziumOptions),
}

/// How a text file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, with any number of members.
    Gzip,
    /// Zstandard, with any number of frames.
    Zstd,
}

/// How CSV files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// The first record names the columns; otherwise the fields are the schema's columns in order.
    pub header: bool,
    /// Between fields; none: a tab in `.tsv` files, else a comma.
    pub delimiter: Option<u8>,
    /// Around fields.
    pub quote: u8,
    /// Before a character within quotes that is text whatever it is.
    pub escape: Option<u8>,
    /// Lines before the header, or before the first record where there is none.
    pub skip_lines: SkipLines,
}

/// Lines that are no records, at the beginning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipLines {
    /// So many.
    Count(usize),
    /// Those before the first line that has the columns of the schema.
    ToHeader,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: None,
            quote: b'"',
            escape: None,
            skip_lines: SkipLines::Count(0),
        }
    }
}

/// The column that says when a row happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTimeSpec {
    /// Its name.
    pub column: String,
    /// How it is written.
    pub format: TimeFormat,
    /// The columns that it is made of, their texts put together with a space between; none: it is
    /// one of the input's. Those that the schema does not have are read for this only.
    pub parts: Vec<String>,
}

/// A file source as configured.
#[derive(Debug, Clone)]
pub struct FileSourceSpec {
    /// The source's name in the configuration.
    pub name: String,
    /// Files or patterns (`data/*.ndjson`, `data/**/*.csv.gz`).
    pub paths: Vec<String>,
    /// What relative paths are relative to. Partitions are named as the path was written, so the
    /// folder may move.
    pub base: PathBuf,
    /// None: by the file names' extensions.
    pub format: Option<FileFormat>,
    /// None: by the file names' extensions.
    pub compression: Option<Compression>,
    /// Go on when the end is reached: growing text files, and new files that match.
    pub follow: bool,
    /// For CSV files.
    pub csv: CsvOptions,
    /// How texts are encoded.
    pub encoding: EncodingChoice,
    /// Columns in order; none: inferred from the first file.
    pub schema: Option<Vec<(String, DataType)>>,
    /// How values are written, where not as usual.
    pub forms: ValueForms,
    /// A file may lack columns of the schema, which are null then; not those of the event time.
    pub missing_as_null: bool,
    /// The event time.
    pub event_time: EventTimeSpec,
    /// Columns that order rows of equal event time.
    pub ties_by: Vec<String>,
    /// How far ahead of the clock an event time may be, in microseconds.
    pub future_skew_max_us: i64,
    /// Longer records become dead letters.
    pub record_bytes_max: usize,
    /// Files that the source holds open at once, at most; none: a part of what the system allows
    /// the process.
    pub open_files_max: Option<usize>,
}

impl FileSourceSpec {
    /// A source of `paths` with the event time in `column` and everything else at its default:
    /// format by extension, schema inferred, a day of skew, records up to 16 MiB.
    #[must_use]
    pub fn new(name: &str, paths: Vec<String>, column: &str) -> Self {
        Self {
            name: name.to_owned(),
            paths,
            base: PathBuf::from("."),
            format: None,
            compression: None,
            follow: false,
            csv: CsvOptions::default(),
            encoding: EncodingChoice::Auto,
            schema: None,
            forms: ValueForms::default(),
            missing_as_null: false,
            event_time: EventTimeSpec {
                column: column.to_owned(),
                format: TimeFormat::Auto,
                parts: Vec::new(),
            },
            ties_by: Vec::new(),
            future_skew_max_us: 86_400_000_000,
            record_bytes_max: 16 * 1024 * 1024,
            open_files_max: None,
        }
    }

    pub(crate) fn delimiter(&self, path: &Path) -> u8 {
        self.csv.delimiter.unwrap_or(if stem_extension(path).0.as_deref() == Some("tsv") {
            b'\t'
        } else {
            b','
        })
    }

    /// What the CSV of a file is made of.
    pub(crate) fn marks(&self, path: &Path) -> CsvMarks {
        CsvMarks { delimiter: self.delimiter(path), quote: self.csv.quote, escape: self.csv.escape }
    }

    /// As configured; else as the file's name says; else as its first bytes say.
    pub(crate) fn compression_of(&self, path: &Path) -> Compression {
        self.compression.unwrap_or_else(|| match stem_extension(path).1 {
            Compression::None => compression_in(path),
            told @ (Compression::Gzip | Compression::Zstd) => told,
        })
    }
}

/// The extension that tells the format, and the compression that the one behind it tells:
/// `a.csv.gz` is (`csv`, gzip).
fn stem_extension(path: &Path) -> (Option<String>, Compression) {
    let extension = |p: &Path| p.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let compression = match extension(path).as_deref() {
        Some("gz" | "gzip") => Compression::Gzip,
        Some("zst" | "zstd") => Compression::Zstd,
        other => return (other.map(str::to_owned), Compression::None),
    };
    (path.file_stem().and_then(|stem| extension(Path::new(stem))), compression)
}

/// The compression that a file's first bytes tell: no text begins so. A file that can't be read
/// says so when it is opened.
fn compression_in(path: &Path) -> Compression {
    let mut first = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read(&mut first)).unwrap_or(0);
    match first {
        [0x1F, 0x8B, ..] if read >= 2 => Compression::Gzip,
        [0x28, 0xB5, 0x2F, 0xFD] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The format that a file's name tells.
pub(crate) fn format_of(path: &Path) -> Option<FileFormat> {
    match stem_extension(path).0?.as_str() {
        "json" | "ndjson" | "jsonl" => Some(FileFormat::Json),
        "csv" | "tsv" => Some(FileFormat::Csv),
        "parquet" | "pq" => Some(FileFormat::Parquet),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_format_and_compression() {
        assert_eq!(format_of(Path::new("a/b.ndjson")), Some(FileFormat::Json));
        assert_eq!(format_of(Path::new("b.CSV.GZ")), Some(FileFormat::Csv));
        assert_eq!(format_of(Path::new("b.gz")), None);
        let spec = FileSourceSpec::new("s", Vec::new(), "t");
        assert_eq!(spec.compression_of(Path::new("b.jsonl.zst")), Compression::Zstd);
        assert_eq!(spec.delimiter(Path::new("b.tsv.gz")), b'\t');
    }

    #[test]
    fn where_the_name_does_not_tell_the_compression_the_first_bytes_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spec = FileSourceSpec::new("s", Vec::new(), "t");
        let path = folder.path().join("a.csv");
        for (content, expected) in [
            (&b"\x1F\x8B\x08\x00"[..], Compression::Gzip),
            (b"\x28\xB5\x2F\xFD\x04", Compression::Zstd),
            (b"id,at\n", Compression::None),
            (b"\x1F", Compression::None),
            (b"", Compression::None),
        ] {
            std::fs::write(&path, content).expect("written");
            assert_eq!(spec.compression_of(&path), expected, "{content:?}");
        }
        // What the name or the configuration tells is believed.
        std::fs::write(folder.path().join("a.csv.gz"), "id,at\n").expect("written");
        assert_eq!(spec.compression_of(&folder.path().join("a.csv.gz")), Compression::Gzip);
        std::fs::write(&path, b"\x1F\x8B\x08\x00").expect("written");
        spec.compression = Some(Compression::None);
        assert_eq!(spec.compression_of(&path), Compression::None);
    }
}
