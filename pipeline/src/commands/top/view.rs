//! What the user has chosen by keys.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::service::now::StepNow;

/// What is looked at, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct View {
    /// The pipeline whose steps are shown.
    pub(super) selected: usize,
    /// The order of steps.
    pub(super) sort: Sort,
    /// Whether the picture stands still.
    pub(super) paused: bool,
}

/// The order in which steps are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// As rows meet them.
    #[default]
    Flow,
    /// The busiest first.
    Busy,
    /// Those with the most rows per second first.
    Rows,
    /// Those with the largest state first.
    State,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Flow => Self::Busy,
            Self::Busy => Self::Rows,
            Self::Rows => Self::State,
            Self::State => Self::Flow,
        }
    }

    /// The order in one word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Busy => "busy",
            Self::Rows => "rows",
            Self::State => "state",
        }
    }

    /// Steps in this order; equal ones stay in the order in which rows meet them.
    pub(super) fn sorted(self, steps: &[StepNow]) -> Vec<&StepNow> {
        let mut sorted: Vec<&StepNow> = steps.iter().collect();
        let by = |value: fn(&StepNow) -> f64| {
            move |a: &&StepNow, b: &&StepNow| value(b).total_cmp(&value(a))
        };
        match self {
            Self::Flow => {}
            Self::Busy => sorted.sort_by(by(|step| step.busy)),
            Self::Rows => sorted.sort_by(by(|step| step.rows_in_per_second)),
            Self::State => sorted.sort_by_key(|step| std::cmp::Reverse(step.state_bytes)),
        }
        sorted
    }
}

impl View {
    /// Handles a key, with `pipelines` pipelines to choose from; returns whether the user wants to
    /// leave.
    pub(super) fn press(&mut self, key: KeyEvent, pipelines: usize) -> bool {
        let last = pipelines.saturating_sub(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            // In raw mode the terminal does not turn Ctrl-C into a signal.
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Tab => {
                self.selected = if self.selected >= last { 0 } else { self.selected + 1 };
            }
            _ => {}
        }
        false
    }
}
