//! What is said of a loan when it is made, and the lenders.

use crate::generate::loans::draws::{Draws, Purpose};
use crate::generate::loans::spec::{HISTORY_MONTHS, LoansSpec};

const CURRENCIES: [&str; 3] = ["EUR", "USD", "GBP"];
/// Share of loans that are created by mistake, and deleted within days.
const MISTAKE_SHARE: f64 = 0.002;
/// Share of months in which a lender sells loans.
const SALE_SHARE: f64 = 0.4;
/// Loans for every borrower, on average.
const LOANS_PER_USER: f64 = 1.25;
/// Installments last at most this long.
pub(crate) const TERM_MAX: u32 = 60;
/// By how likely they are, up to 1: terms in months.
const TERMS: [(f64, u32); 6] =
    [(0.12, 12), (0.20, 18), (0.42, 24), (0.70, 36), (0.85, 48), (1.0, TERM_MAX)];
/// Yearly rates by band, in hundredths of a percent.
const RATES: [i64; 5] = [590, 790, 1_090, 1_490, 1_990];

/// What all loans have in common.
#[derive(Debug)]
pub(crate) struct Book {
    seed: u64,
    loans: u32,
    lenders: u32,
    months: u32,
    /// By month, from 0 on.
    sales: Vec<Option<Sale>>,
}

/// A lender sells a share of its loans that are current.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sale {
    pub(crate) seller: u32,
    pub(crate) buyer: u32,
    pub(crate) share: f64,
}

/// What is said of a loan when it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) loan: u32,
    pub(crate) draws: Draws,
    pub(crate) user: u32,
    pub(crate) lender: u32,
    pub(crate) original_cents: i64,
    pub(crate) installment_cents: i64,
    pub(crate) months: u32,
    /// Hundredths of a percent a year.
    pub(crate) rate: i64,
    pub(crate) score: i32,
    /// Months from the first; those of the snapshot's loans are negative.
    pub(crate) month: i32,
    pub(crate) day: u32,
    /// Seconds of the day.
    pub(crate) second: u32,
    pub(crate) due_day: u32,
    /// The day of the same month on which it is deleted.
    pub(crate) deleted_on: Option<u32>,
}

/// The day of the month on which a loan's installments are due: 2 to 20, so that the payment comes
/// within the month and sales before both.
pub(crate) fn due_day(draws: Draws) -> u32 {
    2 + (draws.bits(0, Purpose::Days) % 19) as u32
}

/// The day of the month of its payment, if it pays: most on the due day or the next ones, at the
/// latest a week after.
#[inline]
pub(crate) fn pay_day(draws: Draws, due_day: u32, month: i32) -> u32 {
    const DELAYS: [u32; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 5, 7];
    due_day + DELAYS[(draws.bits(month, Purpose::PayDay) >> 60) as usize]
}

/// The currency of a lender's loans.
pub(crate) fn currency(lender: u32) -> &'static str {
    CURRENCIES[lender as usize % CURRENCIES.len()]
}

impl Book {
    pub(crate) fn new(spec: &LoansSpec) -> Self {
        let sales = (0..spec.months as i32).map(|month| draw_sale(spec, month)).collect();
        Self {
            seed: spec.seed,
            loans: spec.loans,
            lenders: spec.lenders,
            months: spec.months,
            sales,
        }
    }

    /// The sale of a month, if there is one.
    #[inline]
    pub(crate) fn sale(&self, month: i32) -> Option<Sale> {
        usize::try_from(month).ok().and_then(|month| self.sales.get(month).copied().flatten())
    }

    /// The first loan that is originated in a month, or later.
    pub(crate) fn first_of(&self, month: i32) -> u32 {
        let all = u64::from(HISTORY_MONTHS + self.months);
        let months =
            u64::try_from(i64::from(month) + i64::from(HISTORY_MONTHS)).unwrap_or(0).min(all);
        (u64::from(self.loans) * months).div_ceil(all) as u32
    }

    /// The inverse of [`Self::first_of`].
    fn month_of(&self, loan: u32) -> i32 {
        (u64::from(loan) * u64::from(HISTORY_MONTHS + self.months) / u64::from(self.loans)) as i32
            - HISTORY_MONTHS as i32
    }

    /// A loan's random numbers.
    #[inline]
    pub(crate) fn draws(&self, loan: u32) -> Draws {
        Draws::of(self.seed, u64::from(loan))
    }

