//! One client's view: its settings, its transaction, its statements.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::sql::sqlparser::ast::{ObjectName, Visitor};

use super::answer::{Answer, Cancel};
use super::drive::until;
use super::order::{Moment, Order, Remembered};
use super::planned::Described;
use super::settings::SessionSettings;
use super::sqlstate::SqlState;
use super::start::{Arrived, Asked, QueryService};
use super::statement::Statement;
use super::time::Time;
use crate::catalog::postgres::SettingsShown;
use crate::catalog::shown::ShownCatalog;
use crate::error::QueryError;
use crate::live::Pinned;
use crate::rules::Rules;
use crate::trees::finds;
use crate::user::User;

/// The port that speaks PostgreSQL's protocol.
const POSTGRES: &str = "postgres";

/// A session: statements of one client for one user.
#[derive(Debug)]
pub struct Session {
    service: QueryService,
    user: Arc<User>,
    /// Whether its roles are those that the file of users gives it, at each statement.
    is_of_file: bool,
    /// What the client has set.
    pub settings: SessionSettings,
    postgres: SettingsShown,
    port: &'static str,
    remembered: Remembered,
    recorded: u64,
    /// Which moment the next statement sees: within a transaction all see that of the first.
    moment: Moment,
}

impl QueryService {
    /// A session for a user.
    #[must_use]
    pub fn session(&self, user: User) -> Session {
        let is_of_file = self.is_of_file(&user);
        Session::new(self.clone(), Arc::new(user), is_of_file)
    }
}

impl Session {
    fn new(service: QueryService, user: Arc<User>, is_of_file: bool) -> Self {
        let postgres = SettingsShown::new(&user.name, 0);
        Self {
            service,
            user,
            is_of_file,
            settings: SessionSettings::default(),
            postgres,
            port: "cli",
            remembered: Remembered::default(),
            recorded: 0,
            moment: Moment::Own,
        }
    }

    /// Takes the settings of a connection, which `current_setting` and others show.
    pub(crate) fn set_postgres(&mut self, settings: SettingsShown) {
        self.postgres = settings;
        self.port = POSTGRES;
        self.remembered = Remembered::default();
    }

    /// Comes through the Flight SQL port, with the settings that `current_setting` and others show.
    pub(crate) fn set_flight(&mut self, settings: SettingsShown) {
        self.postgres = settings;
        self.port = "flight";
        self.remembered = Remembered::default();
    }

