//! A table, a pipeline or a slot that is made anew.

use std::process::Stdio;

use super::Server;
use super::book::Book;
use crate::running::Running;

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
    // The table has a publication of its own, which it leaves when it is dropped.
    let book = Book::new(&server, "ra", setup, "");
    book.run().ok();
    assert_eq!(book.rows(), "1:100 2:200");
    server.psql(&again("ra"));
    let said = book.run().failed_run();
    let advice = "alter publication \"book_ra\" add table only \"public\".\"ra\"";
    assert!(said.contains(advice), "{said}");
    server.psql(&format!("{advice}; insert into ra values (10, 10)"));
    book.run().ok();
    assert_eq!(book.rows(), "8:8 9:9 10:10");
    server.psql("update ra set bal = 11 where id = 10");
    book.run().ok();
    assert_eq!(book.rows(), "8:8 9:9 10:11");

    // The table is in a publication of all tables, and is made anew between runs.
    server.admin("create publication everything for all tables");
    let setup =
        "create table rb (id int primary key, bal int); insert into rb values (1, 100), (2, 200)";
    let book = Book::new(&server, "rb", setup, "publication = \"everything\"");
    book.run().ok();
    server.psql(&again("rb"));
    book.run().ok();
    assert_eq!(book.rows(), "8:8 9:9");
    // The table is made anew during a run, with changes that show it and without any.
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
    // The pipeline goes on as any other, and begins anew also where the slot is gone or was moved.
    server.psql("update fresh set bal = 201 where id = 2");
    book.run().ok();
    assert_eq!(book.rows(), "2:201 3:300");
    for lost in [
        "select pg_drop_replication_slot('book_fresh')",
        "select pg_replication_slot_advance('book_fresh', pg_current_wal_lsn())",
    ] {
        server.psql("update fresh set bal = bal + 1");
        server.psql(lost);
        assert!(book.run().failed_run().contains("riskstream run --fresh"), "{lost}");
        anew(&[]).ok();
    }
    assert_eq!(book.rows(), "2:203 3:302");
    // A slot of another name is a new one, and the user has to drop the old one.
    let said = anew(&["sources.s.slot=another"]);
    assert!(said.err.contains("select pg_drop_replication_slot('book_fresh')"), "{}", said.err);
    said.ok();
    assert_eq!(book.rows(), "2:203 3:302");
    let slots = server
        .psql("select string_agg(slot_name, ' ' order by slot_name) from pg_replication_slots");
    assert_eq!(slots.trim(), "another book_fresh");
}
