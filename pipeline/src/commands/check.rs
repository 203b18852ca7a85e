//! `riskstream check`: everything that is wrong with a configuration, without starting anything.

use std::io::Write;
use std::sync::Arc;

use riskstream_engine::runtime::{Clock, SystemClock};

use super::{CommandError, refuse};
use crate::cli::{CheckArgs, OutputFormat};
use crate::config::{Config, Report, Spec, check_columns, check_source_columns};
use crate::plan::{open_source, source_notes, user_schema};

/// Checks a configuration and says what it holds.
///
/// # Errors
/// All of the configuration's problems, as text; with `--format json` they are the answer, and the
/// error only carries the exit code. With `--against-source` also a source that can't be read.
pub fn check(args: &CheckArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let file = args.config.file().display().to_string();
    let checked = super::load(&args.config).and_then(|config| {
        let notes = if args.against_source { against_sources(&config)? } else { Vec::new() };
        Ok((config, notes))
    });
    match (checked, args.output.format) {
        (Ok((config, notes)), OutputFormat::Text) => {
            notes.iter().try_for_each(|note| writeln!(out, "{note}"))?;
            writeln!(out, "{file}: no problems; {}", summary(&config.spec))?;
        }
        (Ok((_, sources)), OutputFormat::Json) => {
            write_json(&Report { ok: true, file, problems: Vec::new(), sources }, out)?
        }
        (Err(error), OutputFormat::Text) => return Err(error),
        (Err(error), OutputFormat::Json) => {
            write_json(&error.report(&file), out)?;
            return Err(error);
        }
    }
    Ok(())
}

/// Opens every source, as a run would, and checks the columns of the pipelines that read it;
/// returns the notes on the sources.
fn against_sources(config: &Config) -> Result<Vec<String>, CommandError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (mut notes, mut problems) = (Vec::new(), Vec::new());
    for spec in &config.spec.sources {
        let source = open_source(spec, &clock)
            .map_err(|e| CommandError::Failed { message: e.to_string() })?;
        let user = user_schema(&source.schema().schema);
        notes.extend(source_notes(&*source));
        problems.extend(check_source_columns(spec, &user));
        for pipeline in
            config.spec.pipelines.iter().filter(|pipeline| pipeline.from.value == spec.name.value)
        {
            problems.extend(check_columns(pipeline, &spec.event_time.column, &user));
        }
    }
    if problems.is_empty() { Ok(notes) } else { Err(refuse(config, problems)) }
}

fn write_json(report: &Report, out: &mut impl Write) -> Result<(), CommandError> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)?;
    Ok(())
}

fn summary(spec: &Spec) -> String {
    let count =
        |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}, {}, {}, {}",
        count(spec.sources.len(), "source"),
        count(spec.pipelines.len(), "pipeline"),
        count(spec.pipelines.iter().map(|pipeline| pipeline.steps.len()).sum(), "step"),
        count(spec.pipelines.iter().map(|pipeline| pipeline.to.len()).sum(), "destination"),
    )
}
