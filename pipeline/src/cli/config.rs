//! Which configuration a command takes.

use std::path::{Path, PathBuf};

use clap::Args;

/// The configuration that a command takes if none is named.
pub const CONFIG_FILE: &str = "pipelines.toml";

/// Which configuration, and what to change in it.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// The configuration [default: pipelines.toml].
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Sets a value before the configuration is checked; repeatable. The value is TOML, or else a
    /// string. In `steps` and `to`, name the element by its id.
    #[arg(long, value_name = "PATH.TO.KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// The configuration's path.
    pub fn file(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(CONFIG_FILE))
    }
}

/// As [`ConfigArgs`], for commands whose first argument is something else.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigOption {
    /// The configuration [default: pipelines.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets a value before the configuration is checked; repeatable.
    #[arg(long, value_name = "PATH.TO.KEY=VALUE")]
    pub set: Vec<String>,
}

impl From<&ConfigOption> for ConfigArgs {
    fn from(option: &ConfigOption) -> Self {
        Self { file: option.config.clone(), set: option.set.clone() }
    }
}
