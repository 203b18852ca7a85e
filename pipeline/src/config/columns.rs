//! Which columns a pipeline and its source name, against those that there are.
//!
//! Validation runs it where the input's columns are known from the file; the planner runs it again,
//! by [`check_columns`], once a schema has been inferred.

use arrow::datatypes::{DataType, Schema};
use riskstream_sinks::ALERT_ID_COLUMN;

use super::defaults;
use super::problem::Problem;
use super::spec::{Destination, DestinationKind, Late, Pipeline, Source, TableDestination};
use crate::steps::{Flow, Known, type_name};

/// Checks every column that a pipeline names against its input's schema, through all steps to the
/// destinations.
pub fn check_columns(pipeline: &Pipeline, event_time: &str, input: &Schema) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_pipeline(pipeline, event_time, Some(from_schema(input)), None, &mut problems);
    problems
}

/// What leaves a pipeline's last step, of an input that nothing is known of.
pub(crate) fn last_flow(pipeline: &Pipeline, event_time: &str) -> Flow {
    let mut flow = Flow::new(event_time, None);
    // The configuration was checked before; what an unknown input can't tell is no problem.
    let mut not_told = Vec::new();
    for step in &pipeline.steps {
        step.kind.columns(&step.id, &mut flow, &mut not_told);
    }
    flow
}

/// Checks every column that a source names (event time, ties, checks) against its schema.
pub fn check_source_columns(source: &Source, schema: &Schema) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_source(source, &from_schema(schema), &mut problems);
    problems
}

/// The columns of a schema.
pub(super) fn from_schema(schema: &Schema) -> Vec<Known> {
    let known = |field: &std::sync::Arc<arrow::datatypes::Field>| match field.data_type() {
        // The file gives this column a wrong type, so its type is unknown.
        DataType::Null => Known::new(field.name()),
        data_type => Known::new(field.name()).of_type(data_type.clone()),
    };
    schema.fields().iter().map(known).collect()
}

/// Checks a source's own columns.
pub(super) fn check_source(source: &Source, input: &[Known], problems: &mut Vec<Problem>) {
    let flow = Flow::new(&source.event_time.column.value, Some(input.to_vec()));
    let time = &source.event_time;
    if let Some(column) = flow.find(&time.column, problems)
        && let Some(data_type) = column
            .data_type
            .as_ref()
            .filter(|data_type| !matches!(data_type, DataType::Timestamp(..)))
    {
        let message =
            format!("the event time `{}` is of type {}", time.column, type_name(data_type));
        let help = "declare it `timestamp`; how the source writes it (a text of some form, a \
                    number of seconds) is its `format`";
        problems.push(Problem::new(time.column.span, message).help(help));
    }
    for column in &time.ties_by {
        flow.find(column, problems);
    }
    for check in &source.checks {
        flow.check_sql(check, &[], problems);
    }
}

/// Checks a pipeline's columns. `input`: what is known of the source, `None` if nothing is;
/// `sound_steps`: how many steps from the first were read well, `None` for all.
pub(super) fn check_pipeline(
    pipeline: &Pipeline,
    event_time: &str,
    input: Option<Vec<Known>>,
    sound_steps: Option<usize>,
    problems: &mut Vec<Problem>,
) {
    let mut flow = Flow::new(event_time, input);
    if pipeline.late == Late::Apply {
        flow.columns.push(Known::new(defaults::LATE_COLUMN).of_type(DataType::Boolean));
    }
    for step in pipeline.steps.iter().take(sound_steps.unwrap_or(usize::MAX)) {
        step.kind.columns(&step.id, &mut flow, problems);
    }
    if sound_steps.is_none() {
        for destination in &pipeline.to {
            check_destination(&flow, destination, problems);
        }
    }
}

/// Checks the columns that a destination names.
fn check_destination(flow: &Flow, destination: &Destination, problems: &mut Vec<Problem>) {
    if let Some(when) = &destination.when {
        flow.check_sql(when, &[], problems);
    }
    for column in destination.columns.iter().flatten() {
        flow.find(column, problems);
    }
    for (column, _) in &destination.about_columns {
        flow.find(column, problems);
    }
    match &destination.kind {
        DestinationKind::Kafka(kafka) => {
            for column in kafka.key.iter().chain(kafka.headers.iter().map(|(_, column)| column)) {
                flow.find(column, problems);
            }
        }
        DestinationKind::Delta(table) => check_sort_by(flow, destination, table, &[], problems),
        DestinationKind::Alerts(table) => {
            check_sort_by(flow, destination, table, &[ALERT_ID_COLUMN], problems);
        }
        DestinationKind::Console(_) => {}
    }
}

/// Checks the columns by which a table is sorted. `added`: those that the sink adds.
fn check_sort_by(
    flow: &Flow,
    destination: &Destination,
    table: &TableDestination,
    added: &[&str],
    problems: &mut Vec<Problem>,
) {
    for column in table.sort_by.iter().flatten() {
        if added.contains(&column.as_str()) {
            continue;
        }
        if flow.find(column, problems).is_none() && flow.is_complete {
            continue;
        }
        if let Some(columns) = &destination.columns
            && columns.iter().all(|lands| lands.value != column.value)
        {
            let message = format!("the table is sorted by `{column}`, which `columns` leaves out");
            let help = format!("add `{column}` to `columns`, or sort by others");
            problems.push(Problem::new(column.span, message).help(help));
        }
    }
}
