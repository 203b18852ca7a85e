//! What steps of several kinds read alike.

use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Sql;
use crate::config::values::NameKind;

/// Windows of one step; each costs a cursor over the history and a state per key.
pub(crate) const WINDOWS_MAX: usize = 64;

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
