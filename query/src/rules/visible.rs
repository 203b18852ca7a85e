//! What a user sees of a table.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Schema};

use super::current::Rules;
use super::pattern::{Pattern, SYSTEM_SCHEMA};
use super::policy::{MaskKind, Policy, Role, RoleLimits};
use super::rule::{Condition, Grant, TableRule, is_text};
use crate::user::User;

/// Columns of tables about the program that tell of rows which are left out: numbers that count the
/// statements of everybody, and a hash that includes the record before. Who sees some rows only
/// does not see them.
const TELLS_OF_OTHERS: [(&str, &str); 3] =
    [("queries", "number"), ("audit", "sequence"), ("audit", "hash")];

/// What a user sees of a table.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// Nothing: for the user it does not exist.
    Hidden,
    /// All of it.
    All,
    /// What [`guard`](super::guard) lets through.
    Ruled(TableRule),
}

impl Rules {
    /// What the user sees of a table whose columns are `fields`, now.
    #[must_use]
    pub(crate) fn see(&self, user: &User, schema: &str, table: &str, fields: &Schema) -> Seen {
        self.policy().see(user, schema, table, fields)
    }

    /// What the user sees of a table with a view, now.
    #[must_use]
    pub(crate) fn see_table(
        &self,
        user: &User,
        schema: &str,
        of: View<'_>,
        fields: &Schema,
    ) -> Seen {
        self.policy().see_table(user, schema, of, fields)
    }

    /// What the user sees of a view of a table, now.
    #[must_use]
    pub(crate) fn see_view(
        &self,
        user: &User,
        schema: &str,
        of: View<'_>,
        fields: &Schema,
    ) -> Seen {
        self.policy().see_view(user, schema, of, fields)
    }

    /// Whether the user may see a table of this name, or a view of it, whatever its columns are.
    #[must_use]
    pub(crate) fn may_see(&self, user: &User, schema: &str, of: View<'_>) -> bool {
        self.policy().may_see(user, schema, of)
    }

    /// What the user may take, now.
    #[must_use]
    pub fn limits(&self, user: &User) -> RoleLimits {
        self.policy().limits(user)
    }
}

impl Policy {
    /// Whether the user may see a table of this name, or a view of it, whatever its columns are.
    #[must_use]
    pub(crate) fn may_see(
        &self,
        user: &User,
        schema: &str,
        View { table, view }: View<'_>,
    ) -> bool {
        let named = Named { schema, table, view: Some(view), is_view: true };
        let grants = |role: &Role| role.tables.iter().any(|pattern| named.is_granted(pattern));
        user.sees_all() || self.held(user).any(|(_, role)| grants(role))
    }

    /// What the user sees of a table whose columns are `fields`.
    #[must_use]
    pub(crate) fn see(&self, user: &User, schema: &str, table: &str, fields: &Schema) -> Seen {
        self.see_named(user, &Named { schema, table, view: None, is_view: false }, fields)
    }

    /// What the user sees of a table with a view, whose columns are `fields`. What restricts the
    /// view restricts the table, whose rows it shows.
    #[must_use]
    pub(crate) fn see_table(
        &self,
        user: &User,
        schema: &str,
        View { table, view }: View<'_>,
        fields: &Schema,
    ) -> Seen {
        self.see_named(user, &Named { schema, table, view: Some(view), is_view: false }, fields)
    }

    /// What the user sees of a view of a table whose columns are `fields`. Who is granted the table
    /// is granted its views, and what restricts it restricts them; a view may be granted without
    /// its table, and restricted further.
    #[must_use]
    pub(crate) fn see_view(
        &self,
        user: &User,
        schema: &str,
        View { table, view }: View<'_>,
        fields: &Schema,
    ) -> Seen {
        self.see_named(user, &Named { schema, table, view: Some(view), is_view: true }, fields)
    }

    fn see_named(&self, user: &User, named: &Named<'_>, fields: &Schema) -> Seen {
        if user.sees_all() {
            return Seen::All;
        }
        let mut grants: Vec<Grant> = self
            .held(user)
            .filter_map(|(name, role)| grant(name, role, user, named, fields))
            .collect();
        if grants.is_empty() {
            return Seen::Hidden;
        }
        if grants.iter().any(|grant| grant.conditions.is_empty() && grant.masks.is_empty()) {
            return Seen::All;
        }
        // A role without a value for its rows adds none; one of them stays, for a table of no rows.
        let passes = |grant: &Grant| grant.conditions.iter().all(|c| !c.values.is_empty());
        if grants.iter().any(passes) {
            grants.retain(passes);
        } else {
            grants.truncate(1);
        }
        Seen::Ruled(TableRule { grants, mask_key: self.mask_key.clone() })
    }

