//! How a source writes values, where it is not as usual: marks in numbers, words for truth values,
//! names and time formats of single columns.

use crate::decode::time::TimeFormat;

/// How a source writes values, where it is not as usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueForms {
    /// The marks in numbers that are written as text.
    pub numbers: NumberMarks,
    /// The words for truth values that are written as text; none: `true`, `false`, `1`, `0`.
    pub words: Option<TruthWords>,
    /// Columns with a form of their own.
    pub columns: Vec<(String, ColumnForm)>,
}

/// The marks in a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberMarks {
    /// Before the digits below one.
    pub decimal: char,
    /// Between groups of three digits, one of these; none: digits are not grouped.
    pub thousands: Vec<char>,
}

impl Default for NumberMarks {
    fn default() -> Self {
        Self { decimal: '.', thousands: Vec::new() }
    }
}

/// Words for truth values, letter by letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TruthWords {
    /// For true.
    pub yes: Vec<String>,
    /// For false.
    pub no: Vec<String>,
}

/// The form of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnForm {
    /// Its name in the input; none: its own. Fields of JSON objects, and members of structs, are
    /// `object.field`.
    pub from: Option<String>,
    /// How its dates or times are written.
    pub format: Option<TimeFormat>,
}

impl TruthWords {
    /// What a word says, if it is one.
    pub(crate) fn read(&self, text: &str) -> Option<bool> {
        if self.yes.iter().any(|word| word == text) {
            return Some(true);
        }
        self.no.iter().any(|word| word == text).then_some(false)
    }
}

impl ValueForms {
    /// The form of a column.
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnForm> {
        self.columns.iter().find(|(column, _)| column == name).map(|(_, form)| form)
    }

    /// The name of a column in the input.
    pub(crate) fn input<'a>(&'a self, name: &'a str) -> &'a str {
        self.column(name).and_then(|form| form.from.as_deref()).unwrap_or(name)
    }
}

impl NumberMarks {
    /// Whether numbers are written as usual.
    pub(crate) fn are_usual(&self) -> bool {
        self.decimal == '.' && self.thousands.is_empty()
    }

    /// Writes a number into `plain` with a point and without groups; false when it is none: groups
    /// have three digits, the first one to three, and one mark between all of them.
    pub(crate) fn plain(&self, text: &str, plain: &mut String) -> bool {
        plain.clear();
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let (whole, fraction) = match mantissa.split_once(self.decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let (sign, whole) = match whole.strip_prefix(['-', '+']) {
            Some(rest) => (&whole[..1], rest),
            None => ("", whole),
        };
        plain.push_str(sign);
        match whole.find(|c| self.thousands.contains(&c)).and_then(|at| whole[at..].chars().next())
        {
            None => plain.push_str(whole),
            Some(mark) => {
                for (place, group) in whole.split(mark).enumerate() {
                    let digits = group.len();
                    let fits = if place == 0 { (1..=3).contains(&digits) } else { digits == 3 };
                    if !fits || !group.bytes().all(|b| b.is_ascii_digit()) {
                        return false;
                    }
                    plain.push_str(group);
                }
            }
        }
        if let Some(fraction) = fraction {
            if !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return false;
            }
            plain.push('.');
            plain.push_str(fraction);
        }
        plain.push_str(exponent);
        // A point that is neither mark is no part of a number.
        fraction.is_some() || !whole.contains('.') || self.thousands.contains(&'.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_out_of_numbers_and_groups_have_three_digits() {
        let german = NumberMarks { decimal: ',', thousands: vec!['.'] };
        let comma = NumberMarks { decimal: ',', thousands: Vec::new() };
        let american = NumberMarks { decimal: '.', thousands: vec![','] };
        let french = NumberMarks { decimal: ',', thousands: vec![' ', '\u{A0}', '\u{202F}'] };
        let swiss = NumberMarks { decimal: '.', thousands: vec!['\'', '’'] };
        for (marks, text, expected) in [
            (&german, "1.234.567,89", Some("1234567.89")),
            (&german, "-1.234,5", Some("-1234.5")),
            (&german, "12,50", Some("12.50")),
            (&german, "1234,5", Some("1234.5")),
            (&german, "1.234", Some("1234")),
            (&german, "+7", Some("+7")),
            (&german, ",5", Some(".5")),
            (&german, "1,5E+03", Some("1.5E+03")),
            (&german, "1.5", None),
            (&german, "12.50", None),
            (&german, "1.2345", None),
            (&german, "1234.567", None),
            (&german, ".234", None),
            (&german, "1.234.56", None),
            (&german, "1,234.5", None),
            (&german, "1,2,3", None),
            (&comma, "12,5", Some("12.5")),
            (&comma, "12.5", None),
            (&comma, "1.234,5", None),
            (&american, "1,234.56", Some("1234.56")),
            (&american, "1,234", Some("1234")),
            (&american, "1,23", None),
            (&american, "1234.56", Some("1234.56")),
            (&french, "1 234,56", Some("1234.56")),
            (&french, "-1\u{202F}234\u{202F}567,8", Some("-1234567.8")),
            (&french, "1 234\u{A0}567,8", None),
            (&swiss, "1'234'567.80", Some("1234567.80")),
            (&swiss, "1’234.5", Some("1234.5")),
        ] {
            let mut plain = String::from("before");
            let read = marks.plain(text, &mut plain);
            // What is left over is for the reader of plain numbers to refuse.
            let is_number = read && plain.parse::<f64>().is_ok();
            assert_eq!(is_number.then_some(plain.as_str()), expected, "{text} {marks:?}");
        }
    }
}
