//! `kind = "kafka"`: what sources and destinations of this kind have in common, and each.

use arrow::datatypes::DataType;

use riskstream_ingest::{Encoding, EncodingChoice};

use super::formats::{csv_options, debezium};
use super::forms;
use crate::config::defaults;
use crate::config::document::Value;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::{Span, Spanned};
use crate::config::spec::{
    Field, Isolation, KafkaDestination, KafkaFormat, KafkaSource, KafkaStart, KafkaStop,
    MessagePart, Tombstones, timestamp_type,
};
use crate::config::suggest;

/// Longest topic name in Kafka.
const TOPIC_MAX: usize = 249;

/// A source; columns that other parts of the message fill are added to `schema` where that lacks
/// them.
pub(super) fn source(
    table: &mut Table<'_>,
    schema: Option<&mut Vec<Field>>,
    problems: &mut Vec<Problem>,
) -> Option<KafkaSource> {
    let brokers = brokers(table, problems);
    let topic = topic(table, problems);
    let format = format(table, problems);
    let csv = csv_options(table, format == Some(KafkaFormat::Csv), problems);
    let debezium = debezium(table, format == Some(KafkaFormat::DebeziumJson), problems);
    let start =
        table.keyword::<KafkaStart>("start", problems).map_or(defaults::KAFKA_START, |v| v.value);
    let stop =
        table.keyword::<KafkaStop>("stop", problems).map_or(defaults::KAFKA_STOP, |v| v.value);
    let isolation = table
        .keyword::<Isolation>("isolation", problems)
        .map_or(defaults::KAFKA_ISOLATION, |v| v.value);
    let tombstones = table
        .keyword::<Tombstones>("tombstones", problems)
        .map_or(defaults::KAFKA_TOMBSTONES, |v| v.value);
    let group = table.string("group", problems);
    let columns = columns(table, problems);
    let settings = settings(table, riskstream_ingest::setting_refused, problems);
    let encoding = encoding(table, format, problems);
    if let Some(fields) = schema.as_deref() {
        match format {
            Some(KafkaFormat::Csv) => {
                forms::refuse_from(
                    fields,
                    "fields of a message have no names: they are the columns in their order",
                    problems,
                );
            }
            Some(KafkaFormat::DebeziumJson) => {
                forms::refuse_forms(fields, forms::CHANGES_HAVE_NO_FORMS, problems)
            }
            Some(KafkaFormat::Json) | None => {}
        }
    }
    match schema {
        Some(schema) => add_columns(schema, &columns),
        None => {
            if table.get("schema").is_none() {
                problems.push(
                    Problem::new(table.span, format!("{} has no `schema`", table.what)).help(
                        "name the columns of the messages, such as schema = { id = \"int64\", \
                         amount = \"decimal(12,2)\" }",
                    ),
                );
            }
        }
    }
    Some(KafkaSource {
        brokers: brokers?,
        topic: topic?,
        format: format?,
        encoding,
        csv,
        debezium,
        start,
        stop,
        isolation,
        tombstones,
        group,
        columns,
        settings,
    })
}

