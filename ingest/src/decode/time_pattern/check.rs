//! From a pattern's text to its items, and whether they determine an instant.

use super::item::{Colon, Exact, Fraction, Item, Letters, Name, Pad, Part, TimePatternError};

/// The items of a pattern.
pub(super) fn items(text: &str) -> Result<Vec<Item>, TimePatternError> {
    let mut items = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '%' {
            rest = directive(rest, &mut items)?;
            continue;
        }
        let spaces = first.is_whitespace();
        let end =
            rest.find(|c: char| c == '%' || c.is_whitespace() != spaces).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        items.push(if spaces {
            Item::Space(piece.to_owned())
        } else {
            Item::Literal(piece.as_bytes().to_vec())
        });
        rest = behind;
    }
    Ok(join_literals(items))
}

/// Neighboring pieces of text as one, so that a look at the next item is a look at what follows.
fn join_literals(items: Vec<Item>) -> Vec<Item> {
    let mut joined: Vec<Item> = Vec::with_capacity(items.len());
    for item in items {
        match (joined.last_mut(), item) {
            (Some(Item::Literal(before)), Item::Literal(bytes)) => before.extend(bytes),
            (Some(Item::Space(before)), Item::Space(text)) => before.push_str(&text),
            (_, item) => joined.push(item),
        }
    }
    joined
}

/// Reads the directive at the start of `text`; what follows it.
fn directive<'a>(text: &'a str, items: &mut Vec<Item>) -> Result<&'a str, TimePatternError> {
    let after = &text[1..];
    for (name, fraction) in FRACTIONS {
        if let Some(rest) = after.strip_prefix(name) {
            items.push(Item::Part(Part::Fraction(fraction), Pad::Zero, Exact::No));
            return Ok(rest);
        }
    }
    for (name, colon) in [(":z", Colon::Yes), ("#z", Colon::No), ("z", Colon::No)] {
        if let Some(rest) = after.strip_prefix(name) {
            items.push(Item::Part(Part::Offset(colon), Pad::Zero, Exact::No));
            return Ok(rest);
        }
    }
    let (pad, name) = match after.chars().next() {
        Some('-') => (Some(Pad::None), &after[1..]),
        Some('_') => (Some(Pad::Space), &after[1..]),
        Some('0') => (Some(Pad::Zero), &after[1..]),
        _ => (None, after),
    };
    let Some(letter) = name.chars().next() else {
        return Err(TimePatternError::new(
            "the pattern ends in a single `%`",
            "a percent sign itself is `%%`",
        ));
    };
    let behind = &name[letter.len_utf8()..];
    let (part, usual) = match letter {
        '%' => {
            items.push(Item::Literal(b"%".to_vec()));
            return Ok(behind);
        }
        'n' | 't' => {
            items.push(Item::Space(if letter == 'n' { "\n" } else { "\t" }.to_owned()));
            return Ok(behind);
        }
        'F' | 'D' | 'T' | 'R' | 'r' => {
            items.extend(self::items(composite(letter))?);
            return Ok(behind);
        }
        'Y' => (Part::Year, Pad::Zero),
        'y' => (Part::YearOfCentury, Pad::Zero),
        'm' => (Part::Month, Pad::Zero),
        'b' | 'h' => (Part::MonthName(Name::Short), Pad::Zero),
        'B' => (Part::MonthName(Name::Long), Pad::Zero),
        'd' => (Part::Day, Pad::Zero),
        'e' => (Part::Day, Pad::Space),
        'j' => (Part::DayOfYear, Pad::Zero),
        'G' => (Part::IsoYear, Pad::Zero),
        'V' => (Part::IsoWeek, Pad::Zero),
        'u' => (Part::DayOfWeek, Pad::Zero),
        'a' => (Part::DayName(Name::Short), Pad::Zero),
        'A' => (Part::DayName(Name::Long), Pad::Zero),
        'H' => (Part::Hour, Pad::Zero),
        'k' => (Part::Hour, Pad::Space),
        'I' => (Part::HourOfHalf, Pad::Zero),
        'l' => (Part::HourOfHalf, Pad::Space),
        'p' => (Part::HalfOfDay(Letters::Upper), Pad::Zero),
        'P' => (Part::HalfOfDay(Letters::Lower), Pad::Zero),
        'M' => (Part::Minute, Pad::Zero),
        'S' => (Part::Second, Pad::Zero),
        's' => (Part::Epoch, Pad::Zero),
        'z' | 'f' if pad.is_some() => return Err(takes_no(&after[..1], letter)),
        other => return Err(refused(other)),
    };
    if pad.is_some() && !part.width().is_some_and(|(_, fewer)| fewer) {
        return Err(takes_no(&after[..1], letter));
    }
    items.push(Item::Part(part, pad.unwrap_or(usual), Exact::No));
    Ok(behind)
}

