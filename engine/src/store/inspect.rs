//! Looking at a store without opening it: nothing is locked, claimed, written or made, so a running
//! program is not disturbed.
//!
//! A running program adds and collects files all the while; what is told here was true at one
//! moment between the call and its return, but for the size, which is only about right.

use crate::contract::{OutboxPart, PartitionInfo, Position, Shapes};
use crate::disk::{Disk, Entry, Folder};
use crate::ids::{Epoch, Generation};
use crate::protocol::{
    CLOCK_STEP, Claim, EpochName, Origin, ResumeFacts, SavedTracker, TRACKER, decide_resume,
};
use crate::store::away::{AwayNote, read_away};
use crate::store::delivered::DeliveredMarks;
use crate::store::epoch_file::{
    EpochHeader, HeaderError, Section, SectionKind, batch_from_ipc, decode, read_header,
};
use crate::store::error::StoreError;
use crate::store::open::{IDENTITY_FILE, check_identity};
use crate::store::recovered::KeptEpoch;
use crate::store::state_edit::StateEdit;
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How often a listing is made again when files were collected while they were read.
const ATTEMPTS_MAX: u32 = 20;

/// What a store holds.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// The last committed epoch; 0 when there is none.
    pub committed: Epoch,
    /// The newest run that claimed the store; 0 when there is none.
    pub generation: Generation,
    /// Epoch files that count.
    pub epochs: Vec<Epoch>,
    /// Snapshots that count.
    pub snapshots: Vec<Epoch>,
    /// How far each partition was read, by number.
    pub positions: BTreeMap<u32, (PartitionInfo, Position)>,
    /// Steps and sinks of the pipeline that wrote the last epoch.
    pub steps: Vec<String>,
    /// What the steps' state means.
    pub shapes: Shapes,
    /// The newest event time, microseconds since 1970.
    pub event_time: Option<i64>,
    /// The watermark, microseconds since 1970.
    pub watermark: Option<i64>,
    /// Staged files that the outboxes of epoch files name, by sink.
    pub staged: BTreeMap<String, Vec<serde_json::Value>>,
    /// What waits for sinks, by sink; those for which nothing waits are left out.
    pub waiting: BTreeMap<String, SinkWaiting>,
    /// The sinks that the run waits for, or waited for when it ended.
    pub away: BTreeMap<String, AwayNote>,
    /// What each step has saved, by id: what a run would take back.
    pub state: BTreeMap<String, StoredState>,
    /// What epochs have for sinks, by sink, oldest first: what may still be on its way. Older
    /// epochs are gone with what they had.
    pub outbox: BTreeMap<String, Vec<StoredRows>>,
    /// Whose the last epoch is, and where its rows went; none for a store that has none, or was
    /// begun anew.
    pub origin: Option<Origin>,
    /// What the files say of the sinks, in order of epochs, an epoch's own file before a snapshot
    /// of it.
    pub kept: Vec<KeptEpoch>,
    /// The last epoch that each sink was known to have, by sink: it may have more by now. None in a
    /// store of which that was never written down.
    pub marks: Option<BTreeMap<String, Epoch>>,
    /// Size of all files.
    pub bytes: u64,
    /// The process that holds the store, when one does; its number when it is known.
    pub held_by: Option<Option<u32>>,
    /// Files that can't be read: path and why.
    pub problems: Vec<String>,
    /// The epochs among `problems`, and whether each is the newest file.
    damaged: Vec<(Epoch, String, bool)>,
    /// The snapshot that a run starts from; 0 for none.
    start: Epoch,
}

/// What waits for a sink. How far a running program has delivered is written down once a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkWaiting {
    /// Epochs with rows for it.
    pub epochs: u64,
    /// Bytes of their rows and staged files.
    pub bytes: u64,
}

/// What a step has saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredState {
    /// Bytes in snapshot and epochs.
    pub bytes: u64,
    /// Bytes of the files in the step's folder.
    pub file_bytes: u64,
}

/// What one epoch has for one sink.
#[derive(Debug, Clone)]
pub struct StoredRows {
    /// The epoch.
    pub epoch: Epoch,
    /// Rows, where they can be counted.
    pub rows: u64,
    /// What they look like: of each form of rows an empty batch, and the staged files.
    pub form: OutboxPart,
}

impl StoredRows {
    /// Whether the destination is emptied first.
    #[must_use]
    pub fn empties(&self) -> bool {
        self.form.empties
    }
}

