//! Timely workers around the pure parts: what runs a pipeline.
//!
//! ```text
//!  feed thread            every worker (timely)
//!  ───────────   blocks   ────────────────────────────────────────────────────────────
//!  Source.poll  ────────▶ intake ─▶ clock ─▶ hold ─▶ (route ─▶ step)* ─▶ sinks ─▶ done
//!       ▲                 decode    watermark  wait           keyed                 │
//!       │                                                                           │ parts
//!       │                 delivery thread              committer thread             │
//!       │                 ───────────────   commits    ────────────────             │
//!       │                 Delivery         ◀────────── epoch file      ◀────────────┘
//!       │                 visible                      put, sync
//!       └──────── committed epoch: the next may open ◀─────┘
//! ```
//! An epoch is closed by the feed alone. A close travels with the rows: every step on every worker
//! sees each epoch's close once, after all of its rows, hands over what changed, and passes it on.
//! When the last step has, the worker's part goes to the committer; when all parts are there, one
//! file is written. Snapshots are written, and needless files deleted, by a thread beside the
//! commits. Any failure anywhere stops the whole run; the next one goes on from the last commit.

mod accept;
mod clock;
mod committer;
mod control;
mod deliver;
mod encoded;
mod failure;
mod feed;
mod gather;
mod hand_over;
mod histogram;
mod host;
mod housekeeper;
mod intake;
mod lane;
mod left;
mod load;
mod metrics;
mod outside;
mod parcel;
mod parts;
mod plan;
mod progress;
mod recover;
mod route;
mod run;
mod spans;
mod threads;
mod wiring;

pub use accept::{Behind, Standing, accept, standing};
pub use clock::{Clock, SystemClock};
pub use control::{RunControl, RunSummary};
pub use failure::{RunError, StepsChanged};
pub use histogram::{Histogram, HistogramCounts};
pub use left::{check_waiting, lacks};
pub use metrics::{Metrics, PartitionMetrics, READ_STEP, SinkMetrics, StepMetrics};
pub use outside::FIRST_PATIENCE;
pub use plan::{
    BuildStep, BuildWriter, EngineConfig, EpochHook, Plan, SinkPlan, StepPlan, WhenQuiet,
    WorkerContext, shapes,
};
pub use run::run;
pub use spans::{Finished, Spans, Stretch};
