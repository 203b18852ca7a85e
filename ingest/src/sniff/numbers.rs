//! Numbers in text: which marks they are written with.

use super::Said;
use crate::decode::NumberMarks;

/// The ways of writing numbers, the usual ones first.
const WAYS: [(char, &[char]); 8] = [
    ('.', &[]),
    (',', &[]),
    ('.', &[',']),
    (',', &['.']),
    (',', &[' ', '\u{A0}', '\u{202F}']),
    ('.', &[' ', '\u{A0}', '\u{202F}']),
    ('.', &['\'', '’']),
    (',', &['\'', '’']),
];

/// What all numbers of a column have in common.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Digits {
    /// Digits above the mark, at most.
    pub(super) whole: usize,
    /// Digits below it, at most.
    pub(super) fraction: usize,
    /// Some have an exponent.
    pub(super) has_exponent: bool,
    /// Some are written as no number would be: `007`, `+49`.
    pub(super) is_code: bool,
}

impl Digits {
    /// Takes a number in; false when the text is none.
    pub(super) fn add(&mut self, text: &str, marks: &NumberMarks, plain: &mut String) -> bool {
        if !marks.plain(text, plain) {
            return false;
        }
        let (mantissa, exponent) = match plain.find(['e', 'E']) {
            Some(at) => plain.split_at(at),
            None => (plain.as_str(), ""),
        };
        let digits = mantissa.trim_start_matches(['-', '+']);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty()
            || mantissa.len() > digits.len() + 1
            || !are_digits(whole)
            || !are_digits(fraction)
            || (!exponent.is_empty() && plain.parse::<f64>().is_err())
        {
            return false;
        }
        self.whole = self.whole.max(whole.len());
        self.fraction = self.fraction.max(fraction.len());
        self.has_exponent |= !exponent.is_empty();
        self.is_code |= (whole.len() > 1 && whole.starts_with('0'))
            || (mantissa.starts_with('+') && fraction.is_empty());
        true
    }

    /// Of all values of a column; none when one is no number.
    pub(super) fn of(values: &[String], marks: &NumberMarks) -> Option<Self> {
        let (mut digits, mut plain) = (Self::default(), String::new());
        let all = values.iter().all(|value| digits.add(value, marks, &mut plain));
        (all && !values.is_empty()).then_some(digits)
    }
}

/// The ways of writing numbers.
fn ways() -> impl Iterator<Item = NumberMarks> {
    WAYS.iter().map(|(decimal, thousands)| NumberMarks {
        decimal: *decimal,
        thousands: thousands.to_vec(),
    })
}

/// The way in which all values are numbers, if there is one.
pub(super) fn way(values: &[String]) -> Option<NumberMarks> {
    ways().find(|marks| Digits::of(values, marks).is_some())
}

/// The marks that most columns are written with.
pub(super) fn marks(columns: &[&[String]], said: &mut Said) -> NumberMarks {
    let ways: Vec<NumberMarks> = ways().collect();
    // Columns of digits alone say nothing.
    let has_marks = |text: &String| text.contains(|c: char| ".,'’ \u{A0}\u{202F}".contains(c));
    let telling: Vec<&&[String]> =
        columns.iter().filter(|values| values.iter().any(has_marks)).collect();
    let fits = |marks: &NumberMarks| {
        telling.iter().filter(|values| Digits::of(values, marks).is_some()).count()
    };
    let counts: Vec<usize> = ways.iter().map(fits).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let Some(best) = counts.iter().position(|count| *count == most).filter(|_| most > 0) else {
        return NumberMarks::default();
    };
    let marks = ways[best].clone();
    let (mut plain, mut other) = (String::new(), String::new());
    let rival = ways.iter().enumerate().skip(best + 1).filter(|(way, _)| counts[*way] == most);
    for (_, rival) in rival {
        let differs = telling
            .iter()
            .filter(|values| Digits::of(values, &marks).is_some())
            .flat_map(|values| values.iter())
            .find(|text| {
                marks.plain(text, &mut plain) && rival.plain(text, &mut other) && plain != other
            });
        if let Some(text) = differs {
            said.unsure(format!(
                "the marks in numbers: {text:?} is {plain} as it is read, and would be {other} \
                 with decimal_mark = {:?}",
                rival.decimal.to_string()
            ));
            break;
        }
    }
    if marks != NumberMarks::default() {
        let example = telling
            .iter()
            .filter(|values| Digits::of(values, &marks).is_some())
            .flat_map(|values| values.iter())
            .filter(|text| has_marks(text))
            .max_by_key(|text| text.len());
        if let Some(text) = example {
            marks.plain(text, &mut plain);
            said.guess(format!("the marks in numbers: {text:?} is {plain}"));
        }
    }
    marks
}
