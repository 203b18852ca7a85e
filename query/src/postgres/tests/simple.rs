use super::Served;

#[test]
fn rows_come_as_text() {
    let served = Served::new();
    let mut client = served.client();
    let said = client.ask("select 1 as a, 'x' as b, null as c");
    assert_eq!(said.lines, ["row a:23:0 b:25:0 c:25:0", "SELECT 1", "ready I"]);
    assert_eq!(said.rows, [[Some(b"1".to_vec()), Some(b"x".to_vec()), None]]);
    assert_eq!(client.setting("TimeZone"), Some("UTC"));
    assert_eq!(client.ask("").lines, ["empty", "ready I"]);
    assert_eq!(client.ask("-- ping").lines, ["empty", "ready I"]);
}

#[test]
fn an_error_ends_the_statements_of_its_message_and_not_the_connection() {
    let served = Served::new();
    let mut client = served.client();
    let said = client.ask("select 1 as a; select 1 / 0; select 3");
    assert_eq!(said.lines[..2], ["row a:23:0", "SELECT 1"]);
    assert_eq!((said.error(), said.lines.last().unwrap().as_str()), (Some("22012"), "ready I"));
    assert_eq!(client.ask("select 1; selekt 2").lines.len(), 2, "nothing of it is run");
    for (text, code) in [
        ("select * from nowhere", "42P01"),
        ("select nothing", "42703"),
        ("select nothing(1)", "42883"),
        ("select cast('x' as int)", "22P02"),
        ("insert into t values (1)", "25006"),
        ("create table t (a int)", "25006"),
        ("selekt", "42601"),
        ("set no_such_setting = 1", "42704"),
        ("listen x", "0A000"),
        ("copy t from stdin", "25006"),
        ("execute nothing", "26000"),
        ("fetch 1 from nothing", "34000"),
    ] {
        let said = client.ask(text);
        assert_eq!(said.error(), Some(code), "{text}: {said:?}");
        assert_eq!(said.lines.last().unwrap(), "ready I");
    }
    assert_eq!(client.ask("select 2").value(), Some("2"));
}

#[test]
fn an_error_before_the_first_row_comes_alone() {
    let served = Served::new();
    let mut client = served.client();
    let rows = "select 1 / (v - v) as x from generate_series(1, 3) as t (v)";
    let copy = format!("copy ({rows}) to stdout (format csv, header)");
    for text in [rows, "select 1 / 0", &copy] {
        let lines = client.ask(text).lines;
        assert_eq!(lines, ["error 22012 division by zero", "ready I"], "{text}");
    }
    client.ask(&format!("begin; declare c cursor for {rows}"));
    assert_eq!(client.ask("fetch 1 from c").lines, ["error 22012 division by zero", "ready E"]);
}

#[test]
fn errors_say_where_they_are_in_the_text() {
    let served = Served::new();
    let mut client = served.client();
    for (text, code, position) in [
        ("select 'ä', * from nothing_here", "42P01", "20"),
        ("select 1; select nothing from generate_series(1, 2) as t (v)", "42703", "18"),
        ("select w.x from generate_series(1, 2) as t (v)", "42P01", "8"),
        ("select nothing_like_it(1)", "42883", "8"),
        ("select 1::nothing_like_it", "42704", "11"),
        ("select '99999999999'::int4", "22003", "8"),
        ("copy (select nothing) to stdout", "42703", "14"),
        ("explain select nothing", "42703", "16"),
        ("declare c cursor with hold for select nothing", "42703", "39"),
        ("prepare p as select nothing", "42703", "21"),
        ("select 1 +", "42601", "11"),
        ("select 1 / 0", "22012", ""),
    ] {
        let said = client.ask(text);
        assert_eq!((said.error(), said.positions.len()), (Some(code), 1), "{text}: {said:?}");
        assert_eq!(said.positions[0], position, "{text}");
    }
}

#[test]
fn transactions_show_their_state() {
    let served = Served::new();
    let mut client = served.client();
    for (text, lines) in [
        ("begin isolation level serializable read only", vec!["BEGIN", "ready T"]),
        ("begin", vec!["notice 25001", "BEGIN", "ready T"]),
        ("set application_name = 'changed'", vec!["SET", "ready T"]),
        ("savepoint a", vec!["SAVEPOINT", "ready T"]),
        ("selekt", vec!["error 42601 syntax error at or near \"selekt\"", "ready E"]),
        ("rollback to a", vec!["ROLLBACK", "ready T"]),
        ("release a", vec!["RELEASE", "ready T"]),
        ("rollback to a", vec!["error 3B001 savepoint \"a\" does not exist", "ready E"]),
        ("commit", vec!["ROLLBACK", "ready I"]),
        ("commit", vec!["notice 25P01", "COMMIT", "ready I"]),
        ("begin; select 1 / 0", vec![]),
    ] {
        let said = client.ask(text);
        if lines.is_empty() {
            assert_eq!(said.lines.last().unwrap(), "ready E");
        } else {
            assert_eq!(said.lines, lines, "{text}");
        }
    }
    assert_eq!(client.ask("select 1").error(), Some("25P02"));
    assert_eq!(client.ask("rollback and chain").lines, ["ROLLBACK", "ready T"]);
    assert_eq!(client.ask("end").lines, ["COMMIT", "ready I"]);
    assert_eq!(client.setting("application_name"), Some(""));
}

