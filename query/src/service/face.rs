//! What a session knows beside tables: PostgreSQL's catalog, functions and forms of SQL, for its
//! user and with its settings. All ports and the command line have it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;

use crate::catalog::postgres::{FunctionContext, Known, SettingsShown, functions};
use crate::catalog::shown::ShownCatalog;

/// How old the names of tables may be that catalogs show. What a statement itself names is looked
/// up when it begins.
const AGE_MAX: Duration = Duration::from_secs(1);

/// What planning begins with, for a session.
#[derive(Debug)]
pub(super) struct Face {
    made: Instant,
    /// The tables that the user may know of.
    pub(super) known: Arc<Known>,
    /// DataFusion's state with PostgreSQL's functions.
    pub(super) state: SessionState,
}

impl Face {
    pub(super) fn new(base: &SessionState, shown: ShownCatalog, settings: &SettingsShown) -> Self {
        let known = Known::new(Arc::new(shown));
        let context = FunctionContext { known: Arc::clone(&known), settings: settings.clone() };
        let functions = functions(&context);
        let mut builder = SessionStateBuilder::new_from_existing(base.clone());
        builder.scalar_functions().get_or_insert_default().extend(functions.scalar);
        builder.aggregate_functions().get_or_insert_default().extend(functions.aggregate);
        let mut state = builder.with_type_planner(functions.types).build();
        for (name, function) in functions.table {
            state.register_udtf(name, function);
        }
        Self { made: Instant::now(), known, state }
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
}
