//! Text records into rows: what the workers' decoders of files, and the replay of dead letters,
//! have in common.

use crate::changes::{DebeziumOptions, Message, MessageKey, push_change, push_recorded};
use crate::decode::column::{Fault, shown};
use crate::decode::csv::{CsvLayout, CsvScratch, decode_csv_block, decode_csv_record};
use crate::decode::csv_record::{RecordEnd, record_end, trim_line_end};
use crate::decode::encoding::Encoding;
use crate::decode::json::decode_json;
use crate::decode::json_scan::Scanner;
use crate::decode::reason;
use crate::decode::sink::{BlockOrigin, CarriedValue, RowRules, RowSink, TOO_LONG_HEAD_BYTES};
use memchr::memchr;
use riskstream_engine::contract::{Decoded, SourceError};
use std::sync::Arc;

/// How text records are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFormat {
    /// One JSON object per line.
    Json,
    /// CSV records of a layout.
    Csv(CsvLayout),
    /// One of Debezium's records per line.
    Debezium(DebeziumOptions),
    /// One of the above, in an encoding that is not UTF-8.
    Encoded(Box<Encoded>),
}

/// Records in an encoding that is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    encoding: Encoding,
    format: RecordFormat,
}

impl RecordFormat {
    /// The same in an encoding.
    #[must_use]
    pub fn in_encoding(self, encoding: Encoding) -> Self {
        match (encoding, self) {
            (Encoding::Utf8, format) => format,
            (_, Self::Encoded(encoded)) => {
                Self::Encoded(Box::new(Encoded { encoding, format: encoded.format }))
            }
            (_, format) => Self::Encoded(Box::new(Encoded { encoding, format })),
        }
    }
}

/// Decodes blocks of text records; one per worker.
#[derive(Debug)]
pub struct RecordDecoder {
    scanner: Scanner,
    scratch: CsvScratch,
    sink: RowSink,
    /// A record of another encoding as UTF-8.
    text: String,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

impl RecordDecoder {
    pub(crate) fn new(rules: Arc<RowRules>) -> Result<Self, SourceError> {
        let sink = RowSink::new(Arc::clone(&rules)).map_err(|e| rules.bug(&e))?;
        Ok(Self {
            scanner: Scanner::default(),
            scratch: CsvScratch::default(),
            sink,
            text: String::new(),
        })
    }

    /// Begins a block of about `bytes` bytes.
    pub(crate) fn begin(&mut self, origin: BlockOrigin, bytes: usize) {
        self.sink.begin(origin, bytes / 96);
    }

    /// Decodes consecutive records; `first_offset` is the first one's, a byte offset.
    pub(crate) fn push_text(&mut self, text: &[u8], first_offset: i64, format: &RecordFormat) {
        let (text, first_offset) = match text.strip_prefix(BOM) {
            Some(rest) if first_offset == 0 => (rest, BOM.len() as i64),
            _ => (text, first_offset),
        };
        let valid_utf8 = std::str::from_utf8(text).is_ok();
        match format {
            RecordFormat::Json => {
                self.push_lines(text, first_offset, |line, offset, scanner, sink| {
                    decode_json(line, offset, valid_utf8, scanner, sink);
                })
            }
            RecordFormat::Debezium(options) => {
                self.push_lines(text, first_offset, |line, offset, _, sink| {
                    push_recorded(line, offset, *options, sink)
                });
            }
            RecordFormat::Csv(layout) => decode_csv_block(
                text,
                first_offset,
                valid_utf8,
                layout,
                &mut self.scratch,
                &mut self.sink,
            ),
            RecordFormat::Encoded(encoded) => self.push_encoded(text, first_offset, encoded),
        }
    }

