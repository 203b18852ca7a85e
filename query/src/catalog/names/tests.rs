//! Tables as they were, for users that see everything and for those that do not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use riskstream_sinks::{
    DeltaRuntime, DeltaTableWriter, LogVersions, MaintainOptions, PartitionRule, StageSettings,
    Stager, TableSpec, WriterOptions, maintain, sync_files,
};
use tempfile::TempDir;

use crate::catalog::{NoSystemTables, TableFact, TableFacts};
use crate::error::QueryError;
use crate::live::held_files;
use crate::rules::Rules;
use crate::service::{Cancel, Limits, QueryService, ServiceSettings, Session, User, parse};

/// 1 April 2018, in microseconds since 1970.
const APRIL: i64 = 1_522_540_800_000_000;

const USERS: &str = r#"
    [roles.lender]
    tables = ["loans"]
    rows   = [{ table = "*", column = "lender_id", in = "lender_id" }]
    masks  = [{ table = "loans", column = "amount", as = "null" }]
    [roles.nobody]
    tables = ["other"]
"#;

/// Loans with these ids, each a revision; of two lenders in turn, where they have one.
fn loans(ids: std::ops::Range<i64>, revision: i64, with_lenders: bool) -> RecordBatch {
    let of = |value: fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(ids.clone().map(value)))
    };
    let at = TimestampMicrosecondArray::from_iter_values(ids.clone().map(|id| APRIL + id));
    let revisions = ids.clone().map(|_| revision);
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("id", of(|id| id)),
        ("at", Arc::new(at.with_timezone("UTC"))),
        ("amount", of(|id| id * 10)),
        ("revision", Arc::new(Int64Array::from_iter_values(revisions))),
    ];
    if with_lenders {
        columns.push(("lender_id", of(|id| id % 2)));
    }
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

/// Delivers rows as an epoch and gives the table's version since.
fn deliver(data: &Path, epoch: u64, rows: &RecordBatch) -> u64 {
    let location = data.join("tables/loans");
    let partition = Some(PartitionRule::event_date("at"));
    let spec = TableSpec::new("loans", &location, rows.schema(), partition).unwrap();
    let runtime = DeltaRuntime::new().unwrap();
    let options = WriterOptions::default();
    let mut writer =
        DeltaTableWriter::open_or_create(spec.clone(), "app", options, &runtime).unwrap();
    let mut stager = Stager::new(spec, 1, 0, StageSettings::default()).unwrap();
    let files = stager.stage(epoch, std::slice::from_ref(rows)).unwrap();
    sync_files(&location, &files).unwrap();
    let epoch = i64::try_from(epoch).unwrap();
    writer.deliver(epoch, &files, &serde_json::Map::new()).unwrap();
    LogVersions::look(&location).unwrap().unwrap().last
}

struct Served {
    service: QueryService,
    data: TempDir,
    /// Ten loans, without lenders.
    first: u64,
    /// Of these, five in a second revision, and ten more; with lenders.
    last: u64,
}