    /// A loan as it is made.
    pub(crate) fn terms(&self, loan: u32) -> Terms {
        let (draws, month) = (self.draws(loan), self.month_of(loan));
        let score = (690.0 + 60.0 * draws.normal(0, Purpose::Score)).clamp(450.0, 850.0) as i32;
        let band = super::chain::band(score);
        let size = draws.unit(0, Purpose::Amount);
        // From 1,000 to 25,000, in steps of 50; less for the worst scores.
        let fifties = 20.0 + 480.0 * size * size * (1.0 - 0.12 * band as f64);
        let original_cents = fifties as i64 * 5_000;
        let unit = draws.unit(0, Purpose::Term);
        let months =
            TERMS.iter().find(|(up_to, _)| unit < *up_to).map_or(TERM_MAX, |(_, months)| *months);
        let rate = RATES[band] + i64::from(draws.below(0, Purpose::Rate, 17)) * 10 - 80
            + i64::from(months);
        let bits = draws.bits(1, Purpose::Days);
        let day = 1 + (bits % 25) as u32;
        let chosen = draws.unit(0, Purpose::Lender);
        let users = (f64::from(self.loans) / LOANS_PER_USER) as u32 + 1;
        let mistake = month >= 0 && draws.unit(0, Purpose::Mistake) < MISTAKE_SHARE;
        Terms {
            loan,
            draws,
            user: draws.below(0, Purpose::User, users),
            lender: (chosen * chosen * f64::from(self.lenders)) as u32,
            original_cents,
            installment_cents: installment(original_cents, months, rate),
            months,
            rate,
            score,
            month,
            day,
            second: 8 * 3600 + (bits >> 32) as u32 % 36_000,
            due_day: due_day(draws),
            deleted_on: mistake.then(|| day + 1 + draws.below(1, Purpose::Mistake, 3)),
        }
    }
}

fn draw_sale(spec: &LoansSpec, month: i32) -> Option<Sale> {
    // Beyond all loans.
    let draws = Draws::of(spec.seed, u64::from(u32::MAX));
    let seller = draws.below(month, Purpose::Lender, spec.lenders);
    let step = CURRENCIES.len() as u32;
    // Lenders of one currency are so many apart.
    let of_currency = (spec.lenders - seller % step).div_ceil(step);
    if of_currency < 2 || draws.unit(month, Purpose::Sale) >= SALE_SHARE {
        return None;
    }
    let ahead = 1 + draws.below(month, Purpose::User, of_currency - 1);
    let buyer = (seller / step + ahead) % of_currency * step + seller % step;
    Some(Sale { seller, buyer, share: 0.02 + 0.08 * draws.unit(month, Purpose::Amount) })
}

/// The annuity: what each month pays so that the balance is 0 after the last, rounded up to cents.
fn installment(cents: i64, months: u32, rate: i64) -> i64 {
    let monthly = rate as f64 / 120_000.0;
    // By multiplications, which are the same on every machine; `powf` is not.
    let growth = (0..months).fold(1.0, |growth, _| growth * (1.0 + monthly));
    (cents as f64 * monthly * growth / (growth - 1.0)).ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annuity_pays_the_loan_off_in_its_last_month() {
        // 10,000.00 at 12 % over 12 months: 888.49 (from any table of annuities), rounded up.
        assert_eq!(installment(1_000_000, 12, 1_200), 88_849);
        for (cents, months, rate) in
            [(100_000, 12, 510), (2_500_000, 60, 2_130), (737_500, 36, 990)]
        {
            let mut balance = cents;
            for _ in 1..months {
                balance += (balance * rate + 60_000) / 120_000 - installment(cents, months, rate);
            }
            assert!(balance > 0 && balance <= installment(cents, months, rate), "{balance}");
        }
    }

    #[test]
    fn loans_are_spread_over_the_months_and_lenders_trade_within_a_currency() {
        let spec = LoansSpec { loans: 1_000, lenders: 7, months: 30, ..LoansSpec::new("l", 3) };
        let book = Book::new(&spec);
        for month in -24..30 {
            let (first, end) = (book.first_of(month), book.first_of(month + 1));
            assert!(end - first == 18 || end - first == 19);
            assert!((first..end).all(|loan| book.month_of(loan) == month));
        }
        assert_eq!(
            (book.first_of(-24), book.first_of(30), book.first_of(31), book.first_of(-200)),
            (0, 1_000, 1_000, 0)
        );
        let sales: Vec<Sale> = (0..30).filter_map(|month| book.sale(month)).collect();
        assert!(sales.len() > 3);
        assert!(sales.iter().all(|s| s.seller != s.buyer
            && s.buyer < 7
            && currency(s.seller) == currency(s.buyer)));
    }
}
