//! `ARRAY(SELECT …)` as a query of one row, the array.

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, FunctionArgumentClause, FunctionArguments, OrderByExpr, OrderByKind, Query,
    SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
};

use super::build::{function, normal, quoted};
use super::item_name::item_name;
use super::tables::parse_query;

/// The one column of the query.
const ITEM: &str = "_item";

/// Makes of a query one that gives its only column as an array, in the query's order.
pub(super) fn aggregate(query: &mut Box<Query>) {
    let order = order_of(query);
    let Some(mut whole) = parse_query("SELECT 1 FROM (SELECT 1) AS _rows") else { return };
    let SetExpr::Select(select) = whole.body.as_mut() else { return };
    let [table] = select.from.as_mut_slice() else { return };
    let TableFactor::Derived { subquery, alias, .. } = &mut table.relation else { return };
    let names = std::iter::once(ITEM.to_owned()).chain((1..=order.added).map(name_of));
    let columns = names.map(|name| TableAliasColumnDef { name: quoted(&name), data_type: None });
    *alias = Some(TableAlias {
        explicit: true,
        name: quoted("_rows"),
        columns: columns.collect(),
        at: None,
    });
    let item = || Expr::Identifier(quoted(ITEM));
    let mut list = function("array_agg", vec![item()]);
    if let FunctionArguments::List(arguments) = &mut list.args
        && !order.by.is_empty()
    {
        arguments.clauses.push(FunctionArgumentClause::OrderBy(order.by));
    }
    select.projection = vec![SelectItem::UnnamedExpr(Expr::Function(list))];
    std::mem::swap(subquery, query);
    *query = whole;
}

/// The order of a query's rows, over columns that stand in it.
struct Order {
    by: Vec<OrderByExpr>,
    /// The columns that were put behind the query's own for it.
    added: usize,
}

fn order_of(query: &mut Query) -> Order {
    let mut order = Order { by: Vec::new(), added: 0 };
    let Some(OrderByKind::Expressions(exprs)) = query.order_by.as_ref().map(|by| &by.kind) else {
        return order;
    };
    let mut select = match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    };
    // What a DISTINCT is ordered by is one of its columns.
    let takes_more =
        select.as_ref().is_some_and(|select| !matches!(select.distinct, Some(Distinct::Distinct)));
    let item = select.as_ref().and_then(|select| select.projection.first()).cloned();
    for one in exprs {
        let is_item = item.as_ref().is_some_and(|item| is_item(&one.expr, item));
        let expr = match select.as_mut().filter(|_| takes_more && !is_item) {
            Some(select) => {
                order.added += 1;
                let alias = quoted(&name_of(order.added));
                let expr = one.expr.clone();
                select.projection.push(SelectItem::ExprWithAlias { expr, alias });
                Expr::Identifier(quoted(&name_of(order.added)))
            }
            None => Expr::Identifier(quoted(ITEM)),
        };
        order.by.push(OrderByExpr { expr, ..one.clone() });
    }
    order
}

fn name_of(column: usize) -> String {
    format!("_by_{column}")
}

/// Whether an expression of ORDER BY means the column: by its place, its name, or as itself.
fn is_item(expr: &Expr, item: &SelectItem) -> bool {
    let is_name = |name: &str| matches!(expr, Expr::Identifier(one) if normal(one) == name);
    expr.to_string() == "1"
        || match item {
            SelectItem::UnnamedExpr(own) => own == expr || is_name(&item_name(own)),
            SelectItem::ExprWithAlias { expr: own, alias } => {
                own == expr || is_name(&normal(alias))
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_gives_its_column_as_an_array_in_its_order() {
        for (text, expected) in [
            (
                "SELECT a FROM t",
                "SELECT array_agg(\"_item\") FROM (SELECT a FROM t) AS \"_rows\" (\"_item\")",
            ),
            (
                "SELECT a FROM t ORDER BY b DESC, 1 LIMIT 3",
                "SELECT array_agg(\"_item\" ORDER BY \"_by_1\" DESC, \"_item\") FROM (SELECT a, \
                 b AS \"_by_1\" FROM t ORDER BY b DESC, 1 LIMIT 3) AS \"_rows\" (\"_item\", \
                 \"_by_1\")",
            ),
            (
                "WITH x AS (SELECT 1 AS a) SELECT DISTINCT a FROM x ORDER BY a",
                "SELECT array_agg(\"_item\" ORDER BY \"_item\") FROM (WITH x AS (SELECT 1 AS a) \
                 SELECT DISTINCT a FROM x ORDER BY a) AS \"_rows\" (\"_item\")",
            ),
            (
                "SELECT a FROM t UNION SELECT b FROM u ORDER BY 1",
                "SELECT array_agg(\"_item\" ORDER BY \"_item\") FROM (SELECT a FROM t UNION \
                 SELECT b FROM u ORDER BY 1) AS \"_rows\" (\"_item\")",
            ),
        ] {
            let mut query = parse_query(text).unwrap();
            aggregate(&mut query);
            assert_eq!(query.to_string(), expected);
        }
    }
}
