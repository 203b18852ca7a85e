//! Segment files: a few chunks each, as an Arrow IPC file with one batch per chunk. Written once, never changed.
//!
//! The worker that writes a segment doesn't wait for the disk: who writes a snapshot syncs the segments that it names first.

use super::{Chunk, HistoryError, ShardSet, Width};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

/// Writes `chunks` to `folder/name`; not synced.
pub(super) fn write(folder: &Path, name: &str, chunks: &[Arc<Chunk>]) -> Result<(), HistoryError> {
    let path = folder.join(name);
    let fail = |e: &dyn std::fmt::Display| HistoryError::new("write", path.display().to_string(), e);
    fs::create_dir_all(folder).map_err(|e| fail(&e))?;
    let file = File::create(&path).map_err(|e| fail(&e))?;
    let mut writer: Option<FileWriter<BufWriter<File>>> = None;
    let mut file = Some(file);
    for chunk in chunks {
        let batch = chunk.as_ref().clone().into_batch().map_err(|e| fail(&e))?;
        if let Some(file) = file.take() {
            writer = Some(FileWriter::try_new(BufWriter::with_capacity(1 << 18, file), &batch.schema()).map_err(|e| fail(&e))?);
        }
        if let Some(writer) = &mut writer {
            writer.write(&batch).map_err(|e| fail(&e))?;
        }
    }
    if let Some(mut writer) = writer {
        writer.finish().map_err(|e| fail(&e))?;
        let buffer = writer.into_inner().map_err(|e| fail(&e))?;
        buffer.into_inner().map_err(|e| fail(&e.error()))?;
    }
    Ok(())
}

/// Reads chunk `index` of a segment, only rows of `shards`.
pub(super) fn read(path: &Path, index: usize, layout: &[Width], shards: &ShardSet) -> Result<Chunk, HistoryError> {
    let fail = |e: &dyn std::fmt::Display| HistoryError::new("read", path.display().to_string(), e);
    let file = File::open(path).map_err(|e| fail(&e))?;
    let mut reader = FileReader::try_new(file, None).map_err(|e| fail(&e))?;
    if index >= reader.num_batches() {
        return Err(fail(&format!("it has {} chunks, not {}", reader.num_batches(), index + 1)));
    }
    reader.set_index(index).map_err(|e| fail(&e))?;
    let batch = reader.next().ok_or_else(|| fail(&"a chunk is missing"))?.map_err(|e| fail(&e))?;
    let mut chunk = Chunk::from_batch(&batch, layout).map_err(|e| fail(&e))?;
    if !shards.is_all() {
        chunk.retain_keys(|k| shards.has_key(k));
    }
    Ok(chunk)
}
