//! One session, and what its statements give.

use std::path::PathBuf;

use datafusion::sql::sqlparser::ast;
use riskstream_query::service::{Cancel, QueryService, Session, SqlState, parse};
use riskstream_query::{Catalog, QueryError, TableFacts, listing};

use super::failure::query_failed;
use super::feed::Feed;
use super::setting::set;
use super::user::Who;
use crate::commands::CommandError;
use crate::config::Config;
use crate::plan::{table_facts, tables_location};
use crate::service::query_service;

/// How the session calls itself.
const APPLICATION: &str = "riskstream query";
/// What is said of a setting that is set.
const SET: &str = "SET";
/// `show tables` for those who may not see all.
const TABLES_SEEN: &str = "select c.relname as \"table\", case when c.reltuples >= 0 then \
    cast(c.reltuples as bigint) end as rows from pg_catalog.pg_class c join \
    pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind \
    in ('r', 'v') order by 1";

/// What a statement gives.
#[derive(Debug)]
pub(super) enum Reply {
    /// Rows.
    Rows(Feed),
    /// It is done, and has none: what PostgreSQL says of it.
    Done(&'static str),
    /// There is no statement.
    Nothing,
}

/// A session on the data folder of a configuration.
#[derive(Debug)]
pub(super) struct Asker {
    service: QueryService,
    session: Session,
    tables: PathBuf,
    facts: TableFacts,
    /// Whether it sees all that there is.
    sees_all: bool,
    in_transaction: bool,
}

impl Asker {
    /// Begins a session, of a user or of whoever may read the data folder.
    ///
    /// # Errors
    /// There are no tables, no such user, or the service does not start.
    pub(super) fn open(config: &Config, as_user: Option<&str>) -> Result<Self, CommandError> {
        let tables = tables_location(config);
        let _there_are_some = Catalog::open(&tables).map_err(query_failed)?;
        let Who { user, rules, audit } = Who::find(config, as_user)?;
        let service = query_service(config, rules, audit).map_err(query_failed)?;
        let mut session = service.session(user);
        session.settings.application_name = APPLICATION.to_owned();
        Ok(Self {
            service,
            session,
            tables,
            facts: table_facts(config),
            sees_all: as_user.is_none(),
            in_transaction: false,
        })
    }

    /// Whether statements see one moment.
    pub(super) fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// The zone in which instants are shown.
    pub(super) fn time_zone(&self) -> &str {
        &self.session.settings.time_zone
    }

    /// Who asks, where that is not the owner of the data folder.
    pub(super) fn user(&self) -> Option<&str> {
        (!self.sees_all).then(|| self.session.user().name.as_str())
    }

    /// What the configuration says of the tables.
    pub(super) fn facts(&self) -> &TableFacts {
        &self.facts
    }

    /// Runs one statement, until `cancel` stops it.
    ///
    /// # Errors
    /// It is no statement, does not only read, or fails.
    pub(super) fn ask(&mut self, text: &str, cancel: &Cancel) -> Result<Reply, QueryError> {
        let recorded = self.session.recorded();
        let reply = self.reply(text, cancel);
        // What the service does not come to see is recorded as well.
        let outcome = match &reply {
            Ok(Reply::Done(SET)) => SqlState::SUCCESS,
            Err(error) if self.session.recorded() == recorded => error.sql_state(),
            Ok(_) | Err(_) => return reply,
        };
        self.service.block_on(self.session.ended(text, outcome))?;
        reply
    }

    fn reply(&mut self, text: &str, cancel: &Cancel) -> Result<Reply, QueryError> {
        let statements = parse(text)?;
        let statement = match statements.as_slice() {
            [] => return Ok(Reply::Nothing),
            [statement] => statement,
            several => {
                let message =
                    format!("one statement is expected here, these are {}", several.len());
                return Err(QueryError::Syntax { message, position: None });
            }
        };
        match statement.tree() {
            ast::Statement::ShowTables { .. } if self.sees_all => {
                let tables = Catalog::open(&self.tables)?.tables()?;
                let rows = listing(&tables)?;
                Ok(Reply::Rows(Feed::of_rows(rows.schema(), vec![rows])))
            }
            ast::Statement::ShowTables { .. } => self.reply(TABLES_SEEN, cancel),
            ast::Statement::StartTransaction { .. } => {
                self.session.begin();
                self.in_transaction = true;
                Ok(Reply::Done("BEGIN"))
            }
            ast::Statement::Commit { .. } => Ok(self.end("COMMIT")),
            ast::Statement::Rollback { savepoint: None, .. } => Ok(self.end("ROLLBACK")),
            ast::Statement::Set(chosen) => {
                let chosen = set(&mut self.session.settings, chosen);
                chosen.map_err(|message| QueryError::Syntax { message, position: None })?;
                Ok(Reply::Done(SET))
            }
            ast::Statement::Explain { .. } => {
                let answer = self.service.block_on(self.session.run(statement, &[], cancel))?;
                Ok(Reply::Rows(Feed::of_plans(answer)))
            }
            _ => {
                let answer = self.service.block_on(self.session.run(statement, &[], cancel))?;
                Ok(Reply::Rows(Feed::of_answer(answer)))
            }
        }
    }

    fn end(&mut self, said: &'static str) -> Reply {
        self.session.end();
        self.in_transaction = false;
        Reply::Done(said)
    }

    /// The rows of a statement of our own.
    ///
    /// # Errors
    /// It fails.
    pub(super) fn rows_of(&mut self, text: &str, cancel: &Cancel) -> Result<Feed, QueryError> {
        match self.ask(text, cancel)? {
            Reply::Rows(feed) => Ok(feed),
            Reply::Done(said) => {
                let message = format!("rows were expected, and {said} has none");
                Err(QueryError::Syntax { message, position: None })
            }
            Reply::Nothing => {
                let message = "a statement was expected".to_owned();
                Err(QueryError::Syntax { message, position: None })
            }
        }
    }
}
