//! The registry: a folder of models, `<registry>/<name>/<version>/model.json`, versions 1, 2, 3,
//! ...
//!
//! Invariants:
//! - A version is written once and never changed. It appears whole or not at all: the file is
//!   written and synced in a folder with a temporary name, and that folder is renamed to the
//!   version. Renaming a folder onto one that has content fails, so of two writers one wins and the
//!   other takes the next number.
//! - Nothing is loaded without its checks, see [`crate::from_json`].
//!
//! The folder is read when asked; a run that wants newer models asks [`Registry::newest_version`]
//! at its epoch boundaries.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{ModelFileError, RegistryError};
use crate::model::Model;
use crate::model_file::{from_json, to_json};

const MODEL_FILE: &str = "model.json";
/// Version numbers tried in a row before giving up on other writers.
const ATTEMPTS_MAX: u32 = 100;
/// Longest name of a model.
const NAME_BYTES_MAX: usize = 100;

/// Tells apart the temporary folders of one process.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// A registry folder. It need not exist until the first model is registered.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
}

/// The newest version that loads, and what is wrong with the newer ones.
#[derive(Debug)]
pub struct Usable {
    /// The model.
    pub model: Model,
    /// One per newer version that does not load, the newest first; empty when the newest loads.
    pub problems: Vec<RegistryError>,
}

impl Registry {
    /// The registry in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names that have at least one version, in order.
    pub fn names(&self) -> Result<Vec<String>, RegistryError> {
        let mut names: Vec<String> =
            list(&self.folder)?.into_iter().filter(|name| check_name(name).is_ok()).collect();
        names.sort();
        let mut with_versions = Vec::with_capacity(names.len());
        for name in names {
            if !self.versions(&name)?.is_empty() {
                with_versions.push(name);
            }
        }
        Ok(with_versions)
    }

    /// The registered versions of a model, ascending; empty when there are none.
    pub fn versions(&self, name: &str) -> Result<Vec<u64>, RegistryError> {
        check_name(name)?;
        // Only the form that `register` writes: `007` is not a version.
        let parse = |entry: &String| {
            entry
                .parse::<u64>()
                .ok()
                .filter(|version| *version > 0 && version.to_string() == *entry)
        };
        let mut versions: Vec<u64> =
            list(&self.folder.join(name))?.iter().filter_map(parse).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// The number of the newest version, without loading it; `None` when there is none.
    pub fn newest_version(&self, name: &str) -> Result<Option<u64>, RegistryError> {
        Ok(self.versions(name)?.last().copied())
    }

    /// Loads and checks one version.
    pub fn load(&self, name: &str, version: u64) -> Result<Model, RegistryError> {
        check_name(name)?;
        let path = self.model_path(name, version);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && !path.parent().is_some_and(Path::exists) =>
            {
                return Err(RegistryError::NoVersion {
                    name: name.to_owned(),
                    version,
                    registry: self.folder.clone(),
                });
            }
            Err(source) => return Err(RegistryError::Io { action: "reading", path, source }),
        };
        let model = from_json(&bytes)
            .map_err(|source| RegistryError::File { path: path.clone(), source })?;
        if model.name != name || model.version != version {
            let problem = format!(
                "it says that it is version {} of `{}`; a model must stay where it was registered",
                model.version, model.name
            );
            return Err(RegistryError::File {
                path,
                source: ModelFileError::Inconsistent { problem },
            });
        }
        Ok(model)
    }

    /// Loads the newest version, or says what is wrong with it.
    pub fn latest(&self, name: &str) -> Result<Model, RegistryError> {
        match self.newest_version(name)? {
            Some(version) => self.load(name, version),
            None => Err(self.no_model(name)),
        }
    }