/// Looks at the store in the folder `root`; `None` when there is none.
///
/// # Errors
/// When files can't be listed or read, or epochs are missing.
pub fn inspect(root: impl Into<Folder>) -> Result<Option<Inspection>, StoreError> {
    let root = root.into();
    let identity = root.join(IDENTITY_FILE);
    let found =
        root.disk().look(&identity).map_err(|e| StoreError::io("look for", &identity, &e))?;
    if found.is_none_or(|found| found.is_folder) {
        return Ok(None);
    }
    for _ in 0..ATTEMPTS_MAX {
        match look(&root)? {
            Some(mut inspection) => {
                inspection.bytes = size(&root)?;
                for (step, state) in &mut inspection.state {
                    state.file_bytes = size(&root.below("history").below(step))?;
                }
                inspection.marks = DeliveredMarks::open(&root)?.into_marks();
                inspection.held_by = held_by(&root);
                inspection.away = read_away(&root);
                return Ok(Some(inspection));
            }
            None => std::thread::yield_now(),
        }
    }
    Err(StoreError::Io {
        action: "read",
        path: root.path().to_owned(),
        reason: "its files change too fast to be read; try again".into(),
    })
}

/// The process that holds the store in the folder `root`, when one does; its number when it is
/// known. Reads no epoch.
#[must_use]
pub fn held_by(root: impl Into<Folder>) -> Option<Option<u32>> {
    let root = root.into();
    root.disk().holder(&root.join("lock"))
}

/// Whether this program reads the store in the folder `root`; so too when there is none.
///
/// # Errors
/// When its identity can't be read, is damaged, or is another program's or version's.
pub fn check_readable(root: impl Into<Folder>) -> Result<(), StoreError> {
    let root = root.into();
    let path = root.join(IDENTITY_FILE);
    match root.disk().read(&path) {
        Ok(bytes) => check_identity(&path, &bytes),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(StoreError::io("read", path, &e)),
    }
}

/// What the state of the store in the folder `root` means, by step; empty when there is none. Reads
/// few files, and of them the headers.
///
/// # Errors
/// When files can't be listed or read, or epochs are missing.
pub fn saved_shapes(root: impl Into<Folder>) -> Result<Shapes, StoreError> {
    let shapes = newest(&root.into(), |header| header.says_shapes().then_some(header.shapes))?;
    Ok(shapes.unwrap_or_default())
}

/// Whose the store in the folder `root` is, and where its rows go, as of its last epoch; `None`
/// when there is none. Reads one file.
///
/// # Errors
/// As [`saved_shapes`].
pub fn saved_origin(root: impl Into<Folder>) -> Result<Option<Origin>, StoreError> {
    newest(&root.into(), |header| Some(header.origin))
}

/// The last epoch of the store in the folder `root`, and the run that wrote it; `None` when there
/// is none. Reads one file.
///
/// # Errors
/// As [`saved_shapes`].
pub(crate) fn saved_place(
    root: impl Into<Folder>,
) -> Result<Option<(Generation, Epoch)>, StoreError> {
    newest(&root.into(), |header| Some((header.generation, header.epoch)))
}

/// What `say` gives for the newest header for which it gives anything.
fn newest<T>(
    root: &Folder,
    say: impl Fn(EpochHeader) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let facts = facts(root)?;
    let epochs = decide_resume(&facts)?.epochs;
    let epochs = epochs
        .iter()
        .rev()
        .map(|n| root.join(format!("epochs/{:020}-{:010}.epoch", n.epoch.0, n.generation.0)));
    let mut snapshots = facts.snapshots;
    snapshots.sort_unstable();
    let snapshots = snapshots
        .iter()
        .rev()
        .map(|n| root.join(format!("snapshots/{:020}-{:010}.snapshot", n.epoch.0, n.generation.0)));
    for path in epochs.chain(snapshots) {
        let read = match root.disk().open(&path) {
            Ok(file) => read_header(file.as_ref()),
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => Err(e.into()),
        };
        match read {
            Ok(header) => {
                if let Some(said) = say(header) {
                    return Ok(Some(said));
                }
            }
            Err(HeaderError::Io(e)) => return Err(StoreError::io("read", path, &e)),
            // A damaged file is passed over as a start passes over it, or fails on it.
            Err(HeaderError::Damaged(_)) => {}
        }
    }
    Ok(None)
}

