//! What travels between timely operators: rows, and the facts and closes of epochs, each addressed
//! to a worker.

use crate::contract::EpochClose;
use crate::protocol::PartitionFacts;
use crate::store::{batch_from_ipc, batch_to_ipc};
use arrow::array::RecordBatch;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// A message to worker `to`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Parcel {
    pub(crate) to: u32,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Body {
    Rows(Rows),
    Facts(Facts),
    Close(EpochClose),
}

/// What one worker knows of an epoch at its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Newest event time of the partitions of which this worker decoded blocks.
    pub(crate) event_time_max: Vec<(u32, i64)>,
    /// The feed's facts about partitions, the same from every worker.
    pub(crate) partitions: Vec<PartitionFacts>,
    pub(crate) clock: Option<i64>,
    pub(crate) snapshot: bool,
    pub(crate) last: bool,
}

/// Rows; between processes they travel as Arrow IPC, between threads as they are.
#[derive(Debug, Clone)]
pub(crate) struct Rows(pub(crate) RecordBatch);

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = batch_to_ipc(&self.0).map_err(ser::Error::custom)?;
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        batch_from_ipc(&bytes).map(Self).map_err(de::Error::custom)
    }
}

impl Parcel {
    pub(crate) fn rows(to: usize, rows: RecordBatch) -> Self {
        Self { to: worker_number(to), body: Body::Rows(Rows(rows)) }
    }

    pub(crate) fn close(to: usize, close: EpochClose) -> Self {
        Self { to: worker_number(to), body: Body::Close(close) }
    }

    pub(crate) fn facts(to: usize, facts: Facts) -> Self {
        Self { to: worker_number(to), body: Body::Facts(facts) }
    }
}

fn worker_number(worker: usize) -> u32 {
    u32::try_from(worker).expect("there are at most 256 workers")
}
