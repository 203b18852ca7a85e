//! The policy that holds now, and its exchange while the program runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::authenticate::{MockSecret, Tokens};
use super::file;
use super::policy::Policy;
use super::problem::Problems;

/// Who may see what, at this moment. A new file takes the place of the old one at once and whole; a
/// statement decides all its tables by one [`Policy`].
#[derive(Debug)]
pub struct Rules {
    file: Option<PathBuf>,
    current: ArcSwap<State>,
    pub(super) mock: MockSecret,
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

    /// The rules of a users file.
    ///
    /// # Errors
    /// The file can't be read or understood: all that is wrong with it.
    pub fn open(file: &Path) -> Result<Self, Problems> {
        Ok(Self::with(Some(file.to_owned()), file::read(file)?))
    }

    fn with(file: Option<PathBuf>, policy: Policy) -> Self {
        Self {
            file,
            current: ArcSwap::from_pointee(State::new(policy, None)),
            mock: MockSecret::new(),
        }
    }

    /// Reads the file again. Statements that run go on as they began; the next ones, of prepared
    /// statements too, are decided by the new file.
    ///
    /// # Errors
    /// The new file is wrong: the old rules stay.
    pub fn reload(&self) -> Result<(), Problems> {
        let Some(file) = &self.file else { return Ok(()) };
        let policy = file::read(file)?;
        let state = State::new(policy, Some(&self.current.load()));
        self.current.store(Arc::new(state));
        Ok(())
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
