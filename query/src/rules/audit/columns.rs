//! The audit as a table.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use chrono::DateTime;

use super::chain::{self, Line};
use super::error::AuditError;
use super::folder;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// The columns of `system.audit`.
#[must_use]
pub fn audit_schema() -> SchemaRef {
    let list = || DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)));
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("sequence", DataType::Int64),
        Field::new("time", time, true),
        field("user", DataType::Utf8),
        field("roles", list()),
        field("port", DataType::Utf8),
        field("statement", DataType::Utf8),
        field("policies", list()),
        field("tables", list()),
        field("rows", DataType::Int64),
        field("bytes", DataType::Int64),
        field("duration_us", DataType::Int64),
        field("outcome", DataType::Utf8),
        field("hash", DataType::Utf8),
    ]))
}

/// The last `limit` records, oldest first. Lines that are not as they were written are left out:
/// [`verify`](super::verify) finds them.
///
/// # Errors
/// The folder can't be read.
pub fn read(folder: &Path, limit: usize) -> Result<Vec<RecordBatch>, AuditError> {
    let lines = last_lines(folder, limit).map_err(AuditError::io(folder, "read"))?;
    let lines: Vec<Line> = lines.into();
    let batches: Result<_, ArrowError> = lines.chunks(BATCH_ROWS).map(batch).collect();
    batches.map_err(io::Error::other).map_err(AuditError::io(folder, "show"))
}

fn last_lines(folder: &Path, limit: usize) -> io::Result<VecDeque<Line>> {
    let mut lines: VecDeque<Line> = VecDeque::new();
    for number in folder::numbers(folder)?.into_iter().rev() {
        let wanted = limit.saturating_sub(lines.len());
        if wanted == 0 {
            break;
        }
        let mut of_file: VecDeque<Line> = VecDeque::new();
        let mut reader = BufReader::new(File::open(folder.join(folder::file_name(number)))?);
        let mut text = Vec::new();
        while reader.read_until(b'\n', &mut text)? > 0 {
            if let Some(line) = text.strip_suffix(b"\n").and_then(chain::read_line) {
                if of_file.len() == wanted {
                    of_file.pop_front();
                }
                of_file.push_back(line);
            }
            text.clear();
        }
        of_file.extend(lines);
        lines = of_file;
    }
    Ok(lines)
}

fn batch(lines: &[Line]) -> Result<RecordBatch, ArrowError> {
    fn text(lines: &[Line], of: impl Fn(&Line) -> String) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(lines.iter().map(of)))
    }
    fn number(lines: &[Line], of: impl Fn(&Line) -> u64) -> ArrayRef {
        let numbers = lines.iter().map(|line| i64::try_from(of(line)).unwrap_or(i64::MAX));
        Arc::new(Int64Array::from_iter_values(numbers))
    }
    fn list(lines: &[Line], of: impl Fn(&Line) -> &Vec<String>) -> ArrayRef {
        let field = Arc::new(Field::new("item", DataType::Utf8, false));
        let mut builder = ListBuilder::new(StringBuilder::new()).with_field(field);
        for line in lines {
            for value in of(line) {
                builder.values().append_value(value);
            }
            builder.append(true);
        }
        Arc::new(builder.finish())
    }
    let micros = |line: &Line| {
        DateTime::parse_from_rfc3339(&line.content.time).ok().map(|time| time.timestamp_micros())
    };
    let time: TimestampMicrosecondArray = lines.iter().map(micros).collect();
    let columns: Vec<ArrayRef> = vec![
        number(lines, |line| line.content.sequence),
        Arc::new(time.with_timezone("UTC")),
        text(lines, |line| line.content.user.clone()),
        list(lines, |line| &line.content.roles),
        text(lines, |line| line.content.port.clone()),
        text(lines, |line| line.content.statement.clone()),
        list(lines, |line| &line.content.policies),
        list(lines, |line| &line.content.tables),
        number(lines, |line| line.content.rows),
        number(lines, |line| line.content.bytes),
        number(lines, |line| line.content.duration_us),
        text(lines, |line| line.content.outcome.clone()),
        text(lines, |line| chain::to_hex(&line.hash)),
    ];
    RecordBatch::try_new(audit_schema(), columns)
}
