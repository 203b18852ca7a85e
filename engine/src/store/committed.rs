//! What is committed, for readers beside the run: the rows of epochs that destinations may not have
//! yet.
//!
//! A reader changes nothing and locks nothing. Files that it was about to read may be collected, or
//! written over as spares, at any time: their checksums tell, and the answer is that they are gone.
//! Whoever asks then looks again where the rows have gone to.
//!
//! An epoch counts here once its file has its name. A loss of power within the few milliseconds
//! until the name is durable takes it back; a run then reads its rows from the source again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::contract::OutboxPart;
use crate::disk::Folder;
use crate::ids::{Epoch, Generation};
use crate::protocol::{
    Claim, EpochName, KeptMark, Origin, ResumeFacts, SinkMark, snapshot_that_counts, that_count,
};
use crate::store::epoch_file::{EpochHeader, HeaderError, Section, SectionKind};
use crate::store::epoch_file::{batch_from_ipc, read_header};
use crate::store::error::StoreError;
use crate::store::inspect::{self, File};
use crate::store::open::{IDENTITY_FILE, check_identity, epoch_path, snapshot_path};
use crate::store::state_edit::StateEdit;

/// Reads what a store has committed, while a run goes on or after it.
#[derive(Debug)]
pub struct CommittedReader {
    root: Folder,
    /// After which epoch each generation went on; it never changes once it is said.
    resumed: Mutex<BTreeMap<Generation, Epoch>>,
}

/// What a store has committed, at one look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The epoch files that count, oldest first.
    pub epochs: Vec<EpochName>,
    /// The newest snapshot that counts.
    pub snapshot: Option<EpochName>,
}

impl Committed {
    /// The last committed epoch; 0 for none.
    #[must_use]
    pub fn newest(&self) -> Epoch {
        let of = |name: Option<&EpochName>| name.map_or(Epoch(0), |name| name.epoch);
        of(self.epochs.last()).max(of(self.snapshot.as_ref()))
    }
}

/// A committed epoch, as far as destinations are concerned.
#[derive(Debug)]
pub struct CommittedEpoch {
    /// The epoch.
    pub epoch: Epoch,
    /// Whose it is, and where its rows go.
    pub origin: Arc<Origin>,
    /// By sink, the last epochs that had rows for it.
    marks: BTreeMap<String, SinkMark>,
    /// By sink, each worker's part.
    pub parts: BTreeMap<String, Vec<OutboxPart>>,
    edit: Option<StateEdit>,
    /// Whether it is an epoch's own file, and not a snapshot's header.
    holds_rows: bool,
}

impl CommittedEpoch {
    fn new(header: EpochHeader, sections: Vec<Section>, holds_rows: bool) -> Result<Self, String> {
        let mut by_worker: BTreeMap<String, BTreeMap<u32, OutboxPart>> = BTreeMap::new();
        for section in sections.into_iter().filter(|s| s.kind != SectionKind::State) {
            let part =
                by_worker.entry(section.step).or_default().entry(section.worker).or_default();
            match section.kind {
                SectionKind::Outbox => {
                    part.rows.push(batch_from_ipc(&section.payload).map_err(|e| e.to_string())?);
                }
                SectionKind::File => part
                    .files
                    .push(serde_json::from_slice(&section.payload).map_err(|e| e.to_string())?),
                SectionKind::Empties => part.empties = true,
                SectionKind::State => {}
            }
        }
        let parts = by_worker.into_iter().map(|(s, parts)| (s, parts.into_values().collect()));
        Ok(Self {
            epoch: header.epoch,
            origin: Arc::new(header.origin),
            marks: header.sinks,
            parts: parts.collect(),
            edit: header.edit,
            holds_rows,
        })
    }

    /// Whether what epochs before this one have for a sink is not delivered any more.
    #[must_use]
    pub fn forgets(&self, sink: &str) -> bool {
        self.edit.as_ref().is_some_and(|edit| edit.forgets(sink))
    }

    /// What it says of a sink, for [`decide_reach`](crate::protocol::decide_reach).
    #[must_use]
    pub fn mark(&self, sink: &str) -> KeptMark {
        KeptMark {
            epoch: self.epoch,
            holds_rows: self.holds_rows,
            mark: self.marks.get(sink).copied().unwrap_or_default(),
        }
    }
}

impl CommittedReader {
    /// A reader of the store in a folder, which need not be there yet.
    #[must_use]
    pub fn new(root: impl Into<Folder>) -> Self {
        Self { root: root.into(), resumed: Mutex::default() }
    }

    /// The store's folder.
    #[must_use]
    pub fn location(&self) -> &Path {
        &self.root
    }

    /// What is committed now; none where there is no store.
    ///
    /// # Errors
    /// The folder can't be listed, or is the store of another version of this program.
    pub fn look(&self) -> Result<Option<Committed>, StoreError> {
        let identity = self.root.join(IDENTITY_FILE);
        match self.root.disk().read(&identity) {
            Ok(bytes) => check_identity(&identity, &bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("read", &identity, &e)),
        }
        // Epochs first: a run that went on since then has said so before it wrote any of them.
        let epochs = inspect::names(&self.root, "epochs", ".epoch")?;
        let snapshots = inspect::names(&self.root, "snapshots", ".snapshot")?;
        let facts = ResumeFacts { claims: self.claims()?, epochs, snapshots };
        Ok(Some(Committed { epochs: that_count(&facts), snapshot: snapshot_that_counts(&facts) }))
    }

