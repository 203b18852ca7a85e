//! Against a library of large numbers: a sum is a fraction with a power of two below.

use super::*;
use nearest::{fraction, nearest};
use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;

#[path = "../../../tests/common/nearest.rs"]
mod nearest;

/// Any finite float: of all bits, or as people have them.
fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |v| v.is_finite()),
        (-1_000_000_000i64..1_000_000_000).prop_map(|cents| cents as f64 / 100.0),
        (-300i32..300, -999i32..1000)
            .prop_map(|(exponent, digits)| f64::from(digits) * 10f64.powi(exponent)),
        Just(f64::MAX),
        Just(f64::from_bits(1)),
        Just(-0.0),
    ]
}

fn sum_of(values: &[f64]) -> Exact {
    values.iter().fold(Exact::default(), |mut sum, value| {
        sum.add_float(*value, 1);
        sum
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_sum_of_floats_is_the_nearest_float_to_the_sum_of_what_they_are(
        values in prop::collection::vec(floats(), 0..12),
    ) {
        let exact: BigRational = values.iter().map(|v| fraction(*v)).sum();
        prop_assert_eq!(sum_of(&values).to_float(), nearest(&exact));
    }

    #[test]
    fn what_was_added_is_taken_off_in_any_order_and_nothing_is_left(
        mut values in prop::collection::vec(floats(), 1..12),
        shift in 0usize..12,
    ) {
        let mut sum = sum_of(&values);
        values.push(f64::INFINITY);
        values.push(f64::NAN);
        sum.add_float(f64::INFINITY, 1);
        sum.add_float(f64::NAN, 1);
        prop_assert!(sum.to_float().is_nan());
        let length = values.len();
        values.rotate_left(shift % length);
        let (gone, stay) = values.split_at(length / 2);
        gone.iter().for_each(|v| sum.add_float(*v, -1));
        let special = sum_of(stay).special();
        prop_assert_eq!(sum.special().map(f64::to_bits), special.map(f64::to_bits));
        let mut bytes = Vec::new();
        sum.write(&mut bytes);
        let mut sum = Exact::read(&mut bytes.as_slice()).expect("written");
        sum.merge(&sum_of(stay), true);
        prop_assert!(sum.is_zero(), "{:?}", sum);
    }

    #[test]
    fn products_and_counts_are_exact(
        a in floats(),
        b in floats(),
        c in floats(),
        times in any::<i64>(),
    ) {
        let (left, right) = (sum_of(&[a, b]), sum_of(&[c]));
        let mut product = left.times(&right);
        let exact = (fraction(a) + fraction(b)) * fraction(c);
        prop_assert_eq!(product.to_float(), nearest(&exact));
        product.add_square(a, times);
        let exact = exact + fraction(a) * fraction(a) * BigRational::from_integer(times.into());
        prop_assert_eq!(product.to_float(), nearest(&exact));
    }

    #[test]
    fn whole_numbers_keep_their_digits(
        values in prop::collection::vec((any::<i128>(), any::<i64>()), 0..6),
    ) {
        let mut sum = Exact::default();
        values.iter().for_each(|(value, times)| sum.add_times(*value, 0, *times));
        let exact: BigInt =
            values.iter().map(|(value, times)| BigInt::from(*value) * BigInt::from(*times)).sum();
        prop_assert_eq!(sum.digits(), exact.to_string());
        prop_assert_eq!(sum.to_integer(), i128::try_from(&exact).ok());
    }
}

#[test]
fn the_ends_of_128_bits_are_whole_numbers() {
    for value in [i128::MIN, i128::MIN + 1, -1, 0, 1, 1 << 64, i128::MAX] {
        assert_eq!(Exact::of(value).to_integer(), Some(value));
        assert_eq!(Exact::of(value).digits(), value.to_string());
    }
    let mut beyond = Exact::of(i128::MAX);
    beyond.add(1, 0, false);
    assert_eq!(beyond.to_integer(), None);
    assert_eq!(beyond.digits(), "170141183460469231731687303715884105728");
    beyond.add(1, -1, false);
    assert_eq!(Exact::default().to_integer(), Some(0));
}
