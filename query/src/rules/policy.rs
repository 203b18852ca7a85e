//! What the users file says, ready to decide by.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ring::hmac;

use super::authenticate::{TokenSettings, Verifier};
use super::pattern::Pattern;

/// What a role may take; none: the service's own limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoleLimits {
    /// How long one statement may take.
    pub statement_timeout: Option<Duration>,
    /// Rows that one statement may give.
    pub rows_max: Option<u64>,
    /// Statements that a user may run at the same time.
    pub statements_max: Option<u64>,
}

/// How a column's values are hidden. The strictest is the first: where roles differ, it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MaskKind {
    /// No value.
    Null,
    /// The same text for all, also where there is no value.
    Text(String),
    /// A keyed hash: equal values stay equal. Of a text, 32 hexadecimal digits; of an integer of 64
    /// bits, one. Other types have no value.
    Hash,
    /// The last four characters of a text that has at least eight.
    LastFour,
}

/// A user of the file.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) verifier: Verifier,
    pub(super) roles: Vec<String>,
    pub(super) attributes: BTreeMap<String, Vec<String>>,
}

/// "Only rows whose column is one of the values of the user's attribute."
#[derive(Debug, Clone)]
pub(super) struct RowRule {
    pub(super) tables: Pattern,
    pub(super) column: String,
    pub(super) attribute: String,
}

/// "This column is hidden so."
#[derive(Debug, Clone)]
pub(super) struct ColumnMask {
    pub(super) tables: Pattern,
    pub(super) column: String,
    pub(super) kind: MaskKind,
}

/// What a role grants, and how.
#[derive(Debug, Clone, Default)]
pub(super) struct Role {
    pub(super) tables: Vec<Pattern>,
    pub(super) rows: Vec<RowRule>,
    pub(super) masks: Vec<ColumnMask>,
    pub(super) limits: RoleLimits,
}

/// All that a users file says.
#[derive(Debug, Default)]
pub struct Policy {
    pub(super) users: BTreeMap<String, Account>,
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) token_settings: Option<TokenSettings>,
    pub(super) mask_key: Option<MaskKey>,
    /// The files beside the users file that it was read from.
    pub(super) beside: Vec<PathBuf>,
}

/// What hash masks are made with.
#[derive(Clone)]
pub(super) struct MaskKey(pub(super) Arc<hmac::Key>);

impl std::fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskKey")
    }
}
