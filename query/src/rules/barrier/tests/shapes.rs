//! Masks, limits, what goes below, and errors of the table's own.

use arrow::array::AsArray;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{col, lit};
use datafusion::physical_plan::displayable;

use super::*;

fn ask(ctx: &SessionContext, sql: &str) -> Result<String, String> {
    runtime().block_on(table(ctx, sql))
}

fn cells(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(1);
    rows.map(|line| line.trim_matches(['|', ' ']).to_owned()).collect()
}

fn guarded(role: &str) -> SessionContext {
    with(&guarded_by(memory(all_batches(200)), rule(role)), 1, false)
}

#[test]
fn a_mask_is_what_is_compared() {
    let ctx = guarded("masked");
    let ordered = |sql: &str| cells(&ask(&ctx, &format!("{sql} order by 1")).unwrap());
    assert_eq!(ordered("select distinct borrower from t"), ["***"]);
    assert_eq!(ordered("select count(*) from t where borrower = 'ours'"), ["0"]);
    assert_eq!(ordered("select count(*) from t where borrower = '***'"), ["58"]);
    assert_eq!(ordered("select count(*) from t where borrower like '%4%'"), ["0"]);
    assert_eq!(ordered("select count(balance) from t"), ["0"]);
    assert_eq!(ordered("select max(balance) from t"), [""]);
    assert_eq!(ordered("select count(*) from t where 1 / balance > 0"), ["0"]);
    assert_eq!(ordered("select count(*) from t where balance is not null"), ["0"]);
    assert_eq!(ordered("select min(borrower) from t group by borrower"), ["***"]);
    assert_eq!(ordered("select count(*) from t join u on t.borrower = u.borrower"), ["3364"]);
    let windowed = ordered("select distinct max(balance) over (partition by borrower) from t");
    assert_eq!(windowed, [""]);
}

#[test]
fn a_mask_is_lifted_in_the_rows_of_a_role_that_shows_them() {
    // `everything` shows all rows masked, `lender` its own as they are.
    let ctx = guarded("everything+lender");
    let count = |what: &str| {
        cells(&ask(&ctx, &format!("select count(*) from t where {what}")).unwrap()).remove(0)
    };
    assert_eq!(count("true"), "200");
    assert_eq!(count("borrower = '***'"), "142");
    assert_eq!(count("borrower = '***' and id % 7 < 2"), "0");
    assert_eq!(count("borrower like 'secret%'"), "0");
}

#[test]
fn columns_of_the_rule_need_not_be_asked_for() {
    let ctx = guarded("lender");
    let plain = with(&memory(our_batches(&all_batches(200))), 1, false);
    for what in ["count(*)", "sum(balance)", "count(lender)", "min(at)"] {
        let sql = format!("select {what} from t");
        assert_eq!(ask(&ctx, &sql).unwrap(), ask(&plain, &sql).unwrap(), "{sql}");
    }
}

#[test]
fn only_comparisons_that_cannot_fail_go_below() {
    let masked = BTreeSet::from(["borrower".to_owned()]);
    let safe = |filter: Expr| passed::is_safe(&filter, &schema(), &masked);
    for filter in [
        col("id").eq(lit(4_i64)),
        lit(4_i64).lt_eq(col("id")),
        col("lender").in_list(vec![lit("17"), lit("18")], true),
        col("late").is_null(),
        col("lender").gt(lit("1")),
    ] {
        assert!(safe(filter.clone()), "{filter}");
    }
    for filter in [
        col("borrower").eq(lit("x")),
        col("borrower").is_null(),
        col("id").eq(col("balance")),
        (col("id") / col("balance")).gt(lit(1_i64)),
        datafusion::logical_expr::cast(col("lender"), DataType::Int64).gt(lit(1_i64)),
        col("id").eq(lit(4_i32)),
        col("score").gt(lit(1.0)),
        col("lender").like(lit("1%")),
        col("id").eq(lit(4_i64)).or(col("balance").eq(lit(0_i64))),
        col("nowhere").eq(lit(4_i64)),
        lit(true),
    ] {
        assert!(!safe(filter.clone()), "{filter}");
    }
}

/// A table that tells what it was asked for, and fails as it is told to.
#[derive(Debug)]
struct Spy {
    inner: Arc<dyn TableProvider>,
    asked: std::sync::Mutex<Vec<String>>,
    fails: bool,
}