const FRACTIONS: [(&str, Fraction); 8] = [
    ("f", Fraction::Digits),
    ("3f", Fraction::Fixed(3)),
    ("6f", Fraction::Fixed(6)),
    ("9f", Fraction::Fixed(9)),
    (".f", Fraction::Pointed),
    (".3f", Fraction::PointedFixed(3)),
    (".6f", Fraction::PointedFixed(6)),
    (".9f", Fraction::PointedFixed(9)),
];

fn composite(letter: char) -> &'static str {
    match letter {
        'F' => "%Y-%m-%d",
        'D' => "%m/%d/%y",
        'T' => "%H:%M:%S",
        'R' => "%H:%M",
        _ => "%I:%M:%S %p",
    }
}

fn takes_no(flag: &str, letter: char) -> TimePatternError {
    TimePatternError::new(
        format!("`%{flag}{letter}`: `%{letter}` takes no `{flag}`"),
        format!("write `%{letter}`"),
    )
}

/// Why a directive that other programs know is not taken, and what would be.
fn refused(letter: char) -> TimePatternError {
    let (why, help) = match letter {
        'Z' => (
            "is the name of a zone, which does not say how far it is from UTC",
            "use `%z` where the data has offsets such as +0200; where it always says UTC, write \
             `UTC` itself",
        ),
        'U' | 'W' => (
            "counts weeks in a way that leaves the year's first days open",
            "use the ISO week: `%G-W%V-%u`",
        ),
        'w' => (
            "counts days of the week from Sunday",
            "use `%u`, 1 to 7 from Monday, or a name (`%a`, `%A`)",
        ),
        'C' | 'g' => ("is a part of a year", "use `%Y`, `%y`, or `%G` of an ISO week"),
        'c' | 'x' | 'X' | 'v' | 'E' | 'O' => (
            "means another form in every language",
            "write its parts: `%a %b %e %H:%M:%S %Y`, `%d/%m/%y`, `%H:%M:%S`",
        ),
        '+' => ("is RFC 3339", "use the format `auto`"),
        'q' | 'Q' => (
            "is a quarter of a year, or a count of milliseconds",
            "use `%m` for a month, the format `unix-ms` for milliseconds",
        ),
        'L' | 'N' => ("is not a directive here", "a fraction of a second is `%f`"),
        _ => (
            "is not a directive",
            "there are %Y %y %m %b %B %d %e %j %G %V %u %a %A %H %k %I %l %p %P %M %S %f %s %z %F \
             %D %T %R %r and %%",
        ),
    };
    TimePatternError::new(format!("`%{letter}` {why}"), help)
}

/// What kinds of parts a pattern has.
#[derive(Default)]
struct Has {
    year: bool,
    month: bool,
    day: bool,
    day_of_year: bool,
    iso_year: bool,
    iso_week: bool,
    day_of_week: bool,
    hour: bool,
    hour_of_half: bool,
    half: bool,
    minute: bool,
    second: bool,
    fraction: bool,
    epoch: bool,
    offset: bool,
}

impl Has {
    /// The place of a part, and what it is called in messages.
    fn place(&mut self, part: Part) -> (&mut bool, &'static str) {
        match part {
            Part::Year | Part::YearOfCentury => (&mut self.year, "the year"),
            Part::Month | Part::MonthName(_) => (&mut self.month, "the month"),
            Part::Day => (&mut self.day, "the day of the month"),
            Part::DayOfYear => (&mut self.day_of_year, "the day of the year"),
            Part::IsoYear => (&mut self.iso_year, "the year of the week"),
            Part::IsoWeek => (&mut self.iso_week, "the week"),
            Part::DayOfWeek | Part::DayName(_) => (&mut self.day_of_week, "the day of the week"),
            Part::Hour => (&mut self.hour, "the hour"),
            Part::HourOfHalf => (&mut self.hour_of_half, "the hour"),
            Part::HalfOfDay(_) => (&mut self.half, "morning or afternoon"),
            Part::Minute => (&mut self.minute, "the minute"),
            Part::Second => (&mut self.second, "the second"),
            Part::Fraction(_) => (&mut self.fraction, "the fraction of a second"),
            Part::Epoch => (&mut self.epoch, "seconds since 1970"),
            Part::Offset(_) => (&mut self.offset, "the offset from UTC"),
        }
    }
}

