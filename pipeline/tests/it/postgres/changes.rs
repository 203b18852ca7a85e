//! Changes of every kind, under kills too, are the table; and time goes on without any.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Server;
use super::loans::{TABLE, assert_is_the_table, changes, prepare, run_to_end};
use crate::running::Running;

#[test]
fn every_kind_of_change_comes_once_and_in_order() {
    let (server, folder) = (Server::start(), tempfile::tempdir().expect("a folder"));
    let here = folder.path();
    server.psql(TABLE);
    let long = "array_to_string(array(select md5((g * 7919 + n)::text) \
                from generate_series(1, 200) g), '')";
    let insert = |from: i64, to: i64| {
        format!(
            "insert into loans select n, 'l' || n % 3, 'current', n * 1.01, \
             date '2024-02-28' + n::int, timestamptz '2024-03-31 \
             01:30:00.123456+00' + n * interval '1 hour', \
             n % 2 = 0, array[n, n + 1], case when n % 4 = 0 then {long} when n % 4 = 1 then null \
             else 'Zürich \"' || n || E'\\\\\\n' end from generate_series({from}, {to}) n"
        )
    };
    server.psql(&insert(1, 400));
    // The catalog's columns; SCRAM, and TLS with the host's name verified.
    prepare(&server, here, "");
    let report = run_to_end(&server, here);
    assert_eq!(report["pipelines"][0]["rows_in"], 401, "{report:#}");
    assert_is_the_table(&server, here);

    for sql in [
        "update loans set balance = balance + 0.01, status = 'late' where loan_id % 3 = 0",
        "begin; update loans set lender = 'nobody'; delete from loans; rollback",
        "begin; delete from loans where loan_id = 5; \
         insert into loans (loan_id, lender, status) values (5, 'back', 'paid'); \
         update loans set balance = -1 where loan_id = 5; commit",
        "update loans set loan_id = loan_id + 1000 where loan_id between 21 and 40",
        "begin; savepoint a; update loans set lender = 'x' where loan_id = 50; rollback to a; \
         update loans set lender = 'y' where loan_id = 51; commit",
        "delete from loans where loan_id % 7 = 0",
        "update loans set balance = null, changed = null, is_open = null, opened = null, \
         marks = null where loan_id % 11 = 0",
        "insert into others select n, 'not ours' from generate_series(1, 100) n",
    ] {
        server.psql(sql);
    }
    // Interleaved: each waits for the other's first half.
    let mut first = server.psql_in_background(
        "begin; update loans set balance = 1 where loan_id = 60; select pg_sleep(0.4); \
         update loans set balance = 1 where loan_id = 61; commit",
    );
    let mut second = server.psql_in_background(
        "begin; select pg_sleep(0.2); update loans set balance = 2 where loan_id = 62; \
         select pg_sleep(0.4); update loans set balance = 2 where loan_id = 60; commit",
    );
    assert!(first.wait().expect("waited").success() && second.wait().expect("waited").success());
    run_to_end(&server, here);
    let rows = assert_is_the_table(&server, here);
    let unchanged = rows.iter().filter(|row| row["_unchanged"] == "note").count();
    assert!(unchanged > 20, "{unchanged} changes without their long note");
    // Under a new key the long note was asked for, but for a loan that was gone by then.
    let unsent: Vec<i64> = rows
        .iter()
        .filter(|row| row["_op"] == "c" && row["_unchanged"] == "note")
        .filter_map(|row| row["loan_id"].as_i64())
        .collect();
    assert_eq!(unsent, [1036]);
    assert!(rows.iter().any(|row| row["loan_id"] == 1024
        && row["note"].as_str().is_some_and(|note| note.len() == 6_400)));
    assert!(
        rows.iter().all(|row| row["lender"] != "nobody" && row["lender"] != "x"),
        "what was rolled back never happened"
    );
    // A deletion has its key alone.
    assert!(
        rows.iter()
            .filter(|row| row["_op"] == "d")
            .all(|row| row["lender"].is_null() && row["balance"].is_null())
    );

    // The server sends whole old rows, so that nothing is left out; the key is still the primary
    // key.
    server.psql("alter table loans replica identity full");
    server.psql(
        "update loans set balance = 7 where loan_id between 100 and 140; \
         update loans set loan_id = 5000 + loan_id where loan_id between 141 and 160; \
         delete from loans where loan_id = 161",
    );
    let before = rows.len();
    run_to_end(&server, here);
    let rows = assert_is_the_table(&server, here);
    assert!(
        rows.len() > before + 60 && rows[before..].iter().all(|row| row["_unchanged"].is_null())
    );
    assert!(
        rows[before..].iter().filter(|row| row["_op"] == "d").all(|row| row["lender"].is_null())
    );
    server.psql("alter table loans replica identity default");

    server.psql("truncate loans");
    server.psql(&insert(300, 350));
    run_to_end(&server, here);
    assert_is_the_table(&server, here);

    // A column that is added later is not the source's; one that is dropped is null.
    server.psql(
        "alter table loans add column extra text default 'more'; \
         update loans set balance = 3 where loan_id < 310",
    );
    let columns = concat!(
        r#"schema = { loan_id = "int64", lender = "string", status = "string", "#,
        r#"balance = "decimal(14,2)", opened = "date", changed = "timestamp", "#,
        r#"is_open = "boolean", marks = "string", note = "string" }"#
    );
    prepare(&server, here, columns);
    run_to_end(&server, here);
    assert_is_the_table(&server, here);
    server.psql(
        "alter table loans alter column balance type numeric(20,4); \
         update loans set balance = 1.2345 where loan_id = 301; \
         update loans set balance = 'NaN' where loan_id = 302",
    );
    let report = run_to_end(&server, here);
    assert_eq!(report["pipelines"][0]["dead"], 2, "{report:#}");
    server.psql(
        "update loans set balance = 4 where loan_id in (301, 302); \
         update loans set balance = round(balance, 2); \
         alter table loans alter column balance type numeric(14,2); \
         alter table loans drop column opened",
    );
    server.psql("insert into loans (loan_id, lender, status) values (1, 'without', 'paid')");
    run_to_end(&server, here);
    let rows = changes(&server, here);
    assert!(rows.iter().any(|row| row["lender"] == "without" && row["opened"].is_null()));
}

