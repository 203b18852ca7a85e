//! `[sources.NAME]`.

use std::time::Duration;

use arrow::datatypes::DataType;
use chrono::{Datelike, NaiveDate};

use riskstream_engine::contract::COMMITTED_AT;
use riskstream_ingest::{EncodingChoice, SkipLines, TimePattern, ValueForms};

use super::formats::{debezium, delimiter_and_quote};
use super::shared::{check_local, unknown_kind};
use super::{forms, postgres};
use crate::config::defaults;
use crate::config::document::{Entry, Value};
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::{Span, Spanned};
use crate::config::spec::{
    Compression, CsvOptions, EventTime, Field, FileFormat, FileSource, GeneratorSource,
    KafkaFormat, Loans, MissingColumns, Payments, Rate, Simulation, SimulationKind, Source,
    SourceKind, Sql, TimeFormat, WhenQuiet, timestamp_type,
};
use crate::config::suggest;
use crate::config::values::NameKind;

/// The kinds of this release, and those that are known to come.
const KINDS: [&str; 4] = ["file", "generator", "kafka", "postgres"];
const KINDS_LATER: [&str; 2] = ["http", "bank-api"];
/// Customers and terminals at most: their ids are 31 bits wide where 32-bit ids are asked for.
const SIMULATED_MAX: u64 = i32::MAX as u64;
/// A customer uses the terminals within this, of a map of 100 by 100: at least those at his door.
const RADIUS_MIN: f64 = 0.01;
/// A century of simulated days, or months.
const DAYS_MAX: u64 = 36_525;
const MONTHS_MAX: u64 = 1_200;
/// Lenders at most: each has a minute of the night for its changes.
const LENDERS_MAX: u64 = 180;

/// Lines before a header at most.
const SKIP_LINES_MAX: u64 = 100_000;
/// Why columns of captured changes have no forms.
pub(super) const CHANGES_HAVE_NO_FORMS: &str =
    "changes of a table have its columns' names, and Debezium's ways of writing them";

/// What could be read of a source.
pub(super) struct ReadSource {
    pub(super) source: Option<Source>,
    /// Whether its columns, if given, were read without a problem.
    pub(super) has_sound_columns: bool,
}

