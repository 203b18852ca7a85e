//! How timestamps are written, and from text into microseconds since 1970 in UTC.
//!
//! One rule holds for all forms. A text without an offset is UTC, or of the stated zone. Digits
//! below a microsecond are cut off, towards the past. The second 60, a leap second, is the last
//! microsecond before it ends: UTC has it, counts since 1970 do not. Years are 1 to 9999.

use crate::decode::instant::{DayMemo, parse_timestamp};
use crate::decode::local_time::LocalTime;
use crate::decode::number::{NumberFault, parse_decimal_floor};
use crate::decode::time_pattern::{TimePattern, TimePatternError};

/// How a timestamp column is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// RFC 3339, `YYYY-MM-DD HH:MM:SS[.ffffff]` with or without an offset, or a date.
    #[default]
    Auto,
    /// Seconds since 1970, fractions allowed.
    EpochSeconds,
    /// Milliseconds since 1970, fractions allowed.
    EpochMillis,
    /// Microseconds since 1970.
    EpochMicros,
    /// A strftime pattern such as `%d/%m/%Y %H:%M`.
    Pattern(TimePattern),
    /// As `Auto`, or as a pattern, in the time of a place.
    Local(Box<LocalTime>),
}

impl TimeFormat {
    /// The form of a strftime pattern.
    ///
    /// # Errors
    /// When the pattern does not determine an instant.
    pub fn pattern(text: &str) -> Result<Self, TimePatternError> {
        TimePattern::parse(text).map(Self::Pattern)
    }

    /// The same in the time of a place, by its IANA name.
    ///
    /// # Errors
    /// When there is no zone of this name, or the form says itself how far it is from UTC.
    pub fn in_zone(self, zone: &str) -> Result<Self, TimePatternError> {
        let pattern = match self {
            Self::Auto => None,
            Self::Pattern(pattern) if !pattern.has_offset() => Some(pattern),
            Self::Local(local) => local.pattern().cloned(),
            Self::Pattern(_) | Self::EpochSeconds | Self::EpochMillis | Self::EpochMicros => {
                return Err(TimePatternError::new(
                    "times of this `format` say themselves which instant they are",
                    "remove `zone`",
                ));
            }
        };
        LocalTime::new(pattern, zone).map(|local| Self::Local(Box::new(local)))
    }

    /// Microseconds per unit, for the numeric forms.
    pub(crate) fn epoch_scale(&self) -> Option<i64> {
        match self {
            Self::EpochSeconds => Some(1_000_000),
            Self::EpochMillis => Some(1_000),
            Self::EpochMicros => Some(1),
            Self::Auto | Self::Pattern(_) | Self::Local(_) => None,
        }
    }

    /// The time that `text` says.
    pub(crate) fn read(&self, text: &[u8]) -> Option<i64> {
        match self {
            Self::Auto => parse_timestamp(text),
            Self::Pattern(pattern) => pattern.read(text),
            Self::Local(local) => local.read(text),
            Self::EpochSeconds | Self::EpochMillis | Self::EpochMicros => self.read_epoch(text),
        }
    }

    /// As [`Self::read`]; `memo` saves working out the day that the text before had, which in a
    /// stream of events is nearly always the same.
    #[inline]
    pub(crate) fn read_near(&self, text: &[u8], memo: &mut DayMemo) -> Option<i64> {
        match self {
            Self::Auto => memo.read(text),
            Self::EpochSeconds
            | Self::EpochMillis
            | Self::EpochMicros
            | Self::Pattern(_)
            | Self::Local(_) => self.read(text),
        }
    }

