//! Names: of schemas, tables, views and old versions, what is said of them, and who sees which.
//!
//! It stands on `rules` alone. What looks at the lake and the stores, and what builds catalogs,
//! stand on it.

pub(crate) mod as_of;
pub(crate) mod facts;
pub(crate) mod seen;
pub(crate) mod shown;
