//! Staged files: names, partitions and statistics.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use riskstream_sinks::{
    IntegerEncoding, SinkError, StageCompression, StageSettings, Stager, TableSpec,
};
use serde_json::Value;

use crate::support::{DAY_MICROS, rows, spec, stage};

#[test]
fn the_same_rows_give_the_same_files() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (stage(first.path(), 1), stage(second.path(), 1));
    assert_eq!(one, two);
    for file in &one {
        assert_eq!(
            std::fs::read(first.path().join(&file.path)).unwrap(),
            std::fs::read(second.path().join(&file.path)).unwrap()
        );
    }
}

#[test]
fn files_are_named_by_date_generation_epoch_and_worker() {
    let folder = tempfile::tempdir().unwrap();
    let mut stager = Stager::new(spec(folder.path()), 3, 1, StageSettings::default()).unwrap();
    let files = stager.stage(42, &[rows(1..900)]).unwrap();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "event_date=__HIVE_DEFAULT_PARTITION__/part-000003-000000000042-0001-0000.parquet",
            "event_date=2018-04-01/part-000003-000000000042-0001-0001.parquet",
            "event_date=2018-04-02/part-000003-000000000042-0001-0002.parquet",
        ]
    );
    assert_eq!(files[0].partition_values["event_date"], None);
    assert_eq!(files[1].partition_values["event_date"].as_deref(), Some("2018-04-01"));
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 899);
    for file in &files {
        assert_eq!(std::fs::metadata(folder.path().join(&file.path)).unwrap().len(), file.bytes);
    }
    assert!(stager.stage(43, &[]).unwrap().is_empty());
    assert!(stager.stage(43, &[rows(0..0)]).unwrap().is_empty());
}

#[test]
fn statistics_bound_the_values() {
    let folder = tempfile::tempdir().unwrap();
    let files = stage(folder.path(), 0);
    let second_day: Value = serde_json::from_str(&files[2].stats_json).unwrap();
    let first = (DAY_MICROS + 100_000_000) / 100_000_001;
    assert_eq!(second_day["numRecords"], files[2].rows);
    assert_eq!(second_day["minValues"]["id"], first);
    assert_eq!(second_day["maxValues"]["id"], 999);
    assert_eq!(second_day["maxValues"]["at"], "2018-04-02T03:45:00.001Z");
    assert!(
        files[2].stats_json.contains("\"amount\":319.63"),
        "exact decimals: {}",
        files[2].stats_json
    );
    assert!(second_day["nullCount"]["score"].as_u64().unwrap() > 0);
}

#[test]
fn a_float_column_with_nan_has_no_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("a", DataType::Float64, true),
        Field::new("b", DataType::Int64, true),
    ]));
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(Float64Array::from(vec![1.0, f64::NAN, f64::INFINITY])),
            Arc::new(Int64Array::from(vec![None, None, None])),
        ],
    )
    .unwrap();
    let spec = TableSpec::new("t", folder.path(), schema, None).unwrap();
    let files =
        Stager::new(spec, 1, 0, StageSettings::default()).unwrap().stage(1, &[batch]).unwrap();
    let stats: Value = serde_json::from_str(&files[0].stats_json).unwrap();
    assert_eq!(stats["minValues"], serde_json::json!({}));
    assert_eq!(stats["maxValues"], serde_json::json!({}));
    assert_eq!(stats["nullCount"], serde_json::json!({"a": 0, "b": 3}));
    assert_eq!(files[0].path, "part-000001-000000000001-0000-0000.parquet");
}

