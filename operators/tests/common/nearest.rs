//! Floats as fractions of large numbers, and back.

use num_bigint::BigInt;
use num_rational::BigRational;

/// What a finite float is, exactly.
pub(crate) fn fraction(value: f64) -> BigRational {
    BigRational::from_float(value).expect("finite")
}

/// The nearest float, ties to even, by asking which of two neighbours is nearer.
pub(crate) fn nearest(value: &BigRational) -> f64 {
    let (mut low, mut high) = (0u64, f64::INFINITY.to_bits());
    let zero = fraction(0.0);
    let positive = if *value < zero { -value.clone() } else { value.clone() };
    // The largest float that is not above.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fraction(f64::from_bits(middle)) <= positive { low = middle } else { high = middle }
    }
    let below = fraction(f64::from_bits(low));
    // After the largest float comes what would be the next.
    let above = f64::from_bits(high);
    let above = if above.is_finite() {
        fraction(above)
    } else {
        BigRational::from_integer(BigInt::from(1) << 1024)
    };
    let (down, up) = (&positive - below, above - &positive);
    let nearest =
        f64::from_bits(if down < up || (down == up && low % 2 == 0) { low } else { high });
    if *value < zero { -nearest } else { nearest }
}
