//! `riskstream generate`: simulated card payments as a file, or on standard output.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use chrono::Datelike;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use riskstream_ingest::{GeneratorSpec, WriteError, WriteFormat, write_file, write_text};

use super::CommandError;
use crate::cli::{GenerateArgs, GenerateFormat};
use crate::config::defaults::GENERATOR_START;
use crate::progress::grouped;

/// Days from 0001-01-01 to 1970-01-01, for chrono's day count.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// Writes the payments.
///
/// # Errors
/// Numbers that make no sense, or a file that can't be written.
pub fn generate(args: &GenerateArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let spec = spec(args)?;
    let format = format(args)?;
    let bar = progress_bar(args);
    let started = Instant::now();
    let mut progress = |rows: u64| bar.set_position(rows);
    let written = match &args.out {
        Some(path) => write_file(&spec, path, format, &mut progress),
        None => write_text(&spec, out, format, &mut progress),
    };
    bar.finish_and_clear();
    let rows = written.map_err(|error| match error {
        WriteError::Spec { .. } => CommandError::Usage { message: error.to_string(), help: None },
        WriteError::Output(error) => CommandError::Output(error),
        WriteError::File { .. } => super::failed(error),
    })?;
    if let Some(path) = &args.out {
        let seconds = started.elapsed().as_secs_f64();
        let rate = rows as f64 / seconds.max(1e-9);
        writeln!(out, "{} payments in {} ({seconds:.1} s, {} rows/s)", grouped(rows), path.display(), grouped(rate as u64))?;
    }
    Ok(())
}

fn spec(args: &GenerateArgs) -> Result<GeneratorSpec, CommandError> {
    let count = |name: &str, value: u64| {
        u32::try_from(value)
            .map_err(|_| CommandError::Usage { message: format!("--{name} is {value}, more than {}", u32::MAX), help: None })
    };
    let (year, month, day) = GENERATOR_START;
    let first = args.start.or_else(|| chrono::NaiveDate::from_ymd_opt(year, month, day));
    Ok(GeneratorSpec {
        customers: count("customers", args.customers)?,
        terminals: count("terminals", args.terminals)?,
        radius: args.radius,
        start_day: first.map_or(0, |d| d.num_days_from_ce() - EPOCH_DAYS_FROM_CE),
        // So many rows take as many days as they take.
        days: if args.rows.is_some() { None } else { Some(args.days) },
        rows: args.rows,
        broken_share: args.broken_share,
        ..GeneratorSpec::new("generate", args.seed)
    })
}

/// The format asked for, or the one that the file's name tells.
fn format(args: &GenerateArgs) -> Result<WriteFormat, CommandError> {
    let by_name = |path: &Path| match path.extension()?.to_str()?.to_lowercase().as_str() {
        "csv" => Some(WriteFormat::Csv),
        "parquet" | "pq" => Some(WriteFormat::Parquet),
        "json" | "ndjson" | "jsonl" => Some(WriteFormat::Json),
        _ => None,
    };
    let format = match args.format {
        Some(GenerateFormat::Json) => WriteFormat::Json,
        Some(GenerateFormat::Csv) => WriteFormat::Csv,
        Some(GenerateFormat::Parquet) => WriteFormat::Parquet,
        None => args.out.as_deref().and_then(by_name).unwrap_or(WriteFormat::Json),
    };
    if format == WriteFormat::Parquet && args.out.is_none() {
        let help = Some("name a file: --out payments.parquet".to_owned());
        return Err(CommandError::Usage { message: "parquet can't be written to standard output".into(), help });
    }
    Ok(format)
}

/// Rows written so far and how fast, on a terminal and beside a file only.
fn progress_bar(args: &GenerateArgs) -> ProgressBar {
    if args.out.is_none() || !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(args.rows, ProgressDrawTarget::hidden());
    }
    let bar = match args.rows {
        Some(rows) => ProgressBar::new(rows),
        None => ProgressBar::no_length(),
    };
    let template = if args.rows.is_some() {
        "{bar:24} {percent:>3}%  {human_pos} rows, {per_sec}, {eta} left"
    } else {
        "{spinner} {human_pos} rows, {per_sec}"
    };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
