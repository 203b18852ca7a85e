//! What a user sees of a table.

use std::collections::BTreeMap;
use std::fmt::Write;

use arrow::datatypes::{DataType, Schema};

use super::current::Rules;
use super::policy::{MaskKey, MaskKind, Policy, Role, RoleLimits};
use crate::service::{ALL_SEEING, User};

/// Values of an attribute that are told in the audit; of more only the number is.
const VALUES_TOLD_MAX: usize = 8;

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

impl Seen {
    /// What applies, for the audit; nothing where all or none of the table is seen.
    #[must_use]
    pub(crate) fn policies(&self) -> Vec<String> {
        match self {
            Self::Hidden | Self::All => Vec::new(),
            Self::Ruled(rule) => rule.policies(),
        }
    }
}

/// Which rows and columns of a table a user sees.
#[derive(Debug, Clone)]
pub(crate) struct TableRule {
    /// What each role that grants the table says: a row is seen if one lets it pass.
    pub(super) grants: Vec<Grant>,
    pub(super) mask_key: Option<MaskKey>,
}

/// What one role says of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) role: String,
    /// All must hold; none: every row passes.
    pub(super) conditions: Vec<Condition>,
    /// The columns that the role shows masked only.
    pub(super) masks: BTreeMap<String, MaskKind>,
}

/// A column is one of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) column: String,
    pub(super) attribute: String,
    pub(super) values: Vec<String>,
}

impl Rules {
    /// What the user sees of a table whose columns are `fields`, now.
    #[must_use]
    pub(crate) fn see(&self, user: &User, schema: &str, table: &str, fields: &Schema) -> Seen {
        self.policy().see(user, schema, table, fields)
    }

    /// What the user may take, now.
    #[must_use]
    pub fn limits(&self, user: &User) -> RoleLimits {
        self.policy().limits(user)
    }
}

impl Policy {
    /// What the user sees of a table whose columns are `fields`.
    #[must_use]
    pub(crate) fn see(&self, user: &User, schema: &str, table: &str, fields: &Schema) -> Seen {
        if is_owner(user) {
            return Seen::All;
        }
        let mut grants: Vec<Grant> = self
            .held(user)
            .filter_map(|(name, role)| grant(name, role, user, schema, table, fields))
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
        if is_owner(user) {
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

/// Whether the user has the role that sees everything.
fn is_owner(user: &User) -> bool {
    user.roles.iter().any(|role| role == ALL_SEEING)
}

fn grant(
    name: &str,
    role: &Role,
    user: &User,
    schema: &str,
    table: &str,
    fields: &Schema,
) -> Option<Grant> {
    if !role.tables.iter().any(|pattern| pattern.grants(schema, table)) {
        return None;
    }
    let mut conditions = Vec::new();
    for rule in role.rows.iter().filter(|rule| rule.tables.restricts(schema, table)) {
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
    for mask in role.masks.iter().filter(|mask| mask.tables.restricts(schema, table)) {
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
    Some(Grant { role: name.to_owned(), conditions, masks })
}

/// Whether a column of this type can be compared with the values of an attribute.
fn is_comparable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values) || values.is_integer(),
        other => is_text(other) || other.is_integer(),
    }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
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

impl TableRule {
    /// What applies, a text for each role, for the audit.
    #[must_use]
    pub(crate) fn policies(&self) -> Vec<String> {
        self.grants.iter().map(Grant::text).collect()
    }

    /// Whether it leaves out rows.
    #[must_use]
    pub(crate) fn leaves_out_rows(&self) -> bool {
        self.grants.iter().all(|grant| !grant.conditions.is_empty())
    }

    /// Whether some condition of each grant has no value, so that no row is seen.
    pub(super) fn lets_no_row_pass(&self) -> bool {
        self.grants.iter().all(|grant| grant.conditions.iter().any(|c| c.values.is_empty()))
    }

    /// The columns that are masked, at least in some rows.
    pub(super) fn masked(&self) -> BTreeMap<&str, Masked<'_>> {
        let mut masked: BTreeMap<&str, Masked<'_>> = BTreeMap::new();
        for grant in &self.grants {
            for (column, kind) in &grant.masks {
                let entry = masked.entry(column).or_insert(Masked { kind, shown_by: Vec::new() });
                entry.kind = entry.kind.min(kind);
            }
        }
        masked.retain(|column, entry| {
            let showing = |grant: &Grant| !grant.masks.contains_key(*column);
            entry.shown_by = (0..self.grants.len()).filter(|i| showing(&self.grants[*i])).collect();
            // A role that grants every row and shows the column leaves nothing to mask.
            !entry.shown_by.iter().any(|index| self.grants[*index].conditions.is_empty())
        });
        masked
    }
}

/// How a column is masked.
#[derive(Debug)]
pub(super) struct Masked<'a> {
    pub(super) kind: &'a MaskKind,
    /// The grants that show the column as it is, in the rows that they let pass.
    pub(super) shown_by: Vec<usize>,
}

impl Grant {
    fn text(&self) -> String {
        let mut text = format!("role {}:", self.role);
        if self.conditions.is_empty() {
            text.push_str(" all rows");
        }
        // Writing to a string does not fail.
        for (index, Condition { column, attribute, values }) in self.conditions.iter().enumerate() {
            let and = if index == 0 { " rows with" } else { " and" };
            let _infallible = write!(text, "{and} {column} in {attribute} ");
            let _infallible = if values.len() <= VALUES_TOLD_MAX {
                write!(text, "({})", values.join(", "))
            } else {
                write!(text, "({} values)", values.len())
            };
        }
        for (column, kind) in &self.masks {
            let kind = match kind {
                MaskKind::Null => "null",
                MaskKind::Text(_) => "text",
                MaskKind::Hash => "hash",
                MaskKind::LastFour => "last4",
            };
            let _infallible = write!(text, ", {column} as {kind}");
        }
        text
    }
}

#[cfg(test)]
mod tests;
