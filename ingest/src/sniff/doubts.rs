//! Why a column that is text is nearly one of numbers, or of times.

use super::numbers::{self, Digits};
use super::values::ColumnValues;
use super::{Said, times};
use crate::decode::NumberMarks;

/// Says of a column that is text why its values are nearly numbers, or times.
pub(super) fn nearly_numbers(column: &ColumnValues, said: &mut Said) -> bool {
    let looked_at = &column.texts[..column.texts.len().min(1000)];
    let (name, example) = (&column.name, &column.texts[0]);
    if let Some(marks) = numbers::way(looked_at) {
        said.unsure(format!(
            "the type of `{name}`: {example:?} would be a number with decimal_mark = {:?}, which \
             the other columns do not have, so that it is a string",
            marks.decimal.to_string()
        ));
        return true;
    }
    let trimmed: Vec<String> = looked_at.iter().map(|text| text.trim().to_owned()).collect();
    if trimmed != looked_at && (numbers::way(&trimmed).is_some() || times::form(&trimmed).is_some())
    {
        said.unsure(format!(
            "the type of `{name}`: there are spaces around its values, such as {example:?}, so \
             that it is a string"
        ));
        return true;
    }
    // Such as `$1.50`, `1,50 kr`, `(1.50)`, `1,50-`.
    let bare = |text: &String| {
        let ends = |c: char| !c.is_ascii_digit();
        let bare = text.trim_start_matches(ends).trim_end_matches(ends);
        let around = text.len() - bare.len();
        let is_amount = bare.len() > 3 && matches!(bare.as_bytes()[bare.len() - 3], b'.' | b',');
        (around <= 6 && is_amount).then(|| bare.to_owned())
    };
    let bare: Option<Vec<String>> = looked_at.iter().map(bare).collect();
    if bare.is_some_and(|bare| numbers::way(&bare).is_some()) {
        said.unsure(format!(
            "the type of `{name}`: {example:?} is a number with something around it, so that it is \
             a string"
        ));
        return true;
    }
    false
}

/// Says of a column that is text because of a few values which they are.
pub(super) fn odd_values(column: &ColumnValues, marks: &NumberMarks, said: &mut Said) {
    let is_number = |text: &String| Digits::of(std::slice::from_ref(text), marks).is_some();
    let is_time = |text: &String| times::form(std::slice::from_ref(text)).is_some();
    for (fits, what) in [(&is_number as &dyn Fn(&String) -> bool, "numbers"), (&is_time, "times")] {
        let looked_at = &column.texts[..column.texts.len().min(1000)];
        let odd: Vec<&String> = looked_at.iter().filter(|text| !fits(text)).collect();
        if !odd.is_empty() && odd.len() * 5 < looked_at.len() {
            said.unsure(format!(
                "the type of `{}`: most values are {what}, and {:?} is none, so that it is a \
                 string",
                column.name, odd[0]
            ));
            return;
        }
    }
}