    /// Decodes records of another encoding one by one: where they are is seen in the bytes as they
    /// came.
    fn push_encoded(&mut self, text: &[u8], first_offset: i64, encoded: &Encoded) {
        let Encoded { encoding, format } = encoded;
        if matches!(encoding, Encoding::SingleByte(_)) && text.is_ascii() {
            return self.push_text(text, first_offset, format);
        }
        let image = encoding.image(text);
        let unit = encoding.unit();
        let bytes_max = self.sink.rules.record_bytes_max;
        let mut start = 0;
        // A record that the end of the file ends has half a unit too, where that is what is left.
        let bytes_of = |start: usize, record: &[u8]| {
            let end = start + record.len();
            &text[start * unit..if end == image.len() { text.len() } else { end * unit }]
        };
        while start < image.len() {
            let offset = first_offset + (start * unit) as i64;
            let line_end = memchr(b'\n', &image[start..]).map_or(image.len(), |at| start + at + 1);
            let line = trim_line_end(&image[start..line_end]);
            let (mut record, mut end) = (bytes_of(start, line), line_end);
            if record.len() > bytes_max {
                let head = &record[..record.len().min(TOO_LONG_HEAD_BYTES)];
                self.push_too_long(head, record.len() as u64, offset);
                start = line_end;
                continue;
            }
            if let RecordFormat::Csv(layout) = format
                && memchr(layout.marks.quote, line).is_some()
            {
                match record_end(&image, start, layout.marks, bytes_max / unit, true) {
                    RecordEnd::At(at) => {
                        (record, end) = (bytes_of(start, trim_line_end(&image[start..at])), at);
                    }
                    RecordEnd::Open | RecordEnd::Quoted | RecordEnd::TooLong => {
                        let detail =
                            format!("a quote is not closed in {}", shown(&encoding.shown(record)));
                        let fault = Fault::new(reason::MALFORMED, detail);
                        self.sink.reject(offset, record, &fault, None);
                        start = line_end;
                        continue;
                    }
                }
            }
            if !record.is_empty() {
                self.push_encoded_record(record, offset, *encoding, format);
            }
            start = end;
        }
        if image.last().is_none_or(|last| *last == b'\n') && text.len() > image.len() * unit {
            let offset = first_offset + (image.len() * unit) as i64;
            self.push_encoded_record(&text[image.len() * unit..], offset, *encoding, format);
        }
    }

    /// One record without its line end.
    fn push_encoded_record(
        &mut self,
        record: &[u8],
        offset: i64,
        encoding: Encoding,
        format: &RecordFormat,
    ) {
        if let Err(at) = encoding.decode(record, &mut self.text) {
            let fault = Fault::new(reason::MALFORMED, format!("not {encoding} from byte {at}"));
            return self.sink.reject(offset, record, &fault, None);
        }
        let text = self.text.as_bytes();
        self.sink.stand_for(record);
        match format {
            RecordFormat::Csv(layout) => {
                decode_csv_record(text, offset, layout, &mut self.scratch, &mut self.sink);
            }
            RecordFormat::Json | RecordFormat::Debezium(_) | RecordFormat::Encoded(_)
                if text.trim_ascii().is_empty() => {}
            RecordFormat::Json => {
                decode_json(text, offset, true, &mut self.scanner, &mut self.sink);
            }
            RecordFormat::Debezium(options) => {
                push_recorded(text, offset, *options, &mut self.sink);
            }
            // An encoding is not in another one.
            RecordFormat::Encoded(_) => {}
        }
        self.sink.stand_for_nothing();
    }

    fn push_lines(
        &mut self,
        text: &[u8],
        first_offset: i64,
        decode: impl Fn(&[u8], i64, &mut Scanner, &mut RowSink),
    ) {
        let bytes_max = self.sink.rules.record_bytes_max;
        let mut start = 0;
        while start < text.len() {
            let end = memchr(b'\n', &text[start..]).map_or(text.len(), |at| start + at + 1);
            let line = trim_line_end(&text[start..end]);
            let offset = first_offset + start as i64;
            if line.len() > bytes_max {
                self.push_too_long(
                    &line[..line.len().min(TOO_LONG_HEAD_BYTES)],
                    line.len() as u64,
                    offset,
                );
            } else if !line.trim_ascii().is_empty() {
                decode(line, offset, &mut self.scanner, &mut self.sink);
            }
            start = end;
        }
    }

