//! The time that an expression stands for.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::DateTime;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::prelude::SessionConfig;

/// A date, a space or `T`, hours and minutes.
const TO_MINUTES: usize = 16;

/// The instant of a constant expression such as `'2026-01-31 12:00'` or `now() - interval '1 day'`,
/// in microseconds since 1970. What names no zone is local time of `zone`; `now` is what `now()`
/// gives.
///
/// # Errors
/// It is no expression, is not constant, or no time.
pub(crate) fn micros(expression: &str, zone: &str, now: i64) -> Result<i64> {
    let mut config = SessionConfig::new();
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.execution.time_zone = Some(zone.to_owned());
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let none = DFSchema::empty();
    let parsed = state.create_logical_expr(expression, &none)?;
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(none.clone()))
        .with_config_options(Arc::clone(state.config_options()))
        .with_query_execution_start_time(DateTime::from_timestamp_micros(now))
        .build();
    let simplifier = ExprSimplifier::new(context);
    let coerced = simplifier.coerce(parsed, &none)?;
    match simplifier.simplify(coerced)? {
        Expr::Literal(value, _) => instant(value, zone)?.ok_or_else(|| no_time(expression)),
        _ => Err(no_time(expression)),
    }
}

fn no_time(expression: &str) -> DataFusionError {
    let said = format!("AS OF needs a constant time, and {expression} is none");
    DataFusionError::Execution(said)
}

/// A value as an instant; none where it is null or of a type without time.
fn instant(value: ScalarValue, zone: &str) -> Result<Option<i64>> {
    let local = DataType::Timestamp(TimeUnit::Microsecond, None);
    let of_zone = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
    let instant = match value.data_type() {
        data_type if data_type.is_string() => {
            let text = value.try_as_str().flatten().map(with_seconds);
            ScalarValue::Utf8(text).cast_to(&of_zone)?
        }
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None) => {
            value.cast_to(&local)?.cast_to(&of_zone)?
        }
        DataType::Timestamp(_, Some(_)) => value.cast_to(&of_zone)?,
        _ => return Ok(None),
    };
    Ok(match instant {
        ScalarValue::TimestampMicrosecond(micros, _) => micros,
        _ => None,
    })
}

/// A time with seconds, without which Arrow reads none.
fn with_seconds(text: &str) -> String {
    let text = text.trim();
    match text.split_at_checked(TO_MINUTES) {
        Some((minutes, rest)) if minutes.contains(':') && !rest.starts_with(':') => {
            format!("{minutes}:00{rest}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 February 2026, 12:00 UTC.
    const NOON: i64 = 1_769_947_200_000_000;
    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn a_time_without_a_zone_is_local() {
        for (expression, zone, expected) in [
            ("'2026-02-01 12:00:00Z'", "UTC", NOON),
            ("'2026-02-01 12:00:00Z'", "Europe/Berlin", NOON),
            ("'2026-02-01T12:00:00.000250+00:00'", "UTC", NOON + 250),
            ("'2026-02-01 13:00:00+01'", "UTC", NOON),
            ("'2026-02-01 12:00:00'", "UTC", NOON),
            ("'2026-02-01 13:00:00'", "Europe/Berlin", NOON),
            ("'2026-02-01 12:00'", "UTC", NOON),
            ("'2026-02-01 14:00+02'", "UTC", NOON),
            ("'2026-02-01'", "UTC", NOON - 12 * HOUR),
            ("'2026-02-01'", "Europe/Berlin", NOON - 13 * HOUR),
            ("date '2026-02-01'", "+02:00", NOON - 14 * HOUR),
            ("timestamp '2026-02-01 12:00:00'", "UTC", NOON),
            ("timestamp '2026-02-01 13:00:00'", "Europe/Berlin", NOON),
            ("timestamptz '2026-02-01 12:00:00+00'", "Europe/Berlin", NOON),
            ("'2026-02-01 12:00:00'::timestamp", "UTC", NOON),
            ("now()", "Europe/Berlin", NOON),
            ("current_timestamp - interval '90 minutes'", "Europe/Berlin", NOON - HOUR * 3 / 2),
            ("(now() - interval '1 day')", "UTC", NOON - 24 * HOUR),
        ] {
            let found = micros(expression, zone, NOON);
            assert_eq!(found.ok(), Some(expected), "{expression} in {zone}");
        }
    }

    #[test]
    fn what_is_no_constant_time_is_refused() {
        for expression in [
            "",
            "1",
            "null",
            "true",
            "'yesterday'",
            "'2026-02-30'",
            "created_at",
            "random()",
            "(select now())",
            "interval '1 day'",
            "now(",
            "'2026' '2027'",
            "'ä026-02-01 12:0'",
        ] {
            assert!(micros(expression, "UTC", NOON).is_err(), "{expression}");
        }
    }
}
