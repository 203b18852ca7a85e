//! Decoders: records in, rows of the source's schema or rejected rows out.
//!
//! [`RecordDecoder`] decodes text records of a block; `rows` converts columns that a source read
//! itself (Parquet). Both end in the same checks, and no record of a block is influenced by
//! another.

mod civil;
mod column;
mod csv;
mod csv_record;
mod encoding;
mod forms;
mod instant;
mod json;
mod json_scan;
mod local_time;
mod number;
mod record;
mod rows;
mod sink;
mod time;
mod time_pattern;

pub(crate) use civil::days_from_civil;
pub(crate) use column::{Column, Fault, Target, Written, shown};
pub use csv::CsvLayout;
pub use csv_record::CsvMarks;
pub(crate) use csv_record::{
    CsvField, RecordEnd, cut_csv, record_end, split_record, trim_line_end,
};
pub(crate) use encoding::MARK_BYTES;
pub use encoding::{Encoding, EncodingChoice};
pub use forms::{ColumnForm, NumberMarks, TruthWords, ValueForms};
pub(crate) use instant::{parse_date, parse_timestamp};
pub(crate) use json::{Key, push_raw};
pub use local_time::{LocalTime, zone_names};
pub(crate) use number::significant_digits;
pub use record::{RecordDecoder, RecordFormat};
pub(crate) use rows::{JsonRows, RowsDecoder, can_convert, text_bytes};
pub(crate) use sink::{BlockOrigin, Reading, RowRules, RowSink, TOO_LONG_HEAD_BYTES};
pub use time::TimeFormat;
pub use time_pattern::{TimePattern, TimePatternError};

/// Reason codes of rejected rows.
pub mod reason {
    /// The record can't be read at all: broken UTF-8, invalid JSON, a wrong number of CSV fields.
    pub const MALFORMED: &str = "malformed";
    /// A value is not of its column's type or does not fit it.
    pub const TYPE: &str = "type";
    /// The event time is missing.
    pub const NULL: &str = "null";
    /// A value that can't be: NaN, an infinite amount, an event time outside the years 1 to 9999.
    pub const IMPOSSIBLE: &str = "impossible";
    /// A value of a database that its column's type has not, such as infinity: the row is applied,
    /// with null.
    pub const BEYOND: &str = "beyond";
    /// The event time is ahead of the clock by more than is allowed.
    pub const FUTURE: &str = "future";
    /// The record is longer than the source's limit; its first part was kept.
    pub const TOO_LONG: &str = "too-long";
    /// A message has no value.
    pub const TOMBSTONE: &str = "tombstone";
    /// A JSON object names a field twice, so what it says is anybody's guess.
    pub const DUPLICATE_FIELD: &str = "duplicate-field";
}
