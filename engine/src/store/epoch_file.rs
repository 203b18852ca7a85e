//! The form of an epoch file and of a snapshot: an Arrow IPC file, a row per section. A large
//! section is a batch of its own, whose payload is written from where it is ([`Pieces`]).
//!
//! | column | |
//! | --- | --- |
//! | `kind` | `state`, `outbox`, `file` or `empties` |
//! | `step` | the step's or sink's id |
//! | `name` | what the rows are |
//! | `worker` | who wrote them |
//! | `payload` | an Arrow IPC stream of one batch (`file`: JSON) |
//!
//! The header is JSON in the schema's metadata. Between the IPC stream and its footer, where
//! readers of Arrow do not look, stand two checksums: of what follows them (the footer, which
//! repeats the header), so that the header can be read alone, and of the whole file. One of them is
//! checked before anything is decoded, so that a torn or damaged file is never taken for a commit,
//! and never reaches arrow's decoder, which trusts what it reads.

use crate::contract::{PartitionInfo, Position, Shapes};
use crate::disk::OpenFile;
use crate::ids::{Epoch, Generation};
use crate::protocol::{Origin, SinkMark};
use crate::store::pieces::Pieces;
use crate::store::state_edit::{Renamed, StateEdit};
use arrow::array::{ArrayRef, AsArray, LargeBinaryArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::ipc::root_as_footer;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

const HEADER_KEY: &str = "riskstream.header";

/// What an epoch file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochHeader {
    /// The epoch.
    pub epoch: Epoch,
    /// The run that wrote it.
    pub generation: Generation,
    /// How far partitions were read, by number: in a snapshot all; in an epoch file those that were
    /// read on in it, so that it does not grow with the number of files that were ever read.
    pub positions: BTreeMap<u32, (PartitionInfo, Position)>,
    /// Rows that came in with this epoch.
    pub rows: u64,
    /// Rows that were rejected or dead-lettered.
    pub dead: u64,
    /// Late rows.
    pub late: u64,
    /// The ids of the steps and sinks that the pipeline had.
    pub steps: Vec<String>,
    /// Of a snapshot: the history files that its state names.
    #[serde(default)]
    pub history_files: Vec<String>,
    /// What the steps' state means. Whole in every snapshot, in the first epoch of a run and in
    /// every so many epochs; empty in the others, which go on with the same steps.
    #[serde(default, skip_serializing_if = "Shapes::is_empty")]
    pub shapes: Shapes,
    /// Whose epoch it is, and where its rows go.
    #[serde(default)]
    pub origin: Origin,
    /// By sink, the last epochs that had rows for it.
    #[serde(default)]
    pub sinks: BTreeMap<String, SinkMark>,
    /// What this epoch changes of the state before it; only an epoch that does nothing else has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<StateEdit>,
    /// Renames of steps since the oldest snapshot that is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<Renamed>,
}

impl EpochHeader {
    /// Whether it says what the state means: all of it, or that there is none any more.
    pub(crate) fn says_shapes(&self) -> bool {
        !self.shapes.is_empty() || self.edit.is_some()
    }
}

/// What a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// State of a step.
    State,
    /// Rows on their way out.
    Outbox,
    /// The name of a staged file.
    File,
    /// The destination is emptied of what was delivered before.
    Empties,
}

impl SectionKind {
    fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Outbox => "outbox",
            Self::File => "file",
            Self::Empties => "empties",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::State, Self::Outbox, Self::File, Self::Empties]
            .into_iter()
            .find(|k| k.name() == name)
    }
}

/// One piece of an epoch.
#[derive(Debug, Clone)]
pub struct Section {
    /// What it is.
    pub kind: SectionKind,
    /// The step's or sink's id.
    pub step: String,
    /// What the rows are.
    pub name: String,
    /// Who wrote it.
    pub worker: u32,
    /// The content.
    pub payload: Bytes,
}

