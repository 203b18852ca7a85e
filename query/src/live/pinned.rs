//! The moment that a statement, or a transaction, sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use riskstream_engine::ids::Epoch;
use riskstream_sinks::{ActiveFile, PartitionRule, StagedFile, as_read, staged};

use super::lakes::Lake;
use super::not_landed::NotLanded;
use super::union::{Emptied, LandedAndLive};
use crate::catalog::facts::TableFact;
use crate::error::QueryError;

/// Tables at one moment.
#[derive(Debug)]
pub(crate) struct Pinned {
    at_micros: i64,
    /// The last epoch of each pipeline.
    epochs: BTreeMap<String, Epoch>,
    tables: BTreeMap<String, Arc<PinnedTable>>,
    /// The names of all tables, also of those that are not pinned.
    names: Vec<String>,
}

impl Pinned {
    pub(super) fn new(
        at_micros: i64,
        epochs: BTreeMap<String, Epoch>,
        tables: BTreeMap<String, Arc<PinnedTable>>,
        names: Vec<String>,
    ) -> Self {
        Self { at_micros, epochs, tables, names }
    }

    /// When it was looked, in microseconds since 1970.
    pub(crate) fn at_micros(&self) -> i64 {
        self.at_micros
    }

    /// The last epoch that is seen of each pipeline.
    pub(crate) fn epochs(&self) -> &BTreeMap<String, Epoch> {
        &self.epochs
    }

    /// A table, whatever the case of its name.
    pub(crate) fn table(&self, name: &str) -> Option<Arc<PinnedTable>> {
        let exact = self.tables.get(name);
        let alike =
            || self.tables.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, t)| t);
        exact.or_else(alike).cloned()
    }

    /// The tables that were asked for.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<PinnedTable>> {
        self.tables.values()
    }

    pub(crate) fn table_names(&self) -> Vec<String> {
        self.names.clone()
    }
}

/// A table at one moment: files of its version, and the rows that have not landed.
#[derive(Debug)]
pub(crate) struct PinnedTable {
    name: String,
    fact: TableFact,
    provider: Arc<LandedAndLive>,
}

impl PinnedTable {
    pub(super) fn new(
        name: String,
        lake: &Lake,
        fact: TableFact,
        live: Vec<NotLanded>,
    ) -> Result<Self, QueryError> {
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
        let staged = match files.is_empty() {
            true => None,
            false => Some(Arc::new(lake.provider().with_files(lake.location(), files)?)),
        };
        let landed = lake.provider();
        let provider = Arc::new(LandedAndLive::new(landed, staged, rows, emptied));
        Ok(Self { name, fact, provider })
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
