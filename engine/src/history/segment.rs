//! Segment files: a few chunks each. Written once, never changed.
//!
//! `chunks, each an Arrow IPC stream of one batch, followed by its checksum | index: per chunk
//! where it starts and its length (u64 each) | footer: where the index starts, how many chunks, the
//! index's checksum, the mark (u64
//! each)`. A checksum is checked before arrow decodes what it covers.
//!
//! The worker that writes a segment doesn't wait for the disk: who writes a snapshot syncs the
//! segments that it names first.

use super::{Chunk, HistoryError, ShardSet, Width};
use crate::disk::{Folder, OpenFile};
use crate::store::batch_to_ipc;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const MARK: u64 = u64::from_le_bytes(*b"rshist01");
const WORD: usize = 8;
const FOOTER_BYTES: usize = 4 * WORD;
const INDEX_BYTES: usize = 2 * WORD;

/// Writes `chunks` to the file `name`; not synced.
pub(super) fn write(
    folder: &Folder,
    name: &str,
    chunks: &[Arc<Chunk>],
) -> Result<(), HistoryError> {
    let path = folder.join(name);
    let fail =
        |e: &dyn std::fmt::Display| HistoryError::new("write", path.display().to_string(), e);
    let file = folder
        .disk()
        .make_folders(folder)
        .and_then(|()| folder.disk().create(&path))
        .map_err(|e| fail(&e))?;
    let mut file = BufWriter::with_capacity(1 << 18, file);
    let (mut written, mut index) = (0, Vec::with_capacity(chunks.len() * INDEX_BYTES));
    for chunk in chunks {
        let batch = chunk
            .as_ref()
            .clone()
            .into_batch()
            .and_then(|batch| batch_to_ipc(&batch))
            .map_err(|e| fail(&e))?;
        file.write_all(&batch)
            .and_then(|()| file.write_all(&xxh3_64(&batch).to_le_bytes()))
            .map_err(|e| fail(&e))?;
        index.extend([written, batch.len() as u64].iter().flat_map(|word| word.to_le_bytes()));
        written += (batch.len() + WORD) as u64;
    }
    let footer = [written, chunks.len() as u64, xxh3_64(&index), MARK];
    index.extend(footer.iter().flat_map(|word| word.to_le_bytes()));
    file.write_all(&index).and_then(|()| file.flush()).map_err(|e| fail(&e))
}

/// Reads chunk `index` of a segment, only rows of `shards`.
pub(super) fn read(
    folder: &Folder,
    name: &str,
    index: usize,
    layout: &[Width],
    shards: &ShardSet,
) -> Result<Chunk, HistoryError> {
    let path = folder.join(name);
    let fail = |e: &dyn std::fmt::Display| HistoryError::new("read", path.display().to_string(), e);
    let file = folder.disk().open(&path).map_err(|e| fail(&e))?;
    let batch = read_batch(file.as_ref(), index).map_err(|e| fail(&e))?;
    let mut chunk = Chunk::from_batch(&batch, layout).map_err(|e| fail(&e))?;
    if !shards.is_all() {
        chunk.retain_keys(|k| shards.has_key(k));
    }
    Ok(chunk)
}

fn read_batch(file: &dyn OpenFile, index: usize) -> Result<RecordBatch, String> {
    let damaged = || "it is damaged or was cut short".to_owned();
    let read = |at: u64, bytes: usize| {
        let mut into = vec![0; bytes];
        file.read_at(&mut into, at).map(|()| into).map_err(|e| e.to_string())
    };
    let footer_start = file.bytes().checked_sub(FOOTER_BYTES as u64).ok_or_else(damaged)?;
    let [index_start, chunks, checksum, mark] =
        words(&read(footer_start, FOOTER_BYTES)?).ok_or_else(damaged)?;
    let places = footer_start
        .checked_sub(index_start)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(damaged)?;
    if mark != MARK || chunks.checked_mul(INDEX_BYTES as u64) != Some(places as u64) {
        return Err(damaged());
    }
    let places = read(index_start, places)?;
    if xxh3_64(&places) != checksum {
        return Err(damaged());
    }
    let place = places
        .chunks_exact(INDEX_BYTES)
        .nth(index)
        .ok_or_else(|| format!("it has {chunks} chunks, not {}", index + 1))?;
    let [start, length] = words(place).ok_or_else(damaged)?;
    let length = usize::try_from(length).map_err(|_| damaged())?;
    let mut content = read(start, length.checked_add(WORD).ok_or_else(damaged)?)?;
    if words(&content[length..]) != Some([xxh3_64(&content[..length])]) {
        return Err(format!("chunk {index} is damaged"));
    }
    content.truncate(length);
    let batch =
        StreamDecoder::new().decode(&mut Buffer::from_vec(content)).map_err(|e| e.to_string())?;
    batch.ok_or_else(|| format!("chunk {index} is missing"))
}

fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let words: [[u8; WORD]; N] = words.try_into().ok()?;
    rest.is_empty().then(|| words.map(u64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Column, Values};

    fn chunk(first: i64) -> Arc<Chunk> {
        let times: Vec<i64> = (first..first + 10).collect();
        let column = Column {
            values: Values::Narrow(times.iter().map(|t| 3 * t).collect()),
            nulls: Vec::new(),
        };
        Arc::new(Chunk { keys: (0..10).collect(), times, columns: vec![column] })
    }

    #[test]
    fn any_flipped_or_missing_byte_of_a_segment_is_noticed() {
        let root = tempfile::tempdir().expect("a folder");
        let folder: Folder = root.path().join("step").into();
        write(&folder, "1", &[chunk(0), chunk(10), chunk(20)]).expect("written");
        let all = || {
            (0..3)
                .map(|index| {
                    read(&folder, "1", index, &[Width::Narrow], &ShardSet::ALL)
                        .map(|chunk| chunk.times)
                })
                .collect()
        };
        let read_back: Result<Vec<Vec<i64>>, HistoryError> = all();
        assert_eq!(read_back.expect("whole").concat(), (0..30).collect::<Vec<i64>>());
        assert!(read(&folder, "1", 3, &[Width::Narrow], &ShardSet::ALL).is_err());
        let path = folder.join("1");
        let whole = std::fs::read(&path).expect("read");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).expect("written");
            let damaged: Result<Vec<Vec<i64>>, HistoryError> = all();
            assert!(damaged.is_err(), "byte {at}");
        }
        for length in (0..whole.len()).step_by(7) {
            std::fs::write(&path, &whole[..length]).expect("written");
            let cut: Result<Vec<Vec<i64>>, HistoryError> = all();
            assert!(cut.is_err(), "cut to {length} bytes");
        }
    }
}
