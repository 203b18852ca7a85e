//! CSV records into columns.
//!
//! An empty field without quotes is null; an empty field in quotes is an empty string. There is no
//! other word for null.

use crate::decode::column::{Column, Entry, Fault, Written, shown};
use crate::decode::csv_record::{
    CsvField, CsvMarks, RecordEnd, record_end, split_record, trim_line_end,
};
use crate::decode::reason;
use crate::decode::sink::{RowSink, TOO_LONG_HEAD_BYTES};
use memchr::memchr;

/// How a file's CSV fields map to columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvLayout {
    /// What it is made of.
    pub marks: CsvMarks,
    /// For each field of a record, the column that it fills; none for a field that is not wanted.
    pub columns: Vec<Option<usize>>,
}

/// Scratch space of the CSV decoder.
#[derive(Debug, Default)]
pub(crate) struct CsvScratch {
    fields: Vec<CsvField>,
    unquoted: Vec<u8>,
}

/// Decodes all records of a block.
pub(crate) fn decode_csv_block(
    text: &[u8],
    first_offset: i64,
    valid_utf8: bool,
    layout: &CsvLayout,
    scratch: &mut CsvScratch,
    sink: &mut RowSink,
) {
    let bytes_max = sink.rules.record_bytes_max;
    let mut start = 0;
    while start < text.len() {
        let offset = first_offset + start as i64;
        let line_end = memchr(b'\n', &text[start..]).map_or(text.len(), |at| start + at + 1);
        let line = trim_line_end(&text[start..line_end]);
        if line.is_empty() {
            start = line_end;
        } else if line.len() > bytes_max {
            let head = &line[..line.len().min(TOO_LONG_HEAD_BYTES)];
            let detail = format!(
                "{} bytes long, at most {bytes_max} are taken; the first {} are kept",
                line.len(),
                head.len()
            );
            sink.reject(offset, head, &Fault::new(reason::TOO_LONG, detail), None);
            start = line_end;
        } else if memchr(layout.marks.quote, line).is_none() {
            decode_line(line, offset, valid_utf8, layout, sink);
            start = line_end;
        } else {
            match record_end(text, start, layout.marks, bytes_max, true) {
                RecordEnd::At(end) => {
                    decode_quoted(trim_line_end(&text[start..end]), offset, layout, scratch, sink);
                    start = end;
                }
                RecordEnd::Open | RecordEnd::Quoted | RecordEnd::TooLong => {
                    let fault = Fault::new(
                        reason::MALFORMED,
                        format!(
                            "a quote is not closed in {}",
                            shown(&String::from_utf8_lossy(line))
                        ),
                    );
                    sink.reject(offset, line, &fault, None);
                    start = line_end;
                }
            }
        }
    }
}

/// Decodes one record that is whole, without its line end; it is UTF-8.
pub(crate) fn decode_csv_record(
    record: &[u8],
    offset: i64,
    layout: &CsvLayout,
    scratch: &mut CsvScratch,
    sink: &mut RowSink,
) {
    match memchr(layout.marks.quote, record) {
        None => decode_line(record, offset, true, layout, sink),
        Some(_) => decode_quoted(record, offset, layout, scratch, sink),
    }
}

/// A record without quotes.
#[inline]
fn decode_line(line: &[u8], offset: i64, valid_utf8: bool, layout: &CsvLayout, sink: &mut RowSink) {
    if valid_utf8 && scan_line(line, layout, &mut sink.columns).is_some() {
        sink.end_row(offset, line);
        return;
    }
    sink.undo_row();
    let mut fields = Vec::new();
    let mut start = 0;
    for end in memchr::memchr_iter(layout.marks.delimiter, line).chain(std::iter::once(line.len()))
    {
        fields.push(CsvField { start, end, quoted: false });
        start = end + 1;
    }
    decode_fields(line, &fields, &[], offset, layout, sink);
}

