use super::*;
use crate::postgres::error::Problem;
use crate::postgres::values::copy::{CopyForm, CopyOptions};

fn only(text: &str) -> Action {
    let mut actions = parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
    assert_eq!(actions.len(), 1, "{text}");
    actions.remove(0)
}

fn set(name: &str, value: Option<&str>, scope: Scope) -> Action {
    Action::Set { name: name.to_owned(), value: value.map(str::to_owned), scope }
}

#[test]
fn settings_are_set_in_all_forms() {
    use Scope::{Local, Session};
    for (text, action) in [
        ("SET TIME ZONE 'UTC'", set("TimeZone", Some("UTC"), Session)),
        ("set time zone local", set("TimeZone", None, Session)),
        (
            "SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE",
            set("TimeZone", Some("INTERVAL '+00:00'"), Session),
        ),
        ("SET timezone TO UTC", set("timezone", Some("utc"), Session)),
        ("SET LOCAL statement_timeout = 100", set("statement_timeout", Some("100"), Local)),
        ("SET extra_float_digits=-3", set("extra_float_digits", Some("-3"), Session)),
        ("SET DateStyle = ISO, MDY", set("datestyle", Some("iso, mdy"), Session)),
        ("SET NAMES 'utf8'", set("client_encoding", Some("utf8"), Session)),
        (
            "SET SESSION search_path TO \"$user\", public, 'My Own'",
            set("search_path", Some("\"$user\", public, \"My Own\""), Session),
        ),
        ("SET search_path = ''", set("search_path", Some("\"\""), Session)),
        ("SET my.own TO DEFAULT", set("my.own", None, Session)),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            set("default_transaction_isolation", Some("serializable"), Session),
        ),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", Action::Accepted { tag: "SET" }),
        ("SET ROLE NONE", Action::Accepted { tag: "SET" }),
        ("SET SESSION AUTHORIZATION DEFAULT", Action::Accepted { tag: "SET" }),
        ("SHOW transaction isolation level", Action::Show("transaction_isolation".into())),
        ("show TimeZone;", Action::Show("timezone".into())),
        ("SHOW ALL", Action::ShowAll),
        ("RESET ALL", Action::Reset(None)),
        ("RESET search_path", Action::Reset(Some("search_path".into()))),
    ] {
        assert_eq!(only(text), action, "{text}");
    }
    for refused in ["SET ROLE other", "SET SESSION AUTHORIZATION 'other'", "set role to other"] {
        let Action::Refused(problem) = only(refused) else { panic!("{refused}") };
        assert_eq!(problem.code, "42501");
    }
}

#[test]
fn transactions_begin_and_end_in_all_forms() {
    let begin = |isolation| Action::Begin { tag: "BEGIN", isolation };
    for (text, action) in [
        ("BEGIN", begin(None)),
        ("begin work", begin(None)),
        (
            "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY",
            begin(Some("read committed")),
        ),
        ("BEGIN READ WRITE, NOT DEFERRABLE", begin(None)),
        (
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
            Action::Begin { tag: "START TRANSACTION", isolation: Some("serializable") },
        ),
        ("COMMIT", Action::Commit { chain: false }),
        ("END TRANSACTION", Action::Commit { chain: false }),
        ("COMMIT AND CHAIN", Action::Commit { chain: true }),
        ("ROLLBACK AND NO CHAIN", Action::Rollback { chain: false }),
        ("ABORT", Action::Rollback { chain: false }),
        ("SAVEPOINT a", Action::Savepoint("a".into())),
        ("RELEASE SAVEPOINT \"A\"", Action::Release("A".into())),
        ("ROLLBACK TRANSACTION TO SAVEPOINT a", Action::RollbackTo("a".into())),
        ("ROLLBACK TO a", Action::RollbackTo("a".into())),
    ] {
        assert_eq!(only(text), action, "{text}");
    }
}

