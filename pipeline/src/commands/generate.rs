//! `riskstream generate`: simulated card payments, or the changes of a loan book, as a file or on
//! standard output.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use chrono::Datelike;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use riskstream_ingest::{
    Generate, GeneratorSpec, LoansSpec, WriteError, WriteFormat, write_file, write_text,
};

use super::CommandError;
use crate::cli::{GenerateArgs, GenerateFormat, GenerateOf};
use crate::config::defaults;
use crate::progress::grouped;

/// Days from 0001-01-01 to 1970-01-01, for chrono's day count.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// Writes the rows.
///
/// # Errors
/// Options that do not belong to what is simulated, numbers that make no sense, or a file that
/// can't be written.
pub fn generate(args: &GenerateArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    match args.of {
        GenerateOf::Payments => write(&payments(args)?, "payments", args, out),
        GenerateOf::Loans => write(&loans(args)?, "changes of loans", args, out),
    }
}

fn write(
    spec: &impl Generate,
    what: &str,
    args: &GenerateArgs,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let format = format(args)?;
    let bar = progress_bar(args);
    let started = Instant::now();
    let mut progress = |rows: u64| bar.set_position(rows);
    let written = match &args.out {
        Some(path) => write_file(spec, path, format, &mut progress),
        None => write_text(spec, out, format, &mut progress),
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
        writeln!(
            out,
            "{} {what} in {} ({seconds:.1} s, {} rows/s)",
            grouped(rows),
            path.display(),
            grouped(rate as u64)
        )?;
    }
    Ok(())
}

fn payments(args: &GenerateArgs) -> Result<GeneratorSpec, CommandError> {
    refuse_options(
        args,
        &[
            ("loans", args.loans.is_some()),
            ("lenders", args.lenders.is_some()),
            ("months", args.months.is_some()),
        ],
    )?;
    Ok(GeneratorSpec {
        customers: count("customers", args.customers.unwrap_or(defaults::GENERATOR_CUSTOMERS))?,
        terminals: count("terminals", args.terminals.unwrap_or(defaults::GENERATOR_TERMINALS))?,
        radius: args.radius.unwrap_or(defaults::GENERATOR_RADIUS),
        start_day: start_day(args, defaults::GENERATOR_START),
        // A given number of rows takes as many simulated days as it needs.
        days: if args.rows.is_some() {
            None
        } else {
            Some(args.days.unwrap_or(defaults::GENERATOR_DAYS))
        },
        rows: args.rows,
        broken_share: args.broken_share,
        ..GeneratorSpec::new("generate", args.seed)
    })
}

fn loans(args: &GenerateArgs) -> Result<LoansSpec, CommandError> {
    let others = [
        ("customers", args.customers.is_some()),
        ("terminals", args.terminals.is_some()),
        ("radius", args.radius.is_some()),
        ("days", args.days.is_some()),
    ];
    refuse_options(args, &others)?;
    Ok(LoansSpec {
        name: "generate".into(),
        seed: args.seed,
        loans: count("loans", args.loans.unwrap_or(defaults::GENERATOR_LOANS))?,
        lenders: args.lenders.unwrap_or(defaults::GENERATOR_LENDERS),
        start_day: start_day(args, defaults::GENERATOR_LOANS_START),
        months: args.months.unwrap_or(defaults::GENERATOR_MONTHS),
        rows: args.rows,
        broken_share: args.broken_share,
    })
}

/// Refuses options of the other simulation, which would otherwise be ignored silently.
fn refuse_options(args: &GenerateArgs, options: &[(&str, bool)]) -> Result<(), CommandError> {
    let Some((name, _)) = options.iter().find(|(_, is_given)| *is_given) else { return Ok(()) };
    let (of, other) = match args.of {
        GenerateOf::Payments => ("payments", "loans"),
        GenerateOf::Loans => ("loans", "payments"),
    };
    let help = Some(format!("leave it out, or write --of {other}"));
    Err(CommandError::Usage { message: format!("--{name} says nothing about {of}"), help })
}

fn count(name: &str, value: u64) -> Result<u32, CommandError> {
    u32::try_from(value).map_err(|_| CommandError::Usage {
        message: format!("--{name} is {value}, more than {}", u32::MAX),
        help: None,
    })
}

fn start_day(args: &GenerateArgs, (year, month, day): (i32, u32, u32)) -> i32 {
    let first = args.start.or_else(|| chrono::NaiveDate::from_ymd_opt(year, month, day));
    first.map_or(0, |d| d.num_days_from_ce() - EPOCH_DAYS_FROM_CE)
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
        let help = Some("name a file: --out rows.parquet".to_owned());
        return Err(CommandError::Usage {
            message: "parquet can't be written to standard output".into(),
            help,
        });
    }
    Ok(format)
}

/// The rows written so far and the rate; shown only on a terminal, and only when writing to a file.
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
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}
