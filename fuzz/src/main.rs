//! Feeds mutated input to what reads untrusted bytes: the NDJSON, CSV and Parquet sources, the
//! configuration parser and the PostgreSQL port.
//!
//! ```text
//! cargo run --release -p riskstream-fuzz -- --target ndjson --seconds 60
//! # One case again:
//! cargo run --release -p riskstream-fuzz -- --target ndjson --seed 1234 --cases 1
//! ```
//! This is a plain program and does not use libFuzzer, which needs every dependency built once more
//! with coverage, and has no sanitizers on stable Rust. Cases start from valid files and from a
//! dictionary of what breaks parsers, so that they reach deep code at once; a case is made from one
//! number, so a failure is repeated by that number on any machine.
//!
//! What fails a case: a panic, more than [`CASE_SECONDS_MAX`] seconds, or a broken promise of the
//! target (see each target's module).

mod config;
mod files;
mod fuzzed;
mod mutate;
mod postgres;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use fuzzed::Fuzzed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A case that takes longer hangs: the largest input is far below a megabyte.
const CASE_SECONDS_MAX: u64 = 10;

#[derive(Debug, Parser)]
#[command(
    name = "riskstream-fuzz",
    about = "Feeds mutated input to the decoders, the configuration parser and the query port."
)]
struct Args {
    /// What is fed.
    #[arg(long, value_enum)]
    target: Target,
    /// Ends after this many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Ends after this many cases.
    #[arg(long)]
    cases: Option<u64>,
    /// The number of the first case; the next ones count up [default: from the clock].
    #[arg(long)]
    seed: Option<u64>,
    /// Writes the input of a failed case to this file.
    #[arg(long, value_name = "FILE")]
    keep: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    Ndjson,
    Csv,
    Parquet,
    Config,
    Postgres,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let mut fuzzed: Box<dyn Fuzzed> = match args.target {
        Target::Ndjson => Box::new(files::Files::new(files::Kind::Ndjson)?),
        Target::Csv => Box::new(files::Files::new(files::Kind::Csv)?),
        Target::Parquet => Box::new(files::Files::new(files::Kind::Parquet)?),
        Target::Config => Box::new(config::Configs::new()?),
        Target::Postgres => Box::new(postgres::Clients::new()),
    };
    let first = args.seed.unwrap_or_else(clock_seed);
    // A dependency's panic that the code under test catches and turns into an error is no failure,
    // but worth knowing.
    let panics: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&panics);
    std::panic::set_hook(Box::new(move |info| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string())
    }));
    let started = Instant::now();
    let target =
        args.target.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned());
    println!("fuzzing {target} from case {first}");
    let running = watchdog(target.clone(), started);
    let (mut cases, mut accepted, mut bytes) = (0_u64, 0_u64, 0_u64);
    while started.elapsed().as_secs() < args.seconds && args.cases.is_none_or(|limit| cases < limit)
    {
        let case = first.wrapping_add(cases);
        let mut rng = ChaCha8Rng::seed_from_u64(case);
        running.begin(case, started);
        let input = fuzzed.input(&mut rng);
        bytes += input.len() as u64;
        let failure = match catch_unwind(AssertUnwindSafe(|| fuzzed.try_input(&input, &mut rng))) {
            Ok(Ok(taken)) => {
                accepted += u64::from(taken);
                None
            }
            Ok(Err(broken)) => Some(broken),
            Err(_) => Some(
                panics
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .last()
                    .cloned()
                    .unwrap_or_default(),
            ),
        };
        running.end();
        cases += 1;
        if let Some(failure) = failure {
            eprintln!("case {case} of {target} failed: {failure}\n{}", shown(&input));
            eprintln!(
                "repeat: cargo run --release -p riskstream-fuzz -- --target {target} --seed {case} \
                 --cases 1"
            );
            if let Some(path) = &args.keep {
                std::fs::write(path, &input)?;
            }
            return Ok(ExitCode::FAILURE);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let contained = panics.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(first) = contained.first() {
        println!(
            "{} panics of dependencies were caught and became errors; the first: {first}",
            contained.len()
        );
    }
    println!(
        "{target}: {cases} cases ({:.0}/s, {accepted} accepted, {bytes} bytes), no failure",
        cases as f64 / seconds.max(1e-9)
    );
    Ok(ExitCode::SUCCESS)
}

fn clock_seed() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs() * 1_000_000)
}

/// The beginning of an input, escaped.
fn shown(input: &[u8]) -> String {
    let head = &input[..input.len().min(2_000)];
    format!("input of {} bytes: {}", input.len(), head.escape_ascii())
}

/// The case that runs, for the watchdog.
#[derive(Debug)]
struct Running {
    case: AtomicU64,
    /// Milliseconds since the start; `u64::MAX`: no case runs.
    since: AtomicU64,
}

impl Running {
    fn begin(&self, case: u64, started: Instant) {
        self.case.store(case, Ordering::Relaxed);
        self.since.store(started.elapsed().as_millis() as u64, Ordering::Release);
    }

    fn end(&self) {
        self.since.store(u64::MAX, Ordering::Release);
    }
}

/// Ends the program when a case hangs: a thread that loops can't be stopped otherwise.
fn watchdog(target: String, started: Instant) -> Arc<Running> {
    let running = Arc::new(Running { case: AtomicU64::new(0), since: AtomicU64::new(u64::MAX) });
    let watched = Arc::clone(&running);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let since = watched.since.load(Ordering::Acquire);
            let now = started.elapsed().as_millis() as u64;
            if since != u64::MAX && now.saturating_sub(since) > CASE_SECONDS_MAX * 1_000 {
                let case = watched.case.load(Ordering::Relaxed);
                eprintln!(
                    "case {case} of {target} failed: it takes more than {CASE_SECONDS_MAX} s"
                );
                eprintln!(
                    "repeat: cargo run --release -p riskstream-fuzz -- --target {target} --seed \
                     {case} --cases 1"
                );
                std::process::exit(1);
            }
        }
    });
    running
}
