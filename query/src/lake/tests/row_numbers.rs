//! Rows are numbered as DataFusion numbers them.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::super::{LakeCache, LakeLimits, LakeTable};
use super::{physical_rules, random_table};

/// Of whatever the keys are: none, nulls, floats with both zeros and NaN, texts, expressions; in
/// batches that end within a partition.
const NUMBERED: [&str; 8] = [
    "row_number() over (partition by name order by id, at, amount, score)",
    "row_number() over (partition by score order by id desc, at, amount, name)",
    "row_number() over (partition by small, flag order by id, at, amount, score, name)",
    "row_number() over (order by id, at, amount, score, name)",
    "row_number() over (partition by id / 40 order by id, at, amount, score, name)",
    "row_number() over (partition by day, ratio order by at desc, id, amount, score, name)",
    // Two in one window, and one beside a function that is none of ours.
    "row_number() over (partition by small order by id, at, amount, score, name), \
     row_number() over (partition by small order by id, at, amount, score, name) + 1",
    "row_number() over (partition by small order by id, at, amount, score, name), \
     lag(id) over (partition by small order by id, at, amount, score, name)",
];

fn session(table: &LakeTable, own: bool, batch: usize, partitions: usize) -> SessionContext {
    let config = SessionConfig::new().with_batch_size(batch).with_target_partitions(partitions);
    let rules = if own { physical_rules() } else { PhysicalOptimizer::new().rules };
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_physical_optimizer_rules(rules)
        .build();
    let context = SessionContext::new_with_state(state);
    context.register_table("t", table.provider()).unwrap();
    context
}

async fn asked(context: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    context.sql(sql).await.unwrap().collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_numbered_as_by_the_plain_plan() {
    let folder = random_table(20, 7);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    for numbered in NUMBERED {
        let columns = "id, at, amount, score, name, small";
        let all = format!("select {columns}, {numbered} from t");
        let few = format!(
            "select {columns} from (select *, {} as place from t) where place <= 2",
            numbered.split(", row_number").next().unwrap().split(", lag").next().unwrap()
        );
        for sql in [all, few] {
            // As texts in their order: rows that are alike in all columns may change places.
            let lines = async |context: &SessionContext| {
                let found = asked(context, &sql).await;
                let text = pretty_format_batches(&found).unwrap().to_string();
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort_unstable();
                lines
            };
            let expected = lines(&session(&table, false, 8192, 1)).await;
            // Above, between and below the rows stand four lines.
            assert!(expected.len() >= 4 + 2, "{sql}");
            for (batch, partitions) in [(8192, 1), (7, 1), (64, 3)] {
                let context = session(&table, true, batch, partitions);
                assert_eq!(lines(&context).await, expected, "{sql}, batches of {batch}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_row_numbers_are_counted() {
    let folder = random_table(3, 7);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let context = session(&table, true, 8192, 2);
    for (numbered, counts) in NUMBERED.iter().zip([true, true, true, true, true, true, true, false])
    {
        let plan = asked(&context, &format!("explain select {numbered} from t")).await;
        let plan = pretty_format_batches(&plan).unwrap().to_string();
        assert_eq!(plan.contains("RowNumbersExec"), counts, "{plan}");
    }
}