#[test]
fn cursors_are_declared_and_fetched_in_all_forms() {
    for (text, binary, hold) in [
        ("DECLARE c CURSOR FOR select 1", false, false),
        ("DECLARE \"c\" NO SCROLL CURSOR WITH HOLD FOR select $1", false, true),
        ("declare c binary insensitive cursor without hold for values (1)", true, false),
    ] {
        let Action::Declare { name, binary: is_binary, hold: is_hold, .. } = only(text) else {
            panic!("{text}")
        };
        assert_eq!((name.as_str(), is_binary, is_hold), ("c", binary, hold), "{text}");
    }
    assert_eq!(only("DECLARE c CURSOR FOR select $2").parameters(), 2);
    for (text, to) in [
        ("FETCH c", Move::Forward(Some(1))),
        ("FETCH NEXT FROM c", Move::Forward(Some(1))),
        ("FETCH 100 IN c", Move::Forward(Some(100))),
        ("FETCH FORWARD 10 FROM \"c\"", Move::Forward(Some(10))),
        ("FETCH FORWARD c", Move::Forward(Some(1))),
        ("FETCH ALL c", Move::Forward(None)),
        ("FETCH FORWARD ALL FROM c", Move::Forward(None)),
        ("FETCH ABSOLUTE 3 FROM c", Move::Absolute(3)),
        ("FETCH 0 FROM c", Move::Relative(0)),
        ("FETCH PRIOR FROM c", Move::Back),
        ("FETCH BACKWARD ALL IN c", Move::Back),
        ("FETCH -1 IN c", Move::Back),
    ] {
        assert_eq!(only(text), Action::Fetch { name: "c".into(), to }, "{text}");
    }
    let next = Action::Fetch { name: "next".into(), to: Move::Forward(Some(1)) };
    assert_eq!(only("FETCH next"), next);
    let all = Action::MoveTo { name: "c".into(), to: Move::Forward(None) };
    assert_eq!(only("MOVE FORWARD ALL IN c"), all);
}

#[test]
fn copy_has_many_spellings() {
    let csv = |header| CopyOptions { header, ..CopyOptions::new(CopyForm::Csv) };
    let binary = CopyOptions::new(CopyForm::Binary);
    for (text, wanted) in [
        ("COPY (select 1) TO STDOUT", CopyOptions::new(CopyForm::Text)),
        ("COPY (select 1) TO STDOUT (FORMAT \"binary\")", binary.clone()),
        ("COPY (select 1) TO STDOUT WITH (FORMAT 'binary')", binary.clone()),
        ("copy (select 1) to stdout (format BINARY)", binary.clone()),
        ("COPY (select 1) TO STDOUT WITH BINARY", binary.clone()),
        ("COPY BINARY t TO STDOUT", binary),
        ("COPY t TO STDOUT WITH CSV HEADER", csv(true)),
        ("COPY public.t (a, \"B\") TO STDOUT (FORMAT csv, HEADER false)", csv(false)),
        (
            "COPY t TO STDOUT DELIMITER AS '|' NULL ''",
            CopyOptions {
                delimiter: b'|',
                null: String::new(),
                ..CopyOptions::new(CopyForm::Text)
            },
        ),
    ] {
        let Action::Copy { options, .. } = only(text) else { panic!("{text}") };
        assert_eq!(*options, wanted, "{text}");
    }
    for (text, code) in [
        ("COPY t FROM STDIN", "25006"),
        ("COPY t TO '/tmp/x'", "42501"),
        ("COPY t TO PROGRAM 'cat'", "42501"),
        ("COPY t TO STDOUT (FORMAT parquet)", "22023"),
        ("COPY (insert into t values (1)) TO STDOUT", "25006"),
    ] {
        let Action::Refused(problem) = only(text) else { panic!("{text}") };
        assert_eq!(problem.code, code, "{text}");
    }
}

#[test]
fn writes_are_refused_as_postgres_does() {
    for (text, what) in [
        ("insert into t values (1)", "INSERT"),
        ("update t set a = 1", "UPDATE"),
        ("delete from t", "DELETE"),
        ("create temp table t (a int)", "CREATE TABLE"),
        ("create or replace view v as select 1", "CREATE VIEW"),
        ("drop table if exists t", "DROP TABLE"),
        ("truncate t", "TRUNCATE TABLE"),
        ("select 1 into t", "SELECT INTO"),
        ("select * from t for update", "SELECT FOR UPDATE"),
        ("with a as (select 1) insert into t select * from a", "INSERT"),
        ("explain delete from t", "DELETE"),
    ] {
        let Action::Refused(problem) = only(text) else { panic!("{text}") };
        assert_eq!(problem.code, "25006", "{text}");
        assert_eq!(problem.message, format!("cannot execute {what} in a read-only transaction"));
    }
}

