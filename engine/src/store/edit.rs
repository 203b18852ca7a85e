//! Changes of a store's state between two runs: a step's state dropped or renamed, or everything
//! begun anew.
//!
//! An edit is an epoch of its own, without rows: one file, put and synced as every epoch, under the
//! store's lock and a generation of its own. It is there as a whole or not at all, and no file is
//! changed. Whoever reads the epochs back does to the state what the edit says, in its place among
//! them:
//!
//! ```text
//!   snapshot ─▶ epoch 41 ─▶ epoch 42 ─▶ epoch 43: edit ─▶ epoch 44 ─▶ ...
//! ```
//! Epochs are counted on through an edit, so that what destinations have recorded stays true:
//! nothing is taken for delivered that is not, and nothing is delivered twice.
//!
//! A step's files are in a folder of its id. A rename puts them into the other folder too, before
//! it is committed; the old names stay for snapshots from before it.

use crate::disk::Folder;
use crate::ids::Epoch;
use crate::store::epoch_file::{EpochHeader, Section, SectionKind};
use crate::store::error::StoreError;
use crate::store::open::{Store, lock};
use crate::store::recovered::Recovered;
use crate::store::state_edit::{Renamed, StateEdit};
use bytes::Bytes;

/// The header of the edit's epoch: that of the last epoch, as it is afterwards.
fn header_after(edit: &StateEdit, last: EpochHeader) -> EpochHeader {
    let epoch = last.epoch.next();
    let mut header = EpochHeader {
        epoch,
        rows: 0,
        dead: 0,
        late: 0,
        history_files: Vec::new(),
        edit: Some(edit.clone()),
        ..last
    };
    match edit {
        StateEdit::Drop { step } => {
            header.steps.retain(|id| id != step);
            header.shapes.remove(step);
        }
        StateEdit::Rename { from, to } => {
            header.steps.iter_mut().filter(|id| *id == from).for_each(|id| id.clone_from(to));
            if let Some(shape) = header.shapes.remove(from) {
                header.shapes.insert(to.clone(), shape);
            }
            header.renamed.push(Renamed { epoch, from: from.clone(), to: to.clone() });
        }
        StateEdit::BeginAnew { empties, positions, origin, .. } => {
            header.positions.clone_from(positions);
            if let Some(origin) = origin {
                header.origin.clone_from(origin);
            }
            header.steps.clear();
            header.shapes.clear();
            header.sinks.clear();
            for sink in empties {
                header.sinks.entry(sink.clone()).or_default().advance(epoch);
            }
            header.renamed.clear();
        }
    }
    header
}

/// Changes the store in the folder `root`, which no program may hold, and gives the epoch of the
/// change.
///
/// # Errors
/// When the store is held, damaged, or can't be written; then nothing has changed.
pub fn edit(root: impl Into<Folder>, edit: &StateEdit) -> Result<Epoch, StoreError> {
    let mut store = Store::open(root)?;
    // Only a run, which asks the sinks what they have, may pass over a newest file that is torn:
    // here any damage is an error.
    let everything = Epoch(u64::MAX);
    let recovered = store.recover(everything, everything)?;
    store.commit_edit(recovered, edit)
}

/// Begins a store in the folder `root`, where there is none, after an epoch that destinations have
/// of an earlier one, with the file `names`, when it is given. Gives the epoch of the beginning.
///
/// # Errors
/// When the store is held, can't be written, or has epochs; then nothing has changed.
pub fn begin_after(
    root: impl Into<Folder>,
    after: Epoch,
    edit: &StateEdit,
    names: Option<(&str, Vec<u8>)>,
) -> Result<Epoch, StoreError> {
    let mut store = Store::open(root)?;
    if let Some((names, content)) = names {
        store.files.put_if_absent(names, &[Bytes::from(content)])?;
    }
    let recovered = store.recover(Epoch(0), Epoch(0))?;
    if recovered.committed > Epoch(0) {
        return Err(StoreError::Damaged {
            path: store.root().path().to_owned(),
            reason: "it is no new store, but has epochs".into(),
        });
    }
    let header = EpochHeader {
        generation: store.generation(),
        ..header_after(edit, EpochHeader { epoch: after, ..EpochHeader::default() })
    };
    // After a crash between the commit and the snapshot, earlier epochs are missing, which a run
    // refuses: the store is then begun once more.
    store.commit(&header, &sections(edit)?)?;
    store.snapshot(&header, [])?;
    Ok(header.epoch)
}

