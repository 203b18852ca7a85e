//! Steps: each is built once to learn its output's columns and to report what is wrong, and then by
//! every worker for itself.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use riskstream_engine::contract::{OP, Operator, OperatorError, StateDir};
use riskstream_engine::ids::Generation;
use riskstream_engine::runtime::{StepPlan, WorkerContext};
use riskstream_models::Registry;
use riskstream_operators::captured::{CapturedOperator, CapturedSpec};
use riskstream_operators::changelog::{ChangelogOperator, ChangelogSpec};
use riskstream_operators::features::{self, FeaturesOperator, FeaturesSpec};
use riskstream_operators::periods::Every;
use riskstream_operators::windows::{
    self, AggregateFunction, AggregateSpec, Extent, Publish, WindowKind, WindowsOperator,
    WindowsSpec,
};
use riskstream_operators::{
    ChecksOperator, DecideOperator, Decision, DeriveOperator, ExpressionError, FilterOperator,
    ModelCell, ModelWatch, ScoreOperator, Stateless, StepError,
};

use super::{PlanError, StepContext, book, micros, registry_location};
use crate::config::spec::{self, Aggregate, ScoreColumn, Source, Sql, Step, StepKind};
use crate::config::{Problem, Span, Spanned};

/// How often the registry is looked at for a newer model.
const MODEL_POLL_MICROS: i64 = 1_000_000;

/// The `aggregate` step that made the rows at hand.
pub(crate) struct WindowsBefore {
    /// Its key.
    pub(crate) by: Vec<String>,
    /// How long after its end a window may still be published again; microseconds.
    pub(crate) keep: i64,
    pub(crate) has_sessions: bool,
}

pub(super) type BuildLogic =
    Arc<dyn Fn(&WorkerContext) -> Result<Box<dyn Operator>, String> + Send + Sync>;

impl StepContext<'_> {
    /// Adds a step whose output has the columns of `schema`.
    pub(super) fn add(&mut self, id: &str, schema: SchemaRef, build: BuildLogic) {
        self.schema = schema;
        self.steps.push(step_plan(id, build));
    }

    /// Rows are changes of records from here on: a key changes once at a time.
    fn of_changes(&mut self, key: &[Spanned<String>]) {
        self.ties.clear();
        self.identity = key
            .iter()
            .map(|k| k.value.clone())
            .filter(|k| *k != self.event_time)
            .chain([self.event_time.clone()])
            .collect();
    }

    /// Bytes of rows by key that each step may hold in memory on each worker.
    pub(super) fn rows_memory(&self) -> usize {
        usize::try_from(self.config.spec.riskstream.rows_memory).unwrap_or(usize::MAX)
    }
}

/// Of a step that is made to learn its columns only: it writes nothing.
pub(super) fn nowhere() -> StateDir {
    StateDir { root: PathBuf::new().into(), generation: Generation(0), worker: 0 }
}

pub(super) fn state_dir(worker: &WorkerContext) -> StateDir {
    StateDir { root: worker.history.clone(), generation: worker.generation, worker: worker.worker }
}

fn step_plan(id: &str, build: BuildLogic) -> StepPlan {
    let step = id.to_owned();
    StepPlan {
        id: id.to_owned(),
        build: Arc::new(move |context| {
            build(context).map_err(|reason| OperatorError::Compute { step: step.clone(), reason })
        }),
    }
}

/// The id of the step that a source's `checks` are.
pub(crate) fn checks_step(source: &str) -> String {
    format!("{source}.checks")
}

/// The source's `checks`, as the first step.
pub(super) fn plan_checks(context: &mut StepContext<'_>, source: &Source) -> Result<(), PlanError> {
    if source.checks.is_empty() {
        return Ok(());
    }
    let id = checks_step(&source.name.value);
    let sql: Vec<String> = source.checks.iter().map(|c| c.as_str().to_owned()).collect();
    let (schema, time) = (Arc::clone(&context.schema), context.event_time.clone());
    let make = {
        let (id, schema) = (id.clone(), Arc::clone(&schema));
        move || ChecksOperator::new(&id, &sql, Arc::clone(&schema))?.with_event_time(&time)
    };
    make().map_err(|e| problem(&e, &source.checks, source.name.span))?;
    context.lineage.checks(&source.checks, &context.schema);
    context.add(
        &id,
        schema,
        Arc::new(move |_| {
            Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator()) as Box<dyn Operator>)
        }),
    );
    Ok(())
}