#[test]
fn killed_runs_and_a_server_that_goes_away_lose_nothing_and_repeat_nothing() {
    let (server, folder) = (Server::start(), tempfile::tempdir().expect("a folder"));
    let here = folder.path();
    server.psql(TABLE);
    server.psql(
        "insert into loans select n, 'l' || n % 3, 'current', n from generate_series(1, 20000) n",
    );
    prepare(&server, here, "");
    // Several clients change the table at once, in transactions of a thousand changes, so that
    // blocks end within a transaction.
    let work = |client: i64| {
        format!(
            "do $$ begin for i in 1..60 loop \
             update loans set balance = balance + 1 where loan_id % 10 = {client} \
             and loan_id <= 10000; \
             delete from loans where loan_id = {client} + i * 20; \
             insert into loans select 100000 + {client} * 1000 + i, 'new', 'late', i; \
             update loans set loan_id = loan_id + 1000000 \
             where loan_id = 10000 + {client} + i * 20; \
             if i % 5 = 0 then rollback; else commit; end if; end loop; end $$"
        )
    };
    let mut clients: Vec<Child> =
        (0..2).map(|client| server.psql_in_background(&work(client))).collect();
    let mut kills = 0;
    for round in 0..8_u64 {
        let mut run = server
            .command(here, &["run"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        std::thread::sleep(Duration::from_millis(150 + 137 * round % 900));
        assert!(run.try_wait().expect("a child").is_none(), "a run ended by itself");
        run.kill().expect("killed");
        run.wait().expect("waited");
        kills += 1;
    }
    for client in &mut clients {
        assert!(client.wait().expect("waited").success());
    }
    // The server dies under a run, which goes on when it is back.
    let mut run = server
        .command(here, &["run"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(Duration::from_millis(500));
    server.script(&["restart"]);
    server.psql("update loans set status = 'paid' where loan_id % 100 = 0");
    // Changes of another table let a slot without changes move on.
    server.psql("insert into others select n, 'more' from generate_series(1, 1000) n");
    let through = server.psql("select pg_current_wal_lsn()");
    let moved =
        format!("select confirmed_flush_lsn >= '{}' from pg_replication_slots", through.trim());
    let started = Instant::now();
    while server.psql(&moved).trim() != "t" {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the slot stays at {}",
            server.psql("select confirmed_flush_lsn from pg_replication_slots")
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(run.try_wait().expect("a child").is_none(), "the run ended with the server");
    run.kill().expect("killed");
    run.wait().expect("waited");
    run_to_end(&server, here);
    let rows = assert_is_the_table(&server, here);
    println!("{kills} kills, {} changes", rows.len());
}

/// What a lender's book is at the end of every second.
const EVERY_SECOND: &str = r#"
[[pipelines.loans.steps]]
id        = "now"
changelog = { key = "loan_id", operation = "_op", columns = ["lender"] }

[[pipelines.loans.steps]]
id        = "seconds"
aggregate = { n = "count(*)" }
by        = "lender"
windows   = ["always by 1s"]
results   = "final"

"#;

#[test]
fn windows_end_by_the_clock_though_nothing_changes() {
    let (server, folder) = (Server::start(), tempfile::tempdir().expect("a folder"));
    let here = folder.path();
    server.psql(TABLE);
    server.psql(
        "insert into loans select n, 'l' || n % 3, 'current', n from generate_series(1, 30) n",
    );
    prepare(&server, here, r#"event_time   = { column = "_committed_at", idle_after = "500ms" }"#);
    let file = here.join("pipelines.toml");
    let config = std::fs::read_to_string(&file).expect("written");
    let to = "[[pipelines.loans.to]]";
    std::fs::write(&file, config.replace(to, &format!("{EVERY_SECOND}{to}"))).expect("written");
    let run = server
        .command(here, &["run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut run = Running(run);
    let sql =
        "select count(distinct window_end) as ends, min(n) as least, max(n) as most from changes";
    let started = Instant::now();
    loop {
        // Before the first window the table is not there.
        let said = server.riskstream(here, &["query", sql, "--format", "ndjson"]);
        let row: Value = serde_json::from_str(said.out.trim()).unwrap_or_default();
        if row["ends"].as_i64().is_some_and(|ends| ends >= 4) {
            assert_eq!(
                (row["least"].as_i64(), row["most"].as_i64()),
                (Some(10), Some(10)),
                "{row}"
            );
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "no window ends: {}{}",
            said.out,
            said.err
        );
        assert!(run.0.try_wait().expect("it can be asked").is_none(), "the run has ended");
        std::thread::sleep(Duration::from_millis(300));
    }
}
