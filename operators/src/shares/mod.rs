//! Each window's share of its group: how many of the loans that were current went to which status,
//! or how much of the book a lender holds.
//!
//! Comes after an `aggregate` step. The rows of one window whose values in `of` are equal are a
//! **group**. When a row of a group changes, its rows leave again with the group's new total and
//! their shares of it: those that changed, and all of them where the total did. `revision`,
//! `is_final` and `complete_through` are those of the publication. Totals are exact, of floats too;
//! a share is divided once.
//!
//! Open windows without a start have no shares, because not all rows of their instant are there
//! yet. A group is kept as long as the step before may change it.

mod groups;
mod operator;
mod spec;

pub use groups::Groups;
pub use operator::{Shares, SharesOperator};
pub use spec::{ShareFunction, ShareSpec, SharesSpec};
