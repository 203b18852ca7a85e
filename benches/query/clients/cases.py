"""The statements that every client asks: types, parameters, errors, settings, catalog, forms.

A case is a dict: `feature`, `case` (its name), `sql` with `$1` for parameters, `parameters` (each a
`type` and a `value` as text, null, or a list), `before` (statements without rows on the same
connection), `rounds`. Nothing in them may differ between two PostgreSQL servers with the same rows.
"""

import json
from pathlib import Path

STATEMENTS = Path(__file__).resolve().parent / "statements"
ROUNDS = 10
# Of each type: the feature, and values as PostgreSQL writes them in a literal.
LITERALS = {
    "bool": ("bool", ["true", "false"]),
    "int2": ("int", ["0", "-32768", "32767"]),
    "int4": ("int", ["1", "-2147483648", "2147483647"]),
    "int8": ("int", ["1", "256", "-9223372036854775808", "9223372036854775807"]),
    "oid": ("int", ["0", "4294967295"]),
    "float4": ("float", ["0.1", "-3.4028235e38", "1e-45", "NaN", "Infinity", "-Infinity", "1e6"]),
    "float8": (
        "float",
        ["0.1", "-0", "1.7976931348623157e308", "5e-324", "NaN", "Infinity", "-Infinity"]
        + ["1e15", "123456789012345680", "0.0001", "0.00001", "0.3333333333333333"],
    ),
    "numeric": (
        "numeric",
        ["0", "1", "-1.50", "10000", "9999.9999", "-12345678.000100", "0.000000000000000001"]
        + ["9" * 38, "-" + "9" * 38, "100000000", "-0.0001", "12345678901234567890.123456789"],
    ),
    "numeric(38,18)": ("numeric", ["1", "-0.5", "9" * 20 + "." + "9" * 18]),
    "numeric(5,0)": ("numeric", ["12345", "-0"]),
    "text": ("text", ["", 'é 𝄞 \\ "', "NULL", "tab\tline\n"]),
    "varchar": ("text", ["abc"]),
    "varchar(10)": ("text", ["abc"]),
    "name": ("text", ["abc"]),
    '"char"': ("text", ["r"]),
    "bytea": ("bytea", ["\\x", "\\x00ff10", "\\xdeadbeef"]),
    "date": (
        "date",
        ["1970-01-01", "2000-01-01", "1999-12-31", "1969-12-31", "0001-01-01", "9999-12-31"]
        + ["2024-02-29"],
    ),
    "time": ("time", ["00:00:00", "23:59:59.999999", "12:34:56.1"]),
    "timestamp": (
        "timestamp",
        ["1970-01-01 00:00:00", "1999-12-31 23:59:59.999999", "0001-01-01 00:00:00"]
        + ["9999-12-31 23:59:59.999999", "2024-02-29 12:00:00.5"],
    ),
    "timestamptz": (
        "timestamptz",
        ["1970-01-01 00:00:00+00", "1999-12-31 23:59:59.999999+00", "2024-06-15 10:00:00+02"]
        + ["2024-02-29T12:00:00.5Z", "2024-02-29", "0001-01-01 00:00:00+00"],
    ),
    "interval": (
        "interval",
        ["0", "1 year 2 mons 3 days 04:05:06.789", "-1 day", "1 mon", "-00:00:01", "36:00:00"]
        + ["90 minutes", "1 week"],
    ),
    "uuid": (
        "uuid",
        ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    ),
    "json": ("json", ['{"a": 1, "b": [null, "x"]}', "[]", "null"]),
    "jsonb": ("json", ['{"a": 1}', "[1, 2]"]),
    "bool[]": ("array", ["{t,f,NULL}"]),
    "int2[]": ("array", ["{1,NULL,-3}"]),
    "int4[]": ("array", ["{1,NULL,-3}", "{}"]),
    "int8[]": ("array", ["{9223372036854775807,NULL}"]),
    "float8[]": ("array", ["{0.1,NULL,NaN}"]),
    "numeric[]": ("array", ["{1.50,NULL}"]),
    "text[]": ("array", ['{a,"b c",NULL,"","NULL","q\\"\\\\"}', "{}"]),
    "date[]": ("array", ["{2024-02-29,NULL}"]),
    "timestamptz[]": ("array", ['{"2024-02-29 12:00:00.5+00",NULL}']),
    "uuid[]": ("array", ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
}
# Values as parameters, in a form that each client turns into its own.
PARAMETERS = {
    "bool": ("p-bool", ["t", "f"]),
    "int2": ("p-int", ["-32768", "32767"]),
    "int4": ("p-int", ["-2147483648", "2147483647"]),
    "int8": ("p-int", ["-9223372036854775808", "256"]),
    "float4": ("p-float", ["0.5", "-1.5"]),
    "float8": ("p-float", ["0.1", "1.7976931348623157e308", "5e-324"]),
    "numeric": ("p-numeric", ["0", "-1.50", "9" * 28, "10000", "0.0000000001", "1.0"]),
    "text": ("p-text", ["", "é 𝄞 \\ \" '", "x" * 3000]),
    "bytea": ("p-bytea", ["", "00ff10"]),
    "date": ("p-date", ["1970-01-01", "1969-12-31", "2024-02-29"]),
    "time": ("p-time", ["00:00:00", "23:59:59.999999"]),
    "timestamp": ("p-timestamp", ["1999-12-31T23:59:59.999999", "2024-02-29T12:00:00.500000"]),
    "timestamptz": (
        "p-timestamptz",
        ["1999-12-31T23:59:59.999999+00:00", "2024-06-15T10:00:00+02:00"],
    ),
    # Days, seconds, microseconds.
    "interval": ("p-interval", ["0 0 0", "3 14706 789000", "-1 0 0"]),
    "uuid": ("p-uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    "json": ("p-json", ['{"a": [1, null]}']),
    "jsonb": ("p-json", ['{"a": 1}']),
    "int4[]": ("p-array", [["1", None, "-3"], []]),
    "int8[]": ("p-array", [["9223372036854775807"]]),
    "text[]": ("p-array", [["a", "b c", None, "", "NULL", 'q"\\'], []]),
    "float8[]": ("p-array", [["0.1", None]]),
}
# What the catalog says of the user's tables.
OURS = "('all_types', 'payments_scored', 'alerts', 'portfolio', 'portfolio_now')"
CATALOG_ROWS = {
    "pg_class": "select relname, relkind, relnatts, relhasrules, relhastriggers, "
    "relrowsecurity, relispartition, relpersistence, relreplident, reltype <> 0, reltablespace, "
    f"reloptions from pg_class where relname in {OURS} order by 1",
    "relacl": f"select relname, relacl::text from pg_class where relname in {OURS} order by 1",
    "relhasindex": f"select relname, relhasindex from pg_class where relname in {OURS} order by 1",
    "pg_attribute": "select attname, attnum, atttypid, atttypmod, attnotnull, atthasdef, "
    "attisdropped, attidentity, attgenerated, attndims, attlen, attbyval, attalign, attstorage, "
    "format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'all_types'::regclass "
    "and attnum > 0 order by attnum",
    "hidden columns": "select attname, attnum, atttypid from pg_attribute where attrelid = "
    "'all_types'::regclass and attnum < 0 order by attnum",
    "pg_description": "select c.relname, d.objsubid, d.description from pg_description d join "
    "pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass where c.relname = "
    "'all_types' order by 1, 2",
    "pg_namespace": "select nspname, oid < 20000 from pg_namespace where nspname in ('public', "
    "'pg_catalog', 'information_schema') order by 1",
    "pg_tables": f"select schemaname, tablename, hasindexes, rowsecurity from pg_tables where "
    f"tablename in {OURS} order by 1, 2",
    "pg_views": "select schemaname, viewname from pg_views where viewname = 'portfolio_now'",
    "pg_database": "select datname, pg_encoding_to_char(encoding), datistemplate, datallowconn, "
    "datcollate, datctype from pg_database where datname = 'riskstream'",
    "pg_roles": "select rolname, rolcanlogin, rolconnlimit, rolvaliduntil, rolconfig from "
    "pg_roles where rolname = current_user",
    "pg_user": "select usename, usesuper in (true, false) from pg_user where usename = "
    "current_user",
    "pg_am": "select amname, amtype from pg_am order by 1",
    "pg_tablespace": "select spcname from pg_tablespace order by 1",
    "pg_collation": "select collname from pg_collation where collname in ('default', 'C') "
    "order by 1",
    "pg_range": "select rngtypid::regtype, rngsubtype::regtype from pg_range order by 1::text",
    "pg_proc": "select proname, pronargs, prorettype::regtype from pg_proc where proname in "
    "('array_in', 'array_recv', 'int4recv', 'int4send') order by 1",
    "pg_index": "select count(*) from pg_index i join pg_class c on c.oid = i.indrelid where "
    f"c.relname in {OURS}",
    "tables": "select table_catalog, table_schema, table_name, table_type, is_typed::text "
    f"from information_schema.tables where table_name in {OURS} order by 3",
    "is_insertable_into": "select table_name, is_insertable_into from information_schema.tables "
    f"where table_name in {OURS} order by 1",
    "columns": "select column_name, ordinal_position, column_default, is_nullable::text, "
    "data_type, character_maximum_length, numeric_precision, numeric_precision_radix, "
    "numeric_scale, "
    "datetime_precision, udt_catalog, udt_schema, udt_name, is_identity::text, is_generated "
    "from information_schema.columns where table_name = 'all_types' order by 2",
    "is_updatable": "select column_name, is_updatable from information_schema.columns where "
    "table_name = 'all_types' and column_name in ('id', 'txt') order by 1",
    "views": "select table_name, is_updatable::text, check_option from "
    "information_schema.views where table_name = 'portfolio_now'",
    "schemata names": "select schema_name from information_schema.schemata where schema_name in "
    "('public', 'pg_catalog', 'information_schema') order by 1",
    "character_sets": "select character_set_name, default_collate_name from "
    "information_schema.character_sets",
    "privileges": "select privilege_type from information_schema.table_privileges where "
    "table_name = 'all_types' and grantee = current_user and privilege_type = 'SELECT'",
    "user relations": "select relname, relkind from pg_class c join pg_namespace n on n.oid = "
    "c.relnamespace where nspname = 'public' and relkind in ('r', 'v', 'm', 'f', 'p') order by 1",
}
TYPES_ROWS = {
    "pg_type rows": "select typname, oid, typlen, typbyval, typtype, typcategory, typdelim, "
    "typelem, typarray, typalign, typstorage from pg_type where oid in (16, 17, 18, 19, 20, 21, "
    "22, 23, 25, 26, 30, 114, 700, 701, 1000, 1005, 1007, 1009, 1016, 1042, 1043, 1082, 1083, "
    "1114, 1115, 1182, 1184, 1185, 1186, 1231, 1700, 2950, 2951, 3802) order by 2",
    "in and out": "select oid::regtype, typinput, typoutput, typreceive, typsend from pg_type "
    "where oid in (16, 17, 20, 21, 23, 25, 700, 701, 1082, 1114, 1184, 1186, 1700, 2950, 1007) "
    "order by oid",
    "array and element agree": "select count(*) from pg_type a join pg_type e on e.oid = "
    "a.typelem where a.typcategory = 'A' and e.typarray <> a.oid",
    "of rows": "select t.typtype, t.typcategory, t.typrelid = c.oid, a.typelem = t.oid, a.typname "
    "from pg_class c join pg_type t on t.oid = c.reltype join pg_type a on a.oid = t.typarray "
    "where c.relname = 'all_types'",
    "all have rows": "select count(*) from pg_attribute a left join pg_type t on t.oid = "
    "a.atttypid where t.oid is null and a.attnum > 0 and not a.attisdropped",
}


def listed(name):
    """The lines of a file of `statements/`: a statement or an expression each."""
    return (STATEMENTS / f"{name}.txt").read_text().splitlines()


def quoted(text):
    """A text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def all_cases():
    """All of them, in the order in which they are asked."""
    found = []

    def add(feature, case, sql, parameters=(), rounds=1, before=()):
        found.append(
            {
                "feature": feature,
                "case": case,
                "sql": sql,
                "parameters": [{"type": kind, "value": value} for kind, value in parameters],
                "rounds": rounds,
                "before": list(before),
            }
        )

    def each(name, feature=None, form="{}"):
        for sql in listed(name):
            add(feature or name, sql, form.format(sql.replace("\\n", "\n")))

    def after(name, feature):
        for line in listed(name):
            before, sql = line.split("; ", 1)
            add(feature, line, sql, before=[before])

    for kind, (feature, values) in LITERALS.items():
        for value in [None, *values]:
            literal = "null" if value is None else quoted(value)
            name = f"{kind} {'no value' if value is None else repr(value[:40])}"
            add(feature, name, f"select {literal}::{kind} as v", rounds=ROUNDS)
    for column in ("seen at i1 i2 i4 i8 f4 f8 flag txt d38 d1818 money day raw").split():
        add("tables", column, f"select id, {column} from all_types order by id", rounds=ROUNDS)
    add("tables", "all columns", "select * from all_types order by id", rounds=ROUNDS)
    for table, order in (
        ("payments_scored", "transaction_id"),
        ("alerts", "alert_id"),
        ("portfolio_now", 'lender_id, currency, "window", window_end'),
        ("loan_updated", "loan_id, timestamp, new_status"),
    ):
        add("tables", table, f"select * from {table} order by {order} limit 200")
        add("tables", f"count of {table}", f"select count(*) from {table}")
    for kind, (feature, values) in PARAMETERS.items():
        for value in values:
            name = f"{kind} {str(value)[:40]!r}"
            sql = f"select $1::{kind} as v"
            add(feature, name, sql, [(kind, value)], rounds=ROUNDS)
        add("p-null", kind, f"select $1::{kind} as v", [(kind, None)], rounds=ROUNDS)
    for column, kind, value in (
        ("i2", "int2", "32767"),
        ("i4", "int4", "2147483647"),
        ("i8", "int8", "9223372036854775807"),
        ("f8", "float8", "0.1"),
        ("flag", "bool", "t"),
        ("txt", "text", "NULL"),
        ("d38", "numeric", "9" * 38),
        ("money", "numeric", "-1.50"),
        ("day", "date", "2024-02-29"),
        ("at", "timestamptz", "1999-12-31T23:59:59.123456+00:00"),
    ):
        sql = f"select id from all_types where {column} = $1 order by id"
        add("p-inferred", f"{column} = $1", sql, [(kind, value)], rounds=ROUNDS)
        add("p-null", f"{column} = $1", sql, [(kind, None)])
    add("p-inferred", "$1 + 1", "select id from all_types where id = $1 + 1", [("int4", "2")])
    add("p-inferred", "limit $1", "select id from all_types order by id limit $1", [("int8", "2")])
    add(
        "p-inferred",
        "limit and offset",
        "select id from all_types order by id limit $1 offset $2",
        [("int8", "2"), ("int8", "1")],
    )
    add(
        "p-inferred",
        "between",
        "select id from all_types where id between $1 and $2 order by id",
        [("int4", "2"), ("int4", "3")],
    )
    add(
        "p-inferred",
        "in",
        "select id from all_types where id in ($1, $2) order by id",
        [("int4", "2"), ("int4", "3")],
    )
    add(
        "p-inferred",
        "like",
        "select id from all_types where txt like $1 order by id",
        [("text", "%NULL%")],
    )
    add("p-inferred", "coalesce", "select coalesce($1, 'x')", [("text", None)])
    add("p-inferred", "upper", "select upper($1)", [("text", "abc")])
    add("p-inferred", "text || $1", "select 'a' || $1", [("text", "b")])
    add("p-inferred", "alone", "select $1", [("text", "b")])
    add("p-inferred", "twice", "select $1::int4 + $1::int4", [("int4", "2")])
    add("p-inferred", "case", "select case when $1 then 1 else 2 end", [("bool", "t")])
    add(
        "p-inferred",
        "at >= $1",
        "select id from all_types where at >= $1 order by id",
        [("timestamptz", "2024-02-29T12:00:00.500000+00:00")],
    )
    add(
        "p-array",
        "= any($1)",
        "select id from all_types where id = any($1) order by id",
        [("int4[]", ["1", "3", None])],
        rounds=ROUNDS,
    )
    add(
        "p-array",
        "text = any($1)",
        "select id from all_types where txt = any($1) order by id",
        [("text[]", ["NULL", "x"])],
    )
    add(
        "p-array",
        "<> all($1)",
        "select id from all_types where id <> all($1) order by id",
        [("int4[]", ["1", "3"])],
    )
    for line in listed("errors"):
        add("sqlstates", line, line.split(" ", 1)[1])
    each("read-only")
    each("settings")
    after("sets", "settings")
    after("zones", "zone")
    for digits in range(4):
        for text in ("0.1", "1e22", "123456.789", "2.5e-7"):
            for kind in ("float4", "float8"):
                sql = f"select {quoted(text)}::{kind}"
                before = [f"set extra_float_digits = {digits}"]
                add("float-digits", f"{digits} {text} {kind}", sql, before=before)
    for name in ("functions", "text-functions", "casts"):
        each(name, form="select {}")
    each("forms")
    each("current")
    add(
        "schemata",
        "catalog_name",
        "select catalog_name, schema_name from "
        "information_schema.schemata where schema_name = 'public'",
    )
    add(
        "row-statistics",
        "n_live_tup",
        "select relname, schemaname, n_live_tup >= 0 from "
        "pg_stat_user_tables where relname in ('all_types', 'portfolio') order by 1",
    )
    each("catalog-tables", "catalog-columns", "select * from {} limit 0")
    for case, sql in CATALOG_ROWS.items():
        add("catalog-rows", case, sql)
    for case, sql in TYPES_ROWS.items():
        add("types", case, sql)
    return found


def write(path):
    """All cases as JSON, for clients of every language."""
    path.write_text(json.dumps(all_cases(), ensure_ascii=False, indent=0))
