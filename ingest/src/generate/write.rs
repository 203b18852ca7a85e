//! Generated rows as a file.

use crate::generate::Generate;
use crate::generate::source::broken_records;
use crate::generate::text::{format_rows, header};
use arrow::array::{BooleanArray, RecordBatch};
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
    #[error("can't write the rows: {0}")]
    Output(#[from] std::io::Error),
}

const BATCH_ROWS: usize = 65_536;

enum Output {
    Text { file: BufWriter<File>, format: WriteFormat, text: Vec<u8> },
    Parquet(Box<ArrowWriter<File>>),
}

/// Writes the rows of `spec`, which must have an end, into a new file at `path`; the file appears
/// when it is complete. `progress` is called with the rows so far. Returns the number of rows.
///
/// # Errors
/// When the spec is wrong or the file can't be written.
pub fn write_file(
    spec: &impl Generate,
    path: &Path,
    format: WriteFormat,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, WriteError> {
    spec.validate().map_err(|reason| WriteError::Spec { reason })?;
    if !spec.has_end() {
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

/// Writes the rows of `spec`, which must have an end, as text to `out`; otherwise as
/// [`write_file`].
///
/// # Errors
/// When the spec is wrong, the format is not a text, or `out` can't be written.
pub fn write_text(
    spec: &impl Generate,
    out: &mut dyn Write,
    format: WriteFormat,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, WriteError> {
    let refused = |reason: String| WriteError::Spec { reason };
    spec.validate().map_err(refused)?;
    if !spec.has_end() {
        return Err(refused("a stream of rows needs an end; set rows or days".into()));
    }
    if format == WriteFormat::Parquet {
        return Err(refused("parquet is written to a file, not to a stream".into()));
    }
    if format == WriteFormat::Csv {
        writeln!(out, "{}", header(&spec.schema()))?;
    }
    let (mut rows, mut text) = (spec.rows(), Vec::new());
    loop {
        let first_row = rows.row();
        let batch = rows.next(BATCH_ROWS).map_err(std::io::Error::other)?;
        if batch.num_rows() == 0 {
            out.flush()?;
            return Ok(rows.row());
        }
        let broken =
            broken_records(&batch, first_row, &spec.breakage()).map_err(std::io::Error::other)?;
        text.clear();
        format_rows(&batch, format == WriteFormat::Json, &broken, &mut text)
            .map_err(std::io::Error::other)?;
        out.write_all(&text)?;
        progress(rows.row());
    }
}

fn write_rows(
    spec: &impl Generate,
    path: &Path,
    format: WriteFormat,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, ArrowError> {
    let mut rows = spec.rows();
    let file = File::create(path)?;
    let mut output = match format {
        WriteFormat::Parquet => {
            let level = ZstdLevel::try_new(1)?;
            let properties =
                WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
            Output::Parquet(Box::new(ArrowWriter::try_new(
                file,
                Arc::new(spec.schema()),
                Some(properties),
            )?))
        }
        WriteFormat::Json | WriteFormat::Csv => {
            let mut file = BufWriter::new(file);
            if format == WriteFormat::Csv {
                writeln!(file, "{}", header(&spec.schema()))?;
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
        let broken = broken_records(&batch, first_row, &spec.breakage())?;
        match &mut output {
            Output::Parquet(writer) => writer.write(&without(&batch, &broken)?)?,
            Output::Text { file, format, text } => {
                text.clear();
                format_rows(&batch, *format == WriteFormat::Json, &broken, text)?;
                file.write_all(text)?;
            }
        }
        progress(rows.row());
    }
    match output {
        Output::Parquet(writer) => writer.into_inner()?.sync_all()?,
        Output::Text { file, .. } => {
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::GeneratorSpec;

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = write_file(
            &GeneratorSpec::new("g", 1),
            Path::new("x.csv"),
            WriteFormat::Csv,
            &mut |_| {},
        )
        .expect_err("refused");
        assert!(error.to_string().contains("set rows or days"));
    }
}
