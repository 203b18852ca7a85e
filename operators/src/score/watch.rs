//! Looks for newer models in the registry. It reads no clock: the caller polls when it likes, say
//! at each epoch's end.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use riskstream_models::{Model, Registry, RegistryError};

use crate::score::check_features;
use crate::step_error::FeatureMismatch;

/// Follows one model of the registry.
#[derive(Debug)]
pub struct ModelWatch {
    name: String,
    schema: SchemaRef,
    /// The newest version that was looked at, taken or refused.
    seen: u64,
}

/// What a poll found.
#[derive(Debug, Default)]
pub struct Watched {
    /// A newer model that loads and fits the step's rows; publish it.
    pub model: Option<Arc<Model>>,
    /// Newer versions that were refused, each told once.
    pub problems: Vec<WatchProblem>,
}

/// A newer version that is not taken; the run goes on with the model that it has.
#[derive(Debug, thiserror::Error)]
pub enum WatchProblem {
    /// It can't be read or is damaged.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It reads what the step's rows don't have.
    #[error(transparent)]
    Features(#[from] FeatureMismatch),
}

impl ModelWatch {
    /// Follows the model `name` for a step with input `schema`, of which `current` is in force.
    #[must_use]
    pub fn new(name: &str, schema: SchemaRef, current: u64) -> Self {
        Self { name: name.to_owned(), schema, seen: current }
    }

    /// The newest version above all seen so far that can be used. Costs one folder listing when
    /// there is nothing new.
    pub fn poll(&mut self, registry: &Registry) -> Watched {
        let mut watched = Watched::default();
        let versions = match registry.versions(&self.name) {
            Ok(versions) => versions,
            Err(error) => {
                watched.problems.push(error.into());
                return watched;
            }
        };
        let newer: Vec<u64> = versions.into_iter().filter(|version| *version > self.seen).collect();
        for version in newer.iter().rev() {
            match self.load(registry, *version) {
                Ok(model) => {
                    watched.model = Some(model);
                    break;
                }
                Err(problem) => watched.problems.push(problem),
            }
        }
        // A version that a disk error hid is tried again by the next poll.
        let hidden = watched
            .problems
            .iter()
            .any(|problem| matches!(problem, WatchProblem::Registry(RegistryError::Io { .. })));
        match &watched.model {
            Some(model) if hidden => self.seen = model.version,
            None if hidden => {}
            _ => self.seen = newer.last().copied().unwrap_or(self.seen),
        }
        watched
    }

    fn load(&self, registry: &Registry, version: u64) -> Result<Arc<Model>, WatchProblem> {
        let model = registry.load(&self.name, version)?;
        check_features(&model, &self.schema)?;
        Ok(Arc::new(model))
    }
}
