//! One slice of the changes: a piece of the snapshot, or a day.

use crate::generate::calendar::Months;
use crate::generate::loans::draws::Purpose;
use crate::generate::loans::life::{LIFE_MONTHS, Loan, LoanChange};
use crate::generate::loans::spec::LoansSpec;
use crate::generate::loans::terms::{Book, Terms, due_day, pay_day};
use riskstream_engine::contract::Op;

/// Loans of the snapshot in a slice.
const SNAPSHOT_LOANS: u32 = 65_536;
/// Loans whose state is kept from slice to slice, at most: 50 MiB. Without them each slice works
/// its loans out from their origination; the rows are the same.
const KEPT_LOANS: u32 = 262_144;

/// A change of a loan, and the loan after it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) op: Op,
    /// Seconds since 1970.
    pub(crate) time: i64,
    /// When the loan was changed, which a snapshot does not say otherwise; seconds since 1970.
    pub(crate) updated: i64,
    /// What is changed by one transaction has the same second and number; 0: a transaction of its
    /// own.
    batch: u32,
    pub(crate) terms: Terms,
    pub(crate) loan: Loan,
}

impl Event {
    /// Whether the one before it in the slice was committed with it.
    pub(crate) fn is_committed_with(&self, before: &Self) -> bool {
        self.batch > 0 && self.batch == before.batch && self.time == before.time
    }
}

/// A loan as it stood before a month, from where its life is worked out further.
#[derive(Debug, Clone, Copy)]
struct Kept {
    month: i32,
    terms: Terms,
    loan: Loan,
}

/// The slices of a book.
#[derive(Debug)]
pub(crate) struct Slices {
    pub(crate) book: Book,
    pub(crate) months: Months,
    start_day: i32,
    snapshot_loans: u32,
    /// Slices of the snapshot; those of days follow.
    snapshot: u32,
    end: u32,
    /// By the loan's number, modulo how many there are.
    kept: Vec<Option<Kept>>,
}

impl Slices {
    pub(crate) fn new(spec: &LoansSpec) -> Self {
        let (book, months) = (Book::new(spec), Months::from(spec.start_day));
        let snapshot_loans = book.first_of(0);
        let snapshot = snapshot_loans.div_ceil(SNAPSHOT_LOANS);
        let days = (months.day(spec.months as i32, 1) - spec.start_day) as u32;
        let kept = vec![None; spec.loans.min(KEPT_LOANS) as usize];
        Self {
            book,
            months,
            start_day: spec.start_day,
            snapshot_loans,
            snapshot,
            end: snapshot + days,
            kept,
        }
    }

    /// How many there are.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    /// The events of a slice, in order.
    pub(crate) fn make(&mut self, slice: u32) -> Vec<Event> {
        if slice < self.snapshot {
            let first = slice * SNAPSHOT_LOANS;
            return (first..self.snapshot_loans.min(first + SNAPSHOT_LOANS))
                .map(|loan| self.read(loan))
                .collect();
        }
        let mut events = self.day(self.start_day + (slice - self.snapshot) as i32);
        events.sort_unstable_by_key(|event| (event.time, event.batch, event.terms.loan));
        events
    }

    fn time(&self, month: i32, day: u32, second: u32) -> i64 {
        i64::from(self.months.day(month, day)) * 86_400 + i64::from(second)
    }

    /// A loan as the snapshot at the start has it.
    fn read(&self, number: u32) -> Event {
        let terms = self.book.terms(number);
        let mut loan = Loan::new(&terms);
        let mut updated = (terms.month, terms.day, terms.second);
        loan.live_through(terms.month + 1..0, &terms, &self.book, |month, change, _| {
            updated = (month, change.day, change.second)
        });
        let (month, day, second) = updated;
        Event {
            op: Op::Read,
            time: i64::from(self.start_day) * 86_400,
            updated: self.time(month, day, second),
            batch: 0,
            terms,
            loan,
        }
    }

    /// What happens on a day, in the order of loans.
    fn day(&mut self, day: i32) -> Vec<Event> {
        let (month, in_month) = self.months.of(day);
        let (new, end) = (self.book.first_of(month), self.book.first_of(month + 1));
        let mut events = Vec::new();
        for number in self.book.first_of(month - LIFE_MONTHS)..new {
            if self.may_change(number, month, in_month) {
                self.live(number, month, in_month, &mut events);
            }
        }
        for number in new..end {
            let terms = self.book.terms(number);
            let mut push = |op, second| {
                let time = self.time(month, in_month, second);
                events.push(Event {
                    op,
                    time,
                    updated: time,
                    batch: 0,
                    loan: Loan::new(&terms),
                    terms,
                });
            };
            if terms.day == in_month {
                push(Op::Create, terms.second);
            } else if terms.deleted_on == Some(in_month) {
                push(Op::Delete, terms.second);
            }
        }
        events
    }

    /// Whether a loan made in an earlier month may change on this day: told from few random
    /// numbers, before its life is worked out.
    #[inline]
    fn may_change(&self, number: u32, month: i32, in_month: u32) -> bool {
        let draws = self.book.draws(number);
        if in_month == 1 {
            return self
                .book
                .sale(month)
                .is_some_and(|sale| draws.unit(month, Purpose::Sale) < sale.share);
        }
        let due_day = due_day(draws);
        in_month == due_day || (in_month > due_day && in_month == pay_day(draws, due_day, month))
    }

    /// A loan before a month.
    fn before(&mut self, number: u32, month: i32) -> Kept {
        let at = number as usize % self.kept.len();
        let mut kept = match self.kept[at] {
            Some(kept) if kept.terms.loan == number && kept.month <= month => kept,
            _ => {
                let terms = self.book.terms(number);
                Kept { month: terms.month + 1, loan: Loan::new(&terms), terms }
            }
        };
        kept.loan.live_through(kept.month..month, &kept.terms, &self.book, |_, _, _| {});
        kept.month = month;
        self.kept[at] = Some(kept);
        kept
    }

    fn live(&mut self, number: u32, month: i32, in_month: u32, events: &mut Vec<Event>) {
        let Kept { terms, mut loan, .. } = self.before(number, month);
        if terms.deleted_on.is_some() {
            return;
        }
        loan.live(month, &terms, &self.book, |LoanChange { day, second, batch }, loan| {
            if day == in_month {
                let time = self.time(month, day, second);
                events.push(Event {
                    op: Op::Update,
                    time,
                    updated: time,
                    batch,
                    terms,
                    loan: *loan,
                });
            }
        });
    }
}
