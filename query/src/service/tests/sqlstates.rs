use datafusion::common::DataFusionError;

use super::*;

/// Statements and what PostgreSQL 15 says of them: the SQLSTATE and the text.
const ERRORS: [(&str, &str, &str); 44] = [
    ("select 40000::int2", "22003", "smallint out of range"),
    ("select 3000000000::int4", "22003", "integer out of range"),
    (
        "select '99999999999'::int4",
        "22003",
        "value \"99999999999\" is out of range for type integer",
    ),
    (
        "select '-99999999999999999999'::int8",
        "22003",
        "value \"-99999999999999999999\" is out of range for type bigint",
    ),
    ("select ' 7 x'::int4", "22P02", "invalid input syntax for type integer: \" 7 x\""),
    ("select abs((-32768)::int2)", "22003", ""),
    ("select '2024-13-01'::date", "22008", "date/time field value out of range: \"2024-13-01\""),
    ("select '2024-02-30'::date", "22008", "date/time field value out of range: \"2024-02-30\""),
    ("select 'nonsense'::date", "22007", "invalid input syntax for type date: \"nonsense\""),
    ("select '24:61:00'::time", "22008", "date/time field value out of range: \"24:61:00\""),
    (
        "select '2024-02-30 10:00:00'::timestamp",
        "22008",
        "date/time field value out of range: \"2024-02-30 10:00:00\"",
    ),
    (
        "select 'nonsense'::timestamp",
        "22007",
        "invalid input syntax for type timestamp: \"nonsense\"",
    ),
    (
        "select 'nonsense'::timestamptz",
        "22007",
        "invalid input syntax for type timestamp with time zone: \"nonsense\"",
    ),
    ("select 'x'::interval", "22007", "invalid input syntax for type interval: \"x\""),
    ("select 'a'::text + 1::int4", "42883", "operator does not exist: text + integer"),
    ("select 1::int4 = true", "42883", "operator does not exist: integer = boolean"),
    ("select -('a'::text)", "42883", ""),
    ("select not 1::int4", "42804", "argument of NOT must be type boolean, not type integer"),
    (
        "select id from t where count(*) > 1",
        "42803",
        "aggregate functions are not allowed in WHERE",
    ),
    (
        "select 1 from t where 1::int4",
        "42804",
        "argument of WHERE must be type boolean, not type integer",
    ),
    (
        "select id, count(*) from t",
        "42803",
        "column \"t.id\" must appear in the GROUP BY clause or be used in an aggregate function",
    ),
    (
        "select (select id from t)",
        "21000",
        "more than one row returned by a subquery used as an expression",
    ),
    ("select (select id, id as b from t)", "42601", ""),
    ("select 1 from t, t", "42712", "table name \"t\" specified more than once"),
    ("select 1 from t join t on true", "42712", "table name \"t\" specified more than once"),
    ("select 1::nothing_like_it", "42704", "type \"nothing_like_it\" does not exist"),
    (
        "select current_setting('nothing_like_it')",
        "42704",
        "unrecognized configuration parameter \"nothing_like_it\"",
    ),
    ("select 'a' ~ '['", "2201B", ""),
    ("select txt ~ '[' from t", "2201B", ""),
    ("select regexp_replace(txt, '[', 'x') from t", "2201B", ""),
    ("select 1 limit -1", "2201W", "LIMIT must not be negative"),
    ("select 1 offset -1", "2201X", "OFFSET must not be negative"),
    ("select id from t limit -1", "2201W", "LIMIT must not be negative"),
    ("select id from t order by 5", "42P10", ""),
    ("select id from t group by 5", "42P10", ""),
    (
        "select 1 union select 1, 2",
        "42601",
        "each UNION query must have the same number of columns",
    ),
    ("select nothing_like_it(1)", "42883", ""),
    ("select abs('a', 'b')", "42883", ""),
    ("select x.id from t", "42P01", ""),
    ("select row_number() over w from t", "42704", ""),
    ("select 123456.789::numeric(5,2)", "22003", "numeric field overflow"),
    (
        "select has_schema_privilege('nothing', 'usage')",
        "3F000",
        "schema \"nothing\" does not exist",
    ),
    ("select 'nothing'::regclass", "42P01", "relation \"nothing\" does not exist"),
    ("select 'maybe'::bool", "22P02", "invalid input syntax for type boolean: \"maybe\""),
];

#[test]
fn errors_have_the_codes_and_texts_of_postgres() {
    let tried = Tried::new();
    let mut session = tried.session();
    let mut wrong = Vec::new();
    for (text, code, said) in ERRORS {
        let rows = "with t as (select * from (values (1, 'a'), (2, 'b')) as t (id, txt)) ";
        // A common table can be named twice as any other.
        let whole = if text.contains(" t") { format!("{rows}{text}") } else { text.to_owned() };
        let error = match tried.ask(&mut session, &whole) {
            Err(error) => error,
            Ok(rows) => {
                wrong.push(format!("{text}: {rows:?}"));
                continue;
            }
        };
        let told = error.postgres_text().unwrap_or_else(|| match &error {
            QueryError::Sql(error) => match error.find_root() {
                DataFusionError::Execution(said) | DataFusionError::Plan(said) => said.clone(),
                root => root.to_string(),
            },
            other => other.to_string(),
        });
        let is_told = said.is_empty() || told.ends_with(said);
        if error.sql_state().0 != code || !is_told {
            wrong.push(format!("{text}: {} {told} <- {error:?}", error.sql_state().0));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
