//! Exactly once: crashes between the steps, repeats, races, and changed schemas.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use riskstream_sinks::{
    Delivered, DeltaTableWriter, ErrorClass, PartitionRule, SinkError, TableSnapshot, TableSpec,
    WriterOptions, applications,
};
use serde_json::{Map, json};

use crate::support::{APP, ids, read_all, runtime, schema, spec, stage, stage_rows, writer};

#[test]
fn a_new_table_is_empty_and_readable_at_once() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let table = folder.path().join("tables/alerts");
    let writer = writer(&table, &runtime);
    assert_eq!(writer.delivered_through(), None);
    let snapshot = TableSnapshot::open(&runtime, &table).unwrap();
    assert_eq!(snapshot.version(), 0);
    assert!(snapshot.files().unwrap().is_empty());
    assert_eq!(snapshot.partition_by().unwrap(), ["event_date"]);
    let names: Vec<String> =
        snapshot.schema().unwrap().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id", "at", "amount", "wide", "name", "score", "event_date"]);
}

#[test]
fn staged_rows_are_visible_only_after_delivery_and_a_crash_between_loses_nothing() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let files = {
        let mut before_crash = writer(folder.path(), &runtime);
        before_crash.deliver(1, &stage(folder.path(), 1), &Map::new()).unwrap();
        stage(folder.path(), 2)
    };
    assert_eq!(ids(folder.path(), &runtime).len(), 1000);
    // What an epoch file stores of the files comes back the same.
    let files = serde_json::from_str(&serde_json::to_string(&files).unwrap()).unwrap();
    let mut after_crash = writer(folder.path(), &runtime);
    assert_eq!(after_crash.delivered_through(), Some(1));
    let files: Vec<riskstream_sinks::StagedFile> = files;
    assert!(matches!(
        after_crash.deliver(2, &files, &Map::new()),
        Ok(Delivered::Now { version: 2 })
    ));
    assert_eq!(ids(folder.path(), &runtime), (1000..3000).collect());
}

#[test]
fn repeated_and_lower_epochs_change_nothing() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut first = writer(folder.path(), &runtime);
    let (one, seven) = (stage(folder.path(), 1), stage(folder.path(), 7));
    first.deliver(1, &one, &Map::new()).unwrap();
    first.deliver(7, &seven, &Map::new()).unwrap();
    // A crash between the commit and remembering it: another writer repeats both.
    let mut second = writer(folder.path(), &runtime);
    for (epoch, files) in [(7, &seven), (1, &one), (3, &one)] {
        assert_eq!(
            second.deliver(epoch, files, &Map::new()).unwrap(),
            Delivered::Already { recorded: 7 }
        );
        assert_eq!(
            first.deliver(epoch, files, &Map::new()).unwrap(),
            Delivered::Already { recorded: 7 }
        );
    }
    assert_eq!(second.refresh().unwrap(), Some(7));
    assert_eq!(ids(folder.path(), &runtime).len(), 2000);
}

#[test]
fn a_stale_writer_cannot_deliver_an_epoch_again() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut stale = writer(folder.path(), &runtime);
    let mut current = writer(folder.path(), &runtime);
    let files = stage(folder.path(), 1);
    current.deliver(1, &files, &Map::new()).unwrap();
    // The stale writer still believes in version 0; its commit finds version 1 taken, looks, and
    // stops.
    assert_eq!(stale.deliver(1, &files, &Map::new()).unwrap(), Delivered::Already { recorded: 1 });
    assert!(matches!(
        stale.deliver(2, &stage(folder.path(), 2), &Map::new()),
        Ok(Delivered::Now { version: 2 })
    ));
    assert_eq!(ids(folder.path(), &runtime).len(), 2000);
}

