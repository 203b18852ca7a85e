//! The readers of clients' bytes, for trials with bytes of all kinds from outside of this crate.

use bytes::BytesMut;

use super::sql;
use super::startup;
use super::wire::{Frontend, password};

/// Longest statement of a trial that is parsed, in bytes.
const STATEMENT_BYTES_MAX: usize = 4 << 10;

/// The messages in a client's bytes, as texts. The bytes come in pieces of so many; what is read is
/// the same whatever they are.
#[must_use]
pub fn postgres_messages(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut input = BytesMut::new();
    let mut read = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        input.extend_from_slice(piece);
        loop {
            match Frontend::take(&mut input) {
                Ok(Some(message)) => {
                    read.push(told(&message));
                    read.push(format!("{message:?}"));
                }
                Ok(None) => break,
                Err(problem) => {
                    read.push(format!("{problem:?}"));
                    return read;
                }
            }
        }
    }
    read
}

/// The first bytes of a client: what it asks for, and its parameters; as texts.
#[must_use]
pub fn postgres_start(bytes: &[u8]) -> Vec<String> {
    let mut read = startup::tried(bytes);
    let mut input = BytesMut::from(bytes);
    while let Ok(Some(password)) = password(&mut input) {
        read.push(format!("{password:?}"));
    }
    read
}

/// What a message's statement is.
fn told(message: &Frontend) -> String {
    let text = match message {
        Frontend::Query(text) | Frontend::Parse { text, .. } => text,
        Frontend::Bind(_)
        | Frontend::Describe(_)
        | Frontend::Execute { .. }
        | Frontend::Close(_)
        | Frontend::Flush
        | Frontend::Sync
        | Frontend::FunctionCall
        | Frontend::Copy
        | Frontend::Malformed { .. }
        | Frontend::Terminate => return String::new(),
    };
    match text.len() <= STATEMENT_BYTES_MAX {
        true => format!("{:?}", sql::parse_texts(text)),
        false => String::new(),
    }
}
