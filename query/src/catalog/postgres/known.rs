//! What a user may see, with the numbers by which PostgreSQL's catalog refers to it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use xxhash_rust::xxh3::xxh3_64;

use super::tables::columns::{SystemTable, system_tables};
use crate::builtins::types::types;
use crate::catalog::shown::{ShownCatalog, ShownTable};

/// The number of `pg_catalog`.
pub(crate) const PG_CATALOG: u32 = 11;
/// The number of `public`.
pub(crate) const PUBLIC: u32 = 2200;
/// The number of `information_schema`.
pub(crate) const INFORMATION_SCHEMA: u32 = 13_207;
/// The number of the role that owns everything.
pub(crate) const OWNER: u32 = 10;
/// The name of the role that owns everything.
pub(crate) const OWNER_NAME: &str = "riskstream";
/// The first number that PostgreSQL gives to what users make.
const FIRST_OID: u32 = 16_384;

/// The schemas that are searched where nobody says otherwise.
pub(crate) fn default_path() -> [String; 1] {
    ["public".to_owned()]
}

/// A user's catalog with numbers. Made once for a catalog, and shared by tables, functions and
/// rewriting.
#[derive(Debug)]
pub(crate) struct Known {
    /// What the user may see.
    pub(crate) shown: Arc<ShownCatalog>,
    /// The number of the database.
    pub(crate) database: u32,
    /// Schemas with their numbers, PostgreSQL's own first.
    pub(crate) schemas: Vec<KnownSchema>,
    /// Tables with their numbers, in order of schema and name.
    pub(crate) tables: Vec<KnownTable>,
    /// Roles with their numbers: the owner, the user, its roles.
    pub(crate) roles: Vec<(String, u32)>,
    by_oid: HashMap<u32, usize>,
    by_name: HashMap<String, usize>,
    by_type: HashMap<u32, usize>,
}

/// A schema with its number.
#[derive(Debug, Clone)]
pub(crate) struct KnownSchema {
    /// Its name.
    pub(crate) name: String,
    /// Its number.
    pub(crate) oid: u32,
    /// What it is for.
    pub(crate) about: Option<String>,
}

/// A table with its numbers.
#[derive(Debug, Clone)]
pub(crate) struct KnownTable {
    /// Its schema and itself, by place in what is shown.
    at: (usize, usize),
    /// Its schema's number.
    pub(crate) schema_oid: u32,
    /// Its number.
    pub(crate) oid: u32,
    /// The number of the type of its rows.
    pub(crate) row_type: u32,
    /// The number of the type of arrays of its rows.
    pub(crate) row_array: u32,
    /// Its key, if one is declared.
    pub(crate) key: Option<KnownKey>,
}

/// A table's key: PostgreSQL has an index and a constraint for it.
#[derive(Debug, Clone)]
pub(crate) struct KnownKey {
    /// The name of both.
    pub(crate) name: String,
    /// The number of the index.
    pub(crate) index: u32,
    /// The number of the constraint.
    pub(crate) constraint: u32,
    /// The numbers of its columns, from 1.
    pub(crate) columns: Vec<i16>,
}

/// What a name or number of `regclass` means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Relation<'a> {
    /// A table of the user.
    Table(&'a KnownTable),
    /// A key's index.
    Index(&'a KnownTable, &'a KnownKey),
    /// A table of PostgreSQL's catalog.
    System(&'static SystemTable),
}

impl Relation<'_> {
    /// Its number.
    pub(crate) fn oid(self) -> u32 {
        match self {
            Self::Table(table) => table.oid,
            Self::Index(_, key) => key.index,
            Self::System(table) => table.oid,
        }
    }
}