    /// The outbox of an epoch; none where its file is gone.
    ///
    /// # Errors
    /// The file can't be read, or is damaged and still there.
    pub fn epoch(&self, name: &EpochName) -> Result<Option<CommittedEpoch>, StoreError> {
        let path = self.root.join(epoch_path(name));
        match inspect::read(self.root.disk().as_ref(), &path)? {
            File::Gone => Ok(None),
            File::Damaged(reason) => Err(StoreError::Damaged { path, reason }),
            File::Read(header, sections) => CommittedEpoch::new(*header, sections, true)
                .map(Some)
                .map_err(|reason| StoreError::Damaged { path, reason }),
        }
    }

    /// What a snapshot says of the sinks; none where its file is gone or can't be read: runs pass
    /// over such a snapshot too.
    #[must_use]
    pub fn snapshot(&self, name: &EpochName) -> Option<CommittedEpoch> {
        let file = self.root.disk().open(&self.root.join(snapshot_path(name))).ok()?;
        let header = match read_header(file.as_ref()) {
            Ok(header) => header,
            Err(HeaderError::Io(_) | HeaderError::Damaged(_)) => return None,
        };
        CommittedEpoch::new(header, Vec::new(), false).ok()
    }

    fn claims(&self) -> Result<Vec<Claim>, StoreError> {
        let names = inspect::list(&self.root.below("generations"))?;
        let mut resumed = self.resumed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut claims = Vec::new();
        for name in &names {
            let Some(generation) = name.strip_suffix(".claim").and_then(|n| n.parse().ok()) else {
                continue;
            };
            let generation = Generation(generation);
            if !resumed.contains_key(&generation)
                && let Some(after) = inspect::resumed_after(&self.root, generation)
            {
                resumed.insert(generation, after);
            }
            let resumed_after = resumed.get(&generation).copied();
            claims.push(Claim { generation, resumed_after });
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, batch_to_ipc};
    use arrow::array::{Int64Array, RecordBatch};

    fn rows(number: i64) -> Section {
        let column = Arc::new(Int64Array::from(vec![number])) as arrow::array::ArrayRef;
        let batch = RecordBatch::try_from_iter([("n", column)]).expect("one column");
        Section {
            kind: SectionKind::Outbox,
            step: "t".into(),
            name: String::new(),
            worker: 0,
            payload: batch_to_ipc(&batch).expect("encoded"),
        }
    }

    fn header(epoch: u64, generation: u64) -> EpochHeader {
        let mark = SinkMark { newest: Epoch(epoch), ..SinkMark::default() };
        EpochHeader {
            epoch: Epoch(epoch),
            generation: Generation(generation),
            sinks: BTreeMap::from([("t".into(), mark)]),
            ..EpochHeader::default()
        }
    }

    #[test]
    fn committed_rows_are_read_beside_a_run_and_a_zombies_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let reader = CommittedReader::new(folder.path());
        assert_eq!(reader.look().expect("looked"), None, "there is no store yet");
        let mut store = Store::open(folder.path()).expect("opened");
        store.recover(Epoch(0), Epoch(0)).expect("recovered");
        for epoch in 1..=3 {
            store.commit(&header(epoch, 1), &[rows(epoch.cast_signed())]).expect("committed");
        }
        let seen = reader.look().expect("looked").expect("a store");
        assert_eq!((seen.newest(), seen.epochs.len()), (Epoch(3), 3));
        let epoch = reader.epoch(&seen.epochs[1]).expect("read").expect("there");
        assert_eq!(epoch.parts["t"][0].rows[0].num_rows(), 1);
        assert_eq!(epoch.mark("t").mark.newest, Epoch(2));
        assert_eq!(epoch.mark("other").mark.newest, Epoch(0));
        drop(store);

        // The next run goes on after 3; what the first one writes after that does not count.
        let mut store = Store::open(folder.path()).expect("opened");
        store.recover(Epoch(0), Epoch(0)).expect("recovered");
        let late = folder
            .path()
            .join(epoch_path(&EpochName { epoch: Epoch(4), generation: Generation(1) }));
        std::fs::copy(folder.path().join(epoch_path(&seen.epochs[2])), &late).expect("copied");
        assert_eq!(reader.look().expect("looked").expect("a store").newest(), Epoch(3));
        store.commit(&header(4, 2), &[rows(4)]).expect("committed");
        let seen = reader.look().expect("looked").expect("a store");
        assert_eq!(seen.epochs.last().map(|name| name.generation), Some(Generation(2)));
    }

    #[test]
    fn a_file_that_was_collected_or_written_over_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path()).expect("opened");
        store.recover(Epoch(0), Epoch(0)).expect("recovered");
        store.commit(&header(1, 1), &[rows(1)]).expect("committed");
        let reader = CommittedReader::new(folder.path());
        let name = reader.look().expect("looked").expect("a store").epochs[0];
        std::fs::remove_file(folder.path().join(epoch_path(&name))).expect("removed");
        assert!(reader.epoch(&name).expect("read").is_none());
    }
}
