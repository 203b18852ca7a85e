//! Names and texts in quotes, and `format`.

use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Volatility::{Immutable, Stable};

use super::super::known::{quote_ident, split_name};
use super::call::{Body, Definition, Row};
use super::context::FunctionContext;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "quote_ident",
        takes: &["T"],
        gives: "text",
        volatility: Immutable,
        body: Body::Text(|_, row| Ok(row.text(0).map(quote_ident))),
    },
    Definition {
        name: "quote_literal",
        takes: &["A"],
        gives: "text",
        volatility: Stable,
        body: Body::Text(|_, row| Ok(text_of(&row.any(0)?)?.map(|text| quote_literal(&text)))),
    },
    Definition {
        name: "quote_nullable",
        takes: &["A"],
        gives: "text",
        volatility: Stable,
        body: Body::Text(|_, row| {
            let text = text_of(&row.any(0)?)?;
            Ok(Some(text.map_or_else(|| "NULL".to_owned(), |text| quote_literal(&text))))
        }),
    },
    Definition {
        name: "parse_ident",
        takes: &["T", "TB"],
        gives: "_text",
        volatility: Immutable,
        body: Body::Texts(|_, row| {
            let Some(text) = row.text(0) else { return Ok(None) };
            match split_name(text) {
                Some(parts) => Ok(Some(parts.into_iter().map(Some).collect())),
                None => exec_err!("string is not a valid identifier: \"{text}\""),
            }
        }),
    },
    Definition {
        name: "format",
        takes: &["T*"],
        gives: "text",
        volatility: Stable,
        body: Body::Text(format),
    },
];

/// A text in single quotes, as it has to stand in SQL.
fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}

/// A value's text, none for a null.
pub(super) fn text_of(value: &ScalarValue) -> Result<Option<String>> {
    if value.is_null() {
        return Ok(None);
    }
    match value {
        ScalarValue::Boolean(Some(value)) => Ok(Some(if *value { "t" } else { "f" }.to_owned())),
        value => match value.cast_to(&arrow::datatypes::DataType::Utf8)? {
            ScalarValue::Utf8(text) => Ok(text),
            other => Ok(Some(other.to_string())),
        },
    }
}

/// `format('%I.%2$s %L', …)`.
fn format(_context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    let Some(template) = row.text(0) else { return Ok(None) };
    let mut text = String::with_capacity(template.len());
    let mut next_argument = 1;
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        // A position with `$`, a flag and a width may stand before the letter.
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let mut argument = None;
        if rest[digits..].starts_with('$') {
            argument = rest[..digits].parse::<usize>().ok();
            rest = &rest[digits + 1..];
        }
        let left = rest.starts_with('-');
        rest = rest.strip_prefix('-').unwrap_or(rest);
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let width: usize = rest[..digits].parse().unwrap_or_default();
        rest = &rest[digits..];
        let mut letters = rest.chars();
        let Some(letter) = letters.next() else {
            return exec_err!("unterminated format() type specifier");
        };
        rest = letters.as_str();
        let at = argument.unwrap_or(next_argument);
        next_argument = at + 1;
        if at == 0 || at >= row.count() {
            return exec_err!("too few arguments for format()");
        }
        let value = text_of(&row.any(at)?)?;
        let shown = match (letter, value) {
            ('s', value) => value.unwrap_or_default(),
            ('I', Some(value)) => quote_ident(&value),
            ('I', None) => {
                return exec_err!("null values cannot be formatted as an SQL identifier");
            }
            ('L', Some(value)) => quote_literal(&value),
            ('L', None) => "NULL".to_owned(),
            (other, _) => return exec_err!("unrecognized format() type specifier \"{other}\""),
        };
        let width = width.min(WIDTH_MAX);
        match left {
            true => text.push_str(&format!("{shown:<width$}")),
            false => text.push_str(&format!("{shown:>width$}")),
        }
    }
    text.push_str(rest);
    Ok(Some(text))
}

/// The greatest width of one value in `format`.
const WIDTH_MAX: usize = 1 << 16;
