//! Every file in examples/ does what its comments say, and so does pipelines.toml.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres::Server;
use crate::program::{example, project, riskstream, trained};

fn count(folder: &Path, config: &str, sql: &str) -> i64 {
    riskstream(folder, &["query", sql, "--config", config, "--format", "json"]).rows()[0]["n"]
        .as_i64()
        .unwrap()
}

fn payments() -> String {
    trained().join("payments.csv").to_str().unwrap().to_owned()
}

fn lines(path: &str) -> i64 {
    fs::read_to_string(path).unwrap().lines().count() as i64 - 1
}

#[test]
fn every_example_is_tested_here() {
    let tested = concat!(include_str!("examples.rs"), include_str!("kafka/shipped.rs"));
    for entry in fs::read_dir(project("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // Beside the examples stand the scripts that start what some of them read, and files as
        // banks write them, which banks.rs tests.
        if name == "servers" || name == "banks" {
            continue;
        }
        assert!(tested.contains(&format!("example(\"{name}\")")), "{name}");
    }
}

#[test]
fn card_fraud_file_scores_every_payment_and_raises_alerts_once() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("card-fraud-file.toml"));
    let here = folder.path();
    let registry = format!("riskstream.registry={}", trained().join("registry").display());
    let path = format!("sources.payments.path={}", payments());
    let run = || {
        riskstream(here, &["run", &config, "--set", &path, "--set", &registry, "--format", "json"])
            .json()
    };
    let report = run();
    let rows = lines(&payments());
    assert_eq!(report["pipelines"][0]["rows_in"], rows, "{report:#}");
    assert_eq!(count(here, &config, "select count(*) as n from payments_scored"), rows);
    let alerts = count(here, &config, "select count(*) as n from alerts");
    assert!(alerts > 0 && alerts < rows, "{alerts} alerts");
    assert_eq!(count(here, &config, "select count(distinct alert_id) as n from alerts"), alerts);
    assert_eq!(
        count(
            here,
            &config,
            "select count(*) as n from payments_scored where decision <> 'approve'"
        ),
        alerts
    );
    assert_eq!(
        count(
            here,
            &config,
            "select count(*) as n from payments_scored where customer_nb_tx_1d < 1 \
             or terminal_risk_7d is null"
        ),
        0
    );
    // A second run finds nothing new.
    assert_eq!(run()["pipelines"][0]["rows_in"], 0);
    assert_eq!(count(here, &config, "select count(*) as n from alerts"), alerts);
}

#[test]
fn loans_postgres_reads_the_table_and_its_changes() {
    let server = Server::start();
    server.psql_file(&project("examples/servers/loans.sql"));
    let (folder, config) = (tempfile::tempdir().unwrap(), example("loans-postgres.toml"));
    let here = folder.path();
    let sets = [
        "--set".to_owned(),
        server.url_of("loans"),
        "--set".into(),
        "sources.loans.stop=end".into(),
    ];
    let args: Vec<&str> = ["run", &config, "--format", "json"]
        .into_iter()
        .chain(sets.iter().map(String::as_str))
        .collect();
    let report = server.riskstream(here, &args).json();
    assert_eq!(
        report["pipelines"][0]["rows_in"], 991,
        "the table as it is, and a truncation before it: {report:#}"
    );
    server.psql(
        "update loans set balance = balance + 1 where loan_id < 100; \
         delete from loans where lender_id = 'lender-9'",
    );
    server.riskstream(here, &args).ok();
    let n = |op: &str| {
        count(here, &config, &format!("select count(*) as n from loan_changes where _op = '{op}'"))
    };
    let left: i64 = server.psql("select count(*) from loans").trim().parse().unwrap();
    assert_eq!((n("r"), n("t"), n("r") - n("d")), (990, 1, left));
    assert!(n("u") > 80, "{}", n("u"));
}

