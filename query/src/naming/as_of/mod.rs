//! Tables as they were: `loans for version as of 12`, `loans for timestamp as of '…'`.
//!
//! ```text
//!   tokens ─▶ clause: takes `for … as of …` out ─▶ parser ─▶ clause: names the table after it
//!                                                                │ "loans for version as of 12"
//!                              catalog ◀── name: which table, and as of what ◀┘
//!                                 └─▶ instant: what time an expression is, when it is looked up
//! ```
//! From the parser on, an old version is a table of its own with a name of its own, so all that is
//! done to statements is done to it as to any table. A client may write that name, in quotes: what
//! is seen under it is decided by the same rules.

mod clause;
mod instant;
mod name;

pub(crate) use clause::{put_in, take_out};
pub(crate) use instant::micros;
pub(crate) use name::{At, Old, old};
