//! Words in literals of times that stand for the moment of the statement.

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, Interval, TimezoneInfo};

use super::build::{binary, call, cast, literal, number, text};

/// `'today'::date` as `current_date` and its like; and intervals that only PostgreSQL reads.
pub(super) fn change(expr: &mut Expr) {
    if let Expr::Interval(interval) = expr
        && let Some(written) = own_interval(interval)
    {
        let data_type = DataType::Interval { fields: None, precision: None };
        *expr = cast(text(&written), data_type);
        return;
    }
    let (data_type, written) = match expr {
        Expr::Cast { expr: inner, data_type, .. } => match literal(inner) {
            Some(written) => (data_type.clone(), written.to_owned()),
            None => return,
        },
        Expr::TypedString(typed) => match typed.value.clone().into_string() {
            Some(written) => (typed.data_type.clone(), written),
            None => return,
        },
        _ => return,
    };
    let is_zoned = match &data_type {
        DataType::Date => false,
        DataType::Timestamp(_, zone) => {
            matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone)
        }
        other if other.to_string().eq_ignore_ascii_case("timestamptz") => true,
        _ => return,
    };
    let today = || call("current_date", Vec::new());
    let moment = match written.trim().to_ascii_lowercase().as_str() {
        "now" => call("now", Vec::new()),
        "today" => today(),
        "yesterday" => binary(today(), BinaryOperator::Minus, number(1)),
        "tomorrow" => binary(today(), BinaryOperator::Plus, number(1)),
        "epoch" if is_zoned => text("1970-01-01 00:00:00+00"),
        "epoch" => text("1970-01-01"),
        _ => return,
    };
    *expr = cast(moment, data_type);
}

/// The text of an interval that DataFusion does not read. Others stay: bounds of windows
/// have to be literals.
fn own_interval(interval: &Interval) -> Option<String> {
    let mut written = literal(&interval.value)?.trim().to_owned();
    let is_number = written.parse::<f64>().is_ok();
    if let Some(field) = interval.leading_field.as_ref().filter(|_| is_number) {
        written = format!("{written} {field}");
    }
    let is_read = interval.last_field.is_none() && parse_interval_month_day_nano(&written).is_ok();
    (!is_read).then_some(written)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn words_and_intervals_that_datafusion_does_not_read_are_changed() {
        for (written, expected) in [
            ("'now'::timestamptz", "CAST(now() AS TIMESTAMPTZ)"),
            ("date ' TODAY '", "CAST(current_date() AS DATE)"),
            ("'tomorrow'::date", "CAST((current_date() + 1) AS DATE)"),
            ("'epoch'::timestamp", "CAST('1970-01-01' AS TIMESTAMP)"),
            ("'2024-01-01'::date", "'2024-01-01'::DATE"),
            ("'now'::text", "'now'::TEXT"),
            ("interval '1 day'", "INTERVAL '1 day'"),
            ("interval '36:00:00.5x'", "CAST('36:00:00.5x' AS INTERVAL)"),
            ("interval '2:03' hour to minute", "CAST('2:03' AS INTERVAL)"),
        ] {
            let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(written);
            let mut expr = parser.unwrap().parse_expr().unwrap();
            change(&mut expr);
            assert_eq!(expr.to_string(), expected, "{written}");
        }
    }
}
