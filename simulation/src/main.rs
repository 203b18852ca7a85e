//! `simulate`: runs worlds by seed, and says how to repeat one that fails.

use anyhow::{Context, Result};
use clap::Parser;
use riskstream_simulation::{Options, simulate};
use std::process::ExitCode;
use std::time::Instant;

/// Runs the engine's pure parts through random inputs, crashes and restarts, and compares what is delivered with SQL.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// Run this seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run the seeds A..B (B excluded).
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    seeds: Option<(u64, u64)>,
    /// Print every event.
    #[arg(long)]
    verbose: bool,
}

fn parse_range(text: &str) -> Result<(u64, u64)> {
    let (from, to) = text.split_once("..").context("write a range as 0..200")?;
    Ok((from.parse()?, to.parse()?))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = match (arguments.seed, arguments.seeds) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some((from, to))) => from..to,
        (None, None) => 0..200,
    };
    let started = Instant::now();
    let (mut worlds, mut failed) = (0, Vec::new());
    let (mut rows, mut by_sql, mut crashes) = (0, 0, 0);
    let many = seeds.end - seeds.start > 1;
    for seed in seeds {
        worlds += 1;
        match simulate(seed, Options { verbose: arguments.verbose, fault: None }) {
            Ok(report) => {
                if !many || arguments.verbose {
                    println!("{report:#?}");
                }
                rows += report.rows;
                by_sql += report.by_sql;
                crashes += report.crashes;
            }
            Err(failure) => {
                println!("{failure}");
                failed.push(seed);
            }
        }
    }
    println!(
        "{worlds} worlds in {:.1} s: {rows} rows delivered, {crashes} crashes, {by_sql} rows also compared with SQL",
        started.elapsed().as_secs_f64()
    );
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{} of {worlds} seeds failed: {failed:?}", failed.len());
    ExitCode::FAILURE
}
