//! What the connections of a port share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::gate::SharedGate;
use super::half_open::HalfOpen;
use super::stop::Keys;
use super::tls::Tls;
use crate::service::QueryService;

/// What connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: QueryService,
    pub(super) gate: Option<SharedGate>,
    pub(super) tls: Option<Tls>,
    pub(super) keys: Arc<Keys>,
    pub(super) half_open: Arc<HalfOpen>,
    pub(super) places: Arc<Semaphore>,
    pub(super) ended: CancellationToken,
}
