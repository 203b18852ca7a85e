//! Where a configuration's stores, tables and models are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;

/// The folder of a pipeline's store.
pub fn store_location(config: &Config, pipeline: &str) -> PathBuf {
    config.spec.riskstream.data.value.join("store").join(pipeline)
}

/// The folder of all tables.
pub fn tables_location(config: &Config) -> PathBuf {
    config.spec.riskstream.data.value.join("tables")
}

/// The registry's folder.
pub fn registry_location(config: &Config) -> &Path {
    &config.spec.riskstream.registry.value
}

/// The folder of a table.
pub fn table_location(config: &Config, table: &str) -> PathBuf {
    tables_location(config).join(table)
}

/// The folder of the record of what was asked through the ports.
pub fn audit_location(config: &Config) -> PathBuf {
    config.spec.riskstream.data.value.join("audit")
}

/// The folder, within that of the ports, of the record of a command line's own. A record is one
/// process', so that those that ask at the same time have different numbers.
pub fn command_line_audit(number: usize) -> String {
    format!("{COMMAND_LINE}{number}")
}

const COMMAND_LINE: &str = "command-line-";

/// The folders of all the records that there are of what was asked: of the ports, then of the
/// command lines, by their numbers.
///
/// # Errors
/// The folder can't be listed.
pub fn audit_locations(config: &Config) -> io::Result<Vec<PathBuf>> {
    let of_ports = audit_location(config);
    let entries = match fs::read_dir(&of_ports) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut command_lines: Vec<(usize, PathBuf)> = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(COMMAND_LINE)?.parse().ok());
        command_lines.extend(number.map(|number| (number, entry.path())));
    }
    command_lines.sort_unstable();
    let command_lines = command_lines.into_iter().map(|(_, folder)| folder);
    Ok(std::iter::once(of_ports).chain(command_lines).collect())
}
