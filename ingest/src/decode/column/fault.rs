//! What is said of a record that is rejected.

/// Why a record is rejected: a reason code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// One of [`crate::decode::reason`].
    pub(crate) reason: &'static str,
    /// What is wrong, with the value.
    pub(crate) detail: String,
}

impl Fault {
    /// A fault with one of the codes of [`crate::decode::reason`].
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
