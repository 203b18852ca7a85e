//! How fast a file is read and decoded on one core:
//! `decode_speed FILE EVENT_TIME_COLUMN [name=type ...]`.
//!
//! Without a file it generates payments, writes them in each format and reads them.

use riskstream_engine::contract::{Poll, PollLimit, Source};
use riskstream_ingest::{
    FileSource, FileSourceSpec, Generate as _, GeneratorSource, GeneratorSpec, WriteFormat,
    parse_type, write_file,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, event_time, columns @ ..] = &arguments[..] else {
        return measure_generated();
    };
    let mut spec = FileSourceSpec::new("speed", vec![path.clone()], event_time);
    if !columns.is_empty() {
        let columns = columns.iter().map(|c| {
            c.split_once('=')
                .ok_or("name=type expected")
                .map(|(n, t)| (n.to_owned(), parse_type(t)))
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        spec.schema =
            Some(columns.into_iter().map(|(n, t)| t.map(|t| (n, t))).collect::<Result<_, _>>()?);
    }
    measure(&mut FileSource::new(spec)?, path)
}

fn measure_generated() -> Result<(), Box<dyn Error>> {
    let spec = GeneratorSpec { rows: Some(2_000_000), ..GeneratorSpec::new("speed", 1) };
    measure(&mut GeneratorSource::new(spec.clone())?, "generator")?;
    let folder = tempfile::tempdir()?;
    for (name, format) in [
        ("a.ndjson", WriteFormat::Json),
        ("a.csv", WriteFormat::Csv),
        ("a.parquet", WriteFormat::Parquet),
    ] {
        let path = folder.path().join(name);
        let start = Instant::now();
        write_file(&spec, &path, format, &mut |_| {})?;
        println!(
            "{name}: {} bytes, generated and written in {:.1} s",
            path.metadata()?.len(),
            start.elapsed().as_secs_f64()
        );
        let mut file =
            FileSourceSpec::new("speed", vec![path.to_string_lossy().into_owned()], "tx_datetime");
        file.schema = Some(
            spec.schema()
                .fields()
                .iter()
                .map(|f| (f.name().clone(), f.data_type().clone()))
                .collect(),
        );
        measure(&mut FileSource::new(file)?, name)?;
    }
    Ok(())
}

fn measure(source: &mut dyn Source, name: &str) -> Result<(), Box<dyn Error>> {
    source.open(&BTreeMap::new())?;
    let mut decoder = source.decoder();
    let (mut reading, mut decoding, mut rows, mut rejected) =
        (Duration::ZERO, Duration::ZERO, 0, 0);
    loop {
        let start = Instant::now();
        let poll = source.poll(0, PollLimit { rows: 32_768, bytes: 4 << 20 })?;
        reading += start.elapsed();
        match poll {
            Poll::Block(mut block) => {
                block.read_at = 4_102_444_800_000_000;
                let start = Instant::now();
                let decoded = decoder.decode(block)?;
                decoding += start.elapsed();
                rows += decoded.rows.num_rows();
                rejected += decoded.rejected.map_or(0, |r| r.num_rows());
            }
            Poll::Pending { .. } => {}
            Poll::Finished(_) => break,
        }
    }
    let ns = |time: Duration| time.as_nanos() as f64 / rows.max(1) as f64;
    println!(
        "{name}: {rows} rows, {rejected} rejected; read {:.0} ns/row, decode {:.0} ns/row",
        ns(reading),
        ns(decoding)
    );
    Ok(())
}