/// One look; `None` when a file went away meanwhile.
fn look(root: &Folder) -> Result<Option<Inspection>, StoreError> {
    let facts = facts(root)?;
    let Ok(decision) = decide_resume(&facts) else {
        // Epochs may have been collected between the two listings; a gap that stays is reported by
        // the last attempt.
        decide_resume(&self::facts(root)?)?;
        return Ok(None);
    };
    // One that can't be read says nothing; a run refuses it.
    let marks = DeliveredMarks::open(root).ok();
    let mut inspection = Inspection {
        generation: Generation(decision.next_generation.0.saturating_sub(1)),
        snapshots: facts
            .snapshots
            .iter()
            .map(|n| n.epoch)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        ..Inspection::default()
    };
    // Epoch files hold what changed: they add to the newest snapshot that can be read, as at a
    // start.
    let mut readable = facts.clone();
    let mut decision = decision;
    while let Some(name) = decision.snapshot {
        match read(
            root.disk().as_ref(),
            &root
                .join(format!("snapshots/{:020}-{:010}.snapshot", name.epoch.0, name.generation.0)),
        )? {
            File::Gone => return Ok(None),
            File::Damaged(problem) => {
                inspection.problems.push(problem);
                readable.snapshots.retain(|s| *s != name);
                decision = decide_resume(&readable)?;
            }
            File::Read(header, sections) => {
                inspection.kept.push(KeptEpoch::new(&header, false));
                inspection.read_epoch(*header, &sections);
                inspection.add_state(&sections);
                break;
            }
        }
    }
    let snapshot = decision.snapshot.map_or(Epoch(0), |name| name.epoch);
    inspection.start = snapshot;
    for name in &decision.epochs {
        match read(
            root.disk().as_ref(),
            &root.join(format!("epochs/{:020}-{:010}.epoch", name.epoch.0, name.generation.0)),
        )? {
            File::Gone => return Ok(None),
            File::Damaged(problem) => {
                inspection.problems.push(problem.clone());
                inspection.damaged.push((
                    name.epoch,
                    problem,
                    Some(name) == decision.epochs.last(),
                ));
            }
            // It was written over as another epoch while it was read.
            File::Read(header, _) if header.epoch != name.epoch => return Ok(None),
            File::Read(header, sections) => {
                inspection.epochs.push(name.epoch);
                if let Some(edit) = &header.edit {
                    inspection.staged.retain(|sink, _| !edit.forgets(sink));
                    inspection.outbox.retain(|sink, _| !edit.forgets(sink));
                    inspection.waiting.retain(|sink, _| !edit.forgets(sink));
                    if matches!(edit, StateEdit::BeginAnew { .. }) {
                        inspection.kept.retain(|kept| kept.epoch >= name.epoch);
                    }
                }
                inspection.count_waiting(&marks, &header, &sections);
                inspection.kept.push(KeptEpoch::new(&header, true));
                inspection.add_outbox(name.epoch, &sections);
                if header.epoch > snapshot {
                    if let Some(edit) = &header.edit {
                        edit.apply(&mut inspection.state);
                    }
                    inspection.add_state(&sections);
                    inspection.read_epoch(*header, &sections);
                }
            }
        }
    }
    inspection.kept.sort_by_key(|kept| (kept.epoch, !kept.holds_rows));
    Ok(Some(inspection))
}

impl Inspection {
    /// Counts what an epoch holds for sinks that have not delivered it.
    fn count_waiting(
        &mut self,
        marks: &Option<DeliveredMarks>,
        header: &EpochHeader,
        sections: &[Section],
    ) {
        let waits = |sink: &str| {
            header.origin.remembers(sink)
                && marks.as_ref().is_some_and(|marks| marks.may_wait(sink, header.epoch))
        };
        let mut counted: BTreeSet<&str> = BTreeSet::new();
        for section in sections.iter().filter(|s| s.kind != SectionKind::State && waits(&s.step)) {
            let waiting = self.waiting.entry(section.step.clone()).or_default();
            waiting.epochs += u64::from(counted.insert(&section.step));
            waiting.bytes += match section.kind {
                SectionKind::File => {
                    let file: Option<serde_json::Value> =
                        serde_json::from_slice(&section.payload).ok();
                    file.and_then(|file| file.get("bytes")?.as_u64()).unwrap_or(0)
                }
                SectionKind::Outbox | SectionKind::State | SectionKind::Empties => {
                    section.payload.len() as u64
                }
            };
        }
    }

