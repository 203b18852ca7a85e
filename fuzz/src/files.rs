//! File sources: NDJSON, CSV (plain, gzip, zstd) and Parquet, through opening, schema inference,
//! cutting into blocks and decoding.
//!
//! They never panic; a file is either refused or read to its end; and what is read, rows and dead
//! letters, is the same whatever the block sizes were.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::pretty::pretty_format_batches;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use riskstream_engine::contract::{Poll, PollLimit, Source, SourceError};
use riskstream_ingest::{
    EncodingChoice, FileSource, FileSourceSpec, GeneratorSpec, SkipLines, TimeFormat, WriteFormat,
    parse_type, write_file,
};
use tempfile::TempDir;

use crate::fuzzed::Fuzzed;
use crate::mutate::{WORDS, mutated};

const INPUT_BYTES_MAX: usize = 256 * 1024;
/// The feed's clock: 2023-11-14.
const READ_AT: i64 = 1_700_000_000_000_000;
/// Polls without a block before a source counts as hanging.
const IDLE_POLLS_MAX: u32 = 1_000;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ndjson,
    Csv,
    Parquet,
}

/// Files of simulated payments, mutated.
pub(crate) struct Files {
    kind: Kind,
    folder: TempDir,
    corpus: Vec<Vec<u8>>,
}

/// The columns of a payment, with types that each stress another converter.
const SCHEMAS: [&[(&str, &str)]; 4] = [
    &[
        ("transaction_id", "int64"),
        ("tx_datetime", "timestamp"),
        ("customer_id", "int32"),
        ("terminal_id", "int32"),
        ("tx_amount", "decimal(12,2)"),
        ("tx_fraud", "int8"),
    ],
    &[
        ("transaction_id", "string"),
        ("tx_datetime", "timestamp"),
        ("tx_amount", "float64"),
        ("tx_fraud", "boolean"),
    ],
    &[
        ("tx_datetime", "timestamp"),
        ("customer_id", "uint8"),
        ("tx_amount", "decimal(38,10)"),
        ("terminal_id", "float32"),
    ],
    &[
        ("tx_datetime", "timestamp"),
        ("m.amount", "decimal(12,2)"),
        ("m.who.id", "int64"),
        ("m.tags", "string"),
        ("m", "string"),
    ],
];