    /// Decodes one record on its own; whatever it is, it becomes a row or a rejected row.
    pub(crate) fn push_record(&mut self, record: &[u8], offset: i64, format: &RecordFormat) {
        let before = self.sink.records();
        self.push_text(record, offset, format);
        let format = match format {
            RecordFormat::Encoded(encoded) => &encoded.format,
            RecordFormat::Json | RecordFormat::Csv(_) | RecordFormat::Debezium(_) => format,
        };
        // A tombstone among changes is a record that says nothing.
        if self.sink.records() == before && !matches!(format, RecordFormat::Debezium(_)) {
            self.sink.reject(
                offset,
                record,
                &Fault::new(reason::MALFORMED, "the record is empty"),
                None,
            );
        }
    }

    /// Decodes a message that is one record, line breaks and all; whatever it is, it becomes a row
    /// or a rejected row.
    pub(crate) fn push_message(&mut self, message: &[u8], offset: i64, format: &RecordFormat) {
        if let RecordFormat::Encoded(encoded) = format {
            return self.push_encoded_message(message, offset, encoded);
        }
        let text = message.strip_prefix(BOM).unwrap_or(message);
        if text.trim_ascii().is_empty() {
            return self.sink.reject(
                offset,
                message,
                &Fault::new(reason::MALFORMED, "the message is empty"),
                None,
            );
        }
        if let (RecordFormat::Json | RecordFormat::Debezium(_), Some(fault)) =
            (format, framed(message))
        {
            return self.sink.reject(offset, message, &fault, None);
        }
        match format {
            RecordFormat::Json => {
                let valid_utf8 = std::str::from_utf8(text).is_ok();
                decode_json(text, offset, valid_utf8, &mut self.scanner, &mut self.sink);
            }
            RecordFormat::Debezium(options) => {
                push_recorded(text, offset, *options, &mut self.sink)
            }
            RecordFormat::Csv(layout) => {
                let record = trim_line_end(text);
                let bytes_max = self.sink.rules.record_bytes_max;
                let ends = match record_end(record, 0, layout.marks, bytes_max, true) {
                    RecordEnd::At(end) => end,
                    RecordEnd::Open | RecordEnd::Quoted | RecordEnd::TooLong => record.len(),
                };
                if ends < record.len() {
                    let fault =
                        Fault::new(reason::MALFORMED, "the message holds more than one CSV record");
                    return self.sink.reject(offset, message, &fault, None);
                }
                self.push_record(record, offset, format);
            }
            RecordFormat::Encoded(encoded) => self.push_encoded_message(message, offset, encoded),
        }
    }

    fn push_encoded_message(&mut self, message: &[u8], offset: i64, encoded: &Encoded) {
        let mut text = std::mem::take(&mut self.text);
        let inner = message.strip_prefix(encoded.encoding.mark()).unwrap_or(message);
        match encoded.encoding.decode(inner, &mut text) {
            Err(at) => {
                let detail = format!("not {} from byte {at}", encoded.encoding);
                self.sink.reject(offset, message, &Fault::new(reason::MALFORMED, detail), None);
            }
            Ok(()) => {
                self.sink.stand_for(message);
                self.push_message(text.as_bytes(), offset, &encoded.format);
                self.sink.stand_for_nothing();
            }
        }
        self.text = text;
    }

    /// Decodes a change record; `written_at` in microseconds.
    pub(crate) fn push_change(
        &mut self,
        key: Option<&[u8]>,
        value: &[u8],
        offset: i64,
        written_at: Option<i64>,
        options: DebeziumOptions,
    ) {
        if let Some(fault) = framed(value).or_else(|| framed(key?)) {
            return self.sink.reject(offset, value, &fault, written_at);
        }
        let key = key.map_or(MessageKey::Null, MessageKey::Json);
        let message = Message { key, value: Some(value), offset, record: value, written_at };
        push_change(&message, options, &mut self.sink);
    }

