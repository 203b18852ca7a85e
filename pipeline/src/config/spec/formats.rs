//! How records are written.

use riskstream_ingest::SkipLines;

use super::keywords::keywords;

/// `csv = { header, delimiter, quote, escape, skip_lines }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first line names the columns. Without it, `schema` names them in order.
    pub header: bool,
    /// The byte between values.
    pub delimiter: Option<u8>,
    /// The byte around a value that holds delimiters.
    pub quote: u8,
    /// The byte before one that is text whatever it is, within quotes.
    pub escape: Option<u8>,
    /// Lines before the header.
    pub skip_lines: SkipLines,
}

/// `debezium = { decimals, times }`: the connector's settings that its records do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debezium {
    /// Its `decimal.handling.mode`.
    pub decimals: Decimals,
    /// Its `time.precision.mode`.
    pub times: Times,
}

/// How the connector writes decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimals {
    /// As bytes.
    Precise,
    /// As text.
    String,
    /// As numbers.
    Double,
}
keywords!(Decimals { "precise" => Precise, "string" => String, "double" => Double });

/// How the connector writes times without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// In microseconds.
    Adaptive,
    /// In milliseconds.
    Connect,
}
keywords!(Times { "adaptive" => Adaptive, "connect" => Connect });