/// Refuses what leaves the day or the time of day open.
pub(super) fn determines_an_instant(items: &[Item]) -> Result<(), TimePatternError> {
    let fail = |message: &str, help: &str| Err(TimePatternError::new(message, help));
    let mut has = Has::default();
    for item in items {
        let Item::Part(part, ..) = item else { continue };
        let (there, name) = has.place(*part);
        if std::mem::replace(there, true) {
            return Err(TimePatternError::new(
                format!("{name} is in the pattern twice"),
                "name each part of a time once",
            ));
        }
    }
    if has.epoch {
        let parts = items.iter().filter(|item| matches!(item, Item::Part(..))).count();
        if parts > 1 {
            return fail(
                "`%s`, seconds since 1970, is an instant by itself",
                "use the format `unix-s`, which takes fractions too",
            );
        }
        return Ok(());
    }
    determines_a_day(&has)?;
    if has.hour && has.hour_of_half {
        return fail("the hour is in the pattern twice", "use `%H` alone, or `%I` with `%p`");
    }
    if has.hour_of_half && !has.half {
        return fail(
            "`%I` is an hour from 1 to 12, and nothing says whether of the morning",
            "use `%H` for hours 0 to 23, or add `%p`",
        );
    }
    if has.half && !has.hour_of_half {
        return fail(
            "`%p` says which half of the day an hour `%I` is in, and there is no `%I`",
            "use `%I` for the hour",
        );
    }
    let hour = has.hour || has.hour_of_half;
    if has.minute && !hour {
        return fail("the pattern says the minute and not the hour", "add `%H`");
    }
    if has.second && !has.minute {
        return fail("the pattern says the second and not the minute", "add `%M`");
    }
    if has.fraction && !has.second {
        return fail("the pattern says a fraction of a second and not the second", "add `%S`");
    }
    Ok(())
}

fn determines_a_day(has: &Has) -> Result<(), TimePatternError> {
    let fail = |message: &str, help: &str| Err(TimePatternError::new(message, help));
    if has.iso_year || has.iso_week {
        if has.year && !has.iso_year && !has.month {
            return fail(
                "`%V`, the week, is one of the year `%G`, which is not always `%Y`",
                "write `%G-W%V-%u`, or a date such as `%Y-%m-%d`",
            );
        }
        if has.year || has.month || has.day || has.day_of_year {
            return fail(
                "the pattern says the day twice, by its week and by its date",
                "leave the week out, or the date",
            );
        }
        if !has.iso_year {
            return fail(
                "`%V`, the week, is one of the year `%G`, which is not there",
                "write `%G-W%V-%u`, or a date such as `%Y-%m-%d`",
            );
        }
        if !has.iso_week {
            return fail(
                "`%G` is the year of the week `%V`, which is not there",
                "use `%Y`, or write `%G-W%V-%u`",
            );
        }
        if !has.day_of_week {
            return fail(
                "the pattern says a week, and not which day of it",
                "add `%u` (1 to 7 from Monday)",
            );
        }
        return Ok(());
    }
    if !has.year {
        return fail("the pattern does not say the year", "add `%Y`");
    }
    if has.day_of_year {
        // Beside a whole date it is compared with it; beside half of one it would not be.
        if has.month != has.day {
            return fail(
                "`%j`, the day of the year, stands beside half a date",
                "leave `%j` out, or the month and the day",
            );
        }
        return Ok(());
    }
    if !has.month {
        return fail(
            "the pattern does not say the month",
            "add `%m`, or `%j` for the day of the year",
        );
    }
    if !has.day {
        return fail("the pattern does not say the day of the month", "add `%d`");
    }
    Ok(())
}