#[test]
fn csv_to_delta_lands_good_rows_keeps_bad_ones_and_takes_them_in_after_a_fix() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("csv-to-delta.toml"));
    let here = folder.path();
    let loans = "loan_id;opened;customer_id;principal;rate\na;03.01.2024;c1;1000.00;0.05\n\
                 b;04.01.2024;c2;-5;0.05\nc;05.01.2024;c3;2000.00;1.5\nd;2024-01-06;c4;1.00;0.1\n\
                 e;07.01.2024;c5;x;0.1\n";
    fs::write(here.join("loans.csv"), loans).unwrap();
    let report = riskstream(here, &["run", &config, "--format", "json"]).json();
    assert_eq!(report["pipelines"][0]["dead"], 4, "{report:#}");
    assert_eq!(
        count(
            here,
            &config,
            "select count(*) as n from loans where loan_id = 'a' and yearly_interest = 50 \
             and year_opened = 2024"
        ),
        1
    );
    // A rate may be in percent too.
    let fix = "sources.loans.checks=[\"principal > 0\", \"rate between 0 and 100\"]";
    let replayed = riskstream(here, &["replay", &config, "--set", fix, "--format", "json"]).json();
    assert_eq!(
        (&replayed["replayed"][0]["taken"], &replayed["replayed"][0]["dead_again"]),
        (&4.into(), &3.into()),
        "{replayed:#}"
    );
    assert_eq!(count(here, &config, "select count(*) as n from loans"), 2);
}

#[test]
fn loans_file_counts_transitions_per_lender_and_restates_windows_when_more_rows_come() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("loans-file.toml"));
    let here = folder.path();
    let header = "event_seq,event_time,loan_id,lender_id,old_status,new_status,balance_cents\n";
    let first = "1,2024-03-01 09:00:00,a,north,,CURRENT,10000\n\
                 2,2024-03-01 10:00:00,b,north,,CURRENT,5000\n\
                 3,2024-03-02 10:00:00,a,north,CURRENT,DPD30,9000\n\
                 4,2024-03-02 11:00:00,b,north,CURRENT,CURRENT,4000\n";
    fs::write(here.join("loan-events.csv"), format!("{header}{first}")).unwrap();
    let run = |files: &str| {
        riskstream(
            here,
            &["run", &config, "--set", &format!("sources.loans.path={files}"), "--format", "json"],
        )
        .json()
    };
    assert_eq!(run("[\"loan-events.csv\"]")["pipelines"][0]["rows_in"], 4);
    let newest = |label: &str, start: &str, to: &str| {
        let sql = format!(
            "select n_events, sum_balance_cents, is_final from loan_transitions \
             where lender_id = 'north' and new_status = '{to}' \
             and \"window\" = '{label}' and window_start = timestamp '{start}' \
             order by revision desc limit 1"
        );
        let rows =
            riskstream(here, &["query", &sql, "--config", &config, "--format", "json"]).rows();
        rows.first().map(|r| {
            (
                r["n_events"].as_i64().unwrap(),
                r["sum_balance_cents"].as_i64().unwrap(),
                r["is_final"].as_bool().unwrap(),
            )
        })
    };
    let book = |as_of: &str| {
        let sql = format!(
            "select n_loans_open, outstanding_balance_cents, n_dpd30 from portfolio \
             where lender_id = 'north' and as_of = timestamp '{as_of}' \
             order by revision desc limit 1"
        );
        let rows =
            riskstream(here, &["query", &sql, "--config", &config, "--format", "json"]).rows();
        let number = |name: &str| rows[0][name].as_i64().unwrap();
        (number("n_loans_open"), number("outstanding_balance_cents"), number("n_dpd30"))
    };
    assert_eq!(
        (book("2024-03-02 00:00:00"), book("2024-03-03 00:00:00")),
        ((2, 15_000, 0), (2, 13_000, 1))
    );
    assert_eq!(
        newest("1d", "2024-03-01 00:00:00", "CURRENT"),
        Some((2, 15_000, true)),
        "the day is over; the unchanged status does not count"
    );
    assert_eq!(
        newest("1d", "2024-03-02 00:00:00", "DPD30"),
        Some((1, 9_000, false)),
        "the input ended within the day"
    );
    assert_eq!(
        newest("30d by 1d", "2024-02-02 00:00:00", "DPD30"),
        Some((1, 9_000, false)),
        "30 days up to and with the 2nd of March"
    );
    assert_eq!(newest("30d by 1d", "2024-02-01 00:00:00", "DPD30"), None);
    // A loan of the 1st that comes late, and one that ends the 2nd.
    let more =
        "5,2024-03-01 12:00:00,c,north,,CURRENT,1\n6,2024-03-05 12:00:00,d,north,,CURRENT,2\n";
    fs::write(here.join("more.csv"), format!("{header}{more}")).unwrap();
    assert_eq!(run("[\"loan-events.csv\", \"more.csv\"]")["pipelines"][0]["rows_in"], 2);
    assert_eq!(newest("1d", "2024-03-01 00:00:00", "CURRENT"), Some((3, 15_001, true)), "restated");
    assert_eq!(newest("1d", "2024-03-02 00:00:00", "DPD30"), Some((1, 9_000, true)));
    let days = ["2024-03-02 00:00:00", "2024-03-03 00:00:00", "2024-03-05 00:00:00"].map(book);
    assert_eq!(
        days,
        [(3, 15_001, 0), (3, 13_001, 1), (3, 13_001, 1)],
        "the loan that came late counts from its own day on"
    );
}

