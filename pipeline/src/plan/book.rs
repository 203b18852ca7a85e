//! The steps that a loan book is made with: `previous`, `sample`, `shares`, `identities`, and the
//! `totals` of an `aggregate` step.

use std::sync::Arc;

use riskstream_engine::contract::Operator;
use riskstream_operators::previous::{PreviousOperator, PreviousSpec};
use riskstream_operators::sample::{AS_OF, SampleOperator, SampleSpec};
use riskstream_operators::shares::{ShareFunction, ShareSpec, SharesOperator, SharesSpec};
use riskstream_operators::{IdentitiesOperator, Stateless, TotalsOperator};

use super::steps::{BuildLogic, every, nowhere, problem, state_dir};
use super::{PlanError, StepContext, micros};
use crate::config::Problem;
use crate::config::spec::{self, Sql, Step};

fn names(columns: &[crate::config::Spanned<String>]) -> Vec<String> {
    columns.iter().map(|column| column.value.clone()).collect()
}

fn pairs(
    columns: &[(crate::config::Spanned<String>, crate::config::Spanned<String>)],
) -> Vec<(String, String)> {
    columns.iter().map(|(a, b)| (a.value.clone(), b.value.clone())).collect()
}

pub(super) fn plan_previous(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &spec::Previous,
) -> Result<(), PlanError> {
    let schema = Arc::clone(&context.schema);
    let previous = PreviousSpec {
        step_id: step.id.value.clone(),
        by: names(&spec.by),
        columns: pairs(&spec.columns),
        keep: micros(spec.keep),
        event_time: context.event_time.clone(),
        ties: context.ties.clone(),
        memory_bytes: context.rows_memory(),
    };
    let feed = context.lineage.feed();
    let make = move |dir| {
        PreviousOperator::new(previous.clone(), &schema, dir)
            .map(|operator| operator.fed_by(feed.clone()))
    };
    let output = make(nowhere()).map_err(|e| problem(&e, &[], step.id.span))?.output_schema();
    let build: BuildLogic = Arc::new(move |worker| {
        Ok(Box::new(make(state_dir(worker)).map_err(|e| e.to_string())?) as Box<dyn Operator>)
    });
    context.add(&step.id.value, output, build);
    Ok(())
}

pub(super) fn plan_sample(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &spec::Sample,
) -> Result<(), PlanError> {
    let schema = Arc::clone(&context.schema);
    let sample = SampleSpec {
        step_id: step.id.value.clone(),
        by: names(&spec.by),
        every: every(spec.every),
        event_time: context.event_time.clone(),
        memory_bytes: context.rows_memory(),
    };
    let feed = context.lineage.feed();
    let make = move |dir| {
        SampleOperator::new(sample.clone(), &schema, dir)
            .map(|operator| operator.fed_by(feed.clone()))
    };
    let output = make(nowhere()).map_err(|e| problem(&e, &[], step.id.span))?.output_schema();
    // A row counts as of its sample's instant, at which its record has one row.
    context.event_time = AS_OF.into();
    context.ties = names(&spec.by);
    context.identity = context.ties.iter().cloned().chain([AS_OF.into()]).collect();
    let build: BuildLogic = Arc::new(move |worker| {
        Ok(Box::new(make(state_dir(worker)).map_err(|e| e.to_string())?) as Box<dyn Operator>)
    });
    context.add(&step.id.value, output, build);
    Ok(())
}

pub(super) fn plan_shares(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &spec::Shares,
) -> Result<(), PlanError> {
    let Some(windows) = &context.windows else {
        return Err(
            Problem::new(step.id.span, "there is no `aggregate` step before this one").into()
        );
    };
    if windows.has_sessions {
        let message = "sessions have no shares: no two keys have the same ones";
        return Err(Problem::new(step.id.span, message)
            .help("give the `aggregate` step windows of a fixed length")
            .into());
    }
    let function = |of| match of {
        spec::ShareOf::Share => ShareFunction::Share,
        spec::ShareOf::Total => ShareFunction::Total,
        spec::ShareOf::Hhi => ShareFunction::Hhi,
        spec::ShareOf::Top => ShareFunction::Top,
    };
    let share = |s: &spec::Share| ShareSpec {
        name: s.name.value.clone(),
        function: function(s.function),
        column: s.column.value.clone(),
    };
    let shares = SharesSpec {
        step_id: step.id.value.clone(),
        shares: spec.shares.iter().map(share).collect(),
        of: names(&spec.of),
        by: windows.by.clone(),
        keep: windows.keep,
    };
    let schema = Arc::clone(&context.schema);
    let feed = context.lineage.feed();
    let make = move || {
        SharesOperator::new(shares.clone(), &schema).map(|operator| operator.fed_by(feed.clone()))
    };
    let output = make().map_err(|e| problem(&e, &[], step.id.span))?.output_schema();
    context.add(
        &step.id.value,
        output,
        Arc::new(move |_| Ok(Box::new(make().map_err(|e| e.to_string())?) as Box<dyn Operator>)),
    );
    Ok(())
}

pub(super) fn plan_identities(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &[spec::DerivedColumn],
) -> Result<(), PlanError> {
    let texts: Vec<(String, String)> =
        spec.iter().map(|i| (i.name.value.clone(), i.sql.as_str().to_owned())).collect();
    let sqls: Vec<Sql> = spec.iter().map(|i| i.sql.clone()).collect();
    let (id, schema, time) =
        (step.id.value.clone(), Arc::clone(&context.schema), context.event_time.clone());
    let make = move || IdentitiesOperator::new(&id, &texts, &schema)?.with_event_time(&time);
    let output = Stateless::output_schema(&make().map_err(|e| problem(&e, &sqls, step.id.span))?);
    context.add(
        &step.id.value,
        output,
        Arc::new(move |_| {
            Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator()) as Box<dyn Operator>)
        }),
    );
    Ok(())
}

/// The rows of an `aggregate` step once more under the names for all.
pub(super) fn plan_totals(
    context: &mut StepContext<'_>,
    step: &Step,
    spec: &spec::Aggregation,
) -> Result<(), PlanError> {
    if spec.totals.is_empty() {
        return Ok(());
    }
    context.lineage.totals(&spec.totals);
    let id = format!("{}.totals", step.id);
    let (name, totals, schema) = (id.clone(), pairs(&spec.totals), Arc::clone(&context.schema));
    let make = move || TotalsOperator::new(&name, &totals, &schema);
    let output = Stateless::output_schema(&make().map_err(|e| problem(&e, &[], step.id.span))?);
    context.add(
        &id,
        output,
        Arc::new(move |_| {
            Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator()) as Box<dyn Operator>)
        }),
    );
    Ok(())
}
