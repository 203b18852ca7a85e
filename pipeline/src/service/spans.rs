//! Finished epochs and deliveries as spans in the JSON form of OTLP.
//!
//! ```text
//! epoch 17 ────────────────────────────── first row to commit
//!            commit ─────                 its file
//!                        deliver scored ─────── of epochs up to 17
//! ```
//! The spans are written here, and not by the crates of OpenTelemetry: those are eight more (an
//! SDK, prost and its derive macro among them) for messages of one form, and they begin and end
//! spans in the code that is measured, while ours are made once the work is over.

use riskstream_engine::runtime::{Finished, Stretch};
use serde_json::{Value, json};

/// OTLP's number for a span within a program.
const KIND_INTERNAL: u8 = 1;

/// Makes the spans of one pipeline.
#[derive(Debug)]
pub(super) struct SpanMaker {
    pipeline: String,
    /// The seed of this run's ids: an epoch of the same number in another run is another trace.
    seed: u64,
}

/// What an id is of.
#[derive(Debug, Clone, Copy)]
enum Of {
    TraceHigh = 1,
    TraceLow,
    Epoch,
    Commit,
    Delivery,
}

impl SpanMaker {
    pub(super) fn new(pipeline: &str, seed: u64) -> Self {
        Self { pipeline: pipeline.to_owned(), seed }
    }

    /// Adds the spans of what has finished.
    pub(super) fn add(&self, finished: &Finished, spans: &mut Vec<Value>) {
        match finished {
            Finished::Epoch { epoch, whole, commit, rows, late, dead, bytes } => {
                let attributes = json!([
                    text("riskstream.pipeline", &self.pipeline),
                    number("riskstream.epoch", epoch.0),
                    number("riskstream.rows", *rows),
                    number("riskstream.rows.late", *late),
                    number("riskstream.dead_letters", *dead),
                    number("riskstream.epoch.bytes", *bytes),
                ]);
                let id = self.id(Of::Epoch, epoch.0, "");
                spans.push(self.span("epoch", epoch.0, &id, None, *whole, attributes));
                let of_commit = json!([
                    text("riskstream.pipeline", &self.pipeline),
                    number("riskstream.epoch", epoch.0),
                ]);
                let commit_id = self.id(Of::Commit, epoch.0, "");
                spans.push(self.span("commit", epoch.0, &commit_id, Some(&id), *commit, of_commit));
            }
            Finished::Delivery { sink, through, epochs, whole } => {
                let attributes = json!([
                    text("riskstream.pipeline", &self.pipeline),
                    text("riskstream.sink", sink),
                    number("riskstream.epoch", through.0),
                    number("riskstream.epochs", *epochs),
                ]);
                let id = self.id(Of::Delivery, through.0, sink);
                let parent = self.id(Of::Epoch, through.0, "");
                let name = format!("deliver {sink}");
                spans.push(self.span(&name, through.0, &id, Some(&parent), *whole, attributes));
            }
        }
    }

    fn span(
        &self,
        name: &str,
        epoch: u64,
        id: &str,
        parent: Option<&str>,
        stretch: Stretch,
        attributes: Value,
    ) -> Value {
        let trace = self.id(Of::TraceHigh, epoch, "") + &self.id(Of::TraceLow, epoch, "");
        json!({
            "traceId": trace,
            "spanId": id,
            "parentSpanId": parent.unwrap_or(""),
            "name": name,
            "kind": KIND_INTERNAL,
            "startTimeUnixNano": nanos(stretch.from_micros),
            "endTimeUnixNano": nanos(stretch.to_micros.max(stretch.from_micros)),
            "attributes": attributes,
        })
    }

    /// An id of eight bytes, in hexadecimal digits.
    fn id(&self, of: Of, epoch: u64, name: &str) -> String {
        let mut hash = mixed(self.seed ^ mixed(epoch ^ mixed(of as u64)));
        for byte in name.bytes() {
            hash = mixed(hash ^ u64::from(byte));
        }
        // OTLP takes an id of zeros for no id.
        format!("{:016x}", hash.max(1))
    }
}

/// What is posted: spans of one program.
pub(super) fn request(service: &str, spans: Vec<Value>) -> Value {
    json!({
        "resourceSpans": [{
            "resource": {
                "attributes": [
                    text("service.name", "riskstream"),
                    text("service.namespace", service),
                    text("service.version", env!("CARGO_PKG_VERSION")),
                    number("process.pid", u64::from(std::process::id())),
                ],
            },
            "scopeSpans": [{
                "scope": { "name": "riskstream", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }],
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// OTLP writes whole numbers of 64 bits as strings.
fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

fn nanos(micros: i64) -> String {
    (i128::from(micros) * 1_000).max(0).to_string()
}

/// The finishing step of SplitMix64: each bit of the result depends on all.
fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
