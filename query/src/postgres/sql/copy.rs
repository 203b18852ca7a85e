//! `COPY … TO STDOUT`, in the forms of all releases of PostgreSQL.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::action::{Action, Query};
use super::origin::Origin;
use super::queries::{Inner, inner};
use super::text::sql;
use super::tokens::Tokens;
use crate::postgres::error::Problem;
use crate::postgres::values::copy::{CopyForm, CopyOptions, ForceQuote};

pub(super) fn copy(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    let binary = tokens.word("BINARY");
    let query = match tokens.parenthesized() {
        Some(list) => match inner(list)? {
            Inner::Query(query) => query,
            Inner::Refused(problem) => return Ok(Action::Refused(problem)),
        },
        None => match table(&mut tokens)? {
            Some(query) => query,
            None => {
                let problem = Problem::read_only("COPY FROM");
                return Ok(Action::Refused(Box::new(problem)));
            }
        },
    };
    if !tokens.word("TO") {
        return Err(tokens.unexpected());
    }
    if !tokens.word("STDOUT") {
        let program = tokens.word("PROGRAM");
        let _file = tokens.string().ok_or_else(|| tokens.unexpected())?;
        let to = if program { "to or from an external program" } else { "to a file" };
        let problem = Problem::error("42501", format!("permission denied to COPY {to}"))
            .with_hint("COPY ... TO STDOUT is there for everybody; psql's \\copy works, too.");
        return Ok(Action::Refused(Box::new(problem)));
    }
    let options = match options(&mut tokens, binary).and_then(Said::finished) {
        Ok(options) => options,
        // What is not the syntax is told when it runs, as PostgreSQL does.
        Err(problem) if problem.position.is_none() => {
            return Ok(Action::Refused(Box::new(problem)));
        }
        Err(problem) => return Err(problem),
    };
    tokens.end(Action::Copy { query, options: Box::new(options) })
}

