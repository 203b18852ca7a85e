//! Sends spans to a collector by OTLP over HTTP, as JSON, a batch at a time.
//!
//! A collector that is away holds up nobody: a batch is tried a few times, then lost and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use riskstream_engine::runtime::Finished;
use serde_json::Value;

use super::gauges::Shared;
use super::life::Life;
use super::spans::{SpanMaker, request};
use super::voice::{Importance, Voice};

/// Finished epochs and deliveries of a pipeline that may wait to be sent.
const WAITING_MAX: usize = 4_096;
/// Spans that are sent together, at most.
const BATCH_MAX: usize = 512;
/// How long spans wait for others.
const SEND_EVERY: Duration = Duration::from_millis(500);
/// How soon the thread sees that it is to end.
const GLANCE: Duration = Duration::from_millis(20);
/// How long one attempt may take, and how long all remaining spans may take at the end.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Attempts per batch.
const ATTEMPTS_MAX: u32 = 4;
/// The wait before the second attempt; doubled before each further one.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// That a collector takes nothing is reported this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Sends spans until it is dropped, and then the spans that are left.
#[derive(Debug)]
pub(crate) struct Exporter {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Exporter {
    /// Begins to send the spans of these pipelines. `service`: what the program is called.
    ///
    /// # Errors
    /// The system gives no thread, or no client.
    pub(crate) fn begin(
        url: &str,
        service: &str,
        lives: &[Arc<Life>],
        shared: &Arc<Shared>,
        voice: Voice,
    ) -> std::io::Result<Self> {
        let mut sources = Vec::new();
        for life in lives {
            let (to, from) = sync_channel(WAITING_MAX);
            life.control.metrics.spans.listen(to);
            sources.push((SpanMaker::new(&life.name, rand::random()), from));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client =
            reqwest::Client::builder().timeout(TIMEOUT).build().map_err(std::io::Error::other)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut sending = Sending {
            sources,
            url: url.to_owned(),
            service: service.to_owned(),
            client,
            runtime,
            stop: Arc::clone(&stop),
            shared: Arc::clone(shared),
            voice,
            told_at: None,
            give_up_at: None,
        };
        let thread =
            std::thread::Builder::new().name("otlp".into()).spawn(move || sending.run())?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the exporter's thread has cost spans and nothing else.
            let _panicked = thread.join();
        }
    }
}

struct Sending {
    sources: Vec<(SpanMaker, Receiver<Finished>)>,
    url: String,
    service: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    stop: Arc<AtomicBool>,
    shared: Arc<Shared>,
    voice: Voice,
    told_at: Option<Instant>,
    /// Spans that are not sent by then are lost, since the program is ending.
    give_up_at: Option<Instant>,
}

impl Sending {
    fn run(&mut self) {
        while !self.is_stopped() {
            self.send_all();
            self.wait(SEND_EVERY);
        }
        self.give_up_at = Some(Instant::now() + TIMEOUT);
        self.send_all();
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits for `pause`, or until the exporter is to end.
    fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.is_stopped() && Instant::now() < until {
            std::thread::sleep(GLANCE);
        }
    }

    fn send_all(&mut self) {
        let mut spans = Vec::new();
        for index in 0..self.sources.len() {
            while let Some((maker, from)) = self.sources.get(index)
                && let Ok(finished) = from.try_recv()
            {
                maker.add(&finished, &mut spans);
                if spans.len() >= BATCH_MAX {
                    self.send(std::mem::take(&mut spans));
                }
            }
        }
        if !spans.is_empty() {
            self.send(spans);
        }
    }

    fn send(&mut self, spans: Vec<Value>) {
        let count = spans.len() as u64;
        if self.give_up_at.is_some_and(|at| Instant::now() >= at) {
            self.shared.spans_lost.fetch_add(count, Ordering::Relaxed);
            return;
        }
        let body = request(&self.service, spans).to_string();
        let mut pause = PAUSE_MIN;
        for attempt in 1..=ATTEMPTS_MAX {
            let failure = match self.runtime.block_on(post(&self.client, &self.url, body.clone())) {
                Ok(()) => return,
                Err(failure) => failure,
            };
            if !failure.may_pass || attempt == ATTEMPTS_MAX || self.is_stopped() {
                self.shared.spans_lost.fetch_add(count, Ordering::Relaxed);
                return self.tell(&failure.reason);
            }
            self.wait(pause);
            pause *= 2;
        }
    }

    fn tell(&mut self, reason: &str) {
        if self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            self.told_at = Some(Instant::now());
            let text = format!("spans are lost: {} does not take them: {reason}", self.url);
            self.voice.say(Importance::Warn, &text);
        }
    }
}

/// Why spans were not taken.
struct Refused {
    /// Whether OTLP says to try again.
    may_pass: bool,
    reason: String,
}

async fn post(client: &reqwest::Client, url: &str, body: String) -> Result<(), Refused> {
    let sent = client.post(url).header("content-type", "application/json").body(body).send().await;
    let answer = sent.map_err(|e| Refused { may_pass: true, reason: with_causes(&e) })?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(Refused {
            may_pass: matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            ),
            reason: format!("it answers {status}"),
        }),
    }
}

/// An error and what caused it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
