use datafusion::common::ScalarValue;

use super::lake::{loans, wider};
use super::*;

#[test]
fn a_statement_that_is_kept_sees_new_rows() {
    let tried = Tried::new();
    tried.land("loans", 1, loans(0..10));
    let mut session = tried.session();
    for text in [
        "select count(*) from loans where id >= $1",
        "select (select count(*) from loans where id >= $1)",
        "with of_now as (select * from loans) select count(*) from of_now where id >= $1",
        "select count(*) from loans x join loans y on x.id = y.id where x.id >= $1",
    ] {
        let (asked, types) = (statement(text), [None]);
        let described = tried.service.block_on(session.describe(&asked, &types)).unwrap();
        assert_eq!(described.parameters.len(), 1, "{text}");
        let ask = |session: &mut Session, from: i64| {
            tried.ask_with(session, text, &[ScalarValue::Int64(Some(from))]).unwrap()
        };
        assert_eq!(ask(&mut session, 4), ["6"], "{text}");
        assert_eq!(ask(&mut session, 9), ["1"], "{text}");
    }
    tried.land("loans", 2, loans(10..15));
    for text in [
        "select count(*) from loans where id >= $1",
        "select (select count(*) from loans where id >= $1)",
        "with of_now as (select * from loans) select count(*) from of_now where id >= $1",
        "select count(*) from loans x join loans y on x.id = y.id where x.id >= $1",
    ] {
        let seen = tried.ask_with(&mut session, text, &[ScalarValue::Int64(Some(4))]);
        assert_eq!(seen.unwrap(), ["11"], "{text}");
    }
}

#[test]
fn within_a_transaction_it_sees_the_moment_of_the_first() {
    let tried = Tried::new();
    tried.land("loans", 1, loans(0..10));
    let mut session = tried.session();
    let text = "select count(*) from loans";
    assert_eq!(tried.ask(&mut session, text).unwrap(), ["10"]);
    session.begin();
    assert_eq!(tried.ask(&mut session, text).unwrap(), ["10"]);
    tried.land("loans", 2, loans(10..15));
    assert_eq!(tried.ask(&mut session, text).unwrap(), ["10"]);
    session.end();
    assert_eq!(tried.ask(&mut session, text).unwrap(), ["15"]);
}

#[test]
fn a_table_of_other_columns_is_planned_anew() {
    let tried = Tried::new();
    tried.land("loans", 1, loans(0..2));
    let mut session = tried.session();
    let text = "select * from loans order by id";
    assert_eq!(tried.ask(&mut session, text).unwrap(), ["0,a", "1,b"]);
    tried.land("loans", 2, wider(2..3));
    assert_eq!(tried.ask(&mut session, text).unwrap(), ["0,a,", "1,b,", "2,a,2"]);
}

#[test]
fn what_tells_of_the_moment_or_the_session_is_planned_each_time() {
    let tried = Tried::new();
    tried.land("loans", 1, loans(0..2));
    let mut session = tried.session();
    let text = "select as_of(), count(*) from loans";
    let first = tried.ask(&mut session, text).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_ne!(tried.ask(&mut session, text).unwrap(), first);
    let text = "select timestamptz '2026-03-01 12:00:00 Europe/Berlin' as t";
    let in_utc = tried.ask(&mut session, text).unwrap();
    session.settings.time_zone = "Asia/Tokyo".to_owned();
    let literal = "select '2026-03-01 12:00:00'::timestamptz as t";
    let in_tokyo = tried.ask(&mut session, literal).unwrap();
    session.settings.time_zone = "UTC".to_owned();
    assert_ne!(tried.ask(&mut session, literal).unwrap(), in_tokyo);
    assert_eq!(tried.ask(&mut session, text).unwrap(), in_utc);
}

#[test]
fn what_is_always_the_same_is_computed_once_and_told_of_each_time() {
    let tried = Tried::new();
    let mut session = tried.session();
    for (text, expected) in [
        ("select 1 as a, 'x' as b", "1,x"),
        ("select 1.50::numeric(5, 2), null", "1.50,"),
        ("select upper('a') || 'b', 1 + 1", "Ab,2"),
    ] {
        for _ in 0..3 {
            assert_eq!(tried.ask(&mut session, text).unwrap(), [expected], "{text}");
        }
        let told = format!("select count(*) from system.queries where statement = '{}'", {
            statement(text).text().replace('\'', "''")
        });
        assert_eq!(tried.ask(&mut session, &told).unwrap(), ["3"], "{text}");
    }
    for text in ["select random()", "select clock_timestamp()", "select now()"] {
        let first = tried.ask(&mut session, text).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_ne!(tried.ask(&mut session, text).unwrap(), first, "{text}");
    }
}
