"""DuckDB's postgres extension: a database that is attached, its tables scanned by binary COPY."""

import os
import shutil
from pathlib import Path

import duckdb

import tests
from tests import test

place = Path(os.environ["RISKSTREAM_WORK"]) / "duckdb"
DSN = f"host={tests.HOST} port={tests.PORT} user={tests.USER} dbname={tests.DATABASE}"
state = {}


def extension():
    """The extension's file under the name by which DuckDB looks for it."""
    target = place / "postgres_scanner.duckdb_extension"
    if not target.exists():
        import importlib.metadata as metadata

        files = [
            path.locate()
            for path in metadata.files("duckdb-extension-postgres")
            if str(path).endswith(".duckdb_extension")
        ]
        place.mkdir(exist_ok=True)
        shutil.copy(files[0], target)
    return target


def database():
    if "made" not in state:
        connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        connection.execute("set timezone = 'UTC'")
        connection.load_extension(str(extension()))
        connection.execute(f"attach '{DSN}' as p (type postgres, read_only)")
        state["made"] = connection
    return state["made"]


def ask(sql):
    def run():
        try:
            found = database().execute(sql)
            return [[[c[0], str(c[1])] for c in found.description], found.fetchall()]
        except Exception:
            state.clear()
            raise

    return run


test("tool-start", "ATTACH", ask("select 1"))
test(
    "reflection",
    "SHOW TABLES",
    ask(
        "select schema, name from (show all tables) where database = 'p' and schema = 'public' "
        "and name in ('all_types', 'portfolio', 'portfolio_now', 'loan_updated') order by 2"
    ),
)
test("reflection", "DESCRIBE", ask("describe p.public.all_types"))
test("reflection", "DESCRIBE of a view", ask("describe p.portfolio_now"))
test(
    "reflection",
    "duckdb_columns()",
    ask(
        "select column_name, data_type, is_nullable from duckdb_columns() where "
        "database_name = 'p' and table_name = 'portfolio' order by column_index"
    ),
)
for sql in (
    "select * from p.all_types order by id",
    "select count(*) from p.payments_scored",
    "select id from p.all_types where id > 3 order by id",
    "select id from p.all_types where txt = 'NULL'",
    "select id from p.all_types where txt is null",
    "select id from p.all_types where flag order by id",
    "select id from p.all_types where at >= timestamptz '2024-01-01' and "
    "at < timestamptz '2025-01-01' order by id",
    "select id from p.all_types where day = date '2024-02-29'",
    "select id from p.all_types where money = -1.5",
    "select id from p.all_types where f8 = 0.1",
    "select id from p.all_types where id in (1, 5) order by id",
    "select id from p.all_types where id = 1 or id = 5 order by id",
    "select id from p.all_types order by id limit 2",
    "select flag, count(*), sum(money) from p.all_types where id > 3 group by all order by all",
    "select lender_id, max(window_end) from p.portfolio_now group by all order by all",
    "select a.id, b.id from p.all_types a join p.all_types b on a.id = b.id + 1 order by 1",
    "select decision, count(*), sum(tx_amount) from p.payments_scored group by all order by all",
    "select i1, i2, i4, i8 from p.all_types order by id",
    "select d38, d1818 from p.all_types order by id",
    "select txt from p.all_types where txt like '{%'",
):
    test("tables", sql, ask(sql), 3)
for sql in (
    "select * from postgres_query('p', 'select id, txt from all_types order by id')",
    "select * from postgres_query('p', 'select count(*) as n from payments_scored')",
    "select * from postgres_query('p', 'select array[1, 2]::int4[] as a, now() is null as b')",
    "select * from postgres_query('p', 'select "
    "''a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11''::uuid as u, "
    "interval ''1 day'' as i, time ''12:00'' as t, ''{\"a\":1}''::json as j')",
    "select * from postgres_query('p', 'select 1.5::numeric(10,2) as a, 0.5::float4 as b, "
    "''x''::varchar as c')",
):
    test("frames", sql[:100], ask(sql), 2)
test(
    "frames",
    "postgres_scan",
    ask(f"select count(*) from postgres_scan('{DSN}', 'public', 'all_types')"),
)
test(
    "frames",
    "postgres_scan_pushdown",
    ask(
        f"select id from postgres_scan_pushdown('{DSN}', 'public', 'all_types') where id > 4 "
        "order by id"
    ),
)
test(
    "frames",
    "a table made of one",
    ask(
        "create or replace temp table t as from p.payments_scored; "
        "select count(*), sum(tx_amount) from t"
    ),
)


def in_transaction():
    connection = database()
    connection.execute("begin")
    try:
        one = connection.execute("select count(*) from p.all_types").fetchall()
        two = connection.execute("select count(*) from p.portfolio").fetchall()
    finally:
        connection.execute("commit")
    return [one, two]


test("begin", "REPEATABLE READ READ ONLY", in_transaction, 2)


def settings(name, value):
    def run():
        connection = database()
        connection.execute(f"set {name} = {value}")
        try:
            return connection.execute("select * from p.all_types order by id").fetchall()
        finally:
            connection.execute(f"reset {name}")

    return run


for name, value in (
    ("pg_use_binary_copy", "false"),
    ("pg_use_ctid_scan", "false"),
    ("pg_experimental_filter_pushdown", "false"),
    ("pg_connection_cache", "false"),
    ("pg_array_as_varchar", "true"),
    ("pg_use_text_protocol", "true"),
):
    test("frames", f"{name} = {value}", settings(name, value))
test(
    "read-only", "postgres_execute", ask("call postgres_execute('p', 'create table made (a int)')")
)
test("pool", "pg_clear_cache", ask("call pg_clear_cache()"))
secret = (
    f"host={tests.HOST} port={tests.USERS_PORT} user={tests.USERS_NAME} dbname={tests.DATABASE} "
    f"password='{tests.USERS_PASSWORD}'"
)


def signed_in():
    connection = database()
    connection.execute(
        f"attach '{secret.replace(chr(39), chr(39) * 2)}' as r (type postgres, read_only)"
    )
    found = connection.execute("select count(*) from r.all_types").fetchall()
    connection.execute("detach r")
    return found


test("password", "right", signed_in)
