//! The PostgreSQL source against the real server: whatever happens to the table, to the server and
//! to us, the changes folded by key are the table.
//!
//! The server is Debian's, started by `examples/servers/postgres.sh`; without the package the tests
//! fail and say so.

mod sign_on;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Running, Said, project};

/// A server of a test's own, gone with it.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // The server may run as another user, who must get at its folder.
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .expect("the folder is ours");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a free port")
            .port();
        let server = Self { folder, port };
        server.script(&["start", &port.to_string()]);
        server
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    fn script(&self, args: &[&str]) -> String {
        let said = Command::new(project("examples/servers/postgres.sh"))
            .args(args)
            .env("POSTGRES_STATE", self.state())
            .env("POSTGRES_FSYNC", "off")
            .stdin(Stdio::null())
            .output()
            .expect("the script starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            said.status.success(),
            "postgres.sh {args:?}: {}{}",
            text(&said.stdout),
            text(&said.stderr)
        );
        text(&said.stdout)
    }

    /// Runs SQL; gives its rows as text.
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.script(&["psql", "-qtA", "-c", sql])
    }

    /// The same as the superuser.
    fn admin(&self, sql: &str) {
        self.script(&["admin", "-qtA", "-c", sql]);
    }

    /// Runs a file of SQL, statement by statement.
    pub(crate) fn psql_file(&self, path: &Path) {
        self.script(&["psql", "-q", "-f", path.to_str().expect("UTF-8")]);
    }

    fn psql_in_background(&self, sql: &str) -> Child {
        Command::new(project("examples/servers/postgres.sh"))
            .args(["psql", "-qtA", "-v", "ON_ERROR_STOP=0", "-c", sql])
            .env("POSTGRES_STATE", self.state())
            .stdout(Stdio::null())
            .spawn()
            .expect("the script starts")
    }

    /// The setting that points a source at this server.
    pub(crate) fn url_of(&self, source: &str) -> String {
        format!("sources.{source}.url=postgresql://riskstream@localhost:{}/loans", self.port)
    }

    fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riskstream"));
        command.args(args).current_dir(folder).env("LOANS_PASSWORD", "riskstream");
        command
    }

    pub(crate) fn riskstream(&self, folder: &Path, args: &[&str]) -> Said {
        let said = self.command(folder, args).output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
        Said {
            code: said.status.code().unwrap_or(-1),
            out: text(said.stdout),
            err: text(said.stderr),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = Command::new(project("examples/servers/postgres.sh"))
            .arg("stop")
            .env("POSTGRES_STATE", self.state())
            .output();
        if let Err(e) = stopped {
            eprintln!("the server was not stopped: {e}");
        }
    }
}

const TABLE: &str = "create type loan_status as enum ('current', 'late', 'paid'); \
                     create table loans (loan_id bigint primary key, lender text not null, \
                     status loan_status not null, balance numeric(14,2), opened date, \
                     changed timestamptz, is_open boolean, marks int[], note text); \
                     alter table loans alter column note set storage external; \
                     create table others (id bigint primary key, what text)";

/// `to`: TLS or not; `more`: lines of the source.
fn prepare(server: &Server, folder: &Path, more: &str) {
    let (port, root) = (server.port, server.state().join("ca.crt"));
    let config = format!(
        r#"
[riskstream]
name  = "acme"
epoch = {{ min = "1ms", max = "50ms" }}

[sources.loans]
kind         = "postgres"
url          = "postgresql://riskstream@localhost:{port}/loans?sslmode=verify-full&sslrootcert={}"
password_env = "LOANS_PASSWORD"
table        = "public.loans"
slot         = "test_loans"
heartbeat    = "200ms"
{more}

[pipelines.loans]
from  = "loans"
order = "arrival"

[[pipelines.loans.to]]
id           = "changes"
kind         = "delta"
table        = "changes"
partition_by = []
"#,
        root.display()
    );
    std::fs::write(folder.join("pipelines.toml"), config).expect("written");
}

