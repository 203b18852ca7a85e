//! Who asks.

use std::collections::BTreeMap;

/// A user, as a port or the command line has found out who it is. What it may see is decided by the
/// rules from this and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name that stands in the audit.
    pub name: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// What row policies compare columns with, such as `lender_id`: each with its values. A claim
    /// that is not there has no entry, and lets no row pass.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// The role that sees everything: what a program without users gives to who reaches it.
pub const ALL_SEEING: &str = "owner";

impl User {
    /// Whether it has the role that sees everything.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.roles.iter().any(|role| role == ALL_SEEING)
    }

    /// Who reaches a program without users, on loopback or on the command line: sees everything.
    #[must_use]
    pub fn local(name: impl Into<String>) -> Self {
        Self { name: name.into(), roles: vec![ALL_SEEING.to_owned()], attributes: BTreeMap::new() }
    }
}
