//! Timely operators that host a step's or a sink's logic: they give it its epochs in order, one at
//! a time.

use crate::contract::{EpochClose, Operator, Output, SinkWriter};
use crate::ids::Epoch;
use crate::runtime::clock::Clock;
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::metrics::{Metrics, SPLIT_STEP};
use crate::runtime::parcel::{Body, Parcel};
use crate::runtime::parts::Parts;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::{Capability, Operator as _};

/// What every host needs.
#[derive(Clone)]
pub(crate) struct HostContext {
    pub(crate) worker: usize,
    pub(crate) first: Epoch,
    pub(crate) parts: Parts,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) failure: Failure,
    pub(crate) clock: Arc<dyn Clock>,
}

struct OpenEpoch {
    capability: Capability<u64>,
    rows: Vec<RecordBatch>,
    close: Option<EpochClose>,
}

/// What is hosted: gives rows to send on.
trait Hosted {
    fn rows(&mut self, epoch: Epoch, rows: RecordBatch) -> Result<Vec<RecordBatch>, RunError>;
    fn close(&mut self, close: &EpochClose) -> Result<Vec<RecordBatch>, RunError>;
}

struct HostedStep {
    step: String,
    operator: Box<dyn Operator>,
    context: HostContext,
    metrics: usize,
}

impl HostedStep {
    fn take(&self, epoch: Epoch, out: Output) -> Vec<RecordBatch> {
        if !out.dead.is_empty() || out.late > 0 {
            let dead = out.dead.iter().map(|rows| rows.num_rows() as u64).sum();
            self.context.metrics.steps[self.metrics].dead.fetch_add(dead, Ordering::Relaxed);
            self.context.parts.with(epoch, |p| {
                p.dead.extend(out.dead);
                p.late += out.late;
                p.unfit += out.unfit.values().sum::<u64>();
            });
        }
        if !out.unfit.is_empty() {
            self.context.metrics.steps[self.metrics].add_unfit(out.unfit);
        }
        out.rows
    }
}

impl Hosted for HostedStep {
    fn rows(&mut self, epoch: Epoch, rows: RecordBatch) -> Result<Vec<RecordBatch>, RunError> {
        let mut out = Output::default();
        let started = self.context.clock.steady_nanos();
        let n = rows.num_rows() as u64;
        self.operator.on_batch(epoch, rows, &mut out)?;
        let sent = out.rows.iter().map(|r| r.num_rows() as u64).sum();
        self.context.metrics.steps[self.metrics].add(
            n,
            sent,
            self.context.clock.steady_nanos() - started,
        );
        Ok(self.take(epoch, out))
    }

    fn close(&mut self, close: &EpochClose) -> Result<Vec<RecordBatch>, RunError> {
        let mut out = Output::default();
        let started = self.context.clock.steady_nanos();
        self.operator.on_close(close, &mut out)?;
        let changes = self.operator.changes(close)?;
        let snapshot = if close.snapshot { self.operator.snapshot(close)? } else { Vec::new() };
        let live = if close.snapshot { self.operator.live_files() } else { Vec::new() };
        let step = &self.step;
        self.context.parts.with(close.epoch, |p| {
            p.changes.extend(changes.into_iter().map(|b| (step.clone(), b)));
            p.snapshot.extend(snapshot.into_iter().map(|b| (step.clone(), b)));
            p.history_files.extend(live);
        });
        let metrics = &self.context.metrics.steps[self.metrics];
        if let Some(bytes) = metrics.state_bytes.get(self.context.worker) {
            bytes.store(self.operator.state_bytes() as u64, Ordering::Relaxed);
        }
        let sent = out.rows.iter().map(|r| r.num_rows() as u64).sum();
        metrics.add(0, sent, self.context.clock.steady_nanos() - started);
        Ok(self.take(close.epoch, out))
    }
}

struct HostedSink {
    sink: String,
    writer: Box<dyn SinkWriter>,
    context: HostContext,
    metrics: usize,
    /// Rows of the open epoch, which count as gone out once it is committed.
    open_rows: u64,
}

impl Hosted for HostedSink {
    fn rows(&mut self, epoch: Epoch, rows: RecordBatch) -> Result<Vec<RecordBatch>, RunError> {
        let started = self.context.clock.steady_nanos();
        let n = rows.num_rows() as u64;
        self.writer.on_batch(epoch, rows)?;
        self.open_rows += n;
        self.context.metrics.steps[self.metrics].add(
            n,
            0,
            self.context.clock.steady_nanos() - started,
        );
        Ok(Vec::new())
    }

    fn close(&mut self, close: &EpochClose) -> Result<Vec<RecordBatch>, RunError> {
        let started = self.context.clock.steady_nanos();
        let part = self.writer.finish(close)?;
        let sunk = (self.metrics, std::mem::take(&mut self.open_rows));
        self.context.parts.with(close.epoch, |p| {
            p.sunk.push(sunk);
            if !part.is_empty() {
                p.outbox.push((self.sink.clone(), part));
            }
        });
        self.context.metrics.steps[self.metrics].add(
            0,
            0,
            self.context.clock.steady_nanos() - started,
        );
        Ok(Vec::new())
    }
}

/// Hosts a step. `exchanged`: its rows were addressed by key.
pub(crate) fn host_step<'s>(
    stream: StreamVec<'s, u64, Parcel>,
    step: &str,
    operator: Box<dyn Operator>,
    exchanged: bool,
    context: &HostContext,
) -> StreamVec<'s, u64, Parcel> {
    let metrics = context.metrics.step(step);
    host(
        stream,
        step,
        HostedStep { step: step.to_owned(), operator, context: context.clone(), metrics },
        exchanged,
        context,
    )
}