    /// The time that a number says. A number too large to be a time saturates, and is found
    /// impossible by the range check.
    pub(crate) fn read_epoch(&self, text: &[u8]) -> Option<i64> {
        let digits = match self.epoch_scale()? {
            1_000_000 => 6,
            1_000 => 3,
            _ => 0,
        };
        match parse_decimal_floor(text, 38, digits) {
            Ok(us) => Some(i64::try_from(us).unwrap_or(if us < 0 { i64::MIN } else { i64::MAX })),
            Err(NumberFault::Range) => Some(i64::MAX),
            Err(NumberFault::Syntax | NumberFault::Fraction) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::civil::{EARLIEST_US, LATEST_US};
    use chrono::DateTime;
    use proptest::prelude::*;

    #[test]
    fn the_usual_forms_say_the_same_instant() {
        let expected = Some(1_522_540_831_000_000);
        for text in [
            "2018-04-01 00:00:31",
            "2018-04-01T00:00:31",
            "2018-04-01T00:00:31Z",
            "2018-04-01T00:00:31.000Z",
            "2018-04-01T02:00:31+02:00",
            "2018-03-31T18:30:31-0530",
            "2018-04-01 01:00:31+01",
            "2018-04-01 00:00:31 UTC",
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(parse_timestamp(b"2018-04-01 00:00:31.1234567"), Some(1_522_540_831_123_456));
        assert_eq!(parse_timestamp(b"2018-04-01"), Some(1_522_540_800_000_000));
    }

    #[test]
    fn a_remembered_day_is_the_same_day() {
        let mut memo = DayMemo::default();
        for text in [
            "2018-04-01 00:00:31",
            "2018-04-01 23:59:59",
            "2018-04-31 00:00:00",
            "2018-04-02",
            "2018-04-01T00:00:31Z",
            "",
            "0000-00-00",
        ] {
            assert_eq!(
                TimeFormat::Auto.read_near(text.as_bytes(), &mut memo),
                parse_timestamp(text.as_bytes()),
                "{text}"
            );
        }
    }

    #[test]
    fn the_first_and_the_last_instant_are_taken_and_nothing_beyond() {
        assert_eq!(parse_timestamp(b"0001-01-01 00:00:00"), Some(EARLIEST_US));
        assert_eq!(parse_timestamp(b"9999-12-31 23:59:59.999999"), Some(LATEST_US));
        for text in [
            "0000-01-01 00:00:00",
            "2018-02-29",
            "2018-13-01",
            "2018-04-31",
            "10000-01-01",
            "2018-04-01T24:00:00",
            "2018-04-01T00:00:61",
            "",
            "2018-4-1",
            "2018-04-01T00:00:31.",
            "2018-04-01T00:00:31x",
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn epochs_and_patterns_are_read() {
        assert_eq!(TimeFormat::EpochSeconds.read(b"1522540831.5"), Some(1_522_540_831_500_000));
        assert_eq!(TimeFormat::EpochMillis.read(b"1522540831500"), Some(1_522_540_831_500_000));
        assert_eq!(TimeFormat::EpochMicros.read(b"-1"), Some(-1));
        let pattern = TimeFormat::pattern("%d/%m/%Y %H:%M").expect("a pattern");
        assert_eq!(pattern.read(b"01/04/2018 00:00"), Some(1_522_540_800_000_000));
    }

    #[test]
    fn digits_below_a_microsecond_are_cut_off_in_every_form() {
        let whole = 1_522_540_831_123_456;
        for text in [
            "2018-04-01T00:00:31.1234567Z",
            "2018-04-01 00:00:31,123456999",
            "2018-04-01T02:00:31.123456789012345+02:00",
        ] {
            assert_eq!(TimeFormat::Auto.read(text.as_bytes()), Some(whole), "{text}");
        }
        for text in ["1522540831.1234567", "1522540831.123456999999999", "1.522540831123456999e9"] {
            assert_eq!(TimeFormat::EpochSeconds.read(text.as_bytes()), Some(whole), "{text}");
        }
        for text in ["1522540831123.4567", "1522540831123.456999"] {
            assert_eq!(TimeFormat::EpochMillis.read(text.as_bytes()), Some(whole), "{text}");
        }
        assert_eq!(TimeFormat::EpochMicros.read(b"1522540831123456.9"), Some(whole));
        let pattern = TimeFormat::pattern("%Y-%m-%d %H:%M:%S.%f").expect("a pattern");
        assert_eq!(pattern.read(b"2018-04-01 00:00:31.123456789"), Some(whole));
        // Before 1970 as after it: the instant, not its distance from 1970, loses digits.
        assert_eq!(TimeFormat::Auto.read(b"1969-12-31 23:59:58.7999999"), Some(-1_200_001));
        assert_eq!(TimeFormat::EpochSeconds.read(b"-1.2000001"), Some(-1_200_001));
        assert_eq!(TimeFormat::EpochMillis.read(b"-1200.0001"), Some(-1_200_001));
        assert_eq!(TimeFormat::EpochSeconds.read(b"-1.2000000"), Some(-1_200_000));
        for text in [".", "1,5", "1522540831.5s", "0x10", ""] {
            assert_eq!(TimeFormat::EpochSeconds.read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_the_last_microsecond_before_it_ends_in_every_form() {
        let last = Some(1_483_228_799_999_999);
        for text in [
            "2016-12-31T23:59:60Z",
            "2016-12-31 23:59:60.5",
            "2017-01-01T08:59:60+09:00",
            "2016-12-31T18:59:60.999999999-05:00",
        ] {
            assert_eq!(TimeFormat::Auto.read(text.as_bytes()), last, "{text}");
        }
        let pattern = TimeFormat::pattern("%d.%m.%Y %H:%M:%S%.f").expect("a pattern");
        assert_eq!(pattern.read(b"31.12.2016 23:59:60"), last);
        assert_eq!(pattern.read(b"31.12.2016 23:59:60.25"), last);
        assert_eq!(pattern.read(b"31.12.2016 23:59:61"), None);
    }

    proptest! {
        #[test]
        fn every_time_that_chrono_writes_is_read_back(us in EARLIEST_US..=LATEST_US) {
            let time = DateTime::from_timestamp_micros(us).expect("in range");
            prop_assert_eq!(
                parse_timestamp(time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().as_bytes()),
                Some(us)
            );
        }

        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse_timestamp(&text);
        }
    }
}
