//! From the configuration to what maintenance does.

use std::collections::BTreeMap;

use riskstream_sinks::MaintainOptions;

use crate::config::spec::Maintain;

/// What maintenance does to a table. `keys`: by which columns tables are sorted.
pub(crate) fn maintain_options(
    settings: &Maintain,
    keys: &BTreeMap<String, Vec<String>>,
    table: &str,
) -> MaintainOptions {
    MaintainOptions {
        sort_by: keys.get(table).cloned().unwrap_or_default(),
        target_file_bytes: settings.target_file,
        memory_bytes: usize::try_from(settings.memory).unwrap_or(usize::MAX),
        threads: settings.threads,
        retention: settings.retention,
        ..MaintainOptions::default()
    }
}
