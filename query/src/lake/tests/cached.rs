//! What stays in memory between queries.

use std::sync::Arc;

use riskstream_sinks::{DeltaTableWriter, MaintainOptions, TableSnapshot, WriterOptions, maintain};

use super::super::{LakeCache, LakeLimits};
use super::random::Random;
use super::writer;
use super::{asked, deliver, random_rows, random_table, rows_of_files, runtime, session, spec};
use crate::error::QueryError;

#[tokio::test]
async fn the_second_run_of_a_query_reads_no_footer() {
    let folder = random_table(1, 12);
    let lake = LakeCache::new(LakeLimits::default());
    let sql = "select sum(score), count(distinct name) from t where id > 100";
    let counts = lake.counts();
    let context = session(&lake.newest(folder.path()).await.unwrap());
    let first = asked(&context, sql).await.unwrap();
    let (footers, files) = (counts.footers(), counts.files());
    assert!(footers > 1 && footers == files, "{counts:?}");
    let context = session(&lake.newest(folder.path()).await.unwrap());
    assert_eq!(asked(&context, sql).await.unwrap(), first);
    assert_eq!((counts.footers(), counts.files()), (footers, 2 * files), "{counts:?}");
    assert!(asked(&context, "select name from t where id < 100").await.is_ok());
    assert!(counts.footers() > footers, "other files were read for the first time");
}