/// One batch as an IPC stream.
///
/// # Errors
/// When arrow can't encode it.
pub fn batch_to_ipc(rows: &RecordBatch) -> Result<Bytes, ArrowError> {
    let mut bytes = Vec::with_capacity(rows.get_array_memory_size() + 1024);
    let mut writer = StreamWriter::try_new(&mut bytes, &rows.schema())?;
    writer.write(rows)?;
    writer.finish()?;
    drop(writer);
    Ok(Bytes::from(bytes))
}

/// The batch of an IPC stream.
///
/// # Errors
/// When the stream is damaged or empty.
pub fn batch_from_ipc(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    reader.next().unwrap_or_else(|| Err(ArrowError::IpcError("the stream has no batch".into())))
}

/// A section of so many bytes is not copied into the file's other content.
const LARGE_BYTES: usize = 64 << 10;

fn is_large(section: &Section) -> bool {
    section.payload.len() >= LARGE_BYTES
}

/// Encodes an epoch file, in pieces.
pub(crate) fn encode(header: &EpochHeader, sections: &[Section]) -> Result<Vec<Bytes>, ArrowError> {
    let mut encoder = Encoder::new(header)?;
    let mut pieces = Vec::new();
    for together in sections.chunk_by(|a, b| !is_large(a) && !is_large(b)) {
        pieces.extend(encoder.add(together)?);
    }
    pieces.extend(encoder.finish()?);
    Ok(pieces)
}

/// As [`encode`]; a section is asked for once the pieces before it are taken, so that no more than
/// one need be in memory.
pub(crate) fn encode_each<S: Iterator<Item = Result<Section, ArrowError>>>(
    header: &EpochHeader,
    sections: S,
) -> Result<impl Iterator<Item = Result<Bytes, ArrowError>> + use<S>, ArrowError> {
    let mut encoder = Some(Encoder::new(header)?);
    Ok(sections.map(Some).chain([None]).flat_map(move |section| {
        let pieces = match (section, &mut encoder) {
            (Some(section), Some(encoder)) => section.and_then(|section| encoder.add(&[section])),
            (None, encoder) => encoder.take().map_or(Ok(Vec::new()), Encoder::finish),
            (Some(_), None) => Ok(Vec::new()),
        };
        match pieces {
            Ok(pieces) => pieces.into_iter().map(Ok).collect(),
            Err(e) => {
                // What can't be written whole must not look whole.
                encoder = None;
                vec![Err(e)]
            }
        }
    }))
}

/// Makes an epoch file as its sections come.
struct Encoder {
    schema: SchemaRef,
    writer: FileWriter<Pieces>,
    /// Of the pieces that were given out.
    checksum: Xxh3,
}

impl Encoder {
    fn new(header: &EpochHeader) -> Result<Self, ArrowError> {
        let json =
            serde_json::to_string(header).map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
        let schema = Arc::new(
            Schema::new(vec![
                Field::new("kind", DataType::Utf8, false),
                Field::new("step", DataType::Utf8, false),
                Field::new("name", DataType::Utf8, false),
                Field::new("worker", DataType::UInt32, false),
                Field::new("payload", DataType::LargeBinary, false),
            ])
            .with_metadata(HashMap::from([(HEADER_KEY.to_owned(), json)])),
        );
        let writer = FileWriter::try_new(Pieces::default(), &schema)?;
        Ok(Self { schema, writer, checksum: Xxh3::new() })
    }

    /// Adds sections, as one batch; gives the pieces that are whole by then.
    fn add(&mut self, sections: &[Section]) -> Result<Vec<Bytes>, ArrowError> {
        if let [section] = sections
            && is_large(section)
        {
            self.writer.get_mut().share(section.payload.clone());
        }
        self.writer.write(&batch_of(&self.schema, sections)?)?;
        let pieces = self.writer.get_mut().take();
        pieces.iter().for_each(|piece| self.checksum.update(piece));
        Ok(pieces)
    }

