//! A statement that is to be planned, and what a session remembers for the next one.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;

use super::face::{Face, Viewer};
use super::kept::{Basis, KeptPlans};
use super::planned::{Planned, as_datafusion, check_reads, plan};
use super::source::Source;
use super::statement::Statement;
use crate::catalog::moment;
use crate::catalog::names::Names;
use crate::catalog::postgres::{Known, SettingsShown, rewrite};
use crate::catalog::seen::{SCHEMA, newest_of};
use crate::error::QueryError;
use crate::live::{Eyes, Pinned};
use crate::rules::Rules;
use crate::user::User;

/// Which moment a statement sees.
#[derive(Debug, Clone)]
pub(super) enum Moment {
    /// One of its own.
    Own,
    /// One that all tables are seen at from then on.
    First,
    /// This.
    At(Arc<Pinned>),
}

/// A statement that is to be planned.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) statement: Statement,
    pub(super) user: Arc<User>,
    /// The rules that hold for all of it; none: there are none.
    pub(super) rules: Option<Arc<Rules>>,
    /// The session's zone.
    pub(super) zone: String,
    pub(super) settings: SettingsShown,
    pub(super) moment: Moment,
    /// Whether clients are told which numbers have a precision of their own.
    pub(super) tells_precision: bool,
}

/// What a session remembers between two statements.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) face: Option<Face>,
    pub(super) kept: KeptPlans,
    /// A moment of no table.
    blank: Option<Arc<Pinned>>,
}

/// What planning goes by.
struct Seen {
    known: Arc<Known>,
    state: Arc<SessionState>,
    /// The schemas that are searched and there, the first for names without one.
    path: Vec<String>,
}

impl Seen {
    /// The tables of pipelines of which the user sees something.
    fn tables(&self) -> BTreeSet<String> {
        let schemas = self.known.shown.schemas.iter().filter(|schema| schema.name == SCHEMA);
        let tables = schemas.flat_map(|schema| &schema.tables).map(|table| match table.is_view {
            true => newest_of(&table.name).unwrap_or(&table.name),
            false => table.name.as_str(),
        });
        tables.map(str::to_owned).collect()
    }
}

impl Order {
    /// Plans it, by what is remembered where that holds.
    pub(super) async fn planned(
        &self,
        source: &Source,
        remembered: &mut Remembered,
    ) -> Result<Planned, QueryError> {
        check_reads(&self.statement)?;
        let seen = self.seen(source, remembered).await?;
        let basis = self.basis(&seen);
        if let Some(kept) = remembered.kept.find(&basis) {
            // Nothing that is kept depends on the moment but by its tables.
            let blank = remembered.blank.clone().filter(|_| kept.names.is_empty());
            let pinned = match (&self.moment, blank) {
                (Moment::Own, Some(blank)) => blank,
                (Moment::Own, None) | (Moment::First | Moment::At(_), _) => {
                    self.pinned(source, &kept.names, remembered).await?
                }
            };
            if let Some(plan) = kept.at(&pinned) {
                let state = match kept.tells_time {
                    true => Arc::new(self.begun(SessionState::clone(&seen.state), &pinned)),
                    false => seen.state,
                };
                let planned = Planned::new(state, plan, pinned, Some(kept));
                return Ok(planned.telling_precision(self.tells_precision));
            }
        }
        let mut tree = self.statement.tree().clone();
        rewrite(&mut tree, &seen.known, &seen.path);
        let statement = Statement::from(tree);
        let names = table_names(&statement, &seen.state)?;
        let pinned = self.pinned(source, &names, remembered).await?;
        let state = self.over(source, &seen, &pinned)?;
        let plan = plan(&statement, &state, &seen.known).await?;
        let kept = remembered.kept.keep(basis, names, &plan, &pinned);
        let planned = Planned::new(Arc::new(state), plan, pinned, kept);
        Ok(planned.telling_precision(self.tells_precision))
    }

    /// Its rows and the moment of no table, where they are the same whenever it runs and it has run
    /// before. Waits for nothing.
    pub(super) fn constant(
        &self,
        remembered: &mut Remembered,
    ) -> Option<(RecordBatch, Arc<Pinned>)> {
        if !matches!(self.moment, Moment::Own) {
            return None;
        }
        let pinned = Arc::clone(remembered.blank.as_ref()?);
        let viewer = self.viewer();
        let face =
            remembered.face.as_mut().filter(|face| face.is_for(&viewer) && !face.is_old())?;
        let seen = self.seen_by(face);
        let kept = remembered.kept.find(&self.basis(&seen))?;
        Some((kept.constant()?.clone(), pinned))
    }

