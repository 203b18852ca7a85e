//! Which rows and columns of a table a user sees.

use std::collections::BTreeMap;
use std::fmt::Write;

use arrow::datatypes::DataType;

use super::policy::{MaskKey, MaskKind};

/// Values of an attribute that are told in the audit; of more only the number is.
const VALUES_TOLD_MAX: usize = 8;

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

impl TableRule {
    /// What applies, a text for each role, for the audit.
    #[must_use]
    pub(crate) fn policies(&self) -> Vec<String> {
        self.grants.iter().map(Grant::text).collect()
    }

    /// The same rows with all of their values.
    #[must_use]
    pub(crate) fn unmasked(&self) -> Self {
        let shown = |grant: &Grant| Grant { masks: BTreeMap::new(), ..grant.clone() };
        Self { grants: self.grants.iter().map(shown).collect(), mask_key: self.mask_key.clone() }
    }

    /// Whether a column is masked, at least in some rows.
    #[must_use]
    pub(crate) fn masks(&self, column: &str) -> bool {
        self.masked().contains_key(column)
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

/// Whether a column of this type holds text.
pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
