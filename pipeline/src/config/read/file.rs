//! `kind = "file"`.

use riskstream_ingest::{EncodingChoice, SkipLines};

use super::formats::{debezium, delimiter_and_quote};
use super::forms;
use super::shared::check_local;
use crate::config::defaults;
use crate::config::document::Value;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::{Compression, CsvOptions, Field, FileFormat, FileSource, MissingColumns};

/// Lines before a header at most.
const SKIP_LINES_MAX: u64 = 100_000;

/// `schema` is the columns as far as they could be read; `has_schema` says whether the file gives
/// any.
pub(super) fn file(
    table: &mut Table<'_>,
    schema: Option<&[Field]>,
    has_schema: bool,
    problems: &mut Vec<Problem>,
) -> Option<FileSource> {
    let paths = table.required("path", "path = \"payments.csv\"", problems).and_then(|entry| {
        let paths = reader::strings(&entry.node, "path", problems)?;
        if paths.is_empty() {
            problems.push(
                Problem::new(entry.node.span, "`path` names no file")
                    .help("name files or patterns, such as \"in/*.json\""),
            );
        }
        for path in &paths {
            if check_local(path, problems)
                && let Err(error) = glob::Pattern::new(&path.value)
            {
                problems.push(
                    Problem::new(
                        path.span,
                        format!("`{path}` isn't a file pattern: {}", error.msg),
                    )
                    .help("put a literal `[` as `[[]`"),
                );
            }
        }
        Some(paths)
    });
    let format = table.string("format", problems).and_then(|format| {
        reader::keyword::<FileFormat>("format", &format, problems)
            .map(|keyword| Spanned::new(keyword, format.span))
    });
    let compression = table.keyword::<Compression>("compression", problems);
    let follow_span = table.get("follow").map(|entry| entry.node.span);
    let follow = table.boolean("follow", problems).unwrap_or(defaults::FOLLOW);
    let format_value = format.map(|format| format.value);
    let csv = csv(table, format_value, has_schema, problems);
    let encoding = forms::encoding(table, problems);
    if let (Some(FileFormat::Parquet), Some(encoding)) = (format_value, &encoding) {
        problems.push(
            Problem::new(encoding.span, "Parquet says itself how its text is encoded")
                .help("remove `encoding`"),
        );
    }
    let missing_columns = missing_columns(table, format_value, &csv, problems);
    if let Some(fields) = schema {
        if format_value == Some(FileFormat::DebeziumJson) {
            forms::refuse_forms(fields, forms::CHANGES_HAVE_NO_FORMS, problems);
        } else if !csv.header {
            let why = "fields have no names without a header: they are the columns in their order";
            forms::refuse_from(fields, why, problems);
        }
    }
    let debezium = debezium(table, format_value == Some(FileFormat::DebeziumJson), problems);
    if format_value == Some(FileFormat::DebeziumJson) && !has_schema {
        problems.push(Problem::new(table.span, "changes do not tell their columns' types").help(
            "name the table's columns: schema = { loan_id = \"int64\", status = \"string\", ... }",
        ));
    }
    if let (Some(FileFormat::Parquet), Some(compression)) = (format_value, &compression)
        && matches!(compression.value, Compression::Gzip | Compression::Zstd)
    {
        problems.push(
            Problem::new(compression.span, "Parquet compresses within the file")
                .help("remove `compression`"),
        );
    }
    if let (true, Some(span)) = (follow, follow_span) {
        if format_value == Some(FileFormat::Parquet) {
            problems.push(Problem::new(span, "a Parquet file can't be followed").help(
                "its rows are readable only once it is complete; JSON and CSV can be followed",
            ));
        }
        if matches!(compression.as_deref(), Some(Compression::Gzip | Compression::Zstd)) {
            problems.push(
                Problem::new(span, "a compressed file can't be followed")
                    .help("follow the plain file"),
            );
        }
    }
    Some(FileSource {
        paths: paths?,
        format: format_value,
        compression: compression.map_or(defaults::COMPRESSION, |c| c.value),
        follow,
        encoding: encoding.map_or(EncodingChoice::Auto, |encoding| encoding.value),
        missing_columns,
        csv,
        debezium,
    })
}

fn missing_columns(
    table: &mut Table<'_>,
    format: Option<FileFormat>,
    csv: &CsvOptions,
    problems: &mut Vec<Problem>,
) -> MissingColumns {
    let Some(missing) = table.keyword::<MissingColumns>("missing_columns", problems) else {
        return MissingColumns::Refuse;
    };
    let why = match format {
        Some(FileFormat::Json | FileFormat::DebeziumJson) => {
            Some("a field that a JSON record lacks is null already")
        }
        _ if !csv.header => Some("without a header no column is missing"),
        Some(FileFormat::Csv | FileFormat::Parquet) | None => None,
    };
    if let Some(why) = why {
        problems.push(Problem::new(missing.span, why).help("remove `missing_columns`"));
    }
    missing.value
}

fn csv(
    table: &mut Table<'_>,
    format: Option<FileFormat>,
    has_schema: bool,
    problems: &mut Vec<Problem>,
) -> CsvOptions {
    let mut options = CsvOptions {
        header: defaults::CSV_HEADER,
        delimiter: None,
        quote: defaults::CSV_QUOTE,
        escape: None,
        skip_lines: SkipLines::Count(0),
    };
    let key_span = table.get("csv").map(|entry| entry.key.span);
    let Some(mut csv) = table.table("csv", problems) else { return options };
    if let (Some(format), Some(span)) = (format, key_span)
        && format != FileFormat::Csv
    {
        problems.push(
            Problem::new(span, format!("`csv` says nothing about a source of format `{format}`"))
                .help("remove it, or write format = \"csv\""),
        );
    }
    options.header = csv.boolean("header", problems).unwrap_or(options.header);
    if !options.header && !has_schema {
        problems.push(
            Problem::new(csv.span, "a CSV file without a header has no column names")
                .help("name the columns in order by `schema`"),
        );
    }
    options.skip_lines = skip_lines(&mut csv, options.header, has_schema, problems);
    delimiter_and_quote(csv, &mut options, problems);
    options
}

/// `csv.skip_lines`: a number, or `"to-header"`.
fn skip_lines(
    csv: &mut Table<'_>,
    header: bool,
    has_schema: bool,
    problems: &mut Vec<Problem>,
) -> SkipLines {
    let Some(entry) = csv.get("skip_lines") else { return SkipLines::Count(0) };
    match &entry.node.value {
        Value::String { text, .. } if text == "to-header" => {
            if !header || !has_schema {
                problems.push(
                    Problem::new(
                        entry.node.span,
                        "the header is found as the line that has the columns of `schema`",
                    )
                    .help(if header {
                        "name the columns by `schema`, or the lines: skip_lines = 5"
                    } else {
                        "without a header write how many lines: skip_lines = 5"
                    }),
                );
            }
            SkipLines::ToHeader
        }
        Value::Integer(_) => {
            let lines = csv.integer("skip_lines", 0, SKIP_LINES_MAX, problems);
            SkipLines::Count(lines.map_or(0, |lines| lines.value as usize))
        }
        Value::String { .. }
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => {
            problems.push(
                reader::expected(&entry.node, "`skip_lines`", "a number of lines")
                    .help("such as skip_lines = 5, or skip_lines = \"to-header\""),
            );
            SkipLines::Count(0)
        }
    }
}
