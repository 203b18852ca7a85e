//! Compaction and vacuum keep every row, also beside a writer.

use std::collections::HashSet;
use std::time::Duration;

use riskstream_sinks::{Delivered, MaintainOptions, TableSnapshot, maintain};
use serde_json::Map;

use crate::support::{ids, read_all, runtime, stage, stage_rows, writer};

fn options() -> MaintainOptions {
    MaintainOptions { min_files: 2, ..MaintainOptions::default() }
}

fn remove_at_once() -> MaintainOptions {
    MaintainOptions { retention: Duration::ZERO, orphan_retention: Duration::ZERO, ..options() }
}

#[test]
fn compaction_keeps_every_row_value_and_the_delivered_epoch() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut writer = writer(folder.path(), &runtime);
    for epoch in 0..6 {
        // 300 rows an epoch: three epochs to a day.
        writer
            .deliver(
                epoch,
                &stage_rows(folder.path(), epoch, epoch * 300..(epoch + 1) * 300),
                &Map::new(),
            )
            .unwrap();
    }
    let before = read_all(folder.path(), &runtime);
    let files_before = TableSnapshot::open(&runtime, folder.path()).unwrap().files().unwrap().len();

    let planned =
        maintain(&runtime, folder.path(), &MaintainOptions { dry_run: true, ..options() }).unwrap();
    assert_eq!(read_all(folder.path(), &runtime), before);
    let report = maintain(&runtime, folder.path(), &options()).unwrap();
    assert_eq!(report.files_compacted, planned.files_compacted);
    assert_eq!(report.rows_rewritten, planned.rows_rewritten);
    assert!(report.files_written > 0);

    let snapshot = TableSnapshot::open(&runtime, folder.path()).unwrap();
    let files = snapshot.files().unwrap();
    assert!(files.len() < files_before);
    assert!(
        files.iter().any(|file| file.partition_values["event_date"].is_none()),
        "rows without event time"
    );
    assert_eq!(read_all(folder.path(), &runtime), before);
    assert_eq!(writer.refresh().unwrap(), Some(5));
    let again = maintain(&runtime, folder.path(), &options()).unwrap();
    assert_eq!(again.files_compacted, 0, "nothing is left to do");
}

#[test]
fn a_delivery_after_a_compaction_that_it_has_not_seen_succeeds() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut writer = writer(folder.path(), &runtime);
    for epoch in 0..3 {
        writer
            .deliver(
                epoch,
                &stage_rows(folder.path(), epoch, epoch * 100..(epoch + 1) * 100),
                &Map::new(),
            )
            .unwrap();
    }
    let report = maintain(&runtime, folder.path(), &options()).unwrap();
    assert!(report.files_compacted > 0);
    let files = stage_rows(folder.path(), 3, 300..400);
    assert!(matches!(writer.deliver(3, &files, &Map::new()), Ok(Delivered::Now { .. })));
    assert_eq!(ids(folder.path(), &runtime), (0..400).collect());
}

#[test]
fn compaction_beside_a_busy_writer_fails_neither() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut writer = writer(folder.path(), &runtime);
    let staged: Vec<_> = (0..30)
        .map(|epoch| stage_rows(folder.path(), epoch, epoch * 20..(epoch + 1) * 20))
        .collect();
    std::thread::scope(|scope| {
        let maintainer = scope.spawn(|| {
            let mut compacted = 0;
            while compacted == 0 || writer_is_behind(folder.path(), &runtime) {
                compacted += maintain(&runtime, folder.path(), &options()).unwrap().files_compacted;
            }
            compacted
        });
        for (epoch, files) in staged.iter().enumerate() {
            assert!(matches!(
                writer.deliver(epoch as i64, files, &Map::new()),
                Ok(Delivered::Now { .. })
            ));
        }
        assert!(maintainer.join().unwrap() > 0);
    });
    assert_eq!(ids(folder.path(), &runtime), (0..600).collect());
    assert_eq!(writer.refresh().unwrap(), Some(29));
}

fn writer_is_behind(location: &std::path::Path, runtime: &riskstream_sinks::DeltaRuntime) -> bool {
    let snapshot = TableSnapshot::open(runtime, location).unwrap();
    let delivered = runtime.block_on(snapshot.delivered_through(crate::support::APP)).unwrap();
    delivered != Some(29)
}

#[test]
fn the_vacuum_keeps_active_kept_and_young_files_and_removes_the_rest() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut writer = writer(folder.path(), &runtime);
    for epoch in 0..2 {
        writer
            .deliver(
                epoch,
                &stage_rows(folder.path(), epoch, epoch * 300..(epoch + 1) * 300),
                &Map::new(),
            )
            .unwrap();
    }
    let waiting = stage(folder.path(), 2);
    let orphans = stage(folder.path(), 9);
    let exists = |path: &str| folder.path().join(path).exists();

    // By default everything is too young.
    let report = maintain(&runtime, folder.path(), &options()).unwrap();
    assert_eq!(report.files_removed, 0);
    assert!(orphans.iter().all(|file| exists(&file.path)));

    let keep: HashSet<String> = waiting.iter().map(|file| file.path.clone()).collect();
    let dry = MaintainOptions { keep: keep.clone(), dry_run: true, ..remove_at_once() };
    let planned = maintain(&runtime, folder.path(), &dry).unwrap();
    assert!(orphans.iter().all(|file| exists(&file.path)));
    let report =
        maintain(&runtime, folder.path(), &MaintainOptions { keep, ..remove_at_once() }).unwrap();
    assert_eq!(report.files_removed, planned.files_removed);
    assert!(
        report.files_removed > orphans.len() as u64,
        "orphans, and the files that compaction replaced"
    );
    assert!(orphans.iter().all(|file| !exists(&file.path)));
    writer.deliver(2, &waiting, &Map::new()).unwrap();
    assert_eq!(ids(folder.path(), &runtime).len(), 1600);
}

#[test]
fn a_folder_without_a_table_is_an_error() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let error = maintain(&runtime, folder.path(), &options()).unwrap_err();
    assert!(error.to_string().contains("holds no Delta table"), "{error}");
}
