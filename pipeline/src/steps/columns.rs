//! Which columns there are at one place of a pipeline, and what names one that is not there.
//!
//! The flow is by name; types are followed where the file says them (sums need numbers), and are
//! otherwise DataFusion's business.

use arrow::datatypes::DataType;

use crate::config::expression;
use crate::config::problem::Problem;
use crate::config::span::{Span, Spanned};
use crate::config::spec::Sql;
use crate::config::suggest;

/// A column that exists at some point of a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) data_type: Option<DataType>,
    /// Where the file makes it; `None`: the input has it.
    made_at: Option<Span>,
}

impl Known {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), data_type: None, made_at: None }
    }

    pub(crate) fn of_type(self, data_type: DataType) -> Self {
        Self { data_type: Some(data_type), ..self }
    }
}

/// What tells the windows of an `aggregate` step apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowKey {
    /// The columns of `by`.
    pub(crate) by: Vec<String>,
    /// Kinds of windows.
    pub(crate) kinds: usize,
    /// Of these kinds, those of sessions, which are known by where they begin.
    pub(crate) sessions: usize,
    /// A column that counts all rows of a window, if there is one: 0 in a session that is gone.
    pub(crate) count: Option<String>,
}

/// The columns at one place of a pipeline, and what its rows are.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) columns: Vec<Known>,
    /// The column of the event time.
    pub(crate) event_time: String,
    /// Whether `columns` are all there are; otherwise an unknown name may be the input's.
    pub(crate) is_complete: bool,
    /// Whether rows are windows, which are published again when they change.
    pub(crate) is_of_windows: bool,
    /// What tells windows apart; none where rows are no windows.
    pub(crate) window_key: Option<WindowKey>,
    /// Whether rows are changes, some of which take others back.
    pub(crate) is_of_changes: bool,
    /// Columns that `score` steps made.
    pub(crate) scores: Vec<String>,
}

impl Flow {
    pub(crate) fn new(event_time: &str, input: Option<Vec<Known>>) -> Self {
        Self {
            is_complete: input.is_some(),
            columns: input.unwrap_or_default(),
            event_time: event_time.to_owned(),
            is_of_windows: false,
            window_key: None,
            is_of_changes: false,
            scores: Vec::new(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Known> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The column, or a problem that says which there are.
    pub(crate) fn find(
        &self,
        name: &Spanned<String>,
        problems: &mut Vec<Problem>,
    ) -> Option<&Known> {
        let found = self.get(name);
        if found.is_none() && self.is_complete {
            problems.push(self.unknown(name, name.span));
        }
        found
    }

    fn unknown(&self, name: &str, span: Span) -> Problem {
        Problem::new(span, format!("there is no column `{name}` here")).maybe_help(suggest::help(
            name,
            self.names(),
            "the columns are",
        ))
    }

    /// Checks the columns that an expression names; `siblings` are made by the same step.
    pub(crate) fn check_sql(
        &self,
        sql: &Sql,
        siblings: &[&Spanned<String>],
        problems: &mut Vec<Problem>,
    ) {
        if !self.is_complete {
            return;
        }
        for column in expression::columns(sql) {
            if self.get(&column.name).is_some() {
                continue;
            }
            let mut problem = self.unknown(&column.name, sql.span_within(column.range));
            if siblings.iter().any(|sibling| sibling.value == column.name) {
                problem = problem
                    .help("columns of one `derive` don't see each other: make it in a step before");
            } else if column.quoted && suggest::closest(&column.name, self.names()).is_none() {
                problem = problem.help(format!(
                    "double quotes are around names; a text is in single ones: '{}'",
                    column.name
                ));
            }
            problems.push(problem);
        }
    }

    /// Adds a column; its name may not be taken.
    pub(crate) fn add(
        &mut self,
        name: &str,
        span: Span,
        data_type: Option<DataType>,
        problems: &mut Vec<Problem>,
    ) {
        if let Some(taken) = self.get(name) {
            let problem = Problem::new(span, format!("there is a column `{name}` already"))
                .help("give the new column another name");
            problems.push(match taken.made_at.filter(|made_at| *made_at != span) {
                Some(made_at) => problem.related(made_at, "made here"),
                None => problem,
            });
            return;
        }
        self.columns.push(Known { name: name.to_owned(), data_type, made_at: Some(span) });
    }

    /// A step that counts events can't follow one whose rows are revisions of windows: it would
    /// count each revision.
    pub(crate) fn refuse_windows(&self, step: &Spanned<String>, problems: &mut Vec<Problem>) {
        if self.is_of_windows {
            problems.push(counts_rows(step));
        }
    }

    /// As [`Self::refuse_windows`]; refuses rows that take others back, too.
    pub(crate) fn refuse_revisions(&self, step: &Spanned<String>, problems: &mut Vec<Problem>) {
        if self.is_of_windows || self.is_of_changes {
            problems.push(counts_rows(step));
        }
    }
}

fn counts_rows(step: &Spanned<String>) -> Problem {
    let message = format!(
        "step `{step}` counts rows, and the rows that it gets are revisions or changes, which say \
         things more than once"
    );
    Problem::new(step.span, message)
        .help("put it before the `changelog` or `aggregate` step, or in a pipeline of its own")
}

/// An Arrow type as `pipelines.toml` writes it.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types, of which Arrow has more")]
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => other.to_string().to_lowercase(),
    }
}
