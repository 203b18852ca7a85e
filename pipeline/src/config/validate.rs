//! Checks that need the whole file: names that refer to each other, and columns where the file
//! gives those of the input.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use riskstream_engine::contract::change_fields;
use riskstream_ingest::LoansSpec;

use super::columns::{self, from_schema};
use super::defaults;
use super::problem::Problem;
use super::read::Draft;
use super::span::Spanned;
use super::spec::{
    FileFormat, GENERATOR_COLUMNS, KafkaFormat, Pipeline, Simulation, Source, SourceKind,
};
use super::suggest;
use crate::steps::Known;

/// Notes every problem that is left once each section has been read.
pub(crate) fn validate(draft: &Draft, problems: &mut Vec<Problem>) {
    for source in &draft.spec.sources {
        if let Some(input) = known_columns(source)
            && draft.sound_sources.contains(&source.name.value)
        {
            columns::check_source(source, &input, problems);
        }
    }
    for (pipeline, sound_steps) in draft.spec.pipelines.iter().zip(&draft.sound_steps) {
        check_from(pipeline, draft, problems);
        let source = draft.spec.source(&pipeline.from);
        let input = source
            .filter(|source| draft.sound_sources.contains(&source.name.value))
            .and_then(known_columns);
        // Without the input's columns, a name made twice by the steps still shows.
        let event_time = source.map_or("", |source| source.event_time.column.as_str());
        columns::check_pipeline(pipeline, event_time, input, *sound_steps, problems);
    }
    check_tables(draft, problems);
    check_slots(draft, problems);
}

/// A replication slot has one reader, and each pipeline reads its source itself.
fn check_slots(draft: &Draft, problems: &mut Vec<Problem>) {
    // By server and slot: where the first pipeline names its source, and its name.
    type First<'a> = (&'a Spanned<String>, &'a Spanned<String>);
    let mut first_of: BTreeMap<(&str, &str), First<'_>> = BTreeMap::new();
    for pipeline in &draft.spec.pipelines {
        let Some(Source { kind: SourceKind::Postgres(postgres), .. }) =
            draft.spec.source(&pipeline.from)
        else {
            continue;
        };
        let slot = (postgres.url.value.as_str(), postgres.slot.value.as_str());
        if let Some((first, of)) = first_of.get(&slot) {
            problems.push(
                Problem::new(
                    pipeline.from.span,
                    format!(
                        "a second pipeline reads the slot `{}`, which gives each change once",
                        postgres.slot
                    ),
                )
                .related(first.span, format!("the first, `{of}`"))
                .help("give each pipeline a source with a `slot` of its own"),
            );
        } else {
            first_of.insert(slot, (&pipeline.from, &pipeline.name));
        }
    }
}

/// The columns of a source, where the file says them.
fn known_columns(source: &Source) -> Option<Vec<Known>> {
    match &source.kind {
        SourceKind::Generator(generator) => Some(match &generator.of {
            Simulation::Payments(_) => {
                GENERATOR_COLUMNS.iter().map(|name| Known::new(*name)).collect()
            }
            Simulation::Loans(_) => from_schema(&LoansSpec::columns()),
        }),
        SourceKind::File(file) if file.format == Some(FileFormat::DebeziumJson) => {
            of_changes(source)
        }
        SourceKind::Kafka(kafka) if kafka.format == KafkaFormat::DebeziumJson => of_changes(source),
        SourceKind::Postgres(_) => of_changes(source),
        SourceKind::File(_) | SourceKind::Kafka(_) => {
            source.arrow_schema().as_ref().map(from_schema)
        }
    }
}

fn check_from(pipeline: &Pipeline, draft: &Draft, problems: &mut Vec<Problem>) {
    let declared = &draft.declared_sources;
    if declared.iter().any(|source| source.value == pipeline.from.value) || declared.is_empty() {
        return;
    }
    let names = declared.iter().map(|source| source.value.as_str());
    problems.push(
        Problem::new(pipeline.from.span, format!("there is no source `{}`", pipeline.from))
            .maybe_help(suggest::help(&pipeline.from, names, "the sources are")),
    );
}

fn check_tables(draft: &Draft, problems: &mut Vec<Problem>) {
    let mut first_of: BTreeMap<String, &Spanned<String>> = BTreeMap::new();
    for table in draft.spec.tables() {
        // Folders on some systems, and SQL everywhere, don't tell cases apart.
        let folded = table.value.to_ascii_lowercase();
        if folded == defaults::DEAD_LETTER_TABLE {
            problems.push(
                Problem::new(table.span, format!("the table `{table}` is where dead letters go"))
                    .help("give this destination another `table`"),
            );
        } else if let Some(first) = first_of.get(&folded) {
            problems.push(
                Problem::new(
                    table.span,
                    format!("a second destination writes the table `{table}`"),
                )
                .related(first.span, "the first")
                .help("give each destination its own `table`"),
            );
        } else {
            first_of.insert(folded, table);
        }
    }
}

/// The columns of captured changes: the table's own, and those that describe the change.
fn of_changes(source: &Source) -> Option<Vec<Known>> {
    let table = source.arrow_schema()?;
    let own = table.fields().iter().map(|field| field.as_ref().clone());
    Some(from_schema(&Schema::new(own.chain(change_fields()).collect::<Vec<_>>())))
}
