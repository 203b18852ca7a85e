//! What is wrong with a users file: every problem with its place, and what would be right.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// The bytes of the text that it is about.
    pub(super) span: Range<usize>,
    /// What is wrong, lower case, no full stop.
    pub(super) message: String,
    /// What would be right.
    pub(super) help: Option<String>,
}

impl Problem {
    /// A problem at `span`.
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    /// With what would be right.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A users file that can't be used: all of its problems, drawn with their places.
#[derive(Debug, Clone)]
pub struct Problems {
    file: PathBuf,
    text: String,
    problems: Vec<Problem>,
}

impl Problems {
    /// The problems of a file, put in the order of its text.
    pub(super) fn new(file: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| {
            (a.span.start, a.span.end, &a.message).cmp(&(b.span.start, b.span.end, &b.message))
        });
        problems.dedup();
        Self { file: file.to_owned(), text: text.to_owned(), problems }
    }

    /// A file that can't be read at all.
    pub(super) fn unreadable(file: &Path, why: impl fmt::Display) -> Self {
        Self::new(file, "", vec![Problem::new(0..0, format!("the file can't be read: {why}"))])
    }

    /// Line, column (both from 1, in characters) and message of each.
    #[must_use]
    pub fn places(&self) -> Vec<(usize, usize, &str)> {
        self.problems
            .iter()
            .map(|problem| {
                let (line, column, _) = self.place(problem.span.start);
                (line, column, problem.message.as_str())
            })
            .collect()
    }

    /// The line and the column of a byte, and the text of its line.
    fn place(&self, byte: usize) -> (usize, usize, &str) {
        let byte = self.boundary(byte);
        let before = &self.text[..byte];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or("");
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1, line)
    }

    fn boundary(&self, byte: usize) -> usize {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    }

    fn draw(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column, text) = self.place(problem.span.start);
        writeln!(f, "{}:{line}:{column}: {}", self.file.display(), problem.message)?;
        // Lines go to terminals and logs, passwords do not.
        if !text.trim().is_empty() && !text.contains("password") {
            let span = self.boundary(problem.span.start)..self.boundary(problem.span.end);
            let marked = self.text.get(span).unwrap_or("").lines().next().unwrap_or("");
            let gutter = line.to_string();
            writeln!(f, "  {gutter} | {text}")?;
            let blank = " ".repeat(gutter.len());
            let indent = " ".repeat(column - 1);
            writeln!(f, "  {blank} | {indent}{}", "^".repeat(marked.chars().count().max(1)))?;
        }
        match &problem.help {
            Some(help) => writeln!(f, "  help: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            self.draw(problem, f)?;
        }
        let count = self.problems.len();
        let plural = if count == 1 { "problem" } else { "problems" };
        write!(f, "{}: {count} {plural}", self.file.display())
    }
}

impl std::error::Error for Problems {}
