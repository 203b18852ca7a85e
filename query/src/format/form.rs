//! The forms in which a result is written.

use std::path::Path;

/// A form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A table for people.
    #[default]
    Table,
    /// What PostgreSQL's `COPY … TO STDOUT (FORMAT csv, HEADER)` writes.
    Csv,
    /// One JSON array of objects, a row a line.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// An Apache Parquet file, zstd.
    Parquet,
    /// Arrow's IPC: a file, or a stream where the output is none.
    Arrow,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 6] =
        [Self::Table, Self::Csv, Self::Json, Self::Ndjson, Self::Parquet, Self::Arrow];

    /// Its name, which is also how the name of such a file ends; none does for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// The form of a name, `text` being the older name of tables.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Table),
            name => Self::ALL.into_iter().find(|form| form.name() == name),
        }
    }

    /// The form that a file's name tells by its ending, in any case.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|form| *form != Self::Table && form.name() == ending)
    }

    /// Whether several results can stand one behind the other in one file, and people can read it.
    #[must_use]
    pub fn is_text(self) -> bool {
        match self {
            Self::Table | Self::Csv | Self::Json | Self::Ndjson => true,
            Self::Parquet | Self::Arrow => false,
        }
    }
}