    /// The pieces that are left, with the footer and the checksums.
    fn finish(mut self) -> Result<Vec<Bytes>, ArrowError> {
        self.writer.finish()?;
        let mut inner = self.writer.into_inner()?;
        let mut pieces = inner.take();
        pieces.iter().for_each(|piece| self.checksum.update(piece));
        let mut end = inner.finish();
        let footer = footer_at(&end).ok_or_else(|| {
            ArrowError::IpcError("the file that was just written has no footer".into())
        })?;
        let of_footer = file_checksum([&end[footer..]]).to_le_bytes();
        [&end[..footer], of_footer.as_slice(), &end[footer..]]
            .iter()
            .for_each(|part| self.checksum.update(part));
        let of_file = self.checksum.digest().to_le_bytes();
        end.splice(footer..footer, of_footer.into_iter().chain(of_file));
        pieces.push(Bytes::from(end));
        Ok(pieces)
    }
}

/// Sections as rows; the payload of a single one stays where it is.
fn batch_of(schema: &SchemaRef, sections: &[Section]) -> Result<RecordBatch, ArrowError> {
    let payloads = match sections {
        [section] => {
            let offsets = OffsetBuffer::from_lengths([section.payload.len()]);
            LargeBinaryArray::try_new(offsets, Buffer::from(section.payload.clone()), None)?
        }
        _ => LargeBinaryArray::from_iter_values(sections.iter().map(|s| &s.payload)),
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(sections.iter().map(|s| s.kind.name()))),
        Arc::new(StringArray::from_iter_values(sections.iter().map(|s| &s.step))),
        Arc::new(StringArray::from_iter_values(sections.iter().map(|s| &s.name))),
        Arc::new(UInt32Array::from_iter_values(sections.iter().map(|s| s.worker))),
        Arc::new(payloads),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Ends every Arrow IPC file, after the footer and its length as an i32.
const IPC_MAGIC: &[u8] = b"ARROW1";
const SEAL_BYTES: usize = size_of::<u64>();
/// Bytes of a file's end that are read in the hope that the header is within them.
const TAIL_BYTES: u64 = 64 << 10;

/// The bytes of the footer, its length and the magic behind it, in a file with this `end`.
fn footer_bytes(end: &[u8]) -> Option<usize> {
    let (_, length) = end.strip_suffix(IPC_MAGIC)?.split_last_chunk::<4>()?;
    usize::try_from(i32::from_le_bytes(*length))
        .ok()?
        .checked_add(IPC_MAGIC.len() + size_of::<i32>())
}

/// Where the footer of an Arrow IPC file begins.
fn footer_at(bytes: &[u8]) -> Option<usize> {
    bytes.len().checked_sub(footer_bytes(bytes)?)
}

/// The checksum of a file that is given in parts.
fn file_checksum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hash = Xxh3::new();
    parts.into_iter().for_each(|part| hash.update(part));
    hash.digest()
}

fn is_sealed(bytes: &[u8]) -> bool {
    let Some(footer) = footer_at(bytes) else { return false };
    let Some((before, seal)) = bytes[..footer].split_last_chunk::<SEAL_BYTES>() else {
        return false;
    };
    u64::from_le_bytes(*seal) == file_checksum([before, &bytes[footer..]])
}

const CUT: &str = "it is cut short, or its checksum does not match";

/// Why a header can't be read.
pub(crate) enum HeaderError {
    /// The disk said no.
    Io(std::io::Error),
    /// The file is damaged: how.
    Damaged(String),
}

impl From<std::io::Error> for HeaderError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the header alone, from the end of an epoch file or snapshot.
pub(crate) fn read_header(file: &dyn OpenFile) -> Result<EpochHeader, HeaderError> {
    let cut = || HeaderError::Damaged(CUT.into());
    let last = |bytes: u64| {
        let mut tail = vec![0; usize::try_from(bytes).map_err(|_| cut())?];
        file.read_at(&mut tail, file.bytes() - bytes)?;
        Ok::<_, HeaderError>(tail)
    };
    let mut tail = last(file.bytes().min(TAIL_BYTES))?;
    let footer = footer_bytes(&tail).ok_or_else(cut)?;
    let sealed = footer.checked_add(2 * SEAL_BYTES).ok_or_else(cut)?;
    if sealed as u64 > file.bytes() {
        return Err(cut());
    }
    if sealed > tail.len() {
        tail = last(sealed as u64)?;
    }
    let (before, footer) = tail.split_at(tail.len() - footer);
    let (seal, _) = before[before.len() - 2 * SEAL_BYTES..]
        .split_first_chunk::<SEAL_BYTES>()
        .ok_or_else(cut)?;
    if u64::from_le_bytes(*seal) != file_checksum([footer]) {
        return Err(cut());
    }
    let footer = root_as_footer(&footer[..footer.len() - IPC_MAGIC.len() - size_of::<i32>()]);
    let metadata = footer
        .map_err(|e| HeaderError::Damaged(e.to_string()))?
        .schema()
        .and_then(|schema| schema.custom_metadata());
    let json = metadata
        .and_then(|pairs| pairs.iter().find(|pair| pair.key() == Some(HEADER_KEY))?.value());
    header_of(json.unwrap_or_default()).map_err(HeaderError::Damaged)
}

