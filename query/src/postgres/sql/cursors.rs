//! `DECLARE`, `FETCH`, `MOVE`.

use super::action::{Action, Move};
use super::queries::{Inner, inner};
use super::tokens::Tokens;
use crate::postgres::error::Problem;

pub(super) fn declare(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    let name = tokens.name().ok_or_else(|| tokens.unexpected())?;
    let (mut binary, mut scroll) = (false, false);
    loop {
        if tokens.word("BINARY") {
            binary = true;
        } else if tokens.words(&["NO", "SCROLL"]) {
            scroll = false;
        } else if tokens.word("SCROLL") {
            scroll = true;
        } else if tokens.one_of(&["INSENSITIVE", "ASENSITIVE"]).is_none() {
            break;
        }
    }
    if !tokens.word("CURSOR") {
        return Err(tokens.unexpected());
    }
    let hold = match tokens.one_of(&["WITH", "WITHOUT"]) {
        Some(with) if tokens.word("HOLD") => with == "WITH",
        Some(_) => return Err(tokens.unexpected()),
        None => false,
    };
    if !tokens.word("FOR") {
        return Err(tokens.unexpected());
    }
    match inner(tokens)? {
        Inner::Query(_) if scroll => {
            let problem = Problem::unsupported("cursors that scroll are not supported")
                .with_hint("Declare it with NO SCROLL, and fetch forward.");
            Ok(Action::Refused(Box::new(problem)))
        }
        Inner::Query(query) => Ok(Action::Declare { name, binary, hold, query }),
        Inner::Refused(problem) => Ok(Action::Refused(problem)),
    }
}

pub(super) fn fetch(mut tokens: Tokens<'_>) -> Result<(String, Move), Problem> {
    let to = direction(&mut tokens);
    let _word = tokens.one_of(&["FROM", "IN"]);
    let name = tokens.name().ok_or_else(|| tokens.unexpected())?;
    tokens.end((name, to))
}

/// Where to go. A cursor may have the name of a direction: then nothing follows it.
fn direction(tokens: &mut Tokens<'_>) -> Move {
    let mut next = *tokens;
    let to = match next.one_of(&[
        "NEXT", "PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "ALL", "FORWARD", "BACKWARD",
    ]) {
        Some("NEXT") => Move::Forward(Some(1)),
        Some("FIRST") => Move::Absolute(1),
        Some("ALL") => Move::Forward(None),
        Some(word @ ("ABSOLUTE" | "RELATIVE")) => match (word, next.integer().map(u64::try_from)) {
            ("ABSOLUTE", Some(Ok(row))) => Move::Absolute(row),
            (_, Some(Ok(rows))) => Move::Relative(rows),
            _ => Move::Back,
        },
        Some("FORWARD") => match next.integer() {
            Some(rows) => forward(rows),
            None if next.word("ALL") => Move::Forward(None),
            None => Move::Forward(Some(1)),
        },
        Some("BACKWARD") => {
            match next.integer() {
                // Zero rows back is the row itself, and less than none is forward.
                Some(rows) if rows <= 0 => forward(rows.saturating_neg()),
                Some(_) => Move::Back,
                None => {
                    let _all = next.word("ALL");
                    Move::Back
                }
            }
        }
        Some(_) => Move::Back,
        None => match next.integer() {
            Some(rows) => forward(rows),
            None => Move::Forward(Some(1)),
        },
    };
    if next.is_at_end() {
        return Move::Forward(Some(1));
    }
    *tokens = next;
    to
}

fn forward(rows: i64) -> Move {
    match u64::try_from(rows) {
        Ok(0) => Move::Relative(0),
        Ok(rows) => Move::Forward(Some(rows)),
        Err(_) => Move::Back,
    }
}
