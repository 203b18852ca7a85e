//! Values from their text form.

use serde::de::IgnoredAny;

use crate::postgres::values::error::ParameterError;
use crate::postgres::values::pg_types::PgType;
use crate::postgres::values::settings::ValueSettings;
use crate::postgres::values::types::Target;

use super::array::{self, Node};
use super::decimal::Decimal;
use super::parsed::{Parsed, element_of, is_space, unsupported};
use super::{datetime, interval};

/// Reads a text of a type.
pub(super) fn parse(
    postgres: &'static PgType,
    text: &str,
    settings: &ValueSettings,
) -> Result<Parsed, ParameterError> {
    let syntax = || invalid(postgres, text);
    let trimmed = text.trim_matches(is_space);
    Ok(match postgres.target() {
        Target::Bool => Parsed::Bool(boolean(trimmed).ok_or_else(syntax)?),
        Target::Int2 => integer(postgres, text, i64::from(i16::MIN), i64::from(i16::MAX))?,
        Target::Int4 => integer(postgres, text, i64::from(i32::MIN), i64::from(i32::MAX))?,
        Target::Int8 => integer(postgres, text, i64::MIN, i64::MAX)?,
        // A negative number is the OID with the same bits.
        Target::Oid => {
            let parsed = integer(postgres, text, i64::from(i32::MIN), i64::from(u32::MAX))?;
            match parsed.integer() {
                Some(number) => Parsed::Int(number.rem_euclid(1 << 32)),
                None => parsed,
            }
        }
        Target::Reg(reg) => match reg.oid(trimmed) {
            Some(oid) => Parsed::Int(i64::from(oid)),
            None => Parsed::Text(trimmed.to_owned()),
        },
        Target::Numeric => match special_float(trimmed) {
            Some(special) => Parsed::Float8(special),
            None => Parsed::Decimal(Decimal::parse(trimmed).ok_or_else(syntax)?),
        },
        Target::Float4 => Parsed::Float4(float::<f32>(postgres, text, f32::is_infinite)?),
        Target::Float8 => Parsed::Float8(float::<f64>(postgres, text, f64::is_infinite)?),
        Target::Text => Parsed::Text(text.to_owned()),
        // Further characters are cut off.
        Target::Char => Parsed::Text(text.chars().take(1).collect()),
        Target::Bytea => Parsed::Bytes(bytea(postgres, text)?),
        Target::Date => Parsed::Date(datetime::date(text)?),
        Target::Time => Parsed::Time(datetime::time(text)?),
        Target::Timestamp => Parsed::Timestamp(datetime::timestamp(text)?),
        Target::Timestamptz => {
            Parsed::Timestamptz(datetime::timestamptz(text, settings.time_zone)?)
        }
        Target::Interval => Parsed::Interval(interval::interval(text)?),
        Target::Uuid => match uuid(trimmed) {
            Some(bytes) => Parsed::Uuid(bytes),
            // An Arrow column of 16 bytes need not be of UUIDs.
            None if text.starts_with("\\x") => Parsed::Bytes(bytea(postgres, text)?),
            None => return Err(syntax()),
        },
        Target::Json | Target::Jsonb => match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Parsed::Text(text.to_owned()),
            Err(_) => return Err(syntax()),
        },
        Target::Array => {
            let element = element_of(postgres)?;
            let nodes = array::parse(text)
                .ok_or_else(|| ParameterError::Array { text: text.to_owned() })?;
            list(element, nodes, settings)?
        }
        Target::Vector => {
            let element = element_of(postgres)?;
            let elements = text.split(is_space).filter(|part| !part.is_empty());
            let elements = elements.map(|part| parse(element, part, settings).map(Some));
            Parsed::List(elements.collect::<Result<_, _>>()?)
        }
        Target::Literal => return Err(unsupported(postgres, &arrow::datatypes::DataType::Null)),
    })
}

fn invalid(postgres: &PgType, text: &str) -> ParameterError {
    ParameterError::Syntax { postgres: postgres.sql_name(), text: text.to_owned() }
}