    /// Rejects a message without a value.
    pub(crate) fn push_tombstone(&mut self, key: Option<&[u8]>, offset: i64) {
        let key = key.map_or_else(
            || "no key".to_owned(),
            |k| format!("the key {}", shown(&String::from_utf8_lossy(k))),
        );
        let fault = Fault::new(reason::TOMBSTONE, format!("a message with {key} and no value"));
        self.sink.reject(offset, &[], &fault, None);
    }

    /// No column of the next record is filled from elsewhere than the record.
    pub(crate) fn carry_nothing(&mut self) {
        self.sink.carried.clear();
    }

    /// The next record's value of a timestamp column comes from elsewhere, in microseconds.
    pub(crate) fn carry_time(&mut self, column: usize, time: Option<i64>) {
        self.sink.carried.push(column, time.map_or(CarriedValue::Null, CarriedValue::Time), None);
    }

    /// The next record's value of a column comes from elsewhere, as text.
    pub(crate) fn carry_text(&mut self, column: usize, text: Option<&[u8]>) {
        self.sink.carried.push(column, CarriedValue::Null, text);
    }

    /// Rejects a record of which only the `head` was kept.
    pub(crate) fn push_too_long(&mut self, head: &[u8], length: u64, offset: i64) {
        let limit = self.sink.rules.record_bytes_max;
        let detail = format!(
            "{length} bytes long, at most {limit} are taken; the first {} are kept",
            head.len()
        );
        self.sink.reject(offset, head, &Fault::new(reason::TOO_LONG, detail), None);
    }

    /// The block's rows.
    pub(crate) fn finish(&mut self) -> Result<Decoded, SourceError> {
        self.sink.finish()
    }

