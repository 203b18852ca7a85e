//! The pieces that a pattern is made of.

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct TimePatternError {
    /// What is wrong with it, lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl TimePatternError {
    pub(in crate::decode) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// These bytes.
    Literal(Vec<u8>),
    /// White space, at least one character of it.
    Space(String),
    /// A part of the time.
    Part(Part, Pad, Exact),
}

/// How a number is filled up to its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pad {
    Zero,
    Space,
    None,
}

/// Whether a number must have all of its digits, because another one stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exact {
    Yes,
    No,
}

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    YearOfCentury,
    Month,
    MonthName(Name),
    Day,
    DayOfYear,
    IsoYear,
    IsoWeek,
    /// 1 to 7 from Monday.
    DayOfWeek,
    DayName(Name),
    Hour,
    HourOfHalf,
    HalfOfDay(Letters),
    Minute,
    Second,
    Fraction(Fraction),
    /// Seconds since 1970.
    Epoch,
    Offset(Colon),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Short,
    Long,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    Upper,
    Lower,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colon {
    Yes,
    No,
}

/// How a fraction of a second is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fraction {
    /// `%f`: any number of digits; six are written.
    Digits,
    /// `%3f`: so many digits.
    Fixed(u8),
    /// `%.f`: a point and digits, or nothing.
    Pointed,
    /// `%.3f`: a point and digits; so many are written.
    PointedFixed(u8),
}

impl Part {
    /// Digits of a number: all of them, and whether fewer will do where no other number follows.
    /// None: not a plain number.
    pub(super) fn width(self) -> Option<(usize, bool)> {
        Some(match self {
            Self::Year | Self::IsoYear => (4, false),
            Self::YearOfCentury => (2, false),
            Self::Month
            | Self::Day
            | Self::IsoWeek
            | Self::Hour
            | Self::HourOfHalf
            | Self::Minute
            | Self::Second => (2, true),
            Self::DayOfYear => (3, true),
            Self::DayOfWeek => (1, false),
            Self::Fraction(Fraction::Fixed(digits)) => (usize::from(digits), false),
            Self::MonthName(_)
            | Self::DayName(_)
            | Self::HalfOfDay(_)
            | Self::Fraction(Fraction::Digits | Fraction::Pointed | Fraction::PointedFixed(_))
            | Self::Epoch
            | Self::Offset(_) => return None,
        })
    }

    pub(super) fn begins_with_digit(self) -> bool {
        self.width().is_some() || matches!(self, Self::Epoch | Self::Fraction(Fraction::Digits))
    }

    /// Whether its end is where the digits end, however many there are.
    pub(super) fn takes_any_digits(self) -> bool {
        matches!(
            self,
            Self::Epoch
                | Self::Offset(_)
                | Self::Fraction(Fraction::Digits | Fraction::Pointed | Fraction::PointedFixed(_))
        )
    }
}
