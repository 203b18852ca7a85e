//! What becomes of a file that has changed since it was read, whatever its form: what was read of
//! it is never read again, what was appended to plain text is read, and everything else is refused
//! with what to do.

use crate::support::{
    READ_AT, Read, csv_record, json_record, payment_columns, read_all, read_from, spec,
};
use arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use riskstream_engine::contract::{Poll, PollLimit, Source, SourceError};
use riskstream_ingest::{FileSource, FileSourceSpec};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

const PLAIN: [&str; 2] = ["a.csv", "a.ndjson"];
const CLOSED: [&str; 5] = ["a.csv.gz", "a.ndjson.gz", "a.csv.zst", "a.ndjson.zst", "a.parquet"];
const HEADER: &str = "id,time,card,amount\n";

fn text(name: &str, ids: Range<u64>) -> String {
    let csv = name.contains("csv");
    let header = if csv && ids.start == 0 { HEADER } else { "" };
    header.to_owned() + &ids.map(if csv { csv_record } else { json_record }).collect::<String>()
}

fn compressed(name: &str, text: &str) -> Vec<u8> {
    match name.rsplit('.').next() {
        Some("gz") => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).expect("compressed");
            encoder.finish().expect("compressed")
        }
        Some("zst") => zstd::encode_all(text.as_bytes(), 1).expect("compressed"),
        _ => text.as_bytes().to_vec(),
    }
}

fn parquet(ids: Range<u64>) -> Vec<u8> {
    let number = |of: fn(i64) -> i64| {
        ids.clone().map(move |id| of(i64::try_from(id).expect("small"))).collect::<Vec<_>>()
    };
    let amounts = Decimal128Array::from(ids.clone().map(i128::from).collect::<Vec<_>>())
        .with_precision_and_scale(12, 2)
        .expect("fits");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(number(|id| id))),
        Arc::new(
            TimestampMicrosecondArray::from(number(|id| 1_500_000_000_000_000 + id))
                .with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter_values(ids.clone().map(|id| format!("c{id}")))),
        Arc::new(amounts),
    ];
    let names = payment_columns().into_iter().map(|(name, _)| name);
    let rows = RecordBatch::try_from_iter(names.zip(columns)).expect("columns fit");
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).expect("a writer");
    writer.write(&rows).expect("written");
    writer.into_inner().expect("written")
}

fn content(name: &str, ids: Range<u64>) -> Vec<u8> {
    if name.ends_with("parquet") { parquet(ids) } else { compressed(name, &text(name, ids)) }
}

struct World {
    folder: tempfile::TempDir,
    name: &'static str,
    spec: FileSourceSpec,
}

impl World {
    fn new(name: &'static str, follow: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let spec = FileSourceSpec { follow, ..spec(folder.path(), &[name]) };
        Self { folder, name, spec }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    /// Writes the file anew, in place.
    fn write(&self, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(), bytes).expect("written");
    }

    fn append(&self, bytes: impl AsRef<[u8]>) {
        OpenOptions::new()
            .append(true)
            .open(self.path())
            .and_then(|mut f| f.write_all(bytes.as_ref()))
            .expect("appended");
    }

    fn source(&self) -> FileSource {
        FileSource::new(self.spec.clone()).expect("a source")
    }

    fn read(&self) -> Read {
        read_all(&mut self.source()).expect("read")
    }

    fn again(&self, first: &Read) -> Result<Read, SourceError> {
        read_from(
            &mut self.source(),
            first.positions.clone(),
            PollLimit { rows: 1000, bytes: 1 << 20 },
            usize::MAX,
        )
    }

    /// Reads on, which is refused.
    fn refused(&self, first: &Read, reason: &str) {
        let error = self
            .again(first)
            .expect_err(&format!("{}: to be refused: {reason}", self.name))
            .to_string();
        assert!(error.contains("has changed since it was read"), "{}: {error}", self.name);
        assert!(error.contains(reason), "{}: {error}", self.name);
        assert!(
            error.contains("of another name") && error.contains("new data folder"),
            "{}: what to do: {error}",
            self.name
        );
    }
}

fn touch(path: &Path) {
    let file = File::options().write(true).open(path).expect("there");
    file.set_modified(SystemTime::now() + Duration::from_secs(60)).expect("touched");
}

