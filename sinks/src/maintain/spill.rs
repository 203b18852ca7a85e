//! Sorted rows on the disk, written and read back once.

use std::io::BufReader;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use parquet::file::reader::ChunkReader;

use super::names;
use super::scraps::Scraps;
use super::work::Work;
use crate::error::SinkError;
use crate::parquet_file::{ParquetFile, Rest};

/// Rows that come back in the order and in the batches in which they were written.
pub(super) struct Spill {
    reader: StreamReader<BufReader<Rest>>,
}

impl Spill {
    /// Writes what `next` gives, until it gives none. The file goes with `scraps`.
    pub(super) fn write(
        work: &Work<'_>,
        scraps: &mut Scraps,
        mut next: impl FnMut() -> Result<Option<RecordBatch>, SinkError>,
    ) -> Result<Self, SinkError> {
        let disk = work.location.disk();
        let path = work.location.join(names::spill(disk.as_ref()));
        let file = disk.create_new(&path).map_err(SinkError::io("create", &path))?;
        scraps.add(path.clone());
        let mut writer = StreamWriter::try_new_buffered(file, work.schema)?;
        while let Some(batch) = next()? {
            writer.write(&batch)?;
        }
        writer.finish()?;
        drop(writer);
        Self::read(work, path)
    }

    fn read(work: &Work<'_>, path: PathBuf) -> Result<Self, SinkError> {
        let file = work.location.disk().open(&path).map_err(SinkError::io("open", &path))?;
        let bytes = ParquetFile(file.into()).get_read(0).map_err(SinkError::parquet(&path))?;
        Ok(Self { reader: StreamReader::try_new(bytes, None)? })
    }

    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, SinkError> {
        Ok(self.reader.next().transpose()?)
    }
}