impl Files {
    pub(crate) fn new(kind: Kind) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut corpus = Vec::new();
        for (seed, rows, broken) in [(1, 1, 0.0), (2, 7, 0.3), (3, 200, 0.05)] {
            let broken_share = if kind == Kind::Parquet { 0.0 } else { broken };
            let spec = GeneratorSpec {
                customers: 20,
                terminals: 20,
                rows: Some(rows),
                broken_share,
                ..GeneratorSpec::new("fuzz", seed)
            };
            let (format, name) = match kind {
                Kind::Ndjson => (WriteFormat::Json, "seed.ndjson"),
                Kind::Csv => (WriteFormat::Csv, "seed.csv"),
                Kind::Parquet => (WriteFormat::Parquet, "seed.parquet"),
            };
            let path = folder.path().join(name);
            write_file(&spec, &path, format, &mut |_| {})?;
            corpus.push(std::fs::read(&path)?);
        }
        let by_hand: &[&[u8]] = match kind {
            Kind::Ndjson => &[
                b"",
                b"{}\n{\"tx_datetime\":\"2018-04-01T00:00:00Z\"}\n",
                b"{\"tx_datetime\":\"2018-04-01 00:00:00\",\"tx_amount\":1.5,\"x\":{\"y\":[1,\
                  {\"z\":\"\\n\"}]}}\r\n\r\n[1]\n3\n\"x\"\nnull\n",
                b"{\"tx_datetime\":\"2018-04-01 00:00:00\",\"m\":{\"amount\":\"1.50\",\
                  \"who\":{\"id\":7},\"tags\":[1]},\"tx_fraud\":\"1\"}\n\
                  {\"tx_datetime\":\"2018-04-01\",\"m\":{}}\n\
                  {\"tx_datetime\":\"2018-04-01\",\"m\":null,\"m.amount\":2}\n",
            ],
            Kind::Csv => &[
                b"",
                b"transaction_id,tx_datetime,customer_id,terminal_id,tx_amount,tx_fraud\r\n\
                  1,2018-04-01 00:00:00,\"1\",2,\"3.50\",0\r\n",
                b"tx_datetime,tx_amount,transaction_id,tx_fraud\n\
                  2018-04-01,\"1\n\",\"a\"\"b\",true\n",
                b"of \"nobody\n\ntx_datetime,tx_amount,transaction_id\n\
                  2018-04-01,\"1,234.50\",\"a\\\"\n\xE4\"\n",
                b"\xFF\xFEt\x00x\x00_\x00d\x00a\x00t\x00e\x00t\x00i\x00m\x00e\x00\n\x00\
                  2\x000\x001\x008\x00-\x000\x004\x00-\x000\x001\x00\r\x00\n\x00x",
            ],
            Kind::Parquet => &[b"", b"PAR1PAR1", b"PAR1\0\0\0\0PAR1"],
        };
        corpus.extend(by_hand.iter().map(|b| b.to_vec()));
        Ok(Self { kind, folder, corpus })
    }

    /// A source over the file, with settings drawn for the case.
    fn spec(&self, path: PathBuf, rng: &mut ChaCha8Rng) -> Result<FileSourceSpec, String> {
        let mut spec =
            FileSourceSpec::new("fuzz", vec![path.to_string_lossy().into_owned()], "tx_datetime");
        let schema = rng.random_range(0..SCHEMAS.len() + 1);
        spec.schema = match SCHEMAS.get(schema) {
            Some(columns) => Some(
                columns
                    .iter()
                    .map(|(n, t)| Ok(((*n).to_owned(), parse_type(t)?)))
                    .collect::<Result<_, String>>()?,
            ),
            None => None,
        };
        spec.event_time.format = match rng.random_range(0..6_u32) {
            0 => TimeFormat::EpochSeconds,
            1 => TimeFormat::EpochMillis,
            2 => TimeFormat::pattern("%Y-%m-%d %H:%M:%S%.f").map_err(|e| e.to_string())?,
            _ => TimeFormat::Auto,
        };
        spec.record_bytes_max = if rng.random_bool(0.2) { 100 } else { spec.record_bytes_max };
        spec.csv.header = self.kind != Kind::Csv || schema == SCHEMAS.len() || rng.random_bool(0.8);
        spec.csv.escape = rng.random_bool(0.2).then_some(b'\\');
        spec.encoding = match rng.random_range(0..12_u32) {
            0 => EncodingChoice::parse("latin1")?,
            1 => EncodingChoice::parse("utf-16le")?,
            2 => EncodingChoice::parse("utf-16be")?,
            _ => EncodingChoice::Auto,
        };
        if schema < SCHEMAS.len() && rng.random_bool(0.2) {
            spec.forms.numbers.thousands = vec![','];
            spec.missing_as_null = true;
            if spec.csv.header {
                spec.csv.skip_lines = SkipLines::ToHeader;
            }
        }
        Ok(spec)
    }
}

impl Fuzzed for Files {
    fn input(&mut self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        mutated(&self.corpus, &WORDS, rng, INPUT_BYTES_MAX)
    }

