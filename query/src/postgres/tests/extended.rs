use super::Served;
use super::client::*;

const ROWS: &str = "select * from generate_series(1, 10)";

#[test]
fn messages_are_answered_in_their_order_before_a_sync() {
    let served = Served::new();
    let mut client = served.client();
    client.send(&[
        parse("", "select $1 + 1 as x", &[20]),
        bind("", "", &[Some("41")]),
        describe(b'P', ""),
        execute("", 0),
        parse("s", "select 'a' as y", &[]),
        bind_formats("", "s", &[1]),
        execute("", 0),
        close(b'S', "s"),
        sync(),
    ]);
    let said = client.read();
    assert_eq!(
        said.lines,
        [
            "parsed",
            "bound",
            "row x:20:0",
            "SELECT 1",
            "parsed",
            "bound",
            "SELECT 1",
            "closed",
            "ready I"
        ]
    );
    assert_eq!(said.rows, [[Some(b"42".to_vec())], [Some(b"a".to_vec())]]);
}

#[test]
fn flush_is_answered_without_a_sync() {
    let served = Served::new();
    let mut client = served.client();
    client.send(&[
        parse("s", "select 1::int as x where $1 = 'a'", &[]),
        describe(b'S', "s"),
        flush(),
    ]);
    let said = client.read_some(3);
    assert_eq!(said.lines[0], "parsed");
    assert!(said.lines[1].starts_with("parameters [") && said.lines[2].starts_with("row x:23:0"));
    client.send(&[bind("", "s", &[Some("a")]), execute("", 0), sync()]);
    assert_eq!(client.read().value(), Some("1"));
}

#[test]
fn an_error_is_told_before_a_sync() {
    let served = Served::new();
    let mut client = served.client();
    for (messages, code) in [
        (vec![parse("", "selekt", &[]), flush()], "42601"),
        (vec![parse("", "selekt", &[])], "42601"),
        (vec![parse("n", "select nothing", &[]), flush()], "42703"),
        (vec![bind("", "nowhere", &[])], "26000"),
        (vec![describe(b'S', "nowhere"), flush()], "26000"),
    ] {
        client.send(&messages);
        assert_eq!(client.read_some(1).error(), Some(code), "{messages:?}");
        // What follows is skipped, and so is a further Flush.
        client.send(&[parse("", "select 1", &[]), flush(), sync()]);
        assert_eq!(client.read().lines, ["ready I"]);
    }
}

#[test]
fn after_an_error_all_is_skipped_up_to_a_sync() {
    let served = Served::new();
    let mut client = served.client();
    client.send(&[
        parse("", "select 1 / 0", &[]),
        bind("", "", &[]),
        execute("", 0),
        parse("", "select 1", &[]),
        execute("nothing", 0),
        sync(),
        parse("", "select 7", &[]),
        bind("", "", &[]),
        execute("", 0),
        sync(),
    ]);
    let said = client.read();
    assert_eq!(said.error(), Some("22012"));
    assert_eq!(said.lines.iter().filter(|line| line.starts_with("error")).count(), 1);
    assert_eq!(client.read().value(), Some("7"));
    for (messages, code) in [
        (vec![bind("", "nothing", &[]), sync()], "26000"),
        (vec![execute("nothing", 0), sync()], "34000"),
        (vec![describe(b'P', "nothing"), sync()], "34000"),
        (vec![parse("", "select 1; select 2", &[]), sync()], "42601"),
        (vec![parse("", "select $1", &[20]), bind("", "", &[]), sync()], "08P01"),
        (vec![parse("", "select $1", &[20]), bind("", "", &[Some("x")]), sync()], "22P02"),
        (vec![parse("n", "select * from nowhere", &[]), sync()], "42P01"),
        (
            vec![
                parse("", "insert into t values ($1)", &[]),
                describe(b'S', ""),
                bind("", "", &[Some("x")]),
                execute("", 0),
                sync(),
            ],
            "25006",
        ),
        (vec![parse("", "select $2::int", &[]), sync()], "42P18"),
        (vec![parse("", "select 1, 2", &[]), bind_formats("", "", &[0, 1, 0]), sync()], "08P01"),
        (
            vec![parse("", "select 1", &[]), bind_formats("", "", &[7]), execute("", 0), sync()],
            "22023",
        ),
    ] {
        client.send(&messages);
        assert_eq!(client.read().error(), Some(code));
    }
}

#[test]
fn portals_give_so_many_rows_and_go_on() {
    let served = Served::new();
    let mut client = served.client();
    client.send(&[
        parse("s", ROWS, &[]),
        bind("a", "s", &[]),
        bind("b", "s", &[]),
        execute("a", 3),
        execute("b", 10),
        execute("a", 3),
        execute("b", 1),
        execute("a", 0),
        execute("a", 0),
        sync(),
    ]);
    let said = client.read();
    assert_eq!(
        said.lines[3..],
        ["suspended", "suspended", "suspended", "SELECT 0", "SELECT 4", "SELECT 0", "ready I"]
    );
    assert_eq!(said.rows.len(), 20);
    client.send(&[execute("a", 0), sync()]);
    assert_eq!(client.read().error(), Some("34000"), "it has ended with its transaction");
    client.ask("begin");
    client.send(&[bind("a", "s", &[]), execute("a", 9), sync()]);
    client.read();
    client.send(&[execute("a", 9), close(b'P', "a"), sync()]);
    assert_eq!(client.read().lines, ["SELECT 1", "closed", "ready T"]);
}

