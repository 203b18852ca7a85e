//! How a pipeline went in the last hour: samples that a running program keeps in the data folder,
//! for `riskstream status` and whoever else looks.
//!
//! A file per pipeline, written anew with each sample and then put in place, so that a reader sees
//! the old or the new one. It is not synced: what a loss of power takes is an hour's chart.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Config;

/// Seconds from one sample to the next.
pub const EVERY_SECONDS: u64 = 10;
/// Seconds of which samples are kept.
pub const KEPT_SECONDS: i64 = 3_600;

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, seconds since 1970.
    pub at: i64,
    /// Rows committed per second since the sample before.
    pub rows_per_second: f64,
    /// How far the watermark was behind the clock, in seconds; none before the first row.
    pub lag_seconds: Option<f64>,
}

/// The samples of the last hour, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LastHour {
    /// The samples.
    pub samples: VecDeque<Sample>,
}

impl LastHour {
    /// Those of a pipeline; none where no program has written any, or they can't be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Adds a sample, and drops those that are older than an hour then.
    pub fn push(&mut self, sample: Sample) {
        self.samples.push_back(sample);
        self.drop_before(sample.at - KEPT_SECONDS);
    }

    /// Drops what is older than that.
    pub fn drop_before(&mut self, at: i64) {
        while self.samples.pop_front_if(|sample| sample.at <= at).is_some() {}
    }

    /// Puts them into the file `path`, whose folder is made.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        put(path, &serde_json::to_vec(self)?)
    }

    /// The means of what `value` gives over `columns` equal stretches of the hour that ends at
    /// `now`, oldest first; none for a stretch without a sample.
    #[must_use]
    pub fn means(
        &self,
        now: i64,
        columns: usize,
        value: impl Fn(&Sample) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0u32); columns];
        for sample in &self.samples {
            let age = now.saturating_sub(sample.at);
            let (Some(value), true) = (value(sample), (0..KEPT_SECONDS).contains(&age)) else {
                continue;
            };
            let back = usize::try_from(age).unwrap_or(0) * columns / KEPT_SECONDS as usize;
            if let Some((sum, count)) = sums.get_mut(columns - 1 - back) {
                *sum += value;
                *count += 1;
            }
        }
        sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))).collect()
    }
}

/// Puts a file in place as a whole, in a folder that is made.
pub(super) fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, path)
}

/// The file that says how a pipeline is now, beside its samples.
#[must_use]
pub fn now_location(config: &Config, pipeline: &str) -> PathBuf {
    beside(&samples_location(config, pipeline))
}

/// The file `NAME.now.json`. An id has no dot, so that no pipeline's samples have this name.
pub(super) fn beside(samples: &Path) -> PathBuf {
    samples.with_extension("now.json")
}

/// Where the samples of a pipeline are.
#[must_use]
pub fn samples_location(config: &Config, pipeline: &str) -> PathBuf {
    let data = &config.spec.riskstream.data.value;
    data.join("samples").join(format!("{pipeline}.json"))
}

/// Draws values as a line of bars, a character each, the largest as high as it goes.
#[must_use]
pub fn bars(values: &[Option<f64>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if most > 0.0 => {
            let height = (value.max(0.0) / most * BARS.len() as f64).ceil() as usize;
            BARS[height.clamp(1, BARS.len()) - 1]
        }
        Some(_) => BARS[0],
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64, rows_per_second: f64) -> Sample {
        Sample { at, rows_per_second, lag_seconds: None }
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut hour = LastHour::default();
        for at in 0..10_000 {
            hour.push(sample(at * 10, 1.0));
        }
        assert_eq!(hour.samples.len(), 360);
        assert_eq!(hour.samples.back().map(|s| s.at), Some(99_990));
    }

    #[test]
    fn what_was_written_is_read_and_a_torn_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples/a.json");
        let mut hour = LastHour::default();
        hour.push(Sample { at: 7, rows_per_second: 1.5, lag_seconds: Some(2.25) });
        hour.write(&path).unwrap();
        assert_eq!(LastHour::read(&path), hour);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(LastHour::read(&path), LastHour::default());
    }

    #[test]
    fn a_column_is_the_mean_of_its_samples() {
        let mut hour = LastHour::default();
        for (at, rows) in [(100, 9.0), (6_401, 1.0), (6_410, 3.0), (9_999, 8.0), (10_000, 4.0)] {
            hour.samples.push_back(sample(at, rows));
        }
        let means = hour.means(10_000, 60, |s| Some(s.rows_per_second));
        assert_eq!(means.len(), 60);
        assert_eq!((means[0], means[1], means[59]), (Some(2.0), None, Some(6.0)));
        assert_eq!(bars(&[Some(2.0), None, Some(16.0), Some(0.0), Some(9.0)]), "▁ █▁▅");
        assert_eq!(bars(&[Some(0.0), None]), "▁ ");
    }
}