#[test]
fn settings_are_told_when_they_change() {
    let served = Served::new();
    let mut client = served.client();
    client.ask("set time zone 'Europe/Berlin'");
    assert_eq!(client.setting("TimeZone"), Some("Europe/Berlin"));
    let said = client.ask("show timezone");
    assert_eq!(said.lines, ["row TimeZone:25:0", "SHOW", "ready I"]);
    assert_eq!(said.value(), Some("Europe/Berlin"));
    client.ask("begin; set local timezone = 'UTC'");
    assert_eq!(client.setting("TimeZone"), Some("UTC"));
    client.ask("commit");
    assert_eq!(client.setting("TimeZone"), Some("Europe/Berlin"));
    assert_eq!(client.ask("discard all").lines, ["DISCARD ALL", "ready I"]);
    assert_eq!(client.setting("TimeZone"), Some("UTC"));
    assert!(client.ask("show all").rows.len() > 50);
    assert_eq!(client.ask("show transaction isolation level").value(), Some("repeatable read"));
}

#[test]
fn cursors_go_forward_and_may_outlive_their_transaction() {
    let served = Served::new();
    let mut client = served.client();
    let declare = "declare c cursor for select * from generate_series(1, 10)";
    assert_eq!(client.ask(declare).error(), Some("25P01"));
    client.ask("begin");
    assert_eq!(client.ask(declare).lines, ["DECLARE CURSOR", "ready T"]);
    assert_eq!(client.ask("fetch 0 from c").lines[1], "FETCH 0");
    let said = client.ask("fetch 3 from c");
    assert_eq!((said.rows.len(), said.lines[1].as_str()), (3, "FETCH 3"));
    assert_eq!(client.ask("move 2 in c").lines, ["MOVE 2", "ready T"]);
    assert_eq!(client.ask("fetch c").value(), Some("6"));
    assert_eq!(client.ask("fetch absolute 8 from c").value(), Some("8"));
    assert_eq!(client.ask("fetch all from c").rows.len(), 2);
    assert_eq!(client.ask("fetch all from c").lines[1], "FETCH 0");
    assert_eq!(client.ask("fetch prior from c").error(), Some("55000"));
    client.ask("rollback");
    let hold =
        "begin; declare h no scroll cursor with hold for select * from generate_series(1, 9)";
    assert_eq!(client.ask(hold).lines, ["BEGIN", "DECLARE CURSOR", "ready T"]);
    client.ask("fetch 2 from h");
    client.ask("commit");
    assert_eq!(client.ask("fetch 2 from h").value(), Some("3"));
    client.ask("select 1 / 0");
    assert_eq!(client.ask("fetch forward all in h").rows.len(), 5);
    assert_eq!(client.ask("close h").lines, ["CLOSE CURSOR", "ready I"]);
    assert_eq!(client.ask("close h").error(), Some("34000"));
}

#[test]
fn prepared_statements_have_names_in_sql_too() {
    let served = Served::new();
    let mut client = served.client();
    assert_eq!(client.ask("prepare p (int) as select $1 + 1 as x").lines, ["PREPARE", "ready I"]);
    assert_eq!(client.ask("execute p(41)").value(), Some("42"));
    assert_eq!(client.ask("execute p('1')").value(), Some("2"));
    assert_eq!(client.ask("execute p").error(), Some("42601"));
    // Values for a statement that takes none are not looked at.
    client.ask("prepare q as select 7 as seven");
    assert_eq!(client.ask("execute q(1)").value(), Some("7"));
    assert_eq!(client.ask("prepare r as select * from nothing").error(), Some("42P01"));
    assert_eq!(client.ask("execute r").error(), Some("26000"));
    assert_eq!(client.ask("prepare p as select 1").error(), Some("42P05"));
    assert_eq!(client.ask("deallocate p").lines, ["DEALLOCATE", "ready I"]);
    assert_eq!(client.ask("deallocate p").error(), Some("26000"));
    assert_eq!(client.ask("deallocate all").lines, ["DEALLOCATE ALL", "ready I"]);
}

#[test]
fn rows_are_copied_in_three_forms() {
    let served = Served::new();
    let mut client = served.client();
    let said = client.ask("copy (select 1 as a, 'x,y' as b) to stdout with (format csv, header)");
    assert_eq!(said.lines, ["copy 0 2", "copied", "COPY 1", "ready I"]);
    assert_eq!(said.copied, b"a,b\n1,\"x,y\"\n");
    let said = client.ask("copy (select 1 as a, null as b) to stdout");
    assert_eq!(said.copied, b"1\t\\N\n");
    let said = client.ask("copy (select 1 as a) to stdout (format \"binary\")");
    assert!(said.copied.starts_with(b"PGCOPY\n\xff\r\n\0") && said.copied.ends_with(b"\xff\xff"));
    let said = client.ask("copy (select * from generate_series(1, 100000)) to stdout");
    assert_eq!(said.copied.iter().filter(|&&byte| byte == b'\n').count(), 100_000);
}

#[test]
fn a_plan_is_lines_of_text() {
    let served = Served::new();
    let mut client = served.client();
    for text in ["explain select 1", "explain (analyze, costs off) select 1"] {
        let said = client.ask(text);
        assert_eq!(said.lines, ["row QUERY PLAN:25:0", "EXPLAIN", "ready I"]);
        assert!(said.rows.len() > 1, "{said:?}");
    }
}
