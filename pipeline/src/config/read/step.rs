//! `[[pipelines.NAME.steps]]`.

use crate::config::document::{Entry, Node};
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Step;
use crate::config::suggest;
use crate::config::values::NameKind;
use crate::steps::{KINDS, Kind};

/// The step's id, and the step if it could be read.
pub(super) fn step(
    node: &Node,
    index: usize,
    pipeline: &str,
    problems: &mut Vec<Problem>,
) -> (Option<Spanned<String>>, Option<Step>) {
    let Some(mut table) =
        Table::new(node, format!("step {} of pipeline `{pipeline}`", index + 1), problems)
    else {
        return (None, None);
    };
    let id = table
        .required("id", "id = \"NAME\", the key of the step's state", problems)
        .and_then(|id| reader::string(&id.node, "`id`", problems));
    if let Some(id) = &id {
        reader::check_name(NameKind::Id, id, "a step", problems);
        table.what = format!("step `{id}`");
    }
    let rules = table.get("rules");
    if let Some(rules) = rules {
        let help =
            "a `filter`, `derive` or `decide` step, or `when` of a destination, says much the same";
        problems.push(
            Problem::new(rules.key.span, "a `rules` step comes with a later release").help(help),
        );
    }
    let kinds: Vec<(&Kind, &Entry)> =
        KINDS.iter().filter_map(|kind| Some((*kind, table.get(kind.key)?))).collect();
    let kind = match kinds.as_slice() {
        [(kind, entry)] => (kind.read)(&mut table, entry, problems),
        [] => {
            let names: Vec<_> =
                table.entries().iter().map(|entry| entry.key.value.as_str()).collect();
            let is_misspelled = KINDS
                .iter()
                .any(|kind| suggest::closest(kind.key, names.iter().copied()).is_some());
            if !is_misspelled && rules.is_none() {
                let what = table.what.clone();
                let kinds: Vec<String> =
                    KINDS.iter().map(|kind| format!("`{}`", kind.key)).collect();
                problems.push(
                    Problem::new(table.span, format!("{what} does nothing"))
                        .help(format!("a step has one of {}", kinds.join(", "))),
                );
            }
            None
        }
        [(_, first), (_, second), ..] => {
            problems.push(
                Problem::new(
                    second.key.span,
                    format!("a step has one of `{}` and `{}`", first.key, second.key),
                )
                .related(first.key.span, "the first")
                .help("make two steps, each with its own `id`"),
            );
            None
        }
    };
    if kinds.is_empty() {
        // Without a kind, it is unknown which keys belong here: the keys of all kinds are let pass.
        for key in KINDS.iter().flat_map(|kind| kind.others) {
            table.get(key);
        }
    }
    table.finish_with(problems, whose);
    let step = id.clone().zip(kind).map(|(id, kind)| Step { id, kind });
    (id, step)
}

/// Says to which kinds of steps a key belongs that this kind does not have.
fn whose(key: &str) -> Option<String> {
    let kinds = KINDS.iter().filter(|kind| kind.others.contains(&key));
    let kinds: Vec<String> = kinds.map(|kind| format!("`{}`", kind.key)).collect();
    let (last, before) = kinds.split_last()?;
    let all =
        if before.is_empty() { last.clone() } else { format!("{} or {last}", before.join(", ")) };
    let is_vowel = all.trim_start_matches('`').starts_with(['a', 'e', 'i', 'o', 'u']);
    let article = if is_vowel { "an" } else { "a" };
    Some(format!("`{key}` belongs to {article} {all} step"))
}
