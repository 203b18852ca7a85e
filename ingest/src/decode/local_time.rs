//! Times of a place: what its clocks show, by the zone's name in the IANA database.
//!
//! Two hours a year are special. An hour that comes twice, when clocks go back, is taken as the
//! earlier of the two. An hour that never comes, when they go forward, is no time, and a record
//! that says so is rejected.

use crate::decode::instant::parse_timestamp;
use crate::decode::time_pattern::{TimePattern, TimePatternError};
use chrono::offset::{LocalResult, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

/// How times of a place are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTime {
    zone: Tz,
    /// None: RFC 3339 and its relatives; what has an offset is an instant already.
    pattern: Option<TimePattern>,
}

/// Names of zones.
pub fn zone_names() -> impl Iterator<Item = &'static str> {
    TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// What a text says.
enum Said {
    Instant(i64),
    /// A time that never came.
    Never,
    /// Not a time.
    Nothing,
}

impl LocalTime {
    pub(crate) fn new(pattern: Option<TimePattern>, zone: &str) -> Result<Self, TimePatternError> {
        let zone = zone.parse::<Tz>().map_err(|_| {
            TimePatternError::new(
                format!("`{zone}` isn't the name of a zone"),
                "names are those of the IANA database, such as \"Europe/Berlin\"",
            )
        })?;
        Ok(Self { zone, pattern })
    }

    /// The name of the zone.
    #[must_use]
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// The pattern; none: RFC 3339 and its relatives.
    #[must_use]
    pub fn pattern(&self) -> Option<&TimePattern> {
        self.pattern.as_ref()
    }

    /// The same of texts of RFC 3339 and its relatives.
    pub(crate) fn auto(&self) -> Self {
        Self { zone: self.zone, pattern: None }
    }

    /// Microseconds since 1970 in UTC.
    pub(crate) fn read(&self, text: &[u8]) -> Option<i64> {
        match self.said(text) {
            Said::Instant(us) => Some(us),
            Said::Never | Said::Nothing => None,
        }
    }

    /// Whether a text is a time of a form that is read, and no clock ever showed it.
    pub(crate) fn never_was(&self, text: &[u8]) -> bool {
        matches!(self.said(text), Said::Never)
    }

    fn said(&self, text: &[u8]) -> Said {
        let read = match &self.pattern {
            Some(pattern) => pattern.read(text),
            None => parse_timestamp(text),
        };
        let Some(shown) = read else { return Said::Nothing };
        // Behind the date only an offset has one of these.
        let has_offset = self.pattern.is_none()
            && text.get(11..).is_some_and(|time| {
                time.iter().any(|b| matches!(b, b'Z' | b'z' | b'+' | b'-' | b'C'))
            });
        if has_offset { Said::Instant(shown) } else { self.instant(shown) }
    }

    /// The instant at which clocks showed `shown`, microseconds since 1970 by these clocks.
    fn instant(&self, shown: i64) -> Said {
        let Some(time) = chrono::DateTime::from_timestamp_micros(shown) else {
            return Said::Nothing;
        };
        let offset = match self.zone.offset_from_local_datetime(&time.naive_utc()) {
            LocalResult::Single(offset) => offset.fix().local_minus_utc(),
            // The further east, the earlier.
            LocalResult::Ambiguous(one, other) => {
                one.fix().local_minus_utc().max(other.fix().local_minus_utc())
            }
            LocalResult::None => return Said::Never,
        };
        Said::Instant(shown - i64::from(offset) * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::time::TimeFormat;

    #[test]
    fn clocks_of_a_place_are_read_with_the_hours_that_come_twice_or_never() {
        let berlin = TimeFormat::Auto.in_zone("Europe/Berlin").expect("a zone");
        let pattern = TimeFormat::pattern("%d.%m.%Y %H:%M").expect("a pattern");
        let written = pattern.in_zone("Europe/Berlin").expect("a zone");
        let new_york = TimeFormat::Auto.in_zone("America/New_York").expect("a zone");
        let lord_howe = TimeFormat::Auto.in_zone("Australia/Lord_Howe").expect("a zone");
        for (format, text, expected) in [
            (&berlin, "2024-01-15 12:00:00", Some("2024-01-15T11:00:00Z")),
            (&berlin, "2024-07-15T12:00:00.5", Some("2024-07-15T10:00:00.5Z")),
            (&berlin, "2024-07-15", Some("2024-07-14T22:00:00Z")),
            (&berlin, "2024-07-15T12:00:00Z", Some("2024-07-15T12:00:00Z")),
            (&berlin, "2024-07-15T12:00:00-04:00", Some("2024-07-15T16:00:00Z")),
            (&berlin, "2024-07-15 12:00:00 UTC", Some("2024-07-15T12:00:00Z")),
            // Clocks went forward at 2:00, and back at 3:00.
            (&berlin, "2024-03-31 01:59:59", Some("2024-03-31T00:59:59Z")),
            (&berlin, "2024-03-31 02:00:00", None),
            (&berlin, "2024-03-31 02:59:59", None),
            (&berlin, "2024-03-31 03:00:00", Some("2024-03-31T01:00:00Z")),
            (&berlin, "2024-10-27 01:59:59", Some("2024-10-26T23:59:59Z")),
            (&berlin, "2024-10-27 02:00:00", Some("2024-10-27T00:00:00Z")),
            (&berlin, "2024-10-27 02:59:59", Some("2024-10-27T00:59:59Z")),
            (&berlin, "2024-10-27 03:00:00", Some("2024-10-27T02:00:00Z")),
            (&written, "27.10.2024 02:30", Some("2024-10-27T00:30:00Z")),
            (&written, "31.03.2024 02:30", None),
            (&new_york, "2024-11-03 01:30:00", Some("2024-11-03T05:30:00Z")),
            (&new_york, "2024-03-10 02:30:00", None),
            // By half an hour.
            (&lord_howe, "2024-04-07 01:45:00", Some("2024-04-06T14:45:00Z")),
            (&berlin, "yesterday", None),
        ] {
            let expected = expected.map(|text| parse_timestamp(text.as_bytes()).expect("a time"));
            assert_eq!(format.read(text.as_bytes()), expected, "{text}");
            let TimeFormat::Local(local) = format else { panic!("of a place") };
            let gone = expected.is_none() && text != "yesterday";
            assert_eq!(local.never_was(text.as_bytes()), gone, "{text}");
        }
    }

    #[test]
    fn only_names_of_zones_and_forms_without_an_offset_are_taken() {
        for (format, zone) in [
            (TimeFormat::Auto, "Europe/Berlim"),
            (TimeFormat::EpochSeconds, "Europe/Berlin"),
            (TimeFormat::pattern("%Y-%m-%d %H:%M %z").expect("a pattern"), "Europe/Berlin"),
            (TimeFormat::pattern("%s").expect("a pattern"), "Europe/Berlin"),
        ] {
            assert!(format.in_zone(zone).is_err(), "{zone}");
        }
        assert!(zone_names().any(|name| name == "Europe/Berlin"));
    }
}