#[test]
fn loan_roll_rates_move_by_themselves_and_are_restated_by_a_late_change() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("loan-roll-rates.toml"));
    let here = folder.path();
    let header = "change_id,changed_at,loan_id,lender_id,originated,unpaid_since,status,\
                  balance_cents,is_closed\n";
    // Loan a is paid; b misses its payment of the 1st of February and nothing more is heard of it;
    // c is of another lender.
    let first = "1,2024-01-10 09:00:00,a,north,2024-01-10 00:00:00,,CURRENT,10000,false\n\
        2,2024-01-12 09:00:00,b,north,2024-01-12 00:00:00,,CURRENT,30000,false\n\
        3,2024-01-20 09:00:00,c,south,2024-01-20 00:00:00,,CURRENT,5000,false\n\
        4,2024-02-02 09:00:00,b,north,2024-01-12 00:00:00,2024-02-01 00:00:00,DPD30,30000,false\n\
        5,2024-04-15 09:00:00,a,north,2024-01-10 00:00:00,,CURRENT,8000,false\n";
    fs::write(here.join("loan-changes.csv"), format!("{header}{first}")).unwrap();
    let run = |files: &str| {
        riskstream(
            here,
            &["run", &config, "--set", &format!("sources.loans.path={files}"), "--format", "json"],
        )
        .json()
    };
    run("[\"loan-changes.csv\"]");
    let rate = |lender: &str, month: &str, from: &str, to: &str| {
        let sql = format!(
            "select n_loans, n_from, roll_rate, roll_rate_balance from roll_rates \
             where lender_id = '{lender}' and from_bucket = '{from}' \
             and bucket = '{to}' and month = timestamp '{month}-01 00:00:00' \
             order by revision desc limit 1"
        );
        let rows =
            riskstream(here, &["query", &sql, "--config", &config, "--format", "json"]).rows();
        rows.first().map(|r| {
            (
                r["n_loans"].as_i64().unwrap(),
                r["n_from"].as_i64().unwrap(),
                r["roll_rate"].as_f64().unwrap(),
                r["roll_rate_balance"].as_f64(),
            )
        })
    };
    // From the end of January to that of February.
    assert_eq!(rate("north", "2024-02", "CURRENT", "DPD30"), Some((1, 2, 0.5, Some(0.75))));
    assert_eq!(rate("north", "2024-02", "CURRENT", "CURRENT"), Some((1, 2, 0.5, Some(0.25))));
    assert_eq!(
        rate("ALL", "2024-02", "CURRENT", "CURRENT"),
        Some((2, 3, 2.0 / 3.0, Some(15.0 / 45.0)))
    );
    assert_eq!(
        rate("north", "2024-03", "DPD30", "DPD60"),
        Some((1, 1, 1.0, Some(1.0))),
        "it gets later by itself"
    );
    let vintage = |month: i64| {
        let sql = format!(
            "select n_loans, n_ever_30p, balance_cents from vintages where month_on_book = {month} \
             order by revision desc limit 1"
        );
        let rows =
            riskstream(here, &["query", &sql, "--config", &config, "--format", "json"]).rows();
        rows.first().map(|r| {
            (
                r["n_loans"].as_i64().unwrap(),
                r["n_ever_30p"].as_i64().unwrap(),
                r["balance_cents"].as_i64().unwrap(),
            )
        })
    };
    assert_eq!(
        [1, 2, 3, 4].map(vintage),
        [Some((3, 0, 45_000)), Some((3, 1, 45_000)), Some((3, 1, 45_000)), None],
        "April is not over"
    );
    // It turns out that b had paid in February.
    fs::write(
        here.join("more.csv"),
        format!("{header}6,2024-02-20 09:00:00,b,north,2024-01-12 00:00:00,,CURRENT,29000,false\n"),
    )
    .unwrap();
    run("[\"loan-changes.csv\", \"more.csv\"]");
    assert_eq!(
        rate("north", "2024-02", "CURRENT", "CURRENT"),
        Some((2, 2, 1.0, Some(1.0))),
        "restated"
    );
    assert_eq!(rate("north", "2024-02", "CURRENT", "DPD30").map(|r| (r.0, r.2)), Some((0, 0.0)));
    assert_eq!(vintage(2), Some((3, 1, 44_000)), "it was late once all the same");
    assert_eq!(count(here, &config, "select count(*) as n from roll_rate_breaks"), 0);
}

