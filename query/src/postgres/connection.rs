//! One client: its messages, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ReadyForQuery;
use pgwire::messages::startup::{BackendKeyData, ParameterStatus, SecretKey};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::error::{Halt, Problem, Step};
use super::portal::{Named, Portal};
use super::stop::Key;
use super::transaction::Transaction;
use super::values::settings::ValueSettings;
use super::values::zone::SessionZone;
use super::wire::{Channel, Frontend};
use crate::catalog::postgres::SettingsShown;
use crate::service::{Cancel, Session};

/// Longest value of a parameter that is reported.
const REPORTED_CHARS_MAX: usize = 1_000;

/// What a client that has signed in gets.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) settings: SettingsShown,
    pub(super) key: Key,
    /// When its right to be here ends.
    pub(super) until: Option<Instant>,
    pub(super) place: OwnedSemaphorePermit,
}

/// A client that has signed in.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) channel: Channel,
    pub(super) session: Session,
    pub(super) settings: SettingsShown,
    pub(super) transaction: Transaction,
    /// Prepared statements; the one without a name is there, too.
    pub(super) statements: BTreeMap<String, Arc<Named>>,
    /// Portals and cursors, which PostgreSQL does not tell apart.
    pub(super) portals: BTreeMap<String, Portal>,
    /// Whether the statements of one message are a transaction of their own.
    pub(super) is_implicit_block: bool,
    key: Key,
    until: Option<Instant>,
    /// What the client knows of the settings.
    reported: BTreeMap<&'static str, String>,
    /// After an error: until the next Sync.
    skips: bool,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(channel: Channel, opened: Opened) -> Self {
        let Opened { session, settings, key, until, place } = opened;
        Self {
            channel,
            session,
            settings,
            transaction: Transaction::new(),
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            is_implicit_block: false,
            key,
            until,
            reported: BTreeMap::new(),
            skips: false,
            _place: place,
        }
    }

    /// Answers until the client goes or has to.
    pub(super) async fn run(mut self) {
        let ended = self.serve().await;
        // Their statements stop here.
        self.portals.clear();
        let problem = match ended {
            Ok(()) | Err(Halt::Gone) => None,
            Err(Halt::Problem(problem)) => Some(problem),
        };
        self.channel.end(problem.as_deref()).await;
    }

    async fn serve(&mut self) -> Step<()> {
        self.report();
        let secret = SecretKey::I32(self.key.secret);
        let key = BackendKeyData::new(self.key.pid, secret);
        self.channel.put(&PgWireBackendMessage::BackendKeyData(key));
        self.ready().await?;
        loop {
            let patience = self.patience();
            let message = self.channel.message(patience).await?;
            if matches!(message, Frontend::Terminate) {
                return Ok(());
            }
            self.answer(message).await?;
        }
    }

    async fn answer(&mut self, message: Frontend) -> Step<()> {
        if self.skips && message != Frontend::Sync {
            return Ok(());
        }
        let answered = match message {
            Frontend::Query(text) => {
                let answered = self.simple(&text).await;
                self.settle(answered)?;
                self.end_implicit();
                return self.ready().await;
            }
            Frontend::FunctionCall => {
                let problem = Problem::unsupported("function calls by message are not supported")
                    .with_hint("Call the function by SELECT.");
                self.settle(Err(problem.into()))?;
                return self.ready().await;
            }
            Frontend::Malformed { extended: false, problem } => {
                self.settle(Err(Halt::Problem(problem)))?;
                return self.ready().await;
            }
            Frontend::Sync => {
                self.skips = false;
                self.end_implicit();
                return self.ready().await;
            }
            Frontend::Flush => return self.channel.flush().await,
            Frontend::Copy | Frontend::Terminate => return Ok(()),
            Frontend::Malformed { extended: true, problem } => Err(Halt::Problem(problem)),
            Frontend::Parse { name, text, types } => {
                let before = self.before(&text);
                let parsed = self.parse(name, &text, types).await;
                self.noted(Some(before), parsed).await
            }
            Frontend::Bind(bound) => {
                let before = self.before_bound(&bound.statement);
                let bound = self.bind(*bound).await;
                self.noted(before, bound).await
            }
            Frontend::Describe(target) => {
                let before = self.before_described(&target);
                let described = self.describe(&target).await;
                self.noted(before, described).await
            }
            Frontend::Execute { portal, rows_max } => {
                let before = self.before_portal(&portal);
                let executed = self.execute(&portal, rows_max).await;
                self.noted(before, executed).await
            }
            Frontend::Close(target) => {
                self.close(&target);
                Ok(())
            }
        };
        if !self.settle(answered)? {
            self.skips = true;
            // A client may wait for the error without asking for it.
            self.channel.flush().await?;
        }
        Ok(())
    }

    /// Tells the client of an error that leaves the connection; whether there was none.
    fn settle(&mut self, answered: Step<()>) -> Step<bool> {
        match answered {
            Ok(()) => Ok(true),
            Err(Halt::Problem(problem)) if !problem.is_fatal() => {
                self.fail();
                self.channel.put(&problem.message());
                Ok(false)
            }
            Err(halt) => Err(halt),
        }
    }

    /// A statement has failed: so has its transaction, and what was begun since the last savepoint
    /// is gone.
    fn fail(&mut self) {
        self.running(None);
        let depth = if self.transaction.is_open() { self.transaction.depth() } else { 0 };
        self.portals.retain(|_, portal| portal.kept || portal.depth < depth);
        self.transaction.fail();
        if !self.transaction.is_open() {
            self.session.end();
        }
    }

    /// Outside of BEGIN each message of the simple protocol, and what comes before a Sync, is a
    /// transaction of its own, which ends here.
    fn end_implicit(&mut self) {
        if !self.transaction.is_open() {
            self.keep_held();
        }
    }

    /// A transaction was committed: cursors WITH HOLD stay, all else goes.
    pub(super) fn keep_held(&mut self) {
        self.portals.retain(|_, portal| portal.hold);
        for portal in self.portals.values_mut() {
            portal.kept = true;
        }
    }

    /// Tells the client of settings that have changed.
    fn report(&mut self) {
        for (name, value) in self.settings.reported() {
            if self.reported.get(name) != Some(&value) {
                let told: String =
                    value.chars().filter(|&c| c != '\0').take(REPORTED_CHARS_MAX).collect();
                let status = ParameterStatus::new(name.to_owned(), told);
                self.channel.put(&PgWireBackendMessage::ParameterStatus(status));
                self.reported.insert(name, value);
            }
        }
    }

    async fn ready(&mut self) -> Step<()> {
        self.portals.values().for_each(Portal::pause);
        self.report();
        let ready = ReadyForQuery::new(self.transaction.status());
        self.channel.put(&PgWireBackendMessage::ReadyForQuery(ready));
        self.channel.flush().await
    }

    /// Which statement is stopped by a CancelRequest from now on.
    pub(super) fn running(&self, stop: Option<Cancel>) {
        self.key.running.set(stop);
    }

    /// When the client's right to be here ends.
    pub(super) fn until(&self) -> Option<std::time::Instant> {
        self.until.map(Instant::into_std)
    }

    /// Until when the client may think, and what it is told then.
    fn patience(&self) -> Option<(Instant, Problem)> {
        let (name, problem) = if self.transaction.is_open() {
            let text = "terminating connection due to idle-in-transaction timeout";
            ("idle_in_transaction_session_timeout", Problem::fatal("25P03", text))
        } else {
            let text = "terminating connection due to idle-session timeout";
            ("idle_session_timeout", Problem::fatal("57P05", text))
        };
        let idle = self.milliseconds(name).and_then(|time| Instant::now().checked_add(time));
        let idle = idle.map(|until| (until, problem));
        let token = self.until.map(|until| {
            (until, Problem::fatal("28000", "the token with which the client came has ended"))
        });
        [idle, token].into_iter().flatten().min_by_key(|(until, _)| *until)
    }

    fn milliseconds(&self, name: &str) -> Option<Duration> {
        if self.settings.get(name).is_ok_and(|value| value == "0") {
            return None;
        }
        let all = self.settings.all();
        let raw = all.iter().find(|setting| setting.about.name == name)?.raw.parse().ok()?;
        Some(Duration::from_millis(raw)).filter(|time| !time.is_zero())
    }

    /// The settings on which the forms of values depend.
    pub(super) fn value_settings(&self) -> ValueSettings {
        let digits = self.settings.get("extra_float_digits").ok();
        ValueSettings {
            time_zone: SessionZone::parse(&self.settings.time_zone()).unwrap_or(SessionZone::UTC),
            extra_float_digits: digits.and_then(|digits| digits.parse().ok()).unwrap_or(1),
        }
    }
}
