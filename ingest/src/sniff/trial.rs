//! The file, read in the way that was found: how many rows does it give?

use super::found::{MADE_EVENT_TIME, Said, Sniffed, SniffedTime};
use crate::file::{FileFormat, FileSource, FoundFile, Inferred, infer_schema};
use arrow::array::AsArray;
use arrow::datatypes::DataType;
use riskstream_engine::contract::{Poll, PollLimit, Source};
use std::collections::BTreeMap;
use std::path::Path;

/// How many rows are read at most.
const ROWS_MAX: u64 = 1_000_000;
/// Polls without a block, after which a file is given up.
const IDLE_POLLS_MAX: u32 = 100;
/// Reasons of dead letters that are named.
const REASONS_MAX: usize = 3;

/// Finds the event time of a Parquet file, which has its types.
pub(super) fn parquet(path: &Path, sniffed: &mut Sniffed, said: &mut Said) -> Result<(), String> {
    let spec = sniffed.spec(path);
    let name = path.to_string_lossy().into_owned();
    let files = [FoundFile { name, path: path.to_owned() }];
    let Inferred { schema, notes } =
        infer_schema(&spec, FileFormat::Parquet, &files).map_err(|e| e.to_string())?;
    said.guesses.extend(notes.into_iter().skip(1));
    let of = |is: fn(&DataType) -> bool| -> Vec<&String> {
        schema.fields().iter().filter(|f| is(f.data_type())).map(|f| f.name()).collect()
    };
    let times = of(|t| matches!(t, DataType::Timestamp(..)));
    let days = of(|t| matches!(t, DataType::Date32));
    let found = if times.is_empty() { days } else { times };
    let Some(first) = found.first() else { return Ok(()) };
    if found.len() > 1 {
        said.unsure(format!(
            "when a row happened: `{first}` is taken, and {} would do as well",
            super::found::listed(&found[1..])
        ));
    }
    sniffed.event_time = vec![(*first).clone()];
    sniffed.event_time_format = SniffedTime::auto();
    Ok(())
}

/// Reads the file, as far as it takes no longer than a moment.
pub(super) fn read(
    path: &Path,
    now: i64,
    sniffed: &mut Sniffed,
    said: &mut Said,
) -> Result<(), String> {
    let mut spec = sniffed.spec(path);
    if matches!(sniffed.format, FileFormat::Debezium(_)) {
        spec.event_time.column = riskstream_engine::contract::COMMITTED_AT.to_owned();
    }
    debug_assert!(spec.event_time.parts.is_empty() || spec.event_time.column == MADE_EVENT_TIME);
    let mut source = FileSource::new(spec).map_err(|e| e.to_string())?;
    source.open(&BTreeMap::new()).map_err(|e| e.to_string())?;
    let mut decoder = source.decoder();
    let mut reasons: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let (mut idle, limit) = (0, PollLimit { rows: 65_536, bytes: 4 << 20 });
    sniffed.is_whole = false;
    while idle < IDLE_POLLS_MAX && sniffed.rows + sniffed.dead < ROWS_MAX {
        let mut block = match source.poll(0, limit).map_err(|e| e.to_string())? {
            Poll::Block(block) => block,
            Poll::Pending { .. } => {
                idle += 1;
                continue;
            }
            Poll::Finished(_) => {
                sniffed.is_whole = true;
                break;
            }
        };
        block.read_at = now;
        let decoded = decoder.decode(block).map_err(|e| e.to_string())?;
        sniffed.rows += decoded.rows.num_rows() as u64;
        let Some(rejected) = decoded.rejected else { continue };
        sniffed.dead += rejected.num_rows() as u64;
        let column =
            |name: &str| rejected.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let (Some(reason), Some(detail)) = (column("reason"), column("detail")) else { continue };
        for row in 0..rejected.num_rows() {
            let first = || (0, detail.value(row).to_owned());
            reasons.entry(reason.value(row).to_owned()).or_insert_with(first).0 += 1;
        }
    }
    for (reason, (count, detail)) in reasons.iter().take(REASONS_MAX) {
        said.unsure(format!(
            "{count} record{} would be dead letters ({reason}), such as: {detail}",
            if *count == 1 { "" } else { "s" }
        ));
    }
    Ok(())
}
