//! Which model is in force in which epoch, shared by all workers without a lock on the reading
//! side.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use arrow::datatypes::Schema;
use riskstream_engine::ids::Epoch;
use riskstream_models::{FeatureKind, Model};

use crate::step_error::FeatureMismatch;

/// `name@version`, as scored rows carry it.
#[must_use]
pub fn model_tag(model: &Model) -> String {
    format!("{}@{}", model.name, model.version)
}

/// Whether `model` can score rows of `schema`: every feature is a column, and of a type that is a
/// number or a boolean.
///
/// # Errors
/// With one sentence per feature that is not there or of another type.
pub fn check_features(model: &Model, schema: &Schema) -> Result<(), FeatureMismatch> {
    let problem =
        |feature: &riskstream_models::FeatureSpec| match schema.field_with_name(&feature.name) {
            Err(_) => Some(format!("feature `{}` is not a column here", feature.name)),
            Ok(field) if FeatureKind::of(field.data_type()).is_none() => Some(format!(
                "feature `{}` is {}, which is neither a number nor a boolean",
                feature.name,
                field.data_type()
            )),
            Ok(_) => None,
        };
    let problems: Vec<String> = model.features.iter().filter_map(problem).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(FeatureMismatch { model: model_tag(model), problems })
    }
}

/// A model can't be put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// A later model is already in force from a later epoch.
    #[error(
        "model {model} would be in force from epoch {from}, but another one is from epoch {newest} \
         on; publish for a later epoch"
    )]
    Order {
        /// `name@version`.
        model: String,
        /// The epoch asked for.
        from: Epoch,
        /// The newest entry's epoch.
        newest: Epoch,
    },
}

/// The model of each epoch. Readers never wait; writers are rare.
///
/// Invariant: there is always at least one entry, and entries are ordered by epoch, so every epoch
/// has exactly one model.
#[derive(Debug)]
pub struct ModelCell {
    entries: ArcSwap<Vec<(Epoch, Arc<Model>)>>,
    /// Held while entries are replaced, so that two writers don't undo each other.
    writing: Mutex<()>,
}

impl ModelCell {
    /// `model` is in force in every epoch.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        Self { entries: ArcSwap::from_pointee(vec![(Epoch(0), model)]), writing: Mutex::new(()) }
    }

    /// Puts `model` in force from epoch `from` on.
    ///
    /// No worker may have seen a row of epoch `from` yet: name an epoch that is not open. A model
    /// published twice for one epoch replaces the first. Check it with [`check_features`] before.
    ///
    /// # Errors
    /// When another model is in force from a later epoch on.
    pub fn publish(&self, from: Epoch, model: Arc<Model>) -> Result<(), PublishError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.entries.load().as_ref().clone();
        if let Some((newest, _)) = entries.last() {
            if *newest > from {
                return Err(PublishError::Order {
                    model: model_tag(&model),
                    from,
                    newest: *newest,
                });
            }
            if *newest == from {
                entries.pop();
            }
        }
        entries.push((from, model));
        self.entries.store(Arc::new(entries));
        Ok(())
    }

    /// The model that scores the rows of `epoch`. The first one there is, if `epoch` was pruned.
    #[must_use]
    pub fn effective_at(&self, epoch: Epoch) -> Arc<Model> {
        let entries = self.entries.load();
        let after = entries.partition_point(|(from, _)| *from <= epoch);
        Arc::clone(&entries[after.saturating_sub(1)].1)
    }

    /// The model that newest epochs get.
    #[must_use]
    pub fn newest(&self) -> Arc<Model> {
        self.effective_at(Epoch(u64::MAX))
    }

    /// Every model that some epoch may still ask for, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Model>> {
        self.entries.load().iter().map(|(_, model)| Arc::clone(model)).collect()
    }

    /// Forgets the models that only epochs up to `done` used; call it when epoch `done` is
    /// committed.
    pub fn prune(&self, done: Epoch) {
        let unused = |entries: &[(Epoch, Arc<Model>)]| {
            entries.partition_point(|(from, _)| *from <= done.next()).saturating_sub(1)
        };
        if unused(&self.entries.load()) == 0 {
            return;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = self.entries.load();
        let kept = entries[unused(&entries)..].to_vec();
        self.entries.store(Arc::new(kept));
    }
}
