//! [`FileSource`]: files as partitions of a source.

use crate::decode::{CsvLayout, RecordDecoder, RecordFormat, RowRules};
use crate::file::format::{Compression, FileFormat, FileSourceSpec, format_of};
use crate::file::infer::infer_schema;
use crate::file::opened::{HEAD_BYTES, describe, difference, fingerprint, fingerprint_length, layout_of, read_header};
use crate::file::parquet_reader::ParquetReader;
use crate::file::paths::{FoundFile, find_files, unreadable};
use crate::file::shared::{FileDecoder, Shared, SharedPartition, TooLongRecord};
use crate::file::text::{RecordGrammar, TextPoll, TextReader, decompressed};
use crate::replay::is_replayed;
use crate::types::{is_carried, type_name};
use arrow::datatypes::{Field, Schema};
use riskstream_engine::contract::{
    Block, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position, Source, SourceError, SourceSchema, change_fields, is_system_column,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Reads files; see the crate's documentation for what becomes of their records.
///
/// A finished file that is gone since is no error; an unfinished one that is gone, shrank or begins otherwise is
/// [`SourceError::Changed`]. With `follow`, plain text files are read on as they grow (a last line without its end waits) and new files that
/// match are found; compressed and Parquet files are complete when they appear.
#[derive(Debug)]
pub struct FileSource {
    spec: FileSourceSpec,
    format: FileFormat,
    /// The user's columns.
    user: Schema,
    rules: Arc<RowRules>,
    shared: Arc<Shared>,
    partitions: Vec<PartitionInfo>,
    files: Vec<FileState>,
    /// Bytes of all files, and how many were read.
    bytes_total: u64,
    bytes_read: Arc<AtomicU64>,
}

#[derive(Debug)]
struct FileState {
    path: PathBuf,
    position: Position,
    input: Option<Input>,
}

#[derive(Debug)]
enum Input {
    Text(TextReader),
    Rows { reader: ParquetReader, bytes: u64 },
}

impl FileSource {
    /// Settles format and schema; files are looked at only when the schema must be inferred or no path tells the format.
    ///
    /// # Errors
    /// When no format is told, the schema is wrong (a column twice, no event time, a type that can't be carried), or nothing can be inferred.
    pub fn new(spec: FileSourceSpec) -> Result<Self, SourceError> {
        let format = settle_format(&spec)?;
        let user = match &spec.schema {
            Some(columns) => given_schema(&spec, columns, format)?,
            None => infer_schema(&spec, format, &find_files(&spec)?)?,
        };
        check_schema(&spec, &user)?;
        let schema =
            SourceSchema::new(&user, &spec.event_time.column, &spec.ties_by).map_err(|e| unreadable(&spec, "its schema", e.to_string()))?;
        let rules = Arc::new(RowRules {
            source_name: spec.name.clone(),
            schema,
            event_time_format: spec.event_time.format.clone(),
            future_skew_max_us: spec.future_skew_max_us,
            record_bytes_max: spec.record_bytes_max.max(1),
        });
        Ok(Self {
            spec,
            format,
            user,
            rules,
            shared: Arc::default(),
            partitions: Vec::new(),
            files: Vec::new(),
            bytes_total: 0,
            bytes_read: Arc::default(),
        })
    }

    /// The user's columns, given or inferred.
    #[must_use]
    pub fn user_schema(&self) -> &Schema {
        &self.user
    }

    /// The format of the files.
    #[must_use]
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// Fields of records that the schema lacks, so far.
    #[must_use]
    pub fn ignored_fields(&self) -> u64 {
        self.shared.ignored_fields.load(Ordering::Relaxed)
    }

    /// What [`crate::ReplaySource`] needs to decode records as this source does.
    pub(crate) fn records(&self) -> FileRecords {
        FileRecords { spec: self.spec.clone(), user: self.user.clone(), format: self.format, rules: Arc::clone(&self.rules) }
    }

    fn add(&mut self, file: FoundFile, position: Position) {
        self.bytes_total += file.path.metadata().map_or(0, |m| m.len());
        let partition = self.partitions.len() as u32;
        let format = match self.format {
            FileFormat::Csv => RecordFormat::Csv(layout_without_header(&self.spec, &self.user, &file.path)),
            FileFormat::Json | FileFormat::Parquet => RecordFormat::Json,
            FileFormat::Debezium(options) => RecordFormat::Debezium(options),
        };
        self.shared.set(partition, SharedPartition { name: file.name.as_str().into(), format });
        self.partitions.push(PartitionInfo { name: file.name });
        self.files.push(FileState { path: file.path, position, input: None });
    }

    fn add_new(&mut self, found: Vec<FoundFile>) -> bool {
        let before = self.partitions.len();
        for file in found {
            if !self.partitions.iter().any(|p| p.name == file.name) {
                self.add(file, Position { next_offset: 0, finished: false, fingerprint: String::new() });
            }
        }
        self.partitions.len() > before
    }

    /// Takes a committed partition back.
    fn resume(&mut self, info: &PartitionInfo, position: &Position) -> Result<(), SourceError> {
        let path = self.spec.base.join(&info.name);
        let mut position = position.clone();
        if is_replayed(&position) {
            // Dead letters that `riskstream replay` has taken in: no file, nothing to read.
            self.add(FoundFile { name: info.name.clone(), path: PathBuf::new() }, position);
            return Ok(());
        }
        if let Ok(metadata) = path.metadata() {
            if let Some(reason) = difference(&path, &position.fingerprint).map_err(|e| unreadable(&self.spec, &info.name, e.to_string()))? {
                return Err(self.changed(&info.name, &reason));
            }
            let plain = self.spec.compression_of(&path) == Compression::None && self.format != FileFormat::Parquet;
            if plain && (metadata.len() as i64) < position.next_offset {
                return Err(
                    self.changed(&info.name, &format!("it has {} bytes, of which {} were read", metadata.len(), position.next_offset))
                );
            }
            // A file that a run without `follow` finished, and that has grown since.
            if plain && self.spec.follow && metadata.len() as i64 > position.next_offset {
                position.finished = false;
            }
            if position.finished {
                self.bytes_read.fetch_add(metadata.len(), Ordering::Relaxed);
            }
        } else if !position.finished {
            return Err(self.changed(&info.name, "it is gone, and was not read to its end"));
        }
        self.add(FoundFile { name: info.name.clone(), path }, position);
        Ok(())
    }

    fn changed(&self, object: &str, reason: &str) -> SourceError {
        SourceError::Changed {
            source_name: self.spec.name.clone(),
            object: object.to_owned(),
            reason: format!("{reason}; put the file back, or start with a new data folder"),
        }
    }

    /// Opens a file where it was left; false when it has nothing to open yet.
    fn open_file(&mut self, partition: u32, limit: PollLimit) -> Result<bool, SourceError> {
        let name = self.partitions[partition as usize].name.clone();
        let path = self.files[partition as usize].path.clone();
        let failed = |spec: &FileSourceSpec, e: io::Error| {
            let reason = if e.kind() == io::ErrorKind::NotFound {
                "there is no such file".to_owned()
            } else {
                describe(&e, spec.compression_of(&path))
            };
            unreadable(spec, &name, reason)
        };
        let position = &mut self.files[partition as usize].position;
        if position.fingerprint.is_empty() {
            position.fingerprint = fingerprint(&path, self.format).map_err(|e| failed(&self.spec, e))?;
        }
        let offset = position.next_offset;
        let file = File::open(&path).map_err(|e| failed(&self.spec, e))?;
        let bytes = file.metadata().map_err(|e| failed(&self.spec, e))?.len();
        let input = match self.format {
            FileFormat::Parquet if bytes == 0 => return Ok(false),
            FileFormat::Parquet => {
                let rules = &self.rules;
                let reader = ParquetReader::open(file, &self.user, rules.schema.event_time, &rules.event_time_format, offset, limit.rows)
                    .map_err(|reason| unreadable(&self.spec, &name, reason))?;
                if offset > reader.rows() {
                    return Err(self.changed(&name, &format!("it has {} rows, of which {offset} were read", reader.rows())));
                }
                Input::Rows { reader, bytes }
            }
            FileFormat::Json | FileFormat::Debezium(_) => Input::Text(self.open_text(&name, &path, file, offset, RecordGrammar::Lines)?),
            FileFormat::Csv => {
                let Some((layout, start)) = csv_start(&self.spec, &self.user, &name, &path, self.may_grow(&path))? else {
                    return Ok(false);
                };
                let grammar = RecordGrammar::Csv { delimiter: layout.delimiter, quote: layout.quote };
                self.shared.set_layout(partition, layout);
                Input::Text(self.open_text(&name, &path, file, offset.max(start), grammar)?)
            }
        };
        self.files[partition as usize].input = Some(input);
        Ok(true)
    }

    fn may_grow(&self, path: &Path) -> bool {
        self.spec.follow && self.format != FileFormat::Parquet && self.spec.compression_of(path) == Compression::None
    }

    fn open_text(&self, name: &str, path: &Path, mut file: File, offset: i64, grammar: RecordGrammar) -> Result<TextReader, SourceError> {
        let compression = self.spec.compression_of(path);
        let failed = |e: io::Error| unreadable(&self.spec, name, describe(&e, compression));
        let plain = compression == Compression::None;
        if plain {
            file.seek(SeekFrom::Start(offset as u64)).map_err(failed)?;
            self.bytes_read.fetch_add(offset as u64, Ordering::Relaxed);
        }
        let mut input = decompressed(file, compression, Arc::clone(&self.bytes_read)).map_err(failed)?;
        if !plain && offset > 0 {
            let skipped = io::copy(&mut io::Read::take(&mut input, offset as u64), &mut io::sink()).map_err(failed)?;
            if (skipped as i64) < offset {
                return Err(self.changed(name, &format!("it has {skipped} bytes when decompressed, of which {offset} were read")));
            }
        }
        Ok(TextReader::new(input, offset, grammar, self.rules.record_bytes_max, self.may_grow(path)))
    }

    fn poll_text(&mut self, partition: u32, mut reader: TextReader, limit: PollLimit) -> Result<Poll, SourceError> {
        let name = &self.partitions[partition as usize].name;
        let path = self.files[partition as usize].path.clone();
        let compression = self.spec.compression_of(&path);
        let polled = reader.poll(limit.bytes).map_err(|e| unreadable(&self.spec, name, describe(&e, compression)))?;
        let (first_offset, payload) = match polled {
            TextPoll::Records { first_offset, text } => (first_offset, Payload::Raw(text)),
            TextPoll::TooLong { first_offset, head, length } => (first_offset, Payload::Other(Box::new(TooLongRecord { head, length }))),
            TextPoll::Busy => {
                self.files[partition as usize].input = Some(Input::Text(reader));
                return Ok(Poll::Pending { caught_up: false });
            }
            TextPoll::Waiting => {
                let bytes = path.metadata().map_or(0, |m| m.len());
                if (bytes as i64) < reader.offset() {
                    return Err(self.changed(name, &format!("it has {bytes} bytes, of which {} were read", reader.offset())));
                }
                self.files[partition as usize].input = Some(Input::Text(reader));
                return Ok(Poll::Pending { caught_up: true });
            }
            TextPoll::End => return Ok(self.finish(partition, reader.offset())),
        };
        let file = &mut self.files[partition as usize];
        // A file that was short when it was first read is known better now.
        if self.spec.follow && fingerprint_length(&file.position.fingerprint) < HEAD_BYTES {
            file.position.fingerprint = fingerprint(&path, self.format).map_err(|e| unreadable(&self.spec, name, e.to_string()))?;
        }
        file.position.next_offset = reader.offset();
        file.input = Some(Input::Text(reader));
        Ok(Poll::Block(Block { partition, first_offset, next: file.position.clone(), payload, read_at: 0 }))
    }

    fn poll_rows(&mut self, partition: u32, mut reader: ParquetReader, bytes: u64, limit: PollLimit) -> Result<Poll, SourceError> {
        let first_offset = reader.offset();
        let name = &self.partitions[partition as usize].name;
        let Some(batch) = reader.poll(limit.rows).map_err(|reason| unreadable(&self.spec, name, reason))? else {
            return Ok(self.finish(partition, first_offset));
        };
        let share = |rows: i64| (u128::from(bytes) * rows.max(0) as u128 / reader.rows().max(1) as u128) as u64;
        self.bytes_read.fetch_add(share(reader.offset()) - share(first_offset), Ordering::Relaxed);
        let file = &mut self.files[partition as usize];
        file.position.next_offset = reader.offset();
        file.input = Some(Input::Rows { reader, bytes });
        Ok(Poll::Block(Block { partition, first_offset, next: file.position.clone(), payload: Payload::Rows(batch), read_at: 0 }))
    }

    fn finish(&mut self, partition: u32, next_offset: i64) -> Poll {
        let position = &mut self.files[partition as usize].position;
        position.next_offset = next_offset;
        position.finished = true;
        Poll::Finished(position.clone())
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn schema(&self) -> &SourceSchema {
        &self.rules.schema
    }

    fn open(&mut self, resume: &BTreeMap<u32, (PartitionInfo, Position)>) -> Result<(), SourceError> {
        for (number, (info, position)) in resume {
            if *number as usize != self.partitions.len() {
                let reason = format!("partition {number} was committed, but not the one before it");
                return Err(SourceError::Bug { source_name: self.spec.name.clone(), reason });
            }
            self.resume(info, position)?;
        }
        match find_files(&self.spec) {
            Ok(found) => self.add_new(found),
            // Everything was read and taken away since.
            Err(_) if !self.files.is_empty() && self.files.iter().all(|f| f.position.finished || is_replayed(&f.position)) => false,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    fn endless(&self) -> bool {
        self.spec.follow
    }

    fn discover(&mut self) -> Result<bool, SourceError> {
        if !self.spec.follow {
            return Ok(false);
        }
        let found = find_files(&self.spec)?;
        Ok(self.add_new(found))
    }

    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let Some(file) = self.files.get_mut(partition as usize) else {
            return Err(SourceError::Bug { source_name: self.spec.name.clone(), reason: format!("partition {partition} is not known") });
        };
        if file.position.finished || is_replayed(&file.position) {
            return Ok(Poll::Finished(file.position.clone()));
        }
        if file.input.is_none() && !self.open_file(partition, limit)? {
            // Nothing in it: the end, unless something may come.
            let file = &mut self.files[partition as usize];
            let next_offset = file.position.next_offset;
            if self.spec.follow {
                file.position.fingerprint.clear();
                return Ok(Poll::Pending { caught_up: true });
            }
            return Ok(self.finish(partition, next_offset));
        }
        match self.files[partition as usize].input.take() {
            Some(Input::Text(reader)) => self.poll_text(partition, reader, limit),
            Some(Input::Rows { reader, bytes }) => self.poll_rows(partition, reader, bytes, limit),
            None => Err(SourceError::Bug { source_name: self.spec.name.clone(), reason: "a file was opened and is not open".into() }),
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(FileDecoder::new(Arc::clone(&self.shared), Arc::clone(&self.rules), self.format))
    }

    fn progress(&self) -> Option<(u64, u64)> {
        Some((self.bytes_total, self.bytes_read.load(Ordering::Relaxed).min(self.bytes_total)))
    }
}

/// How a source's single records are written and decoded.
#[derive(Debug, Clone)]
pub(crate) struct FileRecords {
    spec: FileSourceSpec,
    user: Schema,
    format: FileFormat,
    rules: Arc<RowRules>,
}

impl FileRecords {
    /// A decoder of records as they came, or of rows that the program has written as JSON.
    pub(crate) fn decoder(&self, rewritten: bool) -> Result<RecordDecoder, SourceError> {
        RecordDecoder::new(if rewritten { Arc::new(self.rules.of_rewritten()) } else { Arc::clone(&self.rules) })
    }

    /// How records of the partition called `name` are written: as its file says, or, when that is gone, as the source's first file does. Rows of
    /// Parquet files are kept as JSON.
    pub(crate) fn format_of(&self, name: &str) -> Result<RecordFormat, SourceError> {
        if let FileFormat::Debezium(options) = self.format {
            return Ok(RecordFormat::Debezium(options));
        }
        if self.format != FileFormat::Csv {
            return Ok(RecordFormat::Json);
        }
        let path = self.spec.base.join(name);
        let files =
            if path.is_file() { vec![FoundFile { name: name.to_owned(), path }] } else { find_files(&self.spec).unwrap_or_default() };
        for file in files {
            if let Some((layout, _)) = csv_start(&self.spec, &self.user, &file.name, &file.path, false)? {
                return Ok(RecordFormat::Csv(layout));
            }
        }
        Ok(RecordFormat::Csv(layout_without_header(&self.spec, &self.user, Path::new(name))))
    }
}

/// The layout of a CSV file and where its records begin; none when it has no header yet.
fn csv_start(
    spec: &FileSourceSpec,
    user: &Schema,
    name: &str,
    path: &Path,
    may_grow: bool,
) -> Result<Option<(CsvLayout, i64)>, SourceError> {
    if !spec.csv.header {
        return Ok(Some((layout_without_header(spec, user, path), 0)));
    }
    let fail = |reason: String| unreadable(spec, name, reason);
    let Some(header) = read_header(spec, path, may_grow).map_err(fail)? else { return Ok(None) };
    let layout = layout_of(&header.names, user, spec.delimiter(path), spec.csv.quote).map_err(fail)?;
    Ok(Some((layout, header.end as i64)))
}

fn layout_without_header(spec: &FileSourceSpec, user: &Schema, path: &Path) -> CsvLayout {
    CsvLayout { delimiter: spec.delimiter(path), quote: spec.csv.quote, columns: (0..user.fields().len()).map(Some).collect() }
}

fn settle_format(spec: &FileSourceSpec) -> Result<FileFormat, SourceError> {
    if let Some(format) = spec.format {
        return Ok(format);
    }
    let told: Vec<_> = spec.paths.iter().map(|p| format_of(Path::new(p))).collect();
    let told = if told.iter().all(Option::is_some) && !told.is_empty() {
        told
    } else {
        find_files(spec)?.iter().map(|f| format_of(&f.path)).collect()
    };
    match told.first() {
        Some(Some(first)) if told.iter().all(|f| f.as_ref() == Some(first)) => Ok(*first),
        Some(Some(_)) => {
            Err(unreadable(spec, spec.paths.join(", "), "its files are of several formats; make one source of each, or set format"))
        }
        _ => Err(unreadable(spec, spec.paths.join(", "), "the name does not tell the format; set format to json, csv or parquet")),
    }
}

fn given_schema(
    spec: &FileSourceSpec,
    columns: &[(String, arrow::datatypes::DataType)],
    format: FileFormat,
) -> Result<Schema, SourceError> {
    let mut fields = Vec::with_capacity(columns.len());
    for (name, data_type) in columns {
        if !is_carried(data_type) {
            return Err(unreadable(spec, "its schema", format!("column {name} is {}, which a source can't carry", type_name(data_type))));
        }
        fields.push(Field::new(name, data_type.clone(), *name != spec.event_time.column));
    }
    if matches!(format, FileFormat::Debezium(_)) {
        fields.extend(change_fields());
    }
    Ok(Schema::new(fields))
}

fn check_schema(spec: &FileSourceSpec, user: &Schema) -> Result<(), SourceError> {
    for (i, field) in user.fields().iter().enumerate() {
        let name = field.name();
        if user.fields()[..i].iter().any(|f| f.name() == name) {
            return Err(unreadable(spec, "its schema", format!("column {name} is there twice")));
        }
        if is_system_column(name) {
            return Err(unreadable(spec, "its schema", format!("column {name} has a name that the program uses itself")));
        }
    }
    for name in std::iter::once(&spec.event_time.column).chain(&spec.ties_by) {
        if user.index_of(name).is_err() {
            let names: Vec<&str> = user.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(unreadable(spec, "its schema", format!("there is no column {name}; there are {}", names.join(", "))));
        }
    }
    Ok(())
}
