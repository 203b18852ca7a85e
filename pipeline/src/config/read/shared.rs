//! What several sections read alike.

use crate::config::document::{Entry, Node, Value};
use crate::config::problem::Problem;
use crate::config::reader;
use crate::config::span::Spanned;
use crate::config::suggest;

/// Whether a path is on this machine; any other path is noted as a problem.
pub(super) fn check_local(path: &Spanned<String>, problems: &mut Vec<Problem>) -> bool {
    let Some((scheme, rest)) = path.value.split_once("://") else { return true };
    let problem = match scheme {
        "s3" | "s3a" | "gs" | "gcs" | "az" | "abfs" | "abfss" | "adl" => Problem::new(
            path.span,
            format!("`{path}` is on an object store, which comes with a later release"),
        )
        .help("name a local folder or file"),
        "file" => Problem::new(path.span, format!("`{path}` is a URL"))
            .help(format!("write it as a path: \"{rest}\"")),
        _ => Problem::new(path.span, format!("`{path}` is a URL"))
            .help("name a local folder or file"),
    };
    problems.push(problem);
    false
}

/// The elements of an array of tables such as `steps`.
pub(super) fn tables<'n>(
    entry: &'n Entry,
    what: &str,
    header: &str,
    problems: &mut Vec<Problem>,
) -> &'n [Node] {
    let Value::Array(elements) = &entry.node.value else {
        problems.push(
            reader::expected(&entry.node, what, "an array of tables")
                .help(format!("write its header in double brackets: `{header}`")),
        );
        return &[];
    };
    elements
}

/// The problem of a `kind` that isn't one of this release.
pub(super) fn unknown_kind(
    kind: &Spanned<String>,
    of: &str,
    known: &[&str],
    later: &[&str],
) -> Problem {
    if later.contains(&kind.value.as_str()) {
        return Problem::new(
            kind.span,
            format!("a {of} of kind `{kind}` comes with a later release"),
        )
        .help(format!("the kinds of this release are {}", suggest::list(known.iter().copied())));
    }
    let problem = Problem::new(kind.span, format!("there is no {of} of kind `{kind}`"));
    match suggest::closest(&kind.value, later.iter().copied()) {
        Some(near) if suggest::closest(&kind.value, known.iter().copied()).is_none() => problem
            .help(format!(
                "did you mean `{near}`? It comes with a later release; the kinds of this one are \
                 {}",
                suggest::list(known.iter().copied())
            )),
        _ => problem.maybe_help(suggest::help(&kind.value, known.iter().copied(), "the kinds are")),
    }
}
