//! What every statement's planning begins with.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;

use super::limits::Limits;
use super::ordered::with_own_check;
use crate::catalog::arithmetic::with_arithmetic;
use crate::catalog::seen::{CATALOG, SCHEMA};
use crate::error::QueryError;

/// Consumers of memory that an error of too little memory names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// The state without catalogs, over a data folder, within limits.
///
/// # Errors
/// The folder for what does not fit memory can't be made.
pub(super) fn base_state(data: &Path, limits: &Limits) -> Result<SessionState, QueryError> {
    // What operators put there is removed when they end, and with the program.
    let spill = data.join("spill");
    let mut folder = std::fs::DirBuilder::new();
    // Others must not read what a statement's user may see.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.recursive(true).create(&spill).map_err(QueryError::Start)?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill]))
        .with_max_temp_directory_size(limits.spill_bytes_max);
    let pool = TrackConsumersPool::new(FairSpillPool::new(limits.memory_bytes), CONSUMERS_NAMED);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.threads)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false);
    config.options_mut().sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    // Money is never a float.
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_physical_optimizer_rules(with_own_check(crate::lake::physical_rules()));
    Ok(with_arithmetic(builder).build())
}
