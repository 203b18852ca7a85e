//! Patterns of numbers: `FM999,990.00`.

use super::time_format::ordinal;

/// A number by its decimal digits.
#[derive(Debug, Clone)]
pub(super) struct Number {
    is_negative: bool,
    whole: String,
    fraction: String,
    is_finite: bool,
}

impl Number {
    pub(super) fn of_float(value: f64) -> Self {
        if !value.is_finite() {
            let is_negative = value.is_sign_negative();
            let (whole, fraction) = (String::new(), String::new());
            return Self { is_negative, whole, fraction, is_finite: false };
        }
        // Fifteen digits are what a float8 is sure of.
        let exact = format!("{value:e}");
        let exponent: i64 =
            exact.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or_default();
        let digits = usize::try_from((14 - exponent).clamp(0, 20)).unwrap_or_default();
        Self::of_text(&format!("{value:.digits$}"))
    }

    pub(super) fn of_text(text: &str) -> Self {
        let is_negative = text.starts_with('-');
        let text = text.trim_start_matches(['-', '+']);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = whole.trim_start_matches('0').to_owned();
        Self { is_negative, whole, fraction: fraction.to_owned(), is_finite: true }
    }

    /// The number with so many digits behind the point, rounded half away from zero.
    fn rounded(&self, digits: usize) -> Self {
        let mut all: Vec<u8> = self.whole.bytes().chain(self.fraction.bytes()).collect();
        let keep = self.whole.len() + digits;
        let up = all.get(keep).is_some_and(|digit| *digit >= b'5');
        all.resize(keep, b'0');
        let mut carry = up;
        for digit in all.iter_mut().rev() {
            if !carry {
                break;
            }
            carry = *digit == b'9';
            *digit = if carry { b'0' } else { *digit + 1 };
        }
        if carry {
            all.insert(0, b'1');
        }
        let text = String::from_utf8(all).unwrap_or_default();
        let (whole, fraction) = text.split_at(text.len() - digits);
        let is_zero = text.bytes().all(|digit| digit == b'0');
        Self {
            is_negative: self.is_negative && !is_zero,
            whole: whole.trim_start_matches('0').to_owned(),
            fraction: fraction.to_owned(),
            is_finite: self.is_finite,
        }
    }
}

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A digit; whether zeros are shown in its place.
    Digit {
        zero: bool,
    },
    Point,
    Comma,
    Sign(&'static str),
    Ending {
        upper: bool,
    },
    Text(String),
}

impl Piece {
    /// Of a digit, whether zeros are shown in its place.
    fn zero(&self) -> Option<bool> {
        if let Self::Digit { zero } = self { Some(*zero) } else { None }
    }
}

/// A pattern of numbers.
#[derive(Debug, Clone)]
pub(super) struct NumberPattern {
    pieces: Vec<Piece>,
    bare: bool,
    whole_digits: usize,
    fraction_digits: usize,
    scientific: bool,
}

