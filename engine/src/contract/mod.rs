//! The contracts between the engine and what is plugged into it: [`Source`], [`Operator`],
//! [`SinkWriter`] and [`Delivery`].
//!
//! Nothing here knows timely, tokio or a clock; implementations are driven by the runtime, and by
//! the simulation, alike.

use std::sync::Arc;

mod changes;
mod columns;
mod operator;
mod shape;
mod sink;
mod source;
mod state;

pub use changes::{
    CHANGE_COLUMNS, COMMIT_POSITION, COMMITTED_AT, OP, Op, POSITION, TRANSACTION, UNCHANGED,
    change_fields,
};
pub use columns::{
    DeadLetters, LATE, REASON_LATE, REASON_OVERFLOW, SOURCE_OFFSET, SOURCE_PARTITION, SourceSchema,
    dead_letter_schema, is_system_column,
};
pub use operator::{EpochClose, Operator, OperatorError, Output, Routing, TOTALS};
pub use shape::{Fact, Feed, Part, Shape, Shapes, Start};
pub use sink::{
    Delivery, NEEDS_NOTHING_AGAIN, OutboxEntry, OutboxPart, SinkError, SinkWriter, SyncFiles, Wake,
};
pub use source::{
    Block, Decoded, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position, Source, SourceError,
};
pub use state::{SavedState, StateBatch, StateDir};

/// Callback by which a source or a destination reports a problem that is being retried (a
/// sentence), or that the problem is over (`None`).
pub type Notice = Arc<dyn Fn(Option<String>) + Send + Sync>;