/// A filter before a sink.
pub(super) fn plan_filter(id: &str, sql: &Sql, schema: &SchemaRef) -> Result<StepPlan, PlanError> {
    let make = {
        let (id, text, schema) = (id.to_owned(), sql.as_str().to_owned(), Arc::clone(schema));
        move || FilterOperator::new(&id, &text, Arc::clone(&schema))
    };
    make().map_err(|e| problem(&e, std::slice::from_ref(sql), sql.span()))?;
    Ok(step_plan(
        id,
        Arc::new(move |_| {
            Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator()) as Box<dyn Operator>)
        }),
    ))
}

/// One step of the file.
pub(super) fn plan_step(context: &mut StepContext<'_>, step: &Step) -> Result<(), PlanError> {
    let (input, event_time) = (Arc::clone(&context.schema), context.event_time.clone());
    plan_kind(context, step)?;
    context.lineage.step(step, &event_time, &input, &context.schema);
    Ok(())
}

fn plan_kind(context: &mut StepContext<'_>, step: &Step) -> Result<(), PlanError> {
    let id = step.id.value.clone();
    let schema = Arc::clone(&context.schema);
    match &step.kind {
        StepKind::Filter(sql) => {
            let plan = plan_filter(&id, sql, &schema)?;
            context.steps.push(plan);
        }
        StepKind::Derive(columns) => {
            let texts: Vec<(String, String)> =
                columns.iter().map(|c| (c.name.value.clone(), c.sql.as_str().to_owned())).collect();
            let sqls: Vec<Sql> = columns.iter().map(|c| c.sql.clone()).collect();
            let time = context.event_time.clone();
            let name = id.clone();
            let make = move || {
                DeriveOperator::new(&name, &texts, Arc::clone(&schema))?.with_event_time(&time)
            };
            let output = make().map_err(|e| problem(&e, &sqls, step.id.span))?.output_schema();
            context.add(
                &id,
                output,
                Arc::new(move |_| {
                    Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator())
                        as Box<dyn Operator>)
                }),
            );
        }
        StepKind::Features(features) => plan_features(context, step, features)?,
        StepKind::Changelog(changelog) => plan_changelog(context, step, changelog)?,
        StepKind::Previous(previous) => book::plan_previous(context, step, previous)?,
        StepKind::Sample(sample) => book::plan_sample(context, step, sample)?,
        StepKind::Shares(shares) => book::plan_shares(context, step, shares)?,
        StepKind::Identities(identities) => book::plan_identities(context, step, identities)?,
        StepKind::Aggregate(aggregation) => {
            book::plan_totals(context, step, aggregation)?;
            plan_aggregate(context, step, aggregation)?;
        }
        StepKind::Score(columns) => plan_score(context, step, columns)?,
        StepKind::Decide(decide) => {
            let decision = Decision {
                score: decide.score.value.clone(),
                review: decide.review,
                decline: decide.decline,
                reasons: decide.reasons,
            };
            let models = context
                .models
                .iter()
                .find(|(column, _)| *column == decide.score.value)
                .map(|(_, cell)| Arc::clone(cell));
            let name = id.clone();
            let make = move || {
                DecideOperator::new(&name, decision.clone(), models.clone(), Arc::clone(&schema))
            };
            let output = make().map_err(|e| problem(&e, &[], step.id.span))?.output_schema();
            context.add(
                &id,
                output,
                Arc::new(move |_| {
                    Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator())
                        as Box<dyn Operator>)
                }),
            );
        }
    }
    Ok(())
}

