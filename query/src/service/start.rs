//! The service: its threads, its memory, and what all sessions share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;
use tokio::runtime::{Builder, Handle, Runtime};

use super::answer::{Answer, Cancel};
use super::drive::{Bounds, drive, until};
use super::face::Face;
use super::limits::Limits;
use super::planned::{Planned, Ready};
use super::settings::SessionSettings;
use super::statement::Statement;
use super::stopped::Stopped;
use super::turns::{Turn, Turns};
use super::user::User;
use crate::catalog::facts::TableFacts;
use crate::catalog::names::Names;
use crate::catalog::postgres::SettingsShown;
use crate::catalog::seen::{CATALOG, SCHEMA, see};
use crate::catalog::shown::ShownCatalog;
use crate::catalog::system::{System, SystemTables};
use crate::error::QueryError;
use crate::live::{Live, Pinned};
use crate::rules::{Audit, Rules};

/// Of each thread: plans are walked there, by functions that call themselves.
const STACK_BYTES: usize = 16 << 20;
/// Consumers of memory that an error of too little memory names.
const CONSUMERS_NAMED: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(2);

/// What a service reads, and what statements may take.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// The data folder, with `tables/` and `store/`.
    pub data: PathBuf,
    /// What the configuration says of tables, by name.
    pub tables: TableFacts,
    /// What statements may take.
    pub limits: Limits,
    /// What the program says of itself.
    pub system: Arc<dyn SystemTables>,
    /// Who may see what; none: everybody all.
    pub rules: Option<Arc<Rules>>,
    /// Who is told of each statement; none: nobody.
    pub audit: Option<Arc<Audit>>,
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Who.
    pub(super) user: &'a Arc<User>,
    /// What the client has set.
    pub(super) settings: &'a SessionSettings,
    /// What it has set of PostgreSQL's settings.
    pub(super) postgres: &'a SettingsShown,
    /// Through what it came.
    pub(super) port: &'static str,
}

