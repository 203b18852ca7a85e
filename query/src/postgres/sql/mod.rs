//! What a client's text asks for.
//!
//! DataFusion's parser reads queries. Everything else that clients of PostgreSQL send is small, and
//! often in forms that it does not know: it is read here, from its tokens.

mod action;
mod copy;
mod cursors;
mod origin;
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
#[cfg(test)]
use parse::parse;
pub(super) use parse::{parse_one, parse_texts};
pub(super) use types::parameter_types;