    /// What the user may take: of each limit the most generous of the roles that name one.
    #[must_use]
    pub fn limits(&self, user: &User) -> RoleLimits {
        let mut limits = RoleLimits::default();
        if user.sees_all() {
            return limits;
        }
        for (_, role) in self.held(user) {
            let RoleLimits { statement_timeout, rows_max, statements_max } = role.limits;
            limits.statement_timeout = limits.statement_timeout.max(statement_timeout);
            limits.rows_max = limits.rows_max.max(rows_max);
            limits.statements_max = limits.statements_max.max(statements_max);
        }
        limits
    }

    /// The user's roles that are there, each once, in the order of their names.
    fn held<'a>(&'a self, user: &'a User) -> impl Iterator<Item = (&'a String, &'a Role)> {
        self.roles.iter().filter(|(name, _)| user.roles.contains(name))
    }
}

/// A view, and the table that it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The table.
    pub(crate) table: &'a str,
    /// The view, whose name begins with the table's.
    pub(crate) view: &'a str,
}

/// What a role is asked for.
struct Named<'a> {
    schema: &'a str,
    table: &'a str,
    /// The view that there is of it.
    view: Option<&'a str>,
    /// Whether that is asked for.
    is_view: bool,
}

impl Named<'_> {
    /// A view is granted with its table, or by a pattern that writes out the end of its name: one
    /// that was written for tables grants no view alone.
    fn is_granted(&self, pattern: &Pattern) -> bool {
        let alone = self.view.filter(|_| self.is_view).is_some_and(|view| {
            let end = view.strip_prefix(self.table).unwrap_or(view);
            pattern.ends_with(end) && pattern.grants(self.schema, view)
        });
        alone || pattern.grants(self.schema, self.table)
    }

    /// Whatever restricts one of both restricts both, as their rows are the same.
    fn is_restricted(&self, pattern: &Pattern) -> bool {
        let restricts = |name| pattern.restricts(self.schema, name);
        restricts(self.table) || self.view.is_some_and(restricts)
    }
}

fn grant(
    name: &str,
    role: &Role,
    user: &User,
    named: &Named<'_>,
    fields: &Schema,
) -> Option<Grant> {
    if !role.tables.iter().any(|pattern| named.is_granted(pattern)) {
        return None;
    }
    let mut conditions = Vec::new();
    for rule in role.rows.iter().filter(|rule| named.is_restricted(&rule.tables)) {
        let (_, field) = fields.column_with_name(&rule.column)?;
        if !is_comparable(field.data_type()) {
            return None;
        }
        let mut values: Vec<String> = user
            .attributes
            .get(&rule.attribute)
            .map(|values| values.iter().filter(|v| !v.trim().is_empty()).cloned().collect())
            .unwrap_or_default();
        values.sort_unstable();
        values.dedup();
        let (column, attribute) = (rule.column.clone(), rule.attribute.clone());
        conditions.push(Condition { column, attribute, values });
    }
    let mut masks: BTreeMap<String, MaskKind> = BTreeMap::new();
    for mask in role.masks.iter().filter(|mask| named.is_restricted(&mask.tables)) {
        // A mask of a column that is not there hides nothing.
        let Some((_, field)) = fields.column_with_name(&mask.column) else { continue };
        let kind = mask_of_type(&mask.kind, field.data_type());
        match masks.get(&mask.column) {
            Some(stricter) if *stricter <= kind => {}
            _ => {
                masks.insert(mask.column.clone(), kind);
            }
        }
    }
    if named.schema == SYSTEM_SCHEMA && !conditions.is_empty() {
        let of_table = TELLS_OF_OTHERS.iter().filter(|(table, _)| *table == named.table);
        masks.extend(of_table.map(|(_, column)| ((*column).to_owned(), MaskKind::Null)));
    }
    Some(Grant { role: name.to_owned(), conditions, masks })
}

/// Whether a column of this type can be compared with the values of an attribute.
fn is_comparable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values) || values.is_integer(),
        other => is_text(other) || other.is_integer(),
    }
}

/// The mask that a column of this type can have: no value, where the kind is not of its type.
fn mask_of_type(kind: &MaskKind, data_type: &DataType) -> MaskKind {
    let text = match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => is_text(other),
    };
    let fits = match kind {
        MaskKind::Null => true,
        MaskKind::Hash => text || matches!(data_type, DataType::Int64 | DataType::UInt64),
        MaskKind::Text(_) | MaskKind::LastFour => text,
    };
    if fits { kind.clone() } else { MaskKind::Null }
}

#[cfg(test)]
mod tests;