#[test]
fn a_range_that_is_partly_there_is_refused() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut stale = writer(folder.path(), &runtime);
    writer(folder.path(), &runtime)
        .deliver_range(1..=3, &stage(folder.path(), 1), &Map::new())
        .unwrap();
    let more = stage(folder.path(), 4);
    let error = stale.deliver_range(2..=5, &more, &Map::new()).unwrap_err();
    assert!(matches!(error, SinkError::PartlyDelivered { recorded: 3, .. }), "{error}");
    stale.deliver_range(4..=5, &more, &Map::new()).unwrap();
    assert_eq!(stale.delivered_through(), Some(5));
    assert_eq!(ids(folder.path(), &runtime).len(), 2000);
}

#[test]
fn racing_writers_land_each_epoch_once() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    writer(folder.path(), &runtime);
    let staged: Vec<_> = (0..12)
        .map(|epoch| stage_rows(folder.path(), epoch, epoch * 50..(epoch + 1) * 50))
        .collect();
    let landed: usize = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let options = WriterOptions {
                        backoff: Duration::from_millis(1),
                        checkpoint_commits: 5,
                        ..WriterOptions::default()
                    };
                    let mut racer = DeltaTableWriter::open_or_create(
                        spec(folder.path()),
                        APP,
                        options,
                        &runtime,
                    )
                    .unwrap();
                    (0..12)
                        .filter(|&epoch| {
                            let outcome =
                                racer.deliver(epoch, &staged[epoch as usize], &Map::new()).unwrap();
                            matches!(outcome, Delivered::Now { .. })
                        })
                        .count()
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(landed, 12);
    assert_eq!(ids(folder.path(), &runtime), (0..600).collect());
}

#[test]
fn other_applications_keep_their_own_epochs() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut first = writer(folder.path(), &runtime);
    first.deliver(5, &stage(folder.path(), 5), &Map::new()).unwrap();
    let mut other = DeltaTableWriter::open_or_create(
        spec(folder.path()),
        "other",
        WriterOptions::default(),
        &runtime,
    )
    .unwrap();
    assert_eq!(other.delivered_through(), None);
    other.deliver(1, &stage(folder.path(), 1), &Map::new()).unwrap();
    assert_eq!(first.refresh().unwrap(), Some(5));
    assert_eq!(other.refresh().unwrap(), Some(1));
    assert!(applications(folder.path()).unwrap().iter().eq([APP, "other"]));
}

#[test]
fn applications_are_found_in_commits_and_where_only_a_checkpoint_names_them_still() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let table = folder.path().join("t");
    assert!(applications(&table).unwrap().is_empty() && !table.exists());
    let options = WriterOptions { checkpoint_commits: 2, ..WriterOptions::default() };
    for (app, epoch) in [("a/p/first", 1), ("a/p/second", 2), ("a/p/third", 3)] {
        let mut writer =
            DeltaTableWriter::open_or_create(spec(&table), app, options, &runtime).unwrap();
        writer.deliver(epoch, &stage(&table, epoch), &Map::new()).unwrap();
    }
    let log = table.join("_delta_log");
    let checkpoint = log.join(format!("{:020}.checkpoint.parquet", 2));
    assert!(checkpoint.exists());
    for version in 0..=1 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    assert!(applications(&table).unwrap().iter().eq(["a/p/first", "a/p/second", "a/p/third"]));
}

#[test]
fn log_checkpoints_keep_all_files_and_the_epoch() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let options = WriterOptions { checkpoint_commits: 4, ..WriterOptions::default() };
    let mut writer =
        DeltaTableWriter::open_or_create(spec(folder.path()), APP, options, &runtime).unwrap();
    for epoch in 0..10 {
        writer.deliver(epoch, &stage(folder.path(), epoch), &Map::new()).unwrap();
        assert_eq!(writer.checkpoint_error(), None);
    }
    let log = folder.path().join("_delta_log");
    assert!(log.join(format!("{:020}.checkpoint.parquet", 8)).exists());
    let before = read_all(folder.path(), &runtime);
    // The log below the checkpoint is not needed any more.
    for version in 0..8 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    assert_eq!(read_all(folder.path(), &runtime), before);
    assert_eq!(ids(folder.path(), &runtime), (0..10_000).collect());
    assert_eq!(writer.refresh().unwrap(), Some(9));
}

