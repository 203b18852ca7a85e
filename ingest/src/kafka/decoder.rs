//! Messages into rows.

use crate::decode::{BlockOrigin, RecordDecoder, RecordFormat, RowRules};
use crate::kafka::MessagePart;
use crate::kafka::messages::{Message, Messages};
use riskstream_engine::contract::{Block, Decoded, Decoder, Payload, SourceError};
use std::sync::{Arc, PoisonError, RwLock};

/// Names of partitions by number, for dead letters; grows as partitions are found.
pub(crate) type PartitionNames = Arc<RwLock<Vec<Arc<str>>>>;

/// What decoders need to know of a source.
#[derive(Debug)]
pub(crate) struct DecoderSpec {
    pub(crate) rules: Arc<RowRules>,
    pub(crate) format: RecordFormat,
    pub(crate) skip_tombstones: bool,
    /// Columns that parts of the message fill.
    pub(crate) parts: Vec<(usize, Part)>,
    pub(crate) names: PartitionNames,
}

/// A [`MessagePart`] as messages hold it: headers by their number among the wanted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Timestamp,
    Header(usize),
}

/// The parts, and the names of the headers that are wanted.
pub(crate) fn wanted_parts(
    parts: impl Iterator<Item = (usize, MessagePart)>,
) -> (Vec<(usize, Part)>, Vec<String>) {
    let mut headers: Vec<String> = Vec::new();
    let parts = parts
        .map(|(column, part)| match part {
            MessagePart::Key => (column, Part::Key),
            MessagePart::Timestamp => (column, Part::Timestamp),
            MessagePart::Header(name) => {
                let number = headers.iter().position(|h| *h == name).unwrap_or_else(|| {
                    headers.push(name);
                    headers.len() - 1
                });
                (column, Part::Header(number))
            }
        })
        .collect();
    (parts, headers)
}

/// Decodes the blocks of a Kafka source; one per worker.
pub(crate) struct KafkaDecoder {
    spec: Arc<DecoderSpec>,
    records: Option<Box<RecordDecoder>>,
}

impl KafkaDecoder {
    pub(crate) fn new(spec: Arc<DecoderSpec>) -> Self {
        Self { spec, records: None }
    }
}

impl Decoder for KafkaDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let spec = &self.spec;
        let bug = |reason: &str| SourceError::Bug {
            source_name: spec.rules.source_name.clone(),
            reason: reason.to_owned(),
        };
        let Payload::Messages { messages, .. } = block.payload else {
            return Err(bug("a payload of another source"));
        };
        let messages =
            messages.downcast::<Messages>().map_err(|_| bug("a payload of another source"))?;
        let name = spec
            .names
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(block.partition as usize)
            .cloned();
        let name = name.ok_or_else(|| bug("a block of an unknown partition"))?;
        let records = match &mut self.records {
            Some(records) => records,
            none => none.insert(Box::new(RecordDecoder::new(Arc::clone(&spec.rules))?)),
        };
        records.begin(
            BlockOrigin {
                partition: block.partition,
                partition_name: name,
                read_at: block.read_at,
            },
            messages.bytes(),
        );
        for message in messages.iter() {
            decode_message(spec, records, &message);
        }
        records.finish()
    }
}

/// One message into a row, a rejected row, or nothing where tombstones are skipped. The one place
/// where a format meets a message: its key, value, headers and timestamp are all there.
fn decode_message(spec: &DecoderSpec, records: &mut RecordDecoder, message: &Message<'_>) {
    let Some(value) = message.value else {
        if !spec.skip_tombstones && !matches!(spec.format, RecordFormat::Debezium(_)) {
            records.push_tombstone(message.key, message.offset);
        }
        return;
    };
    records.carry_nothing();
    for (column, part) in &spec.parts {
        match part {
            Part::Key => records.carry_text(*column, message.key),
            Part::Header(number) => records.carry_text(*column, message.header(*number)),
            Part::Timestamp => {
                records.carry_time(*column, message.timestamp.map(|ms| ms.saturating_mul(1_000)))
            }
        }
    }
    if let (RecordFormat::Debezium(options), true) =
        (&spec.format, value.len() as u64 == message.whole)
    {
        records.push_change(
            message.key,
            value,
            message.offset,
            message.timestamp.map(|ms| ms.saturating_mul(1_000)),
            *options,
        );
    } else if value.len() as u64 == message.whole {
        records.push_message(value, message.offset, &spec.format);
    } else {
        records.push_too_long(value, message.whole, message.offset);
    }
}
