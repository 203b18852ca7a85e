//! What a user may know of: the names, comments and sizes that catalogs show.

use arrow::datatypes::FieldRef;

/// All that a user may know of the tables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShownCatalog {
    /// The database's name.
    pub(crate) database: String,
    /// The user.
    pub(crate) user: String,
    /// Its roles.
    pub(crate) roles: Vec<String>,
    /// The schemas with tables: `public`, `system`; not PostgreSQL's own.
    pub(crate) schemas: Vec<ShownSchema>,
}

/// A schema with the tables that the user may see.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShownSchema {
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) about: Option<String>,
    /// Its tables, by name.
    pub(crate) tables: Vec<ShownTable>,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShownTable {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is computed from others.
    pub(crate) is_view: bool,
    /// What it is for.
    pub(crate) about: Option<String>,
    /// Its columns, in order.
    pub(crate) columns: Vec<ShownColumn>,
    /// The columns that tell its rows apart, if they are declared.
    pub(crate) key: Vec<String>,
    /// Its rows, if they are known and the user may see all of them.
    pub(crate) rows: Option<u64>,
    /// Its bytes, likewise.
    pub(crate) bytes: Option<u64>,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShownColumn {
    /// Name, type, whether it may be null.
    pub(crate) field: FieldRef,
    /// What it holds.
    pub(crate) about: Option<String>,
}
