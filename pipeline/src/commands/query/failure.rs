//! Errors of statements, and where in their text they are.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use datafusion::sql::sqlparser::tokenizer::Token;
use riskstream_query::QueryError;
use riskstream_query::service::SqlState;

use super::pending::Piece;
use super::tokens::scan;
use crate::commands::{CommandError, failed};

/// Makes a usage error of what the user can put right in the statement, and a failure of the rest.
pub(crate) fn query_failed(error: QueryError) -> CommandError {
    match error {
        QueryError::UnknownTable { name, help } => {
            CommandError::Usage { message: format!("there is no table `{name}`"), help: Some(help) }
        }
        QueryError::UnknownColumn { name, help } => CommandError::Usage {
            message: format!("there is no column `{name}`"),
            help: Some(help),
        },
        QueryError::NotAQuery { .. } | QueryError::Syntax { .. } => {
            CommandError::Usage { message: error.to_string(), help: None }
        }
        QueryError::Sql(_) | QueryError::Format(_) if is_the_statements(&error) => {
            CommandError::Usage {
                message: format!("the query can't be understood: {}", error.message()),
                help: None,
            }
        }
        QueryError::Sql(_) | QueryError::Format(_) => failed(error.message()),
        other @ (QueryError::NoTables { .. }
        | QueryError::List { .. }
        | QueryError::Table(_)
        | QueryError::Stopped(_)
        | QueryError::Busy { .. }
        | QueryError::TooManyRows { .. }
        | QueryError::Store(_)
        | QueryError::Behind { .. }
        | QueryError::Start(_)
        | QueryError::Audit(_)) => failed(other),
    }
}

/// Whether an error is seen in the statement alone, before it runs: of syntax, names and types, or
/// of what is not supported.
fn is_the_statements(error: &QueryError) -> bool {
    let state = error.sql_state().0;
    state.starts_with("42") || state == SqlState::UNSUPPORTED.0
}

/// Where a text comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    /// Its file, or what it is called; none where it was typed.
    pub(super) name: Option<&'a str>,
    /// Whole lines.
    pub(super) text: &'a str,
    /// How many lines came before.
    pub(super) lines_before: usize,
}

impl Origin<'_> {
    /// An error of a statement, with the line that it is about and a mark under the place: that
    /// which it names, else of a text with a name the statement's beginning.
    pub(super) fn draw(&self, error: QueryError, piece: Piece) -> CommandError {
        let statement = &self.text[piece.start..piece.end];
        let place = place(&error, statement)
            .map(|place| place.start + piece.start..place.end + piece.start)
            .or_else(|| self.name.map(|_| piece.start..piece.start));
        match (query_failed(error), place) {
            (CommandError::Usage { message, help }, Some(place)) => CommandError::Usage {
                message: self.drawn(&message, help.as_deref(), piece, place),
                help: None,
            },
            (CommandError::Failed { message }, Some(place)) => {
                CommandError::Failed { message: self.drawn(&message, None, piece, place) }
            }
            (other, _) => other,
        }
    }

    fn drawn(
        &self,
        message: &str,
        help: Option<&str>,
        piece: Piece,
        place: Range<usize>,
    ) -> String {
        let line_start = |byte: usize| self.text[..byte].rfind('\n').map_or(0, |at| at + 1);
        let start = line_start(place.start);
        let line = self.text[start..].lines().next().unwrap_or_default();
        // A file's lines have their numbers; of what is typed, those of the statement count.
        let lines = |from: usize| self.text[from..start].matches('\n').count() + 1;
        let number = match self.name {
            Some(_) => self.lines_before + lines(0),
            None => lines(line_start(piece.start)),
        };
        let first = (place.start - start).min(line.len());
        let behind = (place.end - start).clamp(first, line.len());
        let mut snippet = Snippet::source(line)
            .line_start(number)
            .annotation(AnnotationKind::Primary.span(first..behind));
        if let Some(name) = self.name {
            snippet = snippet.path(name);
        }
        let mut group = Level::ERROR.primary_title(message).element(snippet);
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help));
        }
        let drawn = Renderer::plain().render(&[group]);
        // Whoever prints an error says that it is one.
        drawn.strip_prefix("error: ").unwrap_or(&drawn).to_owned()
    }
}

/// The bytes of a statement that an error is about, if it says.
fn place(error: &QueryError, statement: &str) -> Option<Range<usize>> {
    let spots = scan(statement).spots;
    if let Some(position) = error.position() {
        let mut characters = statement.char_indices().map(|(byte, _)| byte);
        let byte = characters.nth(position.saturating_sub(1)).unwrap_or(statement.len());
        let token = spots.iter().find(|spot| (spot.start..spot.end).contains(&byte));
        return Some(byte..token.map_or(byte, |spot| spot.end));
    }
    let name = match error {
        QueryError::UnknownTable { name, .. } | QueryError::UnknownColumn { name, .. } => name,
        _ => return None,
    };
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_it = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.eq_ignore_ascii_case(last),
        Token::Word(word) => word.value == last,
        _ => false,
    };
    spots.iter().find(|spot| is_it(&spot.token)).map(|spot| spot.start..spot.end)
}

#[cfg(test)]
mod tests {
    use riskstream_query::service::parse;

    use super::*;

    #[test]
    fn a_syntax_error_has_its_file_line_and_column() {
        let text = "select 1;\nselect 'ä',\n  frm x y z;\n";
        let piece = Piece { start: 10, end: text.len() - 2 };
        let error = parse(&text[piece.start..piece.end]).expect_err("it is no SQL");
        let origin = Origin { name: Some("a.sql"), text, lines_before: 4 };
        let CommandError::Usage { message, .. } = origin.draw(error, piece) else {
            panic!("it is the user's")
        };
        let lines: Vec<&str> = message.lines().collect();
        assert!(lines[0].starts_with("syntax error: "), "{message}");
        assert_eq!(lines[1].trim(), "--> a.sql:7:9", "{message}");
        assert!(lines[3].ends_with("|   frm x y z;"), "{message}");
        assert_eq!(lines[4].find('^'), lines[3].find("y z"), "{message}");
    }

    #[test]
    fn a_name_that_is_not_there_is_marked_where_it_stands() {
        let text = "select a, bb from t where \"Bb\" = 1";
        let piece = Piece { start: 0, end: text.len() };
        let error = |name: &str| QueryError::UnknownColumn {
            name: name.to_owned(),
            help: "did you mean 'b'?".to_owned(),
        };
        for (name, column) in [("bb", 10), ("Bb", 10), ("t.a", 7)] {
            let place = place(&error(name), text).expect(name);
            assert_eq!(place.start, column, "{name}");
        }
        let origin = Origin { name: None, text, lines_before: 0 };
        let CommandError::Usage { message, .. } = origin.draw(error("bb"), piece) else {
            panic!("it is the user's")
        };
        assert!(message.starts_with("there is no column `bb`"), "{message}");
        assert!(message.contains("^^") && message.contains("help: did you mean 'b'?"), "{message}");
        assert!(!message.contains("-->"), "{message}");
    }

    #[test]
    fn an_error_without_a_place_is_at_its_statement_in_a_file_alone() {
        let text = "  select 1\n";
        let piece = Piece { start: 2, end: 10 };
        let stopped = || QueryError::Busy { waiting: 3 };
        let typed = Origin { name: None, text, lines_before: 0 };
        assert!(!typed.draw(stopped(), piece).to_string().contains("select"));
        let of_file = Origin { name: Some("a.sql"), ..typed };
        assert!(of_file.draw(stopped(), piece).to_string().contains("a.sql:1:3"));
    }
}