    /// Fields that the schema lacks, since the last call.
    pub(crate) fn take_ignored_fields(&mut self) -> u64 {
        std::mem::take(&mut self.scanner.ignored_fields)
    }
}

/// What a serializer of a schema registry puts before a value: a zero byte, and the number of the
/// schema.
const FRAME_BYTES: usize = 5;

/// Why a message that was written with a schema registry is no JSON. JSON never begins with a zero
/// byte.
fn framed(message: &[u8]) -> Option<Fault> {
    let (frame, rest) = message.split_first_chunk::<FRAME_BYTES>()?;
    let [0, schema @ ..] = frame else { return None };
    let inner = if rest.trim_ascii_start().starts_with(b"{") {
        "JSON (JSON Schema)"
    } else {
        "Avro or Protobuf"
    };
    let schema = u32::from_be_bytes(*schema);
    Some(Fault::new(
        reason::MALFORMED,
        format!(
            "not plain JSON: it looks like a frame of a schema registry (magic byte 0, schema id \
             {schema}, then {inner}); have it written without the registry (Kafka Connect: \
             org.apache.kafka.connect.json.JsonConverter), or convert the topic"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::cast::AsArray;
    use arrow::datatypes::{DataType, Field, Schema};
    use riskstream_engine::contract::SourceSchema;

    #[test]
    fn a_message_of_another_encoding_is_read_and_kept_as_it_came() {
        let schema = Schema::new(vec![
            Field::new("at", crate::types::utc_timestamp(), false),
            Field::new("who", DataType::Utf8, true),
        ]);
        let rules = RowRules {
            source_name: "s".into(),
            schema: SourceSchema::new(&schema, "at", &[]).expect("a schema"),
            event_time_format: crate::decode::TimeFormat::Auto,
            future_skew_max_us: 0,
            record_bytes_max: 1 << 20,
            inferred: false,
            reading: crate::decode::Reading::default(),
        };
        let mut records = RecordDecoder::new(Arc::new(rules)).expect("a decoder");
        records
            .begin(BlockOrigin { partition: 0, partition_name: "p".into(), read_at: i64::MAX }, 0);
        let latin1 = Encoding::SingleByte(encoding_rs::WINDOWS_1252);
        let json = RecordFormat::Json.in_encoding(latin1);
        records.push_message(b"{\"at\":\"2024-05-01\",\"who\":\"J\xF6rg\"}", 0, &json);
        records.push_message(b"{\"at\":\"never\",\"who\":\"J\xF6rg\"}", 1, &json);
        let marks = crate::decode::CsvMarks { delimiter: b';', quote: b'"', escape: None };
        let layout = CsvLayout { marks, columns: vec![Some(1), Some(0)] };
        let csv = RecordFormat::Csv(layout).in_encoding(Encoding::Utf16Be);
        let utf16 =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        records.push_message(&utf16("\"\u{A0A}\n\";2024-05-01\r\n"), 2, &csv);
        records.push_message(&utf16("ä;2024-05-01\nö;2024-05-01"), 3, &csv);
        records.push_message(b"\0", 4, &csv);
        // What follows is what it is again.
        records.push_message(b"[]", 5, &RecordFormat::Json);
        let decoded = records.finish().expect("decoded");
        let who = decoded.rows.column(1).as_string::<i32>();
        assert_eq!(who.iter().flatten().collect::<Vec<_>>(), ["Jörg", "\u{A0A}\n"]);
        let dead = decoded.rejected.expect("rejected");
        let bytes = dead.column_by_name("bytes").expect("bytes").as_binary::<i32>();
        let bytes: Vec<&[u8]> = bytes.iter().flatten().collect();
        let two = utf16("ä;2024-05-01\nö;2024-05-01");
        let expected = [&b"{\"at\":\"never\",\"who\":\"J\xF6rg\"}"[..], &two, b"\0", b"[]"];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_frame_of_a_schema_registry_is_told_from_broken_json() {
        let schema = Schema::new(vec![
            Field::new("at", crate::types::utc_timestamp(), false),
            Field::new("id", DataType::Int64, true),
        ]);
        let rules = RowRules {
            source_name: "s".into(),
            schema: SourceSchema::new(&schema, "at", &[]).expect("a schema"),
            event_time_format: crate::decode::TimeFormat::Auto,
            future_skew_max_us: 0,
            record_bytes_max: 1 << 20,
            reading: crate::decode::Reading::default(),
            inferred: false,
        };
        let mut records = RecordDecoder::new(Arc::new(rules)).expect("a decoder");
        records
            .begin(BlockOrigin { partition: 0, partition_name: "p".into(), read_at: i64::MAX }, 0);
        let json = br#"{"at": "2024-05-01T00:00:00Z", "id": 1}"#;
        let frame = |id: u32, inner: &[u8]| [&[0][..], &id.to_be_bytes(), inner].concat();
        let debezium = crate::changes::DebeziumOptions::default();
        for (offset, message) in (0..).zip([
            frame(7, json),
            frame(u32::MAX, &[2, 8, 9]),
            frame(7, b""),
            vec![0, 0, 0, 7],
            json.to_vec(),
        ]) {
            records.push_message(&message, offset, &RecordFormat::Json);
        }
        records.push_change(None, &frame(8, json), 5, Some(1), debezium);
        records.push_change(Some(&frame(9, &[1])), br#"{"payload": null}"#, 6, Some(1), debezium);
        let decoded = records.finish().expect("decoded");
        assert_eq!(decoded.rows.num_rows(), 1);
        let dead = decoded.rejected.expect("rejected");
        let details = dead.column_by_name("detail").expect("a detail").as_string::<i32>();
        let details: Vec<&str> = details.iter().flatten().collect();
        let expected = [
            "schema id 7, then JSON",
            "schema id 4294967295, then Avro",
            "schema id 7, then Avro",
            "invalid JSON",
            "id 8,",
            "id 9,",
        ];
        for (detail, expected) in details.iter().zip(expected) {
            assert!(detail.contains(expected), "{detail}, not {expected}");
        }
        assert_eq!(details.len(), expected.len());
    }
}
