use super::*;
use crate::decode::civil::{EARLIEST_US, LATEST_US};
use chrono::{DateTime, NaiveDateTime};
use proptest::prelude::*;

fn pattern(text: &str) -> TimePattern {
    TimePattern::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refusal(text: &str) -> TimePatternError {
    match TimePattern::parse(text) {
        Err(error) => error,
        Ok(_) => panic!("{text} is taken"),
    }
}

fn micros(text: &str) -> i64 {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .expect("a time")
        .and_utc()
        .timestamp_micros()
}

/// Pattern, a text, and the instant that Python's `strptime` or DuckDB's reads from it.
const READ: [(&str, &str, &str); 44] = [
    ("%d/%m/%Y %I:%M %p", "01/05/2024 10:30 AM", "2024-05-01 10:30:00"),
    ("%d/%m/%Y %I:%M %p", "01/05/2024 12:30 AM", "2024-05-01 00:30:00"),
    ("%d/%m/%Y %I:%M %p", "01/05/2024 12:30 pm", "2024-05-01 12:30:00"),
    ("%m/%d/%Y %l:%M:%S%P", "5/1/2024 1:02:03pm", "2024-05-01 13:02:03"),
    ("%Y-%m-%d %r", "2024-05-01 11:59:59 PM", "2024-05-01 23:59:59"),
    ("%Y-%m-%d %H:%M:%S.%f", "2024-05-01 10:00:00.5", "2024-05-01 10:00:00.5"),
    ("%Y-%m-%d %H:%M:%S.%f", "2024-05-01 10:00:00.123456", "2024-05-01 10:00:00.123456"),
    ("%Y-%m-%d %H:%M:%S.%f", "2024-05-01 10:00:00.000001999", "2024-05-01 10:00:00.000001"),
    ("%Y-%m-%d %H:%M:%S,%f", "2024-05-01 10:00:00,25", "2024-05-01 10:00:00.25"),
    ("%Y%m%d%H%M%S%f", "2024050110000005", "2024-05-01 10:00:00.05"),
    ("%Y%m%d%H%M%S%3f", "20240501100000050", "2024-05-01 10:00:00.05"),
    ("%Y-%m-%d %H:%M:%S%.f", "2024-05-01 10:00:00", "2024-05-01 10:00:00"),
    ("%Y-%m-%d %H:%M:%S%.f", "2024-05-01 10:00:00.75", "2024-05-01 10:00:00.75"),
    ("%Y-%m-%d %H:%M:%S%.3f", "2024-05-01 10:00:00.075", "2024-05-01 10:00:00.075"),
    ("%Y-%m-%d %H:%M:%S.%6f", "2024-05-01 10:00:00.000075", "2024-05-01 10:00:00.000075"),
    ("%Y-%m-%d %H:%M:%S.%9f", "2024-05-01 10:00:00.000075999", "2024-05-01 10:00:00.000075"),
    ("%FT%T%z", "2024-05-01T10:00:00+0230", "2024-05-01 07:30:00"),
    ("%FT%T%:z", "2024-05-01T10:00:00-02:30", "2024-05-01 12:30:00"),
    ("%FT%T%z", "2024-05-01T10:00:00Z", "2024-05-01 10:00:00"),
    ("%FT%T %z", "2024-05-01T10:00:00 +02", "2024-05-01 08:00:00"),
    ("%FT%T%#z", "2024-05-01T10:00:00+02:00", "2024-05-01 08:00:00"),
    ("%F%z", "2024-05-01+02:00", "2024-04-30 22:00:00"),
    ("%d.%m.%Y", "1.5.2024", "2024-05-01 00:00:00"),
    ("%d.%m.%Y", "01.05.2024", "2024-05-01 00:00:00"),
    ("%e %b %Y %k:%M", " 1 May 2024  9:05", "2024-05-01 09:05:00"),
    ("%e %b %Y %k:%M", "11 may 2024 19:05", "2024-05-11 19:05:00"),
    ("%B %d, %Y", "September 3, 2024", "2024-09-03 00:00:00"),
    ("%B %d, %Y", "Sep 3, 2024", "2024-09-03 00:00:00"),
    ("%a, %d %b %Y %H:%M:%S %z", "Wed, 01 May 2024 10:00:00 +0000", "2024-05-01 10:00:00"),
    ("%A %d %B %Y", "Wednesday 01 May 2024", "2024-05-01 00:00:00"),
    ("%Y-%j", "2024-366", "2024-12-31 00:00:00"),
    ("%Y%j%H%M", "20240011530", "2024-01-01 15:30:00"),
    ("%G-W%V-%u", "2021-W52-5", "2021-12-31 00:00:00"),
    ("%G-W%V-%u %H:%M", "2020-W53-5 10:15", "2021-01-01 10:15:00"),
    ("%d/%m/%y %H:%M", "01/05/68 00:00", "2068-05-01 00:00:00"),
    ("%d/%m/%y %H:%M", "01/05/69 00:00", "1969-05-01 00:00:00"),
    ("%D %R", "05/01/24 10:30", "2024-05-01 10:30:00"),
    ("%s", "1714557600", "2024-05-01 10:00:00"),
    ("%s", "-1", "1969-12-31 23:59:59"),
    ("%Y-%m-%d %H", "2024-05-01 10", "2024-05-01 10:00:00"),
    ("%Y-%m-%d %H:%M UTC", "2024-05-01 10:30 UTC", "2024-05-01 10:30:00"),
    ("%d%%%m%%%Y", "01%05%2024", "2024-05-01 00:00:00"),
    ("%-d/%-m/%Y %-H:%M", "1/5/2024 7:30", "2024-05-01 07:30:00"),
    ("le %d à %Hh%M, %m.%Y", "le 1 à 7h30, 05.2024", "2024-05-01 07:30:00"),
];

#[test]
fn texts_mean_what_other_programs_take_them_for() {
    for (text, value, expected) in READ {
        assert_eq!(
            pattern(text).read(value.as_bytes()),
            Some(micros(expected)),
            "{text} of {value:?}"
        );
    }
}

#[test]
fn a_text_that_the_pattern_does_not_write_is_no_time() {
    for (text, value) in [
        ("%d/%m/%Y", "01/05/24"),
        ("%d/%m/%Y", "01/05/02024"),
        ("%d/%m/%y", "01/05/2024"),
        ("%d/%m/%Y", "31/04/2024"),
        ("%d/%m/%Y", "29/02/2023"),
        ("%d/%m/%Y", "01/13/2024"),
        ("%d/%m/%Y", "01/05/2024 "),
        ("%d/%m/%Y", " 01/05/2024 "),
        ("%d/%m/%Y %H:%M", "01/05/2024"),
        ("%d/%m/%Y %H:%M", "01/05/2024 24:00"),
        ("%d/%m/%Y %H:%M", "01/05/2024 10:60"),
        ("%d/%m/%Y %I:%M %p", "01/05/2024 13:30 PM"),
        ("%d/%m/%Y %I:%M %p", "01/05/2024 00:30 AM"),
        ("%d/%m/%Y %I:%M %p", "01/05/2024 10:30"),
        ("%d/%m/%Y %I:%M %p", "01/05/2024 10:30 XM"),
        ("%Y-%m-%d %H:%M:%S.%f", "2024-05-01 10:00:00"),
        ("%Y-%m-%d %H:%M:%S.%f", "2024-05-01 10:00:00."),
        ("%Y%m%d", "2024111"),
        ("%Y%m%d%H%M%S%3f", "2024050110000050"),
        ("%Y%j", "2024001x"),
        ("%Y-%j", "2023-366"),
        ("%Y-%j", "2023-000"),
        ("%a %d %b %Y", "Tue 01 May 2024"),
        ("%Y-%m-%d %j", "2024-05-01 123"),
        ("%G-W%V-%u", "2021-W53-5"),
        ("%G-W%V-%u", "2020-W53-8"),
        ("%FT%T%z", "2024-05-01T10:00:00"),
        ("%FT%T%z", "2024-05-01T10:00:00+2"),
        ("%FT%T%z", "2024-05-01T10:00:00+02:3"),
        ("%FT%T%z", "2024-05-01T10:00:00+24:00"),
        ("%Y-%m-%d", "0000-05-01"),
        ("%Y-%m-%d", "2024-05-0１"),
        ("%s", "1714557600.5"),
        ("%s", ""),
        ("%d%%%m%%%Y", "01-05-2024"),
    ] {
        assert_eq!(pattern(text).read(value.as_bytes()), None, "{text} of {value:?}");
    }
}

#[test]
fn what_leaves_an_instant_open_is_refused_with_what_would_be_right() {
    for (text, message, help) in [
        ("%d/%m/%Y %I:%M", "`%I`", "`%H`"),
        ("%d/%m/%Y %I:%M:%S.%f", "`%I`", "`%p`"),
        ("%d/%m/%Y %H:%M %p", "`%p`", "`%I`"),
        ("%d/%m/%Y %p", "`%p`", "`%I`"),
        ("%d/%m/%Y %H:%M %I %p", "hour is in the pattern twice", "`%H` alone"),
        ("%d/%m/%Y %M", "not the hour", "`%H`"),
        ("%d/%m/%Y %H:%S", "not the minute", "`%M`"),
        ("%d/%m/%Y %H:%M.%f", "not the second", "`%S`"),
        ("%H:%M:%S", "does not say the year", "`%Y`"),
        ("%d/%m", "does not say the year", "`%Y`"),
        ("%B %Y", "the day of the month", "`%d`"),
        ("%Y-%m", "the day of the month", "`%d`"),
        ("%Y", "the month", "`%m`"),
        ("%j", "does not say the year", "`%Y`"),
        ("%Y-%d", "the month", "`%m`"),
        ("%Y-%m %j", "half a date", "`%j`"),
        ("%Y-W%V-%u", "the year `%G`", "%G-W%V-%u"),
        ("%Y-%m-%d W%V-%u", "twice", "week out"),
        ("%G-W%V", "not which day", "`%u`"),
        ("%G-%u", "`%G` is the year of the week", "`%Y`"),
        ("W%V-%u", "the year `%G`", "%G-W%V-%u"),
        ("%Y-%m-%d %H:%M %Z", "`%Z`", "`%z`"),
        ("%Y-%W-%a", "`%W`", "%G-W%V-%u"),
        ("%Y-%U-%w", "`%U`", "%G-W%V-%u"),
        ("%C%y-%m-%d", "`%C`", "`%Y`"),
        ("%c", "`%c`", "`%a %b"),
        ("%x %X", "`%x`", "`%d/%m/%y`"),
        ("%+", "`%+`", "auto"),
        ("%s %z", "by itself", "unix-s"),
        ("%s.%f", "by itself", "unix-s"),
        ("%Y-%m-%d %Q", "`%Q`", "unix-ms"),
        ("%Y-%m-%d %!", "`%!`", "%Y %y"),
        ("%Y-%m-%d %", "ends in a single `%`", "`%%`"),
        ("%Y-%m-%d %5f", "`%5`", "%f"),
        ("%Y-%m-%d %Y", "the year is in the pattern twice", "once"),
        ("%d.%m.%y %Y", "the year is in the pattern twice", "once"),
        ("%Y%-m%d", "without a fixed count of digits", "`%d` instead of `%-d`"),
        ("%H%M%S%f%Y%m%d", "without a fixed count of digits", "`%6f`"),
        ("%Y-%m-%dT%H:%M%z0", "without a fixed count of digits", "between them"),
        ("%-Y-%m-%d", "takes no `-`", "`%Y`"),
        ("%-z", "`%-z`", "%z"),
        ("no directive", "does not say the year", "`%Y`"),
        ("%%Y-%%m", "does not say the year", "`%Y`"),
        ("", "does not say the year", "`%Y`"),
    ] {
        let error = refusal(text);
        assert!(error.message.contains(message) && error.help.contains(help), "{text}: {error}");
    }
}

#[test]
fn messages_show_a_time_as_the_pattern_writes_it() {
    assert_eq!(pattern("%d/%m/%Y %I:%M %p").example(), "31/12/2023 06:05 PM");
    assert_eq!(
        pattern("%A %e %B %y, %S%.f %M %k").example(),
        "Sunday 31 December 23, 09.250 05 18"
    );
}

/// Patterns put together from parts, with something between them.
fn patterns() -> impl Strategy<Value = String> {
    let day = prop_oneof![
        Just("%Y-%m-%d"),
        Just("%d/%m/%Y"),
        Just("%e %B %Y"),
        Just("%a %b %-d %Y"),
        Just("%d.%m.%y"),
        Just("%Y%m%d"),
        Just("%Y-%j"),
        Just("%G-W%V-%u"),
        Just("%A, %d. %h %Y"),
        Just("%D"),
        Just("%F"),
        Just("%-m/%-d/%Y"),
        Just("%j/%Y"),
        Just("%_d|%_m|%Y"),
    ];
    let time = prop_oneof![
        Just(""),
        Just(" %H"),
        Just("T%H:%M"),
        Just(" %I:%M %p"),
        Just(" %H:%M:%S"),
        Just("T%H%M%S"),
        Just(" %k.%M.%S"),
        Just(" %l:%M%P"),
        Just(" %H:%M:%S.%f"),
        Just(" %H:%M:%S,%f"),
        Just(" %H:%M:%S%.f"),
        Just(" %H%M%S%3f"),
        Just(" %H:%M:%S%.6f"),
        Just(" %-H:%-M:%-S"),
        Just(" %r"),
        Just("\t%T"),
        Just(" %R"),
        Just("%%%I:%M:%S%.3f%n%P"),
        Just(" %S.%f %M %H"),
    ];
    let end =
        prop_oneof![Just(""), Just("%:z"), Just(" %z"), Just(" UTC"), Just("!"), Just(" Zeit")];
    (day, time, end).prop_map(|(day, time, end)| format!("{day}{time}{end}"))
}

proptest! {
    #[test]
    fn a_text_of_a_pattern_read_and_written_is_the_same_text(
        text in patterns(),
        us in 0_i64..3_000_000_000_000_000,
    ) {
        let pattern = pattern(&text);
        let written = pattern.write(us).expect("a year of four digits");
        let read = pattern.read(written.as_bytes());
        prop_assert!(read.is_some(), "{} does not read {:?}", text, written);
        prop_assert_eq!(pattern.write(read.expect("a time")), Some(written.clone()), "{}", text);
        // No more is lost than the pattern leaves out.
        let lost = us - read.expect("a time");
        let has = |directives: &[&str]| directives.iter().any(|directive| text.contains(directive));
        let most = match () {
            () if has(&["%f", "%.f", "%.6f"]) => 1,
            () if has(&["%3f", "%.3f"]) => 1_000,
            () if has(&["%S", "%-S", "%r", "%T"]) => 1_000_000,
            () if has(&["%M", "%R"]) => 60_000_000,
            () if has(&["%H"]) => 3_600_000_000,
            () => 86_400_000_000,
        };
        prop_assert!((0..most).contains(&lost), "{}: {:?} lost {}", text, written, lost);
    }

    #[test]
    fn what_chrono_writes_is_read(us in EARLIEST_US..=LATEST_US) {
        let time = DateTime::from_timestamp_micros(us).expect("in range");
        for text in [
            "%d/%m/%Y %H:%M:%S%.6f",
            "%A %e %B %Y %I:%M:%S%.f %p",
            "%a %b %-d %Y %k:%M:%S%.6f",
            "%Y-%j %l.%M.%S%.6f%P %z",
            "%G-W%V-%u %T%.9f %:z",
            "%Y%m%d%H%M%S%6f",
            "%F %T%.f",
        ] {
            let written = time.format(text).to_string();
            prop_assert_eq!(
                pattern(text).read(written.as_bytes()),
                Some(us),
                "{} of {:?}",
                text,
                written
            );
        }
    }

    #[test]
    fn nothing_makes_a_pattern_or_a_text_panic(
        text in "[%a-zA-Z0-9 .:/é#_-]{0,12}",
        value in "\\PC{0,24}",
        bytes in proptest::collection::vec(any::<u8>(), 0..24),
    ) {
        if let Ok(pattern) = TimePattern::parse(&text) {
            let _ = (pattern.read(value.as_bytes()), pattern.read(&bytes));
        }
        for (text, _, _) in READ {
            let _ = (pattern(text).read(value.as_bytes()), pattern(text).read(&bytes));
        }
    }
}
