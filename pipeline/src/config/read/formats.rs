//! How records are written: what files and messages say alike.

use riskstream_ingest::SkipLines;

use crate::config::defaults;
use crate::config::document::Value;
use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::spec::{CsvOptions, Debezium, Decimals, Times};

/// `debezium = { decimals, times }`.
pub(super) fn debezium(
    table: &mut Table<'_>,
    is_debezium: bool,
    problems: &mut Vec<Problem>,
) -> Debezium {
    let mut options = Debezium { decimals: Decimals::Precise, times: Times::Adaptive };
    let key_span = table.get("debezium").map(|entry| entry.key.span);
    let Some(mut given) = table.table("debezium", problems) else { return options };
    if let (false, Some(span)) = (is_debezium, key_span) {
        problems.push(
            Problem::new(
                span,
                "`debezium` says something about records of the format \"debezium-json\" only",
            )
            .help("remove it, or write format = \"debezium-json\""),
        );
    }
    options.decimals = given
        .keyword::<Decimals>("decimals", problems)
        .map_or(options.decimals, |decimals| decimals.value);
    options.times =
        given.keyword::<Times>("times", problems).map_or(options.times, |times| times.value);
    given.finish(problems);
    options
}

/// `csv = { delimiter, quote, escape }` of records that stand alone, without a header.
pub(super) fn csv_options(
    table: &mut Table<'_>,
    is_csv: bool,
    problems: &mut Vec<Problem>,
) -> CsvOptions {
    let mut options = CsvOptions {
        header: false,
        delimiter: Some(defaults::CSV_DELIMITER),
        quote: defaults::CSV_QUOTE,
        escape: None,
        skip_lines: SkipLines::Count(0),
    };
    let key_span = table.get("csv").map(|entry| entry.key.span);
    let Some(csv) = table.table("csv", problems) else { return options };
    if let (false, Some(span)) = (is_csv, key_span) {
        problems.push(
            Problem::new(span, "`csv` says nothing about messages of another format")
                .help("remove it, or write format = \"csv\""),
        );
    }
    delimiter_and_quote(csv, &mut options, problems);
    options
}

pub(super) fn delimiter_and_quote(
    mut csv: Table<'_>,
    options: &mut CsvOptions,
    problems: &mut Vec<Problem>,
) {
    if let Some(byte) = one_byte(&mut csv, "delimiter", problems) {
        options.delimiter = Some(byte);
    }
    if let Some(byte) = one_byte(&mut csv, "quote", problems) {
        options.quote = byte;
    }
    if let Some(byte) = one_byte(&mut csv, "escape", problems) {
        options.escape = Some(byte);
    }
    if options.delimiter == Some(options.quote) {
        problems.push(Problem::new(csv.span, "`delimiter` and `quote` are the same"));
    }
    if options.escape == Some(options.quote) {
        problems.push(
            Problem::new(csv.span, "`escape` and `quote` are the same")
                .help("remove `escape`: two quotes within quotes are one without it"),
        );
    } else if options.escape.is_some() && options.escape == options.delimiter {
        problems.push(Problem::new(csv.span, "`escape` and `delimiter` are the same"));
    }
    csv.finish(problems);
}

fn one_byte(table: &mut Table<'_>, key: &'static str, problems: &mut Vec<Problem>) -> Option<u8> {
    let entry = table.get(key)?;
    // Not through `string`, for which a tab would be empty.
    if let Value::String { text, .. } = &entry.node.value
        && let [byte] = text.as_bytes()
        && byte.is_ascii()
        && !matches!(byte, b'\n' | b'\r')
    {
        return Some(*byte);
    }
    problems.push(
        Problem::new(entry.node.span, format!("`{key}` isn't one ASCII character"))
            .help("such as \",\", \";\" or \"\\t\""),
    );
    None
}
