//! Where event time stands.

/// Where event time stands at a close.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The watermark of the close before.
    pub(super) before: i64,
    /// The watermark now.
    pub(super) now: i64,
    /// The input has ended, and windows that are still open have changed since they were last
    /// published: they are published as they stand.
    pub(super) open_too: bool,
    /// The number of the publication.
    pub(super) revision: i64,
}
