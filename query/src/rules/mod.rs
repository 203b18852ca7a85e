//! Who may see what: users, row policies, column masks, and the audit.
//!
//! ```text
//!   users file ──▶ file ──▶ Policy ──▶ Rules (swapped whole by a reload)
//!                                       │ authenticate: verifier or token ──▶ User
//!                                       │ visible: User, table ──▶ Hidden | All | Ruled(rule)
//!   provider of all rows ──▶ barrier: guard(provider, rule) ──▶ provider of the user's rows
//!   statement done ──▶ audit: a chained line on the disk
//! ```
//! Invariants:
//! - What is not granted does not exist for the user: nothing here tells it from what is missing.
//! - Nothing of a statement is computed over a row or a value that its user may not see: rows and
//!   masks are decided below all of the statement, by a node that the optimizer sees as a leaf.
//! - A rule that does not fit a table shows less, never more.

mod audit;
mod authenticate;
mod barrier;
mod current;
mod file;
mod pattern;
mod policy;
mod problem;
mod reader;
mod rule;
mod visible;
mod watch;

pub use audit::{Audit, AuditError, AuditRecord, Tampered, Verified, audit_schema, read, verify};
pub use authenticate::{Method, NoRandomness, Refusal, SignedIn, Verifier, verifier};
pub(crate) use barrier::{guard, guarded};
pub use current::Rules;
pub use policy::{Policy, RoleLimits};
pub use problem::Problems;
pub(crate) use rule::TableRule;
pub(crate) use visible::{Seen, View};
