//! Reading one file of a source: opening it where it was left, polling it, and what becomes of it
//! at its end.
//!
//! - A plain text file is read on while it grows. At its end the file is finished, unless it has
//!   grown meanwhile; with `follow` it is closed instead, and read on when it has changed.
//! - Gzip, zstd and Parquet files must be complete. At its end such a file is finished, with
//!   `follow` too. With `follow`, a file that is cut off may still be being written, and is waited
//!   for.
//!
//! A file that is closed, because it waits or to let another one be opened, is verified when it is
//! opened again.

use crate::decode::{Encoding, EncodingChoice, RecordFormat};
use crate::file::budget::{OpenFiles, Permit, Reopening};
use crate::file::fingerprint::{End, Fingerprint, LastRecord, PIECE_BYTES, Since, Stamp, read_at};
use crate::file::format::{Compression, FileFormat};
use crate::file::input::{Input, Reader};
use crate::file::opened::{describe, encoding_of, is_cut_off};
use crate::file::parquet_reader::{NOT_COMPLETE, ParquetReader};
use crate::file::paths::unreadable;
use crate::file::shared::TooLongRecord;
use crate::file::source::{FileSource, csv_start};
use crate::file::text::{RecordGrammar, TextPoll, TextReader, decompressed, extend_tail};
use riskstream_engine::contract::{Block, Payload, Poll, PollLimit, SourceError};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What opening a file gave.
enum Opened {
    Input(Box<Input>),
    /// There is nothing in it yet.
    Empty,
    /// It is not complete: why.
    CutOff(String),
}

impl FileSource {
    /// Whether the bytes of the file are the text itself.
    pub(super) fn is_plain(&self, path: &Path) -> bool {
        self.format != FileFormat::Parquet && self.spec.compression_of(path) == Compression::None
    }

    pub(super) fn may_grow(&self, path: &Path) -> bool {
        self.spec.follow && self.is_plain(path)
    }

    /// Polls a file that is not finished, or was finished by a run before and may grow in this one.
    pub(super) fn poll_file(
        &mut self,
        partition: u32,
        limit: PollLimit,
    ) -> Result<Poll, SourceError> {
        let at = partition as usize;
        let path = self.files[at].path.clone();
        if let Some(stamp) = self.files[at].waits {
            let file = &mut self.files[at];
            match Stamp::of(&path) {
                Ok(now) if now == stamp => return Ok(Poll::Pending { caught_up: true }),
                Ok(_) => (file.waits, file.position.finished) = (None, false),
                Err(e) if e.kind() == io::ErrorKind::NotFound && file.position.finished => {
                    file.waits = None;
                    return Ok(Poll::Finished(file.position.clone()));
                }
                Err(e) => return Err(self.gone(partition, &e)),
            }
        }
        if let Some(input) = self.files[at].input.take() {
            return self.poll_input(partition, &path, input, limit);
        }
        let stamp = Stamp::of(&path).map_err(|e| self.gone(partition, &e))?;
        match self.open_file(partition, &path, limit)? {
            Opened::Input(input) => self.poll_input(partition, &path, input, limit),
            // An empty file is at its end, unless `follow` says that something may still come.
            Opened::Empty if self.spec.follow => {
                let file = &mut self.files[at];
                file.position.fingerprint.clear();
                file.waits = Some(stamp);
                Ok(Poll::Pending { caught_up: true })
            }
            Opened::Empty => {
                let print = Fingerprint::of(&path).map_err(|e| self.gone(partition, &e))?;
                // Blank lines before a missing header count as read; otherwise the file would seem
                // to have grown each time it is looked at.
                let blank = if self.is_plain(&path) {
                    i64::try_from(stamp.bytes).unwrap_or(i64::MAX)
                } else {
                    0
                };
                let next_offset = self.files[at].position.next_offset.max(blank);
                self.finish(partition, &path, print, next_offset, LastRecord::Ended)
            }
            Opened::CutOff(reason) => Ok(self.wait_for_rest(partition, stamp, &reason)),
        }
    }