fn plan_features(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &spec::Features,
) -> Result<(), PlanError> {
    let schema = Arc::clone(&context.schema);
    let column =
        |name: &str| schema.index_of(name).map_err(|e| Problem::new(step.id.span, e.to_string()));
    let ties = context.ties.iter().map(|t| column(t)).collect::<Result<_, _>>()?;
    let features_spec = FeaturesSpec {
        step_id: step.id.value.clone(),
        by: spec.by.iter().map(|b| b.value.clone()).collect(),
        features: spec.features.iter().map(|f| feature(f, spec.empty)).collect(),
        windows: spec
            .over
            .iter()
            .map(|w| features::Window {
                label: w.value.label.clone(),
                micros: micros(w.value.length),
            })
            .collect(),
        delay_micros: micros(spec.delay),
        include_current: spec.include_current,
        order: match context.pipeline.order {
            spec::Order::EventTime => features::Order::EventTime,
            spec::Order::Arrival => features::Order::Arrival,
        },
        event_time: column(&context.event_time)?,
        ties,
        history_memory_bytes: usize::try_from(context.config.spec.riskstream.history_memory)
            .unwrap_or(usize::MAX),
    };
    let output = features_spec
        .output_schema(&schema)
        .map_err(|e| Problem::new(step.id.span, e.to_string()))?;
    let feed = context.lineage.feed();
    let keep = micros(spec.keep);
    let build: BuildLogic = Arc::new(move |worker| {
        let operator = FeaturesOperator::new(features_spec.clone(), &schema, state_dir(worker))
            .map_err(|e| e.to_string())?;
        Ok(Box::new(operator.with_late_horizon(keep).fed_by(feed.clone())) as Box<dyn Operator>)
    });
    context.add(&step.id.value, output, build);
    Ok(())
}

fn plan_aggregate(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &spec::Aggregation,
) -> Result<(), PlanError> {
    let schema = Arc::clone(&context.schema);
    let windows_spec = WindowsSpec {
        step_id: step.id.value.clone(),
        by: spec.by.iter().map(|b| b.value.clone()).collect(),
        aggregates: spec.aggregates.iter().map(aggregate).collect::<Result<_, _>>()?,
        windows: spec
            .windows
            .iter()
            .map(|w| WindowKind { label: w.label.clone(), extent: extent(w.extent) })
            .collect(),
        publish: match spec.results {
            spec::Results::Changes => Publish::Changes,
            spec::Results::Final => Publish::Final,
        },
        keep: micros(spec.keep),
        event_time: context.event_time.clone(),
    };
    let feed = context.lineage.feed();
    let make = move || {
        WindowsOperator::new(windows_spec.clone(), &schema)
            .map(|operator| operator.fed_by(feed.clone()))
    };
    let output = make().map_err(|e| problem(&e, &[], step.id.span))?.output_schema();
    context.windows = Some(WindowsBefore {
        by: spec.by.iter().map(|b| b.value.clone()).collect(),
        // A late row changes windows that began up to their length before its own.
        keep: micros(spec.keep).saturating_add(
            spec.windows.iter().map(|w| micros(w.extent.length())).max().unwrap_or_default(),
        ),
        has_sessions: spec
            .windows
            .iter()
            .any(|w| matches!(w.extent, spec::WindowExtent::Session { .. })),
    });
    // A window is known by its key, its kind and its end, and counts as of its end. Of a session
    // the end moves: it is known by its start, which the identity of an alerts table takes into
    // account.
    context.event_time = windows::WINDOW_END.into();
    context.ties = spec
        .by
        .iter()
        .map(|b| b.value.clone())
        .chain([windows::WINDOW.into(), windows::WINDOW_END.into()])
        .collect();
    context.identity = context.ties.clone();
    context.add(
        &step.id.value,
        output,
        Arc::new(move |_| Ok(Box::new(make().map_err(|e| e.to_string())?) as Box<dyn Operator>)),
    );
    Ok(())
}

fn plan_changelog(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &spec::Changelog,
) -> Result<(), PlanError> {
    if let Some(operation) = &spec.operation {
        return plan_captured(context, step, spec, operation);
    }
    let schema = Arc::clone(&context.schema);
    let changelog_spec = ChangelogSpec {
        step_id: step.id.value.clone(),
        key: spec.key.iter().map(|k| k.value.clone()).collect(),
        columns: spec.columns.iter().flatten().map(|c| c.value.clone()).collect(),
        deleted: spec.deleted.as_ref().map(|sql| sql.as_str().to_owned()),
        ever: spec.ever.iter().map(|e| (e.name.value.clone(), e.sql.as_str().to_owned())).collect(),
        keep: micros(spec.keep),
        event_time: context.event_time.clone(),
        ties: context.ties.clone(),
        memory_bytes: context.rows_memory(),
    };
    let sqls: Vec<Sql> =
        spec.ever.iter().map(|e| e.sql.clone()).chain(spec.deleted.clone()).collect();
    let feed = context.lineage.feed();
    let make = move |dir| {
        ChangelogOperator::new(changelog_spec.clone(), &schema, dir)
            .map(|operator| operator.fed_by(feed.clone()))
    };
    let output = make(nowhere()).map_err(|e| problem(&e, &sqls, step.id.span))?.output_schema();
    context.of_changes(&spec.key);
    let build: BuildLogic = Arc::new(move |worker| {
        Ok(Box::new(make(state_dir(worker)).map_err(|e| e.to_string())?) as Box<dyn Operator>)
    });
    context.add(&step.id.value, output, build);
    Ok(())
}

