//! What there is to ask for: names, and what they stand for.

pub(crate) mod facts;
pub(crate) mod moment;
pub(crate) mod names;
pub(crate) mod now;
pub(crate) mod postgres;
pub(crate) mod seen;
pub(crate) mod shown;
pub(crate) mod system;
pub(crate) mod system_table;

pub use facts::{TableFact, TableFacts};
pub use system::{NoSystemTables, SystemTables};
pub use system_table::SystemTable;
