//! Which tables an expression can refer to.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins,
};

use super::super::known::{Known, Relation};
use super::super::tables::columns::system_tables;
use super::super::tables::has_rows;
use super::build::{cast, normal, number, parts, text};
use super::item_name::item_name;

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
}

/// The tables of the selects around an expression, and the names of WITH.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    selects: Vec<Vec<ScopeTable>>,
    with: Vec<Vec<String>>,
}

impl Scopes {
    pub(super) fn enter_query(&mut self, query: &Query) {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.with.push(with.map(|table| normal(&table.alias.name)).collect());
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

    /// Whether a name is one of WITH.
    pub(super) fn is_with(&self, name: &str) -> bool {
        self.with.iter().flatten().any(|with| with == name)
    }

    /// The tables of a select's FROM.
    pub(super) fn tables_of(&self, select: &Select, known: &Known) -> Vec<ScopeTable> {
        let mut tables = Vec::new();
        for table in &select.from {
            self.add_joined(table, known, &mut tables);
        }
        tables
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
                table.is_empty &= if at < second { keeps_left } else { keeps_right };
            }
        }
    }

    fn add(&self, factor: &TableFactor, known: &Known, tables: &mut Vec<ScopeTable>) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts = parts(name);
                let Some(last) = parts.last().cloned() else { return };
                let mut table = match self.is_with(&last) && parts.len() == 1 {
                    true => unknown(last),
                    false => table(&parts, known),
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
                    _ => columns_of(&subquery.body),
                };
                tables.push(ScopeTable { name, columns, oid: None, is_empty: false });
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
    ScopeTable { name, columns: None, oid: None, is_empty: false }
}

fn table(parts: &[String], known: &Known) -> ScopeTable {
    let name = parts.last().cloned().unwrap_or_default();
    let schema = parts.iter().rev().nth(1);
    match known.relation_named(schema.map(String::as_str), &name) {
        Some(Relation::System(table)) => ScopeTable {
            name,
            columns: Some(table.columns.iter().map(|one| one.name.to_owned()).collect()),
            oid: Some(table.oid),
            is_empty: !has_rows(table.schema, table.name),
        },
        Some(Relation::Table(table)) => ScopeTable {
            name,
            columns: Some(
                known.shown_table(table).columns.iter().map(|c| c.field.name().clone()).collect(),
            ),
            oid: Some(table.oid),
            is_empty: false,
        },
        Some(Relation::Index(..)) | None => unknown(name),
    }
}

/// The names of a query's columns, where no wildcard hides them.
fn columns_of(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::UnnamedExpr(expr) => Some(item_name(expr)),
                SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
                _ => None,
            })
            .collect(),
        SetExpr::SetOperation { left, .. } => columns_of(left),
        SetExpr::Query(query) => columns_of(&query.body),
        _ => None,
    }
}

/// Columns that every table of PostgreSQL has and no `*` shows.
pub(super) const HIDDEN_COLUMNS: [&str; 6] = ["tableoid", "xmin", "xmax", "cmin", "cmax", "ctid"];

/// A hidden column becomes what it would hold.
pub(super) fn hidden_column(expr: &mut Expr, scopes: &Scopes) {
    let (qualifier, name): (Option<&Ident>, &Ident) = match expr {
        Expr::Identifier(name) => (None, name),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., qualifier, name] => (Some(qualifier), name),
            _ => return,
        },
        _ => return,
    };
    let name = normal(name);
    if !HIDDEN_COLUMNS.contains(&name.as_str()) {
        return;
    }
    let qualifier = qualifier.map(normal);
    let has_it =
        |table: &ScopeTable| table.columns.as_ref().is_none_or(|columns| columns.contains(&name));
    let mut tables = scopes.selects.iter().rev().flatten();
    let table = match &qualifier {
        Some(qualifier) => tables.find(|table| table.name == *qualifier),
        None if scopes.here().iter().any(has_it) => None,
        None => scopes.here().first(),
    };
    let Some(table) = table.filter(|table| !has_it(table)) else { return };
    let Some(oid) = table.oid else { return };
    use datafusion::sql::sqlparser::ast::DataType;
    let named = |name: &str| DataType::Custom(vec![Ident::new(name)].into(), Vec::new());
    *expr = match name.as_str() {
        "tableoid" => cast(number(i64::from(oid)), named("oid")),
        "ctid" => cast(text("(0,1)"), named("tid")),
        "cmin" | "cmax" => cast(number(0), named("cid")),
        "xmax" => cast(number(0), named("xid")),
        _ => cast(number(1), named("xid")),
    };
}

/// `pg_catalog.pg_class.oid` as `pg_class.oid`: PostgreSQL's own tables have their bare names as
/// aliases here.
pub(super) fn drop_schema(expr: &mut Expr) {
    let Expr::CompoundIdentifier(parts) = expr else { return };
    if parts.len() < 3 {
        return;
    }
    let is_own =
        |name: &Ident| matches!(normal(name).as_str(), "pg_catalog" | "information_schema");
    if parts.first().is_some_and(is_own) {
        parts.remove(0);
    }
}

/// `current_schema` without parentheses, which sqlparser takes for a column.
pub(super) fn current_schema(expr: &mut Expr, scopes: &Scopes) {
    let Expr::Identifier(name) = expr else { return };
    if name.quote_style.is_some() || !name.value.eq_ignore_ascii_case("current_schema") {
        return;
    }
    let is_column = scopes
        .selects
        .iter()
        .flatten()
        .any(|table| table.columns.iter().flatten().any(|column| column == "current_schema"));
    if !is_column {
        *expr = super::build::call("current_schema", Vec::new());
    }
}

/// Whether a name alone stands for a table of PostgreSQL's.
pub(super) fn is_system(name: &str) -> bool {
    system_tables().get("pg_catalog", name).is_some()
}
