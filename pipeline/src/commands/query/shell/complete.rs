//! What a word that has begun may become.

use datafusion::sql::sqlparser::tokenizer::Token;
use riskstream_query::Form;

use super::names::{Names, PUBLIC};
use super::slash::COMMANDS;
use crate::commands::query::tokens::scan;

/// Words of statements that read.
const KEYWORDS: [&str; 58] = [
    "all",
    "analyze",
    "and",
    "as",
    "asc",
    "begin",
    "between",
    "by",
    "case",
    "cast",
    "commit",
    "cross",
    "current_date",
    "desc",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "explain",
    "extract",
    "false",
    "filter",
    "from",
    "full",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "intersect",
    "interval",
    "is",
    "join",
    "lateral",
    "left",
    "like",
    "limit",
    "not",
    "null",
    "nulls",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "right",
    "select",
    "set",
    "show",
    "then",
    "true",
    "union",
    "using",
    "when",
    "where",
];
/// Functions that are asked for often.
const FUNCTIONS: [&str; 16] = [
    "as_of(",
    "avg(",
    "coalesce(",
    "count(",
    "date_bin(",
    "date_trunc(",
    "epoch(",
    "first_value(",
    "lag(",
    "lead(",
    "max(",
    "min(",
    "now()",
    "round(",
    "row_number()",
    "sum(",
];
/// Words behind which a table comes.
const BEFORE_TABLES: [&str; 3] = ["from", "join", "tables"];

/// Where the word at a place begins, and what it may become. `before` is what was typed in front
/// of the line.
pub(super) fn complete(
    before: &str,
    line: &str,
    place: usize,
    names: &Names,
) -> (usize, Vec<String>) {
    let typed = line.get(..place).unwrap_or(line);
    if before.trim().is_empty() && typed.trim_start().starts_with('\\') {
        return command(typed, names);
    }
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let start = typed
        .rfind(|c| !is_of_word(c))
        .map_or(0, |at| at + typed[at..].chars().next().map_or(0, char::len_utf8));
    let word = &typed[start..];
    let whole = format!("{before}\n{line}");
    let mut found = match word.rsplit_once('.') {
        Some((of, prefix)) => {
            let columns = members(of, prefix, &whole, names);
            columns.into_iter().map(|name| format!("{of}.{name}")).collect()
        }
        None if word.is_empty() && !comes_table(&typed[..start], before) => Vec::new(),
        None if comes_table(&typed[..start], before) => tables(word, names),
        None => words(word, &whole, names),
    };
    found.sort();
    found.dedup();
    (start, found)
}

/// Whether the word behind a text is a table's name.
fn comes_table(typed: &str, before: &str) -> bool {
    let text = format!("{before}\n{typed}");
    let spots = scan(&text).spots;
    match spots.last().map(|spot| &spot.token) {
        Some(Token::Word(word)) => {
            BEFORE_TABLES.iter().any(|before| word.value.eq_ignore_ascii_case(before))
        }
        // The second table of `from a, b`.
        Some(Token::Comma) => {
            let words = spots.iter().rev().filter_map(|spot| match &spot.token {
                Token::Word(word) => Some(word.value.to_ascii_lowercase()),
                _ => None,
            });
            words
                .take_while(|word| {
                    !["select", "where", "by", "on", "having"].contains(&word.as_str())
                })
                .any(|word| word == "from")
        }
        _ => false,
    }
}

fn begins(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

fn tables(prefix: &str, names: &Names) -> Vec<String> {
    let public = names.tables.iter().filter(|table| table.schema == PUBLIC);
    let public = public.map(|table| quoted(&table.name));
    let schemas = names.schemas().into_iter().filter(|schema| *schema != PUBLIC);
    let schemas = schemas.map(|schema| format!("{schema}."));
    public.chain(schemas).filter(|name| begins(name, prefix)).collect()
}

/// Tables of a schema, or columns of a table or of what a table is called in a statement.
fn members(of: &str, prefix: &str, text: &str, names: &Names) -> Vec<String> {
    let of_schema = names.tables.iter().filter(|table| table.schema.eq_ignore_ascii_case(of));
    let of_schema = of_schema.map(|table| quoted(&table.name));
    let called = table_called(of, text);
    let tables = [Some(of), called.as_deref()].into_iter().flatten();
    let columns = tables.flat_map(|table| names.tables_of(table)).flat_map(|table| &table.columns);
    of_schema
        .chain(columns.map(|column| quoted(column)))
        .filter(|name| begins(name, prefix))
        .collect()
}

/// The table that a statement calls by another name.
fn table_called(alias: &str, text: &str) -> Option<String> {
    let named = named_tables(text);
    named.into_iter().find(|(_, called)| called.as_deref() == Some(alias)).map(|(table, _)| table)
}

/// The tables that a text names behind FROM, JOIN and commas, each with what it calls it.
fn named_tables(text: &str) -> Vec<(String, Option<String>)> {
    let spots = scan(text).spots;
    let word = |at: usize| match spots.get(at).map(|spot| &spot.token) {
        Some(Token::Word(word)) => Some(word.value.as_str()),
        _ => None,
    };
    let is = |at: usize, token: &Token| spots.get(at).is_some_and(|spot| spot.token == *token);
    let is_keyword = |word: &str| KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(word));
    let (mut found, mut at, mut within) = (Vec::new(), 0, false);
    while at < spots.len() {
        let opens = word(at).is_some_and(|word| {
            ["from", "join"].iter().any(|before| word.eq_ignore_ascii_case(before))
        });
        let goes_on = within && is(at, &Token::Comma);
        at += 1;
        if !(opens || goes_on) {
            within = within && word(at - 1).is_none_or(|word| !is_keyword(word));
            continue;
        }
        let Some(mut table) = word(at).map(str::to_owned) else { continue };
        at += 1;
        while is(at, &Token::Period) {
            let Some(part) = word(at + 1) else { break };
            table = format!("{table}.{part}");
            at += 2;
        }
        if word(at).is_some_and(|word| word.eq_ignore_ascii_case("as")) {
            at += 1;
        }
        let called = word(at).filter(|word| !is_keyword(word)).map(str::to_owned);
        at += usize::from(called.is_some());
        found.push((table, called));
        within = true;
    }
    found
}

