//! Generated payments as a file.

use crate::generate::source::{PaymentRows, broken_records};
use crate::generate::spec::{GeneratorSpec, IdType};
use arrow::array::cast::AsArray;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int8Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to write the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFormat {
    /// One JSON object per line.
    Json,
    /// With a header.
    Csv,
    /// zstd-compressed. Broken records can't be kept in it and are left out.
    Parquet,
}

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The spec makes no sense, or has no end.
    #[error("can't generate: {reason}")]
    Spec {
        /// Which option, and what is right.
        reason: String,
    },
    /// The file can't be written.
    #[error("can't write {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
    /// The stream can't be written.
    #[error("can't write the payments: {0}")]
    Output(#[from] std::io::Error),
}

const BATCH_ROWS: usize = 65_536;

enum Output {
    Text { file: BufWriter<File>, format: WriteFormat, text: Vec<u8> },
    Parquet(Box<ArrowWriter<File>>),
}

/// Writes the payments of `spec`, which must have an end, into a new file at `path`; the file appears when it is complete. `progress` is
/// called with the rows so far. Returns the number of rows.
///
/// # Errors
/// When the spec is wrong or the file can't be written.
pub fn write_file(spec: &GeneratorSpec, path: &Path, format: WriteFormat, progress: &mut dyn FnMut(u64)) -> Result<u64, WriteError> {
    spec.validate().map_err(|reason| WriteError::Spec { reason })?;
    if spec.rows.is_none() && spec.days.is_none() {
        return Err(WriteError::Spec { reason: "a file needs an end; set rows or days".into() });
    }
    let failed = |reason: String| WriteError::File { path: path.to_owned(), reason };
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = write_rows(spec, &partial, format, progress).and_then(|rows| {
        std::fs::rename(&partial, path)?;
        Ok(rows)
    });
    written.map_err(|e| {
        // The error matters, not whether the partial file could be taken away.
        let _ = std::fs::remove_file(&partial);
        failed(e.to_string())
    })
}

