//! Versions of a table before the newest.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use riskstream_sinks::{MaintainOptions, TableSnapshot, maintain};

use super::super::table::commit_path;
use super::super::{LakeCache, LakeLimits};
use super::random::Random;
use super::{asked, context, random_rows, random_table, runtime, schema, session};
use crate::error::QueryError;

const SUMS: &str = "select count(*), sum(id), count(distinct name), max(note) from t";

/// The rows that `random_table` has delivered, by epoch.
fn delivered(seed: u64, epochs: i64) -> Vec<RecordBatch> {
    let mut random = Random::new(seed);
    let epoch = |epoch| {
        let count = 1 + usize::try_from(random.below(180)).unwrap();
        random_rows(&mut random, epoch, count)
    };
    (0..epochs).map(epoch).collect()
}

fn said(error: QueryError) -> String {
    assert_eq!(error.sql_state().0, "22023", "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_has_the_rows_that_it_had() {
    let folder = random_table(40, 9);
    let lake = LakeCache::new(LakeLimits::default());
    let delivered = delivered(40, 9);
    assert_eq!(lake.newest(folder.path()).await.unwrap().version, 9);
    for version in [0, 1, 5, 8, 9, 5] {
        let table = lake.at_version(folder.path(), version).await.unwrap();
        assert_eq!(table.version, version);
        let epochs = delivered[..usize::try_from(version).unwrap()].to_vec();
        let memory = context();
        let rows = MemTable::try_new(schema(), vec![epochs]).unwrap();
        memory.register_table("t", Arc::new(rows)).unwrap();
        let expected = asked(&memory, SUMS).await.unwrap();
        let found = asked(&session(&table), SUMS).await.unwrap();
        assert_eq!(found, expected, "version {version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_asked_for_lately_is_not_read_again() {
    let folder = random_table(41, 6);
    let lake = LakeCache::new(LakeLimits { versions_max: 2, ..LakeLimits::default() });
    let first = lake.at_version(folder.path(), 3).await.unwrap();
    let logs = lake.counts().logs();
    let again = lake.at_version(folder.path(), 3).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(lake.counts().logs(), logs);
    for version in [1, 2] {
        lake.at_version(folder.path(), version).await.unwrap();
    }
    let again = lake.at_version(folder.path(), 3).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &again), "two others were asked for since");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_version_that_never_was_it_is_said_which_there_are() {
    let folder = random_table(42, 4);
    let lake = LakeCache::new(LakeLimits::default());
    for version in [5, u64::MAX] {
        let said = said(lake.at_version(folder.path(), version).await.unwrap_err());
        assert!(said.contains(&format!("has no version {version}")), "{said}");
        assert!(said.ends_with("there are versions 0 to 4"), "{said}");
    }
}

/// The first version from which on all files of all versions are there, found one by one.
async fn first_whole(location: &Path, newest: u64) -> u64 {
    let mut first = newest;
    for version in (0..newest).rev() {
        let snapshot = TableSnapshot::open_version_async(location, version).await.unwrap();
        let files = snapshot.files().unwrap();
        if !files.iter().all(|file| location.join(&file.path).is_file()) {
            break;
        }
        first = version;
    }
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_files_were_removed_is_gone_and_it_is_said_which_there_are() {
    let folder = random_table(43, 8);
    let location = folder.path().to_owned();
    let lake = LakeCache::new(LakeLimits::default());
    let options = MaintainOptions { min_files: 2, ..MaintainOptions::default() };
    let compacting = || maintain(&runtime(), &location, &options).unwrap();
    std::thread::scope(|scope| scope.spawn(compacting).join()).unwrap();
    let newest = lake.newest(&location).await.unwrap();
    assert!(newest.version > 8, "{}", newest.version);
    let before = lake.at_version(&location, 7).await.unwrap();

    // What maintenance does once the files are old enough: those that came with version 5 go.
    let of = |version| TableSnapshot::open_version_async(&location, version);
    let had = of(4).await.unwrap().files().unwrap();
    let still = newest.snapshot.files().unwrap();
    let mut removed = of(5).await.unwrap().files().unwrap();
    removed.retain(|file| !had.contains(file) && !still.contains(file));
    assert!(!removed.is_empty());
    for file in removed {
        std::fs::remove_file(location.join(file.path)).unwrap();
    }
    assert_eq!(before.version, 7);
    let first = first_whole(&location, newest.version).await;
    for version in [5, 6, 7, 8] {
        let said = said(lake.at_version(&location, version).await.unwrap_err());
        assert!(said.contains(&format!("has no version {version}: ")), "{said}");
        let there = match first == newest.version {
            true => format!("there is version {first} only"),
            false => format!("there are versions {first} to {}", newest.version),
        };
        assert!(said.ends_with(&there), "{said}: {first}");
    }
    let whole = lake.at_version(&location, 4).await.unwrap();
    assert!(asked(&session(&whole), SUMS).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_stands_for_the_version_that_was_the_newest_then() {
    let folder = random_table(44, 4);
    let lake = LakeCache::new(LakeLimits::default());
    for version in 0..=4 {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + 100 * version);
        let path = commit_path(folder.path(), version);
        let commit = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        commit.set_modified(at).unwrap();
    }
    for (second, version) in [(1000, 0), (1099, 0), (1100, 1), (1350, 3), (1400, 4), (9999, 4)] {
        let found = lake.version_at(folder.path(), second * 1_000_000).await.unwrap();
        assert_eq!(found, version, "at {second} s");
    }
    let said = said(lake.version_at(folder.path(), 999_999_999).await.unwrap_err());
    assert!(said.contains("1970-01-01T00:16:39.999999Z"), "{said}");
    assert!(said.ends_with("its oldest version, 0, is of 1970-01-01T00:16:40Z"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_run_of_a_query_reads_no_log() {
    let folder = random_table(45, 5);
    let lake = LakeCache::new(LakeLimits::default());
    let mut logs = Vec::new();
    for _ in 0..3 {
        let table = lake.newest(folder.path()).await.unwrap();
        asked(&session(&table), SUMS).await.unwrap();
        logs.push(lake.counts().logs());
    }
    assert_eq!(logs, [1, 1, 1]);
}
