//! One client's view: its settings, its transaction, its statements.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::answer::{Answer, Cancel};
use super::drive::until;
use super::face::Face;
use super::planned::{Described, Ready};
use super::settings::SessionSettings;
use super::start::{Asked, QueryService};
use super::statement::Statement;
use super::user::User;
use crate::catalog::postgres::{SettingsShown, rewrite};
use crate::error::QueryError;
use crate::live::Pinned;

/// A session: statements of one client for one user.
#[derive(Debug)]
pub struct Session {
    service: QueryService,
    user: Arc<User>,
    /// What the client has set.
    pub settings: SessionSettings,
    postgres: SettingsShown,
    port: &'static str,
    face: Option<Face>,
    transaction: Transaction,
}

/// Whether statements share a moment.
#[derive(Debug)]
enum Transaction {
    /// Each statement sees what there is when it begins.
    None,
    /// The first statement decides.
    Begun,
    /// All see this.
    At(Arc<Pinned>),
}

impl QueryService {
    /// A session for a user.
    #[must_use]
    pub fn session(&self, user: User) -> Session {
        Session::new(self.clone(), Arc::new(user))
    }
}

impl Session {
    fn new(service: QueryService, user: Arc<User>) -> Self {
        let postgres = SettingsShown::new(&user.name, 0);
        Self {
            service,
            user,
            settings: SessionSettings::default(),
            postgres,
            port: "cli",
            face: None,
            transaction: Transaction::None,
        }
    }

    /// Takes the settings of a connection, which `current_setting` and others show.
    pub(crate) fn set_postgres(&mut self, settings: SettingsShown) {
        self.postgres = settings;
        self.port = "postgres";
        self.face = None;
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            user: &self.user,
            settings: &self.settings,
            postgres: &self.postgres,
            port: self.port,
        }
    }

    /// Begins a transaction: its statements see one moment, that of the first.
    pub fn begin(&mut self) {
        if matches!(self.transaction, Transaction::None) {
            self.transaction = Transaction::Begun;
        }
    }

    /// Ends the transaction, if there is one.
    pub fn end(&mut self) {
        self.transaction = Transaction::None;
    }

    /// The columns and parameters of a statement. `parameters` are the types that the client has
    /// said; the others are found out.
    ///
    /// # Errors
    /// The statement can't be planned, or does not only read.
    pub async fn describe(
        &mut self,
        statement: &Statement,
        parameters: &[Option<DataType>],
    ) -> Result<Described, QueryError> {
        let ready = self.ready(statement).await?;
        let planned = self.service.plan(self.asked(), ready, parameters).await?;
        Ok(planned.described())
    }

    /// Runs a statement with the values of its parameters, until `cancel` stops it.
    ///
    /// # Errors
    /// The statement can't be planned or does not only read; or too many run. Errors while it runs
    /// come in the answer.
    pub async fn run(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
        cancel: &Cancel,
    ) -> Result<Answer, QueryError> {
        let text = statement.tree.to_string();
        let turn = until(cancel, None, self.service.turn()).await?;
        let ready = self.ready(statement).await?;
        self.service.run(self.asked(), &text, ready, parameters, turn, cancel.clone()).await
    }

    /// A statement as it is planned, and what it sees.
    async fn ready(&mut self, statement: &Statement) -> Result<Ready, QueryError> {
        let face = match self.face.take() {
            Some(face) if !face.is_old() => face,
            face => {
                let shown = self.service.shown(&self.user).await?;
                match face {
                    Some(mut face) if face.shows(&shown) => {
                        face.renew();
                        face
                    }
                    _ => self.service.face(shown, &self.postgres),
                }
            }
        };
        let mut statement = statement.clone();
        let (state, known) = (face.state.clone(), Arc::clone(&face.known));
        self.face = Some(face);
        if statement.reads() {
            rewrite(&mut statement.tree, &known);
        }
        let pinned = self.pinned(&statement).await?;
        Ok(Ready { statement, pinned, state, known })
    }

    /// The moment that a statement sees.
    async fn pinned(&mut self, statement: &Statement) -> Result<Arc<Pinned>, QueryError> {
        match &self.transaction {
            Transaction::At(pinned) => Ok(Arc::clone(pinned)),
            Transaction::None => self.service.pin(Some(statement)).await,
            Transaction::Begun => {
                let pinned = self.service.pin(None).await?;
                self.transaction = Transaction::At(Arc::clone(&pinned));
                Ok(pinned)
            }
        }
    }
}
