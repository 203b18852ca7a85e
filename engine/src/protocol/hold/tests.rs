use super::*;
use arrow::array::{Int64Array, TimestampMicrosecondArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

fn schema() -> SourceSchema {
    let user = Schema::new(vec![Field::new(
        "t",
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        false,
    )]);
    SourceSchema::new(&user, "t", &[]).expect("a timestamp column")
}

fn rows(times: &[i64]) -> RecordBatch {
    let n = times.len();
    RecordBatch::try_new(
        schema().schema,
        vec![
            Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC")),
            Arc::new(UInt32Array::from(vec![0; n])),
            Arc::new(Int64Array::from_iter_values(times.iter().copied())),
            Arc::new(BooleanArray::from(vec![false; n])),
        ],
    )
    .expect("columns fit")
}

fn close(epoch: u64, before: i64, watermark: i64) -> EpochClose {
    EpochClose {
        epoch: Epoch(epoch),
        watermark: EventTime(watermark),
        watermark_before: EventTime(before),
        snapshot: false,
        last: false,
    }
}

fn times(out: &Output) -> Vec<i64> {
    let mut all: Vec<i64> = out
        .rows
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec())
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn rows_wait_for_the_watermark_and_survive_a_restart_on_other_workers() {
    let mut hold = Hold::new("p.hold", "s", schema(), Order::EventTime, LatePolicy::Apply);
    let mut out = Output::default();
    hold.on_batch(Epoch(1), rows(&[10, 30, 20]), &mut out).expect("rows");
    assert!(out.rows.is_empty());
    hold.on_close(&close(1, i64::MIN, 20), &mut out).expect("close");
    assert_eq!(times(&out), [10, 20]);
    let saved = SavedState {
        snapshot: None,
        changes: vec![(Epoch(1), hold.changes(&close(1, i64::MIN, 20)).expect("changes"))],
    };
    let mut released = Vec::new();
    for worker in 0..3 {
        let mut again = Hold::new("p.hold", "s", schema(), Order::EventTime, LatePolicy::Apply);
        again.restore(&saved, worker, Ownership::new(3)).expect("restore");
        let mut out = Output::default();
        again.on_close(&close(2, 20, 40), &mut out).expect("close");
        released.extend(times(&out));
    }
    assert_eq!(
        released,
        [30],
        "each waiting row is taken by exactly one worker, released rows by none"
    );
}

#[test]
fn a_late_row_is_flagged_or_dead_lettered_and_never_lost() {
    for (policy, passed, dead) in
        [(LatePolicy::Apply, vec![5], 0), (LatePolicy::DeadLetter, vec![], 1)]
    {
        let mut hold = Hold::new("p.hold", "s", schema(), Order::EventTime, policy);
        let mut out = Output::default();
        hold.on_close(&close(1, i64::MIN, 10), &mut out).expect("close");
        hold.on_batch(Epoch(2), rows(&[5, 11]), &mut out).expect("rows");
        assert_eq!(times(&out), passed);
        assert_eq!(out.dead.iter().map(RecordBatch::num_rows).sum::<usize>(), dead);
        assert_eq!(out.late, 1);
        for batch in &out.rows {
            assert!(batch.column_by_name(LATE).expect("system column").as_boolean().value(0));
        }
    }
}

#[test]
fn a_row_that_was_released_before_the_watermark_was_put_back_is_not_released_again() {
    let mut hold = Hold::new("p.hold", "s", schema(), Order::EventTime, LatePolicy::Apply);
    let mut changes = Vec::new();
    let mut epoch =
        |hold: &mut Hold, number: u64, times_in: &[i64], before: i64, watermark: i64| {
            let mut out = Output::default();
            hold.on_batch(Epoch(number), rows(times_in), &mut out).expect("rows");
            let close = close(number, before, watermark);
            hold.on_close(&close, &mut out).expect("close");
            changes.push((Epoch(number), hold.changes(&close).expect("changes")));
            (times(&out), changes.clone())
        };
    epoch(&mut hold, 1, &[10, 30, 90], i64::MIN, 20);
    assert_eq!(epoch(&mut hold, 2, &[], 20, 50).0, [30]);
    hold.put_back(EventTime(25));
    let (released, saved) = epoch(&mut hold, 3, &[28, 26], 25, 27);
    assert_eq!(released, [26], "rows that the wrong watermark had passed are in time again");
    let mut again = Hold::new("p.hold", "s", schema(), Order::EventTime, LatePolicy::Apply);
    again
        .restore(&SavedState { snapshot: None, changes: saved }, 0, Ownership::new(1))
        .expect("restore");
    let mut out = Output::default();
    again.on_batch(Epoch(4), rows(&[27]), &mut out).expect("rows");
    assert_eq!(
        (times(&out), out.late),
        (vec![27], 1),
        "the watermark is where it was put back to, and has gone on from there"
    );
    let mut out = Output::default();
    again.on_close(&close(4, 27, 100), &mut out).expect("close");
    assert_eq!(times(&out), [28, 90], "30 was released in epoch 2");
}

#[test]
fn rows_that_wait_are_taken_back_by_the_names_of_their_columns() {
    let time =
        || Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false);
    let with = |fields: Vec<Field>| {
        SourceSchema::new(&Schema::new(fields), "t", &[]).expect("a timestamp column")
    };
    let (a, b) =
        (|| Field::new("a", DataType::Int64, true), || Field::new("b", DataType::Int64, true));
    let old = with(vec![a(), time(), b()]);
    let mut hold = Hold::new("p.hold", "s", old.clone(), Order::EventTime, LatePolicy::Apply);
    let numbers = |from: i64| Arc::new(Int64Array::from(vec![from, from + 1])) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        numbers(1),
        Arc::new(TimestampMicrosecondArray::from(vec![10, 30]).with_timezone("UTC")),
        numbers(5),
        Arc::new(UInt32Array::from(vec![0; 2])),
        numbers(0),
        Arc::new(BooleanArray::from(vec![false; 2])),
    ];
    let mut out = Output::default();
    hold.on_batch(
        Epoch(1),
        RecordBatch::try_new(old.schema, columns).expect("columns fit"),
        &mut out,
    )
    .expect("rows");
    hold.on_close(&close(1, i64::MIN, 20), &mut out).expect("close");
    let mut saved = SavedState {
        snapshot: None,
        changes: vec![(Epoch(1), hold.changes(&close(1, i64::MIN, 20)).expect("changes"))],
    };
    let restored = |schema: SourceSchema, saved: &SavedState| {
        let mut again = Hold::new("p.hold", "s", schema, Order::EventTime, LatePolicy::Apply);
        let mut out = Output::default();
        again.restore(saved, 0, Ownership::new(1))?;
        again.on_close(&close(2, 20, 40), &mut out).expect("close");
        Ok::<_, OperatorError>(out.rows)
    };
    let released =
        restored(with(vec![time(), b()]), &saved).expect("a column is gone, and another elsewhere");
    assert_eq!(released[0].column(1).as_primitive::<Int64Type>().values(), &[6]);
    let added = || with(vec![time(), a(), b(), Field::new("c", DataType::Int64, true)]);
    let error =
        restored(added(), &saved).expect_err("a row that waits has no such column").to_string();
    assert!(error.contains("without the column `c`"), "{error}");
    // Once nothing waits any more, columns may come.
    hold.on_close(&close(2, 20, 40), &mut out).expect("close");
    saved.changes.push((Epoch(2), hold.changes(&close(2, 20, 40)).expect("changes")));
    assert!(restored(added(), &saved).expect("nothing waits").is_empty());
}
