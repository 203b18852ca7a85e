//! The port: its address, its threads, its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::PortError;
use super::gate::SharedGate;
use super::shared::Shared;
use super::startup;
use super::stop::Keys;
use super::tls::{Tls, TlsFiles};
use crate::service::QueryService;

/// Threads that read and write; statements have the service's.
const THREADS: usize = 2;
/// Of each of them: a statement's tree is walked there, by functions that call themselves.
const STACK_BYTES: usize = 16 << 20;
/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 1_024;
/// How long to wait where the system has no sockets left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long connections may take to end.
const END_MAX: Duration = Duration::from_secs(3);

/// Where the port listens and for whom.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// The address; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Files of a certificate and its key; none: no TLS.
    pub tls: Option<TlsFiles>,
    /// The users; none: all who reach the address see everything, which must be of this machine.
    pub users: Option<SharedGate>,
    /// Clients at the same time.
    pub connections_max: usize,
}

/// A port on which clients of PostgreSQL ask. It ends when it is dropped.
#[derive(Debug)]
pub struct PostgresPort {
    address: SocketAddr,
    threads: Option<Runtime>,
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl PostgresPort {
    /// Listens.
    ///
    /// # Errors
    /// The address is taken; there are no users and others than this machine could reach it; a file
    /// of TLS can't be used.
    pub fn begin(service: QueryService, settings: PostgresSettings) -> Result<Self, PortError> {
        let PostgresSettings { listen, tls, users, connections_max } = settings;
        if users.is_none() && !listen.ip().is_loopback() {
            return Err(PortError::NoUsers { listen });
        }
        let tls = tls.as_ref().map(Tls::read).transpose()?;
        let threads = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("riskstream-postgres")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(PortError::Threads)?;
        let failed = |source| PortError::Listen { listen, source };
        let listener = {
            let _within = threads.enter();
            bind(listen).map_err(failed)?
        };
        let address = listener.local_addr().map_err(failed)?;
        let ended = CancellationToken::new();
        let shared = Shared {
            service,
            gate: users,
            tls,
            keys: Arc::new(Keys::new()),
            half_open: Arc::default(),
            places: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            ended: ended.clone(),
        };
        let tasks = TaskTracker::new();
        tasks.spawn_on(accept(listener, Arc::new(shared), tasks.clone()), threads.handle());
        Ok(Self { address, threads: Some(threads), tasks, ended })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells the clients that it ends, stops their statements, and waits for it.
    pub fn end(mut self) {
        if let Some(threads) = self.threads.take() {
            end(&threads, &self.tasks, &self.ended);
            threads.shutdown_background();
        }
    }
}

impl Drop for PostgresPort {
    fn drop(&mut self) {
        let Some(threads) = self.threads.take() else { return };
        self.ended.cancel();
        let (tasks, ended) = (self.tasks.clone(), self.ended.clone());
        // Whoever drops it may be a task, which must not wait. Without a thread the runtime, which
        // the closure owns, ends where it is dropped.
        let ending = std::thread::Builder::new().name("riskstream-postgres-end".to_owned()).spawn(
            move || {
                end(&threads, &tasks, &ended);
                threads.shutdown_background();
            },
        );
        if let Err(error) = ending {
            tracing::warn!(%error, "the PostgreSQL port ends without a word to its clients");
        }
    }
}

fn end(threads: &Runtime, tasks: &TaskTracker, ended: &CancellationToken) {
    ended.cancel();
    tasks.close();
    let done = threads.block_on(async { tokio::time::timeout(END_MAX, tasks.wait()).await });
    if done.is_err() {
        tracing::warn!(clients = tasks.len(), "clients of the PostgreSQL port did not end in time");
    }
}

fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it: a client whose machine has gone is noticed in the end.
    socket.set_keepalive(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = shared.ended.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _from)) => {
                // Here, so that the oldest handshake is that of who came first.
                let handshake = shared.half_open.enter();
                tasks.spawn(startup::serve(Arc::clone(&shared), socket, handshake));
            }
            Err(error) => {
                // The connection has gone already, or there are no sockets left.
                tracing::debug!(%error, "the PostgreSQL port could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
