//! `riskstream maintain`: small files compacted, old ones removed, table by table. Works beside a
//! running program.
//!
//! A staged file that an epoch file still names waits for its delivery and is kept, however old it
//! is: the stores of all pipelines that ever wrote to the data folder are looked at, also those
//! that the configuration no longer has.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use riskstream_engine::store::inspect;
use riskstream_query::Catalog;
use riskstream_sinks::{DeltaRuntime, MaintainOptions, MaintainReport, named_files};
use serde::Serialize;

use super::{CommandError, failed, load, print_json};
use crate::cli::{MaintainArgs, OutputFormat};
use crate::config::values::{self, Refusal};
use crate::config::{Config, suggest_name};
use crate::plan::tables_location;
use crate::progress::grouped;

/// What was done to one table.
#[derive(Debug, Serialize)]
pub struct TableMaintenance {
    /// The table.
    pub table: String,
    /// What was done to it.
    #[serde(flatten)]
    pub report: MaintainReport,
    /// Files that wait for delivery and were kept.
    pub files_waiting: u64,
}

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Maintenance {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Each table's.
    pub tables: Vec<TableMaintenance>,
}

/// Maintains the tables.
///
/// # Errors
/// An unknown table, a retention that is no duration, or a table that can't be read or written;
/// tables before it stay maintained.
pub fn maintain(args: &MaintainArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&args.config)?;
    let retention = args.retain.as_deref().map(retention).transpose()?;
    let names = chosen(&config, &args.table)?;
    let mut waiting = waiting_files(&config)?;
    let runtime = DeltaRuntime::new().map_err(failed)?;
    let mut answer = Maintenance { dry_run: args.dry_run, tables: Vec::new() };
    for name in names {
        let location = tables_location(&config).join(&name);
        let keep = waiting.remove(&location).unwrap_or_default();
        let files_waiting = keep.len() as u64;
        let defaults = MaintainOptions::default();
        let options = MaintainOptions {
            retention: retention.unwrap_or(defaults.retention),
            keep,
            dry_run: args.dry_run,
            ..defaults
        };
        let report = riskstream_sinks::maintain(&runtime, &location, &options).map_err(failed)?;
        answer.tables.push(TableMaintenance { table: name, report, files_waiting });
    }
    match args.output.format {
        OutputFormat::Json => print_json(&answer, out),
        OutputFormat::Text => Ok(answer.print(out)?),
    }
}

fn retention(text: &str) -> Result<Duration, CommandError> {
    values::duration(text).map_err(|Refusal { message, .. }| CommandError::Usage {
        message: format!("--retain: `{text}` {message}"),
        help: Some("give a whole number and a unit, such as 7d or 36h".into()),
    })
}

/// The tables to maintain: all that are there, or those named.
fn chosen(config: &Config, named: &[String]) -> Result<Vec<String>, CommandError> {
    let folder = tables_location(config);
    let all = if folder.is_dir() {
        Catalog::open(folder).and_then(|c| c.table_names()).map_err(failed)?
    } else {
        Vec::new()
    };
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        let help = suggest_name(unknown, all.iter().map(String::as_str), "the tables are");
        return Err(CommandError::Usage {
            message: format!("there is no table `{unknown}`"),
            help,
        });
    }
    Ok(if named.is_empty() { all } else { named.to_vec() })
}

/// By table folder, the staged files that the epoch files of any store name. A sink that the
/// configuration does not know may write any table, so its files are kept in all of them.
fn waiting_files(config: &Config) -> Result<BTreeMap<PathBuf, HashSet<String>>, CommandError> {
    let tables = tables_location(config);
    let stores = config.spec.riskstream.data.value.join("store");
    let all_tables: Vec<PathBuf> = if tables.is_dir() {
        Catalog::open(&tables)
            .and_then(|c| c.table_names())
            .map_err(failed)?
            .iter()
            .map(|t| tables.join(t))
            .collect()
    } else {
        Vec::new()
    };
    let mut waiting: BTreeMap<PathBuf, HashSet<String>> = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(&stores) else { return Ok(waiting) };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Some(inspection) = inspect(entry.path()).map_err(failed)? else { continue };
        let pipeline =
            entry.file_name().into_string().ok().and_then(|name| config.spec.pipeline(&name));
        for (sink, files) in inspection.staged {
            let table = pipeline
                .and_then(|p| p.to.iter().find(|to| *to.id.value == sink))
                .and_then(|to| to.table());
            let locations = match table {
                Some(table) => vec![tables.join(&table.value)],
                None if sink == crate::config::defaults::DEAD_LETTER_TABLE => {
                    vec![tables.join(&sink)]
                }
                None => all_tables.clone(),
            };
            let parts = locations.into_iter().map(|location| (location, files.clone())).collect();
            for (location, paths) in named_files(&parts).map_err(failed)? {
                waiting.entry(location).or_default().extend(paths);
            }
        }
    }
    Ok(waiting)
}

impl Maintenance {
    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.tables.is_empty() {
            return writeln!(out, "there are no tables yet");
        }
        if self.dry_run {
            writeln!(out, "nothing was changed; this is what would be done:")?;
        }
        for TableMaintenance { table, report: t, .. } in &self.tables {
            let (before, after) = (ByteSize(t.bytes_before), ByteSize(t.bytes_after));
            write!(
                out,
                "{:<24} {} files compacted into {}",
                table,
                grouped(t.files_compacted),
                grouped(t.files_written)
            )?;
            if t.files_compacted > 0 {
                write!(out, " ({before} into {after})")?;
            }
            write!(
                out,
                ", {} old files removed ({})",
                grouped(t.files_removed),
                ByteSize(t.bytes_removed)
            )?;
            if t.log_files_removed > 0 {
                write!(out, ", {} old log files removed", grouped(t.log_files_removed))?;
            }
            if t.groups_skipped > 0 {
                write!(out, ", {} groups left for the next time", t.groups_skipped)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_a_number_and_a_unit() {
        assert_eq!(retention("30d").unwrap(), Duration::from_secs(30 * 86_400));
        let error = retention("soon").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("such as 7d"), "{error}");
    }
}