fn plan_captured(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &spec::Changelog,
    operation: &Spanned<String>,
) -> Result<(), PlanError> {
    if operation.value != OP {
        let problem = Problem::new(
            operation.span,
            format!("`{operation}` is not the column in which a source says what happened"),
        );
        return Err(problem.help(format!("captured changes have it in `{OP}`")).into());
    }
    let schema = Arc::clone(&context.schema);
    let captured_spec = CapturedSpec {
        step_id: step.id.value.clone(),
        key: spec.key.iter().map(|k| k.value.clone()).collect(),
        columns: spec.columns.iter().flatten().map(|c| c.value.clone()).collect(),
        previous: spec
            .previous
            .iter()
            .map(|(name, column)| (name.value.clone(), column.value.clone()))
            .collect(),
        ever: spec.ever.iter().map(|e| (e.name.value.clone(), e.sql.as_str().to_owned())).collect(),
        event_time: context.event_time.clone(),
        memory_bytes: context.rows_memory(),
    };
    let sqls: Vec<Sql> = spec.ever.iter().map(|e| e.sql.clone()).collect();
    let feed = context.lineage.feed();
    let make = move |dir| {
        CapturedOperator::new(captured_spec.clone(), &schema, dir)
            .map(|operator| operator.fed_by(feed.clone()))
    };
    let output = make(nowhere()).map_err(|e| problem(&e, &sqls, step.id.span))?.output_schema();
    context.of_changes(&spec.key);
    context.add(
        &step.id.value,
        output,
        Arc::new(move |worker| {
            Ok(Box::new(make(state_dir(worker)).map_err(|e| e.to_string())?) as Box<dyn Operator>)
        }),
    );
    Ok(())
}

pub(super) fn every(period: spec::Period) -> Every {
    match period {
        spec::Period::Time(length) => Every::Micros(micros(length)),
        spec::Period::Months(count) => Every::Months(i64::from(count)),
    }
}

fn extent(extent: spec::WindowExtent) -> Extent {
    match extent {
        spec::WindowExtent::Steps { step, count } => {
            Extent::Steps { step: every(step), count: i64::try_from(count).unwrap_or(i64::MAX) }
        }
        spec::WindowExtent::Always { step } => Extent::Always { step: every(step) },
        spec::WindowExtent::Session { gap } => Extent::Session { gap: micros(gap) },
    }
}

fn aggregate(feature: &spec::Feature) -> Result<AggregateSpec, Problem> {
    let function = match &feature.aggregate {
        Aggregate::CountAll | Aggregate::Count(_) => AggregateFunction::Count,
        Aggregate::Sum(_) => AggregateFunction::Sum,
        Aggregate::Mean(_) => AggregateFunction::Mean,
        Aggregate::Min(_) => AggregateFunction::Min,
        Aggregate::Max(_) => AggregateFunction::Max,
        other => {
            return Err(Problem::new(
                feature.call.span(),
                format!("`{other}` can't be put together from parts of a window"),
            ));
        }
    };
    Ok(AggregateSpec {
        name: feature.name.value.clone(),
        function,
        column: feature.aggregate.input().map(|c| c.value.clone()),
    })
}