fn header_of(json: &str) -> Result<EpochHeader, String> {
    if json.is_empty() {
        return Err("it has no header".into());
    }
    serde_json::from_str(json).map_err(|e| format!("its header can't be read: {e}"))
}

/// Decodes an epoch file; the error says how it is damaged.
pub(crate) fn decode(bytes: &[u8]) -> Result<(EpochHeader, Vec<Section>), String> {
    if !is_sealed(bytes) {
        return Err(CUT.into());
    }
    let reader = FileReader::try_new(Cursor::new(bytes), None).map_err(|e| e.to_string())?;
    let header = header_of(
        reader.schema().metadata().get(HEADER_KEY).map(String::as_str).unwrap_or_default(),
    )?;
    let mut sections = Vec::new();
    for batch in reader {
        add_sections(&batch.map_err(|e| e.to_string())?, &mut sections)?;
    }
    Ok((header, sections))
}

fn add_sections(batch: &RecordBatch, sections: &mut Vec<Section>) -> Result<(), String> {
    if batch.num_columns() != 5 {
        return Err("it has other columns than an epoch file".into());
    }
    let (kinds, steps, names) = (
        batch.column(0).as_string_opt::<i32>(),
        batch.column(1).as_string_opt::<i32>(),
        batch.column(2).as_string_opt::<i32>(),
    );
    let (workers, payloads) =
        (batch.column(3).as_primitive_opt::<UInt32Type>(), batch.column(4).as_binary_opt::<i64>());
    let (Some(kinds), Some(steps), Some(names), Some(workers), Some(payloads)) =
        (kinds, steps, names, workers, payloads)
    else {
        return Err("it has other columns than an epoch file".into());
    };
    for i in 0..batch.num_rows() {
        let kind = SectionKind::from_name(kinds.value(i))
            .ok_or_else(|| format!("it has a section of the unknown kind {}", kinds.value(i)))?;
        sections.push(Section {
            kind,
            step: steps.value(i).to_owned(),
            name: names.value(i).to_owned(),
            worker: workers.value(i),
            payload: Bytes::copy_from_slice(payloads.value(i)),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> EpochHeader {
        EpochHeader {
            epoch: Epoch(7),
            generation: Generation(2),
            rows: 1,
            ..EpochHeader::default()
        }
    }

    fn section(name: &str, payload: Bytes) -> Section {
        Section {
            kind: SectionKind::State,
            step: "a".into(),
            name: name.into(),
            worker: 3,
            payload,
        }
    }

    fn file(sections: &[Section]) -> Vec<u8> {
        encode(&header(), sections).expect("encodes").concat()
    }

    #[test]
    fn other_readers_of_arrow_can_read_an_epoch_file() {
        let sections = [
            section("a", Bytes::from_static(&[1])),
            section("b", Bytes::from(vec![2; LARGE_BYTES])),
        ];
        let batches: Vec<_> = FileReader::try_new(Cursor::new(file(&sections)), None)
            .expect("a footer")
            .collect::<Result<_, _>>()
            .expect("readable");
        assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1, 1]);
        assert!(batches.iter().all(|batch| batch.num_columns() == 5));
    }

    #[test]
    fn sections_keep_their_order_and_large_payloads_their_place_in_memory() {
        let sizes = [0, 10, LARGE_BYTES, LARGE_BYTES + 3, 5, LARGE_BYTES - 1, LARGE_BYTES];
        let sections: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(i, size)| {
                section(&i.to_string(), Bytes::from(vec![u8::try_from(i).expect("few"); *size]))
            })
            .collect();
        let pieces = encode(&header(), &sections).expect("encodes");
        for large in sections.iter().filter(|s| is_large(s)) {
            assert!(
                pieces
                    .iter()
                    .any(|piece| std::ptr::eq(&raw const piece[..], &raw const large.payload[..])),
                "{} was copied",
                large.name
            );
        }
        let (_, read) = decode(&pieces.concat()).expect("decodes");
        let told = |sections: &[Section]| {
            sections.iter().map(|s| (s.name.clone(), s.payload.clone())).collect::<Vec<_>>()
        };
        assert_eq!(told(&read), told(&sections));
        let (_, none) = decode(&file(&[])).expect("decodes");
        assert!(none.is_empty());
    }

    #[test]
    fn a_file_is_made_section_by_section_and_fails_with_the_first_that_fails() {
        let sections = [10, LARGE_BYTES, 5].map(|size| section("a", Bytes::from(vec![1; size])));
        let each = encode_each(&header(), sections.iter().cloned().map(Ok)).expect("a header");
        let pieces: Vec<Bytes> = each.collect::<Result<_, _>>().expect("encodes");
        let (read, again) = decode(&pieces.concat()).expect("decodes");
        assert_eq!((read, again.len()), (header(), sections.len()));
        assert!(again.iter().zip(&sections).all(|(a, b)| a.payload == b.payload));

        let failing = [Ok(sections[1].clone()), Err(ArrowError::DivideByZero)];
        let pieces: Vec<_> =
            encode_each(&header(), failing.into_iter()).expect("a header").collect();
        assert!(pieces.last().is_some_and(Result::is_err), "nothing comes after the error");
        let (none, nothing) = encode_each(&header(), [].into_iter())
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map(|pieces| decode(&pieces.concat()).expect("decodes"))
            .expect("encodes");
        assert_eq!((none, nothing.len()), (header(), 0));
    }

    #[test]
    fn an_epoch_file_reads_back_and_any_flipped_or_missing_byte_is_noticed() {
        let section = section("n", Bytes::from_static(&[1, 2, 3, 4]));
        let bytes = file(std::slice::from_ref(&section));
        let (_, sections) = decode(&bytes).expect("decodes");
        assert_eq!(sections[0].payload, section.payload);
        for at in 0..bytes.len() {
            let mut torn = bytes.clone();
            torn[at] ^= 0x55;
            assert!(decode(&torn).is_err(), "byte {at}");
            // Alone, the header is read rightly or not at all.
            if let Ok(read) = header_alone(torn) {
                assert_eq!(read, header(), "byte {at}");
            }
        }
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut to {length} bytes");
            assert!(header_alone(bytes[..length].to_vec()).is_err(), "cut to {length} bytes");
        }
    }

    #[derive(Debug)]
    struct InMemory(Vec<u8>);

    impl OpenFile for InMemory {
        fn bytes(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, into: &mut [u8], at: u64) -> std::io::Result<()> {
            let at = usize::try_from(at).expect("small");
            into.copy_from_slice(
                self.0.get(at..at + into.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?,
            );
            Ok(())
        }
    }

    fn header_alone(bytes: Vec<u8>) -> Result<EpochHeader, HeaderError> {
        read_header(&InMemory(bytes))
    }

    #[test]
    fn a_header_is_read_alone_however_long_it_is() {
        for files in [0, 1, 10_000] {
            let header = EpochHeader {
                history_files: (0..files).map(|n| format!("step/{n}.arrow")).collect(),
                ..header()
            };
            let bytes = encode(&header, &[section("a", Bytes::from(vec![2; LARGE_BYTES]))])
                .expect("encodes")
                .concat();
            assert!(header_alone(bytes).is_ok_and(|read| read == header), "{files} files");
        }
    }
}