#[tokio::test]
async fn footers_are_bounded_by_their_bytes() {
    let folder = random_table(2, 12);
    let lake = LakeCache::new(LakeLimits { footer_bytes_max: 20_000, ..LakeLimits::default() });
    let context = session(&lake.newest(folder.path()).await.unwrap());
    for _ in 0..2 {
        asked(&context, "select sum(id) from t").await.unwrap();
    }
    let counts = lake.counts();
    assert!(counts.footers() > counts.files() / 2, "{counts:?}: hardly any had room");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_come_from_the_log_and_open_no_file() {
    let folder = random_table(3, 12);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let files = rows_of_files(&table.provider());
    let rows: usize = files.iter().map(|rows| rows.num_rows()).sum();
    let names: usize = files.iter().map(|rows| rows.num_rows() - rows.column(5).null_count()).sum();
    let context = session(&table);
    let shown = asked(&context, "select count(*), count(name) from t").await.unwrap();
    assert!(
        shown.contains(&format!(" {rows} ")) && shown.contains(&format!(" {names} ")),
        "{shown}"
    );
    let day = "event_date >= '2018-04-02'";
    asked(&context, &format!("select count(*) from t where {day}")).await.unwrap();
    let none = asked(&context, "select count(*) from t where id > 1000000").await.unwrap();
    assert!(none.contains("| 0 "), "{none}");
    assert_eq!(lake.counts().files(), 0);
    // Bounds are not values: least and greatest are read from the rows.
    asked(&context, "select max(note) from t").await.unwrap();
    assert!(lake.counts().files() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_version_is_read_on_and_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let lake = Arc::new(LakeCache::new(LakeLimits::default()));
    assert!(matches!(lake.newest(&path).await, Err(QueryError::Table(_))));
    let (to_write, stop) = (path.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let writing = std::thread::spawn(move || {
        let (runtime, mut random) = (runtime(), Random::new(4));
        let mut writer = writer(&to_write, &runtime);
        for epoch in 0..25 {
            let rows = random_rows(&mut random, epoch, 20);
            deliver(&mut writer, &to_write, epoch as u64, &rows);
        }
        stopped.store(true, std::sync::atomic::Ordering::Release);
    });
    while !path.join("_delta_log").join(format!("{:020}.json", 0)).exists() {
        tokio::task::yield_now().await;
    }
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (lake, path, stop) = (Arc::clone(&lake), path.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut last, mut seen) = (0, 0);
                loop {
                    let ended = stop.load(std::sync::atomic::Ordering::Acquire);
                    let table = lake.newest(&path).await.unwrap();
                    assert!(table.version >= last, "{} after {last}", table.version);
                    seen += u32::from(table.version > last);
                    last = table.version;
                    if ended {
                        return (last, seen);
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for reader in readers {
        let (last, seen) = reader.await.unwrap();
        assert!(last == 25 && seen > 1, "{last} {seen}");
    }
    tokio::task::spawn_blocking(move || writing.join().unwrap()).await.unwrap();
    // What was read on from version to version is what is read at once.
    let (grown, fresh) = (lake.newest(&path).await.unwrap(), LakeCache::new(LakeLimits::default()));
    let fresh = fresh.newest(&path).await.unwrap();
    assert!(Arc::ptr_eq(&grown, &lake.newest(&path).await.unwrap()));
    let shown = |table: &super::LakeTable| {
        let provider = table.provider();
        let files = provider.table.files.iter().enumerate().map(|(index, file)| {
            let columns: Vec<usize> = (0..table.schema.fields().len()).collect();
            let statistics = provider.table.bounds.file_statistics(index, &columns).unwrap();
            format!("{} {statistics:?} {:?}", file.meta.location, file.plain_floats)
        });
        let mut files: Vec<_> = files.collect();
        files.sort();
        (files, format!("{:?}", provider.whole().unwrap()))
    };
    assert_eq!(shown(&grown), shown(&fresh));
    assert!(Arc::ptr_eq(&lake.at_version(&path, grown.version).await.unwrap(), &grown));
}

/// Long enough for the log to be read anew in between, by checkpoints and after many readings on.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_read_on_for_long_has_the_files_that_its_log_says() {
    let folder = tempfile::tempdir().unwrap();
    for checkpoint_commits in [7, 1000] {
        let location = folder.path().join(format!("every-{checkpoint_commits}"));
        std::fs::create_dir(&location).unwrap();
        let lake = LakeCache::new(LakeLimits::default());
        for epoch in 0..110_u64 {
            let path = location.clone();
            let write = move || {
                let runtime = runtime();
                let options = WriterOptions { checkpoint_commits, ..WriterOptions::default() };
                let mut writer =
                    DeltaTableWriter::open_or_create(spec(&path), "test/rows", options, &runtime)
                        .unwrap();
                let rows = random_rows(&mut Random::new(epoch), epoch as i64 / 20, 3);
                deliver(&mut writer, &path, epoch, &rows);
                if epoch == 40 {
                    let options = MaintainOptions { min_files: 2, ..MaintainOptions::default() };
                    maintain(&runtime, &path, &options).unwrap();
                }
            };
            tokio::task::spawn_blocking(write).await.unwrap();
            let table = lake.newest(&location).await.unwrap();
            if epoch % 10 == 0 || epoch > 98 {
                let fresh = TableSnapshot::open_async(&location).await.unwrap();
                let paths = |snapshot: &TableSnapshot| {
                    let files = snapshot.files().unwrap().into_iter();
                    let mut paths: Vec<_> =
                        files.map(|file| (file.path, file.stats_json)).collect();
                    paths.sort();
                    paths
                };
                assert_eq!(table.version, fresh.version());
                assert_eq!(paths(&table.snapshot), paths(&fresh), "epoch {epoch}");
            }
        }
    }
}

#[tokio::test]
async fn of_many_tables_those_used_last_are_kept() {
    let folders: Vec<_> = (20..23).map(|seed| random_table(seed, 2)).collect();
    let lake = LakeCache::new(LakeLimits { tables_max: 2, ..LakeLimits::default() });
    let newest = |index: usize| lake.newest(folders[index].path());
    let (first, second) = (newest(0).await.unwrap(), newest(1).await.unwrap());
    assert!(Arc::ptr_eq(&newest(0).await.unwrap(), &first));
    newest(2).await.unwrap();
    assert!(Arc::ptr_eq(&newest(0).await.unwrap(), &first), "used after the second");
    assert!(!Arc::ptr_eq(&newest(1).await.unwrap(), &second), "given up for the third");
}
