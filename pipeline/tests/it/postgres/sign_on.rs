//! Signing on to the real server, and what it refuses.

use super::Server;
use super::loans::{TABLE, prepare, run_to_end};

/// RFC 4013: the soft hyphen is nothing and the Roman nine is two letters, on either side. The
/// server takes no connection over TLS that leaves out the channel binding that it offers, unless
/// the client says that it can't.
#[test]
fn a_password_is_the_same_however_it_is_typed() {
    let (server, folder) = (Server::start(), tempfile::tempdir().expect("a folder"));
    let here = folder.path();
    server.psql(TABLE);
    server.psql("insert into loans (loan_id, lender, status) values (1, 'a', 'paid')");
    server.admin("alter role riskstream password E'\\u2168I\\u00ADX'");
    prepare(&server, here, "");
    for password in ["IXIX", "\u{2168}\u{ad}IX", "I\u{ad}XI\u{ad}X"] {
        let said = server
            .command(here, &["run", "--set", "sources.loans.stop=end"])
            .env("LOANS_PASSWORD", password)
            .output()
            .expect("the program starts");
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{password:?}: {error}");
    }
    server.admin("alter role riskstream password 'riskstream'");
    run_to_end(&server, here);
}

#[test]
fn what_can_not_go_on_says_why() {
    let (server, folder) = (Server::start(), tempfile::tempdir().expect("a folder"));
    let here = folder.path();
    server.psql(TABLE);
    prepare(&server, here, "");
    let run = |sets: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
        server.riskstream(here, &[&["run", "--set", "sources.loans.stop=end"], &sets[..]].concat())
    };
    let schema = r#"sources.loans.schema={ loan_id = "int64" }"#;
    let url = |user: &str, rest: &str| {
        format!("sources.loans.url=postgresql://{user}@localhost:{}/loans{rest}", server.port)
    };
    let wrong = server
        .command(here, &["run"])
        .env("LOANS_PASSWORD", "guessed")
        .output()
        .expect("the program starts");
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("password authentication failed"),
        "{}",
        String::from_utf8_lossy(&wrong.stderr)
    );
    for (set, said) in [
        ("sources.loans.table=public.loan", "there is no table"),
        (&*url("riskstream", "?sslmode=verify-full"), "TLS fails"),
        ("sources.loans.password_env=NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE"),
    ] {
        let message = run(&[set]).refused(1);
        assert!(message.contains(said), "{set}: {message}");
    }
    // Columns that the configuration gives are compared once the pipeline reads.
    let message = run(&[
        r#"sources.loans.schema={ loan_id = "int64", wrong = "string" }"#,
        "riskstream.data=wrong",
        "sources.loans.slot=wrong",
    ])
    .failed_run();
    assert!(message.contains("no column wrong"), "{message}");
    // A stranger's slot is left alone.
    server.psql("select pg_create_logical_replication_slot('strange', 'pgoutput')");
    let message = server
        .riskstream(
            here,
            &["run", "--set", "sources.loans.slot=strange", "--set", "riskstream.data=other"],
        )
        .failed_run();
    assert!(message.contains("not of this data folder"), "{message}");
    server.psql("create table keyless (a int)");
    let message = run(&[
        "sources.loans.table=keyless",
        "sources.loans.slot=keyless",
        "riskstream.data=keyless",
    ])
    .failed_run();
    assert!(message.contains("replica identity full"), "{message}");
    // A slot that is gone, or that somebody else has moved.
    run(&[schema]).ok();
    server.psql("insert into loans (loan_id, lender, status) values (1, 'a', 'paid')");
    server.psql("select pg_replication_slot_advance('test_loans', pg_current_wal_lsn())");
    let message = run(&[schema]).failed_run();
    assert!(message.contains("has moved on"), "{message}");
    server.psql("select pg_drop_replication_slot('test_loans')");
    let message = run(&[schema]).failed_run();
    assert!(message.contains("the replication slot test_loans is gone"), "{message}");
}