/// Hosts what adds rows up before they are split by a step's key; counted with the splitting.
pub(crate) fn host_combiner<'s>(
    stream: StreamVec<'s, u64, Parcel>,
    step: &str,
    operator: Box<dyn Operator>,
    context: &HostContext,
) -> StreamVec<'s, u64, Parcel> {
    let metrics = context.metrics.step(SPLIT_STEP);
    let hosted = HostedStep { step: step.to_owned(), operator, context: context.clone(), metrics };
    host(stream, &format!("{step}.totals"), hosted, false, context)
}

/// Hosts a sink; what leaves is only each epoch's close.
pub(crate) fn host_sink<'s>(
    stream: StreamVec<'s, u64, Parcel>,
    sink: &str,
    writer: Box<dyn SinkWriter>,
    context: &HostContext,
) -> StreamVec<'s, u64, Parcel> {
    let metrics = context.metrics.step(sink);
    host(
        stream,
        sink,
        HostedSink {
            sink: sink.to_owned(),
            writer,
            context: context.clone(),
            metrics,
            open_rows: 0,
        },
        false,
        context,
    )
}

fn host<'s, H: Hosted + 'static>(
    stream: StreamVec<'s, u64, Parcel>,
    name: &str,
    hosted: H,
    exchanged: bool,
    context: &HostContext,
) -> StreamVec<'s, u64, Parcel> {
    // Every worker builds the same operators; only the way in differs by step.
    if exchanged {
        let pact = Exchange::new(|p: &Parcel| u64::from(p.to));
        let mut body = HostBody::new(hosted, context);
        stream.unary_frontier::<CapacityContainerBuilder<Vec<Parcel>>, _, _, _>(
            pact,
            name,
            move |_, _| {
                move |(input, frontier), output| {
                    let port = output.output_index();
                    input.for_each_time(|capability, batches| {
                        body.receive(
                            *capability.time(),
                            || capability.retain(port),
                            batches.flat_map(|b| b.drain(..)),
                        )
                    });
                    body.advance(
                        |e| !frontier.less_equal(e),
                        |capability, parcel| output.session(capability).give(parcel),
                    );
                }
            },
        )
    } else {
        let mut body = HostBody::new(hosted, context);
        stream.unary_frontier::<CapacityContainerBuilder<Vec<Parcel>>, _, _, _>(
            Pipeline,
            name,
            move |_, _| {
                move |(input, frontier), output| {
                    let port = output.output_index();
                    input.for_each_time(|capability, batches| {
                        body.receive(
                            *capability.time(),
                            || capability.retain(port),
                            batches.flat_map(|b| b.drain(..)),
                        )
                    });
                    body.advance(
                        |e| !frontier.less_equal(e),
                        |capability, parcel| output.session(capability).give(parcel),
                    );
                }
            },
        )
    }
}

/// The part of a host that does not care how its rows come in.
struct HostBody<H> {
    hosted: H,
    worker: usize,
    next: u64,
    open: BTreeMap<u64, OpenEpoch>,
    failure: Failure,
}

impl<H: Hosted> HostBody<H> {
    fn new(hosted: H, context: &HostContext) -> Self {
        Self {
            hosted,
            worker: context.worker,
            next: context.first.0,
            open: BTreeMap::new(),
            failure: context.failure.clone(),
        }
    }

    fn receive(
        &mut self,
        epoch: u64,
        retain: impl FnOnce() -> Capability<u64>,
        parcels: impl Iterator<Item = Parcel>,
    ) {
        let open = self.open.entry(epoch).or_insert_with(|| OpenEpoch {
            capability: retain(),
            rows: Vec::new(),
            close: None,
        });
        for parcel in parcels {
            match parcel.body {
                Body::Rows(rows) => open.rows.push(rows.0),
                Body::Close(close) => open.close = Some(close),
                Body::Facts(_) => debug_assert!(false, "facts end at the clock"),
            }
        }
    }

    fn advance(
        &mut self,
        complete: impl Fn(&u64) -> bool,
        mut send: impl FnMut(&Capability<u64>, Parcel),
    ) {
        if self.failure.is_set() {
            self.open.clear();
            return;
        }
        while let Some(mut first) = self.open.first_entry() {
            let epoch = *first.key();
            if epoch != self.next {
                break;
            }
            let open = first.get_mut();
            for rows in std::mem::take(&mut open.rows) {
                match self.hosted.rows(Epoch(epoch), rows) {
                    Ok(out) => out
                        .into_iter()
                        .for_each(|rows| send(&open.capability, Parcel::rows(self.worker, rows))),
                    Err(e) => return self.failure.set(e),
                }
            }
            if !complete(&epoch) {
                break;
            }
            let Some(close) = open.close else {
                return self
                    .failure
                    .set(RunError::Bug { what: format!("epoch {epoch} ended without its close") });
            };
            match self.hosted.close(&close) {
                Ok(out) => out
                    .into_iter()
                    .for_each(|rows| send(&open.capability, Parcel::rows(self.worker, rows))),
                Err(e) => return self.failure.set(e),
            }
            send(&open.capability, Parcel::close(self.worker, close));
            first.remove();
            self.next += 1;
        }
    }
}
