//! What one file of a crate names of the crate's other modules.

use crate::tokens::{Token, tokens};

/// A name that a file uses: the path as written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    /// The path's segments; the first may be `crate`, `self` or `super`.
    pub(crate) path: Vec<String>,
    /// The line.
    pub(crate) line: usize,
}

/// What a file declares and names.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Modules in files of their own that are not for tests.
    pub(crate) modules: Vec<String>,
    /// Names that the file re-exports: the name, and what it is.
    pub(crate) exports: Vec<(String, Use)>,
    /// Modules that the file re-exports with `*`.
    pub(crate) exported_globs: Vec<Use>,
    /// What it imports, the local name first (`*` for all).
    pub(crate) imports: Vec<(String, Use)>,
    /// Paths within its code.
    pub(crate) paths: Vec<Use>,
}

/// Reads a file.
#[must_use]
pub(crate) fn imports(source: &str) -> Imports {
    let tokens = without_tests(tokens(source));
    let mut found = Imports::default();
    let mut code: Vec<&Token> = Vec::new();
    let mut at = 0;
    let text = |at: usize| tokens.get(at).map_or("", |t: &Token| t.text.as_str());
    while at < tokens.len() {
        if text(at) == "mod" && text(at + 2) == ";" {
            found.modules.push(text(at + 1).to_owned());
            if let Some(begins) = visibility(&code) {
                code.truncate(begins);
            }
            at += 3;
        } else if text(at) == "use" && text(at + 1) != "<" {
            let end = (at..tokens.len()).find(|end| text(*end) == ";").unwrap_or(tokens.len());
            let is_export = match visibility(&code) {
                Some(begins) => {
                    code.truncate(begins);
                    true
                }
                None => false,
            };
            let mut leaves = Vec::new();
            tree(&tokens[at + 1..end], &mut 0, &[], &mut leaves);
            for (name, path) in leaves {
                let used = Use { path, line: tokens[at].line };
                match (is_export, name == "*") {
                    (true, true) => found.exported_globs.push(used),
                    (true, false) => found.exports.push((name, used)),
                    (false, _) => found.imports.push((name, used)),
                }
            }
            at = end + 1;
        } else {
            code.push(&tokens[at]);
            at += 1;
        }
    }
    found.paths = paths(&code);
    // A re-exported name that the file also uses is an import as well.
    for (name, used) in &found.exports {
        if code.iter().any(|token| token.text == *name) {
            found.imports.push((name.clone(), used.clone()));
        }
    }
    found
}

/// Where the `pub`, `pub(crate)`, `pub(super)` or `pub(in ...)` begins that the code ends with.
fn visibility(code: &[&Token]) -> Option<usize> {
    let last = code.len().checked_sub(1)?;
    let begins = match code[last].text.as_str() {
        "pub" => last,
        ")" => code.iter().rposition(|token| token.text == "(")?.checked_sub(1)?,
        _ => return None,
    };
    (code[begins].text == "pub").then_some(begins)
}

/// Leaves out what stands under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let is_test = tokens[at..].iter().take(7).map(|t| t.text.as_str()).eq(TEST);
        if !is_test {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += TEST.len();
        let mut depth = 0usize;
        while at < tokens.len() {
            let sign = tokens[at].text.as_str();
            at += 1;
            match sign {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            // Other attributes may follow; the item ends with its body or its semicolon.
            if depth == 0 && matches!(sign, "}" | ";") {
                break;
            }
        }
    }
    kept
}

/// The leaves of a `use` tree: local name and path.
fn tree(
    tokens: &[Token],
    at: &mut usize,
    before: &[String],
    leaves: &mut Vec<(String, Vec<String>)>,
) {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(*at) {
        match token.text.as_str() {
            "::" => *at += 1,
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|t| t.text != "}") {
                    tree(tokens, at, &path, leaves);
                    if tokens.get(*at).is_some_and(|t| t.text == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "}" | "," => break,
            "*" => {
                *at += 1;
                leaves.push(("*".into(), path));
                return;
            }
            "as" => {
                let name = tokens.get(*at + 1).map_or("_", |t| t.text.as_str()).to_owned();
                *at += 2;
                leaves.push((name, path));
                return;
            }
            "self" if !path.is_empty() => *at += 1,
            name => {
                path.push(name.to_owned());
                *at += 1;
            }
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    leaves.push((name, path));
}

/// Paths of two segments or more.
fn paths(code: &[&Token]) -> Vec<Use> {
    let text = |at: usize| code.get(at).map_or("", |t| t.text.as_str());
    let is_name = |at: usize| text(at).starts_with(|c: char| c.is_alphabetic() || c == '_');
    let (mut found, mut at) = (Vec::new(), 0);
    while at < code.len() {
        if !is_name(at) || text(at + 1) != "::" || (at > 0 && text(at - 1) == "::") {
            at += 1;
            continue;
        }
        let mut used = Use { path: vec![text(at).to_owned()], line: code[at].line };
        while text(at + 1) == "::" && is_name(at + 2) {
            used.path.push(text(at + 2).to_owned());
            at += 2;
        }
        if used.path.len() > 1 {
            found.push(used);
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(uses: &[(String, Use)]) -> Vec<String> {
        uses.iter().map(|(name, used)| format!("{name}={}", used.path.join("::"))).collect()
    }

    #[test]
    fn imports_exports_modules_and_paths_are_told_apart() {
        let found = imports(
            "mod a; pub mod b;\n#[cfg(test)] mod tests;\n\
             use crate::x::{self, Y, z::{W as V, *}};\npub use a::Given;\n\
             pub(crate) use b::Both;\nfn f(_: Both) { b::run(super::q::Z::new()); }\n\
             #[cfg(test)]\nmod more { use crate::hidden::T; }",
        );
        assert_eq!(found.modules, ["a", "b"]);
        assert_eq!(
            joined(&found.imports),
            ["x=crate::x", "Y=crate::x::Y", "V=crate::x::z::W", "*=crate::x::z", "Both=b::Both"]
        );
        assert_eq!(joined(&found.exports), ["Given=a::Given", "Both=b::Both"]);
        let paths: Vec<String> = found.paths.iter().map(|used| used.path.join("::")).collect();
        assert_eq!(paths, ["b::run", "super::q::Z::new"]);
    }
}