impl NumberPattern {
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let (mut bare, mut scientific, mut behind) = (false, false, false);
        let (mut whole_digits, mut fraction_digits) = (0, 0);
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let upper = rest.get(..2).map(str::to_ascii_uppercase).unwrap_or_default();
            let sign = match upper.as_str() {
                "MI" => Some("MI"),
                "PL" => Some("PL"),
                "SG" => Some("SG"),
                "PR" => Some("PR"),
                _ => None,
            };
            if let Some(sign) = sign {
                pieces.push(Piece::Sign(sign));
                rest = &rest[2..];
                continue;
            }
            match upper.as_str() {
                "FM" => {
                    bare = true;
                    rest = &rest[2..];
                    continue;
                }
                "TH" => {
                    pieces.push(Piece::Ending { upper: rest.starts_with('T') });
                    rest = &rest[2..];
                    continue;
                }
                _ => {}
            }
            if rest.get(..4).is_some_and(|four| four.eq_ignore_ascii_case("EEEE")) {
                scientific = true;
                rest = &rest[4..];
                continue;
            }
            if let Some(after) = rest.strip_prefix('"') {
                let end = after.find('"').unwrap_or(after.len());
                pieces.push(Piece::Text(after[..end].to_owned()));
                rest = after.get(end + 1..).unwrap_or_default();
                continue;
            }
            match first {
                '9' | '0' => {
                    pieces.push(Piece::Digit { zero: first == '0' });
                    if behind { fraction_digits += 1 } else { whole_digits += 1 }
                }
                '.' | 'D' | 'd' => {
                    behind = true;
                    pieces.push(Piece::Point);
                }
                ',' | 'G' | 'g' => pieces.push(Piece::Comma),
                'S' | 's' => pieces.push(Piece::Sign("S")),
                'L' | 'l' => pieces.push(Piece::Text(" ".to_owned())),
                other => pieces.push(Piece::Text(other.to_string())),
            }
            rest = &rest[first.len_utf8()..];
        }
        Self { pieces, bare, whole_digits, fraction_digits, scientific }
    }

    pub(super) fn show(&self, number: &Number) -> String {
        if self.scientific {
            return self.show_scientific(number);
        }
        let number = number.rounded(self.fraction_digits);
        let overflows = number.whole.len() > self.whole_digits || !number.is_finite;
        let has_sign = self.pieces.iter().any(|piece| matches!(piece, Piece::Sign(_)));
        let mut body = String::new();
        // From the first `0` on, and from the number's first digit on, digits are shown.
        let first_zero = self.first_zero();
        let start = self.whole_digits.saturating_sub(number.whole.len());
        let shown_from = match first_zero {
            Some(zero) => zero.min(start),
            // A number below one has no digit before the point but where nothing else is shown.
            None if number.whole.is_empty() && self.fraction_digits == 0 => {
                self.whole_digits.saturating_sub(1)
            }
            None => start,
        };
        let (mut at, mut behind, mut fraction_at) = (0, false, 0);
        let mut sign_place = None;
        for piece in &self.pieces {
            match piece {
                Piece::Digit { .. } if behind => {
                    let digit = number.fraction.as_bytes().get(fraction_at).copied();
                    fraction_at += 1;
                    let keep = !self.bare || self.fraction_matters(&number, fraction_at - 1);
                    if overflows {
                        body.push('#');
                    } else if keep {
                        body.push(char::from(digit.unwrap_or(b'0')));
                    }
                }
                Piece::Digit { .. } => {
                    if overflows {
                        body.push('#');
                    } else if at >= shown_from {
                        sign_place.get_or_insert(body.len());
                        let place = at.checked_sub(start);
                        let digit = place.and_then(|p| number.whole.as_bytes().get(p)).copied();
                        body.push(char::from(digit.unwrap_or(b'0')));
                    } else if !self.bare {
                        body.push(' ');
                    }
                    at += 1;
                }
                Piece::Point => {
                    sign_place.get_or_insert(body.len());
                    behind = true;
                    body.push('.');
                }
                Piece::Comma => {
                    if at > shown_from || overflows {
                        body.push(',');
                    } else if !self.bare {
                        body.push(' ');
                    }
                }
                Piece::Sign(sign) => {
                    body.push_str(sign_text(sign, number.is_negative, self.bare));
                }
                Piece::Ending { upper } if !number.is_negative => {
                    let ending = ordinal(&number.whole);
                    match upper {
                        true => body.push_str(&ending.to_ascii_uppercase()),
                        false => body.push_str(ending),
                    }
                }
                Piece::Ending { .. } => {}
                Piece::Text(text) => body.push_str(text),
            }
        }
        self.with_sign(body, has_sign, sign_place.unwrap_or_default(), number.is_negative)
    }

    fn first_zero(&self) -> Option<usize> {
        let before = self.pieces.iter().take_while(|piece| **piece != Piece::Point);
        let mut digits = before.filter_map(Piece::zero);
        digits.position(|zero| zero)
    }

    /// Whether a digit behind the point is shown where padding is not: there is one that is no
    /// zero, or a `0` in the pattern, from it on.
    fn fraction_matters(&self, number: &Number, at: usize) -> bool {
        let behind = self.pieces.iter().skip_while(|piece| **piece != Piece::Point);
        let mut zeros = behind.filter_map(Piece::zero);
        let digit = number.fraction.bytes().skip(at).any(|digit| digit != b'0');
        digit || zeros.by_ref().skip(at).any(|zero| zero)
    }

    fn with_sign(&self, body: String, has_sign: bool, place: usize, is_negative: bool) -> String {
        let anchored = self.pieces.contains(&Piece::Sign("S"));
        if anchored {
            // `S` stands beside the number, on the side on which the pattern has it.
            let sign = if is_negative { "-" } else { "+" };
            let leads = matches!(self.pieces.first(), Some(Piece::Sign("S")));
            let mut body = body;
            if leads {
                body.insert_str(place.min(body.len()), sign);
            } else {
                body.push_str(sign);
            }
            return body;
        }
        if has_sign {
            if self.pieces.contains(&Piece::Sign("PR")) {
                let mut body = body;
                return match (is_negative, self.bare) {
                    (true, _) => {
                        body.insert(place.min(body.len()), '<');
                        body.push('>');
                        body
                    }
                    (false, true) => body,
                    (false, false) => format!(" {body} "),
                };
            }
            return body;
        }
        let mut body = body;
        match (is_negative, self.bare) {
            (true, _) => body.insert(place.min(body.len()), '-'),
            (false, true) => {}
            (false, false) => body.insert(0, ' '),
        }
        body
    }

    fn show_scientific(&self, number: &Number) -> String {
        let digits: String = number.whole.chars().chain(number.fraction.chars()).collect();
        let first = digits.find(|digit| digit != '0');
        let Some(first) = first else {
            return format!(" {:.*}e+00", self.fraction_digits, 0.0);
        };
        let whole = i64::try_from(number.whole.len()).unwrap_or_default();
        let mut exponent = whole - i64::try_from(first).unwrap_or_default() - 1;
        let mantissa = Number {
            is_negative: number.is_negative,
            whole: digits[first..=first].to_owned(),
            fraction: digits[first + 1..].to_owned(),
            is_finite: true,
        }
        .rounded(self.fraction_digits);
        let mut head = mantissa.whole.clone();
        if head.len() > 1 {
            head.truncate(1);
            exponent += 1;
        }
        let point = if self.fraction_digits > 0 { "." } else { "" };
        let sign = if number.is_negative {
            "-"
        } else if self.bare {
            ""
        } else {
            " "
        };
        let direction = if exponent < 0 { '-' } else { '+' };
        let fraction = &mantissa.fraction;
        format!("{sign}{head}{point}{fraction}e{direction}{:02}", exponent.abs())
    }
}

fn sign_text(sign: &str, is_negative: bool, bare: bool) -> &'static str {
    match (sign, is_negative) {
        ("MI", true) | ("SG", true) => "-",
        ("SG", false) => "+",
        ("PL", false) => "+",
        ("MI", false) | ("PL", true) if !bare => " ",
        _ => "",
    }
}
