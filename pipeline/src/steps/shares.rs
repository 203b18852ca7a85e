//! `shares`: adds each window's share of its group.

use std::sync::Arc;

use riskstream_operators::shares::{ShareFunction, ShareSpec, SharesOperator, SharesSpec};
use riskstream_operators::windows::{WINDOW, WINDOW_END};

use super::chain::Chain;
use super::columns::Flow;
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage};
use super::read::names;
use crate::config::document::{Entry, Value};
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Sql;
use crate::config::spec::keywords::keywords;
use crate::config::values::NameKind;

/// `shares = { NAME = "share(col)" }`, `of`.
pub(crate) static KIND: Kind = Kind { key: "shares", others: &["of"], read };

/// `shares = { NAME = "share(col)" }`, `of`.
#[derive(Debug, Clone)]
struct Shares {
    /// What is computed, in the order of the file.
    shares: Vec<Share>,
    /// Rows of one window that are equal in these are a group; none: all rows of a window.
    of: Vec<Spanned<String>>,
}

/// One `NAME = "function(column)"` of a `shares` step.
#[derive(Debug, Clone)]
struct Share {
    /// The new column.
    name: Spanned<String>,
    /// What is computed.
    function: ShareOf,
    /// Of which column.
    column: Spanned<String>,
}

/// What a `shares` step computes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShareOf {
    /// The row's value over the group's total.
    Share,
    /// The group's total.
    Total,
    /// The sum of the squares of the group's shares.
    Hhi,
    /// The largest share of the group.
    Top,
}
keywords!(ShareOf { "share" => Share, "total" => Total, "hhi" => Hhi, "top" => Top });

/// `shares`, `of`.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let of = match table.get("of") {
        Some(entry) => reader::strings(&entry.node, "of", problems),
        None => Some(Vec::new()),
    };
    let calls = table.table("shares", problems)?;
    let example = "such as shares = { share = \"share(n_loans)\", n_all = \"total(n_loans)\" }";
    if calls.entries().is_empty() {
        problems.push(Problem::new(calls.span, "`shares` names no column").help(example));
    }
    let mut shares = Vec::new();
    for entry in calls.entries() {
        reader::check_name(NameKind::Identifier, &entry.key, "a column", problems);
        let text = reader::string(&entry.node, &format!("`{}`", entry.key), problems);
        let Value::String { verbatim_at, .. } = entry.node.value else {
            shares.push(None);
            continue;
        };
        shares.push(text.and_then(|text| share(&entry.key, &Sql { text, verbatim_at }, problems)));
    }
    let shares: Option<Vec<Share>> = shares.into_iter().collect();
    Some(Arc::new(Shares { shares: shares?, of: of? }))
}

/// `function(column)`.
fn share(name: &Spanned<String>, call: &Sql, problems: &mut Vec<Problem>) -> Option<Share> {
    let text = call.as_str();
    let parts = text.split_once('(').and_then(|(function, rest)| {
        Some((function.trim(), rest.trim_end().strip_suffix(')')?.trim()))
    });
    let is_column = |column: &str| {
        !column.is_empty() && column.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let Some((function, column)) = parts.filter(|(_, column)| is_column(column)) else {
        let help = "write share(col), total(col), hhi(col) or top(col)";
        problems.push(Problem::new(call.span(), format!("`{text}` isn't a share")).help(help));
        return None;
    };
    let at = text.find(function).unwrap_or_default();
    let function =
        Spanned::new(function.to_ascii_lowercase(), call.span_within(at..at + function.len()));
    let function = reader::keyword::<ShareOf>("shares", &function, problems)?;
    let at = text.find('(').unwrap_or_default();
    let at = at + text[at..].find(column).unwrap_or_default();
    Some(Share {
        name: name.clone(),
        function,
        column: Spanned::new(column.to_owned(), call.span_within(at..at + column.len())),
    })
}

impl StepKind for Shares {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        true
    }

    fn by(&self) -> &[Spanned<String>] {
        &self.of
    }

    fn exchange(&self) -> Option<Vec<&str>> {
        let of = self.of.iter().map(|column| column.value.as_str());
        Some(of.chain([WINDOW, WINDOW_END]).collect())
    }

    fn columns(&self, step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        if !flow.is_of_windows {
            let message = format!(
                "step `{step}` takes shares of windows, and there is no `aggregate` step before it"
            );
            problems.push(
                Problem::new(step.span, message)
                    .help("put it after the `aggregate` step whose rows it compares"),
            );
        }
        for column in self.of.iter().chain(self.shares.iter().map(|share| &share.column)) {
            flow.find(column, problems);
        }
        for share in &self.shares {
            flow.add(&share.name, share.name.span, None, problems);
        }
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let Some(windows) = &chain.windows else {
            return Err(Problem::new(step.span, "there is no `aggregate` step before this one"));
        };
        if windows.has_sessions {
            let message = "sessions have no shares: no two keys have the same ones";
            return Err(Problem::new(step.span, message)
                .help("give the `aggregate` step windows of a fixed length"));
        }
        let function = |of| match of {
            ShareOf::Share => ShareFunction::Share,
            ShareOf::Total => ShareFunction::Total,
            ShareOf::Hhi => ShareFunction::Hhi,
            ShareOf::Top => ShareFunction::Top,
        };
        let share = |s: &Share| ShareSpec {
            name: s.name.value.clone(),
            function: function(s.function),
            column: s.column.value.clone(),
        };
        let shares = SharesSpec {
            step_id: step.value.clone(),
            shares: self.shares.iter().map(share).collect(),
            of: names(&self.of),
            by: windows.by.clone(),
            keep: windows.keep,
        };
        let (schema, feed) = (Arc::clone(&chain.schema), chain.lineage.feed());
        chain.add_made(step, &[], move |_| {
            SharesOperator::new(shares.clone(), &schema)
                .map(|operator| operator.fed_by(feed.clone()))
        })
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        let of = names(&self.of);
        let says = format!("shares of {}", of.join(", "));
        lineage.rows_of(around.step, says, around.input, &of);
        for share in &self.shares {
            let read = lineage.facts(around.input, std::slice::from_ref(&share.column.value));
            let says = format!("{}({}) of {}", share.function, share.column, of.join(", "));
            lineage.kept_by(around, &share.name.value, &says, &read);
        }
    }

    fn explain(&self) -> Explained {
        let mut of = names(&self.of);
        of.push("window".into());
        let of = of.join(", ");
        let says = |s: &Share| format!("{} = {}({}) of {of}", s.name, s.function, s.column);
        Explained {
            details: self.shares.iter().map(says).collect(),
            columns: self.shares.iter().map(|share| share.name.value.clone()).collect(),
        }
    }
}