#[test]
fn statements_of_all_kinds_are_described() {
    let served = Served::new();
    let mut client = served.client();
    client.ask("begin; declare c cursor for select 1::int as one, 'x' as two");
    client.ask("prepare p as select 1::smallint as s");
    for (text, described) in [
        ("begin", "no data"),
        ("set jit = on", "no data"),
        ("show search_path", "row search_path:25:0"),
        ("explain select 1", "row QUERY PLAN:25:0"),
        ("copy (select 1) to stdout", "no data"),
        ("fetch 1 from c", "row one:23:0 two:25:0"),
        ("execute p", "row s:21:0"),
        ("", "no data"),
    ] {
        client.send(&[parse("", text, &[]), describe(b'S', ""), sync()]);
        assert_eq!(client.read().lines[2], described, "{text}");
        client.send(&[parse("", text, &[]), bind("", "", &[]), describe(b'P', ""), sync()]);
        assert_eq!(client.read().lines[2], described, "{text}");
    }
    client.send(&[describe(b'P', "c"), sync()]);
    assert_eq!(client.read().lines[0], "row one:23:0 two:25:0");
}

#[test]
fn types_that_the_client_gives_are_those_of_the_columns() {
    let served = Served::new();
    let mut client = served.client();
    let text = "select $1 as a, $2 as b, $3 + 1::int8 as c, coalesce($4, 2::int2) as d";
    client.send(&[
        parse("s", text, &[20, 1082, 0, 0]),
        describe(b'S', "s"),
        bind("", "s", &[Some("5"), Some("2024-02-29"), Some("41"), None]),
        execute("", 0),
        sync(),
    ]);
    let said = client.read();
    assert_eq!(said.lines[1], "parameters [20, 1082, 20, 21]");
    assert_eq!(said.lines[2], "row a:20:0 b:1082:0 c:20:0 d:21:0");
    let row: Vec<_> = said.rows[0].iter().map(|value| value.as_deref().unwrap()).collect();
    assert_eq!(row, [&b"5"[..], b"2024-02-29", b"42", b"2"], "{said:?}");

    client.ask("prepare p(int4, text) as select $1, $2");
    let said = client.ask("execute p(1, 'x')");
    assert!(said.lines[0].contains(":23:0 ") && said.lines[0].ends_with(":25:0"), "{said:?}");
    assert_eq!(said.rows.len(), 1);

    // Arrays have the type of what is looked for in them.
    let text = "select v from generate_series(1, 9) as t (v) where v = any($1) and v <> all($2)";
    client.send(&[
        parse("", text, &[]),
        describe(b'S', ""),
        bind("", "", &[Some("{2,4,6}"), Some("{4}")]),
        execute("", 0),
        sync(),
    ]);
    let said = client.read();
    assert_eq!(said.lines[1], "parameters [1016, 1016]");
    assert_eq!(said.rows.len(), 2, "{said:?}");
    // A parameter in two places has the type of the first.
    let text = "select v from (values (1::int4, 2::int8)) as t (v, w) where v = $1 or w = $1";
    client.send(&[parse("", text, &[]), describe(b'S', ""), sync()]);
    assert_eq!(client.read().lines[1], "parameters [23]");
}

#[test]
fn cursors_and_copies_have_parameters() {
    let served = Served::new();
    let mut client = served.client();
    client.ask("begin");
    let declare = "declare c cursor for select v from generate_series(1, 5) as t (v) where v > $1";
    client.send(&[
        parse("", declare, &[20]),
        bind("", "", &[Some("2")]),
        execute("", 0),
        parse("", "fetch 2 from c", &[]),
        bind("", "", &[]),
        execute("", 0),
        parse("", "copy (select $1 + 1) to stdout", &[20]),
        bind("", "", &[Some("1")]),
        execute("", 0),
        sync(),
    ]);
    let said = client.read();
    assert_eq!(said.lines[2], "DECLARE CURSOR", "{said:?}");
    assert_eq!((said.rows.len(), said.value()), (2, Some("3")));
    assert_eq!(said.copied, b"2\n");
}

#[test]
fn a_failed_transaction_takes_nothing_but_its_end() {
    let served = Served::new();
    let mut client = served.client();
    client.ask("begin; select 1 / 0");
    client.send(&[parse("", "select 1", &[]), sync()]);
    assert_eq!(client.read().error(), Some("25P02"));
    client.send(&[parse("", "rollback", &[]), bind("", "", &[]), execute("", 0), sync()]);
    assert_eq!(client.read().lines[2..], ["ROLLBACK", "ready I"]);
}
