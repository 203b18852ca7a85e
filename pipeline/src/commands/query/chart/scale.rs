//! Scales with readable marks.

/// Which part of a step is no step: floats are not exact.
const SLACK: f64 = 1e-9;

/// A mark on a scale.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

/// A scale from `low` to `high`, which is more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Its marks, the lowest first.
    pub(super) ticks: Vec<Tick>,
}

impl Scale {
    /// Where a value stands: 0 at the lower end, 1 at the upper.
    pub(super) fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The label of the mark nearest to a value.
    pub(super) fn label(&self, value: f64) -> &str {
        let nearest =
            self.ticks.iter().min_by(|a, b| (a.at - value).abs().total_cmp(&(b.at - value).abs()));
        nearest.map_or("", |tick| tick.label.as_str())
    }
}

/// The least and the greatest of values; none where there are none, or they are too far apart for
/// a scale.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    (low <= high && (high - low).is_finite()).then_some((low, high))
}

/// A scale of numbers, whose ends are marks, with about so many of them.
pub(super) fn of_numbers(low: f64, high: f64, ticks: usize) -> Scale {
    let (low, high) = if low < high { (low, high) } else { around(low) };
    let step = step((high - low) / ticks.max(1) as f64);
    let (first, last) = ((low / step + SLACK).floor(), (high / step - SLACK).ceil());
    let count = (last - first).round().max(1.0) as usize;
    let at = |number: usize| ((first + number as f64) * step).clamp(f64::MIN, f64::MAX);
    let ticks =
        (0..=count).map(|number| Tick { at: at(number), label: number_label(at(number), step) });
    Scale { low: at(0).min(low), high: at(count).max(high), ticks: ticks.collect() }
}

/// A scale of numbers that ends where the numbers do, with about so many marks.
pub(super) fn within_numbers(low: f64, high: f64, ticks: usize) -> Scale {
    let (low, high) = if low < high { (low, high) } else { around(low) };
    let mut scale = of_numbers(low, high, ticks);
    let slack = (high - low) * SLACK;
    scale.ticks.retain(|tick| (low - slack..=high + slack).contains(&tick.at));
    Scale { low, high, ticks: scale.ticks }
}

/// What a single value lies within.
fn around(value: f64) -> (f64, f64) {
    let half = if value == 0.0 { 1.0 } else { (value.abs() * 0.5).max(f64::MIN_POSITIVE) };
    ((value - half).max(f64::MIN), (value + half).min(f64::MAX))
}

/// The least of 1, 2 and 5 times a power of ten that is at least this.
fn step(at_least: f64) -> f64 {
    let at_least = at_least.max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(at_least.log10().floor());
    // Of subnormal numbers there is no power of ten with a place of its own.
    let power = if power > 0.0 { power } else { f64::MIN_POSITIVE };
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    step.into_iter().find(|step| *step >= at_least * (1.0 - SLACK)).unwrap_or(10.0 * power)
}

/// A mark's number with the digits that tell it from its neighbors.
fn number_label(value: f64, step: f64) -> String {
    // Beyond these a row of zeros is hard to read.
    if step < 1e-6 || value.abs() >= 1e15 {
        let text = format!("{value:.3e}").replace(".000e", "e");
        return if value == 0.0 { "0".to_owned() } else { text };
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) if digits.chars().any(|digit| !matches!(digit, '0' | '.')) => ("-", digits),
        Some(zero) => ("", zero),
        None => ("", text.as_str()),
    };
    let (whole, parts) = match digits.split_once('.') {
        Some((whole, parts)) => (whole, format!(".{parts}")),
        None => (digits, String::new()),
    };
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{parts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn marks_are_round_numbers_and_hold_all_values() {
        for (low, high, ticks, expected) in [
            (0.0, 10.0, 5, vec!["0", "2", "4", "6", "8", "10"]),
            (-3.0, 3.0, 4, vec!["-4", "-2", "0", "2", "4"]),
            (0.0, 1_234_567.0, 3, vec!["0", "500,000", "1,000,000", "1,500,000"]),
            (0.12, 0.19, 4, vec!["0.12", "0.14", "0.16", "0.18", "0.20"]),
            (7.0, 7.0, 2, vec!["0", "5", "10", "15"]),
            (0.0, 0.0, 2, vec!["-1", "0", "1"]),
            (0.0, 3e20, 3, vec!["0", "1e20", "2e20", "3e20"]),
            (0.0, 2e-9, 2, vec!["0", "1e-9", "2e-9"]),
        ] {
            let scale = of_numbers(low, high, ticks);
            assert_eq!(labels(&scale), expected, "{low} to {high}");
            assert!(scale.low <= low && scale.high >= high, "{scale:?}");
            assert_eq!(scale.share(scale.low), 0.0);
            assert_eq!(scale.share(scale.high), 1.0);
        }
    }

    #[test]
    fn the_strangest_numbers_have_a_scale() {
        for (low, high) in [
            (f64::MIN_POSITIVE, f64::MIN_POSITIVE),
            (5e-324, 1e-323),
            (-1e308, 7e307),
            (1e308, 1e308),
            (0.1, 0.1 + f64::EPSILON),
        ] {
            let scale = of_numbers(low, high, 5);
            assert!(scale.ticks.len() < 20, "{low} to {high}: {scale:?}");
            assert!(scale.low < scale.high, "{low} to {high}: {scale:?}");
        }
        assert_eq!(extent([1.0, f64::NAN, -2.0].into_iter()), Some((-2.0, 1.0)));
        assert_eq!(extent([f64::MIN, f64::MAX].into_iter()), None);
        assert_eq!(extent(std::iter::empty()), None);
    }

    #[test]
    fn a_scale_within_has_no_marks_outside() {
        let scale = within_numbers(3.0, 17.0, 4);
        assert_eq!(labels(&scale), ["5", "10", "15"]);
        assert_eq!((scale.low, scale.high), (3.0, 17.0));
        assert_eq!(scale.label(10.2), "10");
    }
}
