//! Casts, above all to types whose values are numbers that stand for names.
//!
//! A cast to `regclass` becomes the name: that is what is shown. Where its number counts, in a
//! comparison, a cast to a number or an argument of PostgreSQL's functions, it becomes the number.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CharacterLength, DataType, Expr, Function, Ident,
};

use super::super::functions::REG_KINDS;
use super::build::{
    arguments, arguments_mut, bare, call, cast, element_type, function_name, literal, normal, take,
    text,
};
use super::bytea::{bytes, is_bytea};

/// Columns of `regproc`.
const REGPROC_COLUMNS: [&str; 26] = [
    "typinput",
    "typoutput",
    "typreceive",
    "typsend",
    "typmodin",
    "typmodout",
    "typanalyze",
    "typsubscript",
    "amhandler",
    "oprcode",
    "oprrest",
    "oprjoin",
    "aggfnoid",
    "aggtransfn",
    "aggfinalfn",
    "aggcombinefn",
    "aggserialfn",
    "aggdeserialfn",
    "aggmtransfn",
    "aggminvtransfn",
    "aggmfinalfn",
    "prosupport",
    "conproc",
    "rngcanonical",
    "rngsubdiff",
    "amproc",
];

/// The setting `max_index_keys`.
const MAX_INDEX_KEYS: i64 = 32;

pub(super) fn change(expr: &mut Expr) {
    match expr {
        Expr::Cast { expr: inner, data_type, .. } => {
            if let Some(changed) = changed_cast(inner, data_type) {
                *expr = changed;
            }
        }
        Expr::TypedString(typed)
            if reg_kind(&typed.data_type).is_some() || typed.data_type.to_string() == "oid" =>
        {
            let Some(value) = typed.value.clone().into_string() else { return };
            let mut whole = cast(text(&value), typed.data_type.clone());
            change(&mut whole);
            *expr = whole;
        }
        Expr::TypedString(typed) if is_bytea(&typed.data_type) => {
            let Some(written) = typed.value.clone().into_string() else { return };
            *expr = cast(bytes(&written), typed.data_type.clone());
        }
        Expr::BinaryOp { left, op, right } if is_comparison(op) => {
            compare(left, right);
            compare(right, left);
        }
        Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
            compare(left, right);
            to_number(right);
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            compare(left, right);
            compare(right, left);
        }
        Expr::InList { expr: left, list, .. } => {
            for one in list.iter_mut() {
                compare(left, one);
                compare(one, left);
            }
        }
        Expr::InSubquery { expr: left, .. } => to_number(left),
        Expr::Function(function) if takes_numbers(&function_name(&function.name)) => {
            arguments_mut(function).into_iter().for_each(to_number);
        }
        _ => {}
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator as B;
    matches!(op, B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq)
}

/// PostgreSQL's own functions take numbers of what they are about.
fn takes_numbers(name: &str) -> bool {
    let beginnings = ["pg_", "has_", "obj_description", "col_description", "shobj_description"];
    beginnings.iter().any(|beginning| name.starts_with(beginning)) && name != "pg_typeof"
}

fn changed_cast(inner: &mut Box<Expr>, data_type: &mut DataType) -> Option<Expr> {
    if let Some(kind) = reg_kind(data_type) {
        let mut value = take(inner);
        to_number(&mut value);
        return Some(call("_reg_name", vec![text(kind), value]));
    }
    if let Some(element) = element_type(data_type) {
        // Of an array of names only its numbers can be of use.
        if reg_kind(element).is_some() {
            let oids = DataType::Custom(vec![Ident::new("oid")].into(), Vec::new());
            return Some(cast(take(inner), array_of(oids)));
        }
        let is_text = matches!(bare(inner), Expr::Value(_) if literal(inner).is_some());
        if is_text && literal(inner).is_some_and(|text| text.trim() == "{}") {
            let empty = call("_text_array", vec![text("{}")]);
            return Some(cast(empty, data_type.clone()));
        }
        return None;
    }
    if is_bytea(data_type)
        && let Some(written) = literal(inner)
    {
        return Some(cast(bytes(written), data_type.clone()));
    }
    if is_number(data_type) {
        if let Some(most) = most_keys(inner) {
            return Some(most);
        }
        to_number(inner);
        return None;
    }
    if let Some(length) = length_of(data_type) {
        let plain = cast(take(inner), DataType::Text);
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        return Some(call("left", vec![plain, super::build::number(length)]));
    }
    if is_text(data_type)
        && let Some(kind) = regular_column(inner)
    {
        let value = take(inner);
        return Some(call("_reg_name", vec![text(kind), value]));
    }
    None
}

