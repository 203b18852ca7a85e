//! Typed getters over the tree that note a problem and go on, so that one mistake never hides
//! another.
//!
//! Every getter takes `&mut Vec<Problem>` and gives `None` where the key is missing or wrong;
//! [`Table::finish`] then reports the keys that no getter asked for, with what may have been meant.

use std::time::Duration;

use super::document::{Entry, Node, Value};
use super::problem::Problem;
use super::span::{Span, Spanned};
use super::spec::{Keywords, Sql};
use super::suggest;
use super::values::{self, NameKind, Refusal};

/// A table being read.
#[derive(Debug)]
pub(crate) struct Table<'n> {
    entries: &'n [Entry],
    /// The place of its header, or of all of it if it is inline.
    pub(crate) span: Span,
    /// What it is, for messages: "source `payments`".
    pub(crate) what: String,
    asked: Vec<&'static str>,
}

impl<'n> Table<'n> {
    /// Reads `node` as a table.
    pub(crate) fn new(
        node: &'n Node,
        what: impl Into<String>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let what = what.into();
        let Value::Table(entries) = &node.value else {
            problems.push(expected(node, &what, "a table"));
            return None;
        };
        Some(Self { entries, span: node.span, what, asked: Vec::new() })
    }

    /// The entry of `key`, if it is there.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'n Entry> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// All entries, for a table whose keys are the user's.
    pub(crate) fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// The entry of `key`, whose absence is a problem.
    pub(crate) fn required(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<&'n Entry> {
        let entry = self.get(key);
        if entry.is_none() {
            // A near miss that is there would be reported twice, so say both at once.
            let near =
                suggest::closest(key, self.entries.iter().map(|entry| entry.key.value.as_str()));
            if near.is_none() {
                problems.push(
                    Problem::new(self.span, format!("{} has no `{key}`", self.what))
                        .help(format!("add {example}")),
                );
            }
        }
        entry
    }

    /// A nested table, absent or not.
    pub(crate) fn table(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Table<'n>> {
        let entry = self.get(key)?;
        Table::new(&entry.node, format!("`{key}` of {}", self.what), problems)
    }

