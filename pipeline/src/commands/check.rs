//! `riskstream check`: everything that is wrong with a configuration, without starting anything.

use std::io::Write;

use super::CommandError;
use crate::cli::{CheckArgs, OutputFormat};
use crate::config::{Report, Spec};

/// Checks a configuration and says what it holds.
///
/// # Errors
/// All of the configuration's problems, as text; with `--format json` they are the answer, and the error only carries the exit
/// code.
pub fn check(args: &CheckArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let file = args.config.file().display().to_string();
    match (super::load(&args.config), args.output.format) {
        (Ok(config), OutputFormat::Text) => writeln!(out, "{file}: no problems; {}", summary(&config.spec))?,
        (Ok(_), OutputFormat::Json) => write_json(&Report { ok: true, file, problems: Vec::new() }, out)?,
        (Err(error), OutputFormat::Text) => return Err(error),
        (Err(error), OutputFormat::Json) => {
            write_json(&error.report(&file), out)?;
            return Err(error);
        }
    }
    Ok(())
}

fn write_json(report: &Report, out: &mut impl Write) -> Result<(), CommandError> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)?;
    Ok(())
}

fn summary(spec: &Spec) -> String {
    let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}, {}, {}, {}",
        count(spec.sources.len(), "source"),
        count(spec.pipelines.len(), "pipeline"),
        count(spec.pipelines.iter().map(|pipeline| pipeline.steps.len()).sum(), "step"),
        count(spec.pipelines.iter().map(|pipeline| pipeline.to.len()).sum(), "destination"),
    )
}
