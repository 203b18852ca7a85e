//! The features step against a reference that scans all earlier rows for each row.

mod late;
mod random;
mod reference;
mod world;