impl Known {
    /// Numbers everything. The same names have the same numbers in every program.
    pub(crate) fn new(shown: Arc<ShownCatalog>) -> Arc<Self> {
        let oids = Oids::of(&shown);
        let mut schemas: Vec<_> =
            [("pg_catalog", PG_CATALOG), ("information_schema", INFORMATION_SCHEMA)]
                .into_iter()
                .map(|(name, oid)| KnownSchema { name: name.to_owned(), oid, about: None })
                .collect();
        let mut tables = Vec::new();
        for (schema_at, schema) in shown.schemas.iter().enumerate() {
            let schema_oid = oids.schema(&schema.name);
            let name = schema.name.clone();
            schemas.push(KnownSchema { name, oid: schema_oid, about: schema.about.clone() });
            for (table_at, table) in schema.tables.iter().enumerate() {
                let full = format!("{}.{}", schema.name, table.name);
                tables.push(KnownTable {
                    at: (schema_at, table_at),
                    schema_oid,
                    oid: oids.of_label(&format!("table {full}")),
                    row_type: oids.of_label(&format!("type {full}")),
                    row_array: oids.of_label(&format!("array {full}")),
                    key: key_of(table, &full, &oids),
                });
            }
        }
        if !schemas.iter().any(|schema| schema.oid == PUBLIC) {
            schemas.push(KnownSchema { name: "public".to_owned(), oid: PUBLIC, about: None });
        }
        let mut roles = vec![(OWNER_NAME.to_owned(), OWNER)];
        for name in std::iter::once(&shown.user).chain(&shown.roles) {
            if !roles.iter().any(|(known, _)| known == name) {
                roles.push((name.clone(), oids.of_label(&format!("role {name}"))));
            }
        }
        let database = oids.of_label("database");
        let mut by_oid = HashMap::new();
        let mut by_type = HashMap::new();
        let mut by_name = HashMap::new();
        for (at, table) in tables.iter().enumerate() {
            let schema = &shown.schemas[table.at.0];
            by_oid.insert(table.oid, at);
            by_type.insert(table.row_type, at);
            by_type.insert(table.row_array, at);
            by_name.insert(format!("{}\0{}", schema.name, schema.tables[table.at.1].name), at);
            if let Some(key) = &table.key {
                by_oid.insert(key.index, at);
                by_name.insert(format!("{}\0{}", schema.name, key.name), at);
            }
        }
        Arc::new(Self { shown, database, schemas, tables, roles, by_oid, by_name, by_type })
    }

    /// A table as it is shown.
    pub(crate) fn shown_table(&self, table: &KnownTable) -> &ShownTable {
        &self.shown.schemas[table.at.0].tables[table.at.1]
    }

    /// The name of a table's schema.
    pub(crate) fn schema_name(&self, table: &KnownTable) -> &str {
        &self.shown.schemas[table.at.0].name
    }