#[test]
fn loan_performance_says_how_a_book_is_paid_back_and_how_scores_moved() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("loan-performance.toml"));
    let here = folder.path();
    let sets =
        ["--set", "sources.loan-changes.loans=600", "--set", "sources.loan-changes.months=7"];
    riskstream(here, &[&["run", config.as_str()][..], &sets].concat()).ok();
    // The first of seven months has none before it, and of the last two the ends are not over when
    // the input ends.
    assert_eq!(
        count(here, &config, "select count(distinct month) as n from performance where is_final"),
        4
    );
    let wrong = "select count(*) as n from performance where smm not between 0 and 1 or cpr < smm \
                 or cdr < mdr or n_cured > n_late \
                 or scheduled_cents > start_balance_cents or defaulted_cents > start_balance_cents \
                 or (n_defaults = 0 and mdr > 0)";
    assert_eq!(count(here, &config, wrong), 0);
    assert_eq!(count(here, &config, "select count(*) as n from performance_breaks"), 0);
    let prepaid = count(
        here,
        &config,
        "select cast(count(*) filter (where cpr > 0) > 0 and sum(n_cured) > 0 as int) as n \
         from performance",
    );
    assert_eq!(prepaid, 1, "somebody prepays, and somebody is cured");
    let newest = "(select *, row_number() over (partition by lender_id, month, \
                  band_at_origination, band order by revision desc) as age from score_shift)";
    let of_one = format!(
        "select count(*) as n from (select sum(share) as one, sum(n_loans) as loans, \
         max(n_of_band) as of_band from {newest} \
         where age = 1 and n_loans > 0 group by lender_id, month, band_at_origination) \
         where abs(one - 1) > 1e-9 or loans <> of_band"
    );
    assert_eq!(count(here, &config, &of_one), 0, "a band's loans are somewhere now");
    let lenders = format!(
        "select sum(case when lender_id = 'ALL' then n_loans else -n_loans end) as n from {newest} \
         where age = 1 and month < timestamp '2023-06-01'"
    );
    assert_eq!(count(here, &config, &lenders), 0, "all is the sum of the lenders");
}

#[test]
fn features_only_needs_no_schema_and_no_model() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("features-only.toml"));
    let here = folder.path();
    riskstream(
        here,
        &[
            "generate",
            "--out",
            "payments.csv",
            "--customers",
            "20",
            "--terminals",
            "30",
            "--rows",
            "2000",
        ],
    )
    .ok();
    riskstream(here, &["run", &config]).ok();
    assert_eq!(count(here, &config, "select count(*) as n from payment_features"), 2000);
    let wrong = "select count(*) as n from payment_features \
                 where nb_1h > nb_1d or least_30d > mean_30d or mean_30d > most_30d \
                 or terminals_30d > nb_30d or visits_30d > nb_30d or (nb_30d > 1 \
                 and seconds_since is null)";
    assert_eq!(count(here, &config, wrong), 0);
}

#[test]
fn late_data_is_applied_and_flagged_or_a_dead_letter() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("late-data.toml"));
    let here = folder.path();
    let mut events = String::from("id,at,account,amount\n");
    // Many epochs of a thousand rows.
    for id in 0..80_000 {
        // Every hundredth row is two hours late.
        let second = if id % 100 == 99 && id > 7200 { id - 7200 } else { id };
        let (day, hour) = (1 + second / 86_400, second / 3600 % 24);
        events.push_str(&format!(
            "{id},2024-01-{day:02}T{hour:02}:{:02}:{:02}Z,a{},1.00\n",
            second / 60 % 60,
            second % 60,
            id % 7
        ));
    }
    fs::write(here.join("events.csv"), events).unwrap();
    let report = riskstream(here, &["run", &config, "--format", "json"]).json();
    let of = |name: &str| {
        report["pipelines"].as_array().unwrap().iter().find(|p| p["pipeline"] == name).unwrap()
    };
    assert_eq!(count(here, &config, "select count(*) as n from applied"), 80_000);
    let late = count(here, &config, "select count(*) as n from applied where _late");
    assert!(late > 0 && late <= 800 && of("applied")["late"] == late, "{late}: {report:#}");
    // Epochs are about as long as the configuration says, although a text file is read in far
    // larger blocks.
    assert!(
        of("applied")["committed_epoch"].as_u64().is_some_and(|epochs| epochs > 40),
        "{report:#}"
    );
    let dead = count(
        here,
        &config,
        "select count(*) as n from dead_letters where reason = 'late' and pipeline = 'strict'",
    );
    assert!(dead > 0 && of("strict")["dead"] == dead, "{dead}: {report:#}");
    assert_eq!(count(here, &config, "select count(*) as n from strict") + dead, 80_000);
}

