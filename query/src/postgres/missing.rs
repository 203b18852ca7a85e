//! Names that are not there, or are there already.

use super::error::Problem;

pub(super) fn no_statement(name: &str) -> Problem {
    Problem::error("26000", format!("prepared statement \"{name}\" does not exist"))
}

pub(super) fn statement_exists(name: &str) -> Problem {
    Problem::error("42P05", format!("prepared statement \"{name}\" already exists"))
}

pub(super) fn no_portal(name: &str) -> Problem {
    Problem::error("34000", format!("portal \"{name}\" does not exist"))
}

pub(super) fn no_cursor(name: &str) -> Problem {
    Problem::error("34000", format!("cursor \"{name}\" does not exist"))
}

pub(super) fn cursor_exists(name: &str) -> Problem {
    Problem::error("42P03", format!("cursor \"{name}\" already exists"))
}
