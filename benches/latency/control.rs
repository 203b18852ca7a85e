//! The latency that the machine itself adds: two threads hand over the same payments by the same
//! schedule, with as much work per batch and payment, but without engine, store or disk. Where this
//! control misses a goal, the processors were busy elsewhere, and no program would have met the
//! goal.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::arrivals::Schedule;

/// How long the first thread sleeps when nothing has arrived: as the engine's feed does.
const NAP: Duration = Duration::from_micros(500);
/// What the steps of the plan take for a batch, and for each payment in it, as measured on the
/// worker: batches that waited are larger, and cost less a payment.
const WORK: (Duration, Duration) = (Duration::from_micros(100), Duration::from_micros(10));
/// Rounds of work that are timed to know how long one takes.
const TRIAL: u64 = 2_000_000;

/// Latencies in nanoseconds of `rows` payments at `rate` a second.
pub(crate) fn latencies(rate: u64, rows: u64) -> Vec<u64> {
    let (of_a_batch, of_a_payment) = (rounds_for(WORK.0), rounds_for(WORK.1));
    let schedule = Arc::new(Schedule::new(rate));
    let (give, take) = channel::<std::ops::Range<u64>>();
    let feed = {
        let schedule = Arc::clone(&schedule);
        move || {
            let mut given = 0;
            while given < rows {
                let arrived = schedule.arrived().min(rows);
                if arrived == given {
                    std::thread::sleep(NAP);
                } else if give.send(given..arrived).is_err() {
                    return;
                } else {
                    given = arrived;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(feed);
        let mut nanos = Vec::with_capacity(usize::try_from(rows).unwrap_or(0));
        while let Ok(mut batch) = take.recv() {
            // Payments that arrived during the last batch join this one, as in the engine.
            while let Ok(more) = take.try_recv() {
                batch.end = more.end;
            }
            compute(of_a_batch + (batch.end - batch.start) * of_a_payment);
            let now = schedule.now_nanos();
            nanos.extend(batch.map(|arrival| now.saturating_sub(schedule.arrives_at(arrival))));
        }
        nanos
    })
}

/// Does a fixed number of rounds of work, which take longer when the processor is busy elsewhere.
fn compute(rounds: u64) {
    let mut value = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for round in 0..rounds {
        value = black_box(value.rotate_left(5) ^ round);
    }
}

/// Rounds of [`compute`] that take `work` when nothing comes in between: the fastest of a few
/// trials.
fn rounds_for(work: Duration) -> u64 {
    let trial = || {
        let started = Instant::now();
        compute(TRIAL);
        started.elapsed()
    };
    let fastest = (0..20).map(|_| trial()).min().unwrap_or_default();
    (work.as_secs_f64() / fastest.as_secs_f64().max(1e-9) * TRIAL as f64) as u64
}
