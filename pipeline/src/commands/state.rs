//! `riskstream state`: what pipelines have stored, listed, dropped or renamed between two runs.

mod anew;
mod drop;
mod list;
mod rename;
mod stored;

use std::io::Write;

pub(crate) use anew::{Anew, begin_anew, plan_anew};

use super::{CommandError, load};
use crate::cli::{StateArgs, StateCommand};

/// Lists, drops or renames.
///
/// # Errors
/// A name that isn't there, a store in use or damaged, or a user who does not agree.
pub fn state(args: &StateArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    match &args.command {
        StateCommand::List(args) => list::list(args, out),
        StateCommand::Drop(args) => drop::drop(args, &load(&(&args.config).into())?, out),
        StateCommand::Rename(args) => rename::rename(args, &load(&(&args.config).into())?, out),
    }
}
