//! The engine's decisions, as pure functions and small state machines: no timely, no tokio, no
//! clock, no I/O.
//!
//! | decision | owner |
//! | --- | --- |
//! | what an epoch contains and when it closes | [`EpochPolicy`] |
//! | which partition is read next | [`Turns`] |
//! | how far the machine's clock is believed | [`WallTime`] |
//! | how far event time has come | [`WatermarkTracker`] |
//! | which rows wait, pass, or are late | [`Hold`] |
//! | which commits are the truth after a restart | [`decide_resume`] |
//! | which files nothing names any more | [`decide_collect`] |
//! | whether saved state goes on after a change of its step | [`decide_evolution`] |
//! | whose store this is, and where its rows go | [`Origin`] |
//! | whether a destination that is behind can catch up | [`decide_reach`] |
//! | what fires when | [`Timers`] |

mod collect;
mod epochs;
mod evolve;
mod hold;
mod origin;
mod reach;
mod resume;
mod saved_clock;
mod timers;
mod turns;
mod wall;
mod watermark;

pub use collect::{CollectDecision, CollectFacts, SNAPSHOTS_KEPT, decide_collect};
pub use epochs::{EpochDecision, EpochLimits, EpochPolicy, SnapshotAge};
pub use evolve::{
    Difference, Evolution, StepEvolution, Taken, Taking, decide_evolution, decide_evolutions,
};
pub use hold::{Hold, LatePolicy, Order};
pub use origin::{Named, Origin, OriginChange, Writer, strangers};
pub use reach::{Gap, KeptMark, Missing, SinkMark, decide_reach, is_ahead};
pub use resume::{
    Claim, EpochName, ResumeDecision, ResumeError, ResumeFacts, decide_resume,
    snapshot_that_counts, that_count,
};
pub use saved_clock::{CLOCK_STEP, SavedTracker, TRACKER};
pub use timers::{Timer, Timers};
pub use turns::{Held, Round, Seen, TurnLimits, Turns};
pub use wall::{Told, WallTime, put_back};
pub use watermark::{EpochFacts, PartitionFacts, WatermarkTracker};
