//! Which tables an expression can refer to.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins,
};

use super::super::known::{Known, Relation};
use super::super::tables::columns::system_tables;
use super::super::tables::has_rows;
use super::build::{normal, parts};
use super::item_name::item_name;
use super::join_kind::has_merged;

/// A table of a FROM.
#[derive(Debug, Clone)]
pub(super) struct ScopeTable {
    /// By what its columns are qualified.
    pub(super) name: String,
    /// Its columns, if they are known.
    pub(super) columns: Option<Vec<String>>,
    /// Its number, if it is a table of the catalog.
    pub(super) oid: Option<u32>,
    /// Whether it is known to have no rows, and is not the side of a join that may have none.
    pub(super) is_empty: bool,
    /// Whether it is the side of a join that may have no row.
    pub(super) may_lack: bool,
}

/// A table of WITH.
#[derive(Debug)]
struct WithTable {
    name: String,
    /// Its columns, if they are known.
    columns: Option<Vec<String>>,
}

/// The tables of the selects around an expression, and the names of WITH.
#[derive(Debug)]
pub(super) struct Scopes {
    selects: Vec<Vec<ScopeTable>>,
    with: Vec<Vec<WithTable>>,
    /// The schemas that are searched.
    pub(super) path: Vec<String>,
}

impl Scopes {
    pub(super) fn new(path: &[String]) -> Self {
        Self { selects: Vec::new(), with: Vec::new(), path: path.to_vec() }
    }

    pub(super) fn enter_query(&mut self, query: &Query, known: &Known) {
        self.with.push(Vec::new());
        // One of them may read those before it.
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let alias = &table.alias;
            let columns = match alias.columns.as_slice() {
                [] => self.columns_of(&table.query.body, known),
                columns => Some(columns.iter().map(|column| normal(&column.name)).collect()),
            };
            let with = WithTable { name: normal(&alias.name), columns };
            if let Some(all) = self.with.last_mut() {
                all.push(with);
            }
        }
    }

    pub(super) fn leave_query(&mut self) {
        self.with.pop();
    }

    pub(super) fn enter_select(&mut self, select: &Select, known: &Known) {
        let tables = self.tables_of(select, known);
        self.selects.push(tables);
    }

    pub(super) fn leave_select(&mut self) {
        self.selects.pop();
    }

    /// The tables of the innermost select.
    pub(super) fn here(&self) -> &[ScopeTable] {
        self.selects.last().map_or(&[], Vec::as_slice)
    }

    /// The tables of the selects around, the innermost first.
    pub(super) fn outwards(&self) -> impl Iterator<Item = &[ScopeTable]> {
        self.selects.iter().rev().map(Vec::as_slice)
    }

    /// Whether a name is one of WITH.
    pub(super) fn is_with(&self, name: &str) -> bool {
        self.with_table(name).is_some()
    }

    fn with_table(&self, name: &str) -> Option<&WithTable> {
        let mut all = self.with.iter().rev().flat_map(|with| with.iter().rev());
        all.find(|table| table.name == name)
    }

    /// The tables of a select's FROM.
    pub(super) fn tables_of(&self, select: &Select, known: &Known) -> Vec<ScopeTable> {
        let mut tables = Vec::new();
        for table in &select.from {
            self.add_joined(table, known, &mut tables);
        }
        tables
    }

    /// The tables of one part of a FROM.
    pub(super) fn tables_in(&self, factor: &TableFactor, known: &Known) -> Vec<ScopeTable> {
        let mut tables = Vec::new();
        self.add(factor, known, &mut tables);
        tables
    }

    /// The names of a query's columns, where they are known.
    fn columns_of(&self, body: &SetExpr, known: &Known) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(select) => {
                let mut names = Vec::new();
                for item in &select.projection {
                    match item {
                        SelectItem::UnnamedExpr(expr) => names.push(item_name(expr)),
                        SelectItem::ExprWithAlias { alias, .. } => names.push(normal(alias)),
                        SelectItem::Wildcard(_) if !select.from.iter().any(has_merged) => {
                            for table in self.tables_of(select, known) {
                                names.extend(table.columns?);
                            }
                        }
                        _ => return None,
                    }
                }
                Some(names)
            }
            SetExpr::Values(values) => {
                let first = values.rows.first()?;
                Some((1..=first.content.len()).map(|at| format!("column{at}")).collect())
            }
            SetExpr::SetOperation { left, .. } => self.columns_of(left, known),
            SetExpr::Query(query) => self.columns_of(&query.body, known),
            _ => None,
        }
    }

    fn add_joined(&self, joined: &TableWithJoins, known: &Known, tables: &mut Vec<ScopeTable>) {
        use datafusion::sql::sqlparser::ast::JoinOperator as J;
        let first = tables.len();
        self.add(&joined.relation, known, tables);
        for join in &joined.joins {
            let second = tables.len();
            self.add(&join.relation, known, tables);
            let (keeps_left, keeps_right) = match &join.join_operator {
                J::Left(_) | J::LeftOuter(_) | J::LeftSemi(_) | J::LeftAnti(_) => (true, false),
                J::Right(_) | J::RightOuter(_) => (false, true),
                J::FullOuter(_) => (false, false),
                _ => (true, true),
            };
            for (at, table) in tables.iter_mut().enumerate().skip(first) {
                let keeps = if at < second { keeps_left } else { keeps_right };
                table.is_empty &= keeps;
                table.may_lack |= !keeps;
            }
        }
    }

    fn add(&self, factor: &TableFactor, known: &Known, tables: &mut Vec<ScopeTable>) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts = parts(name);
                let Some(last) = parts.last().cloned() else { return };
                let mut table = match self.with_table(&last).filter(|_| parts.len() == 1) {
                    Some(with) => ScopeTable { columns: with.columns.clone(), ..unknown(last) },
                    None => table(&parts, known, &self.path),
                };
                if let Some(alias) = alias {
                    table.name = normal(&alias.name);
                    if !alias.columns.is_empty() {
                        table.columns =
                            Some(alias.columns.iter().map(|one| normal(&one.name)).collect());
                    }
                }
                tables.push(table);
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let name = alias.as_ref().map(|alias| normal(&alias.name)).unwrap_or_default();
                let columns = match alias {
                    Some(alias) if !alias.columns.is_empty() => {
                        Some(alias.columns.iter().map(|one| normal(&one.name)).collect())
                    }
                    _ => self.columns_of(&subquery.body, known),
                };
                tables.push(ScopeTable { columns, ..unknown(name) });
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.add_joined(table_with_joins, known, tables);
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                let name = alias.as_ref().map(|alias| normal(&alias.name)).unwrap_or_default();
                let is_empty = matches!(array_exprs.as_slice(), [one] if is_never_set(one));
                tables.push(ScopeTable { is_empty, ..unknown(name) });
            }
            TableFactor::Table { args: Some(args), alias, .. } => {
                let name = alias.as_ref().map(|alias| normal(&alias.name)).unwrap_or_default();
                let is_empty = match args.args.as_slice() {
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(one))] => is_never_set(one),
                    _ => false,
                };
                tables.push(ScopeTable { is_empty, ..unknown(name) });
            }
            TableFactor::Function { alias, .. } | TableFactor::NestedJoin { alias, .. } => {
                let name = alias.as_ref().map(|alias| normal(&alias.name)).unwrap_or_default();
                tables.push(unknown(name));
            }
            _ => tables.push(unknown(String::new())),
        }
    }
}