    /// The table or index with a number.
    pub(crate) fn relation(&self, oid: u32) -> Option<Relation<'_>> {
        if let Some(table) = self.by_oid.get(&oid).and_then(|at| self.tables.get(*at)) {
            return Some(match &table.key {
                Some(key) if key.index == oid => Relation::Index(table, key),
                _ => Relation::Table(table),
            });
        }
        system_tables().by_oid(oid).map(Relation::System)
    }

    /// The table or index with a name, in one schema or in those that are searched.
    pub(crate) fn relation_named(&self, schema: Option<&str>, name: &str) -> Option<Relation<'_>> {
        match schema {
            Some("pg_catalog" | "information_schema") => {
                system_tables().get(schema?, name).map(Relation::System)
            }
            Some(schema) => {
                let table = self.tables.get(*self.by_name.get(&format!("{schema}\0{name}"))?)?;
                Some(match &table.key {
                    Some(key) if key.name == name => Relation::Index(table, key),
                    _ => Relation::Table(table),
                })
            }
            None => self.relation_in(&default_path(), name),
        }
    }

    /// The table or index with a name in the first schema of a search path that has one.
    /// PostgreSQL's own schema comes first, unless the path says otherwise.
    pub(crate) fn relation_in(&self, path: &[String], name: &str) -> Option<Relation<'_>> {
        let own = (!path.iter().any(|schema| schema == "pg_catalog")).then_some("pg_catalog");
        let path = own.into_iter().chain(path.iter().map(String::as_str));
        path.into_iter().find_map(|schema| self.relation_named(Some(schema), name))
    }

    /// The table or index that a text means, as `'…'::regclass` reads it.
    pub(crate) fn relation_of_text(&self, text: &str, path: &[String]) -> Option<Relation<'_>> {
        if let Ok(oid) = text.trim().parse() {
            return self.relation(oid);
        }
        let mut parts = split_name(text)?;
        let name = parts.pop()?;
        let schema = parts.pop();
        if parts.pop().is_some_and(|database| database != self.shown.database) {
            return None;
        }
        match schema {
            Some(schema) => self.relation_named(Some(&schema), &name),
            None => self.relation_in(path, &name),
        }
    }

    /// The name of a relation as `regclass` prints it: with its schema where its bare name is not
    /// enough for a search path.
    pub(crate) fn relation_text(&self, relation: Relation<'_>, path: &[String]) -> String {
        let (schema, name) = match relation {
            Relation::Table(table) => {
                (self.schema_name(table), self.shown_table(table).name.as_str())
            }
            Relation::Index(table, key) => (self.schema_name(table), key.name.as_str()),
            Relation::System(table) => (table.schema, table.name),
        };
        match self.is_visible(relation, path) {
            true => quote_ident(name),
            false => format!("{}.{}", quote_ident(schema), quote_ident(name)),
        }
    }

    /// Whether the bare name of a relation means it, for a search path.
    pub(crate) fn is_visible(&self, relation: Relation<'_>, path: &[String]) -> bool {
        let found = self.relation_in(path, self.relation_name(relation));
        found.is_some_and(|found| found.oid() == relation.oid())
    }

    fn relation_name<'a>(&'a self, relation: Relation<'a>) -> &'a str {
        match relation {
            Relation::Table(table) => &self.shown_table(table).name,
            Relation::Index(_, key) => &key.name,
            Relation::System(table) => table.name,
        }
    }

    /// The name of a type as `format_type` gives it, for types of rows too.
    pub(crate) fn type_text(&self, oid: u32, modifier: i32) -> Option<String> {
        if let Some(row) = types().by_oid(oid) {
            return Some(crate::builtins::types::format_type(row, modifier));
        }
        let table = self.by_type.get(&oid).and_then(|at| self.tables.get(*at))?;
        let name = self.relation_text(Relation::Table(table), &default_path());
        Some(if table.row_array == oid { format!("{name}[]") } else { name })
    }

    /// The number of the type that a text means, types of rows included.
    pub(crate) fn type_of_text(&self, text: &str) -> Option<u32> {
        if let Ok(oid) = text.trim().parse() {
            return Some(oid);
        }
        if let Some(row) = types().by_text(text) {
            return Some(row.oid);
        }
        let name = text.strip_suffix("[]").unwrap_or(text);
        match self.relation_of_text(name, &default_path())? {
            Relation::Table(table) if text.ends_with("[]") => Some(table.row_array),
            Relation::Table(table) => Some(table.row_type),
            Relation::Index(..) | Relation::System(_) => None,
        }
    }

    /// The schema with a number.
    pub(crate) fn schema(&self, oid: u32) -> Option<&KnownSchema> {
        self.schemas.iter().find(|schema| schema.oid == oid)
    }

    /// The schema with a name.
    pub(crate) fn schema_named(&self, name: &str) -> Option<&KnownSchema> {
        self.schemas.iter().find(|schema| schema.name == name)
    }

    /// The role with a number.
    pub(crate) fn role(&self, oid: u32) -> Option<&str> {
        self.roles.iter().find(|(_, role)| *role == oid).map(|(name, _)| name.as_str())
    }

    /// The number of the user.
    pub(crate) fn user_oid(&self) -> u32 {
        self.roles.iter().find(|(name, _)| *name == self.shown.user).map_or(OWNER, |(_, oid)| *oid)
    }
}

