//! The text form of values, as PostgreSQL's output functions print it.

mod datetime;
mod float;
mod item;
mod json;
mod json_string;
mod put;
mod scalar;

pub(super) use item::write_item;
pub(super) use json::write_json;
pub(super) use json_string::json_key;
pub(super) use put::{enclose, escape};
