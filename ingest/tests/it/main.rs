//! Files as they come, good and bad: what each gives, from the outside.

mod bad_input;
mod banks;
mod changed;
mod formats;
mod inferred;
mod postgres;
mod replay;
mod resume;
mod support;
