//! The HTTP endpoint: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever supervises
//! the program.
//!
//! One thread answers one request at a time, and waits for none longer than [`PATIENCE`]: the
//! expected client is a collector that asks now and then.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use riskstream_engine::runtime::Clock;

use super::gauges::{Shared, render};
use super::life::{Life, Phase};

/// The text format of metrics, as Prometheus names it.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";
/// How long reading a request may take, and writing an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a request may be.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// Headers that a request may have.
const HEADERS_MAX: usize = 64;
/// The wait after a connection could not be taken, such as when too many files are open.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What the answers are made of.
struct Known {
    lives: Vec<Arc<Life>>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

/// An answer.
struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
}

impl Endpoint {
    /// Begins to answer on a thread of its own.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub(crate) fn begin(
        listen: SocketAddr,
        lives: &[Arc<Life>],
        shared: &Arc<Shared>,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let known =
            Known { lives: lives.to_vec(), shared: Arc::clone(shared), clock: Arc::clone(clock) };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("metrics".into()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                match listener.accept() {
                    // A client that closes the connection early is no error.
                    Ok((stream, _)) => drop(known.serve(stream)),
                    Err(_) => std::thread::sleep(PAUSE),
                }
            }
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The thread blocks in `accept`, and this connection wakes it. The connection is closed at
        // once, since the thread would wait for a request on an open one.
        drop(TcpStream::connect_timeout(&reachable(self.address), PATIENCE));
        if let Some(thread) = self.thread.take() {
            // A panic of the endpoint's thread has cost answers and nothing else.
            let _panicked = thread.join();
        }
    }
}

/// Where this machine reaches an address that it listens on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            SocketAddr::from(([127, 0, 0, 1], v4.port()))
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port()))
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => listen,
    }
}

impl Known {
    /// Reads one request and answers it.
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let until = Instant::now() + PATIENCE;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut request = Vec::new();
        let mut chunk = [0; 2_048];
        let answer = loop {
            if let Some(answer) = self.answer(&request) {
                break answer;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut chunk)? {
                0 => return Ok(()),
                read => request.extend_from_slice(&chunk[..read]),
            }
        };
        let Answer { status, content_type, body } = answer;
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        stream.shutdown(Shutdown::Write)
    }

    /// The answer to a request; none as long as more of it is to come.
    fn answer(&self, request: &[u8]) -> Option<Answer> {
        let text = |status, body: &str| Answer {
            status,
            content_type: TEXT_TYPE,
            body: format!("{body}\n"),
        };
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(request) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) if request.len() < REQUEST_BYTES_MAX => return None,
            Ok(httparse::Status::Partial) | Err(_) => {
                return Some(text("400 Bad Request", "this is no request"));
            }
        }
        let path = parsed.path.unwrap_or_default().split('?').next().unwrap_or_default();
        Some(match (parsed.method, path) {
            (Some("GET"), "/metrics") => self.metrics(),
            (Some("GET"), "/healthz") => self.healthz(),
            (Some("GET"), "/readyz") => self.readyz(),
            (Some("GET"), _) => text("404 Not Found", "here are /metrics, /healthz and /readyz"),
            (_, _) => text("405 Method Not Allowed", "only GET is answered"),
        })
    }

    fn metrics(&self) -> Answer {
        match render(&self.lives, &self.shared, self.clock.as_ref()) {
            Ok(body) => Answer { status: "200 OK", content_type: METRICS_TYPE, body },
            Err(error) => Answer {
                status: "500 Internal Server Error",
                content_type: TEXT_TYPE,
                body: error.to_string(),
            },
        }
    }

    /// Whether the program should be left to go on: no pipeline has failed for good.
    fn healthz(&self) -> Answer {
        self.unless(|life| {
            let fails = life.phase() == Phase::Failed;
            fails.then(|| format!("has failed: {}", life.failing().unwrap_or_default()))
        })
    }

    /// Whether every pipeline reads, or has come to its end.
    fn readyz(&self) -> Answer {
        self.unless(|life| {
            if life.is_ready() {
                return None;
            }
            let reason = life.failing().unwrap_or_default();
            Some(match life.phase() {
                Phase::Failed => format!("has failed: {reason}"),
                Phase::Waiting => format!("waits to start again after: {reason}"),
                Phase::Running | Phase::Ended if !reason.is_empty() => format!("fails: {reason}"),
                Phase::Running | Phase::Ended => match life.degraded() {
                    Some(away) => format!("waits: {away}"),
                    None => "restores its state".to_owned(),
                },
            })
        })
    }

    /// "ok", or what is wrong with which pipeline, a line each.
    fn unless(&self, wrong: impl Fn(&Life) -> Option<String>) -> Answer {
        let lines: Vec<String> = self
            .lives
            .iter()
            .filter_map(|life| Some(format!("pipeline {} {}\n", life.name, wrong(life)?)))
            .collect();
        let (status, body) = match lines.is_empty() {
            true => ("200 OK", "ok\n".to_owned()),
            false => ("503 Service Unavailable", lines.concat()),
        };
        Answer { status, content_type: TEXT_TYPE, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riskstream_engine::runtime::SystemClock;

    #[test]
    fn requests_are_answered_by_their_line() {
        let known = Known {
            lives: Vec::new(),
            shared: Arc::default(),
            clock: Arc::new(SystemClock::default()),
        };
        let status = |request: &str| known.answer(request.as_bytes()).map(|a| a.status);
        for (request, expected) in [
            ("", None),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n", None),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Some("200 OK")),
            ("GET /metrics?name[]=up HTTP/1.0\r\n\r\n", Some("200 OK")),
            ("GET /healthz HTTP/1.1\r\n\r\n", Some("200 OK")),
            ("GET / HTTP/1.1\r\n\r\n", Some("404 Not Found")),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some("405 Method Not Allowed")),
            ("GET\u{0} / HTTP/1.1\r\n\r\n", Some("400 Bad Request")),
            (&format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000)), Some("400 Bad Request")),
        ] {
            assert_eq!(status(request), expected, "{request}");
        }
    }
}
