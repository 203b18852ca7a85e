//! What is drawn.

use crate::cli::ChartChoice;

/// A kind of chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::commands::query) enum ChartKind {
    /// Lines over times and numbers, bars over all else.
    #[default]
    Auto,
    /// A bar for each row.
    Bar,
    /// Lines.
    Line,
}

impl ChartKind {
    /// The kind of a name.
    pub(in crate::commands::query) fn of_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "bar" => Some(Self::Bar),
            "line" => Some(Self::Line),
            _ => None,
        }
    }
}

impl From<ChartChoice> for ChartKind {
    fn from(choice: ChartChoice) -> Self {
        match choice {
            ChartChoice::Auto => Self::Auto,
            ChartChoice::Bar => Self::Bar,
            ChartChoice::Line => Self::Line,
        }
    }
}
