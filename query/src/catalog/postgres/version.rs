//! Which PostgreSQL the port says that it is: one answer for `version()`, settings and start-up.

/// What `server_version` says.
#[cfg(test)]
pub(crate) const SERVER_VERSION: &str = "16.6";

/// What `server_version_num` says.
#[cfg(test)]
pub(crate) const SERVER_VERSION_NUM: &str = "160006";

/// What `version()` says. Clients read the number behind the first word: SQLAlchemy, DuckDB and
/// knex by patterns of their own.
pub(crate) const VERSION: &str =
    concat!("PostgreSQL 16.6 (riskstream ", env!("CARGO_PKG_VERSION"), "), 64-bit");
