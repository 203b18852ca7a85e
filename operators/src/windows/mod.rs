//! Rows added up per key and window of event time.
//!
//! ```text
//!   batches ─▶ keys (numbers) ─▶ panes: totals per key and slice of time
//!           ──(the epoch's close)──▶ published: one row per key and window
//! ```
//! A window is a number of steps long, and a window starts at every step: windows of one step are
//! tumbling, longer ones are hopping. Steps are aligned to 1970-01-01 00:00 UTC, or are calendar
//! months. Windows may also have no start: one ends at every step and holds all rows before its
//! end. Every row is added once, to the **pane** of its step; a window's totals are those of its
//! panes put together, exactly (sums of floats too). So a window that hops 30 times costs no more
//! per row than one that tumbles.
//!
//! **Sessions** are windows of a key's own: its rows that are less than a gap apart, to the gap
//! after the last of them. A late row makes a session longer, or one of two; a session that is no
//! longer there is published once more with a count of 0. A session is known by its start.
//!
//! Where there are several workers, rows are added up batch by batch before they go to the workers
//! of their keys ([`Operator::combiner`]), as long as that makes few rows of many.
//!
//! [`Operator::combiner`]: riskstream_engine::contract::Operator::combiner
//!
//! At each epoch's close a window is published whose end the watermark has reached (**final**),
//! and, unless only final results are wanted, each one that a row of the epoch changed. A row that
//! comes after its window was final changes it all the same: the window is published again
//! (**restated**). `revision` rises with every publication, so the newest row of a window is the
//! one with the largest; `complete_through` is the watermark that it was published under. When the
//! input ends, windows that are still open are published as they stand, not final: a later run may
//! go on with newer rows. A row becomes a dead letter once, for some kind of windows, the watermark
//! is `keep` past the end of the last window that holds it; panes are kept as long as a window of a
//! row that is still accepted needs them.

mod always;
mod combiner;
mod due;
mod gate;
mod moment;
mod operator;
mod pane;
mod panes;
mod passed;
mod persist;
mod publish;
mod sessions;
mod since;
mod spec;
mod totals;

pub use operator::WindowsOperator;
pub(crate) use spec::sum_type;
pub use spec::{
    AggregateFunction, AggregateSpec, COMPLETE_THROUGH, Extent, IS_FINAL, Publish, REVISION,
    WINDOW, WINDOW_END, WINDOW_START, WindowKind, WindowsSpec,
};