/// Answers statements over one data folder. Cloning is cheap; its threads end with the last clone
/// and the last answer.
#[derive(Debug, Clone)]
pub struct QueryService {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Taken out when the service ends.
    threads: Option<Runtime>,
    handle: Handle,
    state: SessionState,
    live: Live,
    system: System,
    rules: Option<Arc<Rules>>,
    audit: Option<Arc<Audit>>,
    limits: Limits,
    turns: Turns,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The last clone may be dropped within an async task, where waiting is not allowed.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

impl QueryService {
    /// Starts the threads. Reads nothing yet.
    ///
    /// # Errors
    /// The system gives no threads, or the folder for what does not fit memory can't be made.
    pub fn open(settings: ServiceSettings) -> Result<Self, QueryError> {
        let ServiceSettings { data, tables, limits, system: program, rules, audit } = settings;
        let threads = Builder::new_multi_thread()
            .worker_threads(limits.threads)
            .thread_name("riskstream-query")
            .thread_stack_size(STACK_BYTES)
            // Statements wait for the threads that carry rows, not these for statements.
            .on_thread_start(riskstream_engine::lower_priority)
            .enable_all()
            .build()
            .map_err(QueryError::Start)?;
        let state = base_state(&data, &limits)?;
        let shared = Shared {
            handle: threads.handle().clone(),
            threads: Some(threads),
            state,
            live: Live::new(&data, tables),
            system: System { program, statements: Arc::default() },
            rules,
            audit,
            turns: Turns::new(limits.statements_max, limits.queue_max),
            limits,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The service's threads, on which ports may run their connections.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    /// Runs a future to its end, for a thread that is none of an async runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.shared.handle.block_on(future)
    }

    /// A turn to run, waiting for it if need be.
    pub(super) async fn turn(&self) -> Result<Turn, QueryError> {
        self.shared.turns.take().await
    }

    /// The moment of the tables that a statement names, or of all.
    pub(super) async fn pin(
        &self,
        statement: Option<&Statement>,
    ) -> Result<Arc<Pinned>, QueryError> {
        let names = match statement {
            Some(statement) => Some(self.table_names(statement)?),
            None => None,
        };
        self.shared.live.pin(names.as_deref()).await.map(Arc::new)
    }

    fn table_names(&self, statement: &Statement) -> Result<Vec<String>, QueryError> {
        let statement = super::planned::as_datafusion(statement);
        let references = self.shared.state.resolve_table_references(&statement)?;
        Ok(references.iter().map(|reference| reference.table().to_owned()).collect())
    }

    /// What a session begins planning with.
    pub(super) fn face(&self, shown: ShownCatalog, settings: &SettingsShown) -> Face {
        Face::new(&self.shared.state, shown, settings)
    }

    /// Plans a statement on the service's threads.
    pub(super) async fn plan(
        &self,
        asked: Asked<'_>,
        ready: Ready,
        parameters: &[Option<DataType>],
    ) -> Result<Planned, QueryError> {
        let names = Names {
            pinned: Arc::clone(&ready.pinned),
            user: Arc::clone(asked.user),
            rules: self.shared.rules.clone(),
            system: self.shared.system.clone(),
            known: Arc::clone(&ready.known),
            settings: asked.postgres.clone(),
        };
        let settings = asked.settings.clone();
        self.on_threads(Planned::new(ready, names, settings, parameters.to_vec())).await
    }

    pub(super) async fn run(
        &self,
        asked: Asked<'_>,
        text: &str,
        ready: Ready,
        parameters: &[ScalarValue],
        turn: Turn,
        cancel: Cancel,
    ) -> Result<Answer, QueryError> {
        let user = asked.user;
        let bounds = self.bounds(asked)?;
        let application = &asked.settings.application_name;
        let statements = &self.shared.system.statements;
        let mut entry = statements.begin(user, application, text, &cancel);
        if let Some(audit) = &self.shared.audit {
            audit.check()?;
            entry.audited(Arc::clone(audit), user, asked.port, text);
            let (tables, policies) = self.policies(user, &ready.pinned);
            entry.reads(tables, policies);
        }
        let types: Vec<_> = parameters.iter().map(|value| Some(value.data_type())).collect();
        let planning = async {
            let planned = self.plan(asked, ready, &types).await?;
            let columns = planned.described().columns;
            let stream = self.on_threads(planned.start(parameters.to_vec())).await?;
            Ok::<_, QueryError>((columns, stream))
        };
        let (columns, stream) = match until(&cancel, bounds.deadline, planning).await {
            Ok(started) => started,
            Err(error) => {
                let outcome = Err(error);
                entry.end(&outcome).await?;
                return outcome.and(Err(QueryError::Stopped(Stopped::Cancelled)));
            }
        };
        let (rows, answer) = tokio::sync::mpsc::channel(2);
        self.shared.handle.spawn(drive(stream, rows, cancel.clone(), bounds, entry, turn));
        Ok(Answer::new(columns, answer, cancel))
    }

    /// What a statement of the session may take: the least of what the client, the service and the
    /// user's roles say.
    fn bounds(&self, asked: Asked<'_>) -> Result<Bounds, QueryError> {
        let limits = &self.shared.limits;
        let role = self.shared.rules.as_ref().map(|rules| rules.limits(asked.user));
        let role = role.unwrap_or_default();
        let running = self.shared.system.statements.running_of(asked.user);
        if role.statements_max.is_some_and(|most| running as u64 >= most) {
            return Err(QueryError::Busy { waiting: 0 });
        }
        let least = |all: [Option<std::time::Duration>; 3]| all.into_iter().flatten().min();
        let timeout = least([
            asked.settings.statement_timeout,
            limits.statement_timeout,
            role.statement_timeout,
        ]);
        Ok(Bounds {
            deadline: timeout.map(|timeout| Instant::now() + timeout),
            rows_max: limits.rows_max.into_iter().chain(role.rows_max).min(),
        })
    }

    /// The tables that are pinned, and what is applied to them, for the audit.
    fn policies(&self, user: &User, pinned: &Pinned) -> (Vec<String>, Vec<String>) {
        let rules = self.shared.rules.as_deref();
        let (mut tables, mut policies) = (Vec::new(), Vec::new());
        for table in pinned.tables() {
            let seen = see(rules, user, SCHEMA, table.name(), &table.provider().schema());
            tables.push(table.name().to_owned());
            policies.extend(seen.policies());
        }
        (tables, policies)
    }

    /// What a user may know of the tables.
    pub(crate) async fn shown(&self, user: &User) -> Result<ShownCatalog, QueryError> {
        let rules = self.shared.rules.as_deref();
        let mut shown = self.shared.live.shown(user, rules).await?;
        shown.schemas.push(self.shared.system.shown(user, rules));
        Ok(shown)
    }

    /// Stops all statements, as the program ends.
    pub fn stop(&self) {
        self.shared.system.statements.stop_all();
    }

    /// Runs work on the service's threads, so that a port's own are free meanwhile.
    async fn on_threads<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.shared.handle.spawn(work).await.unwrap_or_else(|error| {
            Err(QueryError::Sql(datafusion::error::DataFusionError::Internal(error.to_string())))
        })
    }
}

/// What every statement's planning begins with.
fn base_state(data: &std::path::Path, limits: &Limits) -> Result<SessionState, QueryError> {
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
    Ok(SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build())
}
