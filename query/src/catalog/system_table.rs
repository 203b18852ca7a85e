//! A table of the schema `system`.

use arrow::datatypes::SchemaRef;

/// A table about the program.
#[derive(Debug, Clone)]
pub struct SystemTable {
    /// Its name in the schema `system`.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
    /// Its columns.
    pub schema: SchemaRef,
}
