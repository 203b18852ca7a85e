//! The steps that a loan book is made with: `previous`, `sample`, `shares`, `identities`, and the
//! `totals` of an `aggregate` step.

use super::step::key_columns;
use crate::config::defaults;
use crate::config::document::Value;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::{DerivedColumn, Previous, Sample, Share, ShareOf, Shares, Sql};
use crate::config::suggest;
use crate::config::values::{self, NameKind};

/// Columns of `totals`, at most: a row counts two to their number times.
const TOTALS_MAX: usize = 4;

pub(super) fn previous(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Previous> {
    let by = key_columns(table, problems);
    let keep = table.duration("keep", problems).map_or(defaults::KEEP_MIN, |keep| keep.value);
    let columns = names(
        table.table("previous", problems)?,
        "previous = { from_status = \"status\" }",
        problems,
    )?;
    columns
        .iter()
        .for_each(|(name, _)| reader::check_name(NameKind::Identifier, name, "a column", problems));
    Some(Previous { columns, by: by?, keep })
}

/// `NAME = "TEXT"`, at least one.
fn names(
    table: Table<'_>,
    example: &str,
    problems: &mut Vec<Problem>,
) -> Option<Vec<(Spanned<String>, Spanned<String>)>> {
    if table.entries().is_empty() {
        problems.push(
            Problem::new(table.span, format!("{} names no column", table.what))
                .help(format!("such as {example}")),
        );
        return None;
    }
    let text = |entry: &crate::config::document::Entry, problems: &mut Vec<Problem>| {
        Some((
            entry.key.clone(),
            reader::string(&entry.node, &format!("`{}`", entry.key), problems)?,
        ))
    };
    let read: Vec<_> = table.entries().iter().map(|entry| text(entry, problems)).collect();
    read.into_iter().collect()
}

pub(super) fn sample(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Sample> {
    let by = key_columns(table, problems);
    let text = table.string("sample", problems)?;
    let every = reader::parsed(&text.value, text.span, values::period, problems)?;
    Some(Sample { every, by: by? })
}

pub(super) fn totals(
    table: &mut Table<'_>,
    by: Option<&[Spanned<String>]>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<(Spanned<String>, Spanned<String>)>> {
    if table.get("totals").is_none() {
        return Some(Vec::new());
    }
    let totals = table.table("totals", problems)?;
    let span = totals.span;
    let totals = names(totals, "totals = { lender_id = \"ALL\" }", problems)?;
    if totals.len() > TOTALS_MAX {
        problems.push(
            Problem::new(span, format!("`totals` has {} columns", totals.len()))
                .help(format!("at most {TOTALS_MAX}")),
        );
    }
    for (column, _) in &totals {
        if by.is_some_and(|by| by.iter().all(|key| key.value != column.value)) {
            let keys = by.unwrap_or_default().iter().map(|key| key.value.as_str());
            let problem =
                Problem::new(column.span, format!("`{column}` of `totals` is not in `by`"));
            problems.push(problem.maybe_help(suggest::help(
                column,
                keys,
                "the columns of `by` are",
            )));
        }
    }
    Some(totals)
}

pub(super) fn shares(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Shares> {
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
    Some(Shares { shares: shares?, of: of? })
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

pub(super) fn identities(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<DerivedColumn>> {
    let identities = table.table("identities", problems)?;
    if identities.entries().is_empty() {
        let problem = Problem::new(identities.span, "`identities` names none");
        problems
            .push(problem.help("such as identities = { par-is-nested = \"bal_60p <= bal_30p\" }"));
    }
    let mut read = Vec::new();
    for entry in identities.entries() {
        reader::check_name(NameKind::Id, &entry.key, "an identity", problems);
        let sql = reader::sql(&entry.node, &format!("`{}`", entry.key), problems);
        read.push(sql.map(|sql| DerivedColumn { name: entry.key.clone(), sql }));
    }
    read.into_iter().collect()
}
