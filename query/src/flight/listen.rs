//! The port: its address, its threads, its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use super::connection::Connection;
use super::error::FlightPortError;
use super::service::Port;
use super::shared::Shared;
use super::tls::Tls;
use super::wire::{Stream, Wire};
use crate::postgres::TlsFiles;
use crate::rules::Rules;
use crate::service::QueryService;

/// Threads that read, write and encode; statements have the service's.
const THREADS: usize = 2;
/// Of each of them: a statement's tree is walked there, by functions that call themselves.
const STACK_BYTES: usize = 16 << 20;
/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 1_024;
/// Connections that wait for gRPC.
const READY_MAX: usize = 16;
/// How long to wait where the system has no sockets left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection may take until a request shows who it is.
const SIGN_IN_MAX: Duration = Duration::from_secs(15);
/// How long connections may take to end.
const END_MAX: Duration = Duration::from_secs(3);
/// Calls at the same time on one connection.
const CALLS_MAX: u32 = 100;
/// Longest message of a client: statements, values of parameters.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Longest headers of a call: tokens of issuers.
const HEADER_BYTES_MAX: u32 = 128 << 10;
/// How long a connection may be silent before its client is asked whether it is there,
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// and how long it may take to answer that.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Where the port listens and for whom.
#[derive(Debug, Clone)]
pub struct FlightSettings {
    /// The address; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Files of a certificate and its key; none: no TLS, and then the address must be of this
    /// machine.
    pub tls: Option<TlsFiles>,
    /// The users; none: all who reach the address see everything, which must be of this machine.
    pub users: Option<Arc<Rules>>,
    /// Connections of clients at the same time.
    pub connections_max: usize,
}

/// A port on which clients of Arrow Flight SQL ask. It ends when it is dropped.
#[derive(Debug)]
pub struct FlightPort {
    address: SocketAddr,
    is_encrypted: bool,
    threads: Option<Runtime>,
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl FlightPort {
    /// Listens.
    ///
    /// # Errors
    /// The address is taken; others than this machine could reach it, and there are no users or no
    /// TLS; a file of TLS can't be used.
    pub fn begin(service: QueryService, settings: FlightSettings) -> Result<Self, FlightPortError> {
        let FlightSettings { listen, tls, users, connections_max } = settings;
        let is_private = listen.ip().is_loopback();
        if users.is_none() && !is_private {
            return Err(FlightPortError::NoUsers { listen });
        }
        if tls.is_none() && !is_private {
            return Err(FlightPortError::NoTls { listen });
        }
        let tls = tls.as_ref().map(Tls::read).transpose()?;
        let is_encrypted = tls.is_some();
        let threads = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("riskstream-flight")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(FlightPortError::Threads)?;
        let failed = |source| FlightPortError::Listen { listen, source };
        let listener = {
            let _within = threads.enter();
            bind(listen).map_err(failed)?
        };
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(service, users, tls, connections_max));
        let ended = shared.ended.clone();
        let tasks = TaskTracker::new();
        let (ready, connections) = mpsc::channel(READY_MAX);
        let accepting = accept(listener, Arc::clone(&shared), ready, tasks.clone());
        tasks.spawn_on(accepting, threads.handle());
        tasks.spawn_on(serve(shared, connections), threads.handle());
        Ok(Self { address, is_encrypted, threads: Some(threads), tasks, ended })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients write it, such as `grpc://127.0.0.1:5434`.
    #[must_use]
    pub fn uri(&self) -> String {
        let scheme = if self.is_encrypted { "grpc+tls" } else { "grpc" };
        format!("{scheme}://{}", self.address)
    }

    /// Tells the clients that it ends, stops their statements, and waits for it.
    pub fn end(mut self) {
        if let Some(threads) = self.threads.take() {
            end(&threads, &self.tasks, &self.ended);
            threads.shutdown_background();
        }
    }
}

impl Drop for FlightPort {
    fn drop(&mut self) {
        let Some(threads) = self.threads.take() else { return };
        self.ended.cancel();
        let (tasks, ended) = (self.tasks.clone(), self.ended.clone());
        // Whoever drops it may be a task, which must not wait. Without a thread the runtime, which
        // the closure owns, ends where it is dropped.
        let ending =
            std::thread::Builder::new().name("riskstream-flight-end".to_owned()).spawn(move || {
                end(&threads, &tasks, &ended);
                threads.shutdown_background();
            });
        if let Err(error) = ending {
            tracing::warn!(%error, "the Flight SQL port ends without a word to its clients");
        }
    }
}

fn end(threads: &Runtime, tasks: &TaskTracker, ended: &CancellationToken) {
    ended.cancel();
    tasks.close();
    let done = threads.block_on(async { tokio::time::timeout(END_MAX, tasks.wait()).await });
    if done.is_err() {
        tracing::warn!("clients of the Flight SQL port did not end in time");
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

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    ready: mpsc::Sender<Wire>,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = shared.ended.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _from)) => {
                // Here, so that the oldest stranger is the one that came first.
                let connection = Connection::new(&shared.strangers);
                tasks.spawn(open(Arc::clone(&shared), socket, connection, ready.clone()));
            }
            Err(error) => {
                // The connection has gone already, or there are no sockets left.
                tracing::debug!(%error, "the Flight SQL port could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Hands a connection to gRPC, and ends it if nobody shows who it is in time.
async fn open(
    shared: Arc<Shared>,
    socket: TcpStream,
    connection: Connection,
    ready: mpsc::Sender<Wire>,
) {
    let _small_messages_at_once = socket.set_nodelay(true);
    let (closed, maybe_ended) = (connection.closed().clone(), connection.maybe_ended());
    let handed_over = async {
        let stream = match &shared.tls {
            Some(tls) => Stream::Tls(Box::new(tls.accept(socket).await?)),
            None => Stream::Plain(socket),
        };
        ready.send(Wire::new(stream, connection)).await.ok()
    };
    let signed_in = async {
        let handed_over = handed_over.await;
        if handed_over.is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = shared.ended.cancelled() => {}
        () = closed.cancelled() => {}
        _in_time = tokio::time::timeout(SIGN_IN_MAX, signed_in) => {}
    }
    // One that is known by now is left alone.
    maybe_ended.end_stranger();
}

/// Answers the calls on all connections, until the port ends and they have ended.
async fn serve(shared: Arc<Shared>, mut connections: mpsc::Receiver<Wire>) {
    let incoming = futures::stream::poll_fn(move |context| {
        connections.poll_recv(context).map(|wire| wire.map(Ok::<_, Infallible>))
    });
    let ended = shared.ended.clone().cancelled_owned();
    let port =
        FlightServiceServer::new(Port::new(shared)).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let served = Server::builder()
        .max_concurrent_streams(CALLS_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(SILENCE_MAX))
        .http2_keepalive_timeout(Some(ANSWER_MAX))
        .add_service(port)
        .serve_with_incoming_shutdown(incoming, ended)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the Flight SQL port has stopped");
    }
}