    /// For whom it is planned.
    fn viewer(&self) -> Viewer {
        let policy = self.rules.as_ref().map(|rules| rules.policy());
        Viewer { user: Arc::clone(&self.user), policy }
    }

    /// For whom tables are looked at.
    fn eyes(&self) -> Eyes {
        Eyes { user: Arc::clone(&self.user), rules: self.rules.clone() }
    }

    /// A state that knows when the statement began, or its transaction: that is now.
    fn begun(&self, mut state: SessionState, pinned: &Pinned) -> SessionState {
        let began = match self.moment {
            Moment::Own => Utc::now(),
            Moment::First | Moment::At(_) => {
                DateTime::from_timestamp_micros(pinned.at_micros()).unwrap_or_else(Utc::now)
            }
        };
        state.execution_props_mut().query_execution_start_time = Some(began);
        state
    }

    async fn seen(&self, source: &Source, remembered: &mut Remembered) -> Result<Seen, QueryError> {
        let viewer = self.viewer();
        let face = match remembered.face.take().filter(|face| face.is_for(&viewer)) {
            Some(face) if !face.is_old() => face,
            face => {
                let shown = source.shown(self.eyes()).await?;
                match face {
                    Some(mut face) if face.shows(&shown) => {
                        face.renew();
                        face
                    }
                    Some(_) | None => Face::new(&source.state, viewer, shown, &self.settings),
                }
            }
        };
        Ok(self.seen_by(remembered.face.insert(face)))
    }

    fn seen_by(&self, face: &mut Face) -> Seen {
        let mut path = self.settings.search_path();
        path.retain(|schema| face.known.schema_named(schema).is_some());
        // Without any, names are looked for where there is nothing.
        let first = path.first().map_or("", String::as_str);
        let state = face.state(&self.zone, first);
        Seen { known: Arc::clone(&face.known), state, path }
    }

    fn basis(&self, seen: &Seen) -> Basis {
        Basis {
            statement: self.statement.clone(),
            user: Arc::clone(&self.user),
            known: Arc::clone(&seen.known),
            policy: self.rules.as_ref().map(|rules| rules.policy()),
            zone: self.zone.clone(),
            path: seen.path.clone(),
        }
    }

    /// The moment that it sees.
    async fn pinned(
        &self,
        source: &Source,
        names: &[String],
        remembered: &mut Remembered,
    ) -> Result<Arc<Pinned>, QueryError> {
        match &self.moment {
            Moment::At(pinned) => Ok(Arc::clone(pinned)),
            Moment::First => source.pin(None, self.eyes()).await,
            Moment::Own => {
                let pinned = source.pin(Some(names.to_vec()), self.eyes()).await?;
                if names.is_empty() {
                    remembered.blank = Some(Arc::clone(&pinned));
                }
                Ok(pinned)
            }
        }
    }

    /// A state whose names are those of a moment, as far as the user sees them.
    fn over(
        &self,
        source: &Source,
        seen: &Seen,
        pinned: &Arc<Pinned>,
    ) -> Result<SessionState, QueryError> {
        let mut state = self.begun(SessionState::clone(&seen.state), pinned);
        let names = Names {
            pinned: Arc::clone(pinned),
            user: Arc::clone(&self.user),
            rules: self.rules.clone(),
            system: source.system.clone(),
            known: Arc::clone(&seen.known),
            settings: self.settings.clone(),
        };
        state.register_catalog_list(names.catalogs());
        let tables = (!self.eyes().see_all()).then(|| seen.tables());
        for function in moment::functions(pinned, tables) {
            FunctionRegistry::register_udf(&mut state, function)?;
        }
        Ok(state)
    }
}

/// The tables that a statement names.
fn table_names(statement: &Statement, state: &SessionState) -> Result<Vec<String>, QueryError> {
    let references = state.resolve_table_references(&as_datafusion(statement))?;
    Ok(references.iter().map(|reference| reference.table().to_owned()).collect())
}
