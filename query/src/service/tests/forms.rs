use super::lake::loans;
use super::*;

#[test]
fn a_table_command_is_a_query_of_all_of_its_rows() {
    for (text, expected) in [
        ("table loans", "SELECT * FROM loans"),
        (
            "select 1; TABLE public.loans order by id limit 3",
            "SELECT * FROM public.loans ORDER BY id LIMIT 3",
        ),
        ("explain analyze table loans", "EXPLAIN ANALYZE SELECT * FROM loans"),
        ("table a union table b", "SELECT * FROM a UNION TABLE b"),
        ("select \"table\" from a", "SELECT \"table\" FROM a"),
    ] {
        let statements = parse(text).unwrap();
        assert_eq!(statements.last().unwrap().text(), expected);
    }
    assert!(!parse("create table t (a int)").unwrap()[0].reads());
    assert!(parse("table").is_err());
    let tried = Tried::new();
    tried.land("loans", 1, loans(0..2));
    let mut session = tried.session();
    for text in ["table loans", "select * from loans union all (table loans) limit 2"] {
        assert_eq!(tried.ask(&mut session, text).unwrap().len(), 2, "{text}");
    }
}

#[test]
fn a_plan_tells_nothing_that_only_datafusion_needs() {
    let tried = Tried::new();
    tried.land("loans", 1, loans(0..2));
    let mut session = tried.session();
    for text in [
        "explain select 1::int4, l.id, l.id, 'x' from loans l where lender = 'a'",
        "explain analyze select 1::int4, l.id, l.id from loans l where id = 1",
    ] {
        let told = tried.ask(&mut session, text).unwrap().join("\n");
        assert!(!told.contains("FieldMetadata") && !told.contains("postgres.type"), "{told}");
        assert!(!told.contains('\u{1}') && !told.contains("Watched"), "{told}");
    }
}

#[test]
fn names_are_looked_for_along_the_search_path() {
    let tried = Tried::new();
    tried.land("loans", 1, loans(0..2));
    let mut session = tried.session();
    let settings = crate::catalog::postgres::SettingsShown::new("ada", 1);
    session.set_postgres(settings.clone());
    let count = "select count(*) from loans";
    let queries = "select count(*) > 0 from queries";
    assert_eq!(tried.ask(&mut session, count).unwrap(), ["2"]);
    let absent = |found: Result<Vec<String>, QueryError>| match found {
        Err(QueryError::UnknownTable { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(absent(tried.ask(&mut session, queries)), "queries");
    for (path, sees_loans, sees_queries) in [
        ("system", false, true),
        ("nowhere, system, public", true, true),
        ("public, system", true, true),
        ("pg_catalog, public", true, false),
        ("", false, false),
        ("nowhere", false, false),
        ("\"$user\", public", true, false),
    ] {
        settings.set("search_path", path).unwrap();
        for (text, table, is_seen) in
            [(count, "loans", sees_loans), (queries, "queries", sees_queries)]
        {
            let found = tried.ask(&mut session, text);
            match is_seen {
                true => assert_eq!(found.unwrap().len(), 1, "{path}: {text}"),
                false => assert_eq!(absent(found), table, "{path}: {text}"),
            }
        }
        // PostgreSQL's own are always there, and names with a schema.
        assert!(tried.ask(&mut session, "select count(*) from pg_class").is_ok(), "{path}");
        assert!(tried.ask(&mut session, "table public.loans").is_ok(), "{path}");
        let shown = tried.ask(&mut session, "select 'public.loans'::regclass::text");
        let expected = if sees_loans { "loans" } else { "public.loans" };
        assert_eq!(shown.unwrap(), [expected], "{path}");
        let visible = "select pg_table_is_visible('public.loans'::regclass::oid)";
        assert_eq!(tried.ask(&mut session, visible).unwrap(), [sees_loans.to_string()], "{path}");
    }
}

#[test]
fn now_is_one_moment_of_a_transaction() {
    let tried = Tried::new();
    let mut session = tried.session();
    let nap = || std::thread::sleep(std::time::Duration::from_millis(5));
    for text in [
        "select now() = transaction_timestamp() and now() - now() = interval '0'",
        "select now() = current_timestamp",
        "select clock_timestamp() >= now() and statement_timestamp() >= now()",
        "select current_date = now()::date",
        "select current_time is not null and date_trunc('month', current_date) <= now()",
    ] {
        // The second time its plan is kept.
        for _ in 0..2 {
            assert_eq!(tried.ask(&mut session, text).unwrap(), ["true"], "{text}");
        }
    }
    let now = "select now()::text";
    let first = tried.ask(&mut session, now).unwrap();
    nap();
    assert_ne!(tried.ask(&mut session, now).unwrap(), first, "a statement has its own");
    session.begin();
    let first = tried.ask(&mut session, now).unwrap();
    nap();
    assert_eq!(tried.ask(&mut session, now).unwrap(), first);
    let later = "select clock_timestamp() > now()";
    assert_eq!(tried.ask(&mut session, later).unwrap(), ["true"]);
    session.end();
    assert_ne!(tried.ask(&mut session, now).unwrap(), first);
}

#[test]
fn what_clients_write_is_answered_as_postgresql_does() {
    let tried = Tried::new();
    tried.land("loans", 1, loans(0..3));
    let mut session = tried.session();
    for (text, expected) in [
        // A text that stands for itself has the type of what it stands beside.
        ("select '2' + id, id * '3' from loans where id = 1", "3,3"),
        ("select count(*) from pg_index where indisprimary = 't'", "0"),
        ("select relname from pg_class where 'f' = relhasindex and relname = 'loans'", "loans"),
        (
            "select case relhasindex when 't' then 1 else 2 end from pg_class \
             where relname = 'loans'",
            "2",
        ),
        ("select current_query()", "SELECT current_query()"),
        ("select |/ 16.0, ||/ 27.0", "4.0,3.0"),
        ("select array_position(array['a', 'b'], 'b')", "2"),
        ("select count(*) from (select pg_listening_channels()) channels", "0"),
        ("select to_regclass('loans'), to_regnamespace('public') as n", "loans,public"),
        ("select to_regclass('loans') is null, to_regclass('nothing') is null", "false,true"),
        ("select id from loans order by id limit '1' offset '1'", "1"),
        // The rows are sorted by the column of the table.
        ("select -loans.id as id from loans order by loans.id desc limit 1", "-2"),
        ("select cast(l.id as varchar) as id from loans l order by l.id desc limit 1", "2"),
    ] {
        assert_eq!(tried.ask(&mut session, text).unwrap(), [expected], "{text}");
    }
}