pub(super) fn source(entry: &Entry, problems: &mut Vec<Problem>) -> ReadSource {
    let nothing = ReadSource { source: None, has_sound_columns: false };
    let Some(mut table) = Table::new(&entry.node, format!("source `{}`", entry.key), problems)
    else {
        return nothing;
    };
    let kind_name = match table.required("kind", "kind = \"file\"", problems) {
        Some(kind) => reader::string(&kind.node, "`kind`", problems),
        None => None,
    };
    let mut schema = schema(&mut table, problems);
    let has_sound_columns = schema.is_some() || table.get("schema").is_none();
    let event_time = event_time(&mut table, problems);
    let has_schema = schema.is_some() || !has_sound_columns;
    let checks = checks(&mut table, problems);
    let kind = match kind_name.as_ref().map(|kind| kind.value.as_str()) {
        Some("file") => {
            file(&mut table, schema.as_deref(), has_schema, problems).map(SourceKind::File)
        }
        Some("generator") => {
            if schema.is_some() {
                let span = table.get("schema").map_or(table.span, |entry| entry.key.span);
                problems.push(
                    Problem::new(span, "a generator knows its own columns").help("remove `schema`"),
                );
            }
            let Some(generator) = generator(&mut table, problems) else {
                // Which keys belong here can't be said without `of`.
                return ReadSource { source: None, has_sound_columns: false };
            };
            Some(SourceKind::Generator(generator))
        }
        Some("kafka") => {
            super::kafka::source(&mut table, schema.as_mut(), problems).map(SourceKind::Kafka)
        }
        Some("postgres") => postgres::postgres(&mut table, problems).map(SourceKind::Postgres),
        _ => {
            if let Some(kind) = &kind_name {
                problems.push(unknown_kind(kind, "source", &KINDS, &KINDS_LATER));
            }
            // Which keys belong here can't be said without the kind.
            return ReadSource { source: None, has_sound_columns };
        }
    };
    let of_changes = match &kind {
        Some(SourceKind::File(file)) => file.format == Some(FileFormat::DebeziumJson),
        Some(SourceKind::Generator(generator)) => matches!(generator.of, Simulation::Loans(_)),
        Some(SourceKind::Kafka(kafka)) => kafka.format == KafkaFormat::DebeziumJson,
        Some(SourceKind::Postgres(_)) => true,
        None => false,
    };
    let forms = match &kind {
        Some(SourceKind::File(_) | SourceKind::Kafka(_)) => {
            forms::forms(&mut table, has_schema, !of_changes, problems)
        }
        Some(SourceKind::Generator(_) | SourceKind::Postgres(_)) => {
            let fields = schema.as_deref().unwrap_or_default();
            let why = "only columns of files and messages have a form of their own";
            forms::refuse_forms(fields, why, problems);
            ValueForms::default()
        }
        None => ValueForms::default(),
    };
    if let Some(Some(said)) = &event_time {
        check_time(&said.time, kind.as_ref(), &mut schema, problems);
    }
    if let (true, Some(Some(time))) = (of_changes, &event_time)
        && time.time.column.value != COMMITTED_AT
    {
        let column = &time.time.column;
        problems.push(
            Problem::new(
                column.span,
                format!("a deleted row has no `{column}`, so changes can't be ordered by it"),
            )
            .help(format!("leave `column` as it is: changes happen at `{COMMITTED_AT}`")),
        );
    }
    let default = match &kind {
        Some(SourceKind::Postgres(_)) => Some(postgres::event_time(entry.key.span)),
        Some(_) if of_changes => Some(changes_event_time(entry.key.span)),
        Some(SourceKind::Generator(_)) => Some(generator_event_time(entry.key.span)),
        _ => None,
    };
    let event_time = match (event_time, default) {
        (Some(said), default) => said.map(|said| said.or(default.as_ref())),
        (None, Some(default)) => Some(default),
        // What is wrong with it was said.
        (None, None) if kind_name.as_ref().is_some_and(|kind| kind.value == "postgres") => None,
        (None, None) => {
            problems
                .push(Problem::new(table.span, format!("{} has no `event_time`", table.what)).help(
                "add event_time = { column = \"NAME\" }: the column that says when a row happened",
            ));
            None
        }
    };
    table.finish(problems);
    let source = match (kind, event_time) {
        (Some(kind), Some(event_time)) => {
            Some(Source { name: entry.key.clone(), kind, event_time, schema, forms, checks })
        }
        _ => None,
    };
    ReadSource { source, has_sound_columns }
}

