//! Functions under other names, and forms that are functions.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Function, Ident, Value};

use super::build::{arguments_mut, call, cast, function_name, literal, take, text};

pub(super) fn change(expr: &mut Expr) {
    match expr {
        Expr::Function(function) => {
            let name = function_name(&function.name);
            if let Some(changed) = changed(&name, function) {
                *expr = changed;
                return;
            }
            let own = match name.as_str() {
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
        _ => None,
    }
}

/// A function by its bare name.
fn plain(mut expr: Expr) -> Expr {
    if let Expr::Function(function) = &mut expr {
        let name = function_name(&function.name);
        function.name = vec![Ident::new(name)].into();
    }
    expr
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
