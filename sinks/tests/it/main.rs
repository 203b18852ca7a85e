//! Delivery, maintenance and reading back, on real folders.

mod delivery;
mod maintenance;
mod staging;
mod support;
