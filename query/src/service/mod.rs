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
mod drive;
mod face;
mod limits;
mod planned;
mod session;
mod settings;
mod sqlstate;
mod start;
mod statement;
mod statements;
pub(crate) mod stopped;
mod turns;
mod user;

pub use answer::{Answer, Cancel};
pub use limits::Limits;
pub use planned::Described;
pub use session::Session;
pub use settings::SessionSettings;
pub use sqlstate::SqlState;
pub use start::{QueryService, ServiceSettings};
pub use statement::{Statement, parse};
pub(crate) use statements::Statements;
pub use stopped::Stopped;
pub use user::{ALL_SEEING, User};
