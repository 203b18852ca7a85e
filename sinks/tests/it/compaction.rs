//! Sorted compaction: the same rows in the order that was asked for, beside a writer and through
//! crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Result as IoResult;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use riskstream_engine::disk::{Disk, Entry, Folder, Found, LocalDisk, Lock, NewFile, OpenFile};
use riskstream_sinks::{
    ActiveFile, DeltaRuntime, DeltaTableWriter, MaintainOptions, SinkError, StageSettings, Stager,
    TableSnapshot, TableSpec, WriterOptions, compact_table, maintain, sync_files,
};
use serde_json::Map;

use crate::support::{APP, ids, read_all, rows, runtime, schema, stage_rows, writer};

/// A small generator of its own (SplitMix64), so that a failing seed repeats anywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn sort_by(columns: &[&str]) -> MaintainOptions {
    MaintainOptions {
        sort_by: columns.iter().map(|column| (*column).to_owned()).collect(),
        min_files: 2,
        ..MaintainOptions::default()
    }
}

/// Delivers `epochs` from `first` on, each of some rows.
fn deliver(location: &Path, runtime: &DeltaRuntime, rows: &[std::ops::Range<i64>]) {
    let mut writer = writer(location, runtime);
    let first = writer.delivered_through().map_or(0, |epoch| epoch + 1);
    for (epoch, rows) in (first..).zip(rows) {
        writer.deliver(epoch, &stage_rows(location, epoch, rows.clone()), &Map::new()).unwrap();
    }
}

fn files(location: &Path, runtime: &DeltaRuntime) -> Vec<ActiveFile> {
    TableSnapshot::open(runtime, location).unwrap().files().unwrap()
}