#[test]
fn a_writer_left_behind_by_a_trimmed_log_does_not_commit_into_the_gap() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut stale = writer(folder.path(), &runtime);
    let options = WriterOptions { checkpoint_commits: 3, ..WriterOptions::default() };
    let mut current =
        DeltaTableWriter::open_or_create(spec(folder.path()), APP, options, &runtime).unwrap();
    for epoch in 1..=3 {
        current.deliver(epoch, &stage(folder.path(), epoch), &Map::new()).unwrap();
    }
    for version in 0..3 {
        std::fs::remove_file(folder.path().join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    assert!(matches!(
        stale.deliver(4, &stage(folder.path(), 4), &Map::new()),
        Ok(Delivered::Now { version: 4 })
    ));
    assert_eq!(ids(folder.path(), &runtime), (1000..5000).collect());
}

/// A first run that its source refused leaves its tables behind, empty.
#[test]
fn a_table_that_was_only_made_takes_other_columns_and_another_partitioning() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let made = writer(folder.path(), &runtime);
    assert_eq!(made.version(), Some(0));
    let fields =
        vec![Field::new("id", DataType::Utf8, true), Field::new("x", DataType::Int64, true)];
    let spec =
        || TableSpec::new("scored", folder.path(), Arc::new(Schema::new(fields.clone())), None);
    let open = || {
        DeltaTableWriter::open_or_create(spec().unwrap(), APP, WriterOptions::default(), &runtime)
    };
    let mut corrected = open().unwrap();
    assert_eq!((corrected.version(), corrected.delivered_through()), (Some(1), None));
    let snapshot = TableSnapshot::open(&runtime, folder.path()).unwrap();
    let columns: Vec<String> =
        snapshot.schema().unwrap().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(columns, ["id", "x"]);
    assert_eq!(snapshot.partition_by().unwrap(), Vec::<String>::new());
    // Once an epoch is recorded, be it without rows, the columns bind.
    assert!(matches!(corrected.deliver(1, &[], &Map::new()), Ok(Delivered::Now { version: 2 })));
    let error = DeltaTableWriter::open(
        TableSpec::new("scored", folder.path(), schema(), None).unwrap(),
        APP,
        WriterOptions::default(),
        &runtime,
    )
    .unwrap_err();
    assert!(matches!(error, SinkError::SchemaMismatch { .. }), "{error}");
}

#[test]
fn new_columns_are_added_and_other_changes_are_refused() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut old = writer(folder.path(), &runtime);
    old.deliver(1, &stage(folder.path(), 1), &Map::new()).unwrap();
    let open = |fields: Vec<Field>| {
        let spec = TableSpec::new(
            "scored",
            folder.path(),
            Arc::new(Schema::new(fields)),
            Some(PartitionRule::event_date("at")),
        )
        .unwrap();
        DeltaTableWriter::open_or_create(spec, APP, WriterOptions::default(), &runtime)
    };
    let fields =
        || schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();

    let mut more = fields();
    more.push(Field::new("model", DataType::Utf8, true));
    let evolved = open(more).unwrap();
    assert_eq!(evolved.delivered_through(), Some(1));
    let snapshot = TableSnapshot::open(&runtime, folder.path()).unwrap();
    assert!(snapshot.schema().unwrap().field_with_name("model").is_ok());
    assert_eq!(read_all(folder.path(), &runtime).len(), 1000);

    let mut retyped = fields();
    retyped[0] = Field::new("id", DataType::Utf8, true);
    for refused in [retyped, fields()] {
        let error = open(refused).unwrap_err();
        assert!(matches!(error, SinkError::SchemaMismatch { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Config);
        assert!(error.to_string().contains("new table"), "{error}");
    }
}

#[test]
fn a_missing_or_cut_staged_file_is_never_committed() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut writer = writer(folder.path(), &runtime);
    let files = stage(folder.path(), 1);
    let path = folder.path().join(&files[0].path);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(
        writer.deliver(1, &files, &Map::new()),
        Err(SinkError::StagedFileMissing { .. })
    ));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        writer.deliver(1, &files, &Map::new()),
        Err(SinkError::StagedFileMissing { .. })
    ));
    std::fs::write(&path, &whole).unwrap();
    assert!(matches!(writer.deliver(1, &files, &Map::new()), Ok(Delivered::Now { .. })));
}

