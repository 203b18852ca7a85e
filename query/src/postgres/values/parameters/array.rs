//! Array literals.

use super::parsed::is_space;

/// Dimensions that PostgreSQL's arrays may have.
pub(super) const DIMENSIONS_MAX: usize = 6;

/// A part of an array literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Text(String),
    List(Vec<Node>),
}

/// Reads `{1,NULL,"a b"}`, nothing if it is malformed.
pub(super) fn parse(text: &str) -> Option<Vec<Node>> {
    let mut rest = text.trim_start_matches(is_space);
    // Bounds such as `[0:1]=` number the elements, which Arrow's lists don't.
    if rest.starts_with('[') {
        let (bounds, literal) = rest.split_once('=')?;
        let known = |character: char| {
            character.is_ascii_digit() || is_space(character) || "[]:+-".contains(character)
        };
        if !bounds.trim_end_matches(is_space).ends_with(']') || !bounds.chars().all(known) {
            return None;
        }
        rest = literal.trim_start_matches(is_space);
    }
    let (nodes, rest) = list(rest, 1)?;
    let even = lengths(&nodes).is_some();
    (even && rest.trim_start_matches(is_space).is_empty()).then_some(nodes)
}

/// The lengths of the dimensions of a list, nothing if they are uneven.
fn lengths(nodes: &[Node]) -> Option<Vec<usize>> {
    let inner = |node: &Node| match node {
        Node::List(nodes) => lengths(nodes),
        Node::Null | Node::Text(_) => Some(Vec::new()),
    };
    let mut all = nodes.iter().map(inner);
    let first = all.next().unwrap_or(Some(Vec::new()))?;
    let even = all.all(|lengths| lengths.as_ref() == Some(&first));
    even.then(|| std::iter::once(nodes.len()).chain(first).collect())
}

fn list(text: &str, depth: usize) -> Option<(Vec<Node>, &str)> {
    if depth > DIMENSIONS_MAX {
        return None;
    }
    let mut rest = text.strip_prefix('{')?.trim_start_matches(is_space);
    let mut nodes = Vec::new();
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((nodes, rest));
    }
    loop {
        let (node, behind) = match rest.chars().next()? {
            '{' => {
                let (nodes, behind) = list(rest, depth + 1)?;
                (Node::List(nodes), behind)
            }
            '"' => quoted(rest)?,
            _ => unquoted(rest)?,
        };
        nodes.push(node);
        let behind = behind.trim_start_matches(is_space);
        match behind.strip_prefix(',') {
            Some(next) => rest = next.trim_start_matches(is_space),
            None => return Some((nodes, behind.strip_prefix('}')?)),
        }
    }
}

fn quoted(text: &str) -> Option<(Node, &str)> {
    let mut element = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((Node::Text(element), text.get(index + 1..)?)),
            '\\' => element.push(characters.next()?.1),
            other => element.push(other),
        }
    }
    None
}

fn unquoted(text: &str) -> Option<(Node, &str)> {
    let mut element = String::new();
    // Spaces at the end don't count, unless they are escaped.
    let mut kept = 0;
    let mut escaped = false;
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            ',' | '}' => {
                element.truncate(kept);
                let node = match element.as_str() {
                    "" => return None,
                    null if !escaped && null.eq_ignore_ascii_case("null") => Node::Null,
                    _ => Node::Text(element),
                };
                return Some((node, text.get(index..)?));
            }
            '{' | '"' => return None,
            '\\' => {
                element.push(characters.next()?.1);
                kept = element.len();
                escaped = true;
            }
            other => {
                element.push(other);
                if !is_space(other) {
                    kept = element.len();
                }
            }
        }
    }
    None
}