fn rows_of(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(|batch| batch.unwrap()).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// Fails unless the rows of a file are in the order of these columns, as arrow's own sort has it.
#[track_caller]
fn assert_sorted(path: &Path, columns: &[&str]) {
    let rows = rows_of(path);
    let keys: Vec<&ArrayRef> = columns.iter().map(|c| rows.column_by_name(c).unwrap()).collect();
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let by: Vec<SortColumn> =
        keys.iter().map(|key| SortColumn { values: Arc::clone(key), options }).collect();
    let order = lexsort_to_indices(&by, None).unwrap();
    for key in keys {
        assert_eq!(&take(key, &order, None).unwrap(), key, "{} by {columns:?}", path.display());
    }
}

/// All files below the table's folder but its log.
fn on_disk(location: &Path) -> BTreeSet<String> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![location.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("_delta_log") {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(location).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn random_tables_are_sorted_and_keep_their_rows() {
    let keys: [&[&str]; 5] =
        [&["name"], &["amount", "at"], &["score", "id"], &["wide", "absent"], &["at", "name"]];
    for seed in 0..5_u64 {
        let (folder, runtime, mut random) = (tempfile::tempdir().unwrap(), runtime(), Random(seed));
        let table = folder.path();
        let mut next = 0_i64;
        let mut some = || {
            let from = next;
            next += 1 + random.below(400) as i64;
            from..next
        };
        deliver(table, &runtime, &(0..12).map(|_| some()).collect::<Vec<_>>());
        let columns = keys[usize::try_from(seed).unwrap()];
        let named: Vec<&str> = columns.iter().copied().filter(|c| *c != "absent").collect();
        let options = MaintainOptions {
            memory_bytes: [1_000, 50_000, 256 << 20][usize::try_from(seed % 3).unwrap()],
            threads: 1 + usize::try_from(seed % 3).unwrap(),
            ..sort_by(columns)
        };
        let before = read_all(table, &runtime);
        let report = maintain(&runtime, table, &options).unwrap();
        assert_eq!(report.sorted_by, named);
        assert!(report.files_compacted > report.files_written, "{report:?}");
        assert_eq!(read_all(table, &runtime), before, "seed {seed}");

        // A second round merges what the first has sorted with what came since.
        deliver(table, &runtime, &(0..5).map(|_| some()).collect::<Vec<_>>());
        let before = read_all(table, &runtime);
        let known: BTreeSet<String> =
            files(table, &runtime).into_iter().map(|file| file.path).collect();
        maintain(&runtime, table, &options).unwrap();
        assert_eq!(read_all(table, &runtime), before, "seed {seed}");
        let (mut partitions, mut again) = (BTreeMap::new(), 0);
        for file in files(table, &runtime) {
            *partitions.entry(file.partition_values.clone()).or_insert(0) += 1;
            again += usize::from(!known.contains(&file.path));
            if file.path.contains("compact-") {
                assert_sorted(&table.join(&file.path), &named);
            }
        }
        assert!(partitions.values().all(|count| *count == 1), "{partitions:?}");
        assert!(again > 0);
        assert!(on_disk(table).iter().all(|path| !path.contains("sort-")));
    }
}

#[test]
fn files_of_a_partition_share_no_range_and_say_how_they_are_sorted() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let table = folder.path();
    let spec = TableSpec::new("flat", table, schema(), None).unwrap();
    let options = WriterOptions::default();
    let mut writer =
        DeltaTableWriter::open_or_create(spec.clone(), APP, options, &runtime).unwrap();
    let mut stager = Stager::new(spec, 1, 0, StageSettings::default()).unwrap();
    for epoch in 0..10_i64 {
        let rows = rows(epoch * 4_000..(epoch + 1) * 4_000);
        let files = stager.stage(epoch.cast_unsigned(), &[rows]).unwrap();
        sync_files(table, &files).unwrap();
        writer.deliver(epoch, &files, &Map::new()).unwrap();
    }
    let before = read_all(table, &runtime);
    let options = MaintainOptions { target_file_bytes: 400_000, ..sort_by(&["name", "id"]) };
    let report = maintain(&runtime, table, &options).unwrap();
    assert!(report.files_compacted == 10 && report.files_written > 1, "{report:?}");
    assert_eq!(read_all(table, &runtime), before);
    let mut ranges: BTreeMap<_, Vec<(Option<String>, Option<String>)>> = BTreeMap::new();
    for file in &files(table, &runtime) {
        let path = table.join(&file.path);
        assert_sorted(&path, &["name", "id"]);
        let rows = rows_of(&path);
        let names = rows.column_by_name("name").unwrap().as_string::<i32>().clone();
        let at = |row: usize| names.iter().nth(row).unwrap().map(str::to_owned);
        let of_partition = ranges.entry(file.partition_values.clone()).or_default();
        of_partition.push((at(0), at(rows.num_rows() - 1)));

        let opened = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let column = |name: &str| rows.schema().index_of(name).unwrap();
        for group in opened.metadata().row_groups() {
            assert!(group.num_rows() <= 131_072);
            let sorting = group.sorting_columns().unwrap();
            let sorting: Vec<usize> = sorting.iter().map(|c| c.column_idx as usize).collect();
            assert_eq!(sorting, [column("name"), column("id")]);
            assert!(group.columns().iter().all(|c| c.column_index_offset().is_some()));
            let has_bloom = |name| group.column(column(name)).bloom_filter_offset().is_some();
            assert!(has_bloom("id") && !has_bloom("name") && !has_bloom("amount"));
        }
        let stats: serde_json::Value =
            serde_json::from_str(file.stats_json.as_deref().unwrap()).unwrap();
        assert_eq!(stats["numRecords"], rows.num_rows());
        assert!(stats["minValues"]["id"].is_number(), "{stats}");
    }
    for ranges in ranges.values_mut() {
        ranges.sort();
        for pair in ranges.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{ranges:?}");
        }
    }
}

#[test]
fn an_appender_and_a_sorting_compaction_get_on() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let table = folder.path();
    let staged: Vec<_> = (0..40).map(|n| stage_rows(table, n, n * 50..(n + 1) * 50)).collect();
    let mut writer = writer(table, &runtime);
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let compactor = scope.spawn(|| {
            let background = DeltaRuntime::background().unwrap();
            let options = MaintainOptions { threads: 2, spares_large: true, ..sort_by(&["name"]) };
            let (mut compacted, mut last) = (0, false);
            while !last {
                last = has_ended.load(Ordering::Acquire);
                let report = compact_table(&background, table, &options).unwrap();
                compacted += report.files_compacted;
            }
            compacted
        });
        for (epoch, files) in staged.iter().enumerate() {
            writer.deliver(epoch as i64, files, &Map::new()).unwrap();
            // What is seen is never less, and nothing twice.
            assert_eq!(ids(table, &runtime).len(), (epoch + 1) * 50);
        }
        has_ended.store(true, Ordering::Release);
        assert!(compactor.join().unwrap() > 0);
    });
    assert_eq!(ids(table, &runtime), (0..2_000).collect());
    assert_eq!(writer.refresh().unwrap(), Some(39));
    maintain(&runtime, table, &sort_by(&["name"])).unwrap();
    for file in files(table, &runtime).iter().filter(|file| file.path.contains("compact-")) {
        assert_sorted(&table.join(&file.path), &["name"]);
    }
}