/// Whether an expression is a column of the catalog that is always null.
fn is_never_set(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Identifier(name) => normal(name),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal).unwrap_or_default(),
        _ => return false,
    };
    name == "reloptions" || name.ends_with("acl")
}

fn unknown(name: String) -> ScopeTable {
    ScopeTable { name, columns: None, oid: None, is_empty: false, may_lack: false }
}

fn table(parts: &[String], known: &Known, path: &[String]) -> ScopeTable {
    let name = parts.last().cloned().unwrap_or_default();
    let relation = match parts.iter().rev().nth(1) {
        Some(schema) => known.relation_named(Some(schema), &name),
        None => known.relation_in(path, &name),
    };
    match relation {
        Some(Relation::System(table)) => ScopeTable {
            name,
            columns: Some(table.columns.iter().map(|one| one.name.to_owned()).collect()),
            oid: Some(table.oid),
            is_empty: !has_rows(table.schema, table.name),
            may_lack: false,
        },
        Some(Relation::Table(table)) => ScopeTable {
            name,
            columns: Some(
                known.shown_table(table).columns.iter().map(|c| c.field.name().clone()).collect(),
            ),
            oid: Some(table.oid),
            is_empty: false,
            may_lack: false,
        },
        Some(Relation::Index(..)) | None => unknown(name),
    }
}

/// Whether a name alone stands for a table of PostgreSQL's.
pub(super) fn is_system(name: &str) -> bool {
    system_tables().get("pg_catalog", name).is_some()
}