fn key_of(table: &ShownTable, full: &str, oids: &Oids) -> Option<KnownKey> {
    let columns: Option<Vec<i16>> = table
        .key
        .iter()
        .map(|name| {
            let at = table.columns.iter().position(|column| column.field.name() == name)?;
            i16::try_from(at + 1).ok()
        })
        .collect();
    let columns = columns.filter(|columns| !columns.is_empty())?;
    Some(KnownKey {
        name: format!("{}_pkey", table.name),
        index: oids.of_label(&format!("index {full}")),
        constraint: oids.of_label(&format!("constraint {full}")),
        columns,
    })
}

/// Numbers by what they are for.
struct Oids(BTreeMap<String, u32>);

impl Oids {
    fn of(shown: &ShownCatalog) -> Self {
        let mut labels: Vec<_> = std::iter::once(&shown.user)
            .chain(&shown.roles)
            .map(|role| format!("role {role}"))
            .chain(["database".to_owned()])
            .collect();
        for schema in &shown.schemas {
            labels.push(format!("schema {}", schema.name));
            for table in &schema.tables {
                for kind in ["table", "type", "array", "index", "constraint"] {
                    labels.push(format!("{kind} {}.{}", schema.name, table.name));
                }
            }
        }
        // Of two labels with one number the later in order moves on, whatever order they came in.
        labels.sort_unstable();
        labels.dedup();
        let mut taken = HashSet::new();
        let oids = labels.into_iter().map(|label| {
            let mut oid = number(&label);
            while !taken.insert(oid) {
                oid = FIRST_OID.max((oid + 1) & LAST_OID);
            }
            (label, oid)
        });
        Self(oids.collect())
    }

    fn of_label(&self, label: &str) -> u32 {
        self.0.get(label).copied().unwrap_or_else(|| number(label))
    }

    fn schema(&self, name: &str) -> u32 {
        match name {
            "public" => PUBLIC,
            _ => self.of_label(&format!("schema {name}")),
        }
    }
}

/// Clients keep numbers in an `int4`.
const LAST_OID: u32 = 0x7fff_ffff;

/// A number in the range of users' things, from a name.
fn number(label: &str) -> u32 {
    let range = u64::from(LAST_OID - FIRST_OID);
    u32::try_from(xxh3_64(label.as_bytes()) % range).unwrap_or_default() + FIRST_OID
}

/// The parts of a name with dots, as PostgreSQL reads it: lower case where it is not quoted.
pub(crate) fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut characters = quoted.char_indices().peekable();
            let end = loop {
                match characters.next()? {
                    (_, '"') if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                        part.push('"');
                        characters.next();
                    }
                    (at, '"') => break at + 1,
                    (_, other) => part.push(other),
                }
            };
            parts.push(part);
            rest = quoted[end..].trim_start();
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let part = rest[..end].trim();
            if part.is_empty() {
                return None;
            }
            parts.push(part.to_ascii_lowercase());
            rest = &rest[end..];
        }
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// A name as it has to stand in SQL: in quotes where it would be read otherwise.
pub(crate) fn quote_ident(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Words that PostgreSQL's `quote_ident` puts in quotes: all of its words that are not free.
fn reserved(word: &str) -> bool {
    static WORDS: OnceLock<HashSet<&'static str>> = OnceLock::new();
    WORDS
        .get_or_init(|| {
            include_str!("lists/keywords.txt")
                .lines()
                .filter_map(|line| {
                    let mut parts = line.split(' ');
                    let word = parts.next()?;
                    parts.next().filter(|category| *category != "U").map(|_| word)
                })
                .collect()
        })
        .contains(word)
}
