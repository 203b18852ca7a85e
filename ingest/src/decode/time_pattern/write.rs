//! An instant into text.

use super::item::{Colon, Fraction, Item, Letters, Name, Pad, Part};
use super::read::{DAYS, MONTHS};
use crate::decode::civil::{EARLIEST_US, LATEST_US};
use chrono::{DateTime, Datelike, Timelike, Utc};

pub(super) fn write(items: &[Item], micros: i64) -> Option<String> {
    if !(EARLIEST_US..=LATEST_US).contains(&micros) {
        return None;
    }
    let time = DateTime::from_timestamp_micros(micros)?;
    let mut text = String::new();
    for item in items {
        match item {
            // A pattern is UTF-8, and is cut between characters only.
            Item::Literal(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
            Item::Space(spaces) => text.push_str(spaces),
            Item::Part(part, pad, _) => text.push_str(&written(*part, *pad, time, micros)),
        }
    }
    Some(text)
}

fn written(part: Part, pad: Pad, time: DateTime<Utc>, micros: i64) -> String {
    let named = |names: &[&str], place: u32, form: Name| {
        let name = names[place as usize];
        if form == Name::Short { &name[..3] } else { name }.to_owned()
    };
    let number: i64 = match part {
        Part::Year => time.year().into(),
        Part::YearOfCentury => (time.year() % 100).into(),
        Part::Month => time.month().into(),
        Part::MonthName(form) => return named(&MONTHS, time.month0(), form),
        Part::Day => time.day().into(),
        Part::DayOfYear => time.ordinal().into(),
        Part::IsoYear => time.iso_week().year().into(),
        Part::IsoWeek => time.iso_week().week().into(),
        Part::DayOfWeek => time.weekday().number_from_monday().into(),
        Part::DayName(form) => return named(&DAYS, time.weekday().num_days_from_monday(), form),
        Part::Hour => time.hour().into(),
        Part::HourOfHalf => time.hour12().1.into(),
        Part::HalfOfDay(letters) => {
            return match (time.hour12().0, letters) {
                (false, Letters::Upper) => "AM",
                (true, Letters::Upper) => "PM",
                (false, Letters::Lower) => "am",
                (true, Letters::Lower) => "pm",
            }
            .to_owned();
        }
        Part::Minute => time.minute().into(),
        Part::Second => time.second().into(),
        Part::Fraction(form) => return fraction(form, micros.rem_euclid(1_000_000)),
        Part::Epoch => return micros.div_euclid(1_000_000).to_string(),
        Part::Offset(Colon::Yes) => return "+00:00".to_owned(),
        Part::Offset(Colon::No) => return "+0000".to_owned(),
    };
    let width = part.width().map_or(1, |(width, _)| width);
    match pad {
        Pad::Zero => format!("{number:0width$}"),
        Pad::Space => format!("{number:width$}"),
        Pad::None => number.to_string(),
    }
}

fn fraction(form: Fraction, micros: i64) -> String {
    let nanos = format!("{micros:06}000");
    match form {
        Fraction::Digits => nanos[..6].to_owned(),
        Fraction::Fixed(digits) => nanos[..usize::from(digits)].to_owned(),
        Fraction::PointedFixed(digits) => format!(".{}", &nanos[..usize::from(digits)]),
        Fraction::Pointed if micros == 0 => String::new(),
        Fraction::Pointed if micros % 1_000 == 0 => format!(".{}", &nanos[..3]),
        Fraction::Pointed => format!(".{}", &nanos[..6]),
    }
}