/// The layout is worked out from the first rows; the later ones are under no obligation to be like
/// them.
#[test]
fn files_that_are_unlike_the_first_hold_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let batch = |flags: Int32Array, counts: Int64Array, decisions: StringArray| {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>(
            flags.iter().map(|flag| Some([flag, None])),
        );
        let columns: [(&str, ArrayRef); 4] = [
            ("flag", Arc::new(flags)),
            ("list", Arc::new(list)),
            ("count", Arc::new(counts)),
            ("decision", Arc::new(decisions)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
            .unwrap()
    };
    let texts = ["approve", "review", "decline, and a longer one"];
    let batches = [
        // Runs of one value, no nulls.
        batch(
            (0..3000).map(|_| 1).collect(),
            (0..3000).map(|_| 0).collect(),
            (0..3000).map(|_| Some("approve")).collect(),
        ),
        // Other values, and nulls.
        batch(
            (0..500).map(|i| (i % 3 > 0).then_some(i * 7919 % 100)).collect(),
            (0..500).map(|i| (i % 5 > 0).then_some(i64::from(i) << 40)).collect(),
            (0..500).map(|i| (i % 4 > 0).then_some(texts[i % 3])).collect(),
        ),
        // Nothing but nulls in one column.
        batch(
            (0..9).map(Some).collect(),
            (0..9).map(|_| None).collect(),
            (0..9).map(|i| Some(texts[i % 3])).collect(),
        ),
        batch(
            (0..9).map(|_| i32::MIN).collect(),
            (0..9).map(|_| i64::MAX).collect(),
            (0..9).map(|_| Some("")).collect(),
        ),
    ];
    let spec = TableSpec::new("t", folder.path(), batches[0].schema(), None).unwrap();
    let mut stager = Stager::new(spec, 1, 0, StageSettings::default()).unwrap();
    for (epoch, batch) in (1..).zip(&batches) {
        let files = stager.stage(epoch, std::slice::from_ref(batch)).unwrap();
        let file = std::fs::File::open(folder.path().join(&files[0].path)).unwrap();
        let read: Vec<RecordBatch> = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let read = concat_batches(&read[0].schema(), &read).unwrap();
        for (at, column) in batch.columns().iter().enumerate().filter(|(at, _)| *at != 1) {
            assert_eq!(
                read.column(at),
                column,
                "epoch {epoch}, {}",
                batch.schema().field(at).name()
            );
        }
        let lists = |rows: &RecordBatch| {
            rows.column(1)
                .as_list::<i32>()
                .iter()
                .map(|list| format!("{list:?}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(lists(&read), lists(batch), "epoch {epoch}");
    }
}

#[test]
fn a_table_of_numbers_alone_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..700))),
        ("score", Arc::new(Float64Array::from_iter_values((0..700).map(f64::from)))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    let spec = TableSpec::new("t", folder.path(), batch.schema(), None).unwrap();
    let files = Stager::new(spec, 1, 0, StageSettings::default())
        .unwrap()
        .stage(1, std::slice::from_ref(&batch))
        .unwrap();
    let file = std::fs::File::open(folder.path().join(&files[0].path)).unwrap();
    let read: Vec<RecordBatch> = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(concat_batches(&batch.schema(), &read).unwrap(), batch);
}

#[test]
fn every_setting_writes_files_that_read_the_same() {
    let mut texts = Vec::new();
    for compression in [
        StageCompression::Uncompressed,
        StageCompression::Snappy,
        StageCompression::Lz4,
        StageCompression::Zstd1,
    ] {
        for integers in
            [IntegerEncoding::Plain, IntegerEncoding::DeltaPacked, IntegerEncoding::Dictionary]
        {
            let (folder, runtime) = (tempfile::tempdir().unwrap(), crate::support::runtime());
            let mut writer = crate::support::writer(folder.path(), &runtime);
            let settings = StageSettings { compression, integers, ..StageSettings::default() };
            let files = Stager::new(spec(folder.path()), 1, 0, settings)
                .unwrap()
                .stage(1, &[rows(0..2000)])
                .unwrap();
            writer.deliver(1, &files, &serde_json::Map::new()).unwrap();
            texts.push(crate::support::read_all(folder.path(), &runtime));
        }
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].len(), 2000);
}

#[test]
fn a_batch_with_other_columns_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut stager = Stager::new(spec(folder.path()), 1, 0, StageSettings::default()).unwrap();
    let narrow = rows(0..5).project(&[0, 1]).unwrap();
    let error = stager.stage(1, &[narrow]).unwrap_err();
    assert!(matches!(error, SinkError::BatchSchema { .. }), "{error}");
}