#[test]
fn many_files_give_the_table_that_one_file_gives() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("many-files.toml"));
    let here = folder.path();
    riskstream(
        here,
        &[
            "generate",
            "--out",
            "all.csv",
            "--customers",
            "20",
            "--terminals",
            "30",
            "--rows",
            "3000",
        ],
    )
    .ok();
    let all = fs::read_to_string(here.join("all.csv")).unwrap();
    let (header, rows) = all.split_once('\n').unwrap();
    fs::create_dir(here.join("in")).unwrap();
    for part in 0..4 {
        let of_part: Vec<&str> =
            rows.lines().enumerate().filter(|(i, _)| i % 4 == part).map(|(_, row)| row).collect();
        fs::write(
            here.join(format!("in/{part}.csv")),
            format!("{header}\n{}\n", of_part.join("\n")),
        )
        .unwrap();
    }
    let table = |data: &str, path: &str| {
        let set = [format!("riskstream.data={data}"), format!("sources.payments.path={path}")];
        riskstream(here, &["run", &config, "--set", &set[0], "--set", &set[1]]).ok();
        let sql = "select transaction_id, customer_nb_tx_1d, customer_nb_tx_7d, customer_total_7d \
                   from payments order by 1";
        let form = ["--config", &config, "--set", &set[0], "--format", "ndjson"];
        riskstream(here, &[&["query", sql], &form[..]].concat()).ok()
    };
    let one = table("one", "all.csv");
    assert_eq!((one.lines().count(), one == table("many", "in/*.csv")), (3000, true));
    let busy = "select count(*) as n from busy_customers where customer_nb_tx_1d < 5";
    let rows = riskstream(
        here,
        &["query", busy, "--config", &config, "--set", "riskstream.data=one", "--format", "json"],
    )
    .rows();
    assert_eq!(rows[0]["n"], 0);
}

