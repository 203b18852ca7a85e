//! How a source's rows and columns are made: what the meaning of the state of the steps after it
//! depends on.

use arrow::datatypes::{DataType, Schema};
use riskstream_engine::contract::Fact;
use riskstream_ingest::{Encoding, EncodingChoice, NumberMarks};

use crate::config::spec::{self, Field, Pipeline, Source, SourceKind, TimeFormat};
use crate::steps::Lineage;

/// The lineage of a source's rows, which have the schema `schema`.
pub(super) fn of_source(source: &Source, pipeline: &Pipeline, schema: &Schema) -> Lineage {
    let mut lineage = Lineage::default();
    let late = match pipeline.late {
        spec::Late::Apply => "applied",
        spec::Late::DeadLetter => "dead letters",
    };
    lineage.feed.rows.push(Fact::new("late rows", late));
    forms(&mut lineage, source, schema);
    event_time(&mut lineage, source, schema);
    message_parts(&mut lineage, source, schema);
    lineage
}

fn event_time(lineage: &mut Lineage, source: &Source, schema: &Schema) {
    let time = &source.event_time;
    let parts: Vec<&str> = time.parts.iter().map(|part| part.value.as_str()).collect();
    let said = [
        (!parts.is_empty()).then(|| format!("made of {}", parts.join(" and "))),
        written_as(&time.format),
        time.zone.as_ref().map(|zone| format!("in the time of {zone}")),
    ];
    said_of(lineage, schema, &time.column.value, said);
}

/// Notes how the source writes values, where that differs from the default.
fn forms(lineage: &mut Lineage, source: &Source, schema: &Schema) {
    let encoding = match &source.kind {
        // Where a byte-order mark decides the encoding, the encoding does not change what text
        // means.
        SourceKind::File(file) => match file.encoding {
            EncodingChoice::Is(encoding) => encoding,
            EncodingChoice::Auto | EncodingChoice::Utf16 => Encoding::Utf8,
        },
        SourceKind::Kafka(kafka) => kafka.encoding,
        SourceKind::Generator(_) | SourceKind::Postgres(_) => return,
    };
    let fields = source.schema.as_deref().unwrap_or_default();
    for field in schema.fields() {
        let of_column = fields.iter().find(|of_column| of_column.name.value == *field.name());
        let said = [
            of_column.and_then(said_by),
            numbers(source, field.data_type()),
            words(source, field.data_type()),
            (matches!(encoding, Encoding::SingleByte(_)) && field.data_type() == &DataType::Utf8)
                .then(|| format!("encoded as {encoding}")),
        ];
        said_of(lineage, schema, field.name(), said);
    }
}

/// What a column of `schema` says of itself.
fn said_by(field: &Field) -> Option<String> {
    let said = [
        field.from.as_ref().map(|from| format!("read from {from}")),
        field.format.as_ref().and_then(|format| written_as(&format.value)),
        field.zone.as_ref().map(|zone| format!("in the time of {zone}")),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn numbers(source: &Source, data_type: &DataType) -> Option<String> {
    let marks = &source.forms.numbers;
    (data_type.is_numeric() && *marks != NumberMarks::default()).then(|| {
        let thousands: String = marks.thousands.iter().collect();
        format!("with the decimal mark {:?} and {thousands:?}", marks.decimal)
    })
}

fn words(source: &Source, data_type: &DataType) -> Option<String> {
    let words = source.forms.words.as_ref().filter(|_| data_type == &DataType::Boolean)?;
    Some(format!("true as {}, false as {}", words.yes.join("|"), words.no.join("|")))
}

/// How a time is written, in words; none: as usual.
fn written_as(format: &TimeFormat) -> Option<String> {
    let format = match format {
        TimeFormat::Auto => return None,
        TimeFormat::UnixSeconds => "seconds since 1970",
        TimeFormat::UnixMillis => "milliseconds since 1970",
        TimeFormat::UnixMicros => "microseconds since 1970",
        TimeFormat::Pattern(pattern) => pattern.as_str(),
    };
    Some(format!("written as {format}"))
}

/// Notes what is said of a column of a source, if anything is.
fn said_of(
    lineage: &mut Lineage,
    schema: &Schema,
    column: &str,
    said: impl IntoIterator<Item = Option<String>>,
) {
    let said: Vec<String> = said.into_iter().flatten().collect();
    if !said.is_empty() {
        lineage.made(schema, column, &said.join(", "), &[]);
    }
}

/// Columns of a topic that are not taken from the message's value.
fn message_parts(lineage: &mut Lineage, source: &Source, schema: &Schema) {
    let SourceKind::Kafka(kafka) = &source.kind else { return };
    for (column, part) in &kafka.columns {
        let part = match part {
            spec::MessagePart::Key => "the message's key".to_owned(),
            spec::MessagePart::Timestamp => "the message's timestamp".to_owned(),
            spec::MessagePart::Header(header) => format!("the message's header {header}"),
        };
        lineage.made(schema, &column.value, &part, &[]);
    }
}
