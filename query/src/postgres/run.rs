//! Runs what is asked, whichever protocol asks.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use tokio::time::Instant;

use super::columns::Columns;
use super::connection::Connection;
use super::error::{Halt, Problem, Step};
use super::missing::{no_cursor, no_statement, statement_exists};
use super::portal::{Named, Open, Portal, Source, Started, State, Tag};
use super::rows::{RowWriter, Supply, bounded};
use super::sql::{Action, Query, Scope};
use super::stop::Stop;
use super::transaction::aborted;
use crate::service::Answer;

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
                let (_, answer, stop) = self.open(query, values).await?;
                let columns = Arc::new(Columns::texts(&["QUERY PLAN"])?);
                Ok(Started::own(Supply::of_plans(columns, answer, stop), Tag::Explain))
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
            | Action::Prepare { .. }
            | Action::Close(_)
            | Action::Accepted { .. } => Ok(Started::Done(self.change(action)?.to_owned())),
        }
    }

    /// `BEGIN` and all that belongs to it.
    fn transact(&mut self, action: &Action) -> Result<&'static str, Problem> {
        let (tag, warning) = match action {
            Action::Begin { tag, isolation } => {
                let warning = self.transaction.begin(&self.settings);
                self.session.begin();
                if let (Some(level), None) = (isolation, &warning) {
                    let name = "transaction_isolation";
                    self.transaction.set_local(name, level, &self.settings)?;
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
            _ => ("", None),
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
            Action::Prepare { name, types, action } => {
                if self.statements.contains_key(name) {
                    return Err(statement_exists(name));
                }
                let named = Named::new(action.as_ref().clone(), types.clone());
                self.statements.insert(name.clone(), named);
                Ok("PREPARE")
            }
            Action::Close(None) => {
                self.portals.clear();
                Ok("CLOSE CURSOR ALL")
            }
            Action::Close(Some(name)) => match self.portals.remove(name) {
                Some(_) => Ok("CLOSE CURSOR"),
                None => Err(no_cursor(name)),
            },
            Action::Accepted { tag } => Ok(tag),
            _ => Ok(""),
        }
    }

    fn set(&mut self, name: &str, value: Option<&str>, scope: Scope) -> Result<(), Problem> {
        match (value, scope) {
            (None, _) => {
                self.settings.reset(name)?;
                self.transaction.keep(name);
            }
            (Some(value), Scope::Session) => {
                self.settings.set(name, value)?;
                self.transaction.keep(name);
                if name == "default_transaction_isolation" && !self.transaction.is_open() {
                    self.settings.set("transaction_isolation", value)?;
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
    ) -> Step<(Arc<Columns>, Answer, Stop)> {
        let (stop, deadline) = self.begin_work();
        let work = self.session.run(&query.statement, values, stop.cancel());
        let answer = self.channel.watch(&stop, deadline, work).await??;
        let columns = Columns::new(answer.schema())?;
        Ok((Arc::new(columns), answer, stop))
    }

    pub(super) async fn supply(&mut self, query: &Query, values: &[ScalarValue]) -> Step<Supply> {
        let (columns, answer, stop) = self.open(query, values).await?;
        Ok(Supply::of_answer(columns, answer, stop))
    }

    /// A new statement for the core: what stops it, and when its time is over.
    pub(super) fn begin_work(&mut self) -> (Stop, Option<Instant>) {
        let stop = Stop::default();
        self.running(Some(stop.clone()));
        self.session.settings.time_zone = self.settings.time_zone();
        self.session.settings.application_name =
            self.settings.get("application_name").unwrap_or_default();
        (stop, self.deadline())
    }

    /// Sends rows, at most so many; gives their number and whether that were all.
    pub(super) async fn send(
        &mut self,
        open: &mut Open,
        rows_max: Option<u64>,
    ) -> Step<(u64, bool)> {
        let deadline = self.deadline();
        let mut sent = 0;
        loop {
            let wanted = rows_max.map_or(u64::MAX, |rows_max| rows_max.saturating_sub(sent));
            if wanted == 0 {
                return Ok((sent, false));
            }
            let next = match &mut open.source {
                Source::Own(supply) => {
                    let stop = supply.stop().clone();
                    let batch = supply.next(bounded(wanted), &mut self.channel, deadline).await?;
                    batch.map(|batch| (batch, stop))
                }
                Source::Cursor { name, left } => {
                    let wanted = left.map_or(wanted, |left| left.min(wanted));
                    let next = self.pull(name, wanted, deadline).await?;
                    if let (Some((batch, _)), Some(left)) = (&next, left) {
                        *left = left.saturating_sub(batch.num_rows() as u64);
                    }
                    next
                }
            };
            let Some((batch, stop)) = next else { return Ok((sent, true)) };
            let writer = RowWriter::new(&open.encoders, &batch)?;
            for row in 0..batch.num_rows() {
                writer.write(row, &mut self.channel.output)?;
                if self.channel.is_full() {
                    self.channel.flush(Some(&stop), deadline).await?;
                    if let Some(why) = stop.why() {
                        return Err(Problem::stopped(why).into());
                    }
                }
            }
            sent += batch.num_rows() as u64;
        }
    }

    /// `EXECUTE name (values)`.
    async fn execute_prepared(&mut self, name: &str, texts: &[String]) -> Step<Started> {
        let named = self.statements.get(name).cloned().ok_or_else(|| no_statement(name))?;
        let needed = named.types.len().max(named.action.parameters());
        if needed != texts.len() {
            let text = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail = format!("Expected {needed} parameters but got {}.", texts.len());
            return Err(Problem::error("42601", text).with_detail(detail).into());
        }
        let values = self.values_of(&named, texts).await?;
        match &named.action {
            Action::Query(query) => {
                let supply = self.supply(query, &values).await?;
                Ok(Started::own(supply, Tag::Select))
            }
            _ => Err(Problem::unsupported("only queries can be executed by name").into()),
        }
    }

    /// Values that are written as expressions.
    async fn values_of(&mut self, named: &Named, texts: &[String]) -> Step<Vec<ScalarValue>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let parameters = self.shape(named).await?.parameters;
        let items: Vec<String> =
            texts.iter().enumerate().map(|(index, text)| format!("{text} AS p{index}")).collect();
        let action = super::sql::parse_one(&format!("SELECT {}", items.join(", ")))?;
        let Action::Query(query) = action else {
            return Err(Problem::error("42601", "syntax error in the values of EXECUTE").into());
        };
        let mut supply = self.supply(&query, &[]).await?;
        let deadline = self.deadline();
        let row = supply.next(1, &mut self.channel, deadline).await?;
        let row = row.ok_or_else(|| Problem::error("XX000", "no values for EXECUTE"))?;
        let values = row.columns().iter().zip(&parameters).map(|(array, parameter)| {
            let value = ScalarValue::try_from_array(array, 0)?;
            value.cast_to(&parameter.needed)
        });
        let values: Result<Vec<_>, _> = values.collect();
        Ok(values.map_err(crate::error::QueryError::from)?)
    }

    /// Where a portal is kept while it runs.
    pub(super) fn keep(&mut self, name: &str, portal: Portal) {
        let is_over =
            matches!(portal.named.action, Action::Commit { .. } | Action::Rollback { .. });
        if !is_over {
            self.portals.insert(name.to_owned(), portal);
        }
    }

    /// A portal that runs another time goes on with its own stop.
    pub(super) fn resume(&self, portal: &Portal) {
        if let State::Open(Open { source: Source::Own(supply), .. }) = &portal.state {
            self.running(Some(supply.stop().clone()));
        }
    }
}
