//! How far pipelines are.

use std::collections::BTreeSet;

use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::Origin;

/// How far a pipeline is, and whose matter that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Its last committed epoch.
    pub(crate) epoch: Epoch,
    /// The tables that it writes.
    pub(crate) tables: BTreeSet<String>,
}

impl Reached {
    /// A pipeline whose rows go where `origin` says.
    pub(super) fn new(epoch: Epoch, origin: Option<&Origin>) -> Self {
        let tables = origin.into_iter().flat_map(tables_of).map(str::to_owned).collect();
        Self { epoch, tables }
    }
}

/// The tables that rows of an origin go to.
pub(super) fn tables_of(origin: &Origin) -> impl Iterator<Item = &str> {
    origin.destinations.values().filter_map(|to| to.as_deref().and_then(table_of_destination))
}

/// The table that a destination is, if it is one.
pub(super) fn table_of_destination(destination: &str) -> Option<&str> {
    destination.strip_prefix("table ")
}
