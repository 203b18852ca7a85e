//! Changes captured from a database: what Debezium writes becomes rows of the form that
//! [`riskstream_engine::contract::change_fields`] describes.

pub(crate) use riskstream_engine::contract::{CHANGE_COLUMNS, OP, Op, change_fields};

mod debezium;
mod value;

pub use debezium::DebeziumOptions;
pub(crate) use debezium::{Message, MessageKey, push_change, push_recorded};
pub use value::{DecimalHandling, TimePrecision};
