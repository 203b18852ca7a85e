//! Files of tables that must stay, however old they are and whatever the tables' logs say.
//!
//! A staged file that an epoch file names waits for its delivery: the stores of all pipelines that
//! ever wrote to the data folder are looked at, also those that the configuration no longer has.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use riskstream_engine::store::{StoreError, inspect};
use riskstream_query::{Catalog, QueryError, held_files};
use riskstream_sinks::{SinkError, named_files};

use crate::config::{Config, defaults};
use crate::plan::tables_location;

/// Why it is not known which files must stay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NeededError {
    /// The folder of stores can't be listed.
    #[error("list {}: {source}", folder.display())]
    Stores {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tables can't be listed, or what statements see can't be read.
    #[error(transparent)]
    Tables(#[from] QueryError),
    /// What a store names is no file of a table.
    #[error(transparent)]
    Files(#[from] SinkError),
}

/// The files of a table that wait for their delivery, or that statements of this process see.
pub(super) fn needed_files(
    config: &Config,
    location: &Path,
) -> Result<HashSet<String>, NeededError> {
    let mut needed = waiting_files(config)?.remove(location).unwrap_or_default();
    needed.extend(held_files(location)?);
    Ok(needed)
}

/// By table folder, the staged files that the epoch files of any store name. A sink that the
/// configuration does not know may write any table, so its files are kept in all of them.
pub(crate) fn waiting_files(
    config: &Config,
) -> Result<BTreeMap<PathBuf, HashSet<String>>, NeededError> {
    let tables = tables_location(config);
    let stores = config.spec.riskstream.data.value.join("store");
    let all_tables: Vec<PathBuf> = if tables.is_dir() {
        let names = Catalog::open(&tables)?.table_names()?;
        names.iter().map(|name| tables.join(name)).collect()
    } else {
        Vec::new()
    };
    let mut waiting: BTreeMap<PathBuf, HashSet<String>> = BTreeMap::new();
    let listed = |source| NeededError::Stores { folder: stores.clone(), source };
    let entries = match std::fs::read_dir(&stores) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(waiting),
        Err(e) => return Err(listed(e)),
    };
    for entry in entries {
        let entry = entry.map_err(listed)?;
        let Some(inspection) = inspect(entry.path())? else { continue };
        let pipeline =
            entry.file_name().into_string().ok().and_then(|name| config.spec.pipeline(&name));
        for (sink, files) in inspection.staged {
            let table = pipeline
                .and_then(|p| p.to.iter().find(|to| *to.id.value == sink))
                .and_then(|to| to.table());
            let locations = match table {
                Some(table) => vec![tables.join(&table.value)],
                None if sink == defaults::DEAD_LETTER_TABLE => vec![tables.join(&sink)],
                None => all_tables.clone(),
            };
            let parts = locations.into_iter().map(|location| (location, files.clone())).collect();
            for (location, paths) in named_files(&parts)? {
                waiting.entry(location).or_default().extend(paths);
            }
        }
    }
    Ok(waiting)
}
