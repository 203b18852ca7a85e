//! Files are left out only where no row of them is wanted.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use riskstream_sinks::{MaintainOptions, maintain};

use super::super::{DeltaProvider, LakeCache, LakeLimits};
use super::random::Random;
use super::{asked, context, random_table, rows_of_files, runtime, session};

/// What of a query's condition comes to the scan, as DataFusion has rewritten it.
async fn scan_filters(context: &SessionContext, condition: &str) -> Option<Vec<Expr>> {
    let plan = context.sql(&format!("select * from t where {condition}")).await.ok()?;
    let plan = context.state().optimize(&plan.into_unoptimized_plan()).ok()?;
    let mut filters = None;
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            filters = Some(unnormalize_cols(scan.filters.clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .ok()?;
    filters
}

fn has_match(rows: &RecordBatch, filters: &[Arc<dyn PhysicalExpr>]) -> Option<bool> {
    let mut matching = vec![true; rows.num_rows()];
    for filter in filters {
        let passed = filter.evaluate(rows).ok()?.into_array(rows.num_rows()).ok()?;
        let passed = passed.as_boolean();
        for (row, matching) in matching.iter_mut().enumerate() {
            *matching &= passed.is_valid(row) && passed.value(row);
        }
    }
    Some(matching.contains(&true))
}

/// How many files may have been left out, and were.
#[derive(Debug, Default)]
struct Skipped {
    cases: u32,
    without_match: usize,
    left_out: usize,
}

async fn check_case(
    context: &SessionContext,
    provider: &DeltaProvider,
    files: &[RecordBatch],
    condition: &str,
    skipped: &mut Skipped,
) {
    let Some(filters) = scan_filters(context, condition).await else { return };
    let state = context.state();
    let schema = DFSchema::try_from(Arc::clone(&provider.table.schema)).unwrap();
    let physical = |filter: &Expr| state.create_physical_expr(filter.clone(), &schema).unwrap();
    let all: Vec<_> = filters.iter().map(physical).collect();
    let (by_partition, by_rows): (Vec<Expr>, Vec<Expr>) =
        filters.into_iter().partition(|filter| provider.table.decides(filter));
    let by_rows: Vec<_> = by_rows.iter().map(physical).collect();
    let selected = provider.table.select(&state, by_partition, &by_rows).unwrap();
    skipped.cases += 1;
    for (index, rows) in files.iter().enumerate() {
        let left_out = !selected.values().contains(&(index as u32));
        let Some(matches) = has_match(rows, &all) else { continue };
        assert!(!(matches && left_out), "{condition}: file {index} is left out");
        skipped.without_match += usize::from(!matches);
        skipped.left_out += usize::from(left_out);
    }
}

#[tokio::test]
async fn no_file_with_a_wanted_row_is_left_out() {
    let mut skipped = Skipped::default();
    for seed in 0..4 {
        let folder = random_table(seed, 22);
        let lake = LakeCache::new(LakeLimits::default());
        let table = lake.newest(folder.path()).await.unwrap();
        let (context, provider) = (session(&table), table.provider());
        let files = rows_of_files(&provider);
        let mut random = Random::new(seed + 100);
        for _ in 0..700 {
            let condition = random.condition(2);
            check_case(&context, &provider, &files, &condition, &mut skipped).await;
        }
    }
    assert!(skipped.cases > 2000, "{skipped:?}");
    assert!(skipped.left_out * 10 > skipped.without_match * 6, "{skipped:?}");
}

/// Of the same rows, a table in memory gives the same answers: as staged and as compacted.
#[tokio::test(flavor = "multi_thread")]
async fn queries_answer_as_over_rows_in_memory() {
    for seed in 10..13 {
        let folder = random_table(seed, 14);
        let lake = LakeCache::new(LakeLimits::default());
        let table = lake.newest(folder.path()).await.unwrap();
        let rows = rows_of_files(&table.provider());
        let plain = context();
        let memory = MemTable::try_new(rows[0].schema(), vec![rows]).unwrap();
        plain.register_table("t", Arc::new(memory)).unwrap();
        let mut random = Random::new(seed);
        let mut table = table;
        for round in 0..2 {
            if round == 1 {
                let options = MaintainOptions { min_files: 2, ..MaintainOptions::default() };
                let path = folder.path().to_owned();
                let compacting = move || maintain(&runtime(), path, &options).unwrap();
                let report = tokio::task::spawn_blocking(compacting).await.unwrap();
                assert!(report.files_written > 0, "{report:?}");
                table = lake.newest(folder.path()).await.unwrap();
            }
            let context = session(&table);
            for _ in 0..25 {
                let condition = random.condition(2);
                for what in [
                    "count(*), count(score), sum(id), min(at), max(note)",
                    "id, name, amount, at, score, ratio, note, flag",
                ] {
                    let order = if what.starts_with("id") {
                        "order by 1, 2, 3, 4, 5, 6, 7, 8 limit 40"
                    } else {
                        ""
                    };
                    let sql = format!("select {what} from t where {condition} {order}");
                    let (lake, memory) = (asked(&context, &sql).await, asked(&plain, &sql).await);
                    let (Ok(lake), Ok(memory)) = (&lake, &memory) else {
                        assert!(memory.is_err(), "seed {seed}, round {round}: {sql}: {lake:?}");
                        continue;
                    };
                    let differs = lake.lines().zip(memory.lines()).find(|(one, two)| one != two);
                    assert_eq!(differs, None, "seed {seed}, round {round}: {sql}");
                    assert_eq!(lake.len(), memory.len(), "seed {seed}, round {round}: {sql}");
                }
            }
        }
    }
}
