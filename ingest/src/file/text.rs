//! A text file as blocks of whole records.
//!
//! Where a block is cut depends on how much was asked for; where a record begins and ends does not.
//! At most one record (and one block) is in memory: a longer record than the limit is read past in
//! pieces.

use crate::decode::{CsvMarks, Encoding, TOO_LONG_HEAD_BYTES, cut_csv};
use crate::file::fingerprint::{LastRecord, PIECE_BYTES};
use crate::file::format::Compression;
use bytes::Bytes;
use memchr::{memchr, memrchr};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much of a record that is too long is read past in one poll.
const SKIP_BYTES_PER_POLL: usize = 64 * 1024 * 1024;
const SKIP_PIECE_BYTES: usize = 1024 * 1024;

/// What ends a record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RecordGrammar {
    /// A newline.
    Lines,
    /// A newline outside quotes.
    Csv(CsvMarks),
}

/// The next piece of a file.
#[derive(Debug)]
pub(crate) enum TextPoll {
    /// Whole records.
    Records { first_offset: i64, text: Bytes },
    /// A record over the limit: its beginning and its length.
    TooLong { first_offset: i64, head: Bytes, length: u64 },
    /// Work was done, ask again.
    Busy,
    /// The present end of a file that may grow.
    Waiting,
    /// The end.
    End,
}

/// A record that is being read past.
#[derive(Debug)]
struct LongRecord {
    head: Vec<u8>,
    length: u64,
}

impl LongRecord {
    fn push(&mut self, piece: &[u8]) {
        let kept = piece.len().min(TOO_LONG_HEAD_BYTES - self.head.len());
        self.head.extend_from_slice(&piece[..kept]);
        self.length += piece.len() as u64;
    }
}

/// Reads one text file.
pub(crate) struct TextReader {
    input: Box<dyn Read + Send>,
    grammar: RecordGrammar,
    encoding: Encoding,
    record_bytes_max: usize,
    may_grow: bool,
    /// Bytes read and not handed out; begins with a record.
    buffer: Vec<u8>,
    /// The offset of the buffer's first byte (or of the long record).
    offset: i64,
    at_end: bool,
    /// The end was seen once already; if nothing follows at a second look, the last record is
    /// taken.
    is_sure: bool,
    long: Option<LongRecord>,
    /// The last bytes before `offset`.
    tail: Vec<u8>,
    /// How the last record ended, once there is no more.
    last_record: LastRecord,
}

/// Keeps the last bytes of what went by.
pub(crate) fn extend_tail(tail: &mut Vec<u8>, text: &[u8]) {
    if text.len() >= PIECE_BYTES {
        tail.clear();
    }
    tail.extend_from_slice(&text[text.len().saturating_sub(PIECE_BYTES)..]);
    tail.drain(..tail.len().saturating_sub(PIECE_BYTES));
}

/// Counts the bytes of the file itself, before decompression.
struct Counting {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The file's content, decompressed.
pub(crate) fn decompressed(
    file: File,
    compression: Compression,
    read: Arc<AtomicU64>,
) -> io::Result<Box<dyn Read + Send>> {
    let counting = Counting { file, read };
    Ok(match compression {
        Compression::None => Box::new(counting),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(
            BufReader::with_capacity(256 * 1024, counting),
        )),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(counting)?),
    })
}

impl TextReader {
    /// Reads on from `input`, which stands at `offset`, the beginning of a record; `tail` are the
    /// last bytes before it.
    pub(crate) fn new(
        input: Box<dyn Read + Send>,
        offset: i64,
        tail: Vec<u8>,
        grammar: RecordGrammar,
        record_bytes_max: usize,
        may_grow: bool,
    ) -> Self {
        let (buffer, last_record) = (Vec::new(), LastRecord::Ended);
        Self {
            input,
            grammar,
            encoding: Encoding::Utf8,
            record_bytes_max,
            may_grow,
            buffer,
            offset,
            at_end: false,
            is_sure: false,
            long: None,
            tail,
            last_record,
        }
    }