/// Pushes a line's fields the fast way; None when the line must be looked at carefully, with some
/// pushed.
#[inline]
fn scan_line(line: &[u8], layout: &CsvLayout, columns: &mut [Column]) -> Option<()> {
    let mut at = 0;
    let last = layout.columns.len().checked_sub(1)?;
    for (i, column) in layout.columns.iter().enumerate() {
        let rest = line.get(at..)?;
        let end = match column {
            None => field_end(line, at, layout.marks.delimiter),
            Some(index) => {
                let column = &mut columns[*index];
                if rest.is_empty() || rest[0] == layout.marks.delimiter {
                    column.push_null();
                    at
                } else {
                    match column.entry() {
                        Entry::Text => {
                            let end = field_end(line, at, layout.marks.delimiter);
                            if !column.push_plain_text(&line[at..end]) {
                                return None;
                            }
                            end
                        }
                        Entry::Bare => at + column.push_bare_prefix(rest)?,
                        Entry::Careful => push_field(line, at, layout.marks.delimiter, column)?,
                    }
                }
            }
        };
        if i == last {
            return (end == line.len()).then_some(());
        }
        if line.get(end) != Some(&layout.marks.delimiter) {
            return None;
        }
        at = end + 1;
    }
    None
}

/// Pushes a field that only the careful way reads, and returns its end. None as in [`scan_line`].
fn push_field(line: &[u8], at: usize, delimiter: u8, column: &mut Column) -> Option<usize> {
    let end = field_end(line, at, delimiter);
    let text = std::str::from_utf8(&line[at..end]).ok()?;
    column.push_text(text, Written::Text).ok()?;
    Some(end)
}

/// Fields are short: a plain loop beats memchr's start-up.
#[inline]
fn field_end(line: &[u8], at: usize, delimiter: u8) -> usize {
    line[at..].iter().position(|b| *b == delimiter).map_or(line.len(), |found| at + found)
}

fn decode_quoted(
    record: &[u8],
    offset: i64,
    layout: &CsvLayout,
    scratch: &mut CsvScratch,
    sink: &mut RowSink,
) {
    if split_record(record, layout.marks, &mut scratch.fields, &mut scratch.unquoted) {
        decode_fields(record, &scratch.fields, &scratch.unquoted, offset, layout, sink);
    } else {
        let fault = Fault::new(
            reason::MALFORMED,
            format!("text follows a closing quote in {}", shown(&String::from_utf8_lossy(record))),
        );
        sink.reject(offset, record, &fault, None);
    }
}

fn decode_fields(
    record: &[u8],
    fields: &[CsvField],
    unquoted: &[u8],
    offset: i64,
    layout: &CsvLayout,
    sink: &mut RowSink,
) {
    if let Err(fault) = push_fields(record, fields, unquoted, layout, sink) {
        sink.undo_row();
        sink.reject(offset, record, &fault, None);
    } else {
        sink.end_row(offset, record);
    }
}

fn push_fields(
    record: &[u8],
    fields: &[CsvField],
    unquoted: &[u8],
    layout: &CsvLayout,
    sink: &mut RowSink,
) -> Result<(), Fault> {
    if let Err(e) = std::str::from_utf8(record) {
        return Err(Fault::new(
            reason::MALFORMED,
            format!("not UTF-8 from byte {}", e.valid_up_to()),
        ));
    }
    if fields.len() != layout.columns.len() {
        return Err(Fault::new(
            reason::MALFORMED,
            format!("{} fields, {} expected", fields.len(), layout.columns.len()),
        ));
    }
    for (field, column) in fields.iter().zip(&layout.columns) {
        let Some(index) = column else { continue };
        let column = &mut sink.columns[*index];
        let text = if field.quoted {
            &unquoted[field.start..field.end]
        } else {
            &record[field.start..field.end]
        };
        if text.is_empty() && !(field.quoted && column.is_textual()) {
            column.push_null();
            continue;
        }
        let text = std::str::from_utf8(text)
            .map_err(|_| Fault::new(reason::MALFORMED, format!("{}: not UTF-8", column.name)))?;
        column.push_text(text, Written::Text)?;
    }
    Ok(())
}
