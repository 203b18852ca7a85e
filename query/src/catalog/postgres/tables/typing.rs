//! Types, ranges, functions: `pg_type`, `pg_range`, `pg_proc`.

use super::super::known::{INFORMATION_SCHEMA, Known, OWNER, PG_CATALOG};
use super::rows::Rows;
use crate::builtins::procs::procs;
use crate::builtins::types::types;

/// One row of `pg_type`.
struct Typing<'a> {
    oid: u32,
    name: std::borrow::Cow<'a, str>,
    schema: u32,
    length: i16,
    by_value: bool,
    kind: &'a str,
    category: &'a str,
    preferred: bool,
    delimiter: &'a str,
    relation: u32,
    element: u32,
    array: u32,
    functions: [&'a str; 6],
    align: &'a str,
    storage: &'a str,
    base: u32,
    collation: u32,
}

fn typings(known: &Known) -> Vec<Typing<'_>> {
    let builtin = types().rows.iter().map(|row| Typing {
        oid: row.oid,
        name: row.name.into(),
        schema: if row.schema == "pg_catalog" { PG_CATALOG } else { INFORMATION_SCHEMA },
        length: row.length,
        by_value: row.by_value,
        kind: row.kind,
        category: row.category,
        preferred: row.preferred,
        delimiter: row.delimiter,
        relation: 0,
        element: row.element,
        array: row.array,
        functions: row.functions,
        align: row.align,
        storage: row.storage,
        base: row.base,
        collation: row.collation,
    });
    let of_rows = known.tables.iter().flat_map(|table| {
        let name = known.shown_table(table).name.as_str();
        let row = Typing {
            oid: table.row_type,
            name: name.into(),
            schema: table.schema_oid,
            length: -1,
            by_value: false,
            kind: "c",
            category: "C",
            preferred: false,
            delimiter: ",",
            relation: table.oid,
            element: 0,
            array: table.row_array,
            functions: ["record_in", "record_out", "record_recv", "record_send", "-", "-"],
            align: "d",
            storage: "x",
            base: 0,
            collation: 0,
        };
        let array = Typing {
            oid: table.row_array,
            name: format!("_{name}").into(),
            kind: "b",
            category: "A",
            relation: 0,
            element: table.row_type,
            array: 0,
            functions: ["array_in", "array_out", "array_recv", "array_send", "-", "-"],
            ..row
        };
        [row, array]
    });
    builtin.chain(of_rows).collect()
}

pub(super) fn pg_type(known: &Known, rows: &mut Rows<'_>) {
    let all = typings(known);
    rows.length(all.len())
        .oids("oid", all.iter().map(|one| one.oid))
        .texts("typname", all.iter().map(|one| &one.name))
        .oids("typnamespace", all.iter().map(|one| one.schema))
        .all("typowner", OWNER)
        .int2s("typlen", all.iter().map(|one| one.length))
        .bools("typbyval", all.iter().map(|one| one.by_value))
        .texts("typtype", all.iter().map(|one| one.kind))
        .texts("typcategory", all.iter().map(|one| one.category))
        .bools("typispreferred", all.iter().map(|one| one.preferred))
        .all("typisdefined", true)
        .texts("typdelim", all.iter().map(|one| one.delimiter))
        .oids("typrelid", all.iter().map(|one| one.relation))
        .oids("typelem", all.iter().map(|one| one.element))
        .oids("typarray", all.iter().map(|one| one.array))
        .texts("typalign", all.iter().map(|one| one.align))
        .texts("typstorage", all.iter().map(|one| one.storage))
        .oids("typbasetype", all.iter().map(|one| one.base))
        .all("typtypmod", -1)
        .oids("typcollation", all.iter().map(|one| one.collation));
    let names = ["typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout"];
    for (at, name) in names.into_iter().enumerate() {
        rows.oids(name, all.iter().map(|one| procs().oid_of(one.functions[at])));
    }
    rows.oids(
        "typsubscript",
        all.iter().map(|one| match one.functions[0] {
            "array_in" => procs().oid_of("array_subscript_handler"),
            _ => 0,
        }),
    );
}

pub(super) fn pg_range(rows: &mut Rows<'_>) {
    let lines: Vec<Vec<&str>> =
        include_str!("../lists/ranges.txt").lines().map(|line| line.split(' ').collect()).collect();
    let number = |at: usize| lines.iter().map(move |line| line[at].parse().unwrap_or_default());
    let function = |at: usize| lines.iter().map(move |line| procs().oid_of(line[at]));
    rows.length(lines.len())
        .oids("rngtypid", number(0))
        .oids("rngsubtype", number(1))
        .oids("rngmultitypid", number(2))
        .oids("rngcollation", number(3))
        .oids("rngsubopc", number(4))
        .oids("rngcanonical", function(5))
        .oids("rngsubdiff", function(6));
}

pub(super) fn pg_proc(rows: &mut Rows<'_>) {
    let all = &procs().rows;
    rows.length(all.len())
        .oids("oid", all.iter().map(|one| one.oid))
        .texts("proname", all.iter().map(|one| one.name))
        .all("pronamespace", PG_CATALOG)
        .all("proowner", OWNER)
        // The language `internal`.
        .all("prolang", 12_u32)
        .all("procost", 1.0_f32)
        .texts("prokind", all.iter().map(|one| one.kind))
        .bools("proisstrict", all.iter().map(|one| one.is_strict))
        .bools("proretset", all.iter().map(|one| one.is_set))
        .texts("provolatile", all.iter().map(|one| one.volatility))
        .all("proparallel", "s")
        .int2s(
            "pronargs",
            all.iter().map(|one| i16::try_from(one.arguments.len()).unwrap_or(i16::MAX)),
        )
        .oids("prorettype", all.iter().map(|one| one.returns))
        .oid_lists("proargtypes", all.iter().map(|one| &one.arguments))
        .texts("prosrc", all.iter().map(|one| one.name));
}
