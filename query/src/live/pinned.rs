//! The moment that a statement, or a transaction, sees.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result};
use riskstream_sinks::{ActiveFile, PartitionRule, StagedFile, as_read, staged};

use super::held::{HoldsFiles, hold};
use super::lakes::{AsOf, Lake, Lakes};
use super::not_landed::NotLanded;
use super::reached::Reached;
use super::stores::Stores;
use super::union::{Emptied, LandedAndLive};
use crate::error::QueryError;
use crate::naming::facts::TableFact;

/// Tables at one moment.
#[derive(Debug)]
pub(crate) struct Pinned {
    at_micros: i64,
    /// The last epoch of each pipeline; where no table is pinned, only once it is asked for.
    epochs: OnceLock<BTreeMap<String, Reached>>,
    tables: BTreeMap<String, Arc<PinnedTable>>,
    /// The names of all tables, also of those that are not pinned.
    names: Vec<String>,
    folders: Folders,
    /// Tables as they were, by name and version.
    old: Mutex<BTreeMap<(String, u64), Arc<PinnedTable>>>,
}

/// Where more is found of what a moment stands for.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) lakes: Arc<Lakes>,
    pub(super) stores: Arc<Stores>,
}

impl Pinned {
    pub(super) fn new(
        at_micros: i64,
        epochs: Option<BTreeMap<String, Reached>>,
        tables: BTreeMap<String, Arc<PinnedTable>>,
        names: Vec<String>,
        folders: Folders,
    ) -> Self {
        for table in tables.values() {
            held(table);
        }
        let epochs = epochs.map(OnceLock::from).unwrap_or_default();
        Self { at_micros, epochs, tables, names, folders, old: Mutex::default() }
    }

    /// When it was looked, in microseconds since 1970.
    pub(crate) fn at_micros(&self) -> i64 {
        self.at_micros
    }

    /// How far each pipeline is, as it is seen. A store that can't be read is left out.
    ///
    /// # Errors
    /// The folder of stores can't be listed, which is only now looked at.
    pub(crate) fn epochs(&self) -> Result<&BTreeMap<String, Reached>> {
        if let Some(epochs) = self.epochs.get() {
            return Ok(epochs);
        }
        let epochs = self.folders.stores.newest().map_err(as_datafusion)?;
        Ok(self.epochs.get_or_init(|| epochs))
    }

    /// A table as it was: what had landed in an earlier version. Its files are held as long as
    /// this moment is.
    ///
    /// # Errors
    /// There is no such version any more, or yet; or its log can't be read.
    pub(crate) async fn old(&self, table: &PinnedTable, as_of: AsOf) -> Result<Arc<PinnedTable>> {
        let lake = self.folders.lakes.old(&table.lake, as_of).await.map_err(as_datafusion)?;
        let known = || self.old.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (table.name.clone(), lake.version());
        if let Some(old) = known().get(&key) {
            return Ok(Arc::clone(old));
        }
        let (name, fact) = (table.name.clone(), table.fact.clone());
        let old = PinnedTable::new(name, &lake, fact, Vec::new()).map_err(as_datafusion)?;
        let old = Arc::new(old);
        held(&old);
        known().insert(key, Arc::clone(&old));
        Ok(old)
    }

    /// A table, whatever the case of its name.
    pub(crate) fn table(&self, name: &str) -> Option<Arc<PinnedTable>> {
        let exact = self.tables.get(name);
        let alike =
            || self.tables.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, t)| t);
        exact.or_else(alike).cloned()
    }

    /// The name of the table, as it is or was, whose rows these are.
    pub(crate) fn name_of(&self, rows: &dyn TableProvider) -> Option<String> {
        let is_it = |table: &&Arc<PinnedTable>| {
            let provider: &dyn TableProvider = table.provider.as_ref();
            std::ptr::addr_eq(provider, rows)
        };
        let old = self.old.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.tables.values().find(is_it).or_else(|| old.values().find(is_it))?;
        Some(found.name.clone())
    }

    /// The tables that were asked for.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<PinnedTable>> {
        self.tables.values()
    }

    pub(crate) fn table_names(&self) -> Vec<String> {
        self.names.clone()
    }
}

/// From now on the files of a table are not removed.
fn held(table: &Arc<PinnedTable>) {
    let holder: Weak<PinnedTable> = Arc::downgrade(table);
    hold(holder);
}

/// An error as the planner passes it on.
fn as_datafusion(error: QueryError) -> DataFusionError {
    if let QueryError::Sql(error) = error {
        return error;
    }
    DataFusionError::IoError(std::io::Error::other(error))
}

/// A table at one moment: files of its version, and the rows that have not landed.
#[derive(Debug)]
pub(crate) struct PinnedTable {
    name: String,
    fact: TableFact,
    provider: Arc<LandedAndLive>,
    lake: Arc<Lake>,
    /// Paths of files that had been staged and belonged to no version.
    staged: Vec<String>,
}

impl PinnedTable {
    pub(super) fn new(
        name: String,
        lake: &Arc<Lake>,
        fact: TableFact,
        live: Vec<NotLanded>,
    ) -> std::result::Result<Self, QueryError> {
        let schema = lake.provider().schema();
        let partition = fact.time_column.as_deref().map(PartitionRule::event_date);
        let (mut rows, mut files, mut emptied) = (Vec::<RecordBatch>::new(), Vec::new(), None);
        for of_sink in live {
            if of_sink.empties {
                emptied = Some(match &fact.pipeline_column {
                    Some(column) => {
                        Emptied::Of { column: column.clone(), pipeline: of_sink.pipeline.clone() }
                    }
                    None => Emptied::All,
                });
            }
            for part in &of_sink.parts {
                for batch in &part.rows {
                    rows.push(as_read(&schema, partition.as_ref(), batch)?);
                }
                files.extend(staged(&part.files)?.into_iter().map(active));
            }
        }
        let paths = files.iter().map(|file: &ActiveFile| file.path.clone()).collect();
        let staged = match files.is_empty() {
            true => None,
            false => Some(Arc::new(lake.provider().with_files(lake.location(), files)?)),
        };
        let landed = lake.provider();
        let provider = Arc::new(LandedAndLive::new(landed, staged, rows, emptied));
        Ok(Self { name, fact, provider, lake: Arc::clone(lake), staged: paths })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn fact(&self) -> &TableFact {
        &self.fact
    }

    pub(crate) fn provider(&self) -> Arc<dyn TableProvider> {
        Arc::clone(&self.provider) as Arc<dyn TableProvider>
    }

    /// The columns whose values decide in which of its files a row is.
    pub(crate) fn divided_by(&self) -> BTreeSet<String> {
        self.lake.provider().divided_by()
    }
}

impl HoldsFiles for PinnedTable {
    fn add_files(
        &self,
        location: &Path,
        to: &mut HashSet<String>,
    ) -> std::result::Result<(), QueryError> {
        if self.lake.location() == location {
            to.extend(self.staged.iter().cloned());
            to.extend(self.lake.files()?.into_iter().map(|file| file.path));
        }
        Ok(())
    }
}

/// A staged file as one of the table's.
fn active(file: StagedFile) -> ActiveFile {
    ActiveFile {
        path: file.path,
        bytes: file.bytes,
        rows: Some(file.rows),
        partition_values: file.partition_values,
        stats_json: Some(file.stats_json),
        modified_ms: 0,
    }
}
