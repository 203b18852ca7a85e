//! Messages over a socket.
//!
//! Messages to the client are written by pgwire's codec. Those from the client are read here: the
//! codec (0.42.1) reads beyond a message whose texts do not end, and panics where bytes are
//! missing.

mod channel;
mod frontend;
mod stream;

pub(super) use channel::Channel;
pub(super) use frontend::{Bound, Frontend, Target, check_formats, password};
pub(super) use stream::Stream;
