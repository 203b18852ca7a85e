//! TOML text as a tree of our own: entries in the order of the text, each key and value with its
//! span, no borrowed text. `--set` values are put into this tree before anything reads it.

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::span::{Origin, Span, Spanned};

/// A value and its place. The place of a `[header]` table is its header, that of an inline table
/// all of it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A string; `verbatim_at` is the offset of its first byte where the text has no escapes.
    String {
        text: String,
        verbatim_at: Option<u32>,
    },
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A date or time, as TOML prints it.
    Datetime(String),
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Spanned<String>,
    pub(crate) node: Node,
}

impl Node {
    /// What the value is, with its article, for "expected ..., found ...".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::String { .. } => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "a boolean",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }

    /// The value of `key` in a table.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Table(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key.value == key).map(|entry| &entry.node)
    }

    fn is_step(&self, id: &str) -> bool {
        matches!(self.get("id"), Some(Node { value: Value::String { text, .. }, .. }) if text == id)
    }
}

/// Parses a whole document. On a syntax error: all of them, at most one per line, since one mistake
/// confuses the rest of its line.
pub(crate) fn parse_document(origin: Origin, text: &str) -> Result<Node, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = syntax_problems(origin, text, 0, &errors);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut problems = Vec::new();
    let value =
        table_value(Converter { origin, text, shift: 0 }, table.into_inner(), &mut problems);
    if problems.is_empty() {
        Ok(Node { span: Span::new(origin, 0..0), value })
    } else {
        Err(problems)
    }
}

fn syntax_problems(
    origin: Origin,
    text: &str,
    shift: usize,
    errors: &[toml::de::Error],
) -> Vec<Problem> {
    let mut lines = std::collections::BTreeSet::new();
    let mut problems = Vec::new();
    // The line of a repeated table header: the keys under it are repeats too, and are not reported.
    let mut repeated_header: Option<usize> = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let start = (shift + span.start).min(text.len());
        let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
        let is_header_at = |line: usize| {
            text.lines().nth(line).is_some_and(|line| line.trim_start().starts_with('['))
        };
        let is_repeat = error.message() == "duplicate key";
        if let Some(header) = repeated_header.filter(|header| is_repeat && *header < line)
            && !(header + 1..=line).any(is_header_at)
        {
            continue;
        }
        let is_repeated_header = is_repeat && is_header_at(line);
        if is_repeated_header {
            repeated_header = Some(line);
        }
        if lines.insert(line) {
            let (message, expected) = match error.message().split_once(", expected ") {
                Some((message, expected)) => (message, Some(format!("expected {expected}"))),
                None => (error.message(), None),
            };
            let mut problem = Problem::new(
                Span::new(origin, start..shift + span.end),
                format!("not valid TOML: {message}"),
            );
            problem.label = expected;
            problem.help = match (is_repeat, is_repeated_header) {
                (true, true) => Some(
                    "a table has one header: put its keys under the first, or give this one \
                     another name"
                        .into(),
                ),
                (true, false) => Some("the key stands above already: keep one".into()),
                _ => None,
            };
            problems.push(problem);
        }
    }
    problems
}

/// Parses the value of a `--set`, which starts `shift` bytes into its argument; text that isn't
/// TOML is a string.
fn parse_set_value(origin: Origin, argument: &str, shift: usize) -> Node {
    let text = &argument[shift..];
    let trimmed_start = shift + (text.len() - text.trim_start().len());
    let text = text.trim();
    let mut problems = Vec::new();
    match DeValue::parse(text) {
        Ok(value) => {
            let node = node(
                Converter { origin, text: argument, shift: trimmed_start },
                value,
                &mut problems,
            );
            if problems.is_empty() {
                return node;
            }
        }
        Err(_not_toml) => {}
    }
    Node {
        span: Span::new(origin, trimmed_start..trimmed_start + text.len()),
        value: Value::String {
            text: text.to_owned(),
            verbatim_at: u32::try_from(trimmed_start).ok(),
        },
    }
}

#[derive(Clone, Copy)]
struct Converter<'t> {
    origin: Origin,
    text: &'t str,
    /// What to add to toml's offsets to get offsets in `text`.
    shift: usize,
}

impl Converter<'_> {
    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.origin, range.start + self.shift..range.end + self.shift)
    }
}

fn node(
    converter: Converter<'_>,
    value: TomlSpanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Node {
    let span = converter.span(value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => {
            let verbatim_at = verbatim_at(converter, span, &text);
            Value::String { text: text.into_owned(), verbatim_at }
        }
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::Integer(integer),
            Err(_too_large) => {
                problems.push(
                    Problem::new(span, format!("the integer {integer} is too large"))
                        .help(format!("at most {}", i64::MAX)),
                );
                Value::Integer(0)
            }
        },
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
        DeValue::Array(array) => Value::Array(
            array.into_iter().map(|element| node(converter, element, problems)).collect(),
        ),
        DeValue::Table(table) => table_value(converter, table, problems),
    };
    Node { span, value }
}

