//! The steps whose saved state is compared, and rows for them.

use crate::Fed;
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_engine::contract::{Operator, SOURCE_OFFSET, SOURCE_PARTITION, StateDir};
use riskstream_operators::changelog::{ChangelogOperator, ChangelogSpec, DIFF};
use riskstream_operators::periods::Every;
use riskstream_operators::previous::{PreviousOperator, PreviousSpec};
use riskstream_operators::sample::{SampleOperator, SampleSpec};
use riskstream_operators::shares::{ShareFunction, ShareSpec, SharesOperator, SharesSpec};
use std::sync::Arc;

const DAY: i64 = 86_400_000_000;
/// So little that what an epoch kept is in a file after the next one. After a restart there is no
/// snapshot, which would name files that a thread merges or has merged.
const MEMORY: usize = 1;

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
}

fn loans() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("at", time(), false),
        Field::new("loan", DataType::Int64, true),
        Field::new("status", DataType::Utf8, true),
        Field::new("balance", DataType::Decimal128(12, 2), true),
        Field::new(SOURCE_PARTITION, DataType::UInt32, false),
        Field::new(SOURCE_OFFSET, DataType::Int64, false),
    ]))
}

/// Hour, loan, status, balance in cents.
type Loan = (i64, Option<i64>, &'static str, Option<i128>);

fn loan_columns(rows: &[Loan], first: i64) -> Vec<ArrayRef> {
    let balances = Decimal128Array::from_iter(rows.iter().map(|row| row.3));
    vec![
        times(rows.iter().map(|row| Some(row.0 * DAY / 24))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2))),
        Arc::new(balances.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(UInt32Array::from(vec![3; rows.len()])),
        Arc::new(Int64Array::from_iter_values((0..rows.len() as i64).map(|at| first + at))),
    ]
}

pub(crate) fn changelog(dir: StateDir) -> Box<dyn Operator> {
    let spec = ChangelogSpec {
        step_id: "book".into(),
        key: vec!["loan".into()],
        columns: Vec::new(),
        deleted: Some("status = 'gone'".into()),
        ever: vec![("ever_late".into(), "status = 'late'".into())],
        keep: DAY,
        event_time: "at".into(),
        ties: vec!["balance".into()],
        memory_bytes: MEMORY,
    };
    Box::new(ChangelogOperator::new(spec, &loans(), dir).unwrap())
}

/// Versions of loans, in and out of order, repeated, deleted and too late.
pub(crate) fn versions(part: usize) -> Vec<Fed> {
    let epochs: [&[(&[Loan], i64, bool)]; 2] = [
        &[
            (
                &[
                    (0, Some(1), "current", Some(100_000)),
                    (0, Some(2), "current", None),
                    (5, Some(1), "late", Some(90_000)),
                    (3, None, "current", Some(-5)),
                    (5, Some(1), "late", Some(90_000)),
                ],
                i64::MIN,
                false,
            ),
            (
                &[
                    (9, Some(1), "gone", None),
                    (2, Some(2), "late", Some(1)),
                    (4, Some(7), "", None),
                ],
                10,
                true,
            ),
            (&[(30, Some(2), "gone", None), (-20, Some(1), "current", Some(3))], 60, false),
        ],
        &[
            (&[(70, Some(1), "current", Some(7)), (20, Some(2), "current", None)], 64, false),
            (&[(80, Some(2), "late", Some(8)), (81, Some(9), "late", Some(8))], 120, false),
        ],
    ];
    let fed = |(number, (rows, watermark, snapshot)): (usize, &(&[Loan], i64, bool))| {
        let columns = loan_columns(rows, (part * 100 + number * 10) as i64);
        let watermark = watermark.checked_mul(DAY / 24).unwrap_or(i64::MIN);
        (RecordBatch::try_new(loans(), columns).unwrap(), watermark, *snapshot)
    };
    epochs[part].iter().enumerate().map(fed).collect()
}

