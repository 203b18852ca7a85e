//! Under which names destinations know a pipeline: its own and the program's, or those that it had
//! when it was renamed.
//!
//! A table's log and a cluster remember how far a pipeline's rows have come by these names, and an
//! alert's id is made with them. A renamed pipeline keeps them, in a file of its store.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{NamesError, PlanError};
use super::places::store_location;
use crate::config::spec::Pipeline;
use crate::config::{Config, Problem};

/// The file of a renamed pipeline's store.
pub(crate) const NAMES_FILE: &str = "known-as.json";

/// The names of a pipeline and of its program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownAs {
    /// `[riskstream] name`.
    pub(crate) program: String,
    /// The pipeline's.
    pub(crate) pipeline: String,
}

impl KnownAs {
    /// The names of the store in a folder; none where it was never renamed.
    fn read(store: &Path) -> Result<Option<Self>, NamesError> {
        let path = store.join(NAMES_FILE);
        let failed = |reason: String| NamesError { path: path.clone(), reason };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| failed(format!("it is damaged: {e}"))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(e.to_string())),
        }
    }

    /// The names under which destinations know a pipeline: the configuration's, unless it was
    /// renamed.
    pub(crate) fn of(config: &Config, pipeline: &str) -> Result<Self, NamesError> {
        let own = || Self {
            program: config.spec.riskstream.name.value.clone(),
            pipeline: pipeline.to_owned(),
        };
        Ok(Self::read(&store_location(config, pipeline))?.unwrap_or_else(own))
    }

    /// The application id under which a table's log records one of the pipeline's sinks.
    pub(crate) fn app_id(&self, sink: &str) -> String {
        format!("{}/{}/{sink}", self.program, self.pipeline)
    }

    /// As [`Self::of`], but an error if another pipeline is known by the same names.
    pub(crate) fn planned(config: &Config, pipeline: &Pipeline) -> Result<Self, PlanError> {
        let known = Self::of(config, &pipeline.name.value)?;
        for (other, folder) in stores(config)? {
            if other != pipeline.name.value && Self::read(&folder)?.as_ref() == Some(&known) {
                let message = format!(
                    "tables and topics know the pipeline `{other}` as `{}`, the name that it had \
                     first",
                    known.pipeline
                );
                let problem = Problem::new(pipeline.name.span, message);
                return Err(problem
                    .help("give this pipeline another name, or drop what the other one has stored")
                    .into());
            }
        }
        Ok(known)
    }
}

/// The stores of a data folder: names of pipelines, in their order, and folders.
pub(crate) fn stores(config: &Config) -> Result<Vec<(String, PathBuf)>, NamesError> {
    let folder = config.spec.riskstream.data.value.join("store");
    let failed = |e: std::io::Error| NamesError { path: folder.clone(), reason: e.to_string() };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut stores = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && path.join("identity.json").is_file()
        {
            stores.push((name.to_owned(), path));
        }
    }
    stores.sort();
    Ok(stores)
}
