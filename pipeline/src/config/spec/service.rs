//! How the program runs as a service: what it says of itself and to whom, and what becomes of it
//! when a pipeline fails.

use std::net::SocketAddr;
use std::time::Duration;

use super::keywords::keywords;
use crate::config::span::Spanned;

/// `[riskstream] log = { format, level }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    /// How lines are written; none: as text, and on a terminal as for a person.
    pub format: Option<LogFormat>,
    /// The least important events that are written.
    pub level: Option<LogLevel>,
}

/// How the lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// The time, the level, a sentence, and fields.
    Text,
    /// One JSON object per line.
    Json,
}
keywords!(LogFormat { "text" => Text, "json" => Json });

/// How important an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// A pipeline has failed.
    Error,
    /// Something is tried again, or is not as it should be.
    Warn,
    /// A pipeline begins, goes on, ends.
    Info,
    /// What helps to find a fault.
    Debug,
}
keywords!(LogLevel { "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug });

/// `[metrics]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsEndpoint {
    /// Where `/metrics`, `/healthz` and `/readyz` answer.
    pub listen: SocketAddr,
}

/// `[tracing]`.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// The URL that takes spans by OTLP over HTTP, its path included.
    pub otlp: Spanned<String>,
}

/// `on_failure` of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The other pipelines end after their open epochs, and the program ends with an exit status of
    /// its own.
    Stop,
    /// The pipeline starts again from its last commit.
    Restart(Restart),
}

/// How the file says [`OnFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailureName {
    /// [`OnFailure::Stop`].
    Stop,
    /// [`OnFailure::Restart`].
    Restart,
}
keywords!(OnFailureName { "stop" => Stop, "restart" => Restart });

/// `restart = { min, max, healthy_after }`: how long a pipeline waits before it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// The wait after the first failure; each further failure doubles it.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
    /// A pipeline that has run so long is well: its next failure counts as the first.
    pub healthy_after: Duration,
}
