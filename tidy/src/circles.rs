//! Modules of a crate that import each other in a circle.

use crate::imports::{Imports, Use, imports};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The path of a module within its crate, without `crate`.
type Module = Vec<String>;

/// A crate's modules by their paths.
#[derive(Debug, Default)]
pub struct Crate {
    modules: BTreeMap<Module, (PathBuf, Imports)>,
}

impl Crate {
    /// Reads the modules from a crate's root file on.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut read = Self::default();
        read.add(Vec::new(), root.to_owned(), root.parent().unwrap_or(Path::new("")))?;
        Ok(read)
    }

    /// Adds the module of a file, whose own modules are in `folder`.
    fn add(&mut self, module: Module, file: PathBuf, folder: &Path) -> io::Result<()> {
        let found = imports(&std::fs::read_to_string(&file)?);
        for name in &found.modules {
            let own = folder.join(name);
            let (flat, nested) = (folder.join(format!("{name}.rs")), own.join("mod.rs"));
            let child: Module = module.iter().chain([name]).cloned().collect();
            self.add(child, if flat.is_file() { flat } else { nested }, &own)?;
        }
        self.modules.insert(module, (file, found));
        Ok(())
    }

    /// The module that a path ends in, as `from` sees it; `None` for one of another crate.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (_, here) = self.modules.get(from)?;
        let (first, rest) = path.split_first()?;
        if depth == 0 {
            return None;
        }
        let (mut at, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), rest),
            "self" => (from.clone(), rest),
            "super" => (from.split_last()?.1.to_vec(), rest),
            name if here.modules.iter().any(|module| module == name) => (from.clone(), path),
            name => {
                // A name that was imported: what follows is within it.
                let (_, used) = here.imports.iter().find(|(local, _)| local == name)?;
                let whole: Vec<String> = used.path.iter().chain(rest).cloned().collect();
                return if used.path.first().is_some_and(|first| first == name) {
                    None
                } else {
                    self.resolve(from, &whole, depth - 1)
                };
            }
        };
        while let Some((name, later)) = rest.split_first() {
            if name == "super" {
                at.pop();
                rest = later;
                continue;
            }
            let child: Module = at.iter().chain([name]).cloned().collect();
            if self.modules.contains_key(&child) {
                at = child;
                rest = later;
                continue;
            }
            return self.exported(&at, name, depth).or(Some(at));
        }
        Some(at)
    }

    /// The module from which `module` re-exports a name.
    fn exported(&self, module: &Module, name: &str, depth: usize) -> Option<Module> {
        let (_, found) = self.modules.get(module)?;
        if let Some((_, used)) = found.exports.iter().find(|(given, _)| given == name)
            && used.path.len() > 1
        {
            return self.resolve(module, &used.path, depth.checked_sub(1)?);
        }
        // Of several glob re-exports, it is not looked up which one has the name: one is the common
        // case.
        match found.exported_globs.as_slice() {
            [only] => self.resolve(module, &only.path, depth.checked_sub(1)?),
            _ => None,
        }
    }

    /// By module, the modules that it names, each with the line of the first time.
    fn edges(&self) -> BTreeMap<&Module, BTreeMap<Module, usize>> {
        const DEPTH: usize = 16;
        let mut edges: BTreeMap<&Module, BTreeMap<Module, usize>> = BTreeMap::new();
        for (module, (_, found)) in &self.modules {
            let named = found.imports.iter().map(|(_, used)| used).chain(&found.paths);
            let to = edges.entry(module).or_default();
            for Use { path, line } in named {
                if let Some(other) = self.resolve(module, path, DEPTH)
                    && other != *module
                {
                    to.entry(other).or_insert(*line);
                }
            }
        }
        edges
    }

    /// The circles: each as the imports between its modules, a line each.
    #[must_use]
    pub fn circles(&self) -> Vec<Vec<String>> {
        let edges = self.edges();
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            edges.keys().map(|module| (*module, reached(&edges, module))).collect();
        let mut seen: BTreeSet<Module> = BTreeSet::new();
        let mut circles = Vec::new();
        for module in edges.keys() {
            if seen.contains(*module) || !reached[*module].contains(*module) {
                continue;
            }
            let circle: BTreeSet<Module> = reached[*module]
                .iter()
                .filter(|other| reached.get(*other).is_some_and(|back| back.contains(*module)))
                .cloned()
                .collect();
            let mut lines = Vec::new();
            for from in &circle {
                for (to, line) in edges[from].iter().filter(|(to, _)| circle.contains(*to)) {
                    let file = self.modules[from].0.display();
                    lines.push(format!("{file}:{line}: {} uses {}", name(from), name(to)));
                }
            }
            seen.extend(circle);
            circles.push(lines);
        }
        circles
    }
}

/// The modules that can be reached from one, itself only in a circle.
fn reached(edges: &BTreeMap<&Module, BTreeMap<Module, usize>>, from: &Module) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for (to, _) in edges.get(module).into_iter().flatten() {
            if reached.insert(to.clone()) {
                open.push(to);
            }
        }
    }
    reached
}

fn name(module: &Module) -> String {
    if module.is_empty() { "crate".into() } else { module.join("::") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let modules = files.iter().map(|(path, text)| {
            let module: Module =
                path.split("::").filter(|p| !p.is_empty()).map(Into::into).collect();
            (module, (PathBuf::from(format!("{path}.rs")), imports(text)))
        });
        Crate { modules: modules.collect() }.circles()
    }

    #[test]
    fn circles_are_found_through_parents_and_names_that_are_given_on() {
        let none: Vec<Vec<String>> = Vec::new();
        // A parent that only re-exports names is no part of a circle.
        let facade = [
            ("", "mod a; mod b;"),
            ("a", "mod one; mod two; pub use one::One; pub use two::Two;"),
            ("a::one", "pub struct One;"),
            ("a::two", "use crate::a::One; pub struct Two(One);"),
            ("b", "use crate::a::{One, Two};"),
        ];
        assert_eq!(of(&facade), none);
        let siblings = [
            ("", "mod a; mod b;"),
            ("a", "use crate::b::B; pub struct A;"),
            ("b", "pub struct B; fn f() { super::a::A; }"),
        ];
        assert_eq!(of(&siblings), [["a.rs:1: a uses b", "b.rs:1: b uses a"]]);
        let parent = [
            ("", "mod a;"),
            ("a", "mod own; pub struct A; fn f() { own::g() }"),
            ("a::own", "use super::A; pub fn g() {}"),
        ];
        assert_eq!(of(&parent), [["a.rs:1: a uses a::own", "a::own.rs:1: a::own uses a"]]);
        // A re-exported name counts if the module uses it itself.
        let used = [
            ("", "mod a;"),
            ("a", "mod own; pub use own::G; pub struct A(G);"),
            ("a::own", "use super::A; pub struct G;"),
        ];
        assert_eq!(of(&used).len(), 1);
        let through = [
            ("", "mod a; mod b; mod c;"),
            ("a", "use crate::b; fn f() { b::g() }"),
            ("b", "use crate::c::C;"),
            ("c", "use crate::a::f;"),
        ];
        assert_eq!(of(&through)[0].len(), 3);
    }
}
