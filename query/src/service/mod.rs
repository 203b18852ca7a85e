//! The core that every port stands on: "run this statement for this user".
//!
//! ```text
//!   port ──▶ Session.describe(statement) ──▶ columns and parameters
//!        ──▶ Session.run(statement, parameters) ──▶ Answer: a stream of batches, and its Cancel
//!                 │ pins: table versions, their epochs, store epochs
//!                 ▼
//!           catalog of this user (rules) over lake and live rows
//! ```
//! Invariants:
//! - A session belongs to one client; nothing that it sets is seen by another.
//! - All tables of a statement, and all statements of a transaction, are seen at one pin.
//! - Work is done on the service's own threads and within its memory; dropping an answer, or
//!   cancelling it, ends the work.

mod answer;
mod base_state;
mod counts;
mod drive;
mod entry;
mod explained;
mod face;
mod faults;
mod guard;
mod kept;
mod limits;
mod order;
mod ordered;
mod parameters;
mod planned;
mod policies;
mod running;
mod session;
mod settings;
mod source;
mod sqlstate;
mod start;
mod statement;
mod statements;
mod table_command;
mod time;
mod turns;
mod unbound;
mod watched;
mod words;
mod work;

#[cfg(test)]
mod tests;

pub use crate::stopped::Stopped;
pub use crate::user::{ALL_SEEING, User};
pub use answer::{Answer, Cancel};
pub use counts::{Counted, Ended, ServiceCounts};
pub use limits::Limits;
pub use planned::Described;
pub use session::Session;
pub use settings::SessionSettings;
pub use sqlstate::SqlState;
pub use start::{QueryService, ServiceSettings};
pub use statement::{Statement, parse};