    fn gone(&self, partition: u32, error: &io::Error) -> SourceError {
        let name = &self.partitions[partition as usize].name;
        let path = &self.files[partition as usize].path;
        if error.kind() == io::ErrorKind::NotFound
            && self.files[partition as usize].position.next_offset > 0
        {
            return self.changed(name, path, "it is gone, and was not read to its end");
        }
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => describe(error, self.spec.compression_of(path)),
        };
        unreadable(&self.spec, name, reason)
    }

    /// Opens a file where it was left, closing others if too many are open.
    fn open_file(
        &mut self,
        partition: u32,
        path: &Path,
        limit: PollLimit,
    ) -> Result<Opened, SourceError> {
        let at = partition as usize;
        while let Some(other) = self.open.next_to_close() {
            self.files[other as usize].input = None;
        }
        let name = self.partitions[at].name.clone();
        let offset = self.files[at].position.next_offset;
        let (mut print, last_record) = self.verified(partition, path)?;
        let file = File::open(path).map_err(|e| self.gone(partition, &e))?;
        let bytes = file.metadata().map_err(|e| self.gone(partition, &e))?.len();
        let raw_bytes = Arc::new(AtomicU64::new(0));
        let encoding = match self.encoding(partition, path) {
            // The byte-order mark of a file that is cut off may be unreadable; such a file is
            // waited for.
            Err(error) if self.is_cut_off(path) => return Ok(Opened::CutOff(error.to_string())),
            encoding => encoding?,
        };
        let reader = match self.format {
            FileFormat::Parquet if bytes == 0 => return Ok(Opened::Empty),
            FileFormat::Parquet => {
                let opened = ParquetReader::open(
                    file,
                    &self.user,
                    &self.rules,
                    self.spec.missing_as_null,
                    offset,
                    limit.rows,
                );
                let reader = match opened {
                    Err(reason) if self.spec.follow && reason.starts_with(NOT_COMPLETE) => {
                        return Ok(Opened::CutOff(reason));
                    }
                    opened => opened.map_err(|reason| unreadable(&self.spec, &name, reason))?,
                };
                if offset > reader.rows() {
                    return Err(self.changed(
                        &name,
                        path,
                        &format!("it has {} rows, of which {offset} were read", reader.rows()),
                    ));
                }
                print.end =
                    Some(End::of(path, LastRecord::Ended).map_err(|e| self.gone(partition, &e))?);
                Reader::Rows { reader, bytes }
            }
            FileFormat::Json | FileFormat::Debezium(_) => {
                match self.open_text(
                    partition,
                    path,
                    file,
                    offset,
                    RecordGrammar::Lines,
                    &raw_bytes,
                )? {
                    Ok(text) => Reader::Text(text.in_encoding(encoding).after(last_record)),
                    Err(reason) => return Ok(Opened::CutOff(reason)),
                }
            }
            FileFormat::Csv => {
                let start = match self.files[at].start {
                    Some(start) => start,
                    None => {
                        let may_grow = self.may_grow(path);
                        match csv_start((&self.spec, &self.rules), &name, path, encoding, may_grow)
                        {
                            // The header of a file that is cut off may be unreadable; such a file
                            // is waited for.
                            Err(error) if self.is_cut_off(path) => {
                                return Ok(Opened::CutOff(error.to_string()));
                            }
                            Err(error) => return Err(error),
                            Ok(None) => return Ok(Opened::Empty),
                            Ok(Some((layout, start))) => {
                                let format = RecordFormat::Csv(layout).in_encoding(encoding);
                                self.shared.set_format(partition, format);
                                self.files[at].start = Some(start);
                                start
                            }
                        }
                    }
                };
                let grammar = RecordGrammar::Csv(self.spec.marks(path));
                match self.open_text(
                    partition,
                    path,
                    file,
                    offset.max(start),
                    grammar,
                    &raw_bytes,
                )? {
                    Ok(text) => Reader::Text(text.in_encoding(encoding).after(last_record)),
                    Err(reason) => return Ok(Opened::CutOff(reason)),
                }
            }
        };
        Ok(Opened::Input(Box::new(Input {
            reader,
            print,
            raw_bytes,
            _permit: OpenFiles::permit(),
        })))
    }

    /// The encoding of a file's text. While the file has too little of it to say, it is as good as
    /// UTF-8, and asked for again.
    fn encoding(&mut self, partition: u32, path: &Path) -> Result<Encoding, SourceError> {
        let at = partition as usize;
        if self.format == FileFormat::Parquet {
            return Ok(Encoding::Utf8);
        }
        if let Some(known) = self.files[at].encoding {
            return Ok(known);
        }
        let found = encoding_of(&self.spec, path)
            .map_err(|reason| unreadable(&self.spec, &self.partitions[at].name, reason))?;
        self.files[at].encoding = found;
        if let (Some(encoding), FileFormat::Json | FileFormat::Debezium(_)) = (found, self.format) {
            let format = self.record_format(path).in_encoding(encoding);
            self.shared.set_format(partition, format);
        }
        Ok(found.unwrap_or(Encoding::Utf8))
    }

    /// What is said of the encoding of a file whose bytes are the text itself.
    pub(super) fn plain_text(&self, path: &Path) -> Option<EncodingChoice> {
        self.is_plain(path).then_some(self.spec.encoding)
    }

    /// The file's fingerprint, after a look whether it still is the file that was read, and how the
    /// last record ended that was read of it.
    fn verified(
        &self,
        partition: u32,
        path: &Path,
    ) -> Result<(Fingerprint, LastRecord), SourceError> {
        let position = &self.files[partition as usize].position;
        let fresh = || Fingerprint::of(path).map_err(|e| self.gone(partition, &e));
        let mut print = match Fingerprint::parse(&position.fingerprint) {
            Some(print) => print,
            None => fresh()?,
        };
        let read = u64::try_from(position.next_offset).unwrap_or(0);
        let since =
            print.since(path, self.plain_text(path), read).map_err(|e| self.gone(partition, &e))?;
        // If the file has grown, its new part begins with the line end that the last record lacked.
        let last_record =
            if since == Since::Same { print.last_record() } else { LastRecord::Ended };
        match since {
            Since::Same | Since::Grown => {
                if print.head.bytes < PIECE_BYTES {
                    print.head = fresh()?.head;
                }
            }
            Since::Filled => print = fresh()?,
            Since::Changed(reason) => {
                return Err(self.changed(&self.partitions[partition as usize].name, path, &reason));
            }
        }
        // The file is read on, so what it was at its former end no longer counts.
        print.end = None;
        Ok((print, last_record))
    }

    /// Whether compressed data may still be written: with `follow` a file that ends too early is
    /// waited for.
    fn is_cut_off(&self, path: &Path) -> bool {
        let compression = self.spec.compression_of(path);
        let content = || {
            decompressed(File::open(path)?, compression, Arc::default())
                .and_then(|mut all| io::copy(&mut all, &mut io::sink()))
        };
        self.spec.follow && content().is_err_and(|e| is_cut_off(&e, compression))
    }

    /// A reader at `offset`, or why the file is not complete, where that is waited for.
    fn open_text(
        &self,
        partition: u32,
        path: &Path,
        mut file: File,
        offset: i64,
        grammar: RecordGrammar,
        raw_bytes: &Arc<AtomicU64>,
    ) -> Result<Result<TextReader, String>, SourceError> {
        let compression = self.spec.compression_of(path);
        let skip = u64::try_from(offset).unwrap_or(0);
        let mut tail = Vec::new();
        let input = if compression == Compression::None {
            let from = skip.saturating_sub(PIECE_BYTES as u64);
            tail = read_at(&mut file, from, usize::try_from(skip - from).unwrap_or(PIECE_BYTES))
                .map_err(|e| self.gone(partition, &e))?;
            file.seek(SeekFrom::Start(skip)).map_err(|e| self.gone(partition, &e))?;
            raw_bytes.store(skip, Ordering::Relaxed);
            decompressed(file, compression, Arc::clone(raw_bytes))
                .map_err(|e| self.gone(partition, &e))?
        } else {
            let mut input = decompressed(file, compression, Arc::clone(raw_bytes))
                .map_err(|e| self.gone(partition, &e))?;
            match skipped(&mut input, skip, &mut tail) {
                Ok(read) if read < skip => {
                    let reason =
                        format!("it has {read} bytes when decompressed, of which {skip} were read");
                    return Err(self.changed(
                        &self.partitions[partition as usize].name,
                        path,
                        &reason,
                    ));
                }
                Ok(_) => self.check_tail(partition, path, &tail, offset)?,
                Err(e) if self.spec.follow && is_cut_off(&e, compression) => {
                    return Ok(Err(describe(&e, compression)));
                }
                Err(e) => return Err(self.gone(partition, &e)),
            }
            input
        };
        Ok(Ok(TextReader::new(
            input,
            offset,
            tail,
            grammar,
            self.rules.record_bytes_max,
            self.may_grow(path),
        )))
    }

    /// Compares the text read last with the fingerprint's tail. Compressed text has to be
    /// decompressed up to there first, so this happens only here.
    fn check_tail(
        &self,
        partition: u32,
        path: &Path,
        tail: &[u8],
        offset: i64,
    ) -> Result<(), SourceError> {
        let position = &self.files[partition as usize].position;
        let known = Fingerprint::parse(&position.fingerprint).and_then(|print| print.tail);
        match known {
            Some(known) if offset == position.next_offset && !known.is_of(tail) => {
                let reason = format!("what was read of it up to byte {offset} is another text now");
                Err(self.changed(&self.partitions[partition as usize].name, path, &reason))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn poll_input(
        &mut self,
        partition: u32,
        path: &Path,
        input: Box<Input>,
        limit: PollLimit,
    ) -> Result<Poll, SourceError> {
        let Input { reader, print, raw_bytes, _permit: permit } = *input;
        match reader {
            Reader::Text(text) => {
                self.poll_text(partition, path, text, print, (raw_bytes, permit), limit)
            }
            Reader::Rows { mut reader, bytes } => {
                let first_offset = reader.offset();
                let polled = reader.poll(limit.rows).map_err(|reason| {
                    unreadable(&self.spec, &self.partitions[partition as usize].name, reason)
                })?;
                let Some(batch) = polled else {
                    return self.finish(partition, path, print, first_offset, LastRecord::Ended);
                };
                let next_offset = reader.offset();
                let share = u128::from(bytes) * u128::try_from(next_offset).unwrap_or(0)
                    / u128::try_from(reader.rows().max(1)).unwrap_or(1);
                raw_bytes.store(u64::try_from(share).unwrap_or(bytes), Ordering::Relaxed);
                let input = Input {
                    reader: Reader::Rows { reader, bytes },
                    print,
                    raw_bytes,
                    _permit: permit,
                };
                Ok(self.give(
                    partition,
                    input,
                    first_offset,
                    next_offset,
                    Payload::Rows(batch),
                    Reopening::Footer,
                ))
            }
        }
    }

    fn poll_text(
        &mut self,
        partition: u32,
        path: &Path,
        mut reader: TextReader,
        mut print: Fingerprint,
        (raw_bytes, permit): (Arc<AtomicU64>, Permit),
        limit: PollLimit,
    ) -> Result<Poll, SourceError> {
        let at = partition as usize;
        let compression = self.spec.compression_of(path);
        let stamp = Stamp::of(path).map_err(|e| self.gone(partition, &e))?;
        let (first_offset, payload) = match reader.poll(limit.bytes) {
            Err(e) if self.spec.follow && is_cut_off(&e, compression) => {
                return Ok(self.wait_for_rest(partition, stamp, &describe(&e, compression)));
            }
            Err(e) => {
                return Err(unreadable(
                    &self.spec,
                    &self.partitions[at].name,
                    describe(&e, compression),
                ));
            }
            Ok(TextPoll::Records { first_offset, text }) => (first_offset, Payload::Raw(text)),
            Ok(TextPoll::TooLong { first_offset, head, length }) => {
                (first_offset, Payload::Other(Box::new(TooLongRecord { head, length })))
            }
            Ok(TextPoll::Busy) => {
                self.keep(
                    partition,
                    Input { reader: Reader::Text(reader), print, raw_bytes, _permit: permit },
                    Reopening::Never,
                );
                return Ok(Poll::Pending { caught_up: false });
            }
            Ok(TextPoll::Waiting) => {
                let read = u64::try_from(reader.offset()).unwrap_or(0) + reader.waiting();
                if stamp.bytes < u64::try_from(reader.offset()).unwrap_or(0) {
                    let reason = format!(
                        "it has {} bytes, of which {} were read",
                        stamp.bytes,
                        reader.offset()
                    );
                    return Err(self.changed(&self.partitions[at].name, path, &reason));
                }
                // The stamp was taken before the read, so anything written since then makes another
                // stamp, and the file is read on.
                self.files[at].waits = Some(stamp.at(read));
                match reader.is_within_record() {
                    true => self.keep(
                        partition,
                        Input { reader: Reader::Text(reader), print, raw_bytes, _permit: permit },
                        Reopening::Never,
                    ),
                    false => self.open.closed(partition),
                }
                return Ok(Poll::Pending { caught_up: true });
            }
            Ok(TextPoll::End) => {
                print.tail = Fingerprint::tail_of(reader.tail());
                return self.finish(partition, path, print, reader.offset(), reader.last_record());
            }
        };
        print.tail = Fingerprint::tail_of(reader.tail());
        // The head of a file that was short at first now covers more bytes.
        if print.head.bytes < PIECE_BYTES
            && u64::try_from(reader.offset()).unwrap_or(0) > print.head.bytes as u64
        {
            print.head = Fingerprint::of(path).map_err(|e| self.gone(partition, &e))?.head;
        }
        let next_offset = reader.offset();
        // A last record without a line end was read as it was. The fingerprint says so, so that a
        // later run can tell if that record has been continued.
        if reader.last_record() != LastRecord::Ended {
            let end = End::of(path, reader.last_record()).map_err(|e| self.gone(partition, &e))?;
            let read = u64::try_from(next_offset).unwrap_or(0);
            print.end = Some(if self.is_plain(path) { end.at(read) } else { end });
        }
        let cost = match compression {
            Compression::None => Reopening::Seek,
            Compression::Gzip | Compression::Zstd => {
                Reopening::Decompress(u64::try_from(next_offset).unwrap_or(0))
            }
        };
        let input = Input { reader: Reader::Text(reader), print, raw_bytes, _permit: permit };
        Ok(self.give(partition, input, first_offset, next_offset, payload, cost))
    }

    /// Keeps a file open, and counts what was read of it.
    fn keep(&mut self, partition: u32, input: Input, cost: Reopening) {
        self.count(partition, &input.raw_bytes);
        self.files[partition as usize].input = Some(Box::new(input));
        self.open.used(partition, cost);
    }

    fn count(&mut self, partition: u32, raw_bytes: &AtomicU64) {
        let file = &mut self.files[partition as usize];
        let read = raw_bytes.load(Ordering::Relaxed).max(file.counted_bytes);
        self.bytes_read += read - file.counted_bytes;
        file.counted_bytes = read;
    }

    fn give(
        &mut self,
        partition: u32,
        input: Input,
        first_offset: i64,
        next_offset: i64,
        payload: Payload,
        cost: Reopening,
    ) -> Poll {
        let position = &mut self.files[partition as usize].position;
        position.next_offset = next_offset;
        position.fingerprint = input.print.to_string();
        let next = position.clone();
        self.keep(partition, input, cost);
        self.complete(partition);
        Poll::Block(Block { partition, first_offset, next, payload, read_at: 0 })
    }

    /// The file was read to its end. If it has grown meanwhile it is read on.
    fn finish(
        &mut self,
        partition: u32,
        path: &Path,
        mut print: Fingerprint,
        next_offset: i64,
        record: LastRecord,
    ) -> Result<Poll, SourceError> {
        let at = partition as usize;
        self.open.closed(partition);
        self.files[at].position.next_offset = next_offset;
        let read = u64::try_from(next_offset).unwrap_or(0);
        // A file that was removed meanwhile was nevertheless read to its end.
        if let Ok(end) = End::of(path, record) {
            if self.spec.follow && end.size == 0 {
                let stamp = Stamp::of(path).map_err(|e| self.gone(partition, &e))?;
                self.files[at].waits = Some(stamp.at(0));
                return Ok(Poll::Pending { caught_up: true });
            }
            let is_plain = self.is_plain(path);
            print.end = Some(if is_plain { end.at(read) } else { end });
            if is_plain && end.size != read {
                let since = print.since(path, self.plain_text(path), read);
                return match since.map_err(|e| self.gone(partition, &e))? {
                    Since::Changed(reason) => {
                        Err(self.changed(&self.partitions[at].name, path, &reason))
                    }
                    Since::Same | Since::Grown | Since::Filled => {
                        self.files[at].position.fingerprint =
                            Fingerprint { end: None, ..print }.to_string();
                        Ok(Poll::Pending { caught_up: false })
                    }
                };
            }
        }
        let bytes = path.metadata().map_or(0, |m| m.len());
        self.count(partition, &AtomicU64::new(bytes));
        self.complete(partition);
        let position = &mut self.files[at].position;
        position.finished = true;
        position.fingerprint = print.to_string();
        Ok(Poll::Finished(position.clone()))
    }

    /// The file is cut off, and may still be written: it is opened again when it has changed.
    fn wait_for_rest(&mut self, partition: u32, stamp: Stamp, reason: &str) -> Poll {
        self.open.closed(partition);
        let file = &mut self.files[partition as usize];
        file.waits = Some(stamp);
        if file.position.next_offset == 0 {
            file.position.fingerprint.clear();
        }
        self.incomplete.insert(partition);
        let name = &self.partitions[partition as usize].name;
        let others = self.incomplete.len() - 1;
        let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        self.tell(Some(format!(
            "{name} is not complete, and read on when it has changed{more}: {reason}"
        )));
        Poll::Pending { caught_up: true }
    }

    fn complete(&mut self, partition: u32) {
        if self.incomplete.remove(&partition) && self.incomplete.is_empty() {
            self.tell(None);
        }
    }

    fn tell(&self, problem: Option<String>) {
        if let Some(notice) = &self.notice.0 {
            notice(problem);
        }
    }
}

/// Reads past `bytes` bytes, or to the end; gives how many there were, and keeps the last ones.
fn skipped(input: &mut impl Read, bytes: u64, tail: &mut Vec<u8>) -> io::Result<u64> {
    let mut piece = vec![0; 64 * 1024];
    let mut read = 0;
    while read < bytes {
        let wanted = usize::try_from(bytes - read).unwrap_or(usize::MAX).min(piece.len());
        match input.read(&mut piece[..wanted]) {
            Ok(0) => break,
            Ok(n) => {
                extend_tail(tail, &piece[..n]);
                read += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(read)
}
