//! Changes of loans as batches. A slice is a piece of the snapshot, or a day.

use crate::generate::loans::day::{Event, Slices};
use crate::generate::loans::spec::LoansSpec;
use crate::generate::loans::terms::currency;
use crate::generate::{BLOCK_ROWS_MAX, GeneratedRows};
use arrow::array::{
    ArrayRef, Date32Builder, Decimal128Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use riskstream_engine::contract::Op;
use std::fmt::Write;
use std::sync::Arc;

/// Changes of loans, from any on.
#[derive(Debug)]
pub(crate) struct LoanRows {
    slices: Slices,
    schema: SchemaRef,
    rows_max: u64,
    has_rows_max: bool,
    /// The slice of `events`, and the number of its first row.
    slice: u32,
    slice_row: u64,
    events: Vec<Event>,
    /// For each event the last one that was committed with it.
    last_of_commit: Vec<u32>,
    made: bool,
    /// The next row.
    row: u64,
}

impl LoanRows {
    pub(crate) fn new(spec: &LoansSpec) -> Self {
        Self {
            slices: Slices::new(spec),
            schema: Arc::new(LoansSpec::columns()),
            rows_max: spec.rows.unwrap_or(u64::MAX),
            has_rows_max: spec.rows.is_some(),
            slice: 0,
            slice_row: 0,
            events: Vec::new(),
            last_of_commit: Vec::new(),
            made: false,
            row: 0,
        }
    }

    /// Makes the slice that holds the next row; false when there is none.
    fn reach_slice(&mut self) -> bool {
        loop {
            if self.slice >= self.slices.end() {
                return false;
            }
            if !self.made {
                self.events = self.slices.make(self.slice);
                self.last_of_commit = last_of_commit(&self.events);
                self.made = true;
            }
            if self.row < self.slice_row + self.events.len() as u64 {
                return true;
            }
            self.slice_row += self.events.len() as u64;
            self.slice += 1;
            self.made = false;
        }
    }
}

fn last_of_commit(events: &[Event]) -> Vec<u32> {
    let mut last: Vec<u32> = (0..events.len() as u32).collect();
    for index in (1..events.len()).rev() {
        if events[index].is_committed_with(&events[index - 1]) {
            last[index - 1] = last[index];
        }
    }
    last
}

impl GeneratedRows for LoanRows {
    fn next(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let left = self.rows_max.saturating_sub(self.row);
        let wanted = rows.clamp(1, BLOCK_ROWS_MAX).min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut columns = Columns::with_capacity(wanted)?;
        while columns.rows < wanted && self.reach_slice() {
            let start = (self.row - self.slice_row) as usize;
            let end = self.events.len().min(start + wanted - columns.rows);
            for index in start..end {
                let last = self.slice_row + u64::from(self.last_of_commit[index]);
                columns.push(
                    &self.events[index],
                    self.slice_row + index as u64,
                    last,
                    &self.slices,
                );
            }
            self.row += (end - start) as u64;
        }
        columns.finish(&self.schema)
    }

    fn row(&self) -> u64 {
        self.row
    }

    fn slice(&self) -> (u32, u64) {
        (self.slice, self.slice_row)
    }

    fn seek(&mut self, slice: u32, slice_row: u64, row: u64) {
        (self.slice, self.slice_row, self.row, self.made) = (slice, slice_row, row, false);
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let by_rows = self.has_rows_max.then_some((self.rows_max, self.row));
        by_rows.or(Some((u64::from(self.slices.end()), u64::from(self.slice))))
    }
}

/// Builders of the columns, in the order of [`LoansSpec::columns`].
struct Columns {
    rows: usize,
    loan: StringBuilder,
    user: StringBuilder,
    lender: StringBuilder,
    status: StringBuilder,
    currency: StringBuilder,
    /// Balance, original, overdue, charges, paid, charged off, recovered.
    cents: [Int64Builder; 7],
    term: Int32Builder,
    rate: Decimal128Builder,
    score: Int32Builder,
    first_score: Int32Builder,
    originated_on: Date32Builder,
    due_on: Date32Builder,
    updated_at: TimestampMicrosecondBuilder,
    op: StringBuilder,
    committed_at: TimestampMicrosecondBuilder,
    commit_position: Int64Builder,
    position: Int64Builder,
    transaction: StringBuilder,
}

impl Columns {
    fn with_capacity(rows: usize) -> Result<Self, ArrowError> {
        let text = |bytes: usize| StringBuilder::with_capacity(rows, rows * bytes);
        let time = || TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC");
        Ok(Self {
            rows: 0,
            loan: text(8),
            user: text(8),
            lender: text(9),
            status: text(7),
            currency: text(3),
            cents: std::array::from_fn(|_| Int64Builder::with_capacity(rows)),
            term: Int32Builder::with_capacity(rows),
            rate: Decimal128Builder::with_capacity(rows).with_precision_and_scale(6, 4)?,
            score: Int32Builder::with_capacity(rows),
            first_score: Int32Builder::with_capacity(rows),
            originated_on: Date32Builder::with_capacity(rows),
            due_on: Date32Builder::with_capacity(rows),
            updated_at: time(),
            op: text(1),
            committed_at: time(),
            commit_position: Int64Builder::with_capacity(rows),
            position: Int64Builder::with_capacity(rows),
            transaction: text(8),
        })
    }

    fn push(&mut self, event: &Event, row: u64, last_of_commit: u64, slices: &Slices) {
        let terms = &event.terms;
        numbered(&mut self.loan, format_args!("L{:07}", terms.loan + 1));
        if event.op == Op::Delete {
            self.push_nothing();
        } else {
            self.push_loan(event, slices);
        }
        self.op.append_value(event.op.code());
        self.committed_at.append_value(event.time * 1_000_000);
        if event.op == Op::Read {
            self.commit_position.append_null();
            self.position.append_null();
            self.transaction.append_null();
        } else {
            // Even: changes; odd: commits, after the last change of theirs.
            let commit = last_of_commit * 2 + 1;
            self.commit_position.append_value(commit as i64);
            self.position.append_value(row as i64 * 2);
            numbered(&mut self.transaction, format_args!("{commit}"));
        }
        self.rows += 1;
    }

    fn push_loan(&mut self, event: &Event, slices: &Slices) {
        let Event { terms, loan, .. } = event;
        numbered(&mut self.user, format_args!("U{:07}", terms.user + 1));
        numbered(&mut self.lender, format_args!("lender-{:02}", loan.lender + 1));
        self.status.append_value(loan.status.as_str());
        self.currency.append_value(currency(loan.lender));
        let cents = [
            loan.balance,
            terms.original_cents,
            loan.overdue(terms),
            loan.charges,
            loan.paid,
            loan.charged_off,
            loan.recovered,
        ];
        for (builder, cents) in self.cents.iter_mut().zip(cents) {
            builder.append_value(cents);
        }
        self.term.append_value(terms.months as i32);
        self.rate.append_value(i128::from(terms.rate));
        self.score.append_value(loan.score);
        self.first_score.append_value(terms.score);
        self.originated_on.append_value(slices.months.day(terms.month, terms.day));
        self.due_on.append_option(
            loan.status.is_open().then(|| slices.months.day(loan.due_month, terms.due_day)),
        );
        self.updated_at.append_value(event.updated * 1_000_000);
    }

    /// A deletion says the key and no more.
    fn push_nothing(&mut self) {
        for text in [&mut self.user, &mut self.lender, &mut self.status, &mut self.currency] {
            text.append_null();
        }
        self.cents.iter_mut().for_each(Int64Builder::append_null);
        for number in [&mut self.term, &mut self.score, &mut self.first_score] {
            number.append_null();
        }
        self.rate.append_null();
        self.originated_on.append_null();
        self.due_on.append_null();
        self.updated_at.append_null();
    }

    fn finish(mut self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for text in
            [&mut self.loan, &mut self.user, &mut self.lender, &mut self.status, &mut self.currency]
        {
            columns.push(Arc::new(text.finish()));
        }
        for cents in &mut self.cents {
            columns.push(Arc::new(cents.finish()));
        }
        columns.push(Arc::new(self.term.finish()));
        columns.push(Arc::new(self.rate.finish()));
        columns.push(Arc::new(self.score.finish()));
        columns.push(Arc::new(self.first_score.finish()));
        columns.push(Arc::new(self.originated_on.finish()));
        columns.push(Arc::new(self.due_on.finish()));
        columns.push(Arc::new(self.updated_at.finish()));
        columns.push(Arc::new(self.op.finish()));
        columns.push(Arc::new(self.committed_at.finish()));
        columns.push(Arc::new(self.commit_position.finish()));
        columns.push(Arc::new(self.position.finish()));
        columns.push(Arc::new(self.transaction.finish()));
        columns.push(new_null_array(&DataType::Utf8, self.rows));
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

/// Appends a text with a number in it, without making a string of its own.
fn numbered(builder: &mut StringBuilder, text: std::fmt::Arguments<'_>) {
    // Writing to a builder does not fail.
    let _infallible = builder.write_fmt(text);
    builder.append_value("");
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::cast::AsArray;
    use arrow::array::{Array, Int64Array, StringArray};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    use riskstream_engine::contract::{COMMIT_POSITION, COMMITTED_AT, OP, POSITION};
    use std::collections::{BTreeMap, BTreeSet};

    fn text<'a>(rows: &'a RecordBatch, name: &str) -> &'a StringArray {
        rows.column_by_name(name).expect("a column").as_string()
    }

    fn number<'a>(rows: &'a RecordBatch, name: &str) -> &'a Int64Array {
        rows.column_by_name(name).expect("a column").as_primitive::<Int64Type>()
    }

    #[test]
    fn the_changes_are_those_of_a_database() {
        let spec = LoansSpec { loans: 5_000, ..LoansSpec::new("l", 1) };
        let rows = LoanRows::new(&spec).next(BLOCK_ROWS_MAX).expect("rows");
        assert!((50_000..200_000).contains(&rows.num_rows()), "{}", rows.num_rows());
        let (op, loan) = (text(&rows, OP), text(&rows, "loan_id"));
        let time = rows
            .column_by_name(COMMITTED_AT)
            .expect("a column")
            .as_primitive::<TimestampMicrosecondType>();
        let (commit, position) = (number(&rows, COMMIT_POSITION), number(&rows, POSITION));
        let mut there: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut ever, mut moved, mut deleted, mut together) = (BTreeSet::new(), 0, 0, 0);
        for row in 0..rows.num_rows() {
            let before = there.insert(loan.value(row), row);
            match op.value(row) {
                "r" => assert!(before.is_none() && commit.is_null(row) && position.is_null(row)),
                "c" => assert!(before.is_none() && ever.insert(loan.value(row)), "made once"),
                "u" => {
                    let before = before.expect("it is there");
                    let name = |of| text(&rows, "lender_id").value(of);
                    moved += usize::from(name(before) != name(row));
                    let of = |column: &str, row| number(&rows, column).value(row);
                    let now = [
                        "original_balance_cents",
                        "charges_cents",
                        "paid_cents",
                        "charged_off_cents",
                    ]
                    .map(|c| of(c, row));
                    assert_eq!(of("balance_cents", row), now[0] + now[1] - now[2] - now[3]);
                    let open = of("balance_cents", row) > 0;
                    assert_eq!(
                        rows.column_by_name("due_on").expect("a column").is_valid(row),
                        open
                    );
                }
                "d" => {
                    deleted += 1;
                    assert!(
                        before.is_some()
                            && text(&rows, "status").is_null(row)
                            && number(&rows, "balance_cents").is_null(row)
                    );
                    there.remove(loan.value(row));
                }
                other => panic!("{other}"),
            }
            if row > 0 {
                assert!(time.value(row) >= time.value(row - 1));
                if position.is_valid(row - 1) {
                    let order = |row| (commit.value(row), position.value(row));
                    assert!(order(row) > order(row - 1) && commit.value(row) > position.value(row));
                    together += usize::from(commit.value(row) == commit.value(row - 1));
                }
            }
        }
        assert!(
            moved > 50 && (2..30).contains(&deleted) && together > 500,
            "{moved} {deleted} {together}"
        );
        assert_eq!(there.len() + deleted, 5_000);
        let lenders: BTreeSet<&str> = text(&rows, "lender_id").iter().flatten().collect();
        assert_eq!(lenders.len(), 8);
    }
}
