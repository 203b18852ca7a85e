//! `riskstream maintain`: small files compacted, old ones removed, table by table. Works beside a
//! running program, which does the same in the background, of less at a time.

use std::io::Write;
use std::time::Duration;

use bytesize::ByteSize;
use riskstream_query::Catalog;
use riskstream_sinks::{DeltaRuntime, MaintainOptions, MaintainReport};
use serde::Serialize;

use super::{CommandError, failed, load, print_json};
use crate::cli::{MaintainArgs, OutputFormat};
use crate::config::values::{self, Refusal};
use crate::config::{Config, suggest_name};
use crate::plan::{sort_keys, tables_location};
use crate::progress::grouped;
use crate::service::{maintain_options, waiting_files};

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
    let mut waiting = waiting_files(&config).map_err(failed)?;
    let keys = sort_keys(&config);
    let runtime = DeltaRuntime::new().map_err(failed)?;
    let mut answer = Maintenance { dry_run: args.dry_run, tables: Vec::new() };
    for name in names {
        let location = tables_location(&config).join(&name);
        let keep = waiting.remove(&location).unwrap_or_default();
        let files_waiting = keep.len() as u64;
        let configured = maintain_options(&config.spec.maintain, &keys, &name);
        let options = MaintainOptions {
            retention: retention.unwrap_or(configured.retention),
            keep,
            dry_run: args.dry_run,
            ..configured
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
                if self.dry_run {
                    write!(out, " ({before})")?;
                } else {
                    write!(out, " ({before} into {after})")?;
                }
                match &t.sorted_by[..] {
                    [] => write!(out, ", not sorted")?,
                    columns => write!(out, ", sorted by {}", columns.join(", "))?,
                }
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