#[test]
fn lines_appended_to_a_finished_file_are_read_by_the_next_run() {
    for name in PLAIN {
        for (follow, rows) in [(false, 3), (true, 3), (false, 500)] {
            let mut world = World::new(name, false);
            world.write(text(name, 0..rows));
            let mut first = world.read();
            assert!(first.positions[&0].1.finished);
            world.spec.follow = follow;
            for round in 1..4 {
                world.append(text(name, rows * round..rows * round + 2));
                let second = world.again(&first).expect("read on");
                assert_eq!(
                    (second.row_count(), second.dead_count()),
                    (2, 0),
                    "{name}, follow {follow}, round {round}"
                );
                first = second;
            }
        }
    }
}

#[test]
fn a_file_that_a_run_without_follow_has_finished_is_followed_by_one_with_it() {
    for name in PLAIN {
        for rows in [0, 3, 500] {
            let mut world = World::new(name, false);
            world.write(text(name, 0..rows));
            let first = world.read();
            assert!(first.positions[&0].1.finished);
            world.spec.follow = true;
            let mut source = world.source();
            source.open(&first.positions).expect("opened");
            assert_eq!(poll_all(&mut source).expect("waits"), 0);
            for round in 0..3 {
                let from = rows + 2 * round;
                world.append(text(name, from..from + 2));
                assert_eq!(poll_all(&mut source).expect("read on"), 2, "{name}, {rows}, {round}");
            }
            // Taken away before anything came, it has ended as it had.
            let mut again = world.source();
            again.open(&first.positions).expect("opened");
            std::fs::write(world.path(), text(name, 0..rows)).expect("as it was");
            let mut left = world.source();
            left.open(&first.positions).expect("opened");
            assert_eq!(poll_all(&mut left).expect("waits"), 0);
            std::fs::remove_file(world.path()).expect("removed");
            let polled = left.poll(0, PollLimit { rows: 7, bytes: 200 }).expect("no error");
            assert!(matches!(polled, Poll::Finished(_)), "{name}, {rows}: {polled:?}");
            let error = poll_all(&mut again).expect_err("it had grown, and is gone").to_string();
            assert!(error.contains("payments"), "{name}, {rows}: {error}");
        }
    }
}

#[test]
fn a_last_line_without_an_end_may_get_one_but_not_go_on() {
    for name in PLAIN {
        let world = World::new(name, false);
        let whole = text(name, 0..3);
        world.write(whole.trim_end());
        let first = world.read();
        assert_eq!(
            (first.row_count(), first.dead_count()),
            (3, 0),
            "{name}: a last line needs no end"
        );
        for end in ["\n", "\r\n"] {
            world.write(whole.trim_end().to_owned() + end + &text(name, 3..5));
            let second = world.again(&first).expect("read on");
            assert_eq!(
                (second.row_count(), second.dead_count()),
                (2, 0),
                "{name}: it has got its end"
            );
        }
        world.write(whole.trim_end().to_owned() + "5\n" + &text(name, 3..5));
        world.refused(&first, "goes on now");
    }
    // A newline within quotes ends nothing.
    let world = World::new("a.csv", false);
    let open = text("a.csv", 0..3) + "3,2018-04-01 00:00:03,\"c\n";
    world.write(&open);
    let first = world.read();
    assert_eq!((first.row_count(), first.dead_count()), (3, 1));
    world.write(open + "\",1.00\n");
    world.refused(&first, "goes on now");
}

#[test]
fn plain_text_that_is_another_one_now_is_refused_at_its_end_and_in_the_middle() {
    for name in PLAIN {
        for partly in [false, true] {
            let world = World::new(name, false);
            let whole = text(name, 0..400);
            world.write(&whole);
            let limit = PollLimit { rows: 1, bytes: 9_000 };
            let blocks = if partly { 1 } else { usize::MAX };
            let first =
                read_from(&mut world.source(), BTreeMap::new(), limit, blocks).expect("read");
            let read = usize::try_from(first.positions[&0].1.next_offset).expect("from 0");
            assert!(read > 8_192 && first.positions[&0].1.finished != partly);
            world.write(&whole[..read - 1]);
            world.refused(&first, "of which");
            // Another file of the same header, longer: seen at its beginning.
            world.write(text(name, 0..1) + &text(name, 500..950));
            world.refused(&first, "its beginning is another one");
            // The same beginning, and other rows behind it.
            let alike =
                (0..400).find(|rows| text(name, 0..*rows).len() > 6_000).expect("enough rows");
            world.write(text(name, 0..alike) + &text(name, 500..950));
            world.refused(&first, "another text now");
            let mut changed = whole.clone().into_bytes();
            changed[read - 3] ^= 1;
            world.write(&changed);
            world.refused(&first, "another text now");
            world.write(&whole);
            touch(&world.path());
            assert_eq!(
                first.row_count() + world.again(&first).expect("only touched").row_count(),
                400,
                "{name}"
            );
        }
    }
}

