//! Decimals next to integers of 128 bits, with generated numbers.

use arrow::datatypes::i256;

use super::decimal::{fits, parsed, power_of_ten, rescaled, rounded};

/// Numbers that repeat in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number of any length, of either sign.
    fn number(&mut self) -> i128 {
        let number = i128::from(self.next().cast_signed());
        number >> (self.next() % 64)
    }
}

/// The quotient with halves away from zero, by its definition: nearer than any other.
fn is_nearest(quotient: i128, dividend: i128, divisor: i128) -> bool {
    let distance = |quotient: i128| (dividend - quotient * divisor).abs();
    let own = distance(quotient);
    let others = [quotient - 1, quotient + 1];
    others.iter().all(|other| match own.cmp(&distance(*other)) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => quotient.abs() > other.abs(),
        std::cmp::Ordering::Greater => false,
    })
}

#[test]
fn quotients_are_the_nearest_numbers() {
    let mut random = Random(7);
    for _ in 0..100_000 {
        let (dividend, divisor) = (random.number(), random.number());
        if divisor == 0 {
            continue;
        }
        let quotient = rounded(i256::from_i128(dividend), i256::from_i128(divisor));
        let quotient = quotient.and_then(i256::to_i128).unwrap();
        assert!(is_nearest(quotient, dividend, divisor), "{dividend} / {divisor} = {quotient}");
    }
    assert_eq!(rounded(i256::from_i128(1), i256::ZERO), None);
}

#[test]
fn decimals_are_read_and_rounded() {
    for (text, scale, expected) in [
        ("1.005", 2, Some("1.01")),
        ("-1.005", 2, Some("-1.01")),
        ("1.0049999999999999999999999999999999999999", 2, Some("1.00")),
        ("2.5", 0, Some("3")),
        ("-0.5", 0, Some("-1")),
        ("1e3", 0, Some("1000")),
        ("1.5E-3", 4, Some("0.0015")),
        (" +7. ", 1, Some("7.0")),
        (".5", 1, Some("0.5")),
        ("", 0, None),
        (".", 0, None),
        ("1e", 0, None),
        ("--1", 0, None),
        ("1_000", 0, None),
        ("Infinity", 0, None),
    ] {
        let read = parsed(text).map(|(number, from)| rescaled(number, from, scale).unwrap());
        let wanted =
            expected.map(|expected: &str| i256::from_string(&expected.replace('.', "")).unwrap());
        assert_eq!(read, wanted, "{text}");
    }
}

#[test]
fn a_number_fits_the_digits_that_it_has() {
    let mut random = Random(11);
    for _ in 0..10_000 {
        let number = random.number();
        let digits = u8::try_from(number.unsigned_abs().to_string().len()).unwrap();
        let number = i256::from_i128(number);
        assert!(fits(number, digits));
        assert_eq!(fits(number, digits - 1), number == i256::ZERO);
    }
    assert_eq!(power_of_ten(77), None);
}
