//! What is wrong with a configuration: every problem with its place, drawn as rustc draws its
//! errors, or as JSON for a script.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::span::{Origin, Span};

/// One thing that is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub span: Span,
    /// What is wrong, lower case, no full stop, with the offending value.
    pub message: String,
    /// A few words under the caret.
    pub label: Option<String>,
    /// What would be right.
    pub help: Option<String>,
    /// Other places that matter, such as the first use of a name, each with a few words.
    pub related: Vec<(Span, String)>,
}

impl Problem {
    /// A problem at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: None, help: None, related: Vec::new() }
    }

    /// With a few words under the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With what would be right, if there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// With another place that matters.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// The texts that spans point into: the file and the `--set` arguments.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// The file's name, as messages show it.
    pub file: String,
    /// The file's text.
    pub text: String,
    /// The `--set` arguments, in order.
    pub sets: Vec<String>,
}

impl Texts {
    /// The name and the text of an origin.
    pub fn of(&self, origin: Origin) -> (&str, &str) {
        match origin {
            Origin::File => (&self.file, &self.text),
            Origin::Set(index) => {
                ("--set", self.sets.get(index as usize).map_or("", String::as_str))
            }
        }
    }

    /// The line and the column, both from 1 and the column in characters, at which a span starts.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let (_, text) = self.of(span.origin);
        let before = &text[..floor_boundary(text, span.start as usize)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The part of a span that can be drawn: within the text, on character boundaries, and on its
    /// first line.
    fn drawable(&self, span: Span) -> Range<usize> {
        let (_, text) = self.of(span.origin);
        let start = floor_boundary(text, span.start as usize);
        let end = floor_boundary(text, span.end as usize).max(start);
        let line = text[start..end].find(['\n', '\r']).unwrap_or(end - start);
        start..start + line
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A configuration that can't be run: all of its problems, and the texts they point into.
#[derive(Debug, Clone)]
pub struct Problems {
    texts: Texts,
    problems: Vec<Problem>,
}

impl Problems {
    /// Problems in these texts, put in the order in which the texts are read.
    pub fn new(texts: Texts, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (a.span, &a.message).cmp(&(b.span, &b.message)));
        problems.dedup();
        Self { texts, problems }
    }

    /// The problems, in the order of the text.
    pub fn as_slice(&self) -> &[Problem] {
        &self.problems
    }

    /// The texts that the problems point into.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The problems drawn with carets, `color` for a terminal; ends with a line that counts them.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&renderer.render(&[self.draw(problem)]));
            out.push_str("\n\n");
        }
        let count = self.problems.len();
        let plural = if count == 1 { "problem" } else { "problems" };
        out.push_str(&format!("{}: {count} {plural}; nothing was started", self.texts.file));
        out
    }

    fn draw<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let (name, text) = self.texts.of(problem.span.origin);
        let mut primary = AnnotationKind::Primary.span(self.texts.drawable(problem.span));
        if let Some(label) = &problem.label {
            primary = primary.label(label.as_str());
        }
        let mut snippet = Snippet::source(text).path(name).annotation(primary);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            problem.related.iter().partition(|(span, _)| span.origin == problem.span.origin);
        for (span, label) in here {
            snippet = snippet.annotation(
                AnnotationKind::Context.span(self.texts.drawable(*span)).label(label.as_str()),
            );
        }
        let mut group = Level::ERROR.primary_title(problem.message.as_str()).element(snippet);
        for (span, label) in elsewhere {
            let (name, text) = self.texts.of(span.origin);
            let context =
                AnnotationKind::Context.span(self.texts.drawable(*span)).label(label.as_str());
            group = group.element(Snippet::source(text).path(name).annotation(context));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }

    /// The problems as a script reads them.
    pub fn report(&self) -> Report {
        let problems = self.problems.iter().map(|problem| {
            let (line, column) = self.texts.position(problem.span);
            let (file, text) = self.texts.of(problem.span.origin);
            ReportedProblem {
                file: file.to_owned(),
                line,
                column,
                text: text[self.texts.drawable(problem.span)].to_owned(),
                message: problem.message.clone(),
                label: problem.label.clone(),
                help: problem.help.clone(),
            }
        });
        Report {
            ok: self.problems.is_empty(),
            file: self.texts.file.clone(),
            problems: problems.collect(),
            sources: Vec::new(),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// The JSON form of [`Problems`], also printed for a configuration without any.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether the configuration can be run.
    pub ok: bool,
    /// The file that was checked.
    pub file: String,
    /// What is wrong.
    pub problems: Vec<ReportedProblem>,
    /// What its sources were found to be, where they were looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// One problem of a [`Report`].
#[derive(Debug, Clone, Serialize)]
pub struct ReportedProblem {
    /// The file, or `--set`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The text that the caret points at.
    pub text: String,
    /// What is wrong.
    pub message: String,
    /// A few words about the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}
