//! What standard output is.

use std::io::IsTerminal;

use ratatui::crossterm::terminal;

use super::chart::Paper;
use crate::commands::takes_color;

/// How wide a chart is where nothing says.
const WIDTH: usize = 80;
/// How high a chart is, and what a terminal keeps for the prompt and the labels.
const CHART_HEIGHT: usize = 20;
const LINES_KEPT: usize = 7;

/// Whether rows go to a terminal, and to which.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Screen {
    is_terminal: bool,
    color: bool,
}

impl Screen {
    /// Looks at standard output.
    pub(super) fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        Self { is_terminal: stdout.is_terminal(), color: takes_color(&stdout) }
    }

    pub(super) fn is_terminal(self) -> bool {
        self.is_terminal
    }

    /// Columns and lines, as they are now.
    fn size(self) -> Option<(usize, usize)> {
        let (columns, lines) = terminal::size().ok().filter(|_| self.is_terminal)?;
        (columns > 0).then(|| (usize::from(columns), usize::from(lines)))
    }

    /// How many characters a line may have; none: any number.
    pub(super) fn width(self) -> Option<usize> {
        self.size().map(|(columns, _)| columns)
    }

    /// What a chart is drawn on.
    pub(super) fn paper(self) -> Paper {
        let (width, lines) = self.size().unwrap_or((WIDTH, CHART_HEIGHT + LINES_KEPT));
        let height = CHART_HEIGHT.min(lines.saturating_sub(LINES_KEPT));
        Paper { width, height, color: self.color }
    }
}
