//! Literals of times, which Arrow reads only with seconds.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Value};

use super::build::{literal, text};

/// `timestamp '2024-01-01 10:00'` as `timestamp '2024-01-01 10:00:00'`, in casts too.
pub(super) fn change(expr: &mut Expr) {
    match expr {
        Expr::Cast { expr: inner, data_type: DataType::Timestamp(..), .. } => {
            if let Some(whole) = literal(inner).and_then(with_seconds) {
                **inner = text(&whole);
            }
        }
        Expr::TypedString(typed) if matches!(typed.data_type, DataType::Timestamp(..)) => {
            let whole = typed.value.clone().into_string();
            if let Some(whole) = whole.as_deref().and_then(with_seconds) {
                typed.value = Value::SingleQuotedString(whole).with_empty_span();
            }
        }
        _ => {}
    }
}

/// A date and a time without seconds, with them; none for other texts.
fn with_seconds(time: &str) -> Option<String> {
    let time = time.trim();
    let (date, clock) = time.split_at_checked(10)?;
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let (minutes, rest) = clock.split_at_checked(6)?;
    let is_clock = minutes.bytes().enumerate().all(|(at, byte)| match at {
        0 => byte == b' ' || byte == b'T',
        3 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !is_date || !is_clock || rest.starts_with(':') {
        return None;
    }
    Some(format!("{date}{minutes}:00{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_added_where_they_are_not() {
        assert_eq!(with_seconds("2024-01-01 10:00").as_deref(), Some("2024-01-01 10:00:00"));
        assert_eq!(with_seconds("2024-01-01T10:00+02").as_deref(), Some("2024-01-01T10:00:00+02"));
        for whole in ["2024-01-01 10:00:00", "2024-01-01", "10:00", "", "tomorrow", "ä2024-01-01"]
        {
            assert_eq!(with_seconds(whole), None, "{whole}");
        }
    }
}
