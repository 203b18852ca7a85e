//! Runs what is asked, whichever protocol asks.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::ScalarValue;

use super::columns::Columns;
use super::connection::Connection;
use super::error::{Halt, Problem, Step};
use super::missing::{no_cursor, no_statement};
use super::portal::{Open, Portal, Source, Started, State, Tag};
use super::rows::Supply;
use super::sql::{Action, Query, Scope};
use super::transaction::aborted;
use crate::service::{Answer, Cancel, SessionSettings};

/// The isolation of a transaction.
const ISOLATION: &str = "transaction_isolation";

impl Connection {
    /// Whether a statement may be looked at now.
    pub(super) fn check_failed(&self, action: &Action) -> Result<(), Problem> {
        let is_refused = self.transaction.has_failed()
            && !action.ends_failure()
            && !matches!(action, Action::Empty);
        if is_refused { Err(aborted()) } else { Ok(()) }
    }

    /// Begins a statement.
    pub(super) async fn start(&mut self, action: &Action, values: &[ScalarValue]) -> Step<Started> {
        self.check_failed(action)?;
        match action {
            Action::Empty => Started::done(""),
            Action::Query(query) => {
                let supply = self.supply(query, values).await?;
                Ok(Started::own(supply, Tag::Select))
            }
            Action::Explain(query) => {
                let (_, answer) = self.open(query, values).await?;
                let columns = Arc::new(Columns::texts(&["QUERY PLAN"])?);
                Ok(Started::own(Supply::of_plans(columns, answer), Tag::Explain))
            }
            Action::Show(name) => Ok(Started::own(self.show(name)?, Tag::Show)),
            Action::ShowAll => Ok(Started::own(self.show_all()?, Tag::Show)),
            Action::Execute { name, values } => self.execute_prepared(name, values).await,
            Action::Declare { name, binary, hold, query } => {
                self.declare(name, query, values, (*binary, *hold)).await?;
                Started::done("DECLARE CURSOR")
            }
            Action::Fetch { name, to } => self.fetch(name, *to).await,
            Action::MoveTo { name, to } => {
                let rows = self.move_to(name, *to).await?;
                Started::done(format!("MOVE {rows}"))
            }
            Action::Copy { query, options } => {
                let rows = self.copy(query, options, values).await?;
                Started::done(format!("COPY {rows}"))
            }
            Action::Refused(problem) => Err(Halt::Problem(problem.clone())),
            Action::Begin { .. }
            | Action::Commit { .. }
            | Action::Rollback { .. }
            | Action::Savepoint(_)
            | Action::Release(_)
            | Action::RollbackTo(_) => Ok(Started::Done(self.transact(action)?.to_owned())),
            Action::Set { .. }
            | Action::Reset(_)
            | Action::DiscardAll
            | Action::Deallocate(_)
            | Action::Close(_)
            | Action::Accepted { .. } => Ok(Started::Done(self.change(action)?.to_owned())),
            Action::Prepare { name, types, action } => {
                self.prepare(name, types, action).await?;
                Started::done("PREPARE")
            }
        }
    }