    /// A string.
    pub(crate) fn string(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<String>> {
        let entry = self.get(key)?;
        string(&entry.node, &format!("`{key}`"), problems)
    }

    /// One string, or an array of them; `None` if the key is missing or anything in it is wrong.
    pub(crate) fn strings(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<Spanned<String>>> {
        let entry = self.get(key)?;
        strings(&entry.node, key, problems)
    }

    /// An SQL expression.
    pub(crate) fn sql(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<Sql> {
        let entry = self.get(key)?;
        sql(&entry.node, &format!("`{key}`"), problems)
    }

    /// A boolean.
    pub(crate) fn boolean(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<bool> {
        let entry = self.get(key)?;
        let Value::Boolean(value) = entry.node.value else {
            problems.push(expected(&entry.node, &format!("`{key}`"), "true or false"));
            return None;
        };
        Some(value)
    }

    /// A whole number from `min` to `max`.
    pub(crate) fn integer(
        &mut self,
        key: &'static str,
        min: u64,
        max: u64,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<u64>> {
        let entry = self.get(key)?;
        let Value::Integer(value) = entry.node.value else {
            problems.push(expected(&entry.node, &format!("`{key}`"), "a whole number"));
            return None;
        };
        match u64::try_from(value).ok().filter(|value| (min..=max).contains(value)) {
            Some(value) => Some(Spanned::new(value, entry.node.span)),
            None => {
                let allowed = if max >= i64::MAX as u64 {
                    format!("at least {min}")
                } else {
                    format!("from {min} to {max}")
                };
                problems.push(
                    Problem::new(entry.node.span, format!("`{key}` is {value}"))
                        .help(format!("it is {allowed}")),
                );
                None
            }
        }
    }

    /// A number from `min` to `max`.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        min: f64,
        max: f64,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<f64>> {
        let entry = self.get(key)?;
        let value = match entry.node.value {
            Value::Integer(value) => value as f64,
            Value::Float(value) => value,
            Value::String { .. }
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => {
                problems.push(expected(&entry.node, &format!("`{key}`"), "a number"));
                return None;
            }
        };
        if (min..=max).contains(&value) {
            return Some(Spanned::new(value, entry.node.span));
        }
        let allowed = match (min == f64::MIN, max == f64::MAX) {
            (true, true) => "a finite number".to_owned(),
            (_, true) => format!("a finite number, at least {min}"),
            _ => format!("from {min} to {max}"),
        };
        problems.push(
            Problem::new(entry.node.span, format!("`{key}` is {value}"))
                .help(format!("it is {allowed}")),
        );
        None
    }

    /// A duration, such as `"5s"`.
    pub(crate) fn duration(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<Duration>> {
        let entry = self.get(key)?;
        let Value::String { text, .. } = &entry.node.value else {
            let mut problem =
                expected(&entry.node, &format!("`{key}`"), "a duration in quotes, such as \"5s\"");
            if let Value::Integer(number) = entry.node.value {
                problem =
                    problem.help(format!("a number has no unit: did you mean \"{number}s\"?"));
            }
            problems.push(problem);
            return None;
        };
        parsed(text, entry.node.span, values::duration, problems)
            .map(|value| Spanned::new(value, entry.node.span))
    }

    /// A number of bytes: a string with a unit, such as `"64MiB"`, or a plain number.
    pub(crate) fn size(
        &mut self,
        key: &'static str,
        min: u64,
        problems: &mut Vec<Problem>,
    ) -> Option<u64> {
        let entry = self.get(key)?;
        let size = match &entry.node.value {
            Value::String { text, .. } => parsed(text, entry.node.span, values::size, problems)?,
            Value::Integer(bytes) => u64::try_from(*bytes).unwrap_or(0),
            Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => {
                problems.push(expected(
                    &entry.node,
                    &format!("`{key}`"),
                    "a size, such as \"64MiB\"",
                ));
                return None;
            }
        };
        if size < min {
            let help = format!("it is at least {}", bytesize::ByteSize(min));
            problems
                .push(Problem::new(entry.node.span, format!("`{key}` is {size} bytes")).help(help));
            return None;
        }
        Some(size)
    }

    /// One of the names of an enum.
    pub(crate) fn keyword<K: Keywords>(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<K>> {
        let value = self.string(key, problems)?;
        keyword(key, &value, problems).map(|keyword| Spanned::new(keyword, value.span))
    }

    /// Reports the keys that nobody asked for, with what may have been meant.
    pub(crate) fn finish(self, problems: &mut Vec<Problem>) {
        self.finish_with(problems, |_| None);
    }

    /// As [`Self::finish`]; `explain` knows better than a list of keys for some.
    pub(crate) fn finish_with(
        self,
        problems: &mut Vec<Problem>,
        explain: impl Fn(&str) -> Option<String>,
    ) {
        for entry in self.entries {
            if !self.asked.contains(&entry.key.value.as_str()) {
                let free = self
                    .asked
                    .iter()
                    .copied()
                    .filter(|key| !self.entries.iter().any(|entry| entry.key.value == *key));
                let help =
                    match (explain(&entry.key.value), suggest::closest(&entry.key.value, free)) {
                        (Some(help), _) => Some(help),
                        (None, Some(near)) => Some(format!("did you mean `{near}`?")),
                        (None, None) => suggest::help(
                            &entry.key.value,
                            self.asked.iter().copied(),
                            "the keys here are",
                        ),
                    };
                let message = format!("{} has no key `{}`", self.what, entry.key);
                problems.push(
                    Problem::new(entry.key.span, message).label("unknown key").maybe_help(help),
                );
            }
        }
    }
}

/// "expected ..., found ...".
pub(crate) fn expected(node: &Node, what: &str, wanted: &str) -> Problem {
    Problem::new(node.span, format!("{what} is {}, not {wanted}", node.kind()))
        .label(format!("expected {wanted}"))
}

/// A string that isn't empty.
pub(crate) fn string(
    node: &Node,
    what: &str,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<String>> {
    match &node.value {
        Value::String { text, .. } if text.trim().is_empty() => {
            problems.push(Problem::new(node.span, format!("{what} is empty")));
            None
        }
        Value::String { text, .. } => Some(Spanned::new(text.clone(), node.span)),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => {
            problems.push(expected(node, what, "a string"));
            None
        }
    }
}

/// One string, or an array of them.
pub(crate) fn strings(
    node: &Node,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Spanned<String>>> {
    match &node.value {
        Value::Array(elements) => {
            let strings: Vec<_> = elements
                .iter()
                .map(|element| string(element, &format!("an element of `{key}`"), problems))
                .collect();
            strings.into_iter().collect()
        }
        Value::String { .. } => string(node, &format!("`{key}`"), problems).map(|one| vec![one]),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => {
            problems.push(expected(node, &format!("`{key}`"), "a string or an array of strings"));
            None
        }
    }
}

/// An SQL expression, its syntax checked; one with wrong syntax is noted and given all the same,
/// for what surrounds it to be checked.
pub(crate) fn sql(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Sql> {
    let text = string(node, what, problems)?;
    let Value::String { verbatim_at, .. } = node.value else { return None };
    let sql = Sql { text, verbatim_at };
    problems.extend(super::expression::check_syntax(&sql).err());
    Some(sql)
}

/// The value of one of an enum's names.
pub(crate) fn keyword<K: Keywords>(
    key: &str,
    text: &Spanned<String>,
    problems: &mut Vec<Problem>,
) -> Option<K> {
    if let Some((_, value)) = K::ALL.iter().find(|(name, _)| *name == text.value) {
        return Some(*value);
    }
    let help = suggest::help(&text.value, K::ALL.iter().map(|(name, _)| *name), "it is one of");
    problems.push(
        Problem::new(text.span, format!("`{key}` is `{text}`, which isn't known")).maybe_help(help),
    );
    None
}

/// A small text, parsed.
pub(crate) fn parsed<T>(
    text: &str,
    span: Span,
    parse: impl FnOnce(&str) -> Result<T, Refusal>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    match parse(text) {
        Ok(value) => Some(value),
        Err(Refusal { message, help }) => {
            problems.push(Problem::new(span, format!("`{text}` {message}")).maybe_help(help));
            None
        }
    }
}

/// Notes a name that can't be one; the name is still good for looking things up.
pub(crate) fn check_name(
    kind: NameKind,
    name: &Spanned<String>,
    what: &str,
    problems: &mut Vec<Problem>,
) {
    if let Err(Refusal { message, help }) = values::name(kind, &name.value) {
        problems.push(
            Problem::new(name.span, format!("the name `{name}` of {what} {message}"))
                .maybe_help(help),
        );
    }
}

/// Notes ids that are used twice.
pub(crate) fn check_unique(ids: &[Spanned<String>], what: &str, problems: &mut Vec<Problem>) {
    for (index, id) in ids.iter().enumerate() {
        if let Some(first) = ids[..index].iter().find(|first| first.value == id.value) {
            problems.push(
                Problem::new(id.span, format!("a second {what} has the id `{id}`"))
                    .related(first.span, "the first")
                    .help("the id is the key of its state: give each its own"),
            );
        }
    }
}
