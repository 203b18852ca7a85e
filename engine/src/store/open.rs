//! Opening, claiming and writing a store.

use crate::disk::{Folder, Lock};
use crate::ids::{Epoch, Generation, SHARDS};
use crate::key::HASH_SEED;
use crate::protocol::{
    Claim, CollectDecision, CollectFacts, EpochName, ResumeFacts, decide_collect,
};
use crate::store::epoch_file::{EpochHeader, Section, encode, encode_each};
use crate::store::error::StoreError;
use crate::store::files::Files;
use crate::store::recovered::Recovered;
use arrow::error::ArrowError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

const FORMAT: &str = "riskstream-store";
const VERSION: u32 = 6;
/// Where epoch files are.
const EPOCHS: &str = "epochs/";

/// What never changes about a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Always `riskstream-store`.
    pub format: String,
    /// Version of the file formats.
    pub version: u32,
    /// Hash buckets of keys.
    pub shards: usize,
    /// Seed of the key hash.
    pub hash_seed: u64,
}

/// The file of a store's identity.
pub(crate) const IDENTITY_FILE: &str = "identity.json";

impl Identity {
    /// What this program writes and reads.
    fn ours() -> Self {
        Self { format: FORMAT.into(), version: VERSION, shards: SHARDS, hash_seed: HASH_SEED }
    }
}

/// Whether this program reads the store whose identity this is.
///
/// # Errors
/// When it is damaged, or another program's or version's.
pub(crate) fn check_identity(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let theirs: Identity = serde_json::from_slice(bytes).map_err(|e| StoreError::Damaged {
        path: path.to_owned(),
        reason: format!("{e}; it is not a riskstream store, or was cut short"),
    })?;
    let ours = Identity::ours();
    if theirs == ours {
        return Ok(());
    }
    let tell = |i: &Identity| {
        format!("{} version {} ({} shards, seed {:x})", i.format, i.version, i.shards, i.hash_seed)
    };
    Err(StoreError::OtherVersion {
        path: path.to_owned(),
        found: tell(&theirs),
        expected: tell(&ours),
    })
}

/// An open store, held by this process alone.
#[derive(Debug)]
pub struct Store {
    root: Folder,
    pub(crate) files: Files,
    generation: Generation,
    _lock: Box<dyn Lock>,
}

#[derive(Serialize, Deserialize)]
struct Resumed {
    after: u64,
}

/// A file of the store that is made but not written.
#[derive(Debug)]
pub(crate) struct NewFile {
    name: String,
    content: Vec<Bytes>,
}

