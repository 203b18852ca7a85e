//! Changes captured from a database: what Debezium writes becomes rows of the form that [`riskstream_engine::contract::change_fields`] describes.

pub use riskstream_engine::contract::{
    CHANGE_COLUMNS, COMMIT_POSITION, COMMITTED_AT, OP, Op, POSITION, TRANSACTION, UNCHANGED, change_fields,
};
