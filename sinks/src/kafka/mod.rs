//! Kafka topics as sinks: rows become JSON messages, each once for a reader of committed
//! transactions, or at once and at least once.
//!
//! ```text
//!   committed:    worker: rows ─▶ messages ─▶ epoch file
//!                 delivery: transactions of (messages of epochs, number of the last epoch)
//!   immediately:  worker: rows ─▶ messages ─▶ idempotent producer
//!                 committer: waits for their acknowledgement, then commits the epoch
//! ```
//! The number of the last delivered epoch is the committed offset of a consumer group of the sink's
//! own (partition 0 of the topic). It becomes visible with the messages of its transaction or not
//! at all, so that a restart asks the cluster what it has, and sends the rest. Where a broker has
//! lost the offset's half of that, the topic is read for the transactions that are there
//! ([`decide`]). The group's and the transactions' name is made from an identity that is kept in
//! the pipeline's store: a store that was made anew starts anew, and a second process on a copy of
//! it is fenced.

mod claim;
mod client;
mod decide;
mod deliver;
mod encode;
mod group;
mod hanging;
mod immediate;
mod notice;
mod parts;
mod progress;
mod proven;
mod said;
mod settings;
mod sink;
mod spec;
mod timestamps;
mod topic;
mod transaction;
mod turns;
mod window;
mod writer;

pub use said::{EPOCH_HEADER, TRANSACTION_HEADER};
pub use settings::setting_refused as kafka_setting_refused;
pub use sink::KafkaSink;
pub use spec::{KafkaSinkSpec, MESSAGE_ID_HEADER};
