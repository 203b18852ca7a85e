//! What a role grants, and how, out of its part of the file.

use super::super::pattern::Pattern;
use super::super::policy::{ColumnMask, MaskKind, Role, RoleLimits, RowRule};
use super::super::problem::Problem;
use super::super::reader::{Node, Table, Text};
use crate::suggest::suggest;

/// A role; `has_key`: there is a key for masks.
pub(super) fn role(
    name: &str,
    node: &Node<'_>,
    has_key: bool,
    problems: &mut Vec<Problem>,
) -> Option<Role> {
    let mut table = Table::new(node, format!("role `{name}`"), problems)?;
    let mut role = Role::default();
    for text in table.texts("tables", problems) {
        role.tables.extend(pattern(&text, problems));
    }
    for node in table.array("rows", problems) {
        role.rows.extend(row_rule(node, problems));
    }
    for node in table.array("masks", problems) {
        role.masks.extend(mask(node, has_key, problems));
    }
    if let Some(mut limits) = table.table("limits", problems) {
        role.limits = RoleLimits {
            statement_timeout: limits.duration("statement_timeout", problems),
            rows_max: limits.count("rows", problems),
            statements_max: limits.count("statements", problems),
        };
        limits.finish(problems);
    }
    table.finish(problems);
    Some(role)
}

fn pattern(text: &Text, problems: &mut Vec<Problem>) -> Option<Pattern> {
    match Pattern::parse(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(help) => {
            let message = format!("`{}` is no pattern of tables", text.value.escape_debug());
            problems.push(Problem::new(text.span.clone(), message).help(help));
            None
        }
    }
}

fn row_rule(node: &Node<'_>, problems: &mut Vec<Problem>) -> Option<RowRule> {
    let mut table = Table::new(node, "a rule of `rows`", problems)?;
    let tables = table.required_text("table", "`table = \"*\"`", problems);
    let column = table.required_text("column", "`column = \"lender_id\"`", problems);
    let attribute = table.required_text("in", "`in = \"lender_id\"`, an attribute", problems);
    table.finish(problems);
    let tables = pattern(&tables?, problems)?;
    Some(RowRule { tables, column: column?.value, attribute: attribute?.value })
}

fn mask(node: &Node<'_>, has_key: bool, problems: &mut Vec<Problem>) -> Option<ColumnMask> {
    let mut table = Table::new(node, "a mask of `masks`", problems)?;
    let tables = table.required_text("table", "`table = \"*\"`", problems);
    let column = table.required_text("column", "`column = \"borrower\"`", problems);
    let kind = table.required_text("as", "`as = \"null\"`", problems);
    table.finish(problems);
    let kind = kind.and_then(|kind| mask_kind(kind, has_key, problems));
    let tables = pattern(&tables?, problems)?;
    Some(ColumnMask { tables, column: column?.value, kind: kind? })
}

fn mask_kind(text: Text, has_key: bool, problems: &mut Vec<Problem>) -> Option<MaskKind> {
    match text.value.as_str() {
        "null" => Some(MaskKind::Null),
        "last4" => Some(MaskKind::LastFour),
        "hash" if has_key => Some(MaskKind::Hash),
        "hash" => {
            let problem = Problem::new(text.span, "a hash without a key can be guessed")
                .help("add `mask_key = \"mask.key\"`, a file of random bytes, at the top");
            problems.push(problem);
            None
        }
        // A word is a kind, so that a misspelt one does not become a text.
        word if word.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            let kinds = ["null", "hash", "last4"].map(str::to_owned);
            let help = format!(
                "{}; a text to show has some character that is no letter or digit, such as \"***\"",
                suggest(word, &kinds)
            );
            let message = format!("no mask is called `{word}`");
            problems.push(Problem::new(text.span, message).help(help));
            None
        }
        _ => Some(MaskKind::Text(text.value)),
    }
}
