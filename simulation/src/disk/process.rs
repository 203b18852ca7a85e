//! The disk as one process sees it.

use super::faults::Kind;
use super::hole::Hole;
use super::names::Node;
use super::state::{SimDisk, State, power_is_gone};
use bytes::Bytes;
use riskstream_engine::disk::durable;
use riskstream_engine::disk::{Disk, Entry, Folder, Found, Lock, NewFile, OpenFile};
use riskstream_engine::store::{EpochHeader, Store};
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Process {
    disk: Arc<SimDisk>,
    number: u64,
}

impl Process {
    pub(super) fn new(disk: Arc<SimDisk>, number: u64) -> Self {
        Self { disk, number }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.disk.state()
    }

    fn has(&self, hole: Hole) -> bool {
        self.disk.hole == Some(hole)
    }

    fn new_file(&self, file: u64, path: &Path) -> Box<dyn NewFile> {
        Box::new(SimNewFile {
            disk: Arc::clone(&self.disk),
            process: self.number,
            file,
            path: path.to_owned(),
            at: 0,
        })
    }

    /// A change of names.
    fn rename_with(
        &self,
        kind: Kind,
        path: &Path,
        change: impl FnOnce(&mut State) -> Result<()>,
    ) -> Result<()> {
        let mut state = self.state();
        let is_last = state.change(self.number, kind, path)?;
        let changed = change(&mut state);
        state.done(is_last, changed)
    }

    fn open_file(&self, path: &Path) -> Result<Box<dyn OpenFile>> {
        let mut state = self.state();
        state.look(self.number, Kind::Open, path)?;
        let file = state.names.file(path)?;
        let bytes = state.file(file).visible.len() as u64;
        Ok(Box::new(SimOpenFile {
            disk: Arc::clone(&self.disk),
            process: self.number,
            file,
            bytes,
            path: path.to_owned(),
        }))
    }
}

