//! What the feed knows of a file and its decoders on the workers need: names and CSV layouts; and
//! the decoder itself.

use crate::decode::{BlockOrigin, RecordDecoder, RecordFormat, RowRules, RowsDecoder};
use crate::file::format::FileFormat;
use bytes::Bytes;
use riskstream_engine::contract::{Block, Decoded, Decoder, Payload, SourceError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A partition as decoders see it.
#[derive(Debug, Clone)]
pub(crate) struct SharedPartition {
    pub(crate) name: Arc<str>,
    pub(crate) format: RecordFormat,
}

/// State shared by a source and its decoders. Partitions are added, and get their layout before
/// their first block.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    partitions: RwLock<Vec<Arc<SharedPartition>>>,
    /// Fields that the schema lacks.
    pub(crate) ignored_fields: AtomicU64,
}

impl Shared {
    /// Adds or replaces a partition; those before it must be there.
    pub(crate) fn set(&self, partition: u32, value: SharedPartition) {
        let mut partitions = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        let index = partition as usize;
        if index < partitions.len() {
            partitions[index] = Arc::new(value);
        } else {
            partitions.push(Arc::new(value));
        }
    }

    /// Says how a partition's records are written.
    pub(crate) fn set_format(&self, partition: u32, format: RecordFormat) {
        if let Some(known) = self.get(partition)
            && known.format != format
        {
            self.set(partition, SharedPartition { name: Arc::clone(&known.name), format });
        }
    }

    pub(crate) fn get(&self, partition: u32) -> Option<Arc<SharedPartition>> {
        self.partitions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(partition as usize)
            .cloned()
    }
}

/// A record that is longer than the limit.
#[derive(Debug)]
pub(crate) struct TooLongRecord {
    pub(crate) head: Bytes,
    pub(crate) length: u64,
}

/// Decodes the blocks of a file source; one per worker.
pub(crate) struct FileDecoder {
    shared: Arc<Shared>,
    rules: Arc<RowRules>,
    inner: Inner,
}

enum Inner {
    Text(Option<Box<RecordDecoder>>),
    Rows(RowsDecoder),
}

impl FileDecoder {
    pub(crate) fn new(shared: Arc<Shared>, rules: Arc<RowRules>, format: FileFormat) -> Self {
        let inner = match format {
            FileFormat::Parquet => Inner::Rows(RowsDecoder::new(Arc::clone(&rules))),
            FileFormat::Json | FileFormat::Csv | FileFormat::Debezium(_) => Inner::Text(None),
        };
        Self { shared, rules, inner }
    }

    fn bug(&self, reason: String) -> SourceError {
        SourceError::Bug { source_name: self.rules.source_name.clone(), reason }
    }
}

impl Decoder for FileDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let partition = self
            .shared
            .get(block.partition)
            .ok_or_else(|| self.bug(format!("a block of unknown partition {}", block.partition)))?;
        let origin = BlockOrigin {
            partition: block.partition,
            partition_name: Arc::clone(&partition.name),
            read_at: block.read_at,
        };
        let decoder = match &mut self.inner {
            Inner::Rows(decoder) => {
                return match block.payload {
                    Payload::Rows(batch) => decoder.decode(&batch, block.first_offset, &origin),
                    other @ (Payload::Raw(_) | Payload::Messages { .. } | Payload::Other(_)) => {
                        Err(self.bug(format!("rows expected, not {other:?}")))
                    }
                };
            }
            Inner::Text(Some(decoder)) => decoder,
            Inner::Text(none) => {
                none.insert(Box::new(RecordDecoder::new(Arc::clone(&self.rules))?))
            }
        };
        match block.payload {
            Payload::Raw(text) => {
                decoder.begin(origin, text.len());
                decoder.push_text(&text, block.first_offset, &partition.format);
            }
            Payload::Other(other) => match other.downcast::<TooLongRecord>() {
                Ok(record) => {
                    decoder.begin(origin, 0);
                    decoder.push_too_long(&record.head, record.length, block.first_offset);
                }
                Err(_) => return Err(self.bug("a payload of another source".into())),
            },
            Payload::Rows(_) | Payload::Messages { .. } => {
                return Err(self.bug("text expected".into()));
            }
        }
        self.shared.ignored_fields.fetch_add(decoder.take_ignored_fields(), Ordering::Relaxed);
        decoder.finish()
    }
}
