//! Where a configuration's stores, tables and models are.

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

/// The folder of the record of what was asked.
pub fn audit_location(config: &Config) -> PathBuf {
    config.spec.riskstream.data.value.join("audit")
}
