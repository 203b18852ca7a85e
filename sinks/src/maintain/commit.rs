//! A compaction becomes part of the table: files go, files come, no row changes.
//!
//! The commit is put at the version after the one whose log was read. Where another commit took
//! that version and only added files, the next version is tried at once. Where it did more, the log
//! is read again: groups whose files are all still there are committed, the others are dropped. An
//! append never notices more than a version that is taken, which its own retry handles, so neither
//! side fails.

use std::collections::HashSet;

use deltalake_core::kernel::{Action, Remove};
use deltalake_core::protocol::DeltaOperation;
use riskstream_engine::disk::Folder;
use serde_json::Map;

use super::choose::Group;
use super::output::Rewritten;
use crate::delta::add_action;
use crate::error::SinkError;
use crate::log::{Put, commit_bytes, only_adds, put_commit};
use crate::runtime::DeltaRuntime;
use crate::snapshot::TableSnapshot;

/// How often the whole log is read for one commit.
const LOOKS_MAX: u32 = 20;
/// How often a version is tried for one commit.
const PUTS_MAX: u32 = 1_000;

/// Commits the groups whose files are all still part of the table, and gives their numbers. Their
/// new files stay; those of the others go with them.
///
/// # Errors
/// The log can't be read or written.
pub(super) fn commit(
    runtime: &DeltaRuntime,
    location: &Folder,
    target_file_bytes: u64,
    groups: &mut [(&Group, Rewritten)],
) -> Result<Vec<usize>, SinkError> {
    let mut reason = String::new();
    let (mut looks, mut puts) = (0, 0);
    // Whether a put ended in an error, so that it may have landed after all.
    let mut is_unsure = false;
    let mut looked: Option<(u64, Vec<usize>)> = None;
    while looks < LOOKS_MAX && puts < PUTS_MAX {
        let (version, there) = match looked.take() {
            Some(looked) => looked,
            None => {
                looks += 1;
                let snapshot = TableSnapshot::open(runtime, location)?;
                let active: HashSet<String> =
                    snapshot.files()?.into_iter().map(|file| file.path).collect();
                let landed = all_in(groups, |(_, new)| has_all(&active, new));
                if is_unsure && !landed.is_empty() {
                    return Ok(landed);
                }
                let there = all_in(groups, |(group, _)| {
                    group.files.iter().all(|file| active.contains(&file.path))
                });
                (snapshot.version(), there)
            }
        };
        if there.is_empty() {
            return Ok(there);
        }
        puts += 1;
        match put(location, version, target_file_bytes, &there, groups) {
            Ok(Put::Landed) => {
                there.iter().for_each(|number| groups[*number].1.keep());
                return Ok(there);
            }
            Ok(Put::Taken) => {
                reason = format!("version {} was taken", version + 1);
                if only_adds(location, version + 1)? {
                    looked = Some((version + 1, there));
                }
            }
            Err(error) => {
                reason = error.to_string();
                is_unsure = true;
                // Where it has not landed, the vacuum takes them.
                groups.iter_mut().for_each(|(_, new)| new.keep());
            }
        }
    }
    Err(SinkError::DeliveryGaveUp { table: location.display().to_string(), attempts: puts, reason })
}

fn has_all(active: &HashSet<String>, new: &Rewritten) -> bool {
    !new.files.is_empty() && new.files.iter().all(|file| active.contains(&file.path))
}

/// The numbers of the groups for which `is_it` holds.
fn all_in(
    groups: &[(&Group, Rewritten)],
    is_it: impl Fn(&(&Group, Rewritten)) -> bool,
) -> Vec<usize> {
    let numbered = groups.iter().enumerate();
    numbered.filter(|(_, group)| is_it(group)).map(|(number, _)| number).collect()
}

fn put(
    location: &Folder,
    version: u64,
    target_file_bytes: u64,
    numbers: &[usize],
    groups: &[(&Group, Rewritten)],
) -> Result<Put, SinkError> {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let chosen: Vec<&(&Group, Rewritten)> = numbers.iter().map(|number| &groups[*number]).collect();
    let removes = chosen.iter().flat_map(|(group, _)| &group.files).map(|file| {
        Action::Remove(Remove {
            path: file.path.clone(),
            data_change: false,
            deletion_timestamp: Some(now_ms),
            extended_file_metadata: Some(true),
            partition_values: Some(file.partition_values.clone().into_iter().collect()),
            size: i64::try_from(file.bytes).ok(),
            ..Remove::default()
        })
    });
    let adds = chosen
        .iter()
        .flat_map(|(_, new)| &new.files)
        .map(|file| Action::Add(add_action(file, now_ms, false)));
    let operation = DeltaOperation::Optimize {
        predicate: None,
        target_size: i64::try_from(target_file_bytes).unwrap_or(i64::MAX),
    };
    let actions = removes.chain(adds).collect();
    let bytes = commit_bytes(actions, operation, Map::new(), Vec::new())?;
    put_commit(location, version + 1, bytes)
}
