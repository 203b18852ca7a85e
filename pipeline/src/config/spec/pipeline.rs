//! `[pipelines.NAME]`: steps from one source to destinations.

use std::sync::Arc;

use super::destination::Destination;
use super::order::{Late, Order};
use super::service::OnFailure;
use crate::config::span::Spanned;
use crate::steps::StepKind;

/// One pipeline.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The NAME of `[pipelines.NAME]`, unique.
    pub name: Spanned<String>,
    /// The source whose rows it takes.
    pub from: Spanned<String>,
    /// In which order rows meet the keyed steps.
    pub order: Order,
    /// What happens to a row behind the watermark.
    pub late: Late,
    /// What becomes of the program when the pipeline fails.
    pub on_failure: OnFailure,
    /// The steps, in order; ids unique within the pipeline.
    pub steps: Vec<Step>,
    /// The destinations, at least one; ids unique within the pipeline.
    pub to: Vec<Destination>,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The key of the step's state.
    pub id: Spanned<String>,
    /// What it does.
    pub(crate) kind: Arc<dyn StepKind>,
}