/// `name (columns)` as a query of its own; none where rows come from the client.
fn table(tokens: &mut Tokens<'_>) -> Result<Option<Box<Query>>, Problem> {
    let before = *tokens;
    let mut name = String::new();
    loop {
        name.push_str(&quoted(&tokens.name().ok_or_else(|| tokens.unexpected())?));
        if !tokens.symbol(&Token::Period) {
            break;
        }
        name.push('.');
    }
    let columns = match tokens.parenthesized() {
        Some(mut list) => {
            let mut columns = Vec::new();
            while !list.is_at_end() {
                columns.push(quoted(&list.name().ok_or_else(|| list.unexpected())?));
                let _comma = list.symbol(&Token::Comma);
            }
            columns.join(", ")
        }
        None => "*".to_owned(),
    };
    if tokens.sees("FROM") {
        return Ok(None);
    }
    let statement = sql(&format!("SELECT {columns} FROM {name}"), &before)?;
    Ok(Some(Box::new(Query { statement, parameters: 0, origin: Origin::of(&before) })))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Options as they are said; what is not said depends on the form.
#[derive(Debug, Default)]
struct Said {
    form: Option<CopyForm>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<bool>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<ForceQuote>,
}

fn options(tokens: &mut Tokens<'_>, binary: bool) -> Result<Said, Problem> {
    let mut said = Said { form: binary.then_some(CopyForm::Binary), ..Said::default() };
    if tokens.sees("DELIMITERS") || tokens.sees("USING") {
        let _using = tokens.word("USING");
        let _word = tokens.word("DELIMITERS");
        said.delimiter = Some(tokens.string().ok_or_else(|| tokens.unexpected())?);
    }
    let _with = tokens.word("WITH");
    match tokens.parenthesized() {
        Some(list) => listed(list, &mut said)?,
        None => legacy(tokens, &mut said)?,
    }
    Ok(said)
}

/// `(FORMAT csv, HEADER)`.
fn listed(mut list: Tokens<'_>, said: &mut Said) -> Result<(), Problem> {
    while !list.is_at_end() {
        let name = list.name().ok_or_else(|| list.unexpected())?;
        if name == "force_quote" {
            said.force_quote = Some(columns(&mut list)?);
        } else {
            let value = match list.peek() {
                None | Some(Token::Comma) => None,
                Some(_) => Some(value(&mut list)?),
            };
            option(&name, value, said)?;
        }
        if !list.is_at_end() && !list.symbol(&Token::Comma) {
            return Err(list.unexpected());
        }
    }
    Ok(())
}

fn value(list: &mut Tokens<'_>) -> Result<String, Problem> {
    if let Some(text) = list.string() {
        return Ok(text);
    }
    if let Some(number) = list.integer() {
        return Ok(number.to_string());
    }
    list.name().ok_or_else(|| list.unexpected())
}

fn option(name: &str, value: Option<String>, said: &mut Said) -> Result<(), Problem> {
    let invalid = |text: String| Problem::error("42601", text);
    let needed = |value: Option<String>| {
        value.ok_or_else(|| invalid(format!("COPY option \"{name}\" requires a parameter")))
    };
    match name {
        "format" => {
            let format = needed(value)?;
            said.form = Some(match format.to_ascii_lowercase().as_str() {
                "text" => CopyForm::Text,
                "csv" => CopyForm::Csv,
                "binary" => CopyForm::Binary,
                _ => {
                    let text = format!("COPY format \"{format}\" not recognized");
                    return Err(Problem::error("22023", text));
                }
            });
        }
        "delimiter" => said.delimiter = Some(needed(value)?),
        "null" => said.null = Some(needed(value)?),
        "quote" => said.quote = Some(needed(value)?),
        "escape" => said.escape = Some(needed(value)?),
        "header" => {
            said.header = Some(match value.as_deref().map(str::to_ascii_lowercase).as_deref() {
                None | Some("true" | "on" | "1") => true,
                Some("false" | "off" | "0") => false,
                Some(_) => {
                    return Err(invalid("header requires a Boolean value or \"match\"".to_owned()));
                }
            });
        }
        "encoding" => {
            let encoding = needed(value)?.to_ascii_lowercase().replace(['-', '_'], "");
            if encoding != "utf8" && encoding != "unicode" {
                let text = "argument to option \"encoding\" must be a valid encoding name";
                return Err(Problem::error("22023", text).with_hint("Only UTF8 is supported."));
            }
        }
        "freeze" => {}
        _ => return Err(invalid(format!("option \"{name}\" not recognized"))),
    }
    Ok(())
}

/// The names behind `FORCE_QUOTE`, in parentheses or not.
fn columns(list: &mut Tokens<'_>) -> Result<ForceQuote, Problem> {
    if list.symbol(&Token::Mul) {
        return Ok(ForceQuote::All);
    }
    let mut names = Vec::new();
    if let Some(mut inner) = list.parenthesized() {
        while !inner.is_at_end() {
            names.push(inner.name().ok_or_else(|| inner.unexpected())?);
            let _comma = inner.symbol(&Token::Comma);
        }
    } else {
        names.push(list.name().ok_or_else(|| list.unexpected())?);
        while list.symbol(&Token::Comma) {
            names.push(list.name().ok_or_else(|| list.unexpected())?);
        }
    }
    Ok(ForceQuote::Columns(names))
}

/// `WITH CSV HEADER`, `WITH BINARY`, `DELIMITER AS ','`.
fn legacy(tokens: &mut Tokens<'_>, said: &mut Said) -> Result<(), Problem> {
    while !tokens.is_at_end() {
        if tokens.word("BINARY") {
            said.form = Some(CopyForm::Binary);
        } else if tokens.word("CSV") {
            said.form = Some(CopyForm::Csv);
        } else if tokens.word("HEADER") {
            said.header = Some(true);
        } else if tokens.words(&["FORCE", "QUOTE"]) {
            said.force_quote = Some(columns(tokens)?);
        } else if tokens.word("FREEZE") {
        } else {
            let words = ["DELIMITER", "NULL", "QUOTE", "ESCAPE", "ENCODING"];
            let name = tokens.one_of(&words).ok_or_else(|| tokens.unexpected())?;
            let _as = tokens.word("AS");
            let value = tokens.string().ok_or_else(|| tokens.unexpected())?;
            option(&name.to_ascii_lowercase(), Some(value), said)?;
        }
    }
    Ok(())
}

impl Said {
    fn finished(self) -> Result<CopyOptions, Problem> {
        let form = self.form.unwrap_or(CopyForm::Text);
        let only = |what: &str, form: &str| {
            Err(Problem::unsupported(format!("COPY {what} available only in {form} mode")))
        };
        if form == CopyForm::Binary && (self.delimiter.is_some() || self.null.is_some()) {
            let what = if self.delimiter.is_some() { "DELIMITER" } else { "NULL" };
            let text = format!("cannot specify {what} in BINARY mode");
            return Err(Problem::error("42601", text));
        }
        if form != CopyForm::Csv && self.quote.is_some() {
            return only("quote", "CSV");
        }
        if form != CopyForm::Csv && self.escape.is_some() {
            return only("escape", "CSV");
        }
        if form != CopyForm::Csv && self.force_quote.is_some() {
            return only("force quote", "CSV");
        }
        if form == CopyForm::Binary && self.header == Some(true) {
            return Err(Problem::error("0A000", "cannot specify HEADER in BINARY mode"));
        }
        let mut options = CopyOptions::new(form);
        if let Some(delimiter) = self.delimiter {
            options.delimiter = byte("delimiter", &delimiter)?;
        }
        if let Some(null) = self.null {
            options.null = null;
        }
        options.header = self.header.unwrap_or(false);
        if let Some(quote) = self.quote {
            options.quote = byte("quote", &quote)?;
            // Without one of its own, the quote is doubled.
            options.escape = options.quote;
        }
        if let Some(escape) = self.escape {
            options.escape = byte("escape", &escape)?;
        }
        if let Some(force_quote) = self.force_quote {
            options.force_quote = force_quote;
        }
        Ok(options)
    }
}

fn byte(what: &str, text: &str) -> Result<u8, Problem> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => {
            let text = format!("COPY {what} must be a single one-byte character");
            Err(Problem::unsupported(text))
        }
    }
}
