//! Random numbers by place, not by turn.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a number is for; each loan has one per month and purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// This and the following purposes are drawn once per loan, at its origination.
    Days,
    Amount,
    Term,
    Rate,
    Score,
    Lender,
    User,
    Mistake,
    /// This and the following purposes are drawn once per month.
    PayDay,
    Payment,
    Prepayment,
    Refresh,
    Sale,
    Recovery,
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), whose
/// n-th number needs no other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws(u64);

impl Draws {
    /// The numbers of a loan, or of whatever else is numbered.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(GOLDEN)) ^ number.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// 64 random bits.
    #[inline]
    pub(crate) fn bits(self, month: i32, purpose: Purpose) -> u64 {
        let place = (i64::from(month) << 4 | purpose as i64) as u64;
        mix(self.0.wrapping_add(place.wrapping_mul(GOLDEN)))
    }

    /// From 0 to below 1.
    #[inline]
    pub(crate) fn unit(self, month: i32, purpose: Purpose) -> f64 {
        (self.bits(month, purpose) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to below `limit`.
    #[inline]
    pub(crate) fn below(self, month: i32, purpose: Purpose, limit: u32) -> u32 {
        (((self.bits(month, purpose) >> 32) * u64::from(limit)) >> 32) as u32
    }

    /// Near a normal distribution of mean 0 and deviation 1, at most 3.4 from it: four uniform
    /// numbers added up, so that it is the same on every machine.
    pub(crate) fn normal(self, month: i32, purpose: Purpose) -> f64 {
        let bits = self.bits(month, purpose);
        let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xFFFF).sum();
        (sum as f64 / 65_536.0 - 2.0) * 1.732
    }
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_those_of_neighbors_have_nothing_in_common() {
        let (mut sum, mut product, mut squares) = (0.0, 0.0, 0.0);
        for loan in 0..20_000 {
            let (a, b) = (Draws::of(42, loan), Draws::of(42, loan + 1));
            sum += a.unit(3, Purpose::Payment);
            product += (a.unit(3, Purpose::Payment) - 0.5) * (b.unit(3, Purpose::Payment) - 0.5);
            squares += a.normal(-5, Purpose::Score) * a.normal(-5, Purpose::Score);
            assert!(a.below(7, Purpose::PayDay, 5) < 5);
        }
        assert!(
            (sum / 20_000.0 - 0.5_f64).abs() < 0.01 && (product / 20_000.0_f64).abs() < 0.003,
            "{sum} {product}"
        );
        assert!((squares / 20_000.0 - 1.0_f64).abs() < 0.05, "{squares}");
    }
}
