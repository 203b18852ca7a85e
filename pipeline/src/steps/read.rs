//! What steps of several kinds read alike.

use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Sql;
use crate::config::values::NameKind;

/// Windows of one step; each costs a cursor over the history and a state per key.
const WINDOWS_MAX: usize = 64;

/// `NAME = "SQL"`.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// The new column's name, or another.
    pub(crate) name: Spanned<String>,
    /// What it stands for.
    pub(crate) sql: Sql,
}

/// A name and a column or another text.
pub(crate) type Pair = (Spanned<String>, Spanned<String>);

/// The columns of `by`.
pub(crate) fn key_columns(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Spanned<String>>> {
    let entry =
        table.required("by", "by = \"COLUMN\", the key whose rows share windows", problems)?;
    let by = reader::strings(&entry.node, "by", problems)?;
    if by.is_empty() {
        problems.push(
            Problem::new(entry.node.span, "`by` names no column")
                .help("name the key's column, such as by = \"customer_id\""),
        );
    }
    for (index, column) in by.iter().enumerate() {
        if let Some(first) = by[..index].iter().find(|first| first.value == column.value) {
            problems.push(
                Problem::new(column.span, format!("`by` names `{column}` twice"))
                    .related(first.span, "the first"),
            );
        }
    }
    Some(by)
}

/// A list of windows, as messages speak of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowList {
    /// The key that has the list.
    pub(crate) key: &'static str,
    /// What is in it.
    pub(crate) counted: &'static str,
    /// A list that is right.
    pub(crate) example: &'static str,
}

impl WindowList {
    /// The windows of the entry, each at its text; `None` if one can't be read. `window` reads one.
    /// `repeats` is asked of one and of each before it, both with their texts, and says what is
    /// wrong where they are the same.
    pub(crate) fn read<W>(
        self,
        entry: &Entry,
        window: impl Fn(&Spanned<String>, &mut Vec<Problem>) -> Option<W>,
        repeats: impl Fn((&Spanned<String>, &W), (&Spanned<String>, &W)) -> Option<String>,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<Spanned<W>>> {
        let Self { key, counted, example } = self;
        let texts = reader::strings(&entry.node, key, problems)?;
        if texts.is_empty() || texts.len() > WINDOWS_MAX {
            let message = format!("`{key}` has {} {counted}", texts.len());
            problems.push(
                Problem::new(entry.node.span, message)
                    .help(format!("1 to {WINDOWS_MAX}, such as {key} = {example}")),
            );
            return None;
        }
        let mut windows: Vec<Option<Spanned<W>>> = Vec::new();
        for text in &texts {
            let window = window(text, problems).map(|window| Spanned::new(window, text.span));
            let repeated = window.as_ref().and_then(|window| {
                texts.iter().zip(&windows).find_map(|(first, before)| {
                    let message = repeats((text, &window.value), (first, &before.as_ref()?.value))?;
                    Some((message, first.span))
                })
            });
            if let Some((message, first)) = repeated {
                problems.push(Problem::new(text.span, message).related(first, "the first"));
            }
            windows.push(window);
        }
        windows.into_iter().collect()
    }
}

/// Names and what they are made by.
pub(crate) fn expressions(columns: &Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Named>> {
    let mut derived = Vec::new();
    for entry in columns.entries() {
        reader::check_name(NameKind::Identifier, &entry.key, "a column", problems);
        let sql = reader::sql(&entry.node, &format!("`{}`", entry.key), problems);
        derived.push(sql.map(|sql| Named { name: entry.key.clone(), sql }));
    }
    derived.into_iter().collect()
}

/// `NAME = "TEXT"`, at least one.
pub(crate) fn pairs(
    table: Table<'_>,
    example: &str,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Pair>> {
    if table.entries().is_empty() {
        problems.push(
            Problem::new(table.span, format!("{} names no column", table.what))
                .help(format!("such as {example}")),
        );
        return None;
    }
    let text = |entry: &Entry, problems: &mut Vec<Problem>| {
        Some((
            entry.key.clone(),
            reader::string(&entry.node, &format!("`{}`", entry.key), problems)?,
        ))
    };
    let read: Vec<_> = table.entries().iter().map(|entry| text(entry, problems)).collect();
    read.into_iter().collect()
}

/// The columns' names alone.
pub(crate) fn names(columns: &[Spanned<String>]) -> Vec<String> {
    columns.iter().map(|column| column.value.clone()).collect()
}

/// Pairs without their places.
pub(crate) fn texts(pairs: &[Pair]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| (a.value.clone(), b.value.clone())).collect()
}

/// Names and expressions without their places.
pub(crate) fn sql_texts(named: &[Named]) -> Vec<(String, String)> {
    named.iter().map(|n| (n.name.value.clone(), n.sql.as_str().to_owned())).collect()
}