    fn try_input(&mut self, input: &[u8], rng: &mut ChaCha8Rng) -> Result<bool, String> {
        let name = match self.kind {
            Kind::Ndjson => ["a.ndjson", "a.ndjson", "a.ndjson", "a.ndjson.gz", "a.ndjson.zst"]
                [rng.random_range(0..5_usize)],
            Kind::Csv => {
                ["a.csv", "a.csv", "a.csv", "a.tsv", "a.csv.gz"][rng.random_range(0..5_usize)]
            }
            Kind::Parquet => "a.parquet",
        };
        let path = self.folder.path().join(name);
        std::fs::write(&path, input).map_err(|e| format!("the input can't be written: {e}"))?;
        let spec = self.spec(path, rng)?;
        let large = read(&spec, PollLimit { rows: 32_768, bytes: 4 << 20 })?;
        let limit = PollLimit { rows: rng.random_range(1..64), bytes: rng.random_range(1..512) };
        let small = read(&spec, limit)?;
        match (large, small) {
            (Ok(large), Ok(small)) => {
                for (what, a, b) in [("rows", large.0, small.0), ("dead letters", large.1, small.1)]
                {
                    if a != b {
                        return Err(format!(
                            "other {what} with blocks of {limit:?}:\n{}",
                            difference(a, b)
                        ));
                    }
                }
                Ok(true)
            }
            (Err(_), Err(_)) => Ok(false),
            (Err(e), Ok(_)) | (Ok(_), Err(e)) => {
                Err(format!("refused with one block size only ({limit:?}): {e}"))
            }
        }
    }
}

/// The first rows that differ.
fn difference(a: Option<RecordBatch>, b: Option<RecordBatch>) -> String {
    let (Some(a), Some(b)) = (a, b) else { return "one has none".into() };
    let rows = a.num_rows().min(b.num_rows());
    let first = (0..rows).find(|row| a.slice(*row, 1) != b.slice(*row, 1)).unwrap_or(rows);
    let shown = [&a, &b].map(|batch| {
        let some = batch.slice(first, (batch.num_rows() - first).min(2));
        pretty_format_batches(&[some]).map_or_else(|e| e.to_string(), |table| table.to_string())
    });
    format!(
        "{} rows and {}, the first that differ are number {first}:\n{}\n{}",
        a.num_rows(),
        b.num_rows(),
        shown[0],
        shown[1]
    )
}

type Tables = (Option<RecordBatch>, Option<RecordBatch>);

/// Reads a file to its end. The outer error is a broken promise, the inner one a refusal.
fn read(spec: &FileSourceSpec, limit: PollLimit) -> Result<Result<Tables, SourceError>, String> {
    match read_all(spec, limit) {
        Err(Stopped::Refused(SourceError::Bug { reason, .. })) => {
            Err(format!("internal error: {reason}"))
        }
        Err(Stopped::Refused(error)) => Ok(Err(error)),
        Err(Stopped::Broken(what)) => Err(what),
        Ok(tables) => Ok(Ok(tables)),
    }
}

enum Stopped {
    Refused(SourceError),
    Broken(String),
}

impl From<SourceError> for Stopped {
    fn from(error: SourceError) -> Self {
        Self::Refused(error)
    }
}

fn read_all(spec: &FileSourceSpec, limit: PollLimit) -> Result<Tables, Stopped> {
    let mut source = FileSource::new(spec.clone())?;
    source.open(&BTreeMap::new())?;
    let mut decoder = source.decoder();
    let (mut rows, mut dead, mut idle) = (Vec::new(), Vec::new(), 0);
    loop {
        match source.poll(0, limit)? {
            Poll::Block(mut block) => {
                idle = 0;
                block.read_at = READ_AT;
                if block.next.next_offset < block.first_offset {
                    return Err(Stopped::Broken(format!(
                        "a block from {} goes on at {}",
                        block.first_offset, block.next.next_offset
                    )));
                }
                let decoded = decoder.decode(block)?;
                rows.push(decoded.rows);
                dead.extend(decoded.rejected);
            }
            Poll::Pending { .. } => {
                idle += 1;
                if idle > IDLE_POLLS_MAX {
                    return Err(Stopped::Broken(format!(
                        "nothing came in {IDLE_POLLS_MAX} polls, and no end"
                    )));
                }
            }
            Poll::Finished(_) => break,
        }
    }
    let whole = |batches: &[RecordBatch]| match batches.first() {
        Some(first) => concat_batches(&first.schema(), batches)
            .map(Some)
            .map_err(|e| Stopped::Broken(format!("blocks of several schemas: {e}"))),
        None => Ok(None),
    };
    // A file without records may give an empty block or none.
    let some = |batch: Option<RecordBatch>| batch.filter(|b| b.num_rows() > 0);
    Ok((some(whole(&rows)?), some(whole(&dead)?)))
}
