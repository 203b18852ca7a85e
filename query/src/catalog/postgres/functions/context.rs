//! What functions answer from.

use std::sync::Arc;

use super::super::known::Known;
use super::super::settings::SettingsShown;

/// What functions answer from.
#[derive(Debug, Clone)]
pub(crate) struct FunctionContext {
    /// What the user may see.
    pub(crate) known: Arc<Known>,
    /// The connection's settings.
    pub(crate) settings: SettingsShown,
}
