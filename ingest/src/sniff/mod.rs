//! Looking at a file: how it would be read, and what is not sure about that.
//!
//! ```text
//!   bytes ──▶ encoding, kind ──▶ CSV: delimiter, lines before ──▶ columns: types, marks, words
//!   (begin)   (bytes.rs)         the header (csv.rs)              (columns.rs, numbers.rs, ...)
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
mod found;
mod json;
mod numbers;
mod times;
mod trial;
mod values;

pub use found::{Sniffed, SniffedColumn, SniffedCsv, SniffedTime};

use crate::decode::NumberMarks;
use crate::file::FileFormat;
use bytes::Kind;
use found::Said;
use std::path::Path;

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
