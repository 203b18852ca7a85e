//! What a client's text asks for.
//!
//! DataFusion's parser reads queries. Everything else that clients of PostgreSQL send is small, and
//! often in forms that it does not know: it is read here, from its tokens.

mod action;
mod copy;
mod cursors;
mod parse;
mod queries;
mod set;
mod text;
mod tokens;
mod types;
mod writes;

#[cfg(test)]
mod tests;

pub(super) use action::{Action, Move, Query, Scope};
pub(super) use parse::{parse, parse_one};
pub(super) use types::parameter_types;