/// Unix only: the program is asked to end as Ctrl-C asks it.
#[cfg(unix)]
#[test]
fn a_growing_file_is_followed_until_the_program_is_stopped() {
    let (folder, config) = (tempfile::tempdir().unwrap(), example("follow-a-growing-file.toml"));
    let here = folder.path();
    let row = |id: i64| {
        format!(
            "{{\"id\":{id},\"time\":\"2024-05-01T09:00:{id:02}Z\",\"card\":\"c1\",\
             \"amount\":1.50}}\n"
        )
    };
    fs::write(here.join("payments.json"), row(1)).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .args(["run", &config])
        .current_dir(here)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = |rows: i64| {
        let started = Instant::now();
        loop {
            let sql = [
                "query",
                "select count(*) as n from payments",
                "--config",
                &config,
                "--format",
                "json",
            ];
            let said = riskstream(here, &sql);
            if said.code == 0 && said.rows()[0]["n"] == rows {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{rows} rows did not come");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until(1);
    let status = riskstream(here, &["status", &config, "--format", "json"]).json();
    assert_eq!(
        (&status["pipelines"][0]["running"], &status["pipelines"][0]["process"]),
        (&true.into(), &program.id().into())
    );
    let second = riskstream(here, &["run", &config]).failed_run();
    assert!(second.contains("is in use by another riskstream"), "{second}");
    let mut file = fs::OpenOptions::new().append(true).open(here.join("payments.json")).unwrap();
    file.write_all(row(2).as_bytes()).unwrap();
    until(2);
    assert!(
        Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap().success()
    );
    assert!(program.wait().unwrap().success());
    // What is appended while nothing runs is read by the next run; it ends if it isn't told to
    // follow.
    file.write_all(row(3).as_bytes()).unwrap();
    riskstream(here, &["run", &config, "--set", "sources.payments.follow=false"]).ok();
    until(3);
    assert_eq!(
        count(here, &config, "select count(*) as n from payments where payments_1h <> id"),
        0
    );
}

#[test]
fn the_embedded_default_runs_with_the_shipped_model() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::copy(project("pipelines.toml"), here.join("pipelines.toml")).unwrap();
    let registry = format!("riskstream.registry={}", project("registry").display());
    let smaller = [
        "--set",
        "sources.payments.customers=100",
        "--set",
        "sources.payments.terminals=200",
        "--set",
        "sources.payments.days=40",
    ];
    let loans =
        ["--set", "sources.loan-changes.loans=600", "--set", "sources.loan-changes.months=8"];
    let run = |more: &[&str]| {
        riskstream(here, &[&["run", "--set", &registry], &smaller[..], &loans[..], more].concat())
    };
    let said = run(&[]).ok();
    let done = ["card-fraud", "portfolio", "transitions", "loan-events"]
        .map(|name| said.contains(&format!("{name} done: ")));
    assert!(
        done == [true; 4]
            && said.contains("Try: riskstream query")
            && !said.contains("dead_letters"),
        "{said}"
    );
    let query = |sql: &str| riskstream(here, &["query", sql, "--format", "json"]).rows();
    let rows = query("select count(*) as n from payments_scored");
    assert!(rows[0]["n"].as_i64() > Some(5000), "{rows:?}");

    // The book as the same changes, written as a file, leave it.
    riskstream(
        here,
        &["generate", "--of", "loans", "--loans", "600", "--months", "8", "--out", "loans.csv"],
    )
    .ok();
    let (text, mut loans) = (fs::read_to_string(here.join("loans.csv")).unwrap(), BTreeMap::new());
    for line in text.lines().skip(1) {
        let values: Vec<&str> = line.split(',').collect();
        let [loan, _, lender, status, _, balance, _, overdue, ..] = values[..] else {
            panic!("{line}")
        };
        match values[19] {
            "d" => loans.remove(loan),
            _ => loans.insert(
                loan,
                (lender, status, balance.parse::<i64>().unwrap(), overdue.parse::<i64>().unwrap()),
            ),
        };
    }
    let mut books: BTreeMap<&str, [i64; 5]> = BTreeMap::new();
    for (lender, status, balance, overdue) in loans.values() {
        let book = books.entry(lender).or_default();
        let is_open = matches!(*status, "CURRENT" | "DPD30" | "DPD60" | "DPD90P");
        let late = i64::from(is_open && *status != "CURRENT") * balance;
        let of_loan = [1, i64::from(is_open), i64::from(is_open) * balance, late, *overdue];
        book.iter_mut().zip(of_loan).for_each(|(sum, value)| *sum += value);
    }
    let newest = query(
        "select distinct on (lender_id) lender_id, n_loans_ever, n_loans_open, \
         outstanding_balance_cents, \
         bal_dpd30_cents + bal_dpd60_cents + bal_dpd90p_cents as late_cents, overdue_cents \
         from portfolio \
         order by lender_id, as_of desc, revision desc",
    );
    let names = [
        "n_loans_ever",
        "n_loans_open",
        "outstanding_balance_cents",
        "late_cents",
        "overdue_cents",
    ];
    let found: BTreeMap<&str, [i64; 5]> = newest
        .iter()
        .map(|row| {
            (row["lender_id"].as_str().unwrap(), names.map(|name| row[name].as_i64().unwrap()))
        })
        .collect();
    assert_eq!(found, books);
    let broken = "originated_cum_cents + charges_cum_cents - paid_cum_cents - \
                  charged_off_cum_cents <> outstanding_balance_cents";
    assert!(
        query(&format!(
            "select as_of from portfolio where {broken} or par90 > par60 or par60 > par30"
        ))
        .is_empty()
    );

    // Windows count the events, each once.
    let events = query(
        "select count(*) as n from loan_updated where \"timestamp\" is not null \
         and new_status is not null",
    )[0]["n"]
        .clone();
    assert!(events.as_i64() > Some(200), "{events}");
    let by_day = "select sum(n_events) as n from (select distinct on (lender_id, old_status, \
                  new_status, window_start) n_events \
                  from loan_transitions where \"window\" = '1d' \
                  order by lender_id, old_status, new_status, window_start, revision desc)";
    assert_eq!(query(by_day)[0]["n"], events);

    // A second run finds nothing new.
    let again = run(&["--format", "json"]).json();
    assert!(again["pipelines"].as_array().unwrap().iter().all(|p| p["rows_in"] == 0), "{again:#}");
}