fn out_of_range(postgres: &PgType, text: &str) -> ParameterError {
    ParameterError::OutOfRange { postgres: postgres.sql_name(), text: text.to_owned() }
}

fn list(
    element: &'static PgType,
    nodes: Vec<Node>,
    settings: &ValueSettings,
) -> Result<Parsed, ParameterError> {
    let elements = nodes.into_iter().map(|node| {
        Ok(match node {
            Node::Null => None,
            Node::Text(text) => Some(parse(element, &text, settings)?),
            Node::List(nodes) => Some(list(element, nodes, settings)?),
        })
    });
    Ok(Parsed::List(elements.collect::<Result<_, ParameterError>>()?))
}

/// A beginning of `true`, `false`, `yes`, `no`, `on` or `off` that is of one of them only.
fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let begins = |word: &str, length_min: usize| {
        lower.len() >= length_min && word.starts_with(lower.as_str())
    };
    match lower.as_str() {
        "1" => Some(true),
        "0" => Some(false),
        _ if begins("true", 1) || begins("yes", 1) || begins("on", 2) => Some(true),
        _ if begins("false", 1) || begins("no", 1) || begins("off", 2) => Some(false),
        _ => None,
    }
}

fn integer(postgres: &PgType, text: &str, min: i64, max: i64) -> Result<Parsed, ParameterError> {
    let trimmed = text.trim_matches(is_space);
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(postgres, text));
    }
    match trimmed.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(Parsed::Int(number)),
        _ => Err(out_of_range(postgres, text)),
    }
}

/// What is no number of digits.
fn special_float(text: &str) -> Option<f64> {
    let (negative, word) = match text.strip_prefix('-') {
        Some(word) => (true, word),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match word.to_ascii_lowercase().as_str() {
        "nan" if word.len() == text.len() => Some(f64::NAN),
        "inf" | "infinity" => Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        _ => None,
    }
}

/// A float; digits that are too large or too small for any float but zero are refused.
fn float<F: std::str::FromStr + Default + PartialEq + Copy>(
    postgres: &PgType,
    text: &str,
    is_infinite: fn(F) -> bool,
) -> Result<F, ParameterError> {
    let trimmed = text.trim_matches(is_space);
    let float = trimmed.parse::<F>().map_err(|_| invalid(postgres, text))?;
    let mantissa = trimmed.split(['e', 'E']).next().unwrap_or_default();
    let vanished =
        float == F::default() && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if vanished || (is_infinite(float) && special_float(trimmed).is_none()) {
        return Err(out_of_range(postgres, text));
    }
    Ok(float)
}

/// Bytes as `\x0102`, or as text with `\\` and `\001`.
fn bytea(postgres: &PgType, text: &str) -> Result<Vec<u8>, ParameterError> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let mut bytes = Vec::with_capacity(digits.len() / 2);
        let mut high = None;
        for character in digits.chars() {
            match (high.take(), character.to_digit(16).and_then(|digit| u8::try_from(digit).ok())) {
                (None, None) if matches!(character, ' ' | '\n' | '\t' | '\r') => {}
                (None, Some(digit)) => high = Some(digit),
                (Some(high), Some(digit)) => bytes.push(high << 4 | digit),
                (_, None) => return Err(ParameterError::Hexadecimal),
            }
        }
        return if high.is_none() { Ok(bytes) } else { Err(ParameterError::Hexadecimal) };
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => return Err(invalid(postgres, text)),
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

/// 32 hexadecimal digits, in braces or not, with a hyphen behind any four of them.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => text,
    };
    let mut bytes = [0; 16];
    let mut count = 0;
    let mut hyphen_allowed = false;
    for character in digits.chars() {
        if character == '-' && hyphen_allowed {
            hyphen_allowed = false;
            continue;
        }
        let digit = u8::try_from(character.to_digit(16)?).ok()?;
        let byte = bytes.get_mut(count / 2)?;
        *byte = *byte << 4 | digit;
        count += 1;
        hyphen_allowed = count % 4 == 0 && count < 32;
    }
    (count == 32).then_some(bytes)
}
