//! A loan book as the changes of the database that keeps it.
//!
//! Installment loans of several lenders, each in its own currency: some are there when the
//! simulation begins (the snapshot, `r`), the others are originated month by month (`c`), change
//! (`u`) until they are paid off, prepaid or charged off, and a few were created by mistake and are
//! deleted (`d`).
//!
//! What happens in a month, always in this order, so that a loan's life is a fold over its months
//! ([`life`]):
//! ```text
//!   1st, 01:00       sale       some lender sells a share of its current loans to another of the
//!                               same currency: one transaction
//!   due day, night   servicing  interest, arrears one bucket on, fee, charge-off, credit score
//!                               every third month: one transaction per lender
//!   after it         payment    an installment, several of them, all that is owed, nothing; or a
//!                               recovery after charge-off
//! ```
//! **Money.** `balance_cents` is what the borrower owes: principal, interest and fees. In every row
//! `balance = original_balance + charges - paid - charged_off`, where charges are the interest and
//! fees so far. Interest of a month is the balance times a twelfth of the yearly rate, rounded to
//! cents, charged in the night of the due day (seen in the loan's next row); a fee is charged when
//! a loan gets into a worse bucket. A charge-off makes the balance 0; recoveries after it are
//! counted beside it.
//!
//! **Status** counts installments that are unpaid when the next one is due: one is `DPD30`, two
//! `DPD60`, three `DPD90P`, four are charged off (`DEFAULT`). How many are unpaid is a Markov chain
//! by month, whose probabilities depend on the band of the credit score ([`chain`]). A loan gets to
//! a better bucket only by paying more than the installment of the month.
//!
//! A loan's random numbers are a function of the seed, the loan, the month and what they are for,
//! so its state at any time is worked out from its origination on: a day is made without the days
//! before it, and what is in memory is one day, and at most so many loans as they stood last.

mod chain;
mod day;
mod draws;
mod generated;
mod life;
mod rows;
mod spec;
mod terms;

pub use spec::LoansSpec;
