//! `SET`: what a session can choose.

use std::time::Duration;

use arrow::array::timezone::Tz;
use datafusion::sql::sqlparser::ast::{Expr, Set};
use riskstream_query::service::SessionSettings;

/// What can be set, for those who set something else.
const KNOWN: &str = "timezone, statement_timeout and application_name can be set here";

/// Sets what a statement says.
///
/// # Errors
/// There is no such setting, or it has no such value.
pub(super) fn set(settings: &mut SessionSettings, set: &Set) -> Result<(), String> {
    let (name, value) = match set {
        Set::SetTimeZone { value, .. } => ("timezone".to_owned(), plain(value)),
        Set::SingleAssignment { variable, values, .. } => {
            let [value] = values.as_slice() else {
                return Err(format!("`{variable}` has one value; {KNOWN}"));
            };
            (variable.to_string().to_ascii_lowercase(), plain(value))
        }
        _ => return Err(KNOWN.to_owned()),
    };
    let is_default = value.eq_ignore_ascii_case("default");
    let default = SessionSettings::default();
    match name.as_str() {
        "timezone" if is_default || value.eq_ignore_ascii_case("local") => {
            settings.time_zone = default.time_zone;
        }
        "timezone" => {
            value.parse::<Tz>().map_err(|_error| {
                format!("there is no time zone `{value}`: `Europe/Amsterdam` and `+02:00` are some")
            })?;
            settings.time_zone = value;
        }
        "statement_timeout" if is_default => settings.statement_timeout = default.statement_timeout,
        "statement_timeout" => settings.statement_timeout = timeout(&value)?,
        "application_name" if is_default => settings.application_name = default.application_name,
        "application_name" => settings.application_name = value,
        other => return Err(format!("there is no setting `{other}`; {KNOWN}")),
    }
    Ok(())
}

/// A value without the quotes around it.
fn plain(value: &Expr) -> String {
    let text = value.to_string();
    match text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        Some(quoted) => quoted.replace("''", "'"),
        None => text,
    }
}

/// Milliseconds or a duration such as `30s`; 0 is no limit.
fn timeout(value: &str) -> Result<Option<Duration>, String> {
    let time = match value.parse::<u64>() {
        Ok(milliseconds) => Duration::from_millis(milliseconds),
        Err(_) => humantime::parse_duration(value)
            .map_err(|error| format!("`{value}` is no time such as 30s or 5min: {error}"))?,
    };
    Ok((!time.is_zero()).then_some(time))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;
    use riskstream_query::service::parse;

    use super::*;

    fn after(statements: &[&str]) -> Result<SessionSettings, String> {
        let mut settings = SessionSettings::default();
        for text in statements {
            let parsed = parse(text).expect(text);
            let [statement] = parsed.as_slice() else { panic!("{text}") };
            let Statement::Set(found) = statement.tree() else { panic!("{text}") };
            set(&mut settings, found)?;
        }
        Ok(settings)
    }

    #[test]
    fn what_a_session_can_choose_is_set_and_all_else_refused() {
        let default = SessionSettings::default();
        for (statements, expected) in [
            (
                vec!["set timezone = 'Europe/Amsterdam'"],
                SessionSettings { time_zone: "Europe/Amsterdam".to_owned(), ..default.clone() },
            ),
            (
                vec!["set time zone '+05:30'"],
                SessionSettings { time_zone: "+05:30".to_owned(), ..default.clone() },
            ),
            (vec!["SET TimeZone TO 'Asia/Tokyo'", "set timezone to default"], default.clone()),
            (
                vec!["set statement_timeout = 1500"],
                SessionSettings {
                    statement_timeout: Some(Duration::from_millis(1_500)),
                    ..default.clone()
                },
            ),
            (
                vec!["set statement_timeout to '5min'"],
                SessionSettings {
                    statement_timeout: Some(Duration::from_secs(300)),
                    ..default.clone()
                },
            ),
            (vec!["set statement_timeout = '1s'", "set statement_timeout = 0"], default.clone()),
        ] {
            assert_eq!(after(&statements).as_ref(), Ok(&expected), "{statements:?}");
        }
        for (statement, said) in [
            ("set timezone = 'Mars/Base'", "no time zone `Mars/Base`"),
            ("set statement_timeout = 'soon'", "no time such as"),
            ("set work_mem = '1GB'", "no setting `work_mem`"),
            ("set session characteristics as transaction read only", "can be set here"),
        ] {
            let refused = after(&[statement]).expect_err(statement);
            assert!(refused.contains(said), "{refused}");
        }
    }
}
