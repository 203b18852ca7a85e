//! What the configuration says of tables, beyond their rows.

use std::collections::BTreeMap;

/// Facts by the table's name.
pub type TableFacts = BTreeMap<String, TableFact>;

/// What the configuration says of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableFact {
    /// What it is for.
    pub about: Option<String>,
    /// What its columns hold, by name.
    pub columns: BTreeMap<String, String>,
    /// The event-time column by whose UTC date it is divided into `event_date`.
    pub time_column: Option<String>,
    /// The columns that tell what a row is about; of rows that agree in them, the newest revision
    /// counts. Empty where every row stands for itself.
    pub key: Vec<String>,
    /// The column that says which revision is newer, if the table has revisions.
    pub revision: Option<String>,
    /// A column whose 0 in the newest revision says that the row is gone.
    pub gone_at_zero: Option<String>,
    /// The pipelines that write it.
    pub pipelines: Vec<String>,
    /// The column that says which pipeline a row is of, where several write the table.
    pub pipeline_column: Option<String>,
}
