//! Arrays: their literals, their subscripts, and sets made of them.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, Subscript,
};

use super::super::functions::array_elements;
use super::super::tables::columns::system_tables;
use super::build::{
    arguments, bare, binary, call, cast, element_type, function_name, literal, normal, null,
    number, quoted, take, text,
};
use super::small::is_small;
use crate::builtins::types::types;

/// Columns whose arrays are counted from 0: those of `int2vector` and `oidvector`.
const FROM_ZERO: [&str; 6] =
    ["indkey", "indclass", "indoption", "indcollation", "proargtypes", "tgattr"];

pub(super) fn change(expr: &mut Expr) {
    match expr {
        Expr::CompoundFieldAccess { root, access_chain } => {
            if let Some(set) = field_of_set(root, access_chain) {
                *expr = set;
                return;
            }
            // A name and a dot are read by DataFusion as they stand.
            let is_name =
                matches!(root.as_ref(), Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            for access in access_chain.iter_mut().filter(|_| !is_name) {
                if let AccessExpr::Dot(Expr::Identifier(field)) = access {
                    // DataFusion asks for a field by a text.
                    *access = AccessExpr::Dot(text(&normal(field)));
                }
            }
            let index = match access_chain.as_mut_slice() {
                [AccessExpr::Subscript(Subscript::Index { index })] if is_from_zero(root) => index,
                [AccessExpr::Dot(name), AccessExpr::Subscript(Subscript::Index { index })]
                    if is_from_zero(name) =>
                {
                    index
                }
                _ => return,
            };
            *index = binary(take(index), BinaryOperator::Plus, number(1));
        }
        Expr::Function(function) => {
            if let Some(set) = set(function) {
                *expr = set;
            }
        }
        Expr::BinaryOp { left, right, .. } => {
            list_literal(left, right);
            list_literal(right, left);
        }
        Expr::Cast { expr: inner, data_type, .. } => {
            let Some(element) = element_type(data_type) else { return };
            let Some(elements) = literal(inner).and_then(array_elements) else { return };
            let element = element.clone();
            if elements.is_empty() {
                return;
            }
            let elements = elements.into_iter().map(|one| match one {
                Some(one) => {
                    let mut one = cast(text(&one), element.clone());
                    super::casts::change(&mut one);
                    one
                }
                None => cast(null(), element.clone()),
            });
            *expr = Expr::Array(Array { elem: elements.collect(), named: true });
        }
        _ => {}
    }
}

/// A text beside a column of arrays is an array: `polroles = '{0}'`.
fn list_literal(column: &Expr, other: &mut Expr) {
    let name = match bare(column) {
        Expr::Identifier(name) => normal(name),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal).unwrap_or_default(),
        _ => return,
    };
    let Some(elements) = literal(other).and_then(array_elements) else { return };
    let columns = system_tables().all.iter().flat_map(|table| &table.columns);
    let list = columns.filter(|one| one.name == name).find(|one| one.data.category == "A");
    let Some(element) = list.and_then(|one| types().by_oid(one.data.element)) else { return };
    let data_type = DataType::Custom(vec![quoted(element.name)].into(), Vec::new());
    let elements = elements.into_iter().map(|one| {
        let value = one.map_or_else(null, |one| text(&one));
        cast(value, data_type.clone())
    });
    *other = Expr::Array(Array { elem: elements.collect(), named: true });
}

/// The elements of an array that stands in the text: `ARRAY[a, b]`, `'{a,b}'`, `(a, b)`.
pub(super) fn literal_elements(expr: &mut Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Nested(inner) => literal_elements(inner),
        Expr::Array(array) => Some(std::mem::take(&mut array.elem)),
        Expr::Tuple(elements) => Some(std::mem::take(elements)),
        Expr::Cast { expr: inner, data_type, .. } => {
            let element = element_type(data_type)?.clone();
            let elements = match inner.as_mut() {
                Expr::Array(array) => std::mem::take(&mut array.elem),
                inner => texts(literal(inner)?)?,
            };
            Some(elements.into_iter().map(|one| cast(one, element.clone())).collect())
        }
        expr => texts(literal(expr)?),
    }
}

fn texts(array: &str) -> Option<Vec<Expr>> {
    let elements = array_elements(array)?;
    Some(elements.into_iter().map(|one| one.map_or_else(null, |one| text(&one))).collect())
}

fn is_from_zero(expr: &Expr) -> bool {
    let name = match bare(expr) {
        Expr::Cast { data_type, .. } => {
            let name = data_type.to_string();
            return ["int2vector", "oidvector"].contains(&name.to_ascii_lowercase().as_str());
        }
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(name) => name,
            None => return false,
        },
        _ => return false,
    };
    FROM_ZERO.contains(&normal(name).as_str())
}

/// `(information_schema._pg_expandarray(a)).n` and `.x`, and those that have become sets already.
fn field_of_set(root: &Expr, access: &[AccessExpr]) -> Option<Expr> {
    let [AccessExpr::Dot(Expr::Identifier(field))] = access else { return None };
    let Expr::Function(function) = bare(root) else { return None };
    let inner = arguments(function)?;
    let [Expr::Function(expand)] = inner.as_slice() else { return None };
    if function_name(&expand.name) != "_pg_expandarray" {
        return None;
    }
    let array = arguments(expand)?.into_iter().next()?.clone();
    match normal(field).as_str() {
        "x" => Some(call("unnest", vec![array])),
        "n" => Some(places(array, 1)),
        _ => None,
    }
}

/// The places of an array's elements as rows.
fn places(array: Expr, first: i64) -> Expr {
    let length = cast(
        call("coalesce", vec![call("cardinality", vec![array]), number(0)]),
        DataType::BigInt(None),
    );
    let end = binary(length, BinaryOperator::Plus, number(first));
    call("unnest", vec![cast(call("range", vec![number(first), end]), int4_array())])
}

fn int4_array() -> DataType {
    DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Int(None)), None))
}

/// A text cut where a pattern matches: DataFusion cuts at texts alone.
fn split(value: Expr, pattern: Expr) -> Expr {
    let mark = || text("\u{1}");
    let marked = call("regexp_replace", vec![value, pattern, mark(), text("g")]);
    call("string_to_array", vec![marked, mark()])
}

/// A function that gives rows, as `unnest` of the list of them.
fn set(function: &Function) -> Option<Expr> {
    let arguments = arguments(function)?;
    match (function_name(&function.name).as_str(), arguments.as_slice()) {
        ("generate_subscripts", [array, ..]) => {
            let first = if is_from_zero(array) { 0 } else { 1 };
            Some(places((*array).clone(), first))
        }
        ("_pg_expandarray", [array]) => {
            Some(call("unnest", vec![call("_pg_expandarray", vec![(*array).clone()])]))
        }
        ("regexp_split_to_table", [value, pattern]) => {
            Some(call("unnest", vec![split((*value).clone(), (*pattern).clone())]))
        }
        ("regexp_split_to_array", [value, pattern]) => {
            Some(split((*value).clone(), (*pattern).clone()))
        }
        ("generate_series", [_, _] | [_, _, _]) => {
            let are_small = arguments.iter().all(|one| is_small(one));
            let arguments = arguments.into_iter().cloned().collect();
            // By its other name, so that this is not done again.
            let series = call("_generate_series", arguments);
            let series = if are_small { cast(series, int4_array()) } else { series };
            Some(call("unnest", vec![series]))
        }
        _ => None,
    }
}
