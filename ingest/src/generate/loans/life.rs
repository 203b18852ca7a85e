//! A loan's life, month by month.

use crate::generate::loans::chain::{CHARGE_OFF, band, unpaid_after};
use crate::generate::loans::draws::Purpose;
use crate::generate::loans::terms::{Book, TERM_MAX, Terms, pay_day};
use std::ops::Range;

/// Getting into a worse bucket costs so much.
const LATE_FEE_CENTS: i64 = 1_500;
/// The probability that a loan is paid back as a whole before its time, by month, from the third
/// month on.
const PREPAYMENT: f64 = 0.012;
/// What a month recovers from a loan that was charged off: how likely, and for how long.
const RECOVERY: f64 = 0.09;
const RECOVERY_MONTHS: i32 = 18;
/// A loan that is late when its term ends is paid by this many months after it, or charged off
/// before.
const GRACE_MONTHS: u32 = 12;
/// After so many months nothing happens to a loan any more.
pub(crate) const LIFE_MONTHS: i32 = (TERM_MAX + GRACE_MONTHS) as i32 + RECOVERY_MONTHS + 1;

/// As the column `status` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Current,
    Dpd30,
    Dpd60,
    Dpd90,
    Prepaid,
    PaidOff,
    Default,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Current => "CURRENT",
            Self::Dpd30 => "DPD30",
            Self::Dpd60 => "DPD60",
            Self::Dpd90 => "DPD90P",
            Self::Prepaid => "PREPAID",
            Self::PaidOff => "PAID_OFF",
            Self::Default => "DEFAULT",
        }
    }

    /// By installments that were unpaid when the next one was due.
    fn of_late(late: u32) -> Self {
        match late {
            0 => Self::Current,
            1 => Self::Dpd30,
            2 => Self::Dpd60,
            _ => Self::Dpd90,
        }
    }

    /// Whether something is owed and expected.
    pub(crate) fn is_open(self) -> bool {
        !matches!(self, Self::Prepaid | Self::PaidOff | Self::Default)
    }
}

/// A loan as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loan {
    pub(crate) status: Status,
    pub(crate) lender: u32,
    pub(crate) score: i32,
    pub(crate) balance: i64,
    pub(crate) charges: i64,
    pub(crate) paid: i64,
    pub(crate) charged_off: i64,
    pub(crate) recovered: i64,
    /// Installments that are unpaid, the newest included.
    unpaid: u32,
    /// Those of them that were unpaid when the next one was due: the bucket.
    late: u32,
    /// The month in which the oldest unpaid installment was or is due; of a loan that was charged
    /// off, the month of that.
    pub(crate) due_month: i32,
}

/// Something that changes a loan's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoanChange {
    pub(crate) day: u32,
    /// Seconds of the day.
    pub(crate) second: u32,
    /// What is changed by one transaction has the same second and number; 0: a transaction of its
    /// own.
    pub(crate) batch: u32,
}

impl Loan {
    /// A new loan.
    pub(crate) fn new(terms: &Terms) -> Self {
        Self {
            status: Status::Current,
            lender: terms.lender,
            score: terms.score,
            balance: terms.original_cents,
            charges: 0,
            paid: 0,
            charged_off: 0,
            recovered: 0,
            unpaid: 0,
            late: 0,
            due_month: terms.month + 1,
        }
    }

    /// What should have been paid by the last due date but one.
    pub(crate) fn overdue(&self, terms: &Terms) -> i64 {
        (i64::from(self.late) * terms.installment_cents).min(self.balance)
    }

    /// Lives through months, of which the first is at the earliest the one after the origination.
    pub(crate) fn live_through(
        &mut self,
        months: Range<i32>,
        terms: &Terms,
        book: &Book,
        mut changed: impl FnMut(i32, LoanChange, &Self),
    ) {
        for passed in months {
            if matches!(self.status, Status::Prepaid | Status::PaidOff) {
                return;
            }
            self.live(passed, terms, book, |change, loan| changed(passed, change, loan));
        }
    }

    /// Lives through a month, one after that of the origination; `changed` is told of each change,
    /// in order of time.
    pub(crate) fn live(
        &mut self,
        month: i32,
        terms: &Terms,
        book: &Book,
        mut changed: impl FnMut(LoanChange, &Self),
    ) {
        if self.status == Status::Default {
            return self.recover(month, terms, changed);
        }
        if !self.status.is_open() {
            return;
        }
        if self.is_sold(month, terms, book) {
            changed(LoanChange { day: 1, second: 3_600, batch: 1 }, self);
        }
        if self.service(month, terms) {
            // The lenders' jobs run one after another.
            changed(
                LoanChange {
                    day: terms.due_day,
                    second: 2 * 3_600 + self.lender * 60,
                    batch: self.lender + 1,
                },
                self,
            );
        }
        if self.status.is_open() && self.pay(month, terms) {
            changed(payment(month, terms), self);
        }
    }