fn schema(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Field>> {
    let schema = table.table("schema", problems)?;
    if schema.entries().is_empty() {
        problems.push(
            Problem::new(schema.span, "the schema has no columns")
                .help("name columns and types, or remove `schema` to have it inferred"),
        );
    }
    let mut fields = Vec::new();
    for entry in schema.entries() {
        if entry.key.value.is_empty() || entry.key.value.chars().any(char::is_control) {
            problems.push(Problem::new(
                entry.key.span,
                "a column needs a name without control characters",
            ));
        }
        fields.extend(forms::field(entry, problems));
    }
    for (place, field) in fields.iter().enumerate() {
        let input = |field: &Field| field.from.as_ref().unwrap_or(&field.name).clone();
        let (here, span) = (input(field), field.from.as_ref().map(|from| from.span));
        let same = fields[..place].iter().find(|before| input(before).value == here.value);
        if let Some(before) = same {
            problems.push(
                Problem::new(
                    span.unwrap_or(field.name.span),
                    format!("a second column is read from `{here}`"),
                )
                .related(input(before).span, "the first")
                .help("make one of the other by a `derive` step"),
            );
        }
    }
    Some(fields)
}

fn checks(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Vec<Sql> {
    let Some(entry) = table.get("checks") else { return Vec::new() };
    match &entry.node.value {
        Value::Array(elements) => elements
            .iter()
            .filter_map(|element| reader::sql(element, "a check", problems))
            .collect(),
        Value::String { .. } => {
            reader::sql(&entry.node, "`checks`", problems).into_iter().collect()
        }
        _ => {
            problems.push(
                reader::expected(&entry.node, "`checks`", "an array of SQL expressions")
                    .help("such as checks = [\"tx_amount >= 0\"]"),
            );
            Vec::new()
        }
    }
}

/// What an event time says of the columns that it is made of, and of its zone; one that is made is
/// added to `schema`.
fn check_time(
    time: &EventTime,
    kind: Option<&SourceKind>,
    schema: &mut Option<Vec<Field>>,
    problems: &mut Vec<Problem>,
) {
    let is_read = matches!(kind, Some(SourceKind::File(_) | SourceKind::Kafka(_)) | None);
    let is_of = |format: FileFormat| match kind {
        Some(SourceKind::File(file)) => file.format == Some(format),
        Some(SourceKind::Kafka(kafka)) => kafka.format.as_str() == format.as_str(),
        Some(SourceKind::Generator(_) | SourceKind::Postgres(_)) | None => false,
    };
    let knows = !is_read || is_of(FileFormat::DebeziumJson);
    if let Some(zone) = &time.zone {
        if knows {
            let problem = Problem::new(zone.span, "these times are instants already");
            problems.push(problem.help("remove `zone`"));
        } else {
            forms::check_zone(zone, &time.format, problems);
        }
    }
    if let Some(fields) = schema
        && let Some(field) = fields.iter().find(|field| field.name.value == time.column.value)
        && let Some(span) =
            field.format.as_ref().map(|f| f.span).or(field.zone.as_ref().map(|z| z.span))
    {
        problems.push(
            Problem::new(span, format!("`{}` is the event time", time.column))
                .help("say how it is written in `event_time`: format = \"...\", zone = \"...\""),
        );
    }
    let Some(first) = time.parts.first() else { return };
    if knows || is_of(FileFormat::Parquet) {
        problems.push(
            Problem::new(first.span, "only records of JSON or CSV have a time in several columns")
                .help("name one column"),
        );
        return;
    }
    let Some(fields) = schema else { return };
    for part in &time.parts {
        let field = fields.iter().find(|field| field.name.value == part.value);
        if let Some(field) = field
            && !matches!(field.data_type.value, DataType::Utf8 | DataType::Null)
        {
            problems.push(
                Problem::new(
                    field.data_type.span,
                    format!("the event time is made of the text of `{part}`"),
                )
                .related(part.span, "here")
                .help(format!("make it a `string`, or leave `{part}` out of `schema`")),
            );
        }
        let has_names = match kind {
            Some(SourceKind::File(file)) => file.csv.header,
            Some(SourceKind::Kafka(kafka)) => kafka.format != KafkaFormat::Csv,
            Some(SourceKind::Generator(_) | SourceKind::Postgres(_)) | None => true,
        };
        if field.is_none() && !has_names {
            problems.push(
                Problem::new(part.span, format!("there is no column `{part}`"))
                    .help("fields have no names here: `schema` names them in their order"),
            );
        }
    }
    if let Some(field) = fields.iter().find(|field| field.name.value == time.column.value) {
        problems.push(
            Problem::new(field.name.span, format!("the event time is made as `{}`", time.column))
                .related(first.span, "of these columns")
                .help("leave it out of `schema`, or give the event time another name by `as`"),
        );
        return;
    }
    fields.push(Field::new(time.column.clone(), Spanned::new(timestamp_type(), time.column.span)));
}

fn file(
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
            forms::refuse_forms(fields, CHANGES_HAVE_NO_FORMS, problems);
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
        _ => {
            problems.push(
                reader::expected(&entry.node, "`skip_lines`", "a number of lines")
                    .help("such as skip_lines = 5, or skip_lines = \"to-header\""),
            );
            SkipLines::Count(0)
        }
    }
}

/// `None` when it isn't said what is simulated.
fn generator(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<GeneratorSource> {
    let is_said = table.get("of").is_some();
    let kind = match table.keyword::<SimulationKind>("of", problems) {
        Some(kind) => kind.value,
        None if is_said => return None,
        None => SimulationKind::Payments,
    };
    let integer = |table: &mut Table<'_>, key, max, default: u64, problems: &mut Vec<Problem>| {
        table.integer(key, 1, max, problems).map_or(default, |value| value.value)
    };
    let seed = table
        .integer("seed", 0, u64::MAX, problems)
        .map_or(defaults::GENERATOR_SEED, |seed| seed.value);
    let (of, start) = match kind {
        SimulationKind::Payments => {
            let payments = Payments {
                customers: integer(
                    table,
                    "customers",
                    SIMULATED_MAX,
                    defaults::GENERATOR_CUSTOMERS,
                    problems,
                ),
                terminals: integer(
                    table,
                    "terminals",
                    SIMULATED_MAX,
                    defaults::GENERATOR_TERMINALS,
                    problems,
                ),
                radius: table
                    .number("radius", RADIUS_MIN, 150.0, problems)
                    .map_or(defaults::GENERATOR_RADIUS, |radius| radius.value),
                days: integer(
                    table,
                    "days",
                    DAYS_MAX,
                    u64::from(defaults::GENERATOR_DAYS),
                    problems,
                ) as u32,
            };
            (Simulation::Payments(payments), start(table, defaults::GENERATOR_START, problems))
        }
        SimulationKind::Loans => {
            let loans = Loans {
                loans: integer(table, "loans", SIMULATED_MAX, defaults::GENERATOR_LOANS, problems),
                lenders: integer(
                    table,
                    "lenders",
                    LENDERS_MAX,
                    u64::from(defaults::GENERATOR_LENDERS),
                    problems,
                ) as u32,
                months: integer(
                    table,
                    "months",
                    MONTHS_MAX,
                    u64::from(defaults::GENERATOR_MONTHS),
                    problems,
                ) as u32,
            };
            let first = start(table, defaults::GENERATOR_LOANS_START, problems);
            if let Some(entry) = table.get("start")
                && first.day() != 1
            {
                let month = first.format("%Y-%m-01");
                problems.push(
                    Problem::new(
                        entry.node.span,
                        "the `start` of a loan book isn't the first of a month",
                    )
                    .help(format!("such as start = {month}")),
                );
            }
            (Simulation::Loans(loans), first)
        }
    };
    Some(GeneratorSource {
        of,
        seed,
        start,
        rate: rate(table, problems),
        rows: table.integer("rows", 1, u64::MAX, problems).map(|rows| rows.value),
        broken_share: table
            .number("broken_share", 0.0, 1.0, problems)
            .map_or(defaults::GENERATOR_BROKEN_SHARE, |share| share.value),
    })
}

fn start(
    table: &mut Table<'_>,
    (year, month, day): (i32, u32, u32),
    problems: &mut Vec<Problem>,
) -> NaiveDate {
    let default = NaiveDate::from_ymd_opt(year, month, day).unwrap_or(NaiveDate::MIN);
    let Some(entry) = table.get("start") else { return default };
    let parsed = match &entry.node.value {
        Value::String { text, .. } | Value::Datetime(text) => text.parse::<NaiveDate>().ok(),
        _ => None,
    };
    // Years that Parquet readers and dates in text agree on.
    let (first, last) = (NaiveDate::from_ymd_opt(1970, 1, 1), NaiveDate::from_ymd_opt(2200, 1, 1));
    match parsed.filter(|date| Some(*date) >= first && Some(*date) < last) {
        Some(date) => date,
        None => {
            problems.push(
                Problem::new(entry.node.span, "`start` isn't a day from 1970 to 2199")
                    .help("such as start = 2018-04-01"),
            );
            default
        }
    }
}

fn rate(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Rate {
    let Some(entry) = table.get("rate") else { return Rate::Max };
    let rate = match &entry.node.value {
        Value::String { text, .. } if text == "max" => return Rate::Max,
        Value::Integer(rate) => *rate as f64,
        Value::Float(rate) => *rate,
        _ => f64::NAN,
    };
    if rate > 0.0 && rate.is_finite() {
        return Rate::PerSecond(rate);
    }
    problems.push(
        Problem::new(entry.node.span, "`rate` isn't a number of rows per second")
            .help("such as rate = 20000, or rate = \"max\""),
    );
    Rate::Max
}

fn generator_event_time(span: Span) -> EventTime {
    EventTime {
        column: Spanned::new(defaults::GENERATOR_EVENT_TIME.into(), span),
        parts: Vec::new(),
        zone: None,
        format: TimeFormat::Auto,
        // The generator emits in event-time order.
        out_of_orderness: Duration::ZERO,
        ties_by: vec![Spanned::new(defaults::GENERATOR_TIES_BY.into(), span)],
        idle_after: defaults::IDLE_AFTER,
        skew_max: defaults::SKEW_MAX,
        when_quiet: defaults::WHEN_QUIET,
        future_skew_max: defaults::FUTURE_SKEW_MAX,
    }
}

fn changes_event_time(span: Span) -> EventTime {
    EventTime {
        column: Spanned::new(COMMITTED_AT.into(), span),
        parts: Vec::new(),
        zone: None,
        format: TimeFormat::Auto,
        out_of_orderness: Duration::ZERO,
        ties_by: Vec::new(),
        idle_after: defaults::IDLE_AFTER,
        skew_max: defaults::SKEW_MAX,
        when_quiet: defaults::WHEN_QUIET,
        future_skew_max: defaults::FUTURE_SKEW_MAX,
    }
}

/// An event time as far as it is said.
struct SaidTime {
    time: EventTime,
    has_out_of_orderness: bool,
    has_when_quiet: bool,
}

impl SaidTime {
    /// What was not said is as in `default`, if that is of the same column.
    fn or(self, default: Option<&EventTime>) -> EventTime {
        let Self { mut time, has_out_of_orderness, has_when_quiet } = self;
        if let Some(default) = default.filter(|default| default.column.value == time.column.value) {
            if !has_out_of_orderness {
                time.out_of_orderness = default.out_of_orderness;
            }
            if !has_when_quiet {
                time.when_quiet = default.when_quiet;
            }
        }
        time
    }
}

/// `None`: absent; `Some(None)`: there, but wrong.
fn event_time(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Option<SaidTime>> {
    let entry = table.get("event_time")?;
    if let Value::String { text, .. } = &entry.node.value {
        problems.push(
            reader::expected(&entry.node, "`event_time`", "a table")
                .help(format!("did you mean event_time = {{ column = \"{text}\" }}?")),
        );
        return Some(None);
    }
    let Some(mut time) = Table::new(&entry.node, "`event_time`", problems) else {
        return Some(None);
    };
    let columns = time
        .required("column", "column = \"NAME\"", problems)
        .and_then(|column| reader::strings(&column.node, "column", problems));
    let made = time.string("as", problems);
    let (column, parts) = named_time(columns, made, problems);
    let zone = time.string("zone", problems);
    let format = time
        .string("format", problems)
        .map_or(TimeFormat::Auto, |format| time_format(&format, problems));
    let duration = |time: &mut Table<'_>, key, default, problems: &mut Vec<Problem>| {
        time.duration(key, problems).map_or(default, |value| value.value)
    };
    let (has_out_of_orderness, has_when_quiet) =
        (time.get("out_of_orderness").is_some(), time.get("when_quiet").is_some());
    let out_of_orderness =
        duration(&mut time, "out_of_orderness", defaults::OUT_OF_ORDERNESS, problems);
    let ties_by = time.strings("ties_by", problems).unwrap_or_default();
    let idle_after = duration(&mut time, "idle_after", defaults::IDLE_AFTER, problems);
    let skew_max = duration(&mut time, "skew_max", defaults::SKEW_MAX, problems);
    let when_quiet = time
        .keyword::<WhenQuiet>("when_quiet", problems)
        .map_or(defaults::WHEN_QUIET, |quiet| quiet.value);
    let future_skew_max =
        duration(&mut time, "future_skew_max", defaults::FUTURE_SKEW_MAX, problems);
    time.finish(problems);
    let said = |column| {
        let time = EventTime {
            column,
            parts,
            zone,
            format,
            out_of_orderness,
            ties_by,
            idle_after,
            skew_max,
            when_quiet,
            future_skew_max,
        };
        SaidTime { time, has_out_of_orderness, has_when_quiet }
    };
    Some(column.map(said))
}

/// The column of an event time, and those that it is made of where `column` names several.
fn named_time(
    columns: Option<Vec<Spanned<String>>>,
    made: Option<Spanned<String>>,
    problems: &mut Vec<Problem>,
) -> (Option<Spanned<String>>, Vec<Spanned<String>>) {
    let Some(mut columns) = columns else { return (None, Vec::new()) };
    let Some(first) = columns.first() else {
        if let Some(made) = &made {
            problems.push(Problem::new(made.span, "`column` names no column"));
        }
        return (None, Vec::new());
    };
    if columns.len() == 1 {
        if let Some(made) = &made {
            problems.push(
                Problem::new(made.span, "`as` names an event time that is made of several columns")
                    .help("remove it, or name them: column = [\"date\", \"time\"]"),
            );
        }
        return (columns.pop(), Vec::new());
    }
    let span = first.span;
    for (place, column) in columns.iter().enumerate() {
        if columns[..place].iter().any(|before| before.value == column.value) {
            problems.push(Problem::new(column.span, format!("`{column}` is there twice")));
        }
    }
    let made = made.unwrap_or_else(|| Spanned::new(defaults::MADE_EVENT_TIME.to_owned(), span));
    reader::check_name(NameKind::Identifier, &made, "the event time", problems);
    (Some(made), columns)
}

pub(super) fn time_format(text: &Spanned<String>, problems: &mut Vec<Problem>) -> TimeFormat {
    match text.value.as_str() {
        "auto" => TimeFormat::Auto,
        "unix-s" => TimeFormat::UnixSeconds,
        "unix-ms" => TimeFormat::UnixMillis,
        "unix-us" => TimeFormat::UnixMicros,
        pattern => {
            let help = "it is `auto` (RFC 3339), `unix-s`, `unix-ms`, `unix-us`, or a strftime \
                        pattern such as \"%d/%m/%Y %H:%M:%S\"";
            if !pattern.contains('%') {
                let problem = Problem::new(text.span, format!("`{text}` isn't a time format"));
                problems.push(
                    match suggest::closest(pattern, ["auto", "unix-s", "unix-ms", "unix-us"]) {
                        Some(near) => problem.help(format!("did you mean `{near}`?")),
                        None => problem.help(help),
                    },
                );
                return TimeFormat::Auto;
            }
            match TimePattern::parse(pattern) {
                Ok(pattern) => TimeFormat::Pattern(pattern),
                Err(error) => {
                    problems.push(Problem::new(text.span, error.message).help(error.help));
                    TimeFormat::Auto
                }
            }
        }
    }
}
