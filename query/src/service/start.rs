//! The service: its threads, its memory, and what all sessions share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use datafusion::common::ScalarValue;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::answer::{Answer, Cancel};
use super::base_state::base_state;
use super::counts::ServiceCounts;
use super::drive::until;
use super::entry::Entry;
use super::guard::Guard;
use super::limits::Limits;
use super::order::{Order, Remembered};
use super::planned::Planned;
use super::running::{Arrival, Doing};
use super::settings::SessionSettings;
use super::source::{Source, unfinished};
use super::statements::Statements;
use super::time::Time;
use super::turns::{TurnLimits, Turns};
use super::work::{Held, Work};
use crate::catalog::facts::TableFacts;
use crate::catalog::shown::ShownCatalog;
use crate::catalog::system::{System, SystemTables};
use crate::error::QueryError;
use crate::live::{Eyes, Live, Pinned};
use crate::rules::{Audit, Rules};
use crate::stopped::Stopped;
use crate::user::User;

/// Of each thread: plans are walked there, by functions that call themselves.
const STACK_BYTES: usize = 16 << 20;

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
    /// The rules that hold for the statement; none: there are none.
    pub(super) rules: Option<&'a Arc<Rules>>,
    /// What the client has set.
    pub(super) settings: &'a SessionSettings,
    /// Through what it came.
    pub(super) port: &'static str,
    /// Whether it is recorded; a part of one that is recorded is not.
    pub(super) is_whole: bool,
}