    /// The same of a text in an encoding.
    pub(crate) fn in_encoding(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// The same reader, after a record that ended as `last_record` says.
    pub(crate) fn after(self, last_record: LastRecord) -> Self {
        Self { last_record, ..self }
    }

    /// The last up to [`PIECE_BYTES`] bytes before [`Self::offset`].
    pub(crate) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// How the last record ended; `Ended` before the end is reached.
    pub(crate) fn last_record(&self) -> LastRecord {
        self.last_record
    }

    /// Bytes that were read and wait for the end of their record.
    pub(crate) fn waiting(&self) -> u64 {
        self.buffer.len() as u64 + self.long.as_ref().map_or(0, |long| long.length)
    }

    /// Whether a record over the limit is being read past.
    pub(crate) fn is_within_record(&self) -> bool {
        self.long.is_some()
    }

    /// Where the next record begins.
    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    /// The next piece, of about `bytes` bytes.
    pub(crate) fn poll(&mut self, bytes: usize) -> io::Result<TextPoll> {
        let mut wanted = bytes.max(1);
        self.skip_byte_order_mark()?;
        if self.last_record != LastRecord::Ended {
            // The record before was taken without its line end, so nothing after it may become a
            // new record.
            return Ok(self.take_last());
        }
        loop {
            if self.long.is_some() {
                return self.skip_long();
            }
            self.fill(wanted)?;
            let cut = self.cut(false);
            if cut > 0 {
                return Ok(self.take(cut));
            }
            if self.at_end {
                if self.may_grow {
                    return Ok(TextPoll::Waiting);
                }
                // A last record without its end is taken as it is, but not while it is being
                // written.
                if !self.is_sure {
                    (self.is_sure, self.at_end) = (true, false);
                    wanted = wanted.max(self.buffer.len() + 1);
                    continue;
                }
                return Ok(self.take_last());
            }
            // One more than the limit: it may be the carriage return of a line end.
            let unit = self.encoding.unit();
            if self.buffer.len() > self.record_bytes_max.saturating_add(unit) {
                let mut long = LongRecord { head: Vec::new(), length: 0 };
                extend_tail(&mut self.tail, &self.buffer);
                long.push(&std::mem::take(&mut self.buffer));
                self.long = Some(long);
                continue;
            }
            // A block smaller than the record: read more of it, up to just over the limit.
            wanted = wanted
                .max(self.buffer.len())
                .saturating_mul(2)
                .min(self.record_bytes_max.saturating_add(SKIP_PIECE_BYTES));
        }
    }

    /// A byte-order mark in front of the text is part of no record, however long the first one is.
    fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        if self.offset == 0 && self.long.is_none() {
            let mark = self.encoding.mark();
            self.fill(mark.len())?;
            if self.buffer.starts_with(mark) {
                self.buffer.drain(..mark.len());
                extend_tail(&mut self.tail, mark);
                self.offset = mark.len() as i64;
            }
        }
        Ok(())
    }