    /// Loads the newest version that loads. The problems of the newer ones are for the caller to
    /// show: a run should rather go on with an older model than stop, but not in silence.
    pub fn latest_usable(&self, name: &str) -> Result<Usable, RegistryError> {
        let mut problems = Vec::new();
        for version in self.versions(name)?.into_iter().rev() {
            match self.load(name, version) {
                Ok(model) => return Ok(Usable { model, problems }),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Err(self.no_model(name))
        } else {
            Err(RegistryError::NoneLoads { name: name.to_owned(), problems })
        }
    }

    /// Registers a model as the next version of its name and returns it with its version.
    /// `created_at` is kept as given: the registry reads no clock.
    pub fn register(&self, model: &Model, created_at: &str) -> Result<Model, RegistryError> {
        check_name(&model.name)?;
        let name_folder = self.folder.join(&model.name);
        fs::create_dir_all(&name_folder).map_err(|source| RegistryError::Io {
            action: "creating",
            path: name_folder.clone(),
            source,
        })?;
        let mut model = Model { created_at: created_at.to_owned(), ..model.clone() };
        model.version = self.newest_version(&model.name)?.unwrap_or(0);
        for _ in 0..ATTEMPTS_MAX {
            model.version += 1;
            if self.put_if_absent(&name_folder, &model)? {
                return Ok(model);
            }
        }
        Err(RegistryError::Contended { name: model.name, attempts: ATTEMPTS_MAX })
    }

    /// Writes the model as its version; false when that version exists already.
    fn put_if_absent(&self, name_folder: &Path, model: &Model) -> Result<bool, RegistryError> {
        let path = self.model_path(&model.name, model.version);
        let bytes =
            to_json(model).map_err(|source| RegistryError::File { path: path.clone(), source })?;
        // What can't be loaded must not be registered: a NaN in a metric, say.
        from_json(&bytes).map_err(|source| RegistryError::File { path: path.clone(), source })?;

        let temporary = name_folder.join(format!(
            ".new-{}-{}",
            std::process::id(),
            TEMPORARY.fetch_add(1, Ordering::Relaxed)
        ));
        let version_folder = name_folder.join(model.version.to_string());
        let put = write_folder(&temporary, &bytes).and_then(|()| {
            match fs::rename(&temporary, &version_folder) {
                Ok(()) => Ok(true),
                Err(_) if version_folder.exists() => Ok(false),
                Err(error) => Err(error),
            }
        });
        match put {
            Ok(true) => {
                sync_folder(name_folder).map_err(|source| RegistryError::Io {
                    action: "syncing",
                    path: name_folder.to_owned(),
                    source,
                })?;
                Ok(true)
            }
            other => {
                // Best effort: a left-over temporary folder is never read.
                let _ = fs::remove_dir_all(&temporary);
                other.map_err(|source| RegistryError::Io { action: "writing", path, source })
            }
        }
    }

    fn model_path(&self, name: &str, version: u64) -> PathBuf {
        self.folder.join(name).join(version.to_string()).join(MODEL_FILE)
    }

    fn no_model(&self, name: &str) -> RegistryError {
        RegistryError::NoModel { name: name.to_owned(), registry: self.folder.clone() }
    }
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let first_is_plain = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first_is_plain && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(RegistryError::Name { name: name.to_owned() })
    }
}