#[test]
fn compressed_and_parquet_files_that_change_after_they_were_read_are_refused() {
    for name in CLOSED {
        for follow in [false, true] {
            let world = World::new(name, follow);
            world.write(content(name, 0..3_000));
            let first = world.read();
            assert_eq!(first.row_count(), 3_000, "{name}");
            assert!(first.positions[&0].1.finished, "{name}: complete when it appears");
            assert_eq!(world.again(&first).expect("nothing has changed").row_count(), 0);
            touch(&world.path());
            assert_eq!(world.again(&first).expect("only touched").row_count(), 0, "{name}");
            let bytes = std::fs::read(world.path()).expect("readable");
            if name != "a.parquet" {
                // What decompresses to the old content and more is another file all the same.
                world.append(content(name, 60..70));
                world.refused(&first, "it had");
            }
            world.write(content(name, 0..3_100));
            world.refused(&first, "it");
            let mut changed = bytes.clone();
            let last = changed.len() - 9;
            changed[last] ^= 1;
            world.write(&changed);
            touch(&world.path());
            world.refused(&first, "another one");
            std::fs::remove_file(world.path()).expect("removed");
            assert_eq!(world.again(&first).expect("it was read, and may go").row_count(), 0);
        }
    }
}

#[test]
fn a_file_that_was_empty_is_read_when_there_is_something_in_it() {
    for name in ["a.csv", "a.ndjson", "a.parquet"] {
        let world = World::new(name, false);
        world.write("");
        let first = world.read();
        assert!(first.positions[&0].1.finished && first.row_count() == 0);
        assert_eq!(world.again(&first).expect("still nothing").row_count(), 0);
        world.write(content(name, 0..4));
        assert_eq!(world.again(&first).expect("read").row_count(), 4, "{name}");
    }
    let world = World::new("a.csv", false);
    world.write(HEADER);
    let first = world.read();
    world.append(&text("a.csv", 0..2)[HEADER.len()..]);
    assert_eq!(world.again(&first).expect("read").row_count(), 2, "a header is no row");
}

/// Polls partition 0 until it has nothing more; gives how many rows came.
fn poll_all(source: &mut FileSource) -> Result<usize, SourceError> {
    let mut decoder = source.decoder();
    let mut rows = 0;
    loop {
        match source.poll(0, PollLimit { rows: 7, bytes: 200 })? {
            Poll::Block(mut block) => {
                block.read_at = READ_AT;
                rows += decoder.decode(block)?.rows.num_rows();
            }
            Poll::Pending { caught_up: false } => {}
            Poll::Pending { caught_up: true } | Poll::Finished(_) => return Ok(rows),
        }
    }
}

#[test]
fn with_follow_a_file_that_is_cut_off_is_waited_for_and_told_of() {
    for name in CLOSED {
        let world = World::new(name, true);
        let whole = content(name, 0..200);
        world.write(&whole[..whole.len() / 2]);
        let mut source = world.source();
        let told: Arc<Mutex<Option<String>>> = Arc::default();
        let tell = Arc::clone(&told);
        source.report_to(Arc::new(move |problem| *tell.lock().expect("free") = problem));
        source.open(&BTreeMap::new()).expect("opened");
        let mut rows = poll_all(&mut source).expect("waits");
        assert!(rows < 200);
        let said = told.lock().expect("free").clone();
        assert!(said.as_deref().is_some_and(|s| s.contains("is not complete")), "{name}: {said:?}");
        assert_eq!(poll_all(&mut source).expect("waits"), 0);
        world.append(&whole[whole.len() / 2..]);
        rows += poll_all(&mut source).expect("complete now");
        assert_eq!((rows, told.lock().expect("free").clone()), (200, None), "{name}");
        let other = World::new(name, false);
        other.write(&whole[..whole.len() / 2]);
        assert!(read_all(&mut other.source()).is_err(), "{name}: without it, it is refused");
    }
}