fn run_to_end(server: &Server, folder: &Path) -> Value {
    server
        .riskstream(folder, &["run", "--set", "sources.loans.stop=end", "--format", "json"])
        .json()
}

/// All changes, in their order: a truncation and a deletion stand before what has the same
/// position.
fn changes(server: &Server, folder: &Path) -> Vec<Value> {
    let sql = "select _op, _unchanged, _commit_position, _position, loan_id, lender, status, \
               cast(balance as varchar) as balance, \
               cast(opened as varchar) as opened, cast(changed as bigint) as changed, is_open, \
               marks, note from changes \
               order by _commit_position, _position, case _op when 't' then 0 when 'd' then 1 else \
               2 end";
    let rows = server.riskstream(folder, &["query", sql, "--format", "json"]).rows();
    let ids: BTreeSet<String> = rows
        .iter()
        .map(|row| {
            ["_commit_position", "_position", "_op", "loan_id"]
                .map(|c| row[c].to_string())
                .join(" ")
        })
        .collect();
    assert_eq!(ids.len(), rows.len(), "no change came twice");
    rows
}

const COLUMNS: [&str; 9] =
    ["loan_id", "lender", "status", "balance", "opened", "changed", "is_open", "marks", "note"];

/// The table that the changes make, by key.
fn folded(rows: &[Value]) -> BTreeMap<i64, Value> {
    let mut table: BTreeMap<i64, Value> = BTreeMap::new();
    let mut deleted = Value::Null;
    for row in rows {
        let key = row["loan_id"].as_i64();
        match (row["_op"].as_str().expect("an operation"), key) {
            ("t", None) => table.clear(),
            ("d", Some(key)) => deleted = table.remove(&key).expect("what is deleted was there"),
            (op, Some(key)) => {
                // Under a new key the row is what it was under the old one.
                let before = table
                    .remove(&key)
                    .unwrap_or_else(|| if op == "c" { deleted.clone() } else { Value::Null });
                let unchanged: Vec<&str> = row["_unchanged"]
                    .as_str()
                    .map(|names| names.split(',').collect())
                    .unwrap_or_default();
                let value = |column: &str| {
                    if unchanged.contains(&column) {
                        before[column].clone()
                    } else {
                        row[column].clone()
                    }
                };
                table.insert(
                    key,
                    COLUMNS
                        .iter()
                        .map(|c| ((*c).to_owned(), value(c)))
                        .collect::<serde_json::Map<_, _>>()
                        .into(),
                );
            }
            other => panic!("{other:?}"),
        }
    }
    table
}

#[track_caller]
fn assert_is_the_table(server: &Server, folder: &Path) -> Vec<Value> {
    let rows = changes(server, folder);
    let found = folded(&rows);
    let sql = "select json_build_object('loan_id', loan_id, 'lender', lender, 'status', status, \
               'balance', balance::text, 'opened', opened::text, \
               'changed', (extract(epoch from changed) * 1000000)::bigint, 'is_open', is_open, \
               'marks', marks::text, 'note', note) from loans";
    let expected: BTreeMap<i64, Value> = server
        .psql(sql)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|row| (row["loan_id"].as_i64().expect("a key"), row))
        .collect();
    for (key, row) in &expected {
        assert_eq!(found.get(key).unwrap_or(&json!("missing")), row, "loan {key}");
    }
    assert_eq!(found.len(), expected.len(), "loans that should be gone");
    rows
}

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

    // Whole old rows, so that nothing is left out; the key is still the primary key.
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

    // What comes to the table later is not the source's; what goes is null.
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
    // Several at once, with transactions of a thousand changes, so that blocks end within them.
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
        let said = server.riskstream(here, &["query", sql, "--format", "json"]);
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

/// A table with its own pipeline: what it is by its changes.
struct Book<'a> {
    server: &'a Server,
    folder: TempDir,
}