    /// What its user may know of the tables, now.
    ///
    /// # Errors
    /// The tables can't be looked at.
    pub(crate) async fn shown(&self) -> Result<ShownCatalog, QueryError> {
        self.service.shown(&self.user).await
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// The rules that hold for one statement, and its user as they know it.
    async fn ruled(&mut self) -> Option<Arc<Rules>> {
        let rules = self.service.rules_now().await?;
        if self.is_of_file {
            // Who is not in the file any more has no role, and sees nothing.
            let user = rules.user(&self.user.name).unwrap_or_else(|| User {
                name: self.user.name.clone(),
                roles: Vec::new(),
                attributes: BTreeMap::new(),
            });
            if user != *self.user {
                self.user = Arc::new(user);
            }
        }
        Some(rules)
    }

    fn order(&self, statement: &Statement, rules: Option<Arc<Rules>>) -> Order {
        Order {
            statement: statement.clone(),
            user: Arc::clone(&self.user),
            rules,
            zone: self.settings.time_zone.clone(),
            settings: self.postgres.clone(),
            moment: self.moment.clone(),
            tells_precision: self.port == POSTGRES,
        }
    }

    /// A statement has seen a moment, which others of the transaction see too.
    fn saw(&mut self, pinned: Arc<Pinned>) {
        if let Moment::First = self.moment {
            self.moment = Moment::At(pinned);
        }
    }

    /// Begins a transaction: its statements see one moment, that of the first.
    pub fn begin(&mut self) {
        if let Moment::Own = self.moment {
            self.moment = Moment::First;
        }
    }

    /// Ends the transaction, if there is one.
    pub fn end(&mut self) {
        self.moment = Moment::Own;
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
        let rules = self.ruled().await;
        let order = self.order(statement, rules.clone());
        let outcome = self.described(order, parameters).await;
        match outcome {
            Ok(described) => Ok(described),
            // It will not run: this is its end.
            Err(error) => Err(self.failed(rules.as_ref(), statement.text(), error).await),
        }
    }

    async fn described(
        &mut self,
        order: Order,
        parameters: &[Option<DataType>],
    ) -> Result<Described, QueryError> {
        let time = Time::new(self.settings.statement_timeout, self.settings.until);
        let remembered = std::mem::take(&mut self.remembered);
        let work = self.service.plan(order, remembered);
        let (remembered, planned) = until(&Cancel::default(), &time, work).await?;
        self.remembered = remembered;
        let planned = planned?;
        self.saw(Arc::clone(planned.pinned()));
        planned.described(parameters)
    }

    fn asked<'a>(&'a self, rules: Option<&'a Arc<Rules>>) -> Asked<'a> {
        let (user, settings, port) = (&self.user, &self.settings, self.port);
        Asked { user, rules, settings, port, is_whole: true }
    }

    /// A statement has failed before it ran. Gives the error back, or another one if that can't be
    /// recorded.
    async fn failed(
        &mut self,
        rules: Option<&Arc<Rules>>,
        text: &str,
        error: QueryError,
    ) -> QueryError {
        self.recorded += 1;
        let entered = self.service.enter(self.asked(rules), text, &Cancel::default());
        match entered {
            Ok(entry) => entry.fail(error).await,
            Err(stuck) => stuck.0.fail(stuck.1).await,
        }
    }

    /// A statement has come to its end without the service, such as one that sets something, or one
    /// that a port refuses: it is counted and recorded as all others are.
    ///
    /// # Errors
    /// It can't be recorded.
    pub async fn ended(&mut self, text: &str, outcome: SqlState) -> Result<(), QueryError> {
        let rules = self.ruled().await;
        self.recorded += 1;
        let entered = self.service.enter(self.asked(rules.as_ref()), text, &Cancel::default());
        match entered {
            Ok(entry) => entry.end(outcome).await,
            Err(stuck) => Err(stuck.0.fail(stuck.1).await),
        }
    }

    /// How many statements of this session have been recorded, or will be at their end.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.recorded
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
        let rules = self.ruled().await;
        self.recorded += 1;
        let asked = self.asked(rules.as_ref());
        let arrived = self.service.arrive(asked, statement.text(), cancel).await?;
        self.start(statement, rules, arrived, parameters).await
    }

    /// Runs a query for values that belong to a statement, such as those of `EXECUTE`, which is
    /// what is recorded.
    ///
    /// # Errors
    /// As [`Self::run`]; or it reads a table.
    pub(crate) async fn evaluate(
        &mut self,
        statement: &Statement,
        of: &str,
        cancel: &Cancel,
    ) -> Result<Answer, QueryError> {
        if finds(statement.tree(), &mut AnyTable) {
            let said = "cannot use subquery in EXECUTE parameter".to_owned();
            return Err(DataFusionError::NotImplemented(said).into());
        }
        let rules = self.ruled().await;
        let asked = Asked { is_whole: false, ..self.asked(rules.as_ref()) };
        let arrived = self.service.arrive(asked, of, cancel).await?;
        self.start(statement, rules, arrived, &[]).await
    }

    async fn start(
        &mut self,
        statement: &Statement,
        rules: Option<Arc<Rules>>,
        arrived: Arrived,
        parameters: &[ScalarValue],
    ) -> Result<Answer, QueryError> {
        let order = self.order(statement, rules);
        let parameters = parameters.to_vec();
        let ran = self.service.run(arrived, order, &mut self.remembered, parameters).await;
        let (answer, pinned) = ran?;
        self.saw(pinned);
        Ok(answer)
    }
}

/// Looks for a table.
struct AnyTable;

impl Visitor for AnyTable {
    type Break = ();

    fn pre_visit_relation(&mut self, _relation: &ObjectName) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}
