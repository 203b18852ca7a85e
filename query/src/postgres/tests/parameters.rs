//! The types of parameters and columns before a statement runs, as PostgreSQL 15 tells them but for
//! one that is marked.

use super::Served;
use super::client::*;

/// A statement, the types that the client says, and those of the parameters and columns.
type Case = (&'static str, &'static [u32], &'static [u32], &'static [u32]);

const CASES: &[Case] = &[
    ("select $1", &[20], &[20], &[20]),
    ("select $1", &[23], &[23], &[23]),
    ("select $1", &[1082], &[1082], &[1082]),
    ("select $1", &[2950], &[2950], &[2950]),
    ("select $1", &[1009], &[1009], &[1009]),
    ("select $1", &[], &[25], &[25]),
    ("select $1::int4", &[], &[23], &[23]),
    ("select $1 + 1", &[23], &[23], &[23]),
    ("select 1::int4 where $1::char = 'r' and $2::\"char\" = 'r'", &[], &[1042, 18], &[23]),
    ("select $1 + 1::int8", &[], &[20], &[20]),
    ("select oid from pg_type where oid = any($1)", &[], &[1028], &[26]),
    // PostgreSQL says 1003, `name[]`; a parameter of this port is a text wherever a name is needed.
    ("select oid from pg_type where typname = any($1)", &[], &[1009], &[26]),
    ("select coalesce($1, 1::int4)", &[], &[23], &[23]),
    ("select coalesce($1, 'x'::text)", &[], &[25], &[25]),
    ("select coalesce($1, $2)", &[23, 23], &[23, 23], &[23]),
    ("select $1::int4 where $2", &[], &[23, 16], &[23]),
    ("select typname from pg_type where oid = $1 and typname like $2", &[], &[26, 25], &[19]),
    ("select case when $1 then 1::int4 end", &[], &[16], &[23]),
    ("select case when true then $1 else 1.5::float8 end", &[], &[701], &[701]),
    ("select nullif($1, 1::int8)", &[], &[20], &[20]),
    ("select 1::int4 where 1::int8 in ($1, $2)", &[], &[20, 20], &[23]),
    ("select 1::int4 where 1::int8 between $1 and $2", &[], &[20, 20], &[23]),
    ("select typname from pg_type limit $1 offset $2", &[], &[20, 20], &[19]),
    ("select typname from pg_type fetch first $1 rows only", &[], &[20], &[19]),
    ("select $1::text || $2", &[], &[25, 25], &[25]),
    (
        "select x from (values (1::int4)) v(x) where exists \
         (select 1 from (values (2::int8)) w(y) where y > x and y < $1)",
        &[],
        &[20],
        &[23],
    ),
    (
        "select (select max(y) from (values (2::int8)) w(y) where y < x + $1) \
         from (values (1::int4)) v(x)",
        &[20],
        &[20],
        &[20],
    ),
    ("select array[$1, 2::int8]", &[], &[20], &[1016]),
    ("select $1::oid[]", &[], &[1028], &[1028]),
    ("select max(oid) from pg_type where oid < $1", &[], &[26], &[26]),
    ("select date_trunc('day', $1::timestamptz)", &[], &[1184], &[1184]),
    ("select $1::date + 1", &[], &[1082], &[1082]),
    ("select greatest($1, 3::int8)", &[], &[20], &[20]),
];

#[test]
fn parameters_and_columns_have_the_types_that_postgresql_tells() {
    let served = Served::new();
    let mut client = served.client();
    let mut wrong = Vec::new();
    for (statement, said, parameters, columns) in CASES {
        client.send(&[parse("", statement, said), describe(b'S', ""), sync()]);
        let told = client.read();
        let has_parameters = told.lines.contains(&format!("parameters {parameters:?}"));
        let row = told.lines.iter().find_map(|line| line.strip_prefix("row "));
        let of = |column: &str| column.rsplit(':').nth(1).and_then(|oid| oid.parse().ok());
        let row: Option<Vec<u32>> = row.map(|row| row.split(' ').filter_map(of).collect());
        if !has_parameters || row.as_deref() != Some(*columns) {
            wrong.push(format!("{statement}\n  {:?}\n  {parameters:?} {columns:?}", told.lines));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a client sends in binary form is of the type that it was told of.
#[test]
fn binary_values_are_of_the_type_that_was_told() {
    let served = Served::new();
    let mut client = served.client();
    for (statement, value, expected) in [
        ("select $1::jsonb", &b"\x01{\"a\":1}"[..], "{\"a\":1}"),
        ("select $1 + 1::int8", &41_i64.to_be_bytes(), "42"),
        ("select typname from pg_type where oid = $1", &16_u32.to_be_bytes(), "bool"),
        ("select $1::text || 'b'", b"a", "ab"),
        ("select $1::uuid", &[0x11; 16], "11111111-1111-1111-1111-111111111111"),
    ] {
        client.send(&[
            parse("", statement, &[]),
            bind_binary("", "", value),
            execute("", 0),
            sync(),
        ]);
        let said = client.read();
        assert_eq!(said.value(), Some(expected), "{statement}: {said:?}");
    }
}
