//! PostgreSQL's functions that its catalog names: those that read and write types, and more.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A function that PostgreSQL brings.
#[derive(Debug, Clone)]
pub(crate) struct ProcRow {
    /// Its number.
    pub(crate) oid: u32,
    /// Its name.
    pub(crate) name: &'static str,
    /// The type that it gives.
    pub(crate) returns: u32,
    /// Whether it gives rows.
    pub(crate) is_set: bool,
    /// `i`, `s` or `v`: how far its answer depends on more than its arguments.
    pub(crate) volatility: &'static str,
    /// Whether a null gives a null.
    pub(crate) is_strict: bool,
    /// `f`, `a` or `w`: function, aggregate, window.
    pub(crate) kind: &'static str,
    /// The types that it takes.
    pub(crate) arguments: Vec<u32>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Procs {
    /// By number.
    pub(crate) rows: Vec<ProcRow>,
    by_oid: HashMap<u32, usize>,
    by_name: HashMap<&'static str, usize>,
}

impl Procs {
    /// The function with a number.
    pub(crate) fn by_oid(&self, oid: u32) -> Option<&ProcRow> {
        self.by_oid.get(&oid).and_then(|at| self.rows.get(*at))
    }

    /// The first function with a name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&ProcRow> {
        let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
        self.by_name.get(name).and_then(|at| self.rows.get(*at))
    }

    /// The number of a function, 0 where there is none (`-`).
    pub(crate) fn oid_of(&self, name: &str) -> u32 {
        self.by_name(name).map_or(0, |row| row.oid)
    }
}

/// PostgreSQL's functions.
pub(crate) fn procs() -> &'static Procs {
    static PROCS: OnceLock<Procs> = OnceLock::new();
    PROCS.get_or_init(|| {
        let rows: Vec<_> = include_str!("functions.txt").lines().filter_map(parse).collect();
        let by_oid = rows.iter().enumerate().map(|(at, row)| (row.oid, at)).collect();
        // Of several with one name the first counts.
        let by_name = rows.iter().enumerate().rev().map(|(at, row)| (row.name, at)).collect();
        Procs { rows, by_oid, by_name }
    })
}

fn parse(line: &'static str) -> Option<ProcRow> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    let oid = next()?.parse().ok()?;
    let name = next()?;
    let returns = next()?.parse().ok()?;
    let is_set = next()? == "1";
    let volatility = next()?;
    let is_strict = next()? == "1";
    let _count = next()?;
    let kind = next()?;
    let arguments = next()?.split(',').filter_map(|oid| oid.parse().ok()).collect();
    Some(ProcRow { oid, name, returns, is_set, volatility, is_strict, kind, arguments })
}

#[cfg(test)]
mod tests {
    use super::super::types::types;
    use super::*;

    #[test]
    fn every_function_that_a_type_names_is_there() {
        assert_eq!(procs().rows.len(), include_str!("functions.txt").lines().count());
        for row in &types().rows {
            for name in row.functions.iter().filter(|name| **name != "-") {
                assert_ne!(procs().oid_of(name), 0, "{name} of {}", row.name);
            }
        }
        assert_eq!(procs().oid_of("array_in"), 750);
        assert_eq!(procs().oid_of("-"), 0);
    }
}
