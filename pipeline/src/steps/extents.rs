//! `windows` of an `aggregate` step: how they are written, and from where to where they go.

use std::time::Duration;

use riskstream_operators::windows::Extent;

use super::chain::{every, micros};
use super::read::WindowList;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Period;
use crate::config::values;

/// Windows of one kind that a row may be in, at most.
const OVERLAP_MAX: u128 = 1_000;
/// The longest month.
const MONTH_MAX: Duration = Duration::from_secs(31 * 86_400);

/// One of `windows`.
#[derive(Debug, Clone)]
pub(crate) struct WindowEvery {
    /// As written, spaces made single: what the column `window` says.
    pub(crate) label: String,
    /// Where the windows begin and end.
    pub(crate) extent: WindowExtent,
}

/// Where windows begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowExtent {
    /// `30d by 1d`: windows of `count` steps, of which one begins every step.
    Steps {
        /// From one's start to the next one's.
        step: Period,
        /// At least one.
        count: u64,
    },
    /// `always by 1d`: from the beginning of time, one every step.
    Always {
        /// From one's end to the next one's.
        step: Period,
    },
    /// `session 30m`: rows of a key that are less than the gap apart.
    Session {
        /// The gap.
        gap: Duration,
    },
}

impl WindowExtent {
    /// The length of a window, at most; zero for windows without a start. For a session it is the
    /// gap, though a session may be longer.
    pub(crate) fn length(self) -> Duration {
        match self {
            Self::Steps { step: Period::Time(step), count } => {
                step.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
            }
            Self::Steps { step: Period::Months(months), count } => MONTH_MAX
                .saturating_mul(months.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))),
            Self::Always { .. } => Duration::ZERO,
            Self::Session { gap } => gap,
        }
    }

    /// The same for the operator.
    pub(crate) fn planned(self) -> Extent {
        match self {
            Self::Steps { step, count } => {
                Extent::Steps { step: every(step), count: i64::try_from(count).unwrap_or(i64::MAX) }
            }
            Self::Always { step } => Extent::Always { step: every(step) },
            Self::Session { gap } => Extent::Session { gap: micros(gap) },
        }
    }
}

/// `windows = ["1d", "30d by 1d"]`.
pub(crate) fn windows_every(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Spanned<WindowEvery>>> {
    let entry = table.required(
        "windows",
        "windows = [\"1d\"]; \"30d by 1d\" is a window of 30 days every day, \
         \"1mo\" a calendar month",
        problems,
    )?;
    let list = WindowList {
        key: "windows",
        counted: "kinds of windows",
        example: "[\"1d\", \"30d by 1d\"]",
    };
    list.read(
        entry,
        window_every,
        |(text, window), (_, before)| {
            (window.extent == before.extent)
                .then(|| format!("`{text}` are the same windows as `{}`", before.label))
        },
        problems,
    )
}

/// One text of `windows`.
fn window_every(text: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<WindowEvery> {
    let label = text.value.split_whitespace().collect::<Vec<_>>().join(" ");
    let refuse = |problems: &mut Vec<Problem>, message: String, help: &str| {
        problems.push(Problem::new(text.span, message).help(help));
        None
    };
    let extent = if let Some(gap) = label.strip_prefix("session ") {
        let gap = reader::parsed(gap, text.span, values::duration, problems)?;
        if gap.is_zero() {
            return refuse(
                problems,
                format!("the gap of `{text}` is empty"),
                "such as \"session 30m\"",
            );
        }
        WindowExtent::Session { gap }
    } else {
        let (length, step) = label.split_once(" by ").unwrap_or((&label, &label));
        let empty = |text: &str| {
            text.bytes().take_while(u8::is_ascii_digit).all(|digit| digit == b'0')
                && values::duration(text).is_ok()
        };
        if empty(length) || empty(step) {
            return refuse(
                problems,
                format!("the window `{text}` is empty"),
                "a window has some length, such as \"1d\"",
            );
        }
        let length = match length {
            "always" if step != length => None,
            length => Some(reader::parsed(length, text.span, values::period, problems)?),
        };
        let step = reader::parsed(step, text.span, values::period, problems)?;
        let (whole, part) = match (length, step) {
            (None, step) => {
                return Some(WindowEvery { label, extent: WindowExtent::Always { step } });
            }
            (Some(Period::Time(length)), Period::Time(step)) => {
                (length.as_micros(), step.as_micros())
            }
            (Some(Period::Months(length)), Period::Months(step)) => {
                (u128::from(length), u128::from(step))
            }
            (Some(Period::Time(_)), Period::Months(_))
            | (Some(Period::Months(_)), Period::Time(_)) => {
                return refuse(
                    problems,
                    format!("`{text}`: a month is no whole number of days"),
                    "both in months, such as \"3mo by 1mo\", or neither",
                );
            }
        };
        if whole % part != 0 {
            return refuse(
                problems,
                format!("`{text}`: the length is no multiple of the step"),
                "such as \"30d by 1d\"",
            );
        }
        if whole / part > OVERLAP_MAX {
            return refuse(
                problems,
                format!("`{text}`: a row would be in {} windows", whole / part),
                "at most 1000: take a longer step",
            );
        }
        WindowExtent::Steps { step, count: (whole / part) as u64 }
    };
    Some(WindowEvery { label, extent })
}
