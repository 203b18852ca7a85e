//! Every block of the pages for those who are new does what the page says it does.
//!
//! The `sh` blocks of a page are run in order, by one bash, in a folder with the files of a fresh
//! clone that they use: `pipelines.toml` and the registry. Nothing is shortened: the default run is
//! the whole one, made once for all pages. `cargo` is a stand-in that only takes `build --release`,
//! which has just been done, and links the built program to where that would put it.

mod blocks;
mod clone;
mod query;
mod tutorial;