#[test]
fn what_is_no_sql_is_named_with_its_place() {
    for (text, message, position) in [
        ("select 1;\nselekt 2", "syntax error at or near \"selekt\"", Some(11)),
        ("select 'ä',\n  frm x y z", "syntax error at or near \"y\"", Some(21)),
        ("select", "syntax error at end of input", Some(7)),
        ("begin isolation level sometimes", "syntax error at or near \"sometimes\"", Some(23)),
        ("fetch 1 from", "syntax error at end of input", Some(13)),
    ] {
        let problem = parse(text).expect_err(text);
        assert_eq!((problem.code, problem.message.as_str()), ("42601", message), "{text}");
        assert_eq!(problem.position, position, "{text}");
    }
    let deep = ["explain ".repeat(200_000), "copy (".repeat(100_000), "(".repeat(100_000)];
    for text in deep {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn casts_and_limits_give_types_to_parameters() {
    let text = "select ($1)::int[], cast($2 as numeric(10, 2)), $3 + 1, \
                $4::timestamp with time zone from t where a in \
                (select $5::character varying(3)) and b = cast($8 as regclass) \
                limit $6 offset ($7)";
    let action = only(text);
    let types = parameter_types(action.query().unwrap().statement.tree());
    let types: Vec<_> = types.into_iter().collect();
    assert_eq!(types, [(1, 1007), (2, 1700), (4, 1184), (5, 1043), (6, 20), (7, 20), (8, 25)]);
}

#[test]
fn a_message_has_any_number_of_statements() {
    for (text, count) in [("", 0), ("-- ping", 0), (" ; ;", 0), ("begin; select 1; commit;", 3)] {
        assert_eq!(parse(text).unwrap().len(), count, "{text}");
    }
    assert_eq!(parse_one("/* ping */").unwrap(), Action::Empty);
    assert_eq!(parse_one("select 1; select 2").unwrap_err().code, "42601");
}

#[test]
fn reserved_words_are_no_names() {
    for (text, position) in [
        ("select é, 1 from from x", 18),
        ("select from where", 13),
        ("select (1, from x", 12),
        ("select 1, from x", 11),
        ("select * from a join where x", 22),
        ("select f(1, order by 2)", 13),
        ("select * fro all_types", 10),
        ("select 1, * fro x", 13),
    ] {
        let problem = parse(text).unwrap_err();
        assert_eq!((problem.code, problem.position), ("42601", Some(position)), "{text}");
    }
    for text in [
        "select a is distinct from null, extract(year from day), trim(both 'a' from x) from x",
        "select \"from\", substring(x from 2 for 1) from \"where\"",
        "select 1 from a, lateral (select 1) b",
        "select distinct on (a) * from x where a is not distinct from b",
        "select *, count(*) as n, 2 * a, all_of.* from x union all select * from y",
        "select distinct * from x order by 1 limit 1",
        "table x",
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
}

/// Statements, what PostgreSQL 15 says of them, and the position that it names.
#[test]
fn errors_have_their_place_in_the_text() {
    let missing = "relation \"nothing\" does not exist";
    let column = "column \"nothing\" does not exist";
    let ungrouped = "column \"t.id\" must appear in the GROUP BY clause or be used in an aggregate \
                     function";
    let number = "value \"99999999999\" is out of range for type integer";
    for (text, code, message, position) in [
        ("select * from nothing", "42P01", missing, 15),
        ("select nothing from nothing", "42P01", missing, 21),
        ("select 1 from t join public.nothing using (id)", "42P01", missing, 22),
        ("select * from \"Nothing\"", "42P01", "relation \"Nothing\" does not exist", 15),
        ("select x.id from t", "42P01", "missing FROM-clause entry for table \"x\"", 8),
        ("select nothing from t", "42703", column, 8),
        ("select 1 as nothing, NOTHING from t", "42703", column, 22),
        ("select t.nothing from t", "42703", "column t.nothing does not exist", 8),
        ("select id from t order by nothing", "42703", column, 27),
        ("select 'ä', sum(nothing) from t", "42703", column, 17),
        ("select id from t, t as u", "42702", "column reference \"id\" is ambiguous", 8),
        ("select id, count(*) from t", "42803", ungrouped, 8),
        ("select 1 from t having id > 1", "42803", ungrouped, 24),
        ("select f(1)", "42883", "function f(integer) does not exist", 8),
        ("select f, pg_catalog.f('a') from t", "42883", "function f(unknown) does not exist", 11),
        ("select 1::nothing", "42704", "type \"nothing\" does not exist", 11),
        ("select cast(1 as nothing)", "42704", "type \"nothing\" does not exist", 18),
        ("select '99999999999'::int4", "22003", number, 8),
        ("select 1,\n '\u{e4}'::int4", "22P02", "invalid input syntax for type integer: \"ä\"", 12),
        ("select date $$x$$", "22007", "invalid input syntax for type date: \"x\"", 13),
        ("select 1/0", "22012", "division by zero", 0),
        ("select nothing", "XX000", "internal error", 0),
    ] {
        // Behind another statement all is further on.
        for (front, moved) in [("", 0), ("select 'ö';\n ", 13)] {
            let action = parse(&format!("{front}{text}")).unwrap().pop().unwrap();
            let problem = action.query().unwrap().origin.placed(Problem::error(code, message));
            let expected = (position > 0).then_some(position + moved);
            assert_eq!(problem.position, expected, "{front}{text}");
        }
    }
}