/// Renames the folder `root` of a store to `to`, which must not be there. No program may hold the
/// store, and it need not be readable.
///
/// # Errors
/// When the store is held, or the folder can't be renamed; then it has its old name.
pub fn set_store_aside(root: &Folder, to: &Folder) -> Result<(), StoreError> {
    let (disk, failed) =
        (root.disk(), |e: &std::io::Error| StoreError::io("set aside", root.path(), e));
    if disk.look(to).map_err(|e| failed(&e))?.is_some() {
        let reason = format!("{} is there already", to.path().display());
        return Err(StoreError::Io { action: "set aside", path: root.path().to_owned(), reason });
    }
    let _lock = lock(root)?;
    if let Some(parent) = to.path().parent() {
        disk.make_folders_durably(parent).map_err(|e| failed(&e))?;
    }
    disk.rename(root, to)
        .and_then(|()| disk.sync_parent(to))
        .and_then(|()| disk.sync_parent(root))
        .map_err(|e| failed(&e))
}

/// Renames the folder `root` of a store, which no program may hold, to `to`, which must not be
/// there. The file `names` says under which names destinations know the store; a file that an
/// earlier rename wrote stays as it is.
///
/// # Errors
/// When the store is held, or the folder can't be renamed; then it has its old name, under which
/// nothing has changed.
pub fn rename_store(
    root: &Folder,
    to: &Folder,
    (names, content): (&str, Vec<u8>),
) -> Result<(), StoreError> {
    let (disk, failed) =
        (root.disk(), |e: &std::io::Error| StoreError::io("rename", root.path(), e));
    if disk.look(to).map_err(|e| failed(&e))?.is_some() {
        let reason = format!("{} is there already", to.path().display());
        return Err(StoreError::Io { action: "rename", path: root.path().to_owned(), reason });
    }
    let store = Store::open(root.clone())?;
    store.files.put_if_absent(names, &[Bytes::from(content)])?;
    disk.rename(root, to).and_then(|()| disk.sync_parent(to)).map_err(|e| failed(&e))
}

impl Store {
    fn commit_edit(&self, recovered: Recovered, edit: &StateEdit) -> Result<Epoch, StoreError> {
        let committed = recovered.committed;
        let Some(last) = recovered.into_header() else { return Ok(committed) };
        if let StateEdit::Rename { from, to } = edit {
            self.take_files_over(from, to)?;
        }
        let header = EpochHeader { generation: self.generation(), ..header_after(edit, last) };
        self.commit(&header, &sections(edit)?)?;
        if let StateEdit::BeginAnew { clears, .. } = edit {
            // The state as of this epoch, which is none: nothing before it is needed to go on.
            self.snapshot(&header, [])?;
            if *clears {
                self.delete_before(header.epoch)?;
            }
        }
        Ok(header.epoch)
    }

    /// Puts the files of one step into the folder of another one, whose own belong to nobody.
    fn take_files_over(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let of = |step: &str, name: &str| {
            name.strip_prefix(step).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned)
        };
        let all = self.history_files()?;
        for name in all.iter().filter(|name| of(to, name).is_some()) {
            self.files.delete(&format!("history/{name}"))?;
        }
        let (disk, folder) = (self.files.disk(), self.files.path(&format!("history/{to}")));
        disk.make_folders_durably(&folder)
            .map_err(|e| StoreError::io("make the folder", &folder, &e))?;
        let mut linked = false;
        for file in all.iter().filter_map(|name| of(from, name)) {
            linked = true;
            let (from, to) = (
                self.files.path(&format!("history/{from}/{file}")),
                self.files.path(&format!("history/{to}/{file}")),
            );
            disk.link(&from, &to).map_err(|e| StoreError::io("link", to, &e))?;
        }
        if linked {
            disk.sync(&folder).map_err(|e| StoreError::io("sync", &folder, &e))
        } else {
            Ok(())
        }
    }

    fn delete_before(&self, epoch: Epoch) -> Result<(), StoreError> {
        let facts = self.facts()?;
        let epochs =
            facts.epochs.iter().filter(|n| n.epoch < epoch).map(crate::store::open::epoch_path);
        let snapshots = facts
            .snapshots
            .iter()
            .filter(|n| n.epoch < epoch)
            .map(crate::store::open::snapshot_path);
        let history = self.history_files()?.into_iter().map(|name| format!("history/{name}"));
        epochs.chain(snapshots).chain(history).try_for_each(|file| self.files.delete(&file))
    }
}

/// What the edit has for sinks.
fn sections(edit: &StateEdit) -> Result<Vec<Section>, StoreError> {
    let StateEdit::BeginAnew { empties, .. } = edit else { return Ok(Vec::new()) };
    let section = |sink: &String| Section {
        kind: SectionKind::Empties,
        step: sink.clone(),
        name: "empties".into(),
        worker: 0,
        payload: Bytes::new(),
    };
    Ok(empties.iter().map(section).collect())
}

#[cfg(test)]
mod tests;
