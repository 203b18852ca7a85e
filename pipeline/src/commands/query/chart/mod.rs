//! Results as charts: in a terminal, and as SVG.
//!
//! ```text
//!   batches ─▶ data (axis, series) ─▶ plan (bars or lines, scales) ─▶ bars | lines │ picture
//! ```
//! Invariants:
//! - Decimals become floats for their place only; what is printed beside a bar is exact.
//! - A terminal and a picture have the same scales and labels.
//! - What is not drawn is said.

mod bars;
mod data;
mod kind;
mod lines;
mod no_chart;
mod paint;
mod picture;
mod plan;
mod scale;
mod times;

#[cfg(test)]
mod tests;

pub(super) use bars::bars;
pub(super) use data::Collector;
pub(super) use kind::ChartKind;
pub(super) use lines::lines;
pub(super) use no_chart::NoChart;
pub(super) use paint::Paper;
pub(super) use picture::picture;
pub(super) use plan::{Drawn, plan};