    /// `BEGIN` and all that belongs to it.
    fn transact(&mut self, action: &Action) -> Result<&'static str, Problem> {
        let (tag, warning) = match action {
            Action::Begin { tag, isolation } => {
                let warning = self.transaction.begin(&self.settings);
                self.session.begin();
                if let (Some(level), None) = (isolation, &warning) {
                    self.transaction.isolate(level)?;
                    self.transaction.set_local(ISOLATION, level, &self.settings)?;
                }
                (*tag, warning)
            }
            Action::Commit { chain } => {
                let failed = self.transaction.has_failed();
                let (tag, warning) = self.transaction.commit(&self.settings);
                if failed {
                    self.portals.retain(|_, portal| portal.kept);
                } else {
                    self.keep_held();
                }
                self.chain(*chain, warning.is_some())?;
                (tag, warning)
            }
            Action::Rollback { chain } => {
                let warning = self.transaction.rollback(&self.settings);
                self.portals.retain(|_, portal| portal.kept);
                self.chain(*chain, warning.is_some())?;
                ("ROLLBACK", warning)
            }
            Action::Savepoint(name) => {
                self.transaction.savepoint(name.clone(), &self.settings)?;
                ("SAVEPOINT", None)
            }
            Action::Release(name) => {
                self.transaction.release(name)?;
                let depth = self.transaction.depth();
                for portal in self.portals.values_mut() {
                    portal.depth = portal.depth.min(depth);
                }
                ("RELEASE", None)
            }
            Action::RollbackTo(name) => {
                let depth = self.transaction.rollback_to(name, &self.settings)?;
                self.portals.retain(|_, portal| portal.kept || portal.depth < depth);
                ("ROLLBACK", None)
            }
            Action::Empty
            | Action::Query(_)
            | Action::Explain(_)
            | Action::Set { .. }
            | Action::Show(_)
            | Action::ShowAll
            | Action::Reset(_)
            | Action::DiscardAll
            | Action::Deallocate(_)
            | Action::Prepare { .. }
            | Action::Execute { .. }
            | Action::Declare { .. }
            | Action::Fetch { .. }
            | Action::MoveTo { .. }
            | Action::Close(_)
            | Action::Copy { .. }
            | Action::Accepted { .. }
            | Action::Refused(_) => ("", None),
        };
        if let Some(warning) = warning {
            self.channel.put(&warning.message());
        }
        Ok(tag)
    }

    /// The core's transaction ends, and another begins if `AND CHAIN` says so.
    fn chain(&mut self, chain: bool, was_none: bool) -> Result<(), Problem> {
        self.session.end();
        if chain && was_none {
            let text = "COMMIT AND CHAIN can only be used in transaction blocks";
            return Err(Problem::error("25P01", text));
        }
        if chain {
            self.transaction.begin(&self.settings);
            self.session.begin();
        }
        Ok(())
    }

    /// Statements that change what the connection has, and have no rows.
    fn change(&mut self, action: &Action) -> Result<&'static str, Problem> {
        match action {
            Action::Set { name, value, scope } => {
                self.set(name, value.as_deref(), *scope)?;
                Ok("SET")
            }
            Action::Reset(name) => {
                self.reset(name.as_deref())?;
                Ok("RESET")
            }
            Action::DiscardAll => {
                if self.transaction.is_open() || self.is_implicit_block {
                    let text = "DISCARD ALL cannot run inside a transaction block";
                    return Err(Problem::error("25001", text));
                }
                self.portals.clear();
                self.statements.clear();
                self.reset(None)?;
                Ok("DISCARD ALL")
            }
            Action::Deallocate(None) => {
                self.statements.clear();
                Ok("DEALLOCATE ALL")
            }
            Action::Deallocate(Some(name)) => match self.statements.remove(name) {
                Some(_) => Ok("DEALLOCATE"),
                None => Err(no_statement(name)),
            },
            Action::Close(None) => {
                self.portals.clear();
                Ok("CLOSE CURSOR ALL")
            }
            Action::Close(Some(name)) => match self.portals.remove(name) {
                Some(_) => Ok("CLOSE CURSOR"),
                None => Err(no_cursor(name)),
            },
            Action::Accepted { tag } => Ok(tag),
            Action::Empty
            | Action::Query(_)
            | Action::Explain(_)
            | Action::Begin { .. }
            | Action::Commit { .. }
            | Action::Rollback { .. }
            | Action::Savepoint(_)
            | Action::Release(_)
            | Action::RollbackTo(_)
            | Action::Show(_)
            | Action::ShowAll
            | Action::Prepare { .. }
            | Action::Execute { .. }
            | Action::Declare { .. }
            | Action::Fetch { .. }
            | Action::MoveTo { .. }
            | Action::Copy { .. }
            | Action::Refused(_) => Ok(""),
        }
    }

    fn set(&mut self, name: &str, value: Option<&str>, scope: Scope) -> Result<(), Problem> {
        if let (true, Some(level)) = (name.eq_ignore_ascii_case(ISOLATION), value)
            && self.transaction.is_open()
        {
            self.transaction.isolate(&level.to_ascii_lowercase())?;
        }
        match (value, scope) {
            (None, _) => {
                self.settings.reset(name)?;
                self.transaction.keep(name);
            }
            (Some(value), Scope::Session) => {
                self.settings.set(name, value)?;
                self.transaction.keep(name);
                if name == "default_transaction_isolation" && !self.transaction.is_open() {
                    self.settings.set(ISOLATION, value)?;
                }
            }
            (Some(value), Scope::Local) => {
                let warning = self.transaction.set_local(name, value, &self.settings)?;
                if let Some(warning) = warning {
                    self.channel.put(&warning.message());
                }
            }
        }
        Ok(())
    }

    fn reset(&mut self, name: Option<&str>) -> Result<(), Problem> {
        match name {
            Some(name) => {
                self.settings.reset(name)?;
                self.transaction.keep(name);
            }
            None => {
                self.settings.reset_all();
                self.transaction.keep_all();
            }
        }
        Ok(())
    }

    /// Begins a query in the core.
    pub(super) async fn open(
        &mut self,
        query: &Query,
        values: &[ScalarValue],
    ) -> Step<(Arc<Columns>, Answer)> {
        let stop = self.begin_work();
        let work = self.session.run(&query.statement, values, &stop);
        let ran = self.channel.watch(&stop, work).await?;
        self.transaction.see();
        let answer = ran.map_err(|error| query.origin.placed(error.into()))?;
        let columns = Columns::new(answer.schema())?;
        Ok((Arc::new(columns), answer))
    }

    pub(super) async fn supply(&mut self, query: &Query, values: &[ScalarValue]) -> Step<Supply> {
        let (columns, answer) = self.open(query, values).await?;
        Ok(Supply::of_answer(columns, answer))
    }

    /// A new statement for the core, with what the client has set; gives what stops it.
    pub(super) fn begin_work(&mut self) -> Cancel {
        let stop = Cancel::default();
        self.running(Some(stop.clone()));
        let timeout = self.settings.statement_timeout_ms();
        self.session.settings = SessionSettings {
            time_zone: self.settings.time_zone(),
            statement_timeout: (timeout > 0).then(|| Duration::from_millis(timeout)),
            until: self.until(),
            application_name: self.settings.get("application_name").unwrap_or_default(),
        };
        stop
    }

    /// Where a portal is kept while it runs.
    pub(super) fn keep(&mut self, name: &str, portal: Portal) {
        let is_over =
            matches!(portal.named.action, Action::Commit { .. } | Action::Rollback { .. });
        if !is_over {
            self.portals.insert(name.to_owned(), portal);
        }
    }

    /// A portal that runs another time goes on with its own stop, and its time begins anew.
    pub(super) fn resume(&self, portal: &Portal) {
        if let State::Open(Open { source: Source::Own(supply), .. }) = &portal.state {
            self.running(Some(supply.stop().clone()));
            supply.resume();
        }
    }
}