/// A disk on which nothing changes any more from the moment on at which a name comes up.
#[derive(Debug)]
struct Dying {
    disk: Arc<dyn Disk>,
    /// Part of the name that is given then.
    at: &'static str,
    is_dead: AtomicBool,
}

impl Dying {
    fn check(&self, path: &Path) -> IoResult<()> {
        if path.to_str().is_some_and(|path| path.contains(self.at)) {
            self.is_dead.store(true, Ordering::Release);
        }
        match self.is_dead.load(Ordering::Acquire) {
            true => Err(std::io::Error::other("the program is dead")),
            false => Ok(()),
        }
    }
}

impl Disk for Dying {
    fn open(&self, path: &Path) -> IoResult<Box<dyn OpenFile>> {
        self.disk.open(path)
    }

    fn create(&self, path: &Path) -> IoResult<Box<dyn NewFile>> {
        self.check(path)?;
        self.disk.create(path)
    }

    fn create_new(&self, path: &Path) -> IoResult<Box<dyn NewFile>> {
        self.check(path)?;
        self.disk.create_new(path)
    }

    fn overwrite(&self, path: &Path) -> IoResult<Box<dyn NewFile>> {
        self.check(path)?;
        self.disk.overwrite(path)
    }

    fn link(&self, from: &Path, to: &Path) -> IoResult<()> {
        self.check(to)?;
        self.disk.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> IoResult<()> {
        self.check(to)?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> IoResult<()> {
        self.check(path)?;
        self.disk.remove(path)
    }

    fn make_folder(&self, path: &Path) -> IoResult<()> {
        self.check(path)?;
        self.disk.make_folder(path)
    }

    fn sync(&self, path: &Path) -> IoResult<()> {
        self.disk.sync(path)
    }

    fn look(&self, path: &Path) -> IoResult<Option<Found>> {
        self.disk.look(path)
    }

    fn list(&self, folder: &Path) -> IoResult<Vec<Entry>> {
        self.disk.list(folder)
    }

    fn lock(&self, path: &Path) -> IoResult<Option<Box<dyn Lock>>> {
        self.disk.lock(path)
    }

    fn holder(&self, path: &Path) -> Option<Option<u32>> {
        self.disk.holder(path)
    }

    fn unique(&self) -> u64 {
        self.disk.unique()
    }

    fn is_local(&self) -> bool {
        self.disk.is_local()
    }
}

#[test]
fn a_crash_before_the_commit_leaves_files_that_only_the_vacuum_finds() {
    // Killed while it writes the first new file, or when it commits.
    for at in ["compact-", ".json"] {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
        let table = folder.path();
        deliver(table, &runtime, &(0..6).map(|n| n * 300..(n + 1) * 300).collect::<Vec<_>>());
        let (before, known) = (read_all(table, &runtime), on_disk(table));
        let disk = Dying { disk: LocalDisk::shared(), at, is_dead: AtomicBool::new(false) };
        let dying = Folder::on(Arc::new(disk), table);
        let options = MaintainOptions { memory_bytes: 1_000, ..sort_by(&["name"]) };
        let error = maintain(&runtime, dying, &options).unwrap_err();
        assert!(error.to_string().contains("dead"), "{error}");
        let left: BTreeSet<String> = on_disk(table).difference(&known).cloned().collect();
        let what = if at == "compact-" { "sort-" } else { "compact-" };
        assert!(left.iter().any(|path| path.contains(what)), "{left:?}");
        assert_eq!(read_all(table, &runtime), before);

        let cleaning = MaintainOptions { min_files: 1_000, ..options.clone() };
        let report = maintain(&runtime, table, &cleaning).unwrap();
        assert_eq!(report.files_removed, 0, "they are young: somebody may be about to name them");
        let cleaning = MaintainOptions { orphan_retention: Duration::ZERO, ..cleaning };
        let report = maintain(&runtime, table, &cleaning).unwrap();
        assert_eq!(report.files_removed, left.len() as u64);
        assert_eq!(on_disk(table), known);
        assert_eq!(read_all(table, &runtime), before);
        // And the next compaction does what this one could not.
        assert!(maintain(&runtime, table, &options).unwrap().files_compacted > 0);
        assert_eq!(read_all(table, &runtime), before);
    }
}

#[test]
fn a_file_with_other_rows_than_the_log_says_stops_the_compaction_of_its_partition_alone() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let table = folder.path();
    let mut writer = writer(table, &runtime);
    for epoch in 0..6 {
        let mut files = stage_rows(table, epoch, epoch * 300..(epoch + 1) * 300);
        if epoch == 2 {
            // That of rows without an event time.
            let stats = &mut files[0].stats_json;
            *stats = stats.replace("\"numRecords\":", "\"numRecords\":9");
        }
        writer.deliver(epoch, &files, &Map::new()).unwrap();
    }
    let known = on_disk(table);
    let error = maintain(&runtime, table, &sort_by(&["name"])).unwrap_err();
    assert!(matches!(error, SinkError::CompactionRows { .. }), "{error}");
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    let after = files(table, &runtime);
    let of_epoch = |file: &&ActiveFile| file.path.contains("-000000000002-");
    assert!(after.iter().any(|file| of_epoch(&file)), "its partition is as it was");
    assert!(after.iter().any(|file| file.path.contains("compact-")), "others are compacted");
    let new: BTreeSet<String> = on_disk(table).difference(&known).cloned().collect();
    assert!(new.iter().all(|path| after.iter().any(|file| file.path == *path)), "{new:?}");
    assert_eq!(ids(table, &runtime), (0..1_800).collect());
}

#[test]
fn a_compaction_that_is_stopped_changes_nothing_and_leaves_nothing() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let table = folder.path();
    deliver(table, &runtime, &(0..6).map(|n| n * 300..(n + 1) * 300).collect::<Vec<_>>());
    let known = on_disk(table);
    let options = sort_by(&["name"]);
    options.stop.store(true, Ordering::Release);
    let report = compact_table(&runtime, table, &options).unwrap();
    assert!(report.stopped && report.files_compacted == 0, "{report:?}");
    assert_eq!(on_disk(table), known);
    options.stop.store(false, Ordering::Release);
    assert!(compact_table(&runtime, table, &options).unwrap().files_compacted > 0);
}

#[test]
fn a_table_of_a_protocol_that_hides_rows_is_left_alone() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let table = folder.path();
    deliver(table, &runtime, &(0..4).map(|n| n * 300..(n + 1) * 300).collect::<Vec<_>>());
    let version = TableSnapshot::open(&runtime, table).unwrap().version() + 1;
    let protocol = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,
        "readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}"#;
    let line = protocol.split_whitespace().collect::<String>();
    std::fs::write(table.join(format!("_delta_log/{version:020}.json")), line).unwrap();
    let known = on_disk(table);
    let error = maintain(&runtime, table, &sort_by(&["name"])).unwrap_err();
    assert!(matches!(error, SinkError::UnsupportedProtocol { .. }), "{error}");
    assert_eq!(on_disk(table), known);
}