    /// The damage that stops a run. All sinks have the epochs through `delivered`, and some sink
    /// has those through `seen`. A run passes over other damage without a loss: an older snapshot
    /// stands in for a damaged one, and a newest file that is torn was never committed.
    pub fn in_the_way(&self, delivered: Epoch, seen: Epoch) -> impl Iterator<Item = &str> {
        let is_needed = move |epoch: Epoch| epoch > self.start || epoch > delivered;
        let is_torn = move |epoch: Epoch, newest: bool| newest && epoch > self.start.max(seen);
        self.damaged
            .iter()
            .filter(move |(epoch, _, newest)| is_needed(*epoch) && !is_torn(*epoch, *newest))
            .map(|(_, said, _)| said.as_str())
    }

    /// The last epoch that a sink was known to have.
    #[must_use]
    pub fn delivered(&self, sink: &str) -> Epoch {
        self.marks.as_ref().and_then(|marks| marks.get(sink)).copied().unwrap_or_default()
    }

    /// Whether an epoch's rows may still wait for a sink that the pipeline no longer has.
    #[must_use]
    pub fn may_wait(&self, sink: &str, epoch: Epoch) -> bool {
        self.marks.is_some() && epoch > self.delivered(sink)
    }

    fn add_state(&mut self, sections: &[Section]) {
        for section in sections.iter().filter(|s| s.kind == SectionKind::State) {
            self.state.entry(section.step.clone()).or_default().bytes +=
                section.payload.len() as u64;
        }
    }

    fn add_outbox(&mut self, epoch: Epoch, sections: &[Section]) {
        for section in sections {
            if section.kind == SectionKind::State {
                continue;
            }
            let of_sink = self.outbox.entry(section.step.clone()).or_default();
            if of_sink.last().is_none_or(|last| last.epoch != epoch) {
                of_sink.push(StoredRows { epoch, rows: 0, form: OutboxPart::default() });
            }
            let Some(StoredRows { rows, form, .. }) = of_sink.last_mut() else { continue };
            match section.kind {
                SectionKind::State => {}
                SectionKind::Outbox => {
                    let Ok(batch) = batch_from_ipc(&section.payload) else { continue };
                    *rows += batch.num_rows() as u64;
                    if form.rows.iter().all(|known| known.schema_ref() != batch.schema_ref()) {
                        form.rows.push(RecordBatch::new_empty(batch.schema()));
                    }
                }
                SectionKind::File => {
                    let Ok(file) = serde_json::from_slice::<serde_json::Value>(&section.payload)
                    else {
                        continue;
                    };
                    *rows += file.get("rows").and_then(serde_json::Value::as_u64).unwrap_or(0);
                    self.staged.entry(section.step.clone()).or_default().push(file.clone());
                    form.files.push(file);
                }
                SectionKind::Empties => form.empties = true,
            }
        }
    }

    fn read_epoch(&mut self, header: EpochHeader, sections: &[Section]) {
        self.committed = header.epoch;
        if header.says_shapes() {
            self.shapes = header.shapes;
        }
        let is_anew = matches!(header.edit, Some(StateEdit::BeginAnew { .. }));
        self.origin = (!is_anew).then_some(header.origin);
        if is_anew {
            self.positions.clear();
        }
        self.positions.extend(header.positions);
        self.steps = header.steps;
        if let Some(clock) = saved_clock(sections) {
            self.watermark = clock.watermark();
            self.event_time = clock.newest();
        }
    }
}

fn saved_clock(sections: &[Section]) -> Option<SavedTracker> {
    let clock = |s: &&Section| {
        s.kind == SectionKind::State && (s.step.as_str(), s.name.as_str()) == (CLOCK_STEP, TRACKER)
    };
    SavedTracker::from_rows(&batch_from_ipc(&sections.iter().find(clock)?.payload).ok()?)
}

pub(super) enum File {
    Gone,
    Damaged(String),
    Read(Box<EpochHeader>, Vec<Section>),
}

pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<File, StoreError> {
    match disk.read(path) {
        Ok(bytes) => Ok(match decode(&bytes) {
            Ok((header, sections)) => File::Read(Box::new(header), sections),
            // Collected while it was read.
            Err(_) if disk.look(path).is_ok_and(|found| found.is_none()) => File::Gone,
            Err(reason) => File::Damaged(format!("{} is damaged: {reason}", path.display())),
        }),
        // `UnexpectedEof`: it was written over, shorter.
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
            Ok(File::Gone)
        }
        Err(e) => Err(StoreError::io("read", path, &e)),
    }
}

/// After which epoch a generation went on; none where it has not said so.
pub(super) fn resumed_after(root: &Folder, generation: Generation) -> Option<Epoch> {
    let path = root.join(format!("generations/{:010}.resumed", generation.0));
    let bytes = root.disk().read(&path).ok()?;
    serde_json::from_slice::<serde_json::Value>(&bytes).ok()?.get("after")?.as_u64().map(Epoch)
}