fn changed_loans() -> SchemaRef {
    let loans = loans();
    let mut fields: Vec<Field> = loans.fields()[..4].iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(DIFF, DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

pub(crate) fn previous(dir: StateDir) -> Box<dyn Operator> {
    let spec = PreviousSpec {
        step_id: "before".into(),
        by: vec!["loan".into()],
        columns: vec![("was".into(), "status".into()), ("owed".into(), "balance".into())],
        keep: DAY,
        event_time: "at".into(),
        ties: vec!["status".into()],
        memory_bytes: MEMORY,
    };
    Box::new(PreviousOperator::new(spec, &changed_loans(), dir).unwrap())
}

pub(crate) fn sample(dir: StateDir) -> Box<dyn Operator> {
    let spec = SampleSpec {
        step_id: "nights".into(),
        by: vec!["loan".into()],
        every: Every::Micros(DAY),
        event_time: "at".into(),
        memory_bytes: MEMORY,
    };
    Box::new(SampleOperator::new(spec, &changed_loans(), dir).unwrap())
}

/// Loans with how many of each come or go, the watermark after them, and whether a snapshot
/// follows.
type Epoch<'a> = (&'a [(Loan, i64)], i64, bool);

/// Rows that are added and taken back.
pub(crate) fn changes(part: usize) -> Vec<Fed> {
    let epochs: [&[Epoch<'_>]; 2] = [
        &[
            (
                &[
                    ((1, Some(1), "current", Some(100_000)), 1),
                    ((2, Some(2), "current", None), 1),
                    ((4, Some(1), "current", Some(100_000)), -1),
                    ((4, Some(1), "late", Some(90_000)), 1),
                    ((5, None, "", Some(-5)), 2),
                ],
                i64::MIN,
                false,
            ),
            (&[((3, Some(1), "paid", Some(0)), 1), ((9, Some(7), "late", Some(1)), 1)], 30, true),
            (&[((40, Some(2), "current", None), -1), ((1, Some(2), "late", None), 1)], 80, false),
        ],
        &[
            (&[((70, Some(1), "late", Some(7)), 1), ((90, Some(9), "late", None), 1)], 90, false),
            (&[((91, Some(1), "late", Some(7)), -1), ((99, Some(7), "x", None), 1)], 150, false),
        ],
    ];
    let fed = |(rows, watermark, snapshot): &Epoch<'_>| {
        let loans: Vec<Loan> = rows.iter().map(|(loan, _)| *loan).collect();
        let mut columns = loan_columns(&loans, 0);
        columns.truncate(4);
        columns.push(Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))));
        let watermark = watermark.checked_mul(DAY / 24).unwrap_or(i64::MIN);
        (RecordBatch::try_new(changed_loans(), columns).unwrap(), watermark, *snapshot)
    };
    epochs[part].iter().map(fed).collect()
}

fn lenders() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("lender", DataType::Utf8, true),
        Field::new("to", DataType::Utf8, true),
        Field::new("window", DataType::Utf8, false),
        Field::new("window_start", time(), true),
        Field::new("window_end", time(), false),
        Field::new("n", DataType::Int64, false),
        Field::new("cents", DataType::Int64, true),
        Field::new("revision", DataType::Int64, false),
        Field::new("is_final", DataType::Boolean, false),
        Field::new("complete_through", time(), true),
    ]))
}

pub(crate) fn shares(_dir: StateDir) -> Box<dyn Operator> {
    let share = |name: &str, function, column: &str| ShareSpec {
        name: name.into(),
        function,
        column: column.into(),
    };
    let spec = SharesSpec {
        step_id: "rates".into(),
        shares: vec![
            share("share", ShareFunction::Share, "n"),
            share("all", ShareFunction::Total, "cents"),
        ],
        of: vec!["lender".into()],
        by: vec!["lender".into(), "to".into()],
        keep: 50,
    };
    Box::new(SharesOperator::new(spec, &lenders()).unwrap())
}

/// Rows of windows, of which some have no start, some change, and some are forgotten.
pub(crate) fn windows(part: usize) -> Vec<Fed> {
    // Lender, status, has it a start, its end, loans, cents.
    type Row = (Option<&'static str>, &'static str, bool, i64, i64, Option<i64>);
    let epochs: [&[(&[Row], i64, bool)]; 2] = [
        &[
            (
                &[
                    (Some("A"), "paid", true, 10, 3, Some(30)),
                    (Some("A"), "late", true, 10, 1, None),
                    (None, "late", true, 10, 5, Some(-7)),
                    (Some("B"), "late", false, 40, 2, Some(1)),
                ],
                0,
                false,
            ),
            (&[(Some("A"), "late", true, 10, 2, Some(5))], 20, true),
            (&[(Some("C"), "paid", true, 30, 9, Some(9))], 30, false),
        ],
        &[
            (&[(Some("C"), "late", true, 30, 1, Some(1))], 65, false),
            (&[(Some("B"), "late", false, 60, 2, Some(1))], 90, false),
        ],
    ];
    let fed = |(rows, watermark, snapshot): &(&[Row], i64, bool)| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|row| if row.2 { "10 by 10" } else { "always by 10" }),
            )),
            times(rows.iter().map(|row| row.2.then_some(row.3 - 10))),
            times(rows.iter().map(|row| Some(row.3))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.4))),
            Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.5))),
            Arc::new(Int64Array::from(vec![1; rows.len()])),
            Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.3 <= *watermark)))),
            times(rows.iter().map(|_| Some(*watermark))),
        ];
        (RecordBatch::try_new(lenders(), columns).unwrap(), *watermark, *snapshot)
    };
    epochs[part].iter().map(fed).collect()
}
