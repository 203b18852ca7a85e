//! The policy that holds now, and its exchange while the program runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use riskstream_engine::runtime::{Clock, SystemClock};

use super::authenticate::{MockSecret, Tokens};
use super::file;
use super::policy::Policy;
use super::problem::Problems;
use super::watch::Watch;

/// Who may see what, at this moment. A new file takes the place of the old one at once and whole; a
/// statement decides all its tables by one [`Policy`].
#[derive(Debug)]
pub struct Rules {
    file: Option<File>,
    current: ArcSwap<State>,
    pub(super) mock: Arc<MockSecret>,
}

/// From where a policy is read.
#[derive(Debug, Clone)]
struct File {
    path: PathBuf,
    watch: Arc<Watch>,
}

/// A policy and what finds out who its tokens' users are.
#[derive(Debug)]
pub(super) struct State {
    pub(super) policy: Arc<Policy>,
    pub(super) tokens: Option<Arc<Tokens>>,
}

impl State {
    fn new(policy: Policy, before: Option<&State>) -> Self {
        let tokens = policy.token_settings.as_ref().map(|settings| {
            // Keys that were fetched already stay, and the limit of fetches with them.
            let kept = before.and_then(|before| before.tokens.as_ref());
            match kept.filter(|kept| kept.settings() == settings) {
                Some(kept) => Arc::clone(kept),
                None => Arc::new(Tokens::new(settings.clone())),
            }
        });
        Self { policy: Arc::new(policy), tokens }
    }
}

impl Rules {
    /// Rules without users: the role `owner` sees everything, all others nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::with(None, Policy::default())
    }

    /// The rules of a users file, as [`Self::refresh`] finds it from then on.
    ///
    /// # Errors
    /// The file can't be read or understood: all that is wrong with it.
    pub fn open(file: &Path) -> Result<Self, Problems> {
        Self::open_by(file, Arc::new(SystemClock::default()))
    }

    pub(super) fn open_by(file: &Path, clock: Arc<dyn Clock>) -> Result<Self, Problems> {
        let watch = Watch::new(clock, &[file.to_owned()]);
        let policy = file::read(file)?;
        watch.name(&files(file, &policy));
        Ok(Self::with(Some(File { path: file.to_owned(), watch: Arc::new(watch) }), policy))
    }

    fn with(file: Option<File>, policy: Policy) -> Self {
        Self {
            file,
            current: ArcSwap::from_pointee(State::new(policy, None)),
            mock: Arc::new(MockSecret::new()),
        }
    }

    /// Reads the file again. Statements that run go on as they began; the next ones, of prepared
    /// statements too, are decided by the new file.
    ///
    /// # Errors
    /// The new file is wrong: the old rules stay.
    pub fn reload(&self) -> Result<(), Problems> {
        let Some(File { path, watch }) = &self.file else { return Ok(()) };
        let policy = file::read(path)?;
        watch.name(&files(path, &policy));
        let state = State::new(policy, Some(&self.current.load()));
        self.current.store(Arc::new(state));
        Ok(())
    }

    /// Whether it is time to look whether the file has changed, which is once a second. One of
    /// those that ask at the same time is told so, and calls [`Self::refresh`].
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.watch.is_due())
    }

    /// Reads the file again if it has changed. What is wrong with it stands in the log then, once,
    /// and the old rules stay. It waits for the disk.
    pub fn refresh(&self) {
        let Some(File { path, watch }) = &self.file else { return };
        // A file that it names and that was not there may be there now.
        if !watch.has_changed() && !watch.is_wrong() {
            return;
        }
        match self.reload() {
            Ok(()) => {
                watch.note(None);
                tracing::info!(file = %path.display(), "new rules of users hold");
            }
            Err(problems) => {
                if watch.note(Some(problems.to_string())) {
                    tracing::error!("the rules of users before this file hold on:\n{problems}");
                }
            }
        }
    }

    /// Whether the file, as it is now, can't be used, so that the rules before it hold; none where
    /// there is no file.
    #[must_use]
    pub fn file_is_wrong(&self) -> Option<bool> {
        self.file.as_ref().map(|file| file.watch.is_wrong())
    }

    /// These rules as they are now, and stay: what decides one statement.
    #[must_use]
    pub fn at_this_moment(&self) -> Self {
        Self {
            file: self.file.clone(),
            current: ArcSwap::new(self.current.load_full()),
            mock: Arc::clone(&self.mock),
        }
    }

    /// Whether there is a users file. Without one the ports are for this machine alone.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.file.is_some()
    }

    /// What holds now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.current.load().policy)
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.current.load_full()
    }
}

/// The files that a policy was read from.
fn files(file: &Path, policy: &Policy) -> Vec<PathBuf> {
    std::iter::once(file.to_owned()).chain(policy.beside.iter().cloned()).collect()
}

#[cfg(test)]
mod tests;
