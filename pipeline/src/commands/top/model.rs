//! What `top` shows, read from a data folder.

use std::path::PathBuf;

use riskstream_engine::runtime::{Clock, SystemClock};
use riskstream_engine::store::held_by;
use serde::{Serialize, Serializer};

use crate::config::Config;
use crate::plan::store_location;
use crate::service::now::{Now, State};
use crate::service::samples::{KEPT_SECONDS, LastHour, now_location, samples_location};

/// A program that has written nothing for this long does not run, or can't write.
const SILENT_AFTER_MICROS: i64 = 10_000_000;

/// All pipelines of a configuration, at one moment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Model {
    /// `[riskstream] name`.
    pub(super) name: String,
    /// The data folder.
    pub(super) data: PathBuf,
    /// When this was read, microseconds since 1970.
    pub(super) at_micros: i64,
    /// The pipelines, as the file has them.
    pub(super) pipelines: Vec<PipelineModel>,
}

/// One pipeline.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PipelineModel {
    pub(super) pipeline: String,
    #[serde(serialize_with = "condition")]
    pub(super) condition: Condition,
    /// What the program that runs the pipeline has written last; if none runs, it is of an earlier
    /// one.
    pub(super) now: Option<Now>,
    /// The last hour, of which `status` gives the numbers.
    #[serde(skip)]
    pub(super) hour: LastHour,
}

/// Whether a pipeline runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// A program runs the pipeline, and reports this state.
    Said(State),
    /// A program holds the pipeline's store, but has reported nothing lately, or nothing yet.
    Silent,
    /// No program runs the pipeline.
    Down,
}

impl Condition {
    /// The condition in one word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Said(State::Starts) => "starts",
            Self::Said(State::Runs) => "runs",
            Self::Said(State::StartsAgain) => "waits",
            Self::Said(State::Failed) => "failed",
            Self::Said(State::Ended) => "ended",
            Self::Silent => "silent",
            Self::Down => "down",
        }
    }
}

fn condition<S: Serializer>(condition: &Condition, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(condition.word())
}

impl Model {
    /// Reads the model from a few small files, whatever the size of the store.
    pub(super) fn read(config: &Config) -> Self {
        let at_micros = SystemClock::default().wall_micros();
        let riskstream = &config.spec.riskstream;
        let read = |name: &str| {
            let mut hour = LastHour::read(&samples_location(config, name));
            hour.drop_before(at_micros.div_euclid(1_000_000) - KEPT_SECONDS);
            let is_held = held_by(store_location(config, name)).is_some();
            PipelineModel::new(
                name,
                Now::read(&now_location(config, name)),
                hour,
                is_held,
                at_micros,
            )
        };
        Self {
            name: riskstream.name.value.clone(),
            data: riskstream.data.value.clone(),
            at_micros,
            pipelines: config.spec.pipelines.iter().map(|p| read(&p.name.value)).collect(),
        }
    }

    /// Whether a program runs.
    pub(super) fn runs(&self) -> bool {
        self.pipelines.iter().any(|pipeline| pipeline.condition != Condition::Down)
    }
}

impl PipelineModel {
    /// `is_held`: whether a program holds its store at `at_micros`.
    pub(super) fn new(
        name: &str,
        now: Option<Now>,
        hour: LastHour,
        is_held: bool,
        at_micros: i64,
    ) -> Self {
        let said = now.as_ref().filter(|now| {
            let age = at_micros.saturating_sub(now.at_micros);
            !now.program.has_ended && age < SILENT_AFTER_MICROS
        });
        let condition = match said {
            Some(now) => Condition::Said(now.state),
            None if is_held => Condition::Silent,
            None => Condition::Down,
        };
        Self { pipeline: name.to_owned(), condition, now, hour }
    }

    /// What the program that runs the pipeline reports, if there is one.
    pub(super) fn said(&self) -> Option<&Now> {
        match self.condition {
            Condition::Said(_) => self.now.as_ref(),
            Condition::Silent | Condition::Down => None,
        }
    }
}
