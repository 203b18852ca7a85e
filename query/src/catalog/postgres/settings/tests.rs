use super::*;

fn settings() -> SettingsShown {
    SettingsShown::new("ada", 7)
}

#[test]
fn names_are_the_same_in_every_case_and_unknown_ones_are_refused() {
    let settings = settings();
    assert_eq!(settings.set("TIMEZONE", "europe/berlin").as_deref(), Ok("Europe/Berlin"));
    assert_eq!(settings.get("timezone").as_deref(), Ok("Europe/Berlin"));
    let unknown = settings.get("no_such").unwrap_err();
    assert_eq!(unknown.sqlstate(), "42704");
    assert_eq!(unknown.to_string(), "unrecognized configuration parameter \"no_such\"");
    assert_eq!(
        settings.set("datafusion.execution.batch_size", "1").unwrap_err().sqlstate(),
        "42704"
    );
    assert_eq!(settings.set("server_version", "9").unwrap_err().sqlstate(), "55P02");
    assert_eq!(settings.set("my.own", "x").as_deref(), Ok("x"));
}

#[test]
fn zones_are_names_numbers_offsets_and_intervals() {
    for (set, shown, arrow) in [
        ("UTC", "UTC", "UTC"),
        ("America/New_York", "America/New_York", "America/New_York"),
        ("INTERVAL '+00:00' HOUR TO MINUTE", "<+00>-00", "+00:00"),
        ("+02", "<+02>-02", "+02:00"),
        ("-3.5", "<-03:30>+03:30", "-03:30"),
        ("UTC+3", "<-03>+03", "-03:00"),
        ("<+02>-02", "<+02>-02", "+02:00"),
    ] {
        let settings = settings();
        assert_eq!(settings.set("TimeZone", set).as_deref(), Ok(shown), "{set}");
        assert_eq!(settings.time_zone(), arrow, "{set}");
    }
    assert_eq!(settings().set("TimeZone", "Mars/Olympus").unwrap_err().sqlstate(), "22023");
}

#[test]
fn times_are_shown_in_the_largest_unit() {
    let settings = settings();
    for (set, shown, milliseconds) in
        [("5000", "5s", 5_000), ("1min", "1min", 60_000), ("1500", "1500ms", 1_500), ("0", "0", 0)]
    {
        assert_eq!(settings.set("statement_timeout", set).as_deref(), Ok(shown));
        assert_eq!(settings.statement_timeout_ms(), milliseconds);
    }
    assert!(settings.set("statement_timeout", "-1").is_err());
    assert!(settings.set("statement_timeout", "5kB").is_err());
    settings.set("statement_timeout", "2s").unwrap();
    let all = settings.all();
    let timeout = all.iter().find(|one| one.about.name == "statement_timeout").unwrap();
    assert_eq!((timeout.raw.as_str(), timeout.reset.as_str()), ("2000", "0"));
}

#[test]
fn a_reset_goes_back_to_the_start() {
    let settings = settings();
    settings.set_at_start("application_name", "psql").unwrap();
    let saved = settings.saved();
    settings.set("application_name", "other").unwrap();
    settings.set("extra_float_digits", "3").unwrap();
    assert!(settings.reported().contains(&("application_name", "other".to_owned())));
    settings.reset_all();
    assert_eq!(settings.get("application_name").as_deref(), Ok("psql"));
    assert_eq!(settings.get("extra_float_digits").as_deref(), Ok("1"));
    settings.set("application_name", "third").unwrap();
    settings.restore(saved);
    assert_eq!(settings.reset("application_name").as_deref(), Ok("psql"));
}

#[test]
fn values_are_checked() {
    let settings = settings();
    assert_eq!(settings.set("DateStyle", "iso, dmy").as_deref(), Ok("ISO, DMY"));
    assert_eq!(settings.set("DateStyle", "German").unwrap_err().sqlstate(), "0A000");
    assert_eq!(settings.set("client_encoding", "utf-8").as_deref(), Ok("UTF8"));
    assert_eq!(settings.set("client_encoding", "LATIN1").unwrap_err().sqlstate(), "0A000");
    assert_eq!(settings.set("jit", "false").as_deref(), Ok("off"));
    assert_eq!(settings.set("bytea_output", "HEX").as_deref(), Ok("hex"));
    assert_eq!(settings.set("bytea_output", "x").unwrap_err().sqlstate(), "22023");
    assert_eq!(settings.get("transaction isolation level").as_deref(), Ok("repeatable read"));
    assert_eq!(
        settings.get("server_version").as_deref(),
        Ok(crate::catalog::postgres::SERVER_VERSION)
    );
    assert_eq!(
        settings.get("server_version_num").as_deref(),
        Ok(crate::catalog::postgres::SERVER_VERSION_NUM)
    );
}
