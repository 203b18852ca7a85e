//! What is done to one table, again and again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use riskstream_sinks::{
    DeltaRuntime, MaintainOptions, MaintainReport, SinkError, clean_table, compact_table,
};

use super::needed::NeededError;
use crate::config::spec::Maintain;

/// Old files are looked for this often, or four times within the retention: it lists every file of
/// the table.
const CLEAN_EVERY: Duration = Duration::from_secs(3_600);
const CLEANS_PER_RETENTION: u32 = 4;

/// A table that is kept up.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) table: String,
    location: PathBuf,
    options: MaintainOptions,
    clean_every: Duration,
    /// When old files were last looked for, in nanoseconds of the steady clock.
    cleaned_nanos: Option<u64>,
}

/// Why a round has failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpkeepError {
    #[error(transparent)]
    Table(#[from] SinkError),
    #[error("old files stay, since it is not known which are needed: {0}")]
    Needed(#[from] NeededError),
}

impl Upkeep {
    /// `by_hand`: what `riskstream maintain` would do to it.
    pub(super) fn new(
        table: String,
        location: PathBuf,
        by_hand: MaintainOptions,
        settings: &Maintain,
        stop: &Arc<AtomicBool>,
    ) -> Self {
        let options = MaintainOptions {
            min_files: settings.small_files,
            spares_large: true,
            stop: Arc::clone(stop),
            ..by_hand
        };
        let clean_every = CLEAN_EVERY.min(settings.retention / CLEANS_PER_RETENTION);
        Self { table, location, options, clean_every, cleaned_nanos: None }
    }

    /// Compacts, and looks for old files where it is time to. `needed` says which must stay. None
    /// where there is no table yet.
    pub(super) fn round(
        &mut self,
        runtime: &DeltaRuntime,
        now_nanos: u64,
        needed: impl FnOnce(&Path) -> Result<HashSet<String>, NeededError>,
    ) -> Result<Option<MaintainReport>, UpkeepError> {
        let mut report = match compact_table(runtime, &self.location, &self.options) {
            Ok(report) => report,
            Err(SinkError::NotATable { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_due = self.cleaned_nanos.is_none_or(|then| {
            Duration::from_nanos(now_nanos.saturating_sub(then)) >= self.clean_every
        });
        if is_due && !report.stopped {
            let keep = needed(&self.location)?;
            let options = MaintainOptions { keep, ..self.options.clone() };
            let cleaned = clean_table(runtime, &self.location, &options)?;
            report.files_removed = cleaned.files_removed;
            report.bytes_removed = cleaned.bytes_removed;
            report.log_files_removed = cleaned.log_files_removed;
            self.cleaned_nanos = Some(now_nanos);
        }
        Ok(Some(report))
    }
}