/// The first number of a column; the sum of integers is a decimal.
fn integer(column: &ArrayRef) -> i64 {
    cast(column, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(0)
}

impl Served {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(data.path().join("tables")).unwrap();
        let first = deliver(data.path(), 1, &loans(0..10, 0, false));
        deliver(data.path(), 2, &loans(5..10, 1, true));
        let last = deliver(data.path(), 3, &loans(10..20, 0, true));
        let users = data.path().join("users.toml");
        std::fs::write(&users, USERS).unwrap();
        let fact = TableFact {
            time_column: Some("at".to_owned()),
            key: vec!["id".to_owned()],
            revision: Some("revision".to_owned()),
            ..TableFact::default()
        };
        let settings = ServiceSettings {
            data: data.path().to_owned(),
            tables: TableFacts::from([("loans".to_owned(), fact)]),
            limits: Limits { threads: 2, ..Limits::default() },
            system: Arc::new(NoSystemTables),
            rules: Some(Arc::new(Rules::open(&users).unwrap())),
            audit: None,
        };
        Self { service: QueryService::open(settings).unwrap(), data, first, last }
    }

    fn owner(&self) -> Session {
        self.service.session(User::local("ada"))
    }

    fn with_role(&self, role: &str, lender: &str) -> Session {
        let attributes = BTreeMap::from([("lender_id".to_owned(), vec![lender.to_owned()])]);
        let roles = vec![role.to_owned()];
        self.service.session(User { name: "acme".to_owned(), roles, attributes })
    }

    fn asked(&self, session: &mut Session, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        self.service.block_on(async {
            let statement = parse(sql)?.remove(0);
            let mut answer = session.run(&statement, &[], &Cancel::default()).await?;
            let mut rows = Vec::new();
            while let Some(batch) = answer.next().await {
                rows.push(batch?);
            }
            Ok(rows)
        })
    }

    fn number(&self, session: &mut Session, sql: &str) -> i64 {
        let rows = self.asked(session, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let rows = rows.iter().find(|rows| rows.num_rows() > 0).expect(sql);
        integer(rows.column(0))
    }

    fn refused(&self, session: &mut Session, sql: &str) -> (&'static str, String) {
        match self.asked(session, sql) {
            Ok(rows) => panic!("{sql}: {rows:?}"),
            Err(error) => (error.sql_state().0, error.to_string()),
        }
    }
}

#[test]
fn old_versions_are_asked_in_every_form() {
    let served = Served::new();
    let Served { first, last, .. } = served;
    let mut owner = served.owner();
    for (sql, expected) in [
        ("select count(*) from loans".to_owned(), 25),
        (format!("select count(*) from loans for version as of {first}"), 10),
        (format!("select count(*) from loans for version as of {last}"), 25),
        (format!("select count(*) from public.LOANS version as of {first}"), 10),
        (format!("select sum(loans.amount) from loans for version as of {first}"), 450),
        (format!("select sum(l.amount) from loans l for version as of {first}"), 450),
        ("select count(*) from loans for timestamp as of now()".to_owned(), 25),
        ("select count(*) from loans for system_time as of '2990-01-01'".to_owned(), 25),
        // What is new since.
        (
            format!(
                "select count(*) from loans n \
                 left join loans for version as of {first} as w \
                 on n.id = w.id and n.revision = w.revision where w.id is null"
            ),
            15,
        ),
        (
            format!(
                "with a as (select id from loans for version as of {first}) select sum(id) from a"
            ),
            45,
        ),
        // Its newest revisions.
        ("select count(*) from loans_now".to_owned(), 20),
        (format!("select count(*) from loans_now for version as of {first}"), 10),
        (format!("select sum(revision) from loans_now for version as of {last}"), 5),
        (format!("select count(*) from \"loans for version as of {first}\""), 10),
    ] {
        assert_eq!(served.number(&mut owner, &sql), expected, "{sql}");
    }
    let columns = |session: &mut Session, version: u64| {
        let sql = format!("select * from loans for version as of {version}");
        served.asked(session, &sql).unwrap()[0].num_columns()
    };
    assert_eq!((columns(&mut owner, first), columns(&mut owner, last)), (5, 6));
}

#[test]
fn what_there_is_not_is_said() {
    let served = Served::new();
    let last = served.last;
    let mut owner = served.owner();
    for (sql, state, words) in [
        (
            "select * from loans for version as of 99",
            "22023",
            format!("'loans' has no version 99: there are versions 0 to {last}"),
        ),
        ("select * from loans for timestamp as of '2001-01-01'", "22023", "its oldest".into()),
        ("select * from loans for timestamp as of 'x'", "22007", "x".into()),
        ("select * from loans for timestamp as of 3", "22023", "a constant time".into()),
        ("select * from loans for timestamp as of null", "22023", "a constant time".into()),
        ("select * from lones for version as of 1", "42P01", "lones".into()),
        ("select * from lones_now for version as of 1", "42P01", "lones_now".into()),
        ("select * from pg_class for version as of 1", "42P01", "pg_class".into()),
        ("select lender_id from loans for version as of 0", "42703", "lender_id".into()),
    ] {
        let (found, said) = served.refused(&mut owner, sql);
        assert_eq!(found, state, "{sql}: {said}");
        assert!(said.contains(&words), "{sql}: {said}");
    }
}

#[test]
fn an_old_version_is_seen_by_the_rules_of_today() {
    let served = Served::new();
    let Served { first, last, .. } = served;
    let mut lender = served.with_role("lender", "1");
    let now = "select count(*), count(amount), sum(lender_id) from loans";
    let was = format!("{now} for version as of {last}");
    for sql in [now, &was] {
        let rows = served.asked(&mut lender, sql).unwrap();
        let of = |column: usize| integer(rows[0].column(column));
        // Of 5 to 19, every second is its own.
        assert_eq!((of(0), of(1), of(2)), (8, 0, 8), "{sql}");
    }
    assert_eq!(served.number(&mut lender, "select count(*) from loans_now"), 8);
    for table in ["loans", "loans_now"] {
        for what in ["count(*)", "id", "1"] {
            let sql = format!("select {what} from {table} for version as of {first}");
            let (state, said) = served.refused(&mut lender, &sql);
            assert_eq!(state, "22023", "{sql}: {said}");
            assert!(said.contains("is not shown as it was then"), "{sql}: {said}");
        }
    }
    // A table that is hidden has no versions either: there is none, as of one that is not there.
    let mut nobody = served.with_role("nobody", "1");
    for version in ["1", "99"] {
        let sql = |table: &str| format!("select * from {table} for version as of {version}");
        let (state, said) = served.refused(&mut nobody, &sql("loans"));
        let (other, of_none) = served.refused(&mut nobody, &sql("leans"));
        assert_eq!((state, other), ("42P01", "42P01"), "{said}");
        assert_eq!(said.replace("loans", "leans"), of_none);
    }
}

#[test]
fn within_a_transaction_now_is_its_moment() {
    let served = Served::new();
    let mut owner = served.owner();
    owner.begin();
    assert_eq!(served.number(&mut owner, "select count(*) from loans"), 25);
    let later = deliver(served.data.path(), 4, &loans(20..30, 0, true));
    let now = "select count(*) from loans for timestamp as of now()";
    assert_eq!(served.number(&mut owner, now), 25);
    let by_number = format!("select count(*) from loans for version as of {later}");
    assert_eq!(served.number(&mut owner, &by_number), 35, "a number says what is meant");
    owner.end();
    assert_eq!(served.number(&mut owner, now), 35);
}

#[test]
fn newest_revisions_are_found_in_one_pass_below_which_key_conditions_go() {
    let served = Served::new();
    let mut owner = served.owner();
    let mut plan = |sql: &str| {
        let rows = served.asked(&mut owner, &format!("explain {sql}")).unwrap();
        arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string()
    };
    let of_all = plan("select amount from loans_now");
    assert!(of_all.contains("newest") && !of_all.contains("Sort"), "{of_all}");
    assert!(!of_all.contains("Window") && !of_all.contains("lender_id"), "{of_all}");
    // A condition on the key decides which files are read; one on what a revision may change not.
    let files = |plan: &str| plan.matches(".parquet").count();
    let of_one = plan("select amount from loans_now where id = 15");
    assert!(files(&of_one) < files(&of_all), "{of_one}\n{of_all}");
    let of_amount = plan("select amount from loans_now where amount = 150");
    assert_eq!(files(&of_amount), files(&of_all), "{of_amount}");
    // A revision that was right once is not found by it.
    for (sql, expected) in [
        ("select count(*) from loans_now where revision = 0", 15),
        ("select count(*) from loans_now where id = 7 and revision = 0", 0),
        ("select count(*) from loans_now where id in (3, 7, 12)", 3),
        ("select sum(revision) from loans_now where id between 4 and 6", 2),
        ("select sum(n) from (select count(*) as n from loans_now group by id) t", 20),
    ] {
        assert_eq!(served.number(&mut owner, sql), expected, "{sql}");
    }
}

#[test]
fn files_that_a_transaction_sees_outlive_compaction_and_vacuum() {
    let served = Served::new();
    let location = served.data.path().join("tables/loans");
    let runtime = DeltaRuntime::new().unwrap();
    let keep_up = || {
        let options = MaintainOptions {
            min_files: 2,
            retention: Duration::ZERO,
            keep: held_files(&location).unwrap(),
            ..MaintainOptions::default()
        };
        maintain(&runtime, location.as_path(), &options).unwrap()
    };
    let was = format!("select sum(id) from loans for version as of {}", served.first);
    let now = "select sum(id) from loans";
    let mut owner = served.owner();
    owner.begin();
    assert_eq!(served.number(&mut owner, now), 225);
    assert_eq!(served.number(&mut owner, &was), 45);
    let report = keep_up();
    assert_eq!((report.files_compacted, report.files_removed), (3, 0));
    assert_eq!((served.number(&mut owner, now), served.number(&mut owner, &was)), (225, 45));
    // Another one needs no more than the newest version, and the version itself is there for all.
    let mut other = served.owner();
    assert_eq!((served.number(&mut other, now), served.number(&mut other, &was)), (225, 45));
    owner.end();
    // What has ended lets go a moment later.
    let until = Instant::now() + Duration::from_secs(30);
    let mut removed = 0;
    while removed < 3 && Instant::now() < until {
        removed += keep_up().files_removed;
    }
    assert_eq!(removed, 3);
    assert_eq!(served.number(&mut other, now), 225);
    let (state, said) = served.refused(&mut other, &was);
    assert_eq!(state, "22023", "{said}");
    assert!(said.contains("no version"), "{said}");
}