/// A statement that has arrived.
#[derive(Debug)]
pub(super) struct Arrived {
    entry: Entry,
    cancel: Cancel,
    time: Time,
    guard: Arc<Guard>,
    rows_max: Option<u64>,
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
    source: Arc<Source>,
    rules: Option<Arc<Rules>>,
    audit: Option<Arc<Audit>>,
    limits: Limits,
    turns: Turns,
    /// Statements whose work is not over.
    working: Arc<AtomicUsize>,
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
        let statements = Arc::new(Statements::default());
        let source = Source {
            live: Arc::new(Live::new(&data, tables)),
            system: System::new(vec![program, statements.clone()]),
            statements,
            state: base_state(&data, &limits)?,
            handle: threads.handle().clone(),
        };
        let turns = TurnLimits {
            running_max: limits.statements_max,
            waiting_max: limits.queue_max,
            open_max: limits.open_max,
        };
        let shared = Shared {
            handle: threads.handle().clone(),
            threads: Some(threads),
            source: Arc::new(source),
            rules,
            audit,
            turns: Turns::new(turns),
            working: Arc::default(),
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

    /// The rules as they are now, for one statement; a file of users that has changed is read
    /// before.
    pub(crate) async fn rules_now(&self) -> Option<Arc<Rules>> {
        let rules = self.shared.rules.as_ref()?;
        if rules.may_have_changed() {
            let rules = Arc::clone(rules);
            let read = self.shared.handle.spawn_blocking(move || rules.refresh());
            // It fails only as the program ends, and then nothing is decided any more.
            let _ended = read.await;
        }
        Some(Arc::new(rules.at_this_moment()))
    }

    /// Whether a user is one of the file of users, rather than of a token or of this machine: a
    /// token has the name of none of the file.
    pub(super) fn is_of_file(&self, user: &User) -> bool {
        self.shared.rules.as_ref().is_some_and(|rules| rules.user(&user.name).is_some())
    }

    /// Plans a statement on the service's threads, and gives back what is remembered.
    pub(super) async fn plan(
        &self,
        order: Order,
        mut remembered: Remembered,
    ) -> Result<(Remembered, Result<Planned, QueryError>), QueryError> {
        let source = Arc::clone(&self.shared.source);
        self.on_threads(async move {
            let planned = order.planned(&source, &mut remembered).await;
            (remembered, planned)
        })
        .await
    }

    /// A statement arrives: it is counted, and its time runs.
    ///
    /// # Errors
    /// The audit can't be written; or the user runs as many as it may.
    pub(super) async fn arrive(
        &self,
        asked: Asked<'_>,
        text: &str,
        cancel: &Cancel,
    ) -> Result<Arrived, QueryError> {
        let (entry, admitted) = match self.enter(asked, text, cancel) {
            Ok(entry) => (entry, self.refused(asked)),
            Err(stuck) => (stuck.0, Err(stuck.1)),
        };
        if let Err(error) = admitted {
            return Err(entry.fail(error).await);
        }
        let (allowed, rows_max) = self.allowed(asked);
        let time = Time::new(allowed, asked.settings.until);
        let guard = Guard::new(cancel.clone(), time.clone(), &self.shared.working);
        Ok(Arrived { entry, cancel: cancel.clone(), time, guard, rows_max })
    }

    /// A statement arrives: it is counted, and will be recorded.
    ///
    /// # Errors
    /// The audit can't be written; with the statement, which ends by that.
    pub(super) fn enter(
        &self,
        asked: Asked<'_>,
        text: &str,
        cancel: &Cancel,
    ) -> Result<Entry, Box<(Entry, QueryError)>> {
        let Shared { source, audit, .. } = self.shared.as_ref();
        let arrival = Arrival {
            user: asked.user,
            application: &asked.settings.application_name,
            port: asked.port,
            text,
        };
        let (number, of) = source.statements.begin(arrival, cancel);
        let mut entry = Entry::new(number, of, Arc::clone(&source.statements));
        if let Some(audit) = audit.as_ref().filter(|_| asked.is_whole) {
            if let Err(stuck) = audit.check() {
                return Err(Box::new((entry, stuck.into())));
            }
            entry.audited(Arc::clone(audit), asked.user, text);
        }
        Ok(entry)
    }

    /// Runs a statement that has arrived. Gives the moment that it sees, too.
    pub(super) async fn run(
        &self,
        arrived: Arrived,
        order: Order,
        remembered: &mut Remembered,
        parameters: Vec<ScalarValue>,
    ) -> Result<(Answer, Arc<Pinned>), QueryError> {
        let Arrived { mut entry, cancel, time, guard, rows_max } = arrived;
        let turn = match until(&cancel, &time, self.shared.turns.take()).await {
            Ok(turn) => turn,
            Err(error) => return Err(entry.fail(error).await),
        };
        if parameters.is_empty()
            && rows_max != Some(0)
            && let Some((rows, pinned)) = order.constant(remembered)
        {
            entry.gave(&rows);
            entry.done().await?;
            return Ok((Answer::ready(rows, cancel, time), pinned));
        }
        entry.does(Doing::Working);
        let entry = Arc::new(Held::new(entry));
        let (told, begun) = oneshot::channel();
        let (rows, answer) = tokio::sync::mpsc::channel(2);
        let work = Work {
            source: Arc::clone(&self.shared.source),
            order,
            remembered: std::mem::take(remembered),
            parameters,
            guard,
            entry: Arc::clone(&entry),
            turn,
            rows,
            cancel: cancel.clone(),
            time: time.clone(),
            rows_max,
        };
        let task = self.shared.handle.spawn(work.run(told));
        let begins = async {
            match begun.await {
                Ok(begun) => {
                    *remembered = begun.remembered;
                    begun.planned
                }
                Err(_unsaid) => Err(match task.await {
                    Ok(()) => QueryError::Stopped(Stopped::Cancelled),
                    Err(ended) => unfinished(ended),
                }),
            }
        };
        match until(&cancel, &time, begins).await {
            Ok((columns, pinned)) => Ok((Answer::new(columns, answer, cancel, time), pinned)),
            Err(error) => match entry.take() {
                Some(entry) => Err(entry.fail(error).await),
                None => Err(error),
            },
        }
    }

    /// Whether a user runs as many statements as it may, this one among them.
    fn refused(&self, asked: Asked<'_>) -> Result<(), QueryError> {
        let most = asked.rules.and_then(|rules| rules.limits(asked.user).statements_max);
        let running = self.shared.source.statements.running_of(asked.user);
        match most {
            Some(most) if running as u64 > most => Err(QueryError::Busy { waiting: 0 }),
            Some(_) | None => Ok(()),
        }
    }

    /// How long a statement may take and how many rows it may give: the least of what the client,
    /// the service and the user's roles say.
    fn allowed(&self, asked: Asked<'_>) -> (Option<Duration>, Option<u64>) {
        let limits = &self.shared.limits;
        let role = asked.rules.map(|rules| rules.limits(asked.user)).unwrap_or_default();
        let timeouts =
            [asked.settings.statement_timeout, limits.statement_timeout, role.statement_timeout];
        let rows_max = limits.rows_max.into_iter().chain(role.rows_max).min();
        (timeouts.into_iter().flatten().min(), rows_max)
    }

    /// What a user may know of the tables.
    pub(crate) async fn shown(&self, user: &Arc<User>) -> Result<ShownCatalog, QueryError> {
        let rules = self.rules_now().await;
        self.shared.source.shown(Eyes { user: Arc::clone(user), rules }).await
    }

    /// Stops all statements, as the program ends.
    pub fn stop(&self) {
        self.shared.source.statements.stop_all();
    }

    /// How the service is, for metrics. Reads counters and waits for nothing.
    #[must_use]
    pub fn counts(&self) -> ServiceCounts {
        let Shared { source, rules, limits, turns, .. } = self.shared.as_ref();
        let runtime = source.state.runtime_env();
        ServiceCounts {
            counted: source.statements.counted(),
            running: turns.running(),
            waiting: turns.waiting(),
            open: source.statements.open(),
            memory_bytes: runtime.memory_pool.reserved(),
            memory_bytes_max: limits.memory_bytes,
            spill_bytes: runtime.disk_manager.used_disk_space(),
            users_file_is_wrong: rules.as_ref().and_then(|rules| rules.file_is_wrong()),
        }
    }

    /// Statements whose work has not ended, also of those that were cancelled.
    #[must_use]
    pub fn working(&self) -> usize {
        self.shared.working.load(Ordering::Acquire)
    }

    /// Runs work on the service's threads, so that a port's own are free meanwhile.
    async fn on_threads<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.shared.handle.spawn(work).await.map_err(unfinished)
    }
}
