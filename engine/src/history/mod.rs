//! The event history.
