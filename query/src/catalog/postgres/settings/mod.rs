//! Settings of a connection, as `SET`, `SHOW`, `pg_settings` and `current_setting` know them.
//!
//! One connection owns a [`SettingsShown`]; its clones are the same settings, so that what
//! `set_config` changes is seen by the port.

mod about;
mod error;
mod value;
mod zone;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::about::About;
use self::about::{about, all};
pub(crate) use self::error::SettingError;

/// The settings of which the client is told at start and when they change (`ParameterStatus`).
const REPORTED: [&str; 13] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// The settings of one connection.
#[derive(Debug, Clone)]
pub(crate) struct SettingsShown {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Clone, Default)]
struct Inner {
    backend_pid: i32,
    /// What has been set, in the form that `SHOW` gives.
    values: BTreeMap<String, String>,
    /// What `RESET` goes back to, where that is not the default: the options of the start.
    start: BTreeMap<String, String>,
}

/// One setting as `pg_settings` shows it.
#[derive(Debug, Clone)]
pub(crate) struct ShownSetting {
    /// What it is.
    pub(crate) about: &'static About,
    /// Its value, in its own unit and without it.
    pub(crate) raw: String,
    /// What `RESET` would set, likewise.
    pub(crate) reset: String,
    /// Whether nobody has set it.
    pub(crate) is_default: bool,
}

impl SettingsShown {
    /// Settings of a new connection of a user.
    pub(crate) fn new(user: &str, backend_pid: i32) -> Self {
        let start = BTreeMap::from([("session_authorization".to_owned(), user.to_owned())]);
        Self { inner: Arc::new(Mutex::new(Inner { backend_pid, values: start.clone(), start })) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A change is one insertion, so what a panic left behind is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number by which the connection is cancelled.
    pub(crate) fn backend_pid(&self) -> i32 {
        self.lock().backend_pid
    }

    /// What `SHOW` gives.
    ///
    /// # Errors
    /// There is no such setting.
    pub(crate) fn get(&self, name: &str) -> Result<String, SettingError> {
        let name = canonical(name);
        if let Some(value) = self.lock().values.get(&name) {
            return Ok(value.clone());
        }
        match about(&name) {
            Some(about) => Ok(value::shown(about, about.default)),
            None => Err(SettingError::Unknown(name)),
        }
    }

    /// Sets a value, as `SET` does. Gives it in the form that `SHOW` gives.
    ///
    /// # Errors
    /// There is no such setting, it can't be changed, or the value is none for it.
    pub(crate) fn set(&self, name: &str, value: &str) -> Result<String, SettingError> {
        let name = canonical(name);
        let checked = check(&name, value)?;
        self.lock().values.insert(name, checked.clone());
        Ok(checked)
    }

    /// Sets a value that the client has sent at start: `RESET` goes back to it. A setting that does
    /// not exist is an error, as in PostgreSQL.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(crate) fn set_at_start(&self, name: &str, value: &str) -> Result<String, SettingError> {
        let name = canonical(name);
        let checked = check(&name, value)?;
        let mut inner = self.lock();
        inner.values.insert(name.clone(), checked.clone());
        inner.start.insert(name, checked.clone());
        Ok(checked)
    }

    /// Goes back to what the client has sent at start, or to the default.
    ///
    /// # Errors
    /// There is no such setting.
    pub(crate) fn reset(&self, name: &str) -> Result<String, SettingError> {
        let name = canonical(name);
        {
            let mut inner = self.lock();
            match inner.start.get(&name).cloned() {
                Some(start) => inner.values.insert(name.clone(), start),
                None => inner.values.remove(&name),
            };
        }
        self.get(&name)
    }

    /// Goes back to the start with all settings (`RESET ALL`, `DISCARD ALL`).
    pub(crate) fn reset_all(&self) {
        let mut inner = self.lock();
        inner.values = inner.start.clone();
    }

    /// All that is set, to go back to when a transaction fails or a `SET LOCAL` ends.
    pub(crate) fn saved(&self) -> SavedSettings {
        SavedSettings(self.lock().values.clone())
    }

    /// Goes back to what was saved.
    pub(crate) fn restore(&self, saved: SavedSettings) {
        self.lock().values = saved.0;
    }

    /// Every setting of which the client is told, with its value. The port sends them at start, and
    /// after a statement those that have changed.
    pub(crate) fn reported(&self) -> Vec<(&'static str, String)> {
        REPORTED.into_iter().filter_map(|name| Some((name, self.get(name).ok()?))).collect()
    }

    /// Every setting, by name.
    pub(crate) fn all(&self) -> Vec<ShownSetting> {
        let inner = self.lock();
        all()
            .iter()
            .map(|about| {
                let value = inner.values.get(about.name);
                let start = inner.start.get(about.name);
                let raw = |shown: Option<&String>| match shown {
                    Some(shown) => value::raw(about, shown),
                    None => about.default.to_owned(),
                };
                ShownSetting {
                    about,
                    raw: raw(value),
                    reset: raw(start),
                    is_default: value == start,
                }
            })
            .collect()
    }

    /// The schemas that are searched, `"$user"` without the quotes.
    pub(crate) fn search_path(&self) -> Vec<String> {
        let path = self.get("search_path").unwrap_or_default();
        path.split(',')
            .map(|part| part.trim().trim_matches('"').to_owned())
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// The zone of the session, as DataFusion and chrono-tz take it: a name or `+02:00`.
    pub(crate) fn time_zone(&self) -> String {
        zone::for_arrow(&self.get("TimeZone").unwrap_or_else(|_| "UTC".to_owned()))
    }

    /// How long a statement may take, in milliseconds; 0: as long as it needs.
    pub(crate) fn statement_timeout_ms(&self) -> u64 {
        let shown = self.get("statement_timeout").unwrap_or_default();
        let about = about("statement_timeout");
        about.map_or(0, |about| value::raw(about, &shown).parse().unwrap_or_default())
    }
}

/// What was set at a moment.
#[derive(Debug, Clone)]
pub(crate) struct SavedSettings(BTreeMap<String, String>);

/// A setting's own spelling of its name; names are the same in every case.
fn canonical(name: &str) -> String {
    let name = match name.to_ascii_lowercase().as_str() {
        "time zone" => "TimeZone".to_owned(),
        "names" => "client_encoding".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        lower => lower.to_owned(),
    };
    about(&name).map_or(name, |about| about.name.to_owned())
}

fn check(name: &str, value: &str) -> Result<String, SettingError> {
    match about(name) {
        Some(about) if about.context == "internal" => Err(SettingError::Fixed(name.to_owned())),
        Some(about) => value::checked(about, value),
        // A name with a dot is an extension's own, which PostgreSQL takes as it comes.
        None if name.contains('.') && !name.starts_with("datafusion.") => Ok(value.to_owned()),
        None => Err(SettingError::Unknown(name.to_owned())),
    }
}

#[cfg(test)]
mod tests;