#[test]
fn a_commit_tells_where_it_came_from() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let mut writer = writer(folder.path(), &runtime);
    let metadata = Map::from_iter([("generation".to_owned(), json!(3))]);
    writer.deliver(1, &stage(folder.path(), 1), &metadata).unwrap();
    let commit =
        std::fs::read_to_string(folder.path().join(format!("_delta_log/{:020}.json", 1))).unwrap();
    let info: serde_json::Value = serde_json::from_str(commit.lines().next().unwrap()).unwrap();
    assert_eq!(info["commitInfo"]["generation"], 3);
    assert_eq!(info["commitInfo"]["riskstreamEpoch"], 1);
    let leftovers = std::fs::read_dir(folder.path().join("_delta_log")).unwrap();
    assert!(
        leftovers.flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp"))
    );
}

#[test]
fn a_table_with_a_newer_protocol_is_refused() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    writer(folder.path(), &runtime);
    let path = folder.path().join(format!("_delta_log/{:020}.json", 0));
    let commit = std::fs::read_to_string(&path).unwrap();
    let newer = commit.replace("\"minWriterVersion\":2", "\"minWriterVersion\":4");
    assert_ne!(newer, commit);
    std::fs::write(&path, newer).unwrap();
    let error = DeltaTableWriter::open_or_create(
        spec(folder.path()),
        APP,
        WriterOptions::default(),
        &runtime,
    )
    .unwrap_err();
    assert!(matches!(error, SinkError::UnsupportedProtocol { writer: 4, .. }), "{error}");
}

#[test]
fn a_burst_of_commits_that_change_nothing_for_it_does_not_hold_a_delivery_up() {
    let add = r#"{"add":{"path":"x.parquet","partitionValues":{"event_date":null},"size":1,
        "modificationTime":1,"dataChange":true}}"#;
    let remove = r#"{"remove":{"path":"x.parquet","dataChange":false,"deletionTimestamp":1}}"#;
    let epoch = |app_id: &str| format!(r#"{{"txn":{{"appId":"{app_id}","version":1}}}}"#);
    let info = r#"{"commitInfo":{"operation":"WRITE"}}"#;
    for (action, is_passed) in [
        (add.replace(['\n', ' '], ""), true),
        (remove.to_owned(), true),
        (epoch("another/sink"), true),
        (epoch(APP), false),
        (r#"{"metaData":{"id":"x"}}"#.to_owned(), false),
        (r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7}}"#.to_owned(), false),
        (r#"{"unheard":{}}"#.to_owned(), false),
        ("no action".to_owned(), false),
    ] {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
        // It does not look again.
        let options = WriterOptions { attempts_max: 1, ..WriterOptions::default() };
        let mut writer =
            DeltaTableWriter::open_or_create(spec(folder.path()), APP, options, &runtime).unwrap();
        writer.deliver(1, &stage(folder.path(), 1), &Map::new()).unwrap();
        let commit = |version: u64, action: &str| {
            let path = folder.path().join(format!("_delta_log/{version:020}.json"));
            std::fs::write(path, format!("{info}\n{action}\n")).unwrap();
        };
        (2..40).for_each(|version| commit(version, remove));
        commit(40, &action);
        let delivered = writer.deliver(2, &stage(folder.path(), 2), &Map::new());
        match is_passed {
            true => assert!(
                matches!(delivered, Ok(Delivered::Now { version: 41 })),
                "{action}: {delivered:?}"
            ),
            false => assert!(
                matches!(delivered, Err(SinkError::DeliveryGaveUp { .. })),
                "{action}: {delivered:?}"
            ),
        }
    }
}