    fn is_sold(&mut self, month: i32, terms: &Terms, book: &Book) -> bool {
        let Some(sale) = book.sale(month) else { return false };
        let sold = self.lender == sale.seller
            && self.status == Status::Current
            && self.unpaid == 0
            && terms.draws.unit(month, Purpose::Sale) < sale.share;
        if sold {
            self.lender = sale.buyer;
        }
        sold
    }

    /// The night of the due day. Whether the row changes; interest alone is seen in the next row.
    fn service(&mut self, month: i32, terms: &Terms) -> bool {
        self.charge((self.balance * terms.rate + 60_000) / 120_000);
        let (late_before, score_before) = (self.late, self.score);
        self.late = self.unpaid;
        self.due_month = self.oldest_unpaid(month, terms);
        if self.late > late_before {
            self.charge(LATE_FEE_CENTS);
        }
        if self.late >= CHARGE_OFF {
            self.charged_off = self.balance;
            (self.balance, self.unpaid, self.late, self.due_month) = (0, 0, 0, month);
            self.status = Status::Default;
            return true;
        }
        self.status = Status::of_late(self.late);
        if (month - terms.month) % 3 == 0 {
            let news = 12.0 * terms.draws.normal(month, Purpose::Refresh)
                + if self.late == 0 { 2.0 } else { -28.0 * f64::from(self.late) };
            self.score = (self.score + news as i32).clamp(300, 850);
        }
        self.late != late_before || self.score != score_before
    }

    fn charge(&mut self, cents: i64) {
        self.balance += cents;
        self.charges += cents;
    }

    /// The payment of the month. Whether there is one.
    fn pay(&mut self, month: i32, terms: &Terms) -> bool {
        let age = (month - terms.month) as u32;
        if self.unpaid == 0
            && (3..terms.months).contains(&age)
            && terms.draws.unit(month, Purpose::Prepayment) < PREPAYMENT
        {
            self.draw(self.balance, month, terms);
            self.status = Status::Prepaid;
            return true;
        }
        let mut after =
            unpaid_after(self.unpaid, band(self.score), terms.draws.unit(month, Purpose::Payment));
        if age >= terms.months + GRACE_MONTHS {
            after = 0;
        }
        let installments = i64::from(self.unpaid + 1) - i64::from(after);
        self.unpaid = after;
        if installments == 0 {
            return false;
        }
        self.late = self.late.min(after);
        // The last installment is whatever is left.
        let due = if after == 0 && age >= terms.months {
            self.balance
        } else {
            installments * terms.installment_cents
        };
        self.draw(due.min(self.balance), month, terms);
        if self.balance == 0 {
            self.status = Status::PaidOff;
        }
        true
    }

    fn draw(&mut self, cents: i64, month: i32, terms: &Terms) {
        self.balance -= cents;
        self.paid += cents;
        if self.balance == 0 {
            (self.unpaid, self.late) = (0, 0);
        }
        self.status = Status::of_late(self.late);
        self.due_month = self.oldest_unpaid(month + 1, terms);
    }

    /// The month of the oldest unpaid installment, before that of `next` is paid. After the term
    /// nothing new is due.
    fn oldest_unpaid(&self, next: i32, terms: &Terms) -> i32 {
        (next - self.unpaid as i32).min(terms.month + terms.months as i32)
    }

    /// What comes in after a charge-off.
    fn recover(&mut self, month: i32, terms: &Terms, mut changed: impl FnMut(LoanChange, &Self)) {
        if month - self.due_month <= RECOVERY_MONTHS
            && terms.draws.unit(month, Purpose::Recovery) < RECOVERY
        {
            let percent = 2 + i64::from(terms.draws.below(month, Purpose::Payment, 14));
            let cents = (self.charged_off * percent / 100).min(self.charged_off - self.recovered);
            if cents > 0 {
                self.recovered += cents;
                changed(payment(month, terms), self);
            }
        }
    }
}

