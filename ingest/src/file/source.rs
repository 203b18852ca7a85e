//! [`FileSource`]: files as partitions of a source.

use crate::decode::{
    CsvLayout, Encoding, EncodingChoice, Reading, RecordDecoder, RecordFormat, RowRules,
};
use crate::file::budget::OpenFiles;
use crate::file::fingerprint::{Fingerprint, Piece, Since, Stamp};
use crate::file::format::{EventTimeSpec, FileFormat, FileSourceSpec, SkipLines, format_of};
use crate::file::infer::{Inferred, infer_schema};
use crate::file::input::Input;
use crate::file::look::Lookout;
use crate::file::opened::{CsvHeader, encoding_of, layout_of, read_header};
use crate::file::paths::{FoundFile, KnownFiles, find_files, find_new_files, unreadable};
use crate::file::shared::{FileDecoder, Shared, SharedPartition};
use crate::replayed::is_replayed;
use crate::types::{is_carried, type_name, utc_timestamp};
use arrow::datatypes::{Field, Schema};
use riskstream_engine::contract::{
    Decoder, Notice, PartitionInfo, Poll, PollLimit, Position, Source, SourceError, SourceSchema,
    change_fields, is_system_column,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Reads files; see the crate's documentation for what becomes of their records.
///
/// A finished file may be removed. An unfinished file that was removed is a
/// [`SourceError::Changed`], and so is a file that no longer holds what was read of it. A plain
/// text file that has only grown is read on, with and without `follow`. With `follow`, plain text
/// files are read on as they grow (a last line waits for its line end), and new matching files are
/// found. Compressed and Parquet files must be complete when they appear; with `follow`, one that
/// is cut off is waited for.
#[derive(Debug)]
pub struct FileSource {
    pub(super) spec: FileSourceSpec,
    pub(super) format: FileFormat,
    /// The user's columns.
    pub(super) user: Schema,
    /// How they were inferred, and what is left out.
    notes: Vec<String>,
    pub(super) rules: Arc<RowRules>,
    pub(super) shared: Arc<Shared>,
    pub(super) partitions: Vec<PartitionInfo>,
    pub(super) files: Vec<FileState>,
    pub(super) open: OpenFiles,
    /// Files that are cut off and waited for.
    pub(super) incomplete: BTreeSet<u32>,
    pub(super) notice: Told,
    /// The files known so far, until the lookout thread takes them over.
    known: KnownFiles,
    lookout: Option<Lookout>,
    /// Bytes of all files, and how many were read.
    bytes_total: u64,
    pub(super) bytes_read: u64,
}

/// Where to say that a file is waited for.
#[derive(Default)]
pub(super) struct Told(pub(super) Option<Notice>);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

#[derive(Debug)]
pub(super) struct FileState {
    pub(super) path: PathBuf,
    pub(super) position: Position,
    pub(super) input: Option<Box<Input>>,
    /// The file was read to its present end; it is polled again when its stamp differs from this.
    pub(super) waits: Option<Stamp>,
    /// Where the records of a CSV file begin, once its header was read in this run.
    pub(super) start: Option<i64>,
    /// How its text is encoded, once its beginning was read in this run.
    pub(super) encoding: Option<Encoding>,
    /// What is counted of it in `bytes_read`.
    pub(super) counted_bytes: u64,
}

impl FileSource {
    /// Settles format and schema; files are looked at only when the schema must be inferred or no
    /// path tells the format.
    ///
    /// # Errors
    /// When no format is told, the schema is wrong (a column twice, no event time, a type that
    /// can't be carried), or nothing can be inferred.
    pub fn new(spec: FileSourceSpec) -> Result<Self, SourceError> {
        let format = settle_format(&spec)?;
        let (user, notes) = match &spec.schema {
            Some(columns) => (given_schema(&spec, columns, format)?, Vec::new()),
            None => {
                let Inferred { schema, notes } = infer_schema(&spec, format, &find_files(&spec)?)?;
                (schema, notes)
            }
        };
        let user = with_made_time(&spec, user, format)?;
        check_schema(&spec, &user)?;
        let schema = SourceSchema::new(&user, &spec.event_time.column, &spec.ties_by)
            .map_err(|e| unreadable(&spec, "its schema", e.to_string()))?;
        let rules = Arc::new(RowRules {
            source_name: spec.name.clone(),
            schema,
            inferred: spec.schema.is_none(),
            event_time_format: spec.event_time.format.clone(),
            future_skew_max_us: spec.future_skew_max_us,
            record_bytes_max: spec.record_bytes_max.max(1),
            reading: Reading {
                forms: spec.forms.clone(),
                time_parts: spec.event_time.parts.clone(),
            },
        });
        rules.check().map_err(|reason| unreadable(&spec, "its schema", reason))?;
        let open = OpenFiles::new(spec.open_files_max);
        Ok(Self {
            spec,
            format,
            user,
            notes,
            rules,
            shared: Arc::default(),
            partitions: Vec::new(),
            files: Vec::new(),
            open,
            incomplete: BTreeSet::new(),
            notice: Told::default(),
            known: KnownFiles::default(),
            lookout: None,
            bytes_total: 0,
            bytes_read: 0,
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
        FileRecords { spec: self.spec.clone(), format: self.format, rules: Arc::clone(&self.rules) }
    }

    pub(super) fn record_format(&self, path: &Path) -> RecordFormat {
        match self.format {
            FileFormat::Csv => {
                RecordFormat::Csv(layout_without_header(&self.spec, &self.rules, path))
            }
            FileFormat::Json | FileFormat::Parquet => RecordFormat::Json,
            FileFormat::Debezium(options) => RecordFormat::Debezium(options),
        }
    }

    fn add(&mut self, file: FoundFile, position: Position) {
        self.bytes_total += file.path.metadata().map_or(0, |m| m.len());
        let partition = self.partitions.len() as u32;
        let format = self.record_format(&file.path);
        self.shared.set(partition, SharedPartition { name: file.name.as_str().into(), format });
        self.partitions.push(PartitionInfo { name: file.name });
        self.files.push(FileState {
            path: file.path,
            position,
            input: None,
            waits: None,
            start: None,
            encoding: None,
            counted_bytes: 0,
        });
    }

    fn add_new(&mut self, found: Vec<FoundFile>) -> bool {
        let any = !found.is_empty();
        for file in found {
            self.add(
                file,
                Position { next_offset: 0, finished: false, fingerprint: String::new() },
            );
        }
        any
    }

    /// Gives `gaps` to files that are new to this run. Gaps are numbers of partitions without a
    /// committed position below ones that have one. A gap for which no file is left stays a
    /// finished partition.
    fn fill_gaps(&mut self, gaps: &[usize], new: Vec<FoundFile>) {
        let mut new = new.into_iter();
        for gap in gaps {
            let Some(file) = new.next() else { break };
            self.bytes_total += file.path.metadata().map_or(0, |m| m.len());
            let format = self.record_format(&file.path);
            self.shared.set(
                u32::try_from(*gap).unwrap_or(u32::MAX),
                SharedPartition { name: file.name.as_str().into(), format },
            );
            self.partitions[*gap] = PartitionInfo { name: file.name };
            let position = Position { next_offset: 0, finished: false, fingerprint: String::new() };
            self.files[*gap] = FileState {
                path: file.path,
                position,
                input: None,
                waits: None,
                start: None,
                encoding: None,
                counted_bytes: 0,
            };
        }
        self.add_new(new.collect());
    }

    /// Adds a finished partition for a number without a committed position. Nothing of its file was
    /// read, and the file's name is not known any more.
    fn add_gap(&mut self) {
        let number = self.partitions.len();
        let name = format!("file {number}, gone before it was read");
        let path = self.spec.base.join(&name);
        let fingerprint = Fingerprint { head: Piece::of(b""), tail: None, end: None }.to_string();
        self.add(
            FoundFile { name, path },
            Position { next_offset: 0, finished: true, fingerprint },
        );
    }

    /// Takes a committed partition back.
    fn resume(&mut self, info: &PartitionInfo, position: &Position) -> Result<(), SourceError> {
        let path = self.spec.base.join(&info.name);
        let mut position = position.clone();
        self.known.add(&info.name);
        if is_replayed(&position) {
            // Dead letters that `riskstream replay` has taken in: no file, nothing to read.
            self.add(FoundFile { name: info.name.clone(), path: PathBuf::new() }, position);
            return Ok(());
        }
        let Some(print) = Fingerprint::parse(&position.fingerprint) else {
            let reason = format!(
                "its fingerprint {:?} is not of a file; was the source of another kind?",
                position.fingerprint
            );
            return Err(self.changed(&info.name, &path, &reason));
        };
        let read = u64::try_from(position.next_offset).unwrap_or(0);
        match print.since(&path, self.plain_text(&path), read) {
            Ok(Since::Same) => {}
            Ok(Since::Grown) => position.finished = false,
            Ok(Since::Filled) => {
                position = Position { next_offset: 0, finished: false, fingerprint: String::new() }
            }
            Ok(Since::Changed(reason)) => return Err(self.changed(&info.name, &path, &reason)),
            Err(e) if e.kind() == io::ErrorKind::NotFound && position.finished => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(self.changed(
                    &info.name,
                    &path,
                    "it is gone, and was not read to its end",
                ));
            }
            Err(e) => return Err(unreadable(&self.spec, &info.name, e.to_string())),
        }
        let finished = position.finished;
        // The file was finished by an earlier run without `follow`; in this run it may grow again.
        let waits = match finished && self.may_grow(&path) {
            true => Stamp::of(&path).ok().map(|stamp| stamp.at(read)),
            false => None,
        };
        self.add(FoundFile { name: info.name.clone(), path }, position);
        if finished && let Some(file) = self.files.last_mut() {
            file.waits = waits;
            file.counted_bytes = file.path.metadata().map_or(0, |metadata| metadata.len());
            self.bytes_read += file.counted_bytes;
        }
        Ok(())
    }

    pub(super) fn changed(&self, object: &str, path: &Path, reason: &str) -> SourceError {
        let advice = match self.is_plain(path) {
            true => {
                "put the file back as it was, and new rows behind those that were read, or into a \
                 file of another name"
            }
            false => {
                "such a file is read once, when it is complete: put it back as it was, and new \
                 rows into a file of another name"
            }
        };
        SourceError::Changed {
            source_name: self.spec.name.clone(),
            object: object.to_owned(),
            reason: format!("{reason}; {advice}; or start with a new data folder"),
        }
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn schema(&self) -> &SourceSchema {
        &self.rules.schema
    }

    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        let mut gaps = Vec::new();
        for (number, (info, position)) in resume {
            // A file that gave nothing before the run ended has a number, and no position.
            while self.partitions.len() < *number as usize {
                gaps.push(self.partitions.len());
                self.add_gap();
            }
            self.resume(info, position)?;
        }
        // If all known files were read, they may have been removed since, so a path without files
        // is no error.
        let was_read = !self.files.is_empty()
            && self.files.iter().all(|f| f.position.finished || is_replayed(&f.position));
        let mut new = Vec::new();
        let found = find_new_files(&self.spec, &mut self.known, &mut new);
        self.fill_gaps(&gaps, new);
        if was_read { Ok(()) } else { found }
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
        let lookout = match &mut self.lookout {
            Some(lookout) => lookout,
            none => {
                let started = Lookout::start(self.spec.clone(), std::mem::take(&mut self.known));
                let bug = |e: io::Error| SourceError::Bug {
                    source_name: self.spec.name.clone(),
                    reason: format!("no thread to look for files: {e}"),
                };
                none.insert(started.map_err(bug)?)
            }
        };
        let found = lookout.look()?;
        Ok(self.add_new(found))
    }

    fn report_to(&mut self, notice: Notice) {
        self.notice = Told(Some(notice));
    }

    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let Some(file) = self.files.get(partition as usize) else {
            return Err(SourceError::Bug {
                source_name: self.spec.name.clone(),
                reason: format!("partition {partition} is not known"),
            });
        };
        if (file.position.finished && file.waits.is_none()) || is_replayed(&file.position) {
            return Ok(Poll::Finished(file.position.clone()));
        }
        self.poll_file(partition, limit)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(FileDecoder::new(Arc::clone(&self.shared), Arc::clone(&self.rules), self.format))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        Some((self.bytes_total, self.bytes_read.min(self.bytes_total)))
    }
}

/// How a source's single records are written and decoded.
#[derive(Debug, Clone)]
pub(crate) struct FileRecords {
    spec: FileSourceSpec,
    format: FileFormat,
    rules: Arc<RowRules>,
}

impl FileRecords {
    /// A decoder of records as they came, or of rows that the program has written as JSON.
    pub(crate) fn decoder(&self, rewritten: bool) -> Result<RecordDecoder, SourceError> {
        RecordDecoder::new(if rewritten {
            Arc::new(self.rules.of_rewritten())
        } else {
            Arc::clone(&self.rules)
        })
    }

    /// How records of the partition called `name` are written: as its file says, or, when that is
    /// gone, as the source's first file does. Rows of Parquet files are kept as JSON.
    pub(crate) fn format_of(&self, name: &str) -> Result<RecordFormat, SourceError> {
        if self.format == FileFormat::Parquet {
            return Ok(RecordFormat::Json);
        }
        let path = self.spec.base.join(name);
        let is_looked_at =
            self.format == FileFormat::Csv || !matches!(self.spec.encoding, EncodingChoice::Is(_));
        let files = if path.is_file() {
            vec![FoundFile { name: name.to_owned(), path }]
        } else if is_looked_at {
            find_files(&self.spec).unwrap_or_default()
        } else {
            Vec::new()
        };
        for file in files {
            let encoding = encoding_of(&self.spec, &file.path)
                .map_err(|reason| unreadable(&self.spec, &file.name, reason))?
                .unwrap_or(Encoding::Utf8);
            match self.format {
                FileFormat::Csv => {
                    let of = (&self.spec, &*self.rules);
                    let start = csv_start(of, &file.name, &file.path, encoding, false)?;
                    if let Some((layout, _)) = start {
                        return Ok(RecordFormat::Csv(layout).in_encoding(encoding));
                    }
                }
                FileFormat::Json | FileFormat::Parquet => {
                    return Ok(RecordFormat::Json.in_encoding(encoding));
                }
                FileFormat::Debezium(options) => {
                    return Ok(RecordFormat::Debezium(options).in_encoding(encoding));
                }
            }
        }
        let encoding = match self.spec.encoding {
            EncodingChoice::Is(encoding) => encoding,
            EncodingChoice::Utf16 => Encoding::Utf16Le,
            EncodingChoice::Auto => Encoding::Utf8,
        };
        let format = match self.format {
            FileFormat::Csv => {
                RecordFormat::Csv(layout_without_header(&self.spec, &self.rules, Path::new(name)))
            }
            FileFormat::Json | FileFormat::Parquet => RecordFormat::Json,
            FileFormat::Debezium(options) => RecordFormat::Debezium(options),
        };
        Ok(format.in_encoding(encoding))
    }
}

/// The layout of a CSV file and where its records begin; none when it has no header yet.
pub(super) fn csv_start(
    (spec, rules): (&FileSourceSpec, &RowRules),
    name: &str,
    path: &Path,
    encoding: Encoding,
    may_grow: bool,
) -> Result<Option<(CsvLayout, i64)>, SourceError> {
    if !spec.csv.header && spec.csv.skip_lines == SkipLines::Count(0) {
        return Ok(Some((layout_without_header(spec, rules, path), 0)));
    }
    let fail = |reason: String| unreadable(spec, name, reason);
    let found = read_header(spec, path, encoding, Some(rules), may_grow).map_err(fail)?;
    let Some(CsvHeader { names, end }) = found else { return Ok(None) };
    let layout = match names {
        Some(names) => {
            layout_of(&names, rules, spec.marks(path), spec.missing_as_null).map_err(fail)?
        }
        None => layout_without_header(spec, rules, path),
    };
    Ok(Some((layout, end as i64)))
}

fn layout_without_header(spec: &FileSourceSpec, rules: &RowRules, path: &Path) -> CsvLayout {
    let fields = (0..rules.user_columns()).filter(|column| rules.input(*column).is_some());
    CsvLayout { marks: spec.marks(path), columns: fields.map(Some).collect() }
}

/// The user's columns with the event time that is made of others.
fn with_made_time(
    spec: &FileSourceSpec,
    user: Schema,
    format: FileFormat,
) -> Result<Schema, SourceError> {
    let EventTimeSpec { column, parts, .. } = &spec.event_time;
    if parts.is_empty() {
        return Ok(user);
    }
    if !matches!(format, FileFormat::Json | FileFormat::Csv) {
        let reason = "an event time is made of several columns of JSON or CSV only";
        return Err(unreadable(spec, "its schema", reason));
    }
    let missing = |part: &&String| user.index_of(part).is_err();
    if format == FileFormat::Csv
        && !spec.csv.header
        && let Some(part) = parts.iter().find(missing)
    {
        let reason = format!("there is no column {part}, of which the event time is made");
        return Err(unreadable(spec, "its schema", reason));
    }
    let mut fields: Vec<_> =
        user.fields().iter().filter(|field| field.name() != column).cloned().collect();
    if fields.len() < user.fields().len() && spec.schema.is_none() {
        let reason = format!("column {column} has the name of the event time that is made");
        return Err(unreadable(spec, "its schema", reason));
    }
    fields.push(Arc::new(Field::new(column, utc_timestamp(), false)));
    Ok(Schema::new(fields))
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
        Some(Some(_)) => Err(unreadable(
            spec,
            spec.paths.join(", "),
            "its files are of several formats; make one source of each, or set format",
        )),
        _ => Err(unreadable(
            spec,
            spec.paths.join(", "),
            "the name does not tell the format; set format to json, csv or parquet",
        )),
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
            return Err(unreadable(
                spec,
                "its schema",
                format!("column {name} is {}, which a source can't carry", type_name(data_type)),
            ));
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
            return Err(unreadable(
                spec,
                "its schema",
                format!("column {name} has a name that the program uses itself"),
            ));
        }
    }
    for name in std::iter::once(&spec.event_time.column).chain(&spec.ties_by) {
        if user.index_of(name).is_err() {
            let names: Vec<&str> = user.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(unreadable(
                spec,
                "its schema",
                format!("there is no column {name}; there are {}", names.join(", ")),
            ));
        }
    }
    Ok(())
}
