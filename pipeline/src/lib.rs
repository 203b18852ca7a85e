//! The riskstream program as a library: `pipelines.toml` to a checked [`config::Spec`], and the
//! commands of the program, one file each.

pub mod cli;
pub mod commands;
pub mod config;
pub mod plan;
pub mod progress;
pub mod report;
pub mod service;
