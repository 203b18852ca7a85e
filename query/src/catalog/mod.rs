//! What there is to ask for: names, and what they stand for.

pub(crate) mod arithmetic;
pub(crate) mod moment;
pub(crate) mod names;
pub(crate) mod newest;
pub(crate) mod now;
pub(crate) mod postgres;
pub(crate) mod system;
pub(crate) mod system_table;
pub(crate) mod value_error;

pub use crate::naming::facts::{TableFact, TableFacts};
pub(crate) use crate::naming::{as_of, facts, seen, shown};
pub use system::{NoSystemTables, SystemTables};
pub use system_table::SystemTable;
