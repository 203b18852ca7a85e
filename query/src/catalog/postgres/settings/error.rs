//! Why settings are refused.

use std::fmt;

/// Why a setting is not set or shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SettingError {
    /// There is none of that name.
    Unknown(String),
    /// The value is none for it.
    Invalid {
        /// The setting.
        name: String,
        /// The value.
        value: String,
    },
    /// It can't be changed.
    Fixed(String),
    /// PostgreSQL could be asked for it, this server not.
    Unsupported {
        /// The setting.
        name: String,
        /// The value.
        value: String,
    },
}

impl SettingError {
    /// The error's SQLSTATE.
    pub(crate) fn sqlstate(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "42704",
            Self::Invalid { .. } => "22023",
            Self::Fixed(_) => "55P02",
            Self::Unsupported { .. } => "0A000",
        }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "unrecognized configuration parameter \"{name}\""),
            Self::Invalid { name, value } => {
                write!(f, "invalid value for parameter \"{name}\": \"{value}\"")
            }
            Self::Fixed(name) => write!(f, "parameter \"{name}\" cannot be changed"),
            Self::Unsupported { name, value } => {
                write!(f, "value \"{value}\" of parameter \"{name}\" is not supported")
            }
        }
    }
}

impl std::error::Error for SettingError {}