fn feature(feature: &spec::Feature, empty: Option<f64>) -> features::FeatureSpec {
    use features::Function;
    let function = match &feature.aggregate {
        Aggregate::CountAll | Aggregate::Count(_) => Function::Count,
        Aggregate::Sum(_) => Function::Sum,
        Aggregate::Mean(_) => Function::Mean,
        Aggregate::Min(_) => Function::Min,
        Aggregate::Max(_) => Function::Max,
        Aggregate::StdDev(_) => Function::StdDev,
        Aggregate::CountDistinct(_) => Function::Distinct,
        Aggregate::Last(_) => Function::Last,
        Aggregate::SecondsSinceLast => Function::SecondsSinceLast,
    };
    let empty = if matches!(feature.aggregate, Aggregate::Mean(_)) { empty } else { None };
    features::FeatureSpec {
        name: feature.name.value.clone(),
        function,
        column: feature.aggregate.input().map(|c| c.value.clone()),
        empty,
    }
}

fn plan_score(
    context: &mut StepContext<'_>,
    step: &Step,
    columns: &[ScoreColumn],
) -> Result<(), PlanError> {
    let registry = Registry::new(registry_location(context.config));
    let schema = Arc::clone(&context.schema);
    let mut scores = Vec::new();
    for column in columns {
        let model = match &column.version {
            Some(version) => load_pinned(&registry, column, version)?,
            None => match registry.latest_usable(&column.model.value) {
                Ok(usable) => usable.model,
                Err(e) => return Err(model_problem(&registry, column, &e.to_string()).into()),
            },
        };
        let seen = model.version;
        let cell = Arc::new(ModelCell::new(Arc::new(model)));
        if column.version.is_none() {
            let mut watch = ModelWatch::new(&column.model.value, Arc::clone(&schema), seen);
            let (registry, cell) = (registry.clone(), Arc::clone(&cell));
            let mut looked_at = i64::MIN;
            context.hooks.push(Box::new(move |epoch, now| {
                if now.saturating_sub(looked_at) < MODEL_POLL_MICROS {
                    return;
                }
                looked_at = now;
                // A version that can't be used is left alone: the one in force stays, and
                // `riskstream status` shows what the registry holds.
                if let Some(model) = watch.poll(&registry).model {
                    let _published = cell.publish(epoch, model);
                }
            }));
        }
        context.models.push((column.column.value.clone(), Arc::clone(&cell)));
        scores.push(riskstream_operators::ScoreColumn {
            output: column.column.value.clone(),
            version_column: column.model_column(),
            models: cell,
        });
    }
    let id = step.id.value.clone();
    let make = move || ScoreOperator::new(&id, scores.clone(), Arc::clone(&schema));
    let output = make().map_err(|e| problem(&e, &[], step.id.span))?.output_schema();
    context.add(
        &step.id.value,
        output,
        Arc::new(move |_| {
            Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator()) as Box<dyn Operator>)
        }),
    );
    Ok(())
}

fn load_pinned(
    registry: &Registry,
    column: &ScoreColumn,
    version: &crate::config::Spanned<String>,
) -> Result<riskstream_models::Model, PlanError> {
    let number: u64 = version.value.trim_start_matches('v').parse().map_err(|_| {
        Problem::new(
            version.span,
            format!("`{}` is not a version; a version is a number such as 3", version.value),
        )
    })?;
    Ok(registry
        .load(&column.model.value, number)
        .map_err(|e| model_problem(registry, column, &e.to_string()))?)
}

fn model_problem(registry: &Registry, column: &ScoreColumn, reason: &str) -> Problem {
    let problem = Problem::new(column.model.span, reason.to_owned());
    let known = registry.names().unwrap_or_default();
    match crate::config::suggest_name(
        &column.model.value,
        known.iter().map(String::as_str),
        "the registry has",
    ) {
        Some(help) => problem.help(help),
        None => problem.help("train it first: riskstream train"),
    }
}

/// A step's refusal, with its place in the file.
pub(super) fn problem(error: &StepError, sqls: &[Sql], step: Span) -> Problem {
    let message = error.to_string();
    match error {
        StepError::Expression { index, source } => match sqls.get(*index) {
            Some(sql) => Problem::new(place(sql, source), message),
            None => Problem::new(step, message),
        },
        _ => Problem::new(step, message),
    }
}

/// Where in an expression the error is, if it says so.
fn place(sql: &Sql, error: &ExpressionError) -> Span {
    error.at().map_or_else(|| sql.span(), |range| sql.span_within(range))
}