fn facts(root: &Folder) -> Result<ResumeFacts, StoreError> {
    let mut facts = ResumeFacts::default();
    for name in list(&root.below("generations"))? {
        let Some(generation) = name.strip_suffix(".claim").and_then(|n| n.parse().ok()) else {
            continue;
        };
        let generation = Generation(generation);
        facts.claims.push(Claim { generation, resumed_after: resumed_after(root, generation) });
    }
    facts.epochs = names(root, "epochs", ".epoch")?;
    facts.snapshots = names(root, "snapshots", ".snapshot")?;
    Ok(facts)
}

pub(super) fn names(
    root: &Folder,
    folder: &str,
    suffix: &str,
) -> Result<Vec<EpochName>, StoreError> {
    let parse = |name: &String| {
        let (epoch, generation) = name.strip_suffix(suffix)?.split_once('-')?;
        Some(EpochName {
            epoch: Epoch(epoch.parse().ok()?),
            generation: Generation(generation.parse().ok()?),
        })
    };
    Ok(list(&root.below(folder))?.iter().filter_map(parse).collect())
}

/// What is in a folder; nothing when it is not there.
fn entries(disk: &dyn Disk, folder: &Path) -> Result<Vec<Entry>, StoreError> {
    match disk.list(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(StoreError::io("list", folder, &e)),
        Ok(entries) => Ok(entries),
    }
}

/// Names in a folder; none when it is not there.
pub(super) fn list(folder: &Folder) -> Result<Vec<String>, StoreError> {
    Ok(entries(folder.disk().as_ref(), folder)?.into_iter().map(|entry| entry.name).collect())
}

/// Bytes of all files below a folder; one that goes away meanwhile counts nothing.
fn size(root: &Folder) -> Result<u64, StoreError> {
    let mut bytes = 0;
    let mut folders: Vec<PathBuf> = vec![root.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for Entry { name, is_folder } in entries(root.disk().as_ref(), &folder)? {
            let path = folder.join(name);
            if is_folder {
                folders.push(path);
            } else if let Ok(Some(found)) = root.disk().look(&path) {
                bytes += found.bytes;
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn header(epoch: u64) -> EpochHeader {
        let position = Position { next_offset: 7, finished: true, fingerprint: "f".into() };
        EpochHeader {
            epoch: Epoch(epoch),
            generation: Generation(1),
            positions: BTreeMap::from([(0, (PartitionInfo { name: "a.csv".into() }, position))]),
            rows: 1,
            steps: vec!["s".into()],
            ..EpochHeader::default()
        }
    }

    #[test]
    fn a_held_store_is_looked_at_without_being_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(inspect(folder.path()).expect("looked").is_none(), "nothing is made");
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0);

        let mut store = Store::open(folder.path()).expect("opened");
        store.recover(Epoch(0), Epoch(0)).expect("recovered");
        let file = Section {
            kind: SectionKind::File,
            step: "scored".into(),
            name: String::new(),
            worker: 0,
            payload: bytes::Bytes::from_static(b"{\"path\":\"x.parquet\"}"),
        };
        store.commit(&header(1), &[]).expect("committed");
        store.commit(&header(2), &[file]).expect("committed");
        let seen = inspect(folder.path()).expect("looked").expect("there is a store");
        assert_eq!(
            (seen.committed, seen.generation, seen.epochs.len()),
            (Epoch(2), Generation(1), 2)
        );
        assert_eq!(seen.positions[&0].1.next_offset, 7);
        assert_eq!(seen.staged["scored"][0]["path"], "x.parquet");
        assert_eq!(seen.held_by, Some(Some(std::process::id())));
        assert!(seen.bytes > 0);
        drop(store);
        assert_eq!(
            inspect(folder.path()).expect("looked").expect("there is a store").held_by,
            None
        );
    }

    #[test]
    fn a_damaged_newest_epoch_is_reported_and_the_one_before_it_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path()).expect("opened");
        store.recover(Epoch(0), Epoch(0)).expect("recovered");
        store.commit(&header(1), &[]).expect("committed");
        std::fs::write(folder.path().join(format!("epochs/{:020}-{:010}.epoch", 2, 1)), b"torn")
            .expect("written");
        let seen = inspect(folder.path()).expect("looked").expect("there is a store");
        assert_eq!(seen.committed, Epoch(1));
        assert!(seen.problems[0].contains("is damaged"), "{:?}", seen.problems);
    }
}