    /// Reads until the buffer has `wanted` bytes or the input ends.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        // Whole units, as long as there is more.
        let wanted = wanted.next_multiple_of(self.encoding.unit());
        if self.buffer.len() >= wanted || (self.at_end && !self.may_grow) {
            return Ok(());
        }
        let missing = wanted - self.buffer.len();
        self.buffer.reserve(missing);
        let read = self.input.by_ref().take(missing as u64).read_to_end(&mut self.buffer)?;
        self.at_end = read < missing;
        Ok(())
    }

    fn cut(&self, last: bool) -> usize {
        let unit = self.encoding.unit();
        let image = self.encoding.image(&self.buffer);
        let cut = match self.grammar {
            RecordGrammar::Lines if last => image.len(),
            RecordGrammar::Lines => memrchr(b'\n', &image).map_or(0, |at| at + 1),
            RecordGrammar::Csv(marks) => cut_csv(&image, marks, self.record_bytes_max / unit, last),
        };
        // Half a unit at the end of all goes with what is before it.
        if last && cut == image.len() { self.buffer.len() } else { cut * unit }
    }

    /// What is left at the end, which is the last record.
    fn take_last(&mut self) -> TextPoll {
        let cut = self.cut(true);
        if cut == 0 {
            return TextPoll::End;
        }
        let ended = [&self.encoding.image(&self.buffer)[..], b"\n"].concat();
        let bytes_max = self.record_bytes_max / self.encoding.unit();
        self.last_record = match self.grammar {
            RecordGrammar::Csv(marks) if cut_csv(&ended, marks, bytes_max, false) == 0 => {
                LastRecord::Quoted
            }
            RecordGrammar::Csv(_) | RecordGrammar::Lines => LastRecord::Open,
        };
        self.take(cut)
    }

    fn take(&mut self, cut: usize) -> TextPoll {
        self.is_sure = false;
        extend_tail(&mut self.tail, &self.buffer[..cut]);
        let tail = self.buffer[cut..].to_vec();
        let mut text = std::mem::replace(&mut self.buffer, tail);
        text.truncate(cut);
        let first_offset = self.offset;
        self.offset += cut as i64;
        TextPoll::Records { first_offset, text: Bytes::from(text) }
    }

    /// Reads past the long record, a bounded piece per call.
    fn skip_long(&mut self) -> io::Result<TextPoll> {
        let unit = self.encoding.unit();
        let mut piece = Vec::with_capacity(SKIP_PIECE_BYTES);
        let mut skipped = 0;
        while skipped < SKIP_BYTES_PER_POLL {
            piece.clear();
            // Half a unit, which the last piece had at its end.
            piece.append(&mut self.buffer);
            let wanted = SKIP_PIECE_BYTES - piece.len();
            let read = self.input.by_ref().take(wanted as u64).read_to_end(&mut piece)?;
            self.at_end = read < wanted;
            let newline = memchr(b'\n', &self.encoding.image(&piece)).map(|at| at * unit);
            let whole = if self.may_grow { piece.len() - piece.len() % unit } else { piece.len() };
            extend_tail(&mut self.tail, &piece[..newline.map_or(whole, |at| at + unit)]);
            if let Some(long) = &mut self.long {
                long.push(&piece[..newline.unwrap_or(whole)]);
            }
            if let Some(newline) = newline {
                self.buffer = piece[newline + unit..].to_vec();
                return Ok(self.end_long(unit as i64));
            }
            self.buffer.extend_from_slice(&piece[whole..]);
            if self.at_end {
                if self.may_grow {
                    return Ok(TextPoll::Waiting);
                }
                self.last_record = LastRecord::Open;
                return Ok(self.end_long(0));
            }
            skipped += read;
        }
        Ok(TextPoll::Busy)
    }

    fn end_long(&mut self, terminator: i64) -> TextPoll {
        let first_offset = self.offset;
        match self.long.take() {
            Some(mut long) => {
                self.offset += long.length as i64 + terminator;
                // A carriage return is part of the line end, which only shows when the whole record
                // was kept.
                let unit = self.encoding.unit();
                let last = long.head.len().saturating_sub(unit);
                if long.length == long.head.len() as u64
                    && *self.encoding.image(&long.head[last..]) == *b"\r"
                {
                    long.head.truncate(last);
                    long.length -= unit as u64;
                }
                TextPoll::TooLong {
                    first_offset,
                    head: Bytes::from(long.head),
                    length: long.length,
                }
            }
            None => TextPoll::Busy,
        }
    }
}