#[test]
fn a_followed_file_is_read_on_as_it_grows_and_refused_when_another_takes_its_place() {
    for name in PLAIN {
        let world = World::new(name, true);
        world.write(text(name, 0..40));
        let mut source = world.source();
        source.open(&BTreeMap::new()).expect("opened");
        assert_eq!(poll_all(&mut source).expect("read"), 40);
        let more = text(name, 40..43);
        let half = more.len() / 2;
        world.append(&more[..half]);
        let few = poll_all(&mut source).expect("whole lines only");
        world.append(&more[half..]);
        assert_eq!(few + poll_all(&mut source).expect("read on"), 3, "{name}");
        // The same text in another file, and more: an editor, or rsync.
        let other = world.folder.path().join("other");
        std::fs::write(&other, text(name, 0..50)).expect("written");
        std::fs::rename(&other, world.path()).expect("renamed");
        assert_eq!(poll_all(&mut source).expect("read on"), 7, "{name}");
        // Another text: logs that are rotated.
        std::fs::write(&other, text(name, 0..1) + &text(name, 100..200)).expect("written");
        std::fs::rename(&other, world.path()).expect("renamed");
        let error = poll_all(&mut source).expect_err("refused").to_string();
        assert!(error.contains("has changed since it was read"), "{name}: {error}");
    }
}

#[test]
fn hundreds_of_files_in_step_are_read_with_few_open_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for (form, files) in [("csv", 200), ("ndjson", 40), ("csv.gz", 30)] {
        let sub = folder.path().join(form.replace('.', "-"));
        std::fs::create_dir(&sub).expect("made");
        for file in 0..files {
            let name = format!("{file:04}.{form}");
            std::fs::write(sub.join(&name), content(&name, 0..40)).expect("written");
        }
        let mut spec = spec(&sub, &[&format!("*.{form}")]);
        spec.open_files_max = Some(8);
        let mut source = FileSource::new(spec).expect("a source");
        source.open(&BTreeMap::new()).expect("opened");
        let mut decoder = source.decoder();
        let mut open: Vec<u32> =
            (0..u32::try_from(source.partitions().len()).expect("few")).collect();
        let (mut rows, before) = (0, descriptors());
        while !open.is_empty() {
            let mut still = Vec::new();
            for partition in open {
                match source.poll(partition, PollLimit { rows: 10, bytes: 400 }).expect("polled") {
                    Poll::Block(mut block) => {
                        block.read_at = READ_AT;
                        rows += decoder.decode(block).expect("decoded").rows.num_rows();
                        still.push(partition);
                    }
                    Poll::Pending { .. } => still.push(partition),
                    Poll::Finished(_) => {}
                }
            }
            // Other tests of this process open files too.
            assert!(descriptors() < before + 8 + 100, "{} files are open", descriptors());
            open = still;
        }
        assert_eq!(rows, files * 40, "{form}");
        let (total, done) = source.progress().expect("it knows");
        assert_eq!(done, total, "{form}: bytes that are read again are counted once");
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn a_file_of_blank_lines_without_a_header_ends_and_is_read_on_when_it_has_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    for blank in ["\n", "\r\n\r\n", "\u{feff}\n"] {
        std::fs::write(folder.path().join("a.csv"), blank).expect("written");
        let read =
            read_all(&mut FileSource::new(spec(folder.path(), &["a.csv"])).expect("a source"))
                .expect("read");
        assert!(read.positions[&0].1.finished, "{blank:?}");
        std::fs::write(folder.path().join("a.csv"), blank.to_owned() + &text("a.csv", 0..3))
            .expect("written");
        let limit = PollLimit { rows: 1000, bytes: 1 << 20 };
        let mut source = FileSource::new(spec(folder.path(), &["a.csv"])).expect("a source");
        let more = read_from(&mut source, read.positions, limit, usize::MAX).expect("read");
        assert_eq!((more.row_count(), more.dead_count()), (3, 0), "{blank:?}");
    }
}