impl<'a> Book<'a> {
    /// `setup` makes the table `name` with the columns `id` and `bal` and whatever else; `more`:
    /// lines of the source.
    fn new(server: &'a Server, name: &str, setup: &str, more: &str) -> Self {
        server.psql(setup);
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            r#"
[riskstream]
name  = "acme"
epoch = {{ min = "1ms", max = "50ms" }}

[sources.s]
kind         = "postgres"
url          = "postgresql://riskstream@localhost:{}/loans"
password_env = "LOANS_PASSWORD"
table        = "public.{name}"
slot         = "book_{name}"
heartbeat    = "1s"
{more}

[pipelines.p]
from  = "s"
order = "arrival"

[[pipelines.p.steps]]
id        = "now"
changelog = {{ key = "id", operation = "_op" }}

[[pipelines.p.to]]
id           = "t"
kind         = "delta"
table        = "t"
partition_by = []
"#,
            server.port
        );
        std::fs::write(folder.path().join("pipelines.toml"), config).expect("written");
        Self { server, folder }
    }

    fn run(&self) -> Said {
        self.server.riskstream(self.folder.path(), &["run", "--set", "sources.s.stop=end"])
    }

    /// `id:bal` of every row, as the changes make it.
    fn rows(&self) -> String {
        let sql = "select string_agg(concat(id, ':', bal), ' ' order by id, bal) as rows from \
                   (select id, bal, sum(_diff) as n from t group by id, bal \
                   having sum(_diff) <> 0)";
        let said = self.server.riskstream(self.folder.path(), &["query", sql, "--format", "json"]);
        let rows = said.rows();
        rows[0]["rows"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn wait_for(&self, run: &mut Running, rows: &str) {
        let started = Instant::now();
        while self.rows() != rows {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{} instead of {rows}",
                self.rows()
            );
            assert!(run.0.try_wait().expect("it can be asked").is_none(), "the run has ended");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn what_shows_less_than_all_of_a_table_is_refused_with_advice_that_works() {
    let server = Server::start();
    // Kinds of changes that are not published.
    let table = |name: &str| {
        format!(
            "create table {name} (id int primary key, bal int, region text); \
             insert into {name} values (1, 100, 'eu'), (2, 200, 'us')"
        )
    };
    let setup = format!(
        "{}; create publication pub_ca for table ca with (publish = 'insert')",
        table("ca")
    );
    let book = Book::new(&server, "ca", &setup, "publication = \"pub_ca\"");
    let said = book.run().failed();
    assert!(said.contains("it leaves out update, delete, truncate"), "{said}");
    server.psql("alter publication \"pub_ca\" set (publish = 'insert, update, delete, truncate')");
    book.run().ok();
    server.psql(
        "update ca set bal = 0 where id = 1; delete from ca where id = 2; \
         insert into ca values (3, 300)",
    );
    book.run().ok();
    assert_eq!(book.rows(), "1:0 3:300");
    // Changed to less and back while nobody looked: what was not sent is read.
    server.psql(
        "alter publication pub_ca set (publish = 'insert'); update ca set bal = 7 where id = 1; \
         delete from ca where id = 3",
    );
    server.psql("alter publication pub_ca set (publish = 'insert, update, delete, truncate')");
    book.run().ok();
    assert_eq!(book.rows(), "1:7");
    server.psql(
        "alter publication pub_ca drop table ca; update ca set bal = 8 where id = 1; \
         alter publication pub_ca add table ca",
    );
    book.run().ok();
    assert_eq!(book.rows(), "1:8");

    // Columns that are not.
    let setup = format!("{}; create publication pub_cb for table cb (id, bal)", table("cb"));
    let book = Book::new(&server, "cb", &setup, "publication = \"pub_cb\"");
    let said = book.run().failed();
    assert!(said.contains("leaves out columns of the table: region"), "{said}");
    let advice = said
        .split("let its owner run: ")
        .nth(1)
        .and_then(|rest| rest.lines().next())
        .expect("advice")
        .to_owned();
    server.psql(&advice);
    book.run().ok();
    server.psql("update cb set bal = 1 where id = 1");
    book.run().ok();
    assert_eq!(book.rows(), "1:1 2:200");

    // Rows that the user may not see.
    server.admin(&format!(
        "{}; grant select on cc to riskstream; alter table cc enable row level security; \
         create policy mine on cc using (id = 1); \
         create publication pub_cc for table cc",
        table("cc")
    ));
    let book = Book::new(&server, "cc", "select 1", "publication = \"pub_cc\"");
    let said = book.run().failed();
    assert!(
        said.contains("row-level security") && said.contains("alter role \"riskstream\" bypassrls"),
        "{said}"
    );
    server.admin("alter role \"riskstream\" bypassrls");
    book.run().ok();
    assert_eq!(book.rows(), "1:100 2:200");

    // A partitioned table whose partitions are published as themselves.
    let setup = "create table pay (id bigint, at date not null, bal int, primary key (id, at)) \
                 partition by range (at); \
                 create table pay_2024 partition of pay for values \
                 from ('2024-01-01') to ('2025-01-01'); \
                 create table pay_2025 partition of pay for values \
                 from ('2025-01-01') to ('2026-01-01'); \
                 insert into pay values (1, '2024-05-01', 1), (2, '2025-05-01', 2); \
                 create publication pub_pay for table pay";
    let book = Book::new(&server, "pay", setup, "publication = \"pub_pay\"");
    let said = book.run().failed();
    assert!(
        said.contains("alter publication \"pub_pay\" set (publish_via_partition_root = true)"),
        "{said}"
    );
    server.psql("alter publication \"pub_pay\" set (publish_via_partition_root = true)");
    book.run().ok();
    assert_eq!(book.rows(), "1:1 2:2");
    let leaf = Book::new(&server, "pay_2024", "select 1", "publication = \"pub_pay\"");
    let said = leaf.run().failed();
    assert!(said.contains("as those of public.pay, of which it is a partition"), "{said}");

    // A column that the server makes itself.
    let setup = "create table ce (id int primary key, bal int, twice int generated always as \
                 (bal * 2) stored)";
    let book = Book::new(
        &server,
        "ce",
        setup,
        r#"schema = { id = "int32", bal = "int32", twice = "int32" }"#,
    );
    let said = book.run().failed();
    assert!(said.contains("the column twice is generated by the server"), "{said}");
}

#[test]
fn a_table_that_is_made_anew_is_read_anew() {
    let server = Server::start();
    let setup =
        "create table ra (id int primary key, bal int); insert into ra values (1, 100), (2, 200)";
    let again = |name: &str| {
        format!(
            "drop table {name}; create table {name} (id int primary key, bal int); \
             insert into {name} values (8, 8), (9, 9)"
        )
    };
    // In a publication of its own, which it leaves with the old table.
    let book = Book::new(&server, "ra", setup, "");
    book.run().ok();
    assert_eq!(book.rows(), "1:100 2:200");
    server.psql(&again("ra"));
    let said = book.run().failed();
    let advice = "alter publication \"book_ra\" add table only \"public\".\"ra\"";
    assert!(said.contains(advice), "{said}");
    server.psql(&format!("{advice}; insert into ra values (10, 10)"));
    book.run().ok();
    assert_eq!(book.rows(), "8:8 9:9 10:10");
    server.psql("update ra set bal = 11 where id = 10");
    book.run().ok();
    assert_eq!(book.rows(), "8:8 9:9 10:11");

    // In one of all tables, between runs.
    server.admin("create publication everything for all tables");
    let setup =
        "create table rb (id int primary key, bal int); insert into rb values (1, 100), (2, 200)";
    let book = Book::new(&server, "rb", setup, "publication = \"everything\"");
    book.run().ok();
    server.psql(&again("rb"));
    book.run().ok();
    assert_eq!(book.rows(), "8:8 9:9");
    // And under a run: with changes that show it, and without any.
    let run = server
        .command(book.folder.path(), &["run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut run = Running(run);
    server.psql("insert into rb values (1, 1)");
    book.wait_for(&mut run, "1:1 8:8 9:9");
    server.psql(
        "begin; drop table rb; create table rb (id int primary key, bal int); \
         insert into rb values (5, 5); commit",
    );
    book.wait_for(&mut run, "5:5");
    server.psql("begin; drop table rb; create table rb (id int primary key, bal int); commit");
    book.wait_for(&mut run, "");
    server.psql("insert into rb values (6, 6)");
    book.wait_for(&mut run, "6:6");
}

#[test]
fn a_pipeline_that_begins_anew_has_its_slot_made_anew() {
    let server = Server::start();
    let setup = "create table fresh (id int primary key, bal int); \
                 insert into fresh values (1, 100), (2, 200)";
    let book = Book::new(&server, "fresh", setup, "");
    book.run().ok();
    let anew = |sets: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
        let fresh =
            ["run", "--set", "sources.s.stop=end", "--fresh", "p", "--tables", "empty", "--yes"];
        server.riskstream(book.folder.path(), &[&fresh[..], &sets].concat())
    };
    server.psql("delete from fresh where id = 1; insert into fresh values (3, 300)");
    let said = anew(&[]);
    assert!(
        said.err.contains("the replication slot book_fresh is made anew on the server"),
        "{}",
        said.err
    );
    said.ok();
    let raw = server
        .riskstream(
            book.folder.path(),
            &["query", "select count(*) as n from t", "--format", "json"],
        )
        .rows();
    assert_eq!(
        (book.rows().as_str(), raw[0]["n"].as_i64()),
        ("2:200 3:300", Some(2)),
        "emptied, and read once"
    );
    // It goes on as any other; also where the slot is gone, or was moved by somebody else.
    server.psql("update fresh set bal = 201 where id = 2");
    book.run().ok();
    assert_eq!(book.rows(), "2:201 3:300");
    for lost in [
        "select pg_drop_replication_slot('book_fresh')",
        "select pg_replication_slot_advance('book_fresh', pg_current_wal_lsn())",
    ] {
        server.psql("update fresh set bal = bal + 1");
        server.psql(lost);
        assert!(book.run().failed().contains("riskstream run --fresh"), "{lost}");
        anew(&[]).ok();
    }
    assert_eq!(book.rows(), "2:203 3:302");
    // Under another name it is another one, and the old one is the user's to drop.
    let said = anew(&["sources.s.slot=another"]);
    assert!(said.err.contains("select pg_drop_replication_slot('book_fresh')"), "{}", said.err);
    said.ok();
    assert_eq!(book.rows(), "2:203 3:302");
    let slots = server
        .psql("select string_agg(slot_name, ' ' order by slot_name) from pg_replication_slots");
    assert_eq!(slots.trim(), "another book_fresh");
}

#[test]
fn values_that_only_the_database_can_hold_never_leave_the_book_old() {
    let server = Server::start();
    let setup = "create table inf (id int primary key, bal int, valid_until timestamptz, day date, \
                 amount numeric(12,2)); \
                 insert into inf values (1, 100, '2027-01-01'), (2, 200, '2027-01-01')";
    let book = Book::new(&server, "inf", setup, "");
    book.run().ok();
    server.psql(
        "update inf set bal = 0, valid_until = 'infinity', day = '-infinity', amount = 'NaN' \
         where id = 1; update inf set bal = 3, day = '0044-03-15 BC' where id = 2",
    );
    book.run().ok();
    assert_eq!(book.rows(), "1:0 2:3");
    let dead = server
        .riskstream(
            book.folder.path(),
            &[
                "query",
                "select count(*) as n from dead_letters where reason = 'beyond'",
                "--format",
                "json",
            ],
        )
        .rows();
    assert_eq!(dead[0]["n"], 4);
}
