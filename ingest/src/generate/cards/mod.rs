//! Card payments.
//!
//! After the published description of the simulator in "Reproducible Machine Learning for Credit
//! Card Fraud Detection: Practical Handbook", chapter 3 (Le Borgne, Siblini, Lebichot, Bontempi):
//! customers and terminals on a 100 × 100 map, customers who pay at terminals within a radius,
//! amounts and daily numbers by customer, and three fraud scenarios. The code is our own.
//!
//! Everything follows from the seed: days are drawn from streams of their own, so any day can be
//! made without the ones before it.

mod day;
mod generated;
mod rows;
mod spec;
mod world;

pub(crate) use world::below;

pub use spec::{GeneratorSpec, IdType};
