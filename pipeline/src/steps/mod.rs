//! The kinds of steps, a file each: its key in `pipelines.toml`, how it is read, which columns it
//! makes, its operator, what `explain` says of it, whether it has state, and how what leaves it is
//! made. What it does with rows is in `operators/`.
//!
//! To add a kind: a file here that has a [`Kind`] and implements [`StepKind`], its line in
//! [`KINDS`], and its operator. Nothing else in the program names a kind.

#![warn(clippy::wildcard_enum_match_arm)]

mod aggregate;
mod calls;
mod chain;
mod changelog;
mod columns;
mod decide;
mod derive;
mod extents;
mod features;
mod filter;
mod identities;
mod kind;
mod lineage;
mod previous;
mod read;
mod sample;
mod score;
mod shares;

pub(crate) use chain::{Chain, micros};
pub(crate) use columns::{Flow, Known, WindowKey, type_name};
pub(crate) use filter::plan_filter;
pub(crate) use kind::{Explained, Kind, StepKind};
pub(crate) use lineage::{Around, Lineage};

/// All kinds, in the order in which messages name them.
pub(crate) static KINDS: &[&Kind] = &[
    &filter::KIND,
    &derive::KIND,
    &features::KIND,
    &changelog::KIND,
    &previous::KIND,
    &sample::KIND,
    &aggregate::KIND,
    &shares::KIND,
    &identities::KIND,
    &score::KIND,
    &decide::KIND,
];