#[async_trait]
impl TableProvider for Spy {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.fails {
            return Err(datafusion::common::DataFusionError::External(
                "/data/loans/secret.parquet is gone".into(),
            ));
        }
        let told: Vec<String> = filters.iter().map(ToString::to_string).collect();
        self.asked.lock().unwrap().push(format!("{projection:?} {} {limit:?}", told.join(" & ")));
        self.inner.scan(state, projection, filters, limit).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

fn spied(role: &str, fails: bool) -> (Arc<Spy>, SessionContext) {
    let inner = memory(all_batches(200));
    let spy = Arc::new(Spy { inner, asked: std::sync::Mutex::new(Vec::new()), fails });
    let divided_by = BTreeSet::from(["day".to_owned()]);
    let ctx = with(&guard(Arc::clone(&spy) as _, rule(role), divided_by), 2, false);
    (spy, ctx)
}

#[test]
fn the_scan_is_asked_for_the_rule_and_for_what_is_safe() {
    for (role, sql, expected) in [
        (
            "lender",
            "select id from t where id > 3 and 1 / balance > 0 limit 2",
            "Some([0, 6, 1]) id > Int64(3) OR lender != Utf8(\"17\") OR lender IS NULL & lender = \
             Utf8(\"17\") None",
        ),
        (
            "lender",
            "select id from t where lender = '18' and day > '2022-01-01'",
            "Some([0, 1, 8]) lender = Utf8(\"18\") OR lender != Utf8(\"17\") OR lender IS NULL & \
             day > Date32(\"2022-01-01\") & lender = Utf8(\"17\") None",
        ),
        (
            "lender+number",
            "select id from t where id = 4",
            "Some([0, 1, 2]) id = Int64(4) OR (lender != Utf8(\"17\") OR lender IS NULL) AND \
             (lender_no != Int32(17) OR lender_no IS NULL) & lender = Utf8(\"17\") OR lender_no = \
             Int32(17) None",
        ),
        // A dictionary's values are not asked for.
        ("dictionary", "select id from t where id = 4", "Some([0, 4])  None"),
        ("everything", "select id from t where id = 4", "Some([0]) id = Int64(4) None"),
        ("lender", "select id from t limit 2", "Some([0, 1]) lender = Utf8(\"17\") None"),
        ("number", "select count(*) from t", "Some([2]) lender_no = Int32(17) None"),
        (
            "lender+number",
            "select id from t",
            "Some([0, 1, 2]) lender = Utf8(\"17\") OR lender_no = Int32(17) None",
        ),
        (
            "masked",
            "select id from t where borrower = 'a' and balance = 1",
            "Some([0, 5, 6, 1]) lender = Utf8(\"17\") None",
        ),
        ("everything", "select id from t limit 2", "Some([0])  Some(2)"),
    ] {
        let (spy, ctx) = spied(role, false);
        ask(&ctx, sql).unwrap();
        assert_eq!(*spy.asked.lock().unwrap(), [expected], "{sql}");
    }
}

/// A file may be skipped by a filter where this is false of all of its rows: so it has to be true
/// of each row that the user does not see, and is of no use if it is true of others.
#[test]
fn a_row_of_others_is_known_as_one() {
    for role in ["lender", "number", "view", "lender+number", "masked"] {
        let mut rule = rule(role);
        for values in [vec!["17"], vec!["17", "nothing", "16"]] {
            for condition in rule.grants.iter_mut().flat_map(|grant| &mut grant.conditions) {
                condition.values = values.iter().map(|value| (*value).to_owned()).collect();
            }
            let others = passed::of_others(&rule, &schema()).unwrap();
            let table = DFSchema::try_from(schema()).unwrap();
            let others = context(1, false).state().create_physical_expr(others, &table).unwrap();
            let rows = rows(0..200);
            let found = others.evaluate(&rows).unwrap().into_array(200).unwrap();
            let ours: Vec<_> =
                found.as_boolean().iter().map(|other| other == Some(false)).collect();
            let expected: Vec<_> = (0..200).map(|n| n % 7 < 2).collect();
            assert_eq!(ours, expected, "{role} {values:?}");
        }
    }
    let mut many = rule("lender");
    many.grants[0].conditions[0].values.extend((0..400).map(|n| n.to_string()));
    assert_eq!(passed::of_others(&many, &schema()), None);
    assert_eq!(passed::of_others(&rule("dictionary"), &schema()), None);
}

#[test]
fn an_error_of_the_table_is_not_told() {
    let (_, ctx) = spied("lender", true);
    let error = ask(&ctx, "select id from t").unwrap_err();
    assert!(error.contains("the table can't be read") && !error.contains("secret"), "{error}");
}

#[test]
fn a_file_that_is_gone_is_not_told() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let all = parquet(folder.path(), &all_batches(200)).await;
        let ctx = with(&guarded_by(all, rule("lender")), 2, true);
        let plan = ctx.sql("select id from t").await.unwrap().create_physical_plan().await.unwrap();
        assert!(!displayable(plan.as_ref()).indent(true).to_string().contains("parquet"));
        assert!(!format!("{plan:?}").contains("parquet"), "{plan:?}");
        for file in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::write(file.unwrap().path(), "secret").unwrap();
        }
        let error = datafusion::physical_plan::collect(plan, ctx.task_ctx()).await.unwrap_err();
        assert_eq!(error.to_string(), "Execution error: the table can't be read");
    });
}

#[test]
fn a_limit_ends_the_reading() {
    let ctx = guarded("lender");
    assert_eq!(cells(&ask(&ctx, "select id from t limit 3").unwrap()).len(), 3);
    let text = ask(&ctx, "explain select id from t limit 3").unwrap();
    assert!(text.contains("fetch=3"), "{text}");
}

#[test]
fn a_column_that_is_gone_lets_no_row_pass() {
    let narrow = Arc::new(schema().project(&[0, 5]).unwrap());
    let batches = all_batches(50).iter().map(|batch| batch.project(&[0, 5]).unwrap()).collect();
    let table: Arc<dyn TableProvider> = Arc::new(MemTable::try_new(narrow, vec![batches]).unwrap());
    let ctx = with(&guarded_by(table, rule("lender")), 1, false);
    assert_eq!(cells(&ask(&ctx, "select count(*) from t").unwrap()), ["0"]);
    assert_eq!(cells(&ask(&ctx, "select count(borrower) from t").unwrap()), ["0"]);
}

#[test]
fn a_long_list_of_values_is_found_by_a_set() {
    for role in ["lender", "number", "view", "dictionary"] {
        let mut rule = rule(role);
        for condition in rule.grants.iter_mut().flat_map(|grant| &mut grant.conditions) {
            condition.values.extend((100..400).map(|n| n.to_string()));
        }
        let ctx = with(&guarded_by(memory(all_batches(200)), rule), 1, false);
        assert_eq!(cells(&ask(&ctx, "select count(*) from t").unwrap()), ["58"], "{role}");
    }
}
