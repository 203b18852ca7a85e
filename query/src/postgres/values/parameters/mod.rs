//! Values of parameters, from the forms in which clients send them.

mod array;
mod binary;
mod datetime;
mod decimal;
mod decode;
mod interval;
mod parsed;
mod scalar;
mod text;
mod units;
mod wide;

pub(crate) use decode::decode_parameter;
