//! The log: what the program says of itself, as lines of text or JSON on standard error.

use std::sync::OnceLock;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::spec::{LogFormat, LogLevel};

/// Our own crates, by the beginning of their names.
const OURS: &str = "riskstream";

/// Reads the logs of tables, and writes each error that it also gives back: who has asked tells it,
/// or gets over it.
const TELLS_TWICE: &str = "buoyant_kernel";

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Begins the log: from now on each event is a line on standard error. Only the first call counts.
pub fn begin(format: LogFormat, level: LogLevel) {
    if FORMAT.set(format).is_err() {
        return;
    }
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // Libraries log warnings and errors only.
    let filter = Targets::new()
        .with_target(OURS, level)
        .with_target(TELLS_TWICE, LevelFilter::OFF)
        .with_default(level.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // An embedding program may have a log of its own; then that one is written.
    let _set = match format {
        LogFormat::Text => {
            tracing_subscriber::registry().with(lines.with_target(false)).with(filter).try_init()
        }
        LogFormat::Json => tracing_subscriber::registry()
            .with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false))
            .with(filter)
            .try_init(),
    };
}

/// How the log is written; none where there is none.
#[must_use]
pub fn format() -> Option<LogFormat> {
    FORMAT.get().copied()
}