/// A destination.
pub(super) fn destination(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<KafkaDestination> {
    let brokers = brokers(table, problems);
    let topic = topic(table, problems);
    let key = table.string("key", problems);
    if let Some(format) = table.string("format", problems)
        && format.value != KafkaFormat::Json.as_str()
    {
        problems.push(
            Problem::new(format.span, format!("rows are not written as `{format}`"))
                .help("messages are JSON objects: format = \"json\""),
        );
    }
    let mut headers = Vec::new();
    if let Some(table) = table.table("headers", problems) {
        for entry in table.entries() {
            let column = reader::string(
                &entry.node,
                &format!("the column of the header `{}`", entry.key),
                problems,
            );
            headers.extend(column.map(|column| (entry.key.clone(), column)));
        }
    }
    let settings = settings(table, riskstream_sinks::kafka_setting_refused, problems);
    Some(KafkaDestination { brokers: brokers?, topic: topic?, key, headers, settings })
}

fn brokers(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Spanned<String>> {
    let entry = table.required("brokers", "brokers = \"localhost:9092\"", problems)?;
    let brokers = reader::string(&entry.node, "`brokers`", problems)?;
    for broker in brokers.value.split(',').map(str::trim) {
        let port = broker
            .rsplit_once(':')
            .map(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if port != Some(true) {
            problems.push(
                Problem::new(brokers.span, format!("`{broker}` isn't a broker"))
                    .help("write host:port, several with commas between: \"a:9092,b:9092\""),
            );
            return None;
        }
    }
    Some(brokers)
}

fn topic(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Spanned<String>> {
    let entry = table.required("topic", "topic = \"NAME\"", problems)?;
    let topic = reader::string(&entry.node, "`topic`", problems)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.value.len() > TOPIC_MAX
        || !topic.value.chars().all(allowed)
        || matches!(&*topic.value, "." | "..")
    {
        problems.push(Problem::new(topic.span, format!("`{topic}` can't be a topic's name")).help(
            format!(
                "it is made of letters, digits, `.`, `_` and `-`, at most {TOPIC_MAX}; a source \
                 reads one topic"
            ),
        ));
        return None;
    }
    Some(topic)
}

fn format(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<KafkaFormat> {
    let entry = table.required("format", "format = \"json\"", problems)?;
    let format = reader::string(&entry.node, "`format`", problems)?;
    reader::keyword::<KafkaFormat>("format", &format, problems)
}

/// The encoding of messages, which have no byte-order mark: UTF-16 has to say its byte order.
fn encoding(
    table: &mut Table<'_>,
    format: Option<KafkaFormat>,
    problems: &mut Vec<Problem>,
) -> Encoding {
    let Some(choice) = forms::encoding(table, problems) else { return Encoding::Utf8 };
    if format == Some(KafkaFormat::DebeziumJson) {
        problems.push(Problem::new(choice.span, "Debezium writes UTF-8").help("remove `encoding`"));
    }
    match choice.value {
        EncodingChoice::Is(encoding) => encoding,
        EncodingChoice::Auto => Encoding::Utf8,
        EncodingChoice::Utf16 => {
            problems.push(
                Problem::new(choice.span, "a message has no byte-order mark")
                    .help("say which UTF-16 it is: `utf-16le` or `utf-16be`"),
            );
            Encoding::Utf8
        }
    }
}

fn columns(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<(Spanned<String>, MessagePart)> {
    let mut columns = Vec::new();
    let Some(table) = table.table("columns", problems) else { return columns };
    for entry in table.entries() {
        let Some(text) = reader::string(
            &entry.node,
            &format!("the part of the message for `{}`", entry.key),
            problems,
        ) else {
            continue;
        };
        let part = match text.value.split_once(':') {
            Some(("header", name)) if !name.is_empty() => MessagePart::Header(name.to_owned()),
            None if text.value == "key" => MessagePart::Key,
            None if text.value == "timestamp" => MessagePart::Timestamp,
            _ => {
                let help = suggest::closest(&text.value, ["key", "timestamp"])
                    .map(|near| format!("did you mean `{near}`?"));
                problems.push(
                    Problem::new(text.span, format!("`{text}` isn't a part of a message")).help(
                        help.unwrap_or_else(|| {
                            "the parts are `key`, `timestamp` and `header:NAME`".into()
                        }),
                    ),
                );
                continue;
            }
        };
        columns.push((entry.key.clone(), part));
    }
    columns
}

/// Adds the columns that `schema` lacks: a message's timestamp as a timestamp, keys and headers as
/// text.
fn add_columns(schema: &mut Vec<Field>, columns: &[(Spanned<String>, MessagePart)]) {
    for (name, part) in columns {
        if !schema.iter().any(|field| field.name.value == name.value) {
            let data_type =
                if *part == MessagePart::Timestamp { timestamp_type() } else { DataType::Utf8 };
            schema.push(Field::new(name.clone(), Spanned::new(data_type, name.span)));
        }
    }
}

/// `settings = { "security.protocol" = "SASL_SSL", ... }`; a value `${NAME}` is that of an
/// environment variable.
fn settings(
    table: &mut Table<'_>,
    refused: impl Fn(&str) -> Option<&'static str>,
    problems: &mut Vec<Problem>,
) -> Vec<(Spanned<String>, String)> {
    let mut settings = Vec::new();
    let Some(table) = table.table("settings", problems) else { return settings };
    for entry in table.entries() {
        if let Some(advice) = refused(&entry.key.value) {
            problems.push(
                Problem::new(
                    entry.key.span,
                    format!("`{}` is not for `settings` to say", entry.key),
                )
                .help(advice),
            );
            continue;
        }
        let value = match &entry.node.value {
            Value::Integer(number) => Some(number.to_string()),
            Value::Boolean(value) => Some(value.to_string()),
            Value::String { .. }
            | Value::Float(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => {
                reader::string(&entry.node, &format!("the setting `{}`", entry.key), problems)
                    .and_then(|text| expanded(&text.value, text.span, problems))
            }
        };
        settings.extend(value.map(|value| (entry.key.clone(), value)));
    }
    settings
}

fn expanded(text: &str, span: Span, problems: &mut Vec<Problem>) -> Option<String> {
    let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return Some(text.to_owned());
    };
    match std::env::var(name) {
        Ok(value) => Some(value),
        Err(_) => {
            problems.push(
                Problem::new(span, format!("there is no environment variable `{name}`"))
                    .help("set it before the program is started"),
            );
            None
        }
    }
}
