//! Timely workers.
