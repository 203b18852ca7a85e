//! What a session knows beside tables: PostgreSQL's catalog, functions and forms of SQL, for its
//! user and with its settings. All ports and the command line have it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;

use crate::catalog::postgres::{FunctionContext, Known, SettingsShown, functions};
use crate::catalog::shown::ShownCatalog;
use crate::lake::FilesUntold;
use crate::rules::Policy;
use crate::user::User;

/// How old the names of tables may be that catalogs show. What a statement itself names is looked
/// up when it begins.
const AGE_MAX: Duration = Duration::from_secs(1);

/// Functions that tell in which file of this machine a row is, and where.
const OF_FILES: [&str; 2] = ["input_file_name", "file_row_index"];

/// For whom a face is.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) user: Arc<User>,
    /// What decides what the user sees; none: there are no rules.
    pub(super) policy: Option<Arc<Policy>>,
}

impl Viewer {
    /// Whether there is something that it may not see.
    fn is_ruled(&self) -> bool {
        self.policy.is_some() && !self.user.sees_all()
    }

    fn is(&self, other: &Self) -> bool {
        let pointer = |viewer: &Self| viewer.policy.as_ref().map(Arc::as_ptr);
        self.user == other.user && pointer(self) == pointer(other)
    }
}

/// What planning begins with, for a session.
#[derive(Debug)]
pub(super) struct Face {
    made: Instant,
    viewer: Viewer,
    /// The tables that the user may know of.
    pub(super) known: Arc<Known>,
    /// DataFusion's state with PostgreSQL's functions.
    state: SessionState,
    /// The same with a zone and a schema, as they were asked for last.
    set: Option<Set>,
}

#[derive(Debug)]
struct Set {
    zone: String,
    schema: String,
    state: Arc<SessionState>,
}

impl Face {
    pub(super) fn new(
        base: &SessionState,
        viewer: Viewer,
        shown: ShownCatalog,
        settings: &SettingsShown,
    ) -> Self {
        let known = Known::new(Arc::new(shown));
        let context = FunctionContext { known: Arc::clone(&known), settings: settings.clone() };
        let functions = functions(&context);
        let mut builder = SessionStateBuilder::new_from_existing(base.clone());
        let scalar = builder.scalar_functions().get_or_insert_default();
        scalar.extend(functions.scalar);
        if viewer.is_ruled() {
            scalar.retain(|function| !OF_FILES.contains(&function.name()));
        }
        builder.aggregate_functions().get_or_insert_default().extend(functions.aggregate);
        let mut state = builder.with_type_planner(functions.types).build();
        for (name, function) in functions.table {
            state.register_udtf(name, function);
        }
        if viewer.is_ruled() {
            state.config_mut().set_extension(Arc::new(FilesUntold));
        }
        Self { made: Instant::now(), viewer, known, state, set: None }
    }

    /// Whether it was made for somebody, by the rules that hold now.
    pub(super) fn is_for(&self, viewer: &Viewer) -> bool {
        self.viewer.is(viewer)
    }

    pub(super) fn is_old(&self) -> bool {
        self.made.elapsed() > AGE_MAX
    }

    /// Whether it shows the same.
    pub(super) fn shows(&self, shown: &ShownCatalog) -> bool {
        *self.known.shown == *shown
    }

    /// Notes that it still shows what there is.
    pub(super) fn renew(&mut self) {
        self.made = Instant::now();
    }

    /// What planning begins with in a zone, for names without a schema in this one.
    pub(super) fn state(&mut self, zone: &str, schema: &str) -> Arc<SessionState> {
        let is_it = |set: &&Set| set.zone == zone && set.schema == schema;
        if let Some(set) = self.set.as_ref().filter(is_it) {
            return Arc::clone(&set.state);
        }
        let mut state = self.state.clone();
        let options = state.config_mut().options_mut();
        options.execution.time_zone = Some(zone.to_owned());
        schema.clone_into(&mut options.catalog.default_schema);
        let state = Arc::new(state);
        let (zone, schema) = (zone.to_owned(), schema.to_owned());
        self.set = Some(Set { zone, schema, state: Arc::clone(&state) });
        state
    }
}
