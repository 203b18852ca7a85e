//! Functions under other names, and forms that are functions.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, Ident, TimezoneInfo, Value,
};

use super::build::{
    arguments_mut, binary, call, cast, function_name, literal, normal, null, take, text,
};

/// Changes an expression of the statement whose text is `query`.
pub(super) fn change(expr: &mut Expr, query: &str) {
    match expr {
        Expr::Function(function) => {
            let name = function_name(&function.name);
            if let Some(changed) = changed(&name, function) {
                *expr = changed;
                return;
            }
            let own = match name.as_str() {
                "array_position" => {
                    let position = take(expr);
                    *expr = cast(position, DataType::Int(None));
                    return;
                }
                "current_query" => {
                    *expr = text(query);
                    return;
                }
                "pg_listening_channels" => {
                    *expr = call("unnest", vec![call("_text_array", vec![null()])]);
                    return;
                }
                "array_remove" => "array_remove_all",
                "every" => "bool_and",
                "char_length" | "character_length" => "length",
                "pg_get_keywords" => return,
                "json_agg" | "jsonb_agg" => {
                    function.name = vec![Ident::new("array_agg")].into();
                    let list = take(expr);
                    *expr = call("array_to_json", vec![list]);
                    return;
                }
                name => name,
            };
            // A name with other schemas is nobody's; it is left for the error.
            if !own.contains('.') && (function.name.0.len() > 1 || own != name) {
                function.name = vec![Ident::new(own)].into();
            }
        }
        // Words of SQL that are functions without parentheses.
        Expr::Identifier(name) if name.quote_style.is_none() => match normal(name).as_str() {
            "current_role" => *expr = call("current_user", Vec::new()),
            "localtimestamp" => *expr = local_timestamp(),
            _ => {}
        },
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            let escape = escape_char.as_ref().and_then(|escape| match &escape.value {
                Value::SingleQuotedString(escape) => escape.chars().next(),
                _ => None,
            });
            if let Some(escape) = escape.filter(|escape| *escape != '\\') {
                **pattern = with_backslashes(take(pattern), escape);
                *escape_char = None;
            }
        }
        // `substring(text FROM 'pattern')`.
        Expr::Substring {
            expr: value, substring_from: Some(from), substring_for: None, ..
        } if literal(from).is_some() => {
            let matched = call("regexp_match", vec![take(value), take(from)]);
            *expr = call("array_element", vec![matched, super::build::number(1)]);
        }
        _ => {}
    }
}

/// Functions that become more than another name.
fn changed(name: &str, function: &mut Function) -> Option<Expr> {
    let mut whole =
        || Expr::Function(std::mem::replace(function, super::build::function("", vec![])));
    match name {
        // DataFusion counts rows without a sign, which has no type in PostgreSQL.
        "row_number" | "rank" | "dense_rank" => Some(cast(plain(whole()), DataType::BigInt(None))),
        "ntile" => Some(cast(plain(whole()), DataType::Int(None))),
        "coalesce" => {
            let mut all = arguments_mut(function);
            let [first, last] = all.as_mut_slice() else { return None };
            match literal(last) {
                Some("{}") => Some(call("_or_empty", vec![take(first)])),
                _ => None,
            }
        }
        "mod" => match arguments_mut(function).as_mut_slice() {
            [dividend, divisor] => {
                Some(binary(take(dividend), BinaryOperator::Modulo, take(divisor)))
            }
            _ => None,
        },
        "age" => match arguments_mut(function).as_mut_slice() {
            [from] => {
                let today = cast(call("current_date", Vec::new()), timestamp());
                Some(call("age", vec![today, take(from)]))
            }
            _ => None,
        },
        // The columns of a row without names are called so.
        "row" => {
            let values = arguments_mut(function).into_iter().map(take);
            let named = (1..).zip(values).flat_map(|(at, value)| [text(&format!("f{at}")), value]);
            Some(call("named_struct", named.collect()))
        }
        "variance" => Some(renamed(whole(), "var_samp")),
        "localtimestamp" => Some(local_timestamp()),
        name if CASTS.contains(&name) => match arguments_mut(function).as_mut_slice() {
            [value] => {
                let data = match name {
                    "text" => DataType::Text,
                    name => DataType::Custom(vec![Ident::new(name)].into(), Vec::new()),
                };
                let mut whole = cast(take(value), data);
                super::times::change(&mut whole);
                super::casts::change(&mut whole);
                Some(whole)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Types whose names are functions that cast.
const CASTS: [&str; 15] = [
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "numeric",
    "text",
    "varchar",
    "bool",
    "date",
    "timestamp",
    "timestamptz",
    "interval",
    "oid",
    "bytea",
];

fn local_timestamp() -> Expr {
    cast(call("now", Vec::new()), timestamp())
}

fn timestamp() -> DataType {
    DataType::Timestamp(None, TimezoneInfo::WithoutTimeZone)
}

/// A function under another name.
fn renamed(mut expr: Expr, name: &str) -> Expr {
    if let Expr::Function(function) = &mut expr {
        function.name = vec![Ident::new(name)].into();
    }
    expr
}

/// A function by its bare name.
fn plain(expr: Expr) -> Expr {
    let name = match &expr {
        Expr::Function(function) => function_name(&function.name),
        _ => return expr,
    };
    renamed(expr, &name)
}

/// A pattern of LIKE with another escape than the backslash, which is the only one of DataFusion.
fn with_backslashes(pattern: Expr, escape: char) -> Expr {
    let Some(literal) = literal(&pattern) else {
        let doubled = call("replace", vec![pattern, text("\\"), text("\\\\")]);
        return call("replace", vec![doubled, text(&escape.to_string()), text("\\")]);
    };
    let mut changed = String::with_capacity(literal.len());
    let mut characters = literal.chars();
    while let Some(character) = characters.next() {
        match character {
            one if one == escape => {
                changed.push('\\');
                changed.extend(characters.next());
            }
            '\\' => changed.push_str("\\\\"),
            one => changed.push(one),
        }
    }
    text(&changed)
}