fn table_value(converter: Converter<'_>, table: DeTable<'_>, problems: &mut Vec<Problem>) -> Value {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let span = converter.span(key.span());
            Entry {
                key: Spanned::new(key.into_inner().into_owned(), span),
                node: node(converter, value, problems),
            }
        })
        .collect();
    // toml sorts keys by name; the order of the file is the order of columns.
    entries.sort_by_key(|entry| entry.key.span);
    Value::Table(entries)
}

/// Where the string starts in the text, if the text within its quotes is the string itself.
fn verbatim_at(converter: Converter<'_>, span: Span, value: &str) -> Option<u32> {
    let written = converter.text.get(span.range())?;
    // TOML drops a line break right after the opening quotes.
    ["\"\"\"\r\n", "\"\"\"\n", "'''\r\n", "'''\n", "\"\"\"", "'''", "\"", "'"].into_iter().find_map(
        |opening| {
            let inner = written.strip_prefix(opening)?.strip_suffix(opening.trim_end())?;
            (inner == value).then_some(span.start + opening.len() as u32)
        },
    )
}

/// Puts one `--set path.to.key=value` into the tree. A segment of the path names a key of a table,
/// or, in an array such as `steps`, the `id` of one of its tables or its position from 0. Missing
/// tables are made.
pub(crate) fn apply_set(root: &mut Node, index: u32, argument: &str) -> Result<(), Problem> {
    let origin = Origin::Set(index);
    let whole = Span::new(origin, 0..argument.len());
    let usage = "write path.to.key=value, such as sources.payments.path=payments.csv";
    let Some((key, _)) = argument.split_once('=') else {
        return Err(Problem::new(whole, format!("`--set {argument}` has no `=`")).help(usage));
    };
    let path = key_path(origin, key).ok_or_else(|| {
        Problem::new(
            Span::new(origin, 0..key.len()),
            format!("`{}` isn't a path to a key", key.trim()),
        )
        .help(usage)
    })?;
    let value = parse_set_value(origin, argument, key.len() + 1);
    let Some((last, parents)) = path.split_last() else {
        return Err(Problem::new(whole, "the path is empty").help(usage));
    };
    let mut at = root;
    for segment in parents {
        at = child(at, segment)?;
    }
    match &mut at.value {
        Value::Table(entries) => {
            match entries.iter_mut().find(|entry| entry.key.value == last.value) {
                Some(entry) => *entry = Entry { key: last.clone(), node: value },
                None => entries.push(Entry { key: last.clone(), node: value }),
            }
        }
        Value::Array(_) => *child(at, last)? = value,
        Value::String { .. }
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => return Err(not_a_table(at, last)),
    }
    Ok(())
}

/// The dotted key before the `=`, parsed as TOML parses it, so that quoted segments work.
fn key_path(origin: Origin, key: &str) -> Option<Vec<Spanned<String>>> {
    if key.contains(['\n', '\r', '#']) {
        return None;
    }
    let text = format!("{key}=0");
    let mut table = DeTable::parse(&text).ok()?.into_inner();
    let mut path = Vec::new();
    loop {
        let (key, value) = table.into_iter().next()?;
        path.push(Spanned::new(key.get_ref().to_string(), Span::new(origin, key.span())));
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            DeValue::Integer(_) => return Some(path),
            _ => return None,
        }
    }
}

fn child<'n>(at: &'n mut Node, segment: &Spanned<String>) -> Result<&'n mut Node, Problem> {
    let refused = not_a_table(at, segment);
    match &mut at.value {
        Value::Table(entries) => {
            let position = match entries.iter().position(|entry| entry.key.value == segment.value) {
                Some(position) => position,
                None => {
                    let node = Node { span: segment.span, value: Value::Table(Vec::new()) };
                    entries.push(Entry { key: segment.clone(), node });
                    entries.len() - 1
                }
            };
            Ok(&mut entries[position].node)
        }
        Value::Array(elements) => {
            let by_id = elements.iter().position(|element| element.is_step(&segment.value));
            let position = by_id.or_else(|| {
                segment.value.parse().ok().filter(|position| *position < elements.len())
            });
            let ids: Vec<String> = elements
                .iter()
                .filter_map(|element| {
                    let Value::String { text, .. } = &element.get("id")?.value else { return None };
                    Some(text.clone())
                })
                .collect();
            match position {
                Some(position) => Ok(&mut elements[position]),
                None => Err(Problem::new(
                    segment.span,
                    format!("nothing in this array has the id `{segment}`"),
                )
                .maybe_help(super::suggest::help(
                    &segment.value,
                    ids.iter().map(String::as_str),
                    "the ids are",
                ))),
            }
        }
        Value::String { .. }
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => Err(refused),
    }
}

fn not_a_table(at: &Node, segment: &Spanned<String>) -> Problem {
    Problem::new(segment.span, format!("`{segment}` can't be set in {}", at.kind()))
        .related(at.span, "the value that the path leads to")
}