/// Writes the payments of `spec`, which must have an end, as text to `out`; otherwise as [`write_file`].
///
/// # Errors
/// When the spec is wrong, the format is not a text, or `out` can't be written.
pub fn write_text(
    spec: &GeneratorSpec,
    out: &mut dyn Write,
    format: WriteFormat,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, WriteError> {
    let refused = |reason: String| WriteError::Spec { reason };
    spec.validate().map_err(refused)?;
    if spec.rows.is_none() && spec.days.is_none() {
        return Err(refused("a stream of payments needs an end; set rows or days".into()));
    }
    if format == WriteFormat::Parquet {
        return Err(refused("parquet is written to a file, not to a stream".into()));
    }
    if format == WriteFormat::Csv {
        writeln!(out, "{}", header(spec))?;
    }
    let (mut rows, mut text) = (PaymentRows::new(spec), Vec::new());
    loop {
        let first_row = rows.row();
        let batch = rows.next(BATCH_ROWS).map_err(std::io::Error::other)?;
        if batch.num_rows() == 0 {
            out.flush()?;
            return Ok(rows.row());
        }
        let broken = broken_records(&batch, first_row, spec.seed, spec.broken_share).map_err(std::io::Error::other)?;
        text.clear();
        format_rows(&batch, spec.ids, format, &broken, &mut text);
        out.write_all(&text)?;
        progress(rows.row());
    }
}

/// The names of the columns, as a CSV header.
fn header(spec: &GeneratorSpec) -> String {
    let schema = spec.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.join(",")
}

fn write_rows(spec: &GeneratorSpec, path: &Path, format: WriteFormat, progress: &mut dyn FnMut(u64)) -> Result<u64, ArrowError> {
    let mut rows = PaymentRows::new(spec);
    let file = File::create(path)?;
    let mut output = match format {
        WriteFormat::Parquet => {
            let level = ZstdLevel::try_new(1)?;
            let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
            Output::Parquet(Box::new(ArrowWriter::try_new(file, Arc::new(spec.schema()), Some(properties))?))
        }
        WriteFormat::Json | WriteFormat::Csv => {
            let mut file = BufWriter::new(file);
            if format == WriteFormat::Csv {
                writeln!(file, "{}", header(spec))?;
            }
            Output::Text { file, format, text: Vec::new() }
        }
    };
    loop {
        let first_row = rows.row();
        let batch = rows.next(BATCH_ROWS)?;
        if batch.num_rows() == 0 {
            break;
        }
        let broken = broken_records(&batch, first_row, spec.seed, spec.broken_share)?;
        match &mut output {
            Output::Parquet(writer) => writer.write(&without(&batch, &broken)?)?,
            Output::Text { file, format, text } => {
                text.clear();
                format_rows(&batch, spec.ids, *format, &broken, text);
                file.write_all(text)?;
            }
        }
        progress(rows.row());
    }
    match output {
        Output::Parquet(writer) => writer.into_inner()?.sync_all()?,
        Output::Text { file, .. } => file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?,
    }
    Ok(rows.row())
}

fn without(batch: &RecordBatch, broken: &[(usize, Vec<u8>)]) -> Result<RecordBatch, ArrowError> {
    if broken.is_empty() {
        return Ok(batch.clone());
    }
    let mut keep = vec![true; batch.num_rows()];
    for (row, _) in broken {
        keep[*row] = false;
    }
    arrow::compute::filter_record_batch(batch, &BooleanArray::from(keep))
}

/// The text of a batch's rows, as [`PaymentRows`] makes them.
fn format_rows(batch: &RecordBatch, ids: IdType, format: WriteFormat, broken: &[(usize, Vec<u8>)], text: &mut Vec<u8>) {
    let id = batch.column(0).as_primitive::<Int64Type>().values();
    let time = batch.column(1).as_primitive::<TimestampMicrosecondType>().values();
    let amount = batch.column(4).as_primitive::<Decimal128Type>().values();
    let fraud = batch.column(5).as_primitive::<Int8Type>().values();
    let scenario = batch.column(6).as_primitive::<Int8Type>().values();
    let names = [
        &b"{\"transaction_id\":"[..],
        b",\"tx_datetime\":\"",
        b"\",\"customer_id\":",
        b",\"terminal_id\":",
        b",\"tx_amount\":",
        b",\"tx_fraud\":",
        b",\"tx_fraud_scenario\":",
    ];
    let json = format == WriteFormat::Json;
    let separators: [&[u8]; 7] = if json { names } else { [b"", b",", b",", b",", b",", b",", b","] };
    let mut broken = broken.iter().peekable();
    for row in 0..batch.num_rows() {
        if let Some((_, bytes)) = broken.next_if(|(at, _)| *at == row) {
            text.extend_from_slice(bytes);
            text.push(b'\n');
            continue;
        }
        text.extend_from_slice(separators[0]);
        push_integer(id[row], text);
        text.extend_from_slice(separators[1]);
        push_time(time[row], text);
        text.extend_from_slice(separators[2]);
        push_id(batch, 2, row, ids, json, text);
        text.extend_from_slice(separators[3]);
        push_id(batch, 3, row, ids, json, text);
        text.extend_from_slice(separators[4]);
        push_integer((amount[row] / 100) as i64, text);
        text.push(b'.');
        push_padded((amount[row] % 100) as i64, 2, text);
        text.extend_from_slice(separators[5]);
        push_integer(i64::from(fraud[row]), text);
        text.extend_from_slice(separators[6]);
        push_integer(i64::from(scenario[row]), text);
        text.extend_from_slice(if json { b"}\n" } else { b"\n" });
    }
}

fn push_integer(value: i64, text: &mut Vec<u8>) {
    let mut digits = [0_u8; lexical_core::BUFFER_SIZE];
    text.extend_from_slice(lexical_core::write(value, &mut digits));
}

fn push_padded(value: i64, width: u32, text: &mut Vec<u8>) {
    for place in (0..width).rev() {
        text.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

fn push_id(batch: &RecordBatch, column: usize, row: usize, ids: IdType, json: bool, text: &mut Vec<u8>) {
    let column = batch.column(column);
    match ids {
        IdType::Int32 => push_integer(i64::from(column.as_primitive::<Int32Type>().value(row)), text),
        IdType::Int64 => push_integer(column.as_primitive::<Int64Type>().value(row), text),
        IdType::Text => {
            let quote: &[u8] = if json { b"\"" } else { b"" };
            text.extend_from_slice(quote);
            text.extend_from_slice(column.as_string::<i32>().value(row).as_bytes());
            text.extend_from_slice(quote);
        }
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`; generated times are whole seconds.
fn push_time(us: i64, text: &mut Vec<u8>) {
    let (days, second) = (us.div_euclid(86_400_000_000), us.rem_euclid(86_400_000_000) / 1_000_000);
    let (year, month, day) = civil_from_days(days);
    push_padded(year, 4, text);
    for (separator, value) in [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)] {
        text.push(separator);
        push_padded(value, 2, text);
    }
    text.push(b'Z');
}

/// The inverse of `days_from_civil` (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::days_from_civil;

    #[test]
    fn dates_go_there_and_back() {
        for days in (-719_162..2_932_896).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = write_file(&GeneratorSpec::new("g", 1), Path::new("x.csv"), WriteFormat::Csv, &mut |_| {}).expect_err("refused");
        assert!(error.to_string().contains("set rows or days"));
    }
}
