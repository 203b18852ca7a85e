//! Typed getters over a TOML table that note a problem and go on, so that one mistake never hides
//! another.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use crate::suggest::suggest;

/// A value of the text and its place.
pub(super) type Node<'t> = Spanned<DeValue<'t>>;
/// A table of the text.
type Entries<'t> = DeTable<'t>;

/// A text of the file and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) span: Range<usize>,
}

/// A table being read.
pub(super) struct Table<'n, 't> {
    entries: &'n Entries<'t>,
    /// Its place.
    pub(super) span: Range<usize>,
    /// What it is, for messages: "role `lender`".
    pub(super) what: String,
    asked: Vec<&'static str>,
}

impl<'n, 't> Table<'n, 't> {
    /// The whole file.
    pub(super) fn root(entries: &'n Entries<'t>) -> Self {
        Self { entries, span: 0..0, what: "the users file".to_owned(), asked: Vec::new() }
    }

    /// Reads `node` as a table.
    pub(super) fn new(
        node: &'n Node<'t>,
        what: impl Into<String>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let what = what.into();
        let DeValue::Table(entries) = node.get_ref() else {
            problems.push(expected(node, &what, "a table"));
            return None;
        };
        Some(Self { entries, span: node.span(), what, asked: Vec::new() })
    }

    /// The value of `key`, if it is there.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'n Node<'t>> {
        self.asked.push(key);
        self.entries.get(key)
    }

    /// The value of `key`, whose absence is a problem.
    fn required(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<&'n Node<'t>> {
        let node = self.get(key);
        if node.is_none() {
            let message = format!("{} has no `{key}`", self.what);
            problems.push(Problem::new(self.span.clone(), message).help(format!("add {example}")));
        }
        node
    }

    /// A text whose absence is a problem.
    pub(super) fn required_text(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Text> {
        let node = self.required(key, example, problems)?;
        text(node, &format!("`{key}`"), problems)
    }

    /// All entries, for a table whose keys are the user's.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Text, &'n Node<'t>)> {
        self.entries
            .iter()
            .map(|(key, node)| (Text { value: key.get_ref().to_string(), span: key.span() }, node))
    }

    /// A table within, absent or not.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Table<'n, 't>> {
        let node = self.get(key)?;
        Table::new(node, format!("`{key}` of {}", self.what), problems)
    }

    /// A text, absent or not.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<Text> {
        text(self.get(key)?, &format!("`{key}`"), problems)
    }

    /// The elements of an array; one that is missing has none.
    pub(super) fn array(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Vec<&'n Node<'t>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        match node.get_ref() {
            DeValue::Array(elements) => elements.iter().collect(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                problems.push(expected(node, &format!("`{key}`"), "an array"));
                Vec::new()
            }
        }
    }

    /// An array of texts; one that is missing has none.
    pub(super) fn texts(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Vec<Text> {
        let what = format!("an element of `{key}`");
        let elements = self.array(key, problems);
        elements.into_iter().filter_map(|element| text(element, &what, problems)).collect()
    }

    /// True or false; false if missing.
    pub(super) fn boolean(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> bool {
        match self.get(key).map(|node| (node, node.get_ref())) {
            None => false,
            Some((_, DeValue::Boolean(value))) => *value,
            Some((node, _)) => {
                problems.push(expected(node, &format!("`{key}`"), "true or false"));
                false
            }
        }
    }

    /// A whole number of at least one.
    pub(super) fn count(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<u64> {
        let node = self.get(key)?;
        let DeValue::Integer(integer) = node.get_ref() else {
            problems.push(expected(node, &format!("`{key}`"), "a whole number"));
            return None;
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(count) if count > 0 => Some(count),
            _ => {
                let message = format!("`{key}` is {integer}");
                let help = "it is a whole number, at least 1; without the key there is no limit";
                problems.push(Problem::new(node.span(), message).help(help));
                None
            }
        }
    }

    /// A duration, such as `"30s"`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Duration> {
        let text = self.text(key, problems)?;
        let duration = duration(&text.value);
        if duration.is_none() {
            let message = format!("`{key}` is `{}`, which is no duration", text.value);
            let help = "write a whole number and a unit (ms, s, m, h), such as \"30s\"";
            problems.push(Problem::new(text.span, message).help(help));
        }
        duration
    }

    /// Reports the keys that nobody asked for, with what may have been meant.
    pub(super) fn finish(self, problems: &mut Vec<Problem>) {
        let names: Vec<String> = self.asked.iter().map(|key| (*key).to_owned()).collect();
        for (key, _) in self.entries() {
            if !self.asked.contains(&key.value.as_str()) {
                let message = format!("{} has no key `{}`", self.what, key.value);
                problems.push(Problem::new(key.span, message).help(suggest(&key.value, &names)));
            }
        }
    }
}

/// A whole number and a unit, up to a year; zero is none.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.checked_mul(millis)?;
    (1..=366 * 86_400_000).contains(&millis).then(|| Duration::from_millis(millis))
}

/// A text that isn't empty.
pub(super) fn text(node: &Node<'_>, what: &str, problems: &mut Vec<Problem>) -> Option<Text> {
    match node.get_ref() {
        DeValue::String(text) if text.is_empty() => {
            problems.push(Problem::new(node.span(), format!("{what} is empty")));
            None
        }
        DeValue::String(text) => {
            Some(Text { value: Cow::clone(text).into_owned(), span: node.span() })
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            problems.push(expected(node, what, "a string"));
            None
        }
    }
}

/// A text or a whole number, as text: a value of an attribute.
pub(super) fn scalar(node: &Node<'_>, what: &str, problems: &mut Vec<Problem>) -> Option<String> {
    match node.get_ref() {
        DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str().to_owned()),
        _ => text(node, what, problems).map(|text| text.value),
    }
}

/// "... is ..., not ...".
pub(super) fn expected(node: &Node<'_>, what: &str, wanted: &str) -> Problem {
    let kind = match node.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    Problem::new(node.span(), format!("{what} is {kind}, not {wanted}"))
}