impl std::fmt::Debug for TextReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextReader")
            .field("offset", &self.offset)
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_byte_order_mark_is_not_part_of_a_record_that_is_too_long() {
        let text = [Encoding::Utf8.mark(), &[b'x'; 40], b"\n"].concat();
        for bytes in [1, 16, 4096] {
            let mut reader = TextReader::new(
                Box::new(io::Cursor::new(text.clone())),
                0,
                Vec::new(),
                RecordGrammar::Lines,
                20,
                false,
            );
            let first = loop {
                match reader.poll(bytes).expect("memory can be read") {
                    TextPoll::Busy => {}
                    other @ (TextPoll::Records { .. }
                    | TextPoll::TooLong { .. }
                    | TextPoll::Waiting
                    | TextPoll::End) => break other,
                }
            };
            match first {
                TextPoll::TooLong { first_offset, length, .. } => {
                    assert_eq!((first_offset, length), (3, 40))
                }
                TextPoll::Records { first_offset, text } => {
                    assert_eq!((first_offset, text.len()), (3, 41))
                }
                TextPoll::Busy | TextPoll::Waiting | TextPoll::End => panic!("there is a record"),
            }
        }
    }

    const MARKS: CsvMarks = CsvMarks { delimiter: b',', quote: b'"', escape: None };

    /// A text of UTF-16 is cut where the same text in bytes is.
    fn records_of_utf16(
        text: &str,
        bytes: usize,
        grammar: RecordGrammar,
        max: usize,
        encoding: Encoding,
    ) -> Vec<(i64, Vec<u8>)> {
        let units = |text: &str| -> Vec<u8> {
            let bytes = |unit: u16| match encoding {
                Encoding::Utf16Be => unit.to_be_bytes(),
                Encoding::Utf8 | Encoding::Utf16Le | Encoding::SingleByte(_) => unit.to_le_bytes(),
            };
            text.encode_utf16().flat_map(bytes).collect()
        };
        let all = [encoding.mark(), &units(text)].concat();
        let mut reader = TextReader::new(
            Box::new(io::Cursor::new(all.clone())),
            0,
            Vec::new(),
            grammar,
            max,
            false,
        )
        .in_encoding(encoding);
        let mut blocks = Vec::new();
        loop {
            let polled = reader.poll(bytes).expect("readable");
            let read = usize::try_from(reader.offset()).expect("from 0");
            assert_eq!(reader.tail(), &all[read.saturating_sub(PIECE_BYTES)..read]);
            match polled {
                TextPoll::Records { first_offset, text } => {
                    blocks.push((first_offset, text.to_vec()))
                }
                TextPoll::TooLong { first_offset, head, length } => {
                    assert_eq!(length, head.len() as u64);
                    blocks.push((first_offset, head.to_vec()))
                }
                TextPoll::Busy => {}
                TextPoll::Waiting | TextPoll::End => return blocks,
            }
        }
    }

    #[test]
    fn utf16_is_cut_between_its_records_and_a_long_one_is_read_past() {
        for encoding in [Encoding::Utf16Le, Encoding::Utf16Be] {
            // U+0A0A and U+220A hold the byte of a newline, and are none.
            let text = "a,\u{A0A}\n\"b\n\u{220A}\",c\nä\r\nlonger than all\r\nz";
            for bytes in [1, 7, 64] {
                let blocks = records_of_utf16(text, bytes, RecordGrammar::Csv(MARKS), 24, encoding);
                let of = |offset| blocks.iter().find(|(at, _)| *at == offset).map(|(_, b)| b.len());
                // 2 of the mark; "a,x\n" is 8; the quoted record 16; "ä\r\n" 6; then the long one.
                match bytes {
                    // What is whole in a block stays there, for the decoder to refuse.
                    64 => assert_eq!(of(2), Some(64), "{encoding} {bytes}: {blocks:?}"),
                    _ => assert_eq!(of(32), Some(30), "{encoding} {bytes}: {blocks:?}"),
                }
                assert_eq!(of(66), Some(2), "{encoding} {bytes}: {blocks:?}");
                if bytes == 1 {
                    assert_eq!((of(2), of(10), of(26)), (Some(8), Some(16), Some(6)));
                }
            }
        }
    }

    fn records(
        text: &[u8],
        bytes: usize,
        grammar: RecordGrammar,
        max: usize,
    ) -> Vec<(i64, Vec<u8>)> {
        let mut reader = TextReader::new(
            Box::new(io::Cursor::new(text.to_vec())),
            0,
            Vec::new(),
            grammar,
            max,
            false,
        );
        let mut blocks = Vec::new();
        loop {
            match reader.poll(bytes).expect("readable") {
                TextPoll::Records { first_offset, text } => {
                    blocks.push((first_offset, text.to_vec()))
                }
                TextPoll::TooLong { first_offset, head, length } => {
                    blocks.push((first_offset, format!("{length}:{}", head.len()).into_bytes()))
                }
                TextPoll::Busy => {}
                TextPoll::Waiting | TextPoll::End => return blocks,
            }
        }
    }

    #[test]
    fn a_line_over_the_limit_is_read_past() {
        let text = [&b"a\n"[..], &vec![b'x'; 3_000_000], b"\nb\n"].concat();
        let blocks = records(&text, 16, RecordGrammar::Lines, 1000);
        assert_eq!(blocks.len(), 3);
        assert_eq!(blocks[0], (0, b"a\n".to_vec()));
        assert_eq!(blocks[2], (3_000_003, b"b\n".to_vec()));
        assert!(blocks[1].1.starts_with(b"3000000:"));
    }

    proptest! {
        #[test]
        fn blocks_put_together_are_the_file(text in "[a,\"\n]{0,200}", bytes in 1_usize..50) {
            for grammar in
                [RecordGrammar::Lines, RecordGrammar::Csv(MARKS)]
            {
                let blocks = records(text.as_bytes(), bytes, grammar, 1000);
                let mut offset = 0;
                for (first_offset, block) in &blocks {
                    prop_assert_eq!(*first_offset, offset);
                    offset += block.len() as i64;
                }
                let mut reader = TextReader::new(
                    Box::new(io::Cursor::new(text.clone().into_bytes())),
                    0,
                    Vec::new(),
                    grammar,
                    1000,
                    false,
                );
                while !matches!(reader.poll(bytes).expect("readable"), TextPoll::End) {
                    let read = usize::try_from(reader.offset()).expect("from 0");
                    prop_assert_eq!(
                        reader.tail(),
                        &text.as_bytes()[read.saturating_sub(PIECE_BYTES)..read]
                    );
                }
                let joined: Vec<u8> = blocks.into_iter().flat_map(|(_, b)| b).collect();
                prop_assert_eq!(joined, text.as_bytes());
            }
        }
    }
}