#[test]
fn a_file_that_gave_nothing_before_others_did_is_read_by_the_next_run() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, name) in ["a.csv", "b.csv", "c.csv"].iter().enumerate() {
        let first = number as u64 * 10;
        let rows: String = (first..first + 2).map(csv_record).collect();
        std::fs::write(folder.path().join(name), HEADER.to_owned() + &rows).expect("written");
    }
    let limit = PollLimit { rows: 1000, bytes: 1 << 20 };
    let spec = spec(folder.path(), &["*.csv"]);
    let whole = read_all(&mut FileSource::new(spec.clone()).expect("a source")).expect("read");
    // The run ended when only the last file had given something.
    let committed: BTreeMap<_, _> = whole
        .positions
        .iter()
        .filter(|(number, _)| **number == 2)
        .map(|(n, p)| (*n, p.clone()))
        .collect();
    let mut source = FileSource::new(spec.clone()).expect("a source");
    let rest = read_from(&mut source, committed.clone(), limit, usize::MAX).expect("read");
    assert_eq!((rest.row_count(), source.partitions().len()), (4, 3));
    // And again, where one of the two is gone meanwhile.
    std::fs::remove_file(folder.path().join("a.csv")).expect("removed");
    let mut source = FileSource::new(spec.clone()).expect("a source");
    let rest = read_from(&mut source, committed, limit, usize::MAX).expect("read");
    assert_eq!((rest.row_count(), source.partitions().len()), (2, 3));
    let mut source = FileSource::new(spec).expect("a source");
    let nothing = read_from(&mut source, rest.positions, limit, usize::MAX).expect("read");
    assert_eq!((nothing.row_count(), source.partitions().len()), (0, 3));
}

#[test]
fn files_that_were_read_and_taken_away_keep_no_new_ones_from_being_read() {
    for first_path in ["old/*.csv", "old/a.csv"] {
        let folder = tempfile::tempdir().expect("a folder");
        for part in ["old", "new"] {
            std::fs::create_dir(folder.path().join(part)).expect("made");
        }
        std::fs::write(folder.path().join("old/a.csv"), content("a.csv", 0..3)).expect("written");
        let read =
            read_all(&mut FileSource::new(spec(folder.path(), &[first_path])).expect("a source"))
                .expect("read");
        assert_eq!(read.row_count(), 3);
        std::fs::remove_file(folder.path().join("old/a.csv")).expect("removed");
        std::fs::write(folder.path().join("new/b.csv"), HEADER.to_owned() + &text("b.csv", 3..5))
            .expect("written");
        for paths in [[first_path, "new/*.csv"], ["new/*.csv", first_path]] {
            let mut source = FileSource::new(spec(folder.path(), &paths)).expect("a source");
            let limit = PollLimit { rows: 1000, bytes: 1 << 20 };
            let again =
                read_from(&mut source, read.positions.clone(), limit, usize::MAX).expect("read");
            assert_eq!(again.row_count(), 2, "{paths:?}");
        }
    }
}

#[test]
fn a_file_that_was_read_is_known_however_the_way_to_it_is_written() {
    let folder = tempfile::Builder::new().prefix("files-").tempdir_in(".").expect("a folder");
    let name = folder.path().file_name().expect("it has a name").to_string_lossy().into_owned();
    std::fs::write(folder.path().join("a.csv"), content("a.csv", 0..3)).expect("written");
    let patterns = [format!("{name}/*.csv"), format!("./{name}/*.csv"), format!("{name}/a.csv")];
    for pattern in &patterns {
        let source = |base: &str| {
            let mut spec = FileSourceSpec { follow: true, ..spec(Path::new(base), &[pattern]) };
            spec.base = PathBuf::from(base);
            FileSource::new(spec).expect("a source")
        };
        for (first, second) in [(".", "."), (".", "./"), ("", "."), (".", "")] {
            let limit = PollLimit { rows: 1000, bytes: 1 << 20 };
            let read =
                read_from(&mut source(first), BTreeMap::new(), limit, usize::MAX).expect("read");
            let mut again = source(second);
            let rest =
                read_from(&mut again, read.positions.clone(), limit, usize::MAX).expect("read");
            assert_eq!(
                (read.row_count(), rest.row_count(), again.partitions().len()),
                (3, 0, 1),
                "{pattern} in {first:?}, then {second:?}"
            );
            for _ in 0..20 {
                assert!(
                    !again.discover().expect("looked"),
                    "{pattern} in {first:?}, then {second:?}"
                );
            }
        }
    }
}
