//! `simulate`: runs worlds by seed, by number or by time, and says how to repeat one that fails.

use anyhow::{Context, Result};
use clap::Parser;
use riskstream_simulation::disk::Hole;
use riskstream_simulation::whole::{WholeReport, simulate_whole};
use riskstream_simulation::{Failure, Options, Report, simulate};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs the engine through random inputs, crashes, losses of power and failing disks, and compares
/// what is delivered with SQL.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// Run this seed alone.
    #[arg(long, conflicts_with_all = ["seeds", "seconds", "holes"])]
    seed: Option<u64>,
    /// Run so many seeds, or the seeds A..B (B excluded).
    #[arg(long, value_name = "N|A..B", value_parser = parse_range, default_value = "200")]
    seeds: (u64, u64),
    /// Run seeds for so long, from the first of `--seeds` on.
    #[arg(long, value_name = "S", conflicts_with = "holes")]
    seconds: Option<u64>,
    /// Threads; each runs a seed at a time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Put each mistake of earlier versions back, and say how many seeds it takes to find it.
    #[arg(long)]
    holes: bool,
    /// Put this mistake back.
    #[arg(long, value_parser = parse_hole)]
    hole: Option<Hole>,
    /// Worlds of the whole engine, with its threads and Delta's log, in which the order of threads
    /// is the machine's.
    #[arg(long, conflicts_with_all = ["holes", "verbose"])]
    whole: bool,
    /// Print every event.
    #[arg(long)]
    verbose: bool,
}

/// Of many seeds, one in so many is compared with SQL too.
const SQL_EVERY: u64 = 16;

fn parse_range(text: &str) -> Result<(u64, u64)> {
    match text.split_once("..") {
        Some((from, to)) => Ok((from.parse()?, to.parse()?)),
        None => Ok((0, text.parse()?)),
    }
}

fn parse_hole(text: &str) -> Result<Hole> {
    let all = || Hole::ALL.map(|hole| format!("{hole:?}")).join(", ");
    Hole::ALL
        .into_iter()
        .find(|hole| format!("{hole:?}") == text)
        .with_context(|| format!("it is one of {}", all()))
}

/// What many worlds were like.
#[derive(Default)]
struct Total {
    worlds: u64,
    reports: Report,
    failed: Vec<Failure>,
}

/// Runs seeds from `first` until `ends` says so, on several threads.
fn worlds(
    first: u64,
    threads: usize,
    options: impl Fn(u64) -> Options + Sync,
    ends: impl Fn(u64, &Total) -> bool + Sync,
) -> Total {
    let (next, total) = (AtomicU64::new(first), Mutex::new(Total::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if ends(seed, &total.lock().unwrap_or_else(PoisonError::into_inner)) {
                        return;
                    }
                    let lived = simulate(seed, options(seed));
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    total.worlds += 1;
                    match lived {
                        Ok(report) => total.reports.add(&report),
                        Err(failure) => total.failed.push(failure),
                    }
                }
            });
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// How many seeds it takes to find each hole.
fn holes(arguments: &Arguments) -> ExitCode {
    let mut all_found = true;
    for hole in Hole::ALL {
        let options = |_| Options { hole: Some(hole), without_sql: true, ..Options::default() };
        let (first, end) = arguments.seeds;
        let end = end.max(first + 10_000);
        let total = worlds(first, arguments.threads, options, |seed, total| {
            seed >= end || !total.failed.is_empty()
        });
        match total.failed.iter().min_by_key(|failure| failure.seed) {
            Some(failure) => println!(
                "{hole:?}: found after {} seeds: seed {}: {}",
                total.worlds, failure.seed, failure.what
            ),
            None => {
                all_found = false;
                println!("{hole:?}: NOT FOUND in {} seeds", total.worlds);
            }
        }
    }
    if all_found { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Worlds of the whole engine, one after another.
fn whole(arguments: &Arguments) -> ExitCode {
    let started = Instant::now();
    let ended = |seed: u64| match (arguments.seed, arguments.seconds) {
        (Some(only), _) => seed > only,
        (None, Some(seconds)) => started.elapsed() >= Duration::from_secs(seconds),
        (None, None) => seed >= arguments.seeds.1,
    };
    let (mut total, mut failed) = (WholeReport::default(), Vec::new());
    for seed in arguments.seed.unwrap_or(arguments.seeds.0).. {
        if ended(seed) {
            break;
        }
        match simulate_whole(seed, arguments.hole) {
            Ok(report) => total.add(&report),
            Err(failure) => {
                println!("{failure} --whole");
                failed.push(seed);
            }
        }
    }
    println!("{:.1} s: {total:?}", started.elapsed().as_secs_f64());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{} seeds failed: {failed:?}", failed.len());
    ExitCode::FAILURE
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = |seed: u64| Options {
        verbose: arguments.verbose,
        fault: None,
        hole: arguments.hole,
        without_sql: arguments.seed.is_none() && !seed.is_multiple_of(SQL_EVERY),
    };
    if arguments.holes {
        return holes(&arguments);
    }
    if arguments.whole {
        return whole(&arguments);
    }
    let started = Instant::now();
    let total = match (arguments.seed, arguments.seconds) {
        (Some(seed), _) => worlds(seed, 1, options, |next, _| next > seed),
        (None, Some(seconds)) => {
            let end = Duration::from_secs(seconds);
            worlds(arguments.seeds.0, arguments.threads, options, |_, _| started.elapsed() >= end)
        }
        (None, None) => worlds(arguments.seeds.0, arguments.threads, options, |next, _| {
            next >= arguments.seeds.1
        }),
    };
    let Total { worlds, reports, mut failed } = total;
    failed.sort_by_key(|failure| failure.seed);
    failed.iter().for_each(|failure| println!("{failure}"));
    if worlds == 1 && failed.is_empty() {
        println!("{reports:#?}");
    }
    println!(
        "{worlds} worlds in {:.1} s: {} rows delivered, {} crashes, of which {} losses of power \
         and {} failures of the disk, in {} changes of it; {} rows also compared with SQL",
        started.elapsed().as_secs_f64(),
        reports.rows,
        reports.crashes,
        reports.power_losses,
        reports.disk_failures,
        reports.disk_operations,
        reports.by_sql
    );
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "{} of {worlds} seeds failed: {:?}",
        failed.len(),
        failed.iter().map(|failure| failure.seed).collect::<Vec<_>>()
    );
    ExitCode::FAILURE
}