impl Store {
    /// Opens the store at `root`, making it if absent, and locks it. `clean` before
    /// [`Self::claim`]: nothing is written but the identity.
    ///
    /// # Errors
    /// When another program holds it, when it is of another version, or can't be read or written.
    pub fn open(root: impl Into<Folder>) -> Result<Self, StoreError> {
        let root = root.into();
        let files = Files::new(&root)?;
        let lock = lock(&root)?;
        files.clear_hidden()?;
        let path = root.join(IDENTITY_FILE);
        let json = serde_json::to_vec_pretty(&Identity::ours())
            .map_err(|e| StoreError::io("encode", &path, &e))?;
        if !files.put_if_absent(IDENTITY_FILE, &[Bytes::from(json)])? {
            check_identity(&path, &files.read(IDENTITY_FILE)?)?;
        }
        Ok(Self { root, files, generation: Generation(0), _lock: lock })
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Folder {
        &self.root
    }

    /// This run's number; 0 before [`Self::claim`].
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Lists what resuming depends on.
    pub(crate) fn facts(&self) -> Result<ResumeFacts, StoreError> {
        let mut facts = ResumeFacts::default();
        let generations = self.files.list("generations")?;
        for name in &generations {
            let Some(g) = name.strip_suffix(".claim").and_then(|n| n.parse().ok()) else {
                continue;
            };
            let resumed_name = format!("{g:010}.resumed");
            let resumed_after = if generations.contains(&resumed_name) {
                let name = format!("generations/{resumed_name}");
                let bytes = self.files.read(&name)?;
                let damaged = |e: serde_json::Error| StoreError::Damaged {
                    path: self.files.path(&name),
                    reason: e.to_string(),
                };
                Some(Epoch(serde_json::from_slice::<Resumed>(&bytes).map_err(damaged)?.after))
            } else {
                None
            };
            facts.claims.push(Claim { generation: Generation(g), resumed_after });
        }
        facts.epochs = self.names("epochs", ".epoch")?;
        facts.snapshots = self.names("snapshots", ".snapshot")?;
        Ok(facts)
    }

    fn names(&self, folder: &str, suffix: &str) -> Result<Vec<EpochName>, StoreError> {
        let parse = |name: &String| {
            let (epoch, generation) = name.strip_suffix(suffix)?.split_once('-')?;
            Some(EpochName {
                epoch: Epoch(epoch.parse().ok()?),
                generation: Generation(generation.parse().ok()?),
            })
        };
        Ok(self.files.list(folder)?.iter().filter_map(parse).collect())
    }

    /// Claims a generation, fencing every lower one.
    ///
    /// # Errors
    /// When the claim can't be written.
    pub(crate) fn claim(&mut self, mut generation: Generation) -> Result<(), StoreError> {
        while !self.files.put_if_absent(
            &format!("generations/{:010}.claim", generation.0),
            &[Bytes::from_static(b"{}")],
        )? {
            generation = Generation(generation.0 + 1);
        }
        self.generation = generation;
        Ok(())
    }

    /// Records after which epoch this run goes on; later epochs of older runs no longer count.
    pub(crate) fn record_resumed(&self, after: Epoch) -> Result<(), StoreError> {
        let name = format!("generations/{:010}.resumed", self.generation.0);
        let json = serde_json::to_vec(&Resumed { after: after.0 })
            .map_err(|e| StoreError::io("encode", self.files.path(&name), &e))?;
        self.files.put_if_absent(&name, &[Bytes::from(json)])?;
        // Older claims decide nothing any more once their epochs are superseded; the last few are
        // kept for inspection.
        for old in self.files.list("generations")? {
            let number =
                old.split('.').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(u64::MAX);
            if number + 100 < self.generation.0 {
                self.files.delete(&format!("generations/{old}"))?;
            }
        }
        Ok(())
    }

    /// Commits an epoch: after this returns it is durable and the truth. Gives the bytes written.
    ///
    /// # Errors
    /// `Fenced` when a newer run has claimed the store: then this epoch may or may not be the
    /// truth, and nothing of it may be delivered by this run.
    pub fn commit(&self, header: &EpochHeader, sections: &[Section]) -> Result<u64, StoreError> {
        self.commit_file(self.epoch_file(header, sections)?)
    }

    /// An epoch's file, not written yet.
    ///
    /// # Errors
    /// When it can't be encoded.
    pub(crate) fn epoch_file(
        &self,
        header: &EpochHeader,
        sections: &[Section],
    ) -> Result<NewFile, StoreError> {
        let name = epoch_path(&EpochName { epoch: header.epoch, generation: self.generation });
        self.new_file(name, header, sections)
    }

    /// As [`Self::commit`], the file being made.
    pub(crate) fn commit_file(
        &self,
        NewFile { name, content }: NewFile,
    ) -> Result<u64, StoreError> {
        if !self.files.put_epoch(&name, &content)? {
            return Err(self.was_there(&name));
        }
        self.check_fence()?;
        Ok(content.iter().map(|piece| piece.len() as u64).sum())
    }

    /// Writes a snapshot of all state as of a committed epoch. Each section is asked for when those
    /// before it are written. Gives the bytes written.
    ///
    /// # Errors
    /// When it can't be written, or the first error of `sections`; the epoch stays committed.
    pub fn snapshot(
        &self,
        header: &EpochHeader,
        sections: impl IntoIterator<Item = Result<Section, ArrowError>>,
    ) -> Result<u64, StoreError> {
        let name = format!("snapshots/{:020}-{:010}.snapshot", header.epoch.0, self.generation.0);
        let pieces = encode_each(header, sections.into_iter())
            .map_err(|e| StoreError::io("encode", self.files.path(&name), &e))?;
        let mut written = 0;
        let mut content = pieces.map(|piece| {
            let piece = piece.map_err(std::io::Error::other)?;
            written += piece.len() as u64;
            Ok(piece)
        });
        if self.files.put_in_pieces(&name, &mut content)? {
            Ok(written)
        } else {
            Err(self.was_there(&name))
        }
    }

    fn new_file(
        &self,
        name: String,
        header: &EpochHeader,
        sections: &[Section],
    ) -> Result<NewFile, StoreError> {
        let content = encode(header, sections)
            .map_err(|e| StoreError::io("encode", self.files.path(&name), &e))?;
        Ok(NewFile { name, content })
    }

    fn was_there(&self, name: &str) -> StoreError {
        StoreError::Damaged {
            path: self.files.path(name),
            reason: "it is there already, though this run never wrote it".into(),
        }
    }

    fn check_fence(&self) -> Result<(), StoreError> {
        let newest = self
            .files
            .list("generations")?
            .iter()
            .filter_map(|n| n.strip_suffix(".claim")?.parse::<u64>().ok())
            .max()
            .unwrap_or(self.generation.0);
        if newest > self.generation.0 {
            Err(StoreError::Fenced { mine: self.generation.0, newer: newest })
        } else {
            Ok(())
        }
    }

    /// Deletes epochs and snapshots that nothing needs any more, and those of the history files
    /// `history` that `history_named` does not hold.
    ///
    /// # Errors
    /// When listing or deleting fails.
    pub fn collect(
        &self,
        delivered: Epoch,
        history: Vec<String>,
        history_named: BTreeSet<String>,
    ) -> Result<CollectDecision, StoreError> {
        let decision = self.needless(delivered, history, history_named)?;
        needless_files(&decision).try_for_each(|file| self.delete(&file))?;
        Ok(decision)
    }

    /// Deletes history files that a run wrote and never named in a commit, and what else nothing
    /// needs.
    ///
    /// # Errors
    /// When listing or deleting fails.
    pub fn collect_orphans(&self, recovered: &Recovered) -> Result<(), StoreError> {
        let named = recovered.snapshots.values().flatten().cloned().collect();
        self.collect(Epoch(0), self.history_files()?, named)?;
        Ok(())
    }

    /// What [`Self::collect`] would delete.
    pub(crate) fn needless(
        &self,
        delivered: Epoch,
        history: Vec<String>,
        history_named: BTreeSet<String>,
    ) -> Result<CollectDecision, StoreError> {
        let listed = self.facts()?;
        Ok(decide_collect(&CollectFacts {
            epochs: listed.epochs,
            snapshots: listed.snapshots,
            delivered,
            history,
            history_named,
        }))
    }

    /// Deletes a file that nothing needs; an epoch file may stay as a spare.
    ///
    /// # Errors
    /// When it can't be deleted.
    pub fn delete(&self, file: &str) -> Result<(), StoreError> {
        if file.starts_with(EPOCHS) {
            self.files.spares.retire(&self.files.path(file))
        } else {
            self.files.delete(file)
        }
    }

    /// Makes history files durable, and their names in their folders.
    ///
    /// # Errors
    /// When one is gone, or the disk says no.
    pub(crate) fn sync_history<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), StoreError> {
        let files: Vec<String> = names.into_iter().map(|name| format!("history/{name}")).collect();
        if files.is_empty() {
            return Ok(());
        }
        self.files.sync(&files)?;
        // Folders after files, and the folder that names them last.
        let above = |file: &String| {
            Path::new(file)
                .ancestors()
                .skip(1)
                .filter_map(Path::to_str)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let folders: BTreeSet<String> =
            files.iter().flat_map(above).filter(|folder| !folder.is_empty()).collect();
        self.files.sync(folders.iter().rev())
    }

    /// History files that are there, below `history/`.
    ///
    /// # Errors
    /// When the folder can't be listed.
    pub fn history_files(&self) -> Result<Vec<String>, StoreError> {
        self.files.list("history")
    }
}

/// The files that a decision names.
pub(crate) fn needless_files(decision: &CollectDecision) -> impl Iterator<Item = String> {
    let epochs = decision.epochs.iter().map(epoch_path);
    let snapshots = decision.snapshots.iter().map(snapshot_path);
    let history = decision.history.iter().map(|name| format!("history/{name}"));
    epochs.chain(snapshots).chain(history)
}

pub(crate) fn epoch_path(name: &EpochName) -> String {
    format!("{EPOCHS}{:020}-{:010}.epoch", name.epoch.0, name.generation.0)
}

pub(crate) fn snapshot_path(name: &EpochName) -> String {
    format!("snapshots/{:020}-{:010}.snapshot", name.epoch.0, name.generation.0)
}

/// Takes the folder for this process.
pub(crate) fn lock(root: &Folder) -> Result<Box<dyn Lock>, StoreError> {
    let path = root.join("lock");
    let locked = root.disk().lock(&path).map_err(|e| StoreError::io("lock", &path, &e))?;
    locked.ok_or_else(|| {
        // The holder's number is a courtesy; without it the message still stands.
        let text =
            root.disk().read(&path).ok().and_then(|bytes| String::from_utf8(bytes.into()).ok());
        let holder = text.and_then(|text| text.trim().parse::<u32>().ok());
        let holder = holder.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        StoreError::InUse { path: root.path().to_owned(), holder }
    })
}