/// When a loan's payment of a month comes in.
fn payment(month: i32, terms: &Terms) -> LoanChange {
    let second = 6 * 3_600 + terms.draws.bits(month, Purpose::PayDay) as u32 % 57_600;
    LoanChange { day: pay_day(terms.draws, terms.due_day, month), second, batch: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::loans::spec::LoansSpec;
    use std::collections::BTreeMap;

    /// Which status may follow which.
    fn may_follow(from: Status, to: Status) -> bool {
        use Status::{Current, Default, Dpd30, Dpd60, Dpd90, PaidOff, Prepaid};
        match from {
            Current => matches!(to, Current | Dpd30 | Prepaid | PaidOff),
            Dpd30 => matches!(to, Current | Dpd30 | Dpd60 | PaidOff),
            Dpd60 => matches!(to, Current | Dpd30 | Dpd60 | Dpd90 | PaidOff),
            Dpd90 => matches!(to, Current | Dpd60 | Dpd90 | Default | PaidOff),
            Default => to == Default,
            Prepaid | PaidOff => false,
        }
    }

    #[test]
    fn money_is_conserved_statuses_follow_each_other_and_every_life_ends() {
        let spec = LoansSpec { loans: 6_000, months: 60, ..LoansSpec::new("l", 11) };
        let book = Book::new(&spec);
        let mut ends = BTreeMap::new();
        for number in 0..spec.loans {
            let terms = book.terms(number);
            let (mut loan, mut before, mut time) =
                (Loan::new(&terms), Loan::new(&terms), (terms.month, 28, 0));
            loan.live_through(
                terms.month + 1..terms.month + LIFE_MONTHS,
                &terms,
                &book,
                |month, change, now| {
                    assert_eq!(
                        now.balance,
                        terms.original_cents + now.charges - now.paid - now.charged_off,
                        "{terms:?} {now:?}"
                    );
                    assert!(may_follow(before.status, now.status), "{before:?} {now:?}");
                    assert!(
                        now.balance >= 0
                            && now.overdue(&terms) >= 0
                            && now.recovered <= now.charged_off
                    );
                    assert!(
                        now.charges >= before.charges
                            && now.paid >= before.paid
                            && now.recovered >= before.recovered
                    );
                    assert_eq!(now.balance > 0, now.status.is_open());
                    assert_eq!(
                        now.overdue(&terms) > 0,
                        now.status.is_open() && now.status != Status::Current
                    );
                    assert_ne!(*now, before, "a change changes something");
                    assert!(
                        (month, change.day, change.second) > time
                            && change.day <= 28
                            && change.second < 86_400
                    );
                    time = (month, change.day, change.second);
                    before = *now;
                },
            );
            assert!(!loan.status.is_open(), "{loan:?}");
            *ends.entry(loan.status.as_str()).or_insert(0) += 1;
        }
        let share = |status: &str| f64::from(ends[status]) / f64::from(spec.loans);
        assert!(
            (0.05..0.14).contains(&share("DEFAULT")) && (0.2..0.4).contains(&share("PREPAID")),
            "{ends:?}"
        );
    }

    #[test]
    fn shares_of_the_book_are_plausible() {
        let spec = LoansSpec { loans: 20_000, ..LoansSpec::new("l", 42) };
        let book = Book::new(&spec);
        let (mut open, mut late, mut defaults, mut prepaid, mut recovered, mut charged_off) =
            (0.0, [0.0; 4], 0.0, 0.0, 0, 0);
        for number in 0..spec.loans {
            let terms = book.terms(number);
            let mut loan = Loan::new(&terms);
            for month in terms.month + 1..24 {
                let before = loan.status;
                loan.live(month, &terms, &book, |_, _| {});
                if month >= 0 && before.is_open() {
                    open += 1.0;
                    late[loan.late as usize] += 1.0;
                    defaults += f64::from(u8::from(loan.status == Status::Default));
                    prepaid += f64::from(u8::from(loan.status == Status::Prepaid));
                }
            }
            recovered += loan.recovered;
            charged_off += loan.charged_off;
        }
        let [dpd30, dpd60, dpd90] = [late[1] / open, late[2] / open, late[3] / open];
        assert!(
            (0.006..0.03).contains(&dpd30)
                && (0.003..0.015).contains(&dpd60)
                && (0.002..0.01).contains(&dpd90),
            "{dpd30} {dpd60} {dpd90}"
        );
        assert!(
            (0.001..0.006).contains(&(defaults / open)),
            "defaults of a month: {}",
            defaults / open
        );
        assert!(
            (0.007..0.013).contains(&(prepaid / open)),
            "prepayments of a month: {}",
            prepaid / open
        );
        let rate = recovered as f64 / charged_off as f64;
        assert!((0.02..0.15).contains(&rate), "recovery rate {rate}");
    }
}
