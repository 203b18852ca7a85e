//! How a source's rows and columns are made: what the meaning of the state of the steps after it
//! depends on.

use arrow::datatypes::Schema;
use riskstream_engine::contract::Fact;

use crate::config::spec::{self, Pipeline, Source, SourceKind, TimeFormat};
use crate::steps::Lineage;

/// Of a source's rows, `schema` being theirs.
pub(super) fn of_source(source: &Source, pipeline: &Pipeline, schema: &Schema) -> Lineage {
    let mut lineage = Lineage::default();
    let late = match pipeline.late {
        spec::Late::Apply => "applied",
        spec::Late::DeadLetter => "dead letters",
    };
    lineage.feed.rows.push(Fact::new("late rows", late));
    event_time(&mut lineage, source, schema);
    message_parts(&mut lineage, source, schema);
    lineage
}

fn event_time(lineage: &mut Lineage, source: &Source, schema: &Schema) {
    let column = &source.event_time.column.value;
    let format = match &source.event_time.format {
        TimeFormat::Auto => return,
        TimeFormat::UnixSeconds => "seconds since 1970",
        TimeFormat::UnixMillis => "milliseconds since 1970",
        TimeFormat::UnixMicros => "microseconds since 1970",
        TimeFormat::Pattern(pattern) => pattern.as_str(),
    };
    lineage.made(schema, column, &format!("written as {format}"), &[]);
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
