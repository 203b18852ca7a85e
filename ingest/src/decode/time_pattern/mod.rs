//! Times as a strftime pattern writes them, such as `%d/%m/%Y %H:%M`.
//!
//! A pattern is taken only when it says which instant a text means: `check.rs` refuses what leaves
//! the day or the time of day open, and every directive is either read or refused. What a pattern
//! leaves out at its fine end is zero: no time of day is midnight, an hour alone is on the hour.
//! What follows is read as Python and DuckDB read it: the digits of `%f` are a fraction (`.5` is
//! half a second), years of two digits (`%y`) are 1969 to 2068.
//!
//! A text must match to its end. A pattern reads all that it writes ([`TimePattern::write`]), and
//! besides:
//! - months, days, hours, minutes and seconds of one digit, and those padded with a space, unless
//!   another number stands at once beside them;
//! - any number of spaces where the pattern has one, capitals or not in names, `+02`, `+0200`,
//!   `+02:00` and `Z` for `%z`;
//! - any number of digits for `%f`; those below a microsecond are cut off;
//! - the second 60, a leap second, as the last microsecond before it ends.

mod check;
mod item;
mod read;
mod write;

use item::{Exact, Item, Pad, Part};
use std::fmt;

pub use item::TimePatternError;

/// A pattern that determines an instant.
#[derive(Clone, PartialEq, Eq)]
pub struct TimePattern {
    text: String,
    items: Vec<Item>,
}

impl TimePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it has a directive that is not known, or that does not help to say an instant; or when
    /// it leaves one open.
    pub fn parse(text: &str) -> Result<Self, TimePatternError> {
        let items = settle_widths(check::items(text)?)?;
        check::determines_an_instant(&items)?;
        let pattern = Self { text: text.to_owned(), items };
        pattern.reads_what_it_writes()?;
        Ok(pattern)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a text says itself how far it is from UTC.
    #[must_use]
    pub fn has_offset(&self) -> bool {
        let tells = |item: &Item| matches!(item, Item::Part(Part::Offset(_) | Part::Epoch, ..));
        self.items.iter().any(tells)
    }

    /// The instant that `text` means, in microseconds since 1970 in UTC; none when the text is not
    /// of this form, or no such time exists.
    #[must_use]
    pub fn read(&self, text: &[u8]) -> Option<i64> {
        read::read(&self.items, text)
    }

    /// An instant of the years 1 to 9999, in microseconds since 1970, as the pattern writes it, in
    /// UTC; none for other years.
    #[must_use]
    pub fn write(&self, micros: i64) -> Option<String> {
        write::write(&self.items, micros)
    }

    /// An instant as the pattern writes it, for messages.
    #[must_use]
    pub fn example(&self) -> String {
        self.write(EXAMPLE_US).unwrap_or_default()
    }

    /// The last line of defense: whatever the rules above overlook, a pattern that does not give
    /// back what it wrote is refused.
    fn reads_what_it_writes(&self) -> Result<(), TimePatternError> {
        for micros in PROBES_US {
            let written = self.write(micros).unwrap_or_default();
            let read = self.read(written.as_bytes());
            if read.and_then(|read| self.write(read)).as_ref() != Some(&written) {
                return Err(TimePatternError::new(
                    format!("`{}` does not read {written:?}, which it writes itself", self.text),
                    "put something between its parts",
                ));
            }
        }
        Ok(())
    }
}

/// 2023-12-31 18:05:09.25, a Sunday.
const EXAMPLE_US: i64 = 1_704_045_909_250_000;
/// Of the years that patterns of two digits have too: morning, midnight, noon, one past noon; the
/// first and last days of a year; below and above 1970; with and without a fraction.
const PROBES_US: [i64; 7] = [
    EXAMPLE_US,
    1_704_067_200_000_000, // 2024-01-01 00:00:00
    1_714_564_800_000_000, // 2024-05-01 12:00:00
    1_714_568_706_120_000, // 2024-05-01 13:05:06.12
    1_582_937_999_999_999, // 2020-02-29 00:59:59.999999
    -31_449_600_000_000,   // 1969-01-02 00:00:00
    915_148_799_000_001,   // 1998-12-31 23:59:59.000001
];

impl fmt::Display for TimePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TimePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Says of every number whether another one stands beside it, and refuses what then has no end.
fn settle_widths(mut items: Vec<Item>) -> Result<Vec<Item>, TimePatternError> {
    for i in 0..items.len() {
        let digit_follows = match items.get(i + 1) {
            Some(Item::Literal(bytes)) => bytes.first().is_some_and(u8::is_ascii_digit),
            Some(Item::Part(part, pad, _)) => part.begins_with_digit() || *pad == Pad::Space,
            Some(Item::Space(_)) | None => false,
        };
        let digit_before = match i.checked_sub(1).and_then(|before| items.get(before)) {
            Some(Item::Literal(bytes)) => bytes.last().is_some_and(u8::is_ascii_digit),
            Some(Item::Part(part, ..)) => part.width().is_some(),
            Some(Item::Space(_)) | None => false,
        };
        let Item::Part(part, pad, exact) = &mut items[i] else { continue };
        if digit_before && *pad == Pad::Zero {
            *exact = Exact::Yes;
        }
        if !digit_follows {
            continue;
        }
        if part.takes_any_digits() || (part.width().is_some() && *pad != Pad::Zero) {
            return Err(TimePatternError::new(
                "a number without a fixed count of digits is followed by another one at once",
                "put something between them, or give it all of its digits (`%d` instead of `%-d`, \
                 `%3f` or `%6f` instead of `%f`)",
            ));
        }
        *exact = Exact::Yes;
    }
    Ok(items)
}

#[cfg(test)]
mod tests;
