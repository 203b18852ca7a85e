//! What a source and its reader, a thread of its own, share and hand over.

use crate::postgres::endpoint::Endpoint;
use crate::postgres::place::Place;
use arrow::datatypes::DataType;
use bytes::Bytes;
use pgwire_replication::Lsn;
use riskstream_engine::contract::{Notice, Position};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a source reads.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) table: String,
    pub(crate) slot: String,
    pub(crate) publication: String,
    /// The source's columns of the table.
    pub(crate) columns: Vec<(String, DataType)>,
    pub(crate) heartbeat: Duration,
    pub(crate) stop_at_end: bool,
    pub(crate) first_patience: Duration,
}

/// What the source and its reader know of each other.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) stop: AtomicBool,
    /// The reader is connected and streaming, so an empty channel means that the source has caught
    /// up.
    pub(crate) streaming: AtomicBool,
    committed: Mutex<Option<Place>>,
    notice: Mutex<Option<Notice>>,
}

/// What the reader hands over.
#[derive(Debug)]
pub(crate) enum Handed {
    /// Frames, the offset of their first row, and the position after them.
    Block { frames: Bytes, first_offset: i64, next: Position },
    /// Everything up to the end that was asked for was read.
    End(Position),
}

impl Shared {
    pub(crate) fn set_committed(&self, place: Place) {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    pub(crate) fn set_notice(&self, notice: Notice) {
        *self.notice.lock().unwrap_or_else(PoisonError::into_inner) = Some(notice);
    }

    /// Whether the newest commit records that the slot is this source's own and that the snapshot
    /// is still to be read.
    pub(crate) fn is_claimed(&self) -> bool {
        self.committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|place| place.snapshot)
    }

    /// The LSN to acknowledge: everything before it is committed, and so durable, here.
    pub(crate) fn safe(&self) -> Lsn {
        let committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        committed.as_ref().filter(|place| !place.snapshot).map_or(Lsn::ZERO, |place| place.lsn)
    }

    pub(crate) fn say(&self, reason: Option<String>) {
        if let Some(notice) = &*self.notice.lock().unwrap_or_else(PoisonError::into_inner) {
            notice(reason);
        }
    }
}
