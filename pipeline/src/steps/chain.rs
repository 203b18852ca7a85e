//! The steps that were planned so far, and what the next one reads.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use riskstream_engine::contract::{Operator, OperatorError, StateDir};
use riskstream_engine::ids::Generation;
use riskstream_engine::runtime::{EpochHook, StepPlan, WorkerContext};
use riskstream_operators::periods::Every;
use riskstream_operators::{ExpressionError, ModelCell, Stateless, StepError};

use super::lineage::Lineage;
use crate::config::problem::Problem;
use crate::config::span::{Span, Spanned};
use crate::config::spec::{Order, Period, Riskstream, Sql};

/// The `aggregate` step that made the rows at hand.
#[derive(Debug)]
pub(crate) struct WindowsBefore {
    /// Its key.
    pub(crate) by: Vec<String>,
    /// How long after its end a window may still be published again; microseconds.
    pub(crate) keep: i64,
    pub(crate) has_sessions: bool,
}

type BuildLogic = Arc<dyn Fn(&WorkerContext) -> Result<Box<dyn Operator>, String> + Send + Sync>;

/// What steps are made from, and what they leave behind for the next.
pub(crate) struct Chain<'a> {
    pub(crate) riskstream: &'a Riskstream,
    pub(crate) order: Order,
    pub(crate) event_time: String,
    pub(crate) ties: Vec<String>,
    /// The columns that tell rows apart, which alerts' ids are made of.
    pub(crate) identity: Vec<String>,
    pub(crate) schema: SchemaRef,
    /// How its rows are made.
    pub(crate) lineage: Lineage,
    /// The `aggregate` step before, when there was one.
    pub(crate) windows: Option<WindowsBefore>,
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) hooks: Vec<EpochHook>,
    pub(crate) models: Vec<(String, Arc<ModelCell>)>,
}

impl Chain<'_> {
    /// Adds a step whose output has the columns of `schema`.
    pub(crate) fn add(
        &mut self,
        id: &str,
        schema: SchemaRef,
        build: impl Fn(&WorkerContext) -> Result<Box<dyn Operator>, String> + Send + Sync + 'static,
    ) {
        self.schema = schema;
        self.steps.push(step_plan(id, Arc::new(build)));
    }

    /// Adds a step. `make` is called once to learn the step's columns, or its error, which points
    /// into `sqls` or at `id`, and then for every worker.
    pub(crate) fn add_made<O: Operator + 'static>(
        &mut self,
        id: &Spanned<String>,
        sqls: &[Sql],
        make: impl Fn(StateDir) -> Result<O, StepError> + Send + Sync + 'static,
    ) -> Result<(), Problem> {
        let output = make(nowhere()).map_err(|e| problem(&e, sqls, id.span))?.output_schema();
        self.add(&id.value, output, move |worker| {
            Ok(Box::new(make(state_dir(worker)).map_err(|e| e.to_string())?) as Box<dyn Operator>)
        });
        Ok(())
    }

    /// As [`Self::add_made`], for a step without state and with a name of its own; its error points
    /// into `sqls` or at `span`.
    pub(crate) fn add_stateless<S: Stateless + 'static>(
        &mut self,
        name: &str,
        (sqls, span): (&[Sql], Span),
        make: impl Fn() -> Result<S, StepError> + Send + Sync + 'static,
    ) -> Result<(), Problem> {
        let output = make().map_err(|e| problem(&e, sqls, span))?.into_operator().output_schema();
        self.add(name, output, move |_| {
            Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator()) as Box<dyn Operator>)
        });
        Ok(())
    }

    /// From here on rows are changes of records. A key changes at most once at an instant, so that
    /// key and event time tell rows apart.
    pub(crate) fn of_changes(&mut self, key: &[Spanned<String>]) {
        self.ties.clear();
        self.identity = key
            .iter()
            .map(|k| k.value.clone())
            .filter(|k| *k != self.event_time)
            .chain([self.event_time.clone()])
            .collect();
    }

    /// Bytes of rows by key that each step may hold in memory on each worker.
    pub(crate) fn rows_memory(&self) -> usize {
        usize::try_from(self.riskstream.rows_memory).unwrap_or(usize::MAX)
    }
}

/// The state folder of a step that is made only to learn its columns, and that writes nothing.
fn nowhere() -> StateDir {
    StateDir { root: PathBuf::new().into(), generation: Generation(0), worker: 0 }
}

pub(crate) fn state_dir(worker: &WorkerContext) -> StateDir {
    StateDir { root: worker.history.clone(), generation: worker.generation, worker: worker.worker }
}

/// A step as the engine takes it.
pub(crate) fn step_plan(id: &str, build: BuildLogic) -> StepPlan {
    let step = id.to_owned();
    StepPlan {
        id: id.to_owned(),
        build: Arc::new(move |context| {
            build(context).map_err(|reason| OperatorError::Compute { step: step.clone(), reason })
        }),
    }
}

/// A step's refusal, with its place in the file.
pub(crate) fn problem(error: &StepError, sqls: &[Sql], step: Span) -> Problem {
    let place = if let StepError::Expression { index, source } = error {
        sqls.get(*index).map(|sql| place(sql, source))
    } else {
        None
    };
    Problem::new(place.unwrap_or(step), error.to_string())
}

/// Where in an expression the error is, if it says so.
fn place(sql: &Sql, error: &ExpressionError) -> Span {
    error.at().map_or_else(|| sql.span(), |range| sql.span_within(range))
}

/// A duration as the engine has it, in microseconds.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A period as steps have it.
pub(crate) fn every(period: Period) -> Every {
    match period {
        Period::Time(length) => Every::Micros(micros(length)),
        Period::Months(count) => Every::Months(i64::from(count)),
    }
}
