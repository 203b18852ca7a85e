//! One value as Debezium writes it into JSON: what it means depends on the column, on the record's
//! schema where there is one, and else on the connector's settings.

use crate::decode::{Column, Fault, Target, Written, push_raw, reason, shown};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What the connector writes for a value that the database did not send because it did not change.
const UNAVAILABLE: &str = "\"__debezium_unavailable_value\"";

/// The connector's `decimal.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalHandling {
    /// The unscaled number's bytes in base64; the scale is the schema's, or the column's.
    #[default]
    Precise,
    /// As text.
    String,
    /// As a number, which may have lost digits before it came here.
    Double,
}

/// The connector's `time.precision.mode`, for times without a zone; those with one are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimePrecision {
    /// Microseconds, as the database has them.
    #[default]
    Adaptive,
    /// Milliseconds.
    Connect,
}

/// What is known of a field's values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FieldType {
    /// Of a decimal, from the record's schema.
    pub(super) scale: Option<i8>,
    /// The nanoseconds that one unit of a time stands for, from the record's schema.
    pub(super) time_nanos: Option<i64>,
}

/// Whether the value stands for one that was not sent.
pub(super) fn is_unavailable(raw: &str) -> bool {
    raw == UNAVAILABLE
}

/// Pushes a value; on error the column is as it was.
pub(super) fn push_value(
    column: &mut Column,
    raw: &str,
    known: FieldType,
    decimals: DecimalHandling,
    times: TimePrecision,
) -> Result<(), Fault> {
    let first = raw.as_bytes().first().copied();
    match (column.target(), first) {
        (_, Some(b'n')) | (_, None) => {
            column.push_null();
            Ok(())
        }
        (Target::Decimal(_), Some(b'{')) => {
            let number: VariableScale<'_> = serde_json::from_str(raw)
                .map_err(|_| column.wrong_type(raw, Written::JsonObject))?;
            push_base64(column, &number.value, number.scale)
        }
        (Target::Decimal(scale), Some(b'"')) if decimals == DecimalHandling::Precise => {
            let text: Cow<'_, str> = text(raw, column)?;
            push_base64(column, &text, known.scale.unwrap_or(scale))
        }
        (Target::Date, Some(b'0'..=b'9' | b'-')) => {
            let days = raw.parse().map_err(|_| column.wrong_type(raw, Written::JsonNumber))?;
            column.push_days(days)
        }
        (Target::Timestamp, Some(b'0'..=b'9' | b'-')) => {
            let nanos = known.time_nanos.unwrap_or(match times {
                TimePrecision::Adaptive => 1_000,
                TimePrecision::Connect => 1_000_000,
            });
            let count: i64 =
                raw.parse().map_err(|_| column.wrong_type(raw, Written::JsonNumber))?;
            let micros = (i128::from(count) * i128::from(nanos)).div_euclid(1_000);
            column.push_micros(
                i64::try_from(micros).map_err(|_| column.wrong_type(raw, Written::JsonNumber))?,
            )
        }
        (Target::Text, Some(b'{')) if serde_json::from_str::<VariableScale<'_>>(raw).is_ok() => {
            let number: VariableScale<'_> = serde_json::from_str(raw)
                .map_err(|_| column.wrong_type(raw, Written::JsonObject))?;
            let unscaled =
                unscaled(&number.value).ok_or_else(|| not_base64(column, &number.value))?;
            column.push_text(&decimal_text(unscaled, number.scale), Written::JsonObject)
        }
        // Arrays, JSON, truth values: a text column has them as they are written.
        (Target::Text, Some(b'{' | b'[' | b't' | b'f' | b'0'..=b'9' | b'-')) => {
            column.push_text(raw, Written::Text)
        }
        (
            Target::Decimal(_) | Target::Date | Target::Timestamp | Target::Text | Target::Other,
            _,
        ) => push_raw(column, raw),
    }
}

/// A number whose scale is its own.
#[derive(Deserialize)]
struct VariableScale<'a> {
    scale: i8,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

fn text<'a>(raw: &'a str, column: &Column) -> Result<Cow<'a, str>, Fault> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'a>>(raw)
        .map(|text| text.0)
        .map_err(|e| Fault::new(reason::MALFORMED, format!("{}: {e}", column.name)))
}

fn push_base64(column: &mut Column, text: &str, scale: i8) -> Result<(), Fault> {
    let unscaled = unscaled(text).ok_or_else(|| not_base64(column, text))?;
    // Through its text, which checks precision and scale in one place.
    column.push_number(&decimal_text(unscaled, scale), Written::Text)
}

fn not_base64(column: &Column, text: &str) -> Fault {
    let detail = format!(
        "{}: {} is not the bytes of a decimal of up to 38 digits in base64; if the connector's \
         decimal.handling.mode is string or double, say so",
        column.name,
        shown(text)
    );
    Fault::new(reason::TYPE, detail)
}

/// A whole number from its bytes, the highest first, in two's complement.
fn unscaled(text: &str) -> Option<i128> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| (1..=16).contains(&bytes.len()))?;
    let negative = bytes[0] & 0x80 != 0;
    Some(
        bytes
            .iter()
            .fold(if negative { -1 } else { 0 }, |number, byte| (number << 8) | i128::from(*byte)),
    )
}

/// A whole number with `scale` of its digits below the point.
fn decimal_text(unscaled: i128, scale: i8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let below = usize::try_from(scale).unwrap_or(0);
    let zeros = if unscaled == 0 { 0 } else { usize::try_from(-i32::from(scale)).unwrap_or(0) };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = below + 1);
    let (whole, fraction) = digits.split_at(digits.len() - below);
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{}{point}{fraction}", "0".repeat(zeros))
}

/// The fields of a record's schema: what is known of each, by name.
pub(super) fn field_types(schema: &RawValue) -> Vec<(String, FieldType)> {
    #[derive(Deserialize)]
    struct Node {
        #[serde(default)]
        fields: Vec<Node>,
        #[serde(default)]
        field: String,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        parameters: Option<Parameters>,
    }
    #[derive(Deserialize)]
    struct Parameters {
        #[serde(default)]
        scale: Option<String>,
    }
    let Ok(root) = serde_json::from_str::<Node>(schema.get()) else { return Vec::new() };
    // Of an envelope the row's own fields count, which are below `after` as they are below
    // `before`.
    let row = match root.fields.iter().position(|field| field.field == "after") {
        Some(after) => {
            root.fields.into_iter().nth(after).map(|field| field.fields).unwrap_or_default()
        }
        None => root.fields,
    };
    let known = |node: &Node| FieldType {
        scale: node.parameters.as_ref().and_then(|p| p.scale.as_ref()?.parse().ok()),
        time_nanos: match node.name.as_deref() {
            Some("io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp") => {
                Some(1_000_000)
            }
            Some("io.debezium.time.MicroTimestamp") => Some(1_000),
            Some("io.debezium.time.NanoTimestamp") => Some(1),
            _ => None,
        },
    };
    row.into_iter().map(|node| (node.field.clone(), known(&node))).collect()
}