/// `current_setting('max_index_keys')` is the same always. Clients count up to it by
/// `generate_series`, whose bounds are written out.
fn most_keys(inner: &Expr) -> Option<Expr> {
    let Expr::Function(function) = bare(inner) else { return None };
    let [name] = arguments(function)?[..] else { return None };
    let is_it = function_name(&function.name) == "current_setting"
        && literal(name).is_some_and(|name| name.eq_ignore_ascii_case("max_index_keys"));
    is_it.then(|| super::build::number(MAX_INDEX_KEYS))
}

fn array_of(element: DataType) -> DataType {
    use datafusion::sql::sqlparser::ast::ArrayElemTypeDef;
    DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None))
}

/// Which of the types that stand for names a type is.
fn reg_kind(data_type: &DataType) -> Option<&'static str> {
    let text = data_type.to_string().to_ascii_lowercase();
    let name = text.strip_prefix("pg_catalog.").unwrap_or(&text);
    REG_KINDS.into_iter().find(|kind| *kind == name)
}

fn is_number(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int(_)
            | DataType::Integer(_)
            | DataType::Int4(_)
            | DataType::Int8(_)
            | DataType::BigInt(_)
    ) || matches!(data_type.to_string().to_ascii_lowercase().as_str(), "oid" | "pg_catalog.oid")
}

fn is_text(data_type: &DataType) -> bool {
    let text = data_type.to_string().to_ascii_lowercase();
    matches!(text.as_str(), "text" | "pg_catalog.text" | "varchar" | "character varying" | "name")
}

/// The length of `varchar(n)` and its like.
fn length_of(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Varchar(Some(length))
        | DataType::CharacterVarying(Some(length))
        | DataType::CharVarying(Some(length))
        | DataType::Character(Some(length))
        | DataType::Char(Some(length)) => match length {
            CharacterLength::IntegerLength { length, .. } => Some(*length),
            CharacterLength::Max => None,
        },
        _ => None,
    }
}

/// The type of a column or function whose values are numbers that stand for names.
fn regular_column(expr: &Expr) -> Option<&'static str> {
    let name = match bare(expr) {
        Expr::Identifier(name) => normal(name),
        Expr::CompoundIdentifier(parts) => normal(parts.last()?),
        Expr::Function(function) => {
            return match function_name(&function.name).as_str() {
                "pg_typeof" | "to_regtype" => Some("regtype"),
                "to_regclass" => Some("regclass"),
                "to_regproc" => Some("regproc"),
                "to_regnamespace" => Some("regnamespace"),
                "to_regrole" => Some("regrole"),
                _ => None,
            };
        }
        _ => return None,
    };
    REGPROC_COLUMNS.contains(&name.as_str()).then_some("regproc")
}

/// The kind and value of what a cast to `regclass` and its like has become.
fn reg_name(expr: &Expr) -> Option<(String, &Function)> {
    let Expr::Function(function) = bare(expr) else { return None };
    if function_name(&function.name) != "_reg_name" {
        return None;
    }
    let kind = literal(arguments(function)?.first()?)?.to_owned();
    Some((kind, function))
}

/// A name that has become one too early is a number again.
fn to_number(expr: &mut Expr) {
    if let Expr::Nested(inner) = expr {
        return to_number(inner);
    }
    if let Expr::Array(array) = expr {
        return array.elem.iter_mut().for_each(to_number);
    }
    if reg_name(expr).is_none() {
        return;
    }
    if let Expr::Function(function) = expr {
        function.name = vec![Ident::new("_reg_oid")].into();
    }
}

/// One side of a comparison, whose other side says what a text means.
fn compare(side: &mut Expr, other: &mut Expr) {
    let kind = match reg_name(side) {
        Some((kind, _)) => Some(kind),
        None => regular_column(side).map(str::to_owned),
    };
    let Some(kind) = kind else { return };
    to_number(side);
    if literal(other).is_some() {
        let name = take(other);
        *other = call("_reg_oid", vec![text(&kind), name]);
    }
}