impl Disk for Process {
    fn open(&self, path: &Path) -> Result<Box<dyn OpenFile>> {
        let opened = self.open_file(path);
        // `read` does not come this way: who opens a snapshot wants its header.
        if self.has(Hole::SwallowsReadErrors)
            && let Some((epoch, generation)) = snapshot_name(path)
            && opened.as_ref().is_err_and(|e| e.raw_os_error().is_some())
        {
            return Ok(Box::new(InMemory(snapshot_without_history(epoch, generation)?)));
        }
        opened
    }

    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>> {
        let mut state = self.state();
        let is_last = state.change(self.number, Kind::Create, path)?;
        let moment = state.moment;
        let file = match state.names.file(path) {
            Ok(file) => {
                state.file(file).cut(moment, 0);
                file
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                state.names.must_have_folder(path)?;
                state.add_file(path)
            }
            Err(e) => return Err(e),
        };
        state.done(is_last, Ok(self.new_file(file, path)))
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn NewFile>> {
        let mut state = self.state();
        let is_last = state.change(self.number, Kind::Create, path)?;
        state.names.must_be_free(path)?;
        let file = state.add_file(path);
        state.done(is_last, Ok(self.new_file(file, path)))
    }

    fn overwrite(&self, path: &Path) -> Result<Box<dyn NewFile>> {
        let mut state = self.state();
        let is_last = state.change(self.number, Kind::Overwrite, path)?;
        let file = state.names.file(path)?;
        state.done(is_last, Ok(self.new_file(file, path)))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename_with(Kind::Link, to, |state| {
            let file = state.names.file(from)?;
            state.names.must_be_free(to)?;
            state.names.add(state.moment, to, Node::File(file));
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename_with(Kind::Rename, from, |state| {
            let file = state.names.file(from)?;
            state.names.must_have_folder(to)?;
            state.names.rename(state.moment, from, to, Node::File(file));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.rename_with(Kind::Remove, path, |state| {
            state.names.file(path)?;
            state.names.remove(state.moment, path);
            Ok(())
        })
    }

    fn make_folder(&self, path: &Path) -> Result<()> {
        self.rename_with(Kind::MakeFolder, path, |state| {
            match state.names.get(path) {
                Some(Node::Folder) => return Err(ErrorKind::AlreadyExists.into()),
                Some(Node::File(_)) => return Err(ErrorKind::NotADirectory.into()),
                None => state.names.must_have_folder(path)?,
            }
            state.names.add(state.moment, path, Node::Folder);
            Ok(())
        })
    }

    fn sync(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        match state.change(self.number, Kind::Sync, path) {
            Ok(is_last) => {
                match state.names.get(path).ok_or(ErrorKind::NotFound)? {
                    Node::Folder => state.names.sync(path),
                    Node::File(file) => state.file(file).sync(),
                }
                state.done(is_last, Ok(()))
            }
            Err(e) => {
                if let Ok(file) = state.names.file(path) {
                    state.file(file).fail_to_sync();
                }
                if self.has(Hole::IgnoresFailedSync) && e.raw_os_error().is_some() {
                    Ok(())
                } else {
                    Err(e)
                }
            }
        }
    }

    fn look(&self, path: &Path) -> Result<Option<Found>> {
        let mut state = self.state();
        state.look(self.number, Kind::Look, path)?;
        Ok(state.names.get(path).map(|node| match node {
            Node::Folder => Found { bytes: 0, is_folder: true, modified: None },
            Node::File(file) => Found {
                bytes: state.file(file).visible.len() as u64,
                is_folder: false,
                modified: None,
            },
        }))
    }

    fn list(&self, folder: &Path) -> Result<Vec<Entry>> {
        let mut state = self.state();
        state.look(self.number, Kind::List, folder)?;
        Ok(state
            .names
            .list(folder)?
            .into_iter()
            .map(|(name, is_folder)| Entry { name, is_folder })
            .collect())
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        let mut state = self.state();
        let is_last = state.change(self.number, Kind::Lock, path)?;
        if state.names.get(path).is_none() {
            state.names.must_have_folder(path)?;
            state.add_file(path);
        }
        let is_held = state.locks.insert(path.to_owned());
        // Whoever is dead holds nothing.
        let is_held = state.done(is_last, Ok(is_held))?;
        drop(state);
        let lock = || {
            Box::new(SimLock {
                disk: Arc::clone(&self.disk),
                process: self.number,
                path: path.to_owned(),
            }) as Box<dyn Lock>
        };
        Ok(is_held.then(lock))
    }

    fn holder(&self, path: &Path) -> Option<Option<u32>> {
        self.state().locks.contains(path).then_some(None)
    }

    fn unique(&self) -> u64 {
        let mut state = self.state();
        state.numbers += 1;
        state.numbers
    }

    fn has_threads(&self) -> bool {
        false
    }

    fn sync_all(&self, paths: &[PathBuf]) -> Result<()> {
        let adopts = |path: &Path| {
            path.extension().is_some_and(|e| e == "epoch")
                || path.ends_with("epochs")
                || path.ends_with("snapshots")
        };
        let is_history = |path: &Path| path.components().any(|part| part.as_os_str() == "history");
        let skipped = |path: &Path| {
            (self.has(Hole::AdoptsUnsynced) && adopts(path))
                || (self.has(Hole::HistoryUnsynced) && is_history(path))
        };
        paths.iter().filter(|path| !skipped(path)).try_for_each(|path| self.sync(path))
    }

    fn read(&self, path: &Path) -> Result<Bytes> {
        let file = self.open_file(path)?;
        let mut content = vec![
            0;
            usize::try_from(file.bytes())
                .map_err(|_| Error::from(ErrorKind::FileTooLarge))?
        ];
        file.read_at(&mut content, 0)?;
        Ok(content.into())
    }

    fn make_folders_durably(&self, path: &Path) -> Result<()> {
        if self.has(Hole::FoldersUnsynced) {
            self.make_folders(path)
        } else {
            durable::make_folders_durably(self, path)
        }
    }

    fn create_durably(&self, hidden: &Path, path: &Path, content: &[Bytes]) -> Result<bool> {
        if !self.has(Hole::NameBeforeContent) {
            return durable::create_durably(self, hidden, path, content);
        }
        let mut file = self.create(hidden)?;
        content.iter().try_for_each(|piece| file.write_all(piece))?;
        let linked = self.link(hidden, path);
        self.remove(hidden)?;
        match linked {
            Ok(()) => self.sync(path).and_then(|()| self.sync_parent(path)).map(|()| true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn give_name(&self, hidden: &Path, path: &Path) -> Result<bool> {
        if !self.has(Hole::NameUnsynced) {
            return durable::give_name(self, hidden, path);
        }
        let linked = self.link(hidden, path);
        let _left = self.remove(hidden);
        linked
            .map(|()| true)
            .or_else(|e| if e.kind() == ErrorKind::AlreadyExists { Ok(false) } else { Err(e) })
    }

    fn replace_durably(&self, path: &Path, content: &[Bytes]) -> Result<()> {
        if !self.has(Hole::MarksUnsynced) {
            return durable::replace_durably(self, path, content);
        }
        let next = path.with_extension("next");
        let mut file = self.create(&next)?;
        content.iter().try_for_each(|piece| file.write_all(piece))?;
        self.rename(&next, path)
    }
}

impl SimDisk {
    /// The disk as the process sees it that was begun last.
    #[must_use]
    pub fn process(self: &Arc<Self>) -> Arc<dyn Disk> {
        let number = self.state().process;
        Arc::new(Process::new(Arc::clone(self), number))
    }
}

impl State {
    fn add_file(&mut self, path: &Path) -> u64 {
        self.numbers += 1;
        let file = self.numbers;
        self.names.add(self.moment, path, Node::File(file));
        self.file(file);
        file
    }
}

#[derive(Debug)]
struct SimNewFile {
    disk: Arc<SimDisk>,
    process: u64,
    file: u64,
    path: PathBuf,
    at: usize,
}

impl Write for SimNewFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut state = self.disk.state();
        let is_last = state.change(self.process, Kind::Write, &self.path)?;
        let faults = state.faults;
        let written = faults.written(bytes.len(), &mut state.rng);
        let moment = state.moment;
        state.file(self.file).write(moment, self.at, &bytes[..written]);
        self.at += written;
        state.done(is_last, Ok(written))
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl NewFile for SimNewFile {
    fn sync(&mut self) -> Result<()> {
        let mut state = self.disk.state();
        match state.change(self.process, Kind::Sync, &self.path) {
            Ok(is_last) => {
                state.file(self.file).sync();
                state.done(is_last, Ok(()))
            }
            Err(e) => {
                state.file(self.file).fail_to_sync();
                if self.disk.hole == Some(Hole::IgnoresFailedSync) && e.raw_os_error().is_some() {
                    Ok(())
                } else {
                    Err(e)
                }
            }
        }
    }

    fn cut(&mut self, bytes: u64) -> Result<()> {
        let mut state = self.disk.state();
        let is_last = state.change(self.process, Kind::Cut, &self.path)?;
        let moment = state.moment;
        state.file(self.file).cut(moment, usize::try_from(bytes).unwrap_or(usize::MAX));
        state.done(is_last, Ok(()))
    }
}

#[derive(Debug)]
struct SimOpenFile {
    disk: Arc<SimDisk>,
    process: u64,
    file: u64,
    bytes: u64,
    path: PathBuf,
}

impl OpenFile for SimOpenFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> Result<()> {
        let mut state = self.disk.state();
        state.look(self.process, Kind::Read, &self.path)?;
        copy(&state.file(self.file).visible, into, at)
    }
}

fn copy(content: &[u8], into: &mut [u8], at: u64) -> Result<()> {
    let at = usize::try_from(at).map_err(|_| Error::from(ErrorKind::UnexpectedEof))?;
    let end = at.checked_add(into.len()).ok_or(ErrorKind::UnexpectedEof)?;
    into.copy_from_slice(content.get(at..end).ok_or(ErrorKind::UnexpectedEof)?);
    Ok(())
}

#[derive(Debug)]
struct SimLock {
    disk: Arc<SimDisk>,
    process: u64,
    path: PathBuf,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.process == self.process {
            state.locks.remove(&self.path);
        }
    }
}

/// A file that is on no disk.
#[derive(Debug)]
struct InMemory(Bytes);

impl OpenFile for InMemory {
    fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> Result<()> {
        copy(&self.0, into, at)
    }
}

/// Epoch and generation of a snapshot, by its name.
fn snapshot_name(path: &Path) -> Option<(u64, u64)> {
    let (epoch, generation) =
        path.file_name()?.to_str()?.strip_suffix(".snapshot")?.split_once('-')?;
    Some((epoch.parse().ok()?, generation.parse().ok()?))
}

/// A whole snapshot that names no history files.
fn snapshot_without_history(epoch: u64, generation: u64) -> Result<Bytes> {
    let disk = SimDisk::new(0, None);
    let store = Store::open(Folder::on(disk.process(), "/store")).map_err(Error::other)?;
    let nothing = serde_json::json!({
        "epoch": epoch,
        "generation": generation,
        "positions": {},
        "rows": 0,
        "dead": 0,
        "late": 0,
        "steps": [],
    });
    let header: EpochHeader = serde_json::from_value(nothing)?;
    store.snapshot(&header, []).map_err(Error::other)?;
    let folder = Path::new("/store/snapshots");
    let disk = disk.process();
    let snapshot = disk.list(folder)?.pop().ok_or_else(power_is_gone)?;
    disk.read(&folder.join(snapshot.name))
}
