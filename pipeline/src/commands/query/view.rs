//! What a user has chosen about how results look.

use riskstream_query::{Form, FormatSettings};

use super::chart::ChartKind;
use super::screen::Screen;

/// How results look.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// The form of rows that go to standard output.
    pub(super) form: Form,
    /// Whether tables have a line for each value.
    pub(super) expanded: bool,
    /// What stands for NULL.
    pub(super) null: String,
    /// Whether a chart is drawn instead of rows, and which.
    pub(super) chart: Option<ChartKind>,
    /// Whether it is said how long a statement took.
    pub(super) timing: bool,
}

impl View {
    /// For rows on a screen.
    pub(super) fn of_screen(&self, screen: Screen, time_zone: &str) -> FormatSettings {
        FormatSettings { width_max: screen.width(), ..self.of_file(time_zone, false) }
    }

    /// For rows in a file, or in what is read like one from its beginning on.
    pub(super) fn of_file(&self, time_zone: &str, is_file: bool) -> FormatSettings {
        FormatSettings {
            null: self.null.clone(),
            expanded: self.expanded,
            width_max: None,
            time_zone: time_zone.to_owned(),
            is_file,
        }
    }
}
