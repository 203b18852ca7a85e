//! What the calls of a port share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::caller::Caller;
use super::handles::{Handles, Keeping};
use super::prepared::Prepared;
use super::sessions::{Held, Idle};
use super::sign_in::Door;
use super::strangers::Strangers;
use super::tls::Tls;
use super::work::{Ticketed, Work};
use crate::rules::Rules;
use crate::service::QueryService;

const HOUR: Duration = Duration::from_secs(3600);
/// A client asks for rows soon after it was told of them.
const TICKETS: Keeping =
    Keeping { kind: "ticket", idle_max: Duration::from_secs(600), each_max: 1_000 };
/// Somebody comes back to a notebook after a night.
const PREPARED: Keeping =
    Keeping { kind: "prepared statement", idle_max: HOUR.saturating_mul(12), each_max: 1_000 };
/// Each keeps rows in memory that have not landed at its moment.
const TRANSACTIONS: Keeping =
    Keeping { kind: "transaction", idle_max: HOUR.saturating_mul(12), each_max: 100 };

/// What calls share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: QueryService,
    pub(super) door: Door,
    pub(super) tls: Option<Tls>,
    pub(super) strangers: Arc<Strangers>,
    pub(super) places: Arc<Semaphore>,
    pub(super) tickets: Handles<Ticketed>,
    pub(super) prepared: Handles<Prepared>,
    pub(super) transactions: Handles<Held>,
    pub(super) ended: CancellationToken,
    idle: Idle,
}

/// A session for a statement.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) held: Arc<Held>,
    /// Whether it is for this statement alone.
    is_own: bool,
}

impl Shared {
    pub(super) fn new(
        service: QueryService,
        rules: Option<Arc<Rules>>,
        tls: Option<Tls>,
        connections_max: usize,
    ) -> Self {
        Self {
            service,
            door: Door::new(rules),
            tls,
            strangers: Arc::default(),
            places: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            tickets: Handles::new(TICKETS),
            prepared: Handles::new(PREPARED),
            transactions: Handles::new(TRANSACTIONS),
            ended: CancellationToken::new(),
            idle: Idle::default(),
        }
    }

    /// What a prepared statement runs. One of a transaction that has ended runs by itself: drivers
    /// go on with it after a commit.
    pub(super) fn prepared_work(&self, caller: &Caller, handle: &[u8]) -> Result<Work, Status> {
        let now = Instant::now();
        let mut work = self.prepared.get(caller.name(), handle, now)?.work()?;
        let transaction = work.transaction.take();
        work.transaction = transaction
            .filter(|transaction| self.transactions.get(caller.name(), transaction, now).is_ok());
        Ok(work)
    }

    /// A session for a statement, within a transaction or without.
    pub(super) fn lease(
        &self,
        caller: &Caller,
        transaction: Option<&[u8]>,
    ) -> Result<Lease, Status> {
        let held = match transaction {
            Some(handle) => self.transactions.get(caller.name(), handle, Instant::now())?,
            None => self.idle.take(&self.service, &caller.user),
        };
        Ok(Lease { held, is_own: transaction.is_none() })
    }

    /// A session for several runs of one statement, which see one moment.
    pub(super) fn lease_for_runs(
        &self,
        caller: &Caller,
        transaction: Option<&[u8]>,
    ) -> Result<Lease, Status> {
        match transaction {
            Some(_) => self.lease(caller, transaction),
            None => {
                let held = Arc::new(Held::transaction(&self.service, &caller.user));
                Ok(Lease { held, is_own: false })
            }
        }
    }

    /// Takes a session back, whose statement has ended.
    pub(super) fn give(&self, lease: Lease) {
        if lease.is_own {
            self.idle.give(lease.held);
        }
    }
}
