//! For whom tables are looked at.

use std::sync::Arc;

use arrow::datatypes::Schema;

use crate::naming::seen::{may_see, sees};
use crate::rules::Rules;
use crate::user::User;

/// For whom tables are looked at. Who sees nothing of a table is not troubled by it either: it is
/// not opened, and what it lacks is not waited for.
#[derive(Debug, Clone)]
pub(crate) struct Eyes {
    /// Who.
    pub(crate) user: Arc<User>,
    /// Who may see what; none: everybody all.
    pub(crate) rules: Option<Arc<Rules>>,
}

impl Eyes {
    /// Whether the name of a table is granted, whatever its columns are.
    pub(super) fn may_see(&self, table: &str) -> bool {
        may_see(self.rules.as_deref(), &self.user, table)
    }

    /// Whether a table with these columns is seen, or its newest revisions are.
    pub(super) fn see(&self, table: &str, columns: &Schema) -> bool {
        sees(self.rules.as_deref(), &self.user, table, columns)
    }

    /// Whether all tables are seen.
    pub(crate) fn see_all(&self) -> bool {
        self.rules.is_none() || self.user.sees_all()
    }

    /// Those of somebody who sees all.
    #[cfg(test)]
    pub(crate) fn of_all() -> Self {
        Self { user: Arc::new(User::local("all")), rules: None }
    }
}