/// The names of a folder's subfolders; none when the folder does not exist.
fn list(folder: &Path) -> Result<Vec<String>, RegistryError> {
    let failed = |source| RegistryError::Io { action: "listing", path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

fn write_folder(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    // Left by a crashed process that had the same id.
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir(folder)?;
    let mut file = File::create_new(folder.join(MODEL_FILE))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_folder(folder)
}

/// Makes the entries of a folder durable. Only Unix opens folders as files; elsewhere renames are
/// durable on their own.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::samples;

    fn registry() -> (tempfile::TempDir, Registry) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(folder.path().join("models"));
        (folder, registry)
    }

    #[test]
    fn versions_count_up_and_come_back_equal() {
        let (_folder, registry) = registry();
        assert!(registry.versions("sample").unwrap().is_empty());
        let first = registry.register(&samples::logistic(), "2026-01-01T00:00:00Z").unwrap();
        let second = registry.register(&samples::forest(), "2026-01-02T00:00:00Z").unwrap();
        assert_eq!((first.version, second.version), (1, 2));
        assert_eq!(registry.versions("sample").unwrap(), [1, 2]);
        assert_eq!(registry.load("sample", 1).unwrap(), first);
        assert_eq!(registry.latest("sample").unwrap(), second);
        assert_eq!(second.created_at, "2026-01-02T00:00:00Z");
        assert_eq!(registry.names().unwrap(), ["sample"]);
        assert_eq!(
            fs::read_dir(registry.folder().join("sample")).unwrap().count(),
            2,
            "no temporary folder is left"
        );
    }

    #[test]
    fn a_corrupt_newest_version_names_its_file_and_the_older_one_is_usable() {
        let (_folder, registry) = registry();
        let first = registry.register(&samples::logistic(), "a").unwrap();
        registry.register(&samples::logistic(), "b").unwrap();
        let path = registry.model_path("sample", 2);
        for broken in [&b"{"[..], b"", b"\xff\xfe", b"{\"format_version\":1}", b"[1,2]"] {
            fs::write(&path, broken).unwrap();
            let error = registry.latest("sample").unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
            let usable = registry.latest_usable("sample").unwrap();
            assert_eq!((usable.model, usable.problems.len()), (first.clone(), 1));
        }
        fs::remove_file(&path).unwrap();
        let error = registry.load("sample", 2).unwrap_err().to_string();
        assert!(error.starts_with("reading ") && error.contains("model.json"), "{error}");
        fs::write(registry.model_path("sample", 1), b"also broken").unwrap();
        assert!(matches!(
            registry.latest_usable("sample"),
            Err(RegistryError::NoneLoads { problems, .. }) if problems.len() == 2
        ));
    }

    #[test]
    fn a_version_is_never_overwritten_and_writers_take_the_next_number() {
        let (_folder, registry) = registry();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        registry.register(&samples::logistic(), "now").unwrap();
                    }
                });
            }
        });
        assert_eq!(registry.versions("sample").unwrap(), (1..=20).collect::<Vec<u64>>());
        for version in 1..=20 {
            assert_eq!(registry.load("sample", version).unwrap().version, version);
        }
    }

    #[test]
    fn absent_models_absent_versions_and_moved_files_are_told_apart() {
        let (_folder, registry) = registry();
        assert!(matches!(registry.latest("sample"), Err(RegistryError::NoModel { .. })));
        assert!(matches!(registry.latest_usable("sample"), Err(RegistryError::NoModel { .. })));
        registry.register(&samples::logistic(), "now").unwrap();
        assert!(matches!(
            registry.load("sample", 9),
            Err(RegistryError::NoVersion { version: 9, .. })
        ));
        fs::create_dir(registry.folder().join("sample/2")).unwrap();
        fs::copy(registry.model_path("sample", 1), registry.model_path("sample", 2)).unwrap();
        let error = registry.latest("sample").unwrap_err().to_string();
        assert!(error.contains("it says that it is version 1"), "{error}");
    }

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        let (_folder, registry) = registry();
        for name in ["", ".", "..", "../x", "a/b", "a b", "-x", "ä", &"x".repeat(101)] {
            assert!(matches!(registry.versions(name), Err(RegistryError::Name { .. })), "{name}");
        }
        let model = Model { name: "../x".to_owned(), ..samples::logistic() };
        assert!(registry.register(&model, "now").is_err());
    }

    #[test]
    fn a_model_that_could_not_be_loaded_is_not_registered() {
        let (_folder, registry) = registry();
        let model = Model { threshold: f64::NAN, ..samples::logistic() };
        assert!(matches!(registry.register(&model, "now"), Err(RegistryError::File { .. })));
        assert!(registry.versions("sample").unwrap().is_empty());
    }
}