/// Keywords, functions, and the columns of the tables that a statement names.
fn words(prefix: &str, text: &str, names: &Names) -> Vec<String> {
    let is_upper =
        prefix.chars().any(char::is_uppercase) && !prefix.chars().any(char::is_lowercase);
    let cased = |word: &&str| if is_upper { word.to_uppercase() } else { (*word).to_owned() };
    let fixed = KEYWORDS.iter().chain(&FUNCTIONS).filter(|word| begins(word, prefix)).map(cased);
    let named = named_tables(text);
    let mut tables: Vec<_> = named.iter().flat_map(|(table, _)| names.tables_of(table)).collect();
    if tables.is_empty() {
        tables.extend(names.tables.iter().filter(|table| table.schema == PUBLIC));
    }
    let columns = tables.iter().flat_map(|table| &table.columns).map(|column| quoted(column));
    let called = named.iter().flat_map(|(table, called)| [Some(table.clone()), called.clone()]);
    let own = columns.chain(called.flatten()).filter(|name| begins(name, prefix));
    fixed.chain(own).collect()
}

/// A name as it has to stand in SQL.
fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A command's name, or what may follow it.
fn command(typed: &str, names: &Names) -> (usize, Vec<String>) {
    let lead = typed.len() - typed.trim_start().len();
    let Some((name, _)) = typed[lead..].split_once(' ') else {
        let commands = COMMANDS.iter().map(|(name, ..)| *name);
        let found = commands.filter(|name| begins(name, &typed[lead..]));
        return (lead, found.map(str::to_owned).collect());
    };
    let start = typed.rfind(' ').map_or(typed.len(), |space| space + 1);
    let prefix = &typed[start..];
    let choices: Vec<String> = match name {
        "\\d" | "\\d+" | "\\dt" | "\\dt+" => match prefix.split_once('.') {
            Some((schema, _)) => {
                let of = names.tables.iter().filter(|table| table.schema == schema);
                of.map(|table| format!("{schema}.{}", table.name)).collect()
            }
            None => tables("", names),
        },
        "\\format" => Form::ALL.map(|form| form.name().to_owned()).to_vec(),
        "\\chart" => ["auto", "bar", "line", "off"].map(str::to_owned).to_vec(),
        "\\x" | "\\timing" => ["on", "off"].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    };
    (start, choices.into_iter().filter(|choice| begins(choice, prefix)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        for (schema, table, column) in [
            ("public", "loans", "loan_id"),
            ("public", "loans", "lender_id"),
            ("public", "loans_now", "loan_id"),
            ("public", "payments", "amount"),
            ("public", "payments", "Odd Name"),
            ("system", "queries", "statement"),
        ] {
            names.add(schema, table, column);
        }
        names
    }

    #[test]
    fn words_become_what_may_stand_there() {
        for (before, line, start, expected) in [
            ("", "sel", 0, vec!["select"]),
            ("", "SEL", 0, vec!["SELECT"]),
            ("", "select * from lo", 14, vec!["loans", "loans_now"]),
            ("", "select * from s", 14, vec!["system."]),
            ("", "select * from system.q", 14, vec!["system.queries"]),
            ("", "select * from ", 14, vec!["loans", "loans_now", "payments", "system."]),
            ("select * from", "pay", 0, vec!["payments"]),
            ("", "select * from loans, pay", 21, vec!["payments"]),
            ("", "select le from loans", 7, vec!["lead(", "left", "lender_id"]),
            ("", "select p.am from payments p", 7, vec!["p.amount"]),
            ("", "select l.lo from loans as l join payments p on true", 7, vec!["l.loan_id"]),
            ("select x.am\nfrom payments x", "where x.a", 6, vec!["x.amount"]),
            ("", "select am", 7, vec!["amount"]),
            ("", "select payments.\"", 17, vec![]),
            ("", "select ", 7, vec![]),
            ("", "\\d lo", 3, vec!["loans", "loans_now"]),
            ("", "\\d system.", 3, vec!["system.queries"]),
            ("", "\\fo", 0, vec!["\\format"]),
            ("", "\\format c", 8, vec!["csv"]),
            ("", "\\chart ", 7, vec!["auto", "bar", "line", "off"]),
        ] {
            let place = match line.find(" from ").filter(|_| line.starts_with("select ")) {
                // The cursor is behind the word in the middle.
                Some(at) if start < at => at,
                Some(_) | None => line.len(),
            };
            let (found_start, found) = complete(before, line, place, &names());
            assert_eq!(
                (found_start, found),
                (start, expected.iter().map(|e| (*e).to_owned()).collect()),
                "{before} {line}"
            );
        }
    }

    #[test]
    fn any_place_in_any_text_can_be_completed() {
        let texts = ["sélect 'ä from ", "\\d 'ü", "a.b.c.", "from , join", "\"", "/* from"];
        for text in texts {
            for place in 0..=text.len() {
                let (start, _) = complete("", text, place, &names());
                assert!(start <= text.len());
            }
        }
    }
}
