"""postgres_fdw 15: a PostgreSQL that reads our tables as foreign ones."""

import os

import psycopg

import tests
from tests import test

PG = os.environ["FDW_PORT"]


def error(problem):
    return getattr(problem, "sqlstate", None)


def connect():
    connection = psycopg.connect(
        host=tests.HOST, port=PG, user="postgres", dbname="postgres", autocommit=True
    )
    name = f"s{tests.PORT}"
    connection.execute("create extension if not exists postgres_fdw")
    connection.execute(f"drop server if exists {name} cascade")
    connection.execute(
        f"create server {name} foreign data wrapper postgres_fdw options (host '127.0.0.1', "
        f"port '{tests.PORT}', dbname '{tests.DATABASE}', fetch_size '3')"
    )
    connection.execute(
        f"create user mapping for current_user server {name} options (user '{tests.USER}', "
        "password_required 'false')"
    )
    connection.execute(f"drop schema if exists {name} cascade; create schema {name}")
    connection.execute(f"set search_path = {name}")
    return connection, name


state = {}


def imported():
    if "connection" not in state:
        connection, name = connect()
        connection.execute(
            "import foreign schema public limit to (all_types, portfolio, portfolio_now, "
            f"payments_scored) from server {name} into {name}"
        )
        state["connection"] = connection
    return state["connection"]


def described():
    return (
        imported()
        .execute(
            "select relname, attname, format_type(atttypid, atttypmod), attnotnull from "
            "pg_attribute a join pg_class c on c.oid = attrelid where relname in ('all_types', "
            "'portfolio_now') and attnum > 0 and relnamespace = "
            f"'s{tests.PORT}'::regnamespace order by 1, attnum"
        )
        .fetchall()
    )


test("foreign", "IMPORT FOREIGN SCHEMA", described, 1, error)
for sql in (
    "select * from all_types order by id",
    "select count(*) from payments_scored",
    "select id from all_types where id > 3 order by id",
    "select id from all_types where txt = 'NULL'",
    "select id from all_types where txt like '%NULL%' order by id",
    "select id from all_types where at > '2024-01-01' and day < '2030-01-01' order by id",
    "select id from all_types where money = -1.50",
    "select id from all_types where id in (1, 3) or flag order by id",
    "select id from all_types where id = any(array[1, 3]) order by id",
    "select id from all_types where flag is null",
    "select id from all_types where f8 = 0.1",
    "select flag, count(*), sum(i4), max(day) from all_types group by flag order by flag",
    "select a.id, b.id from all_types a join all_types b on a.id = b.id + 1 order by 1",
    'select id from all_types order by txt collate "C" limit 3',
    "select id from all_types order by id limit 2 offset 1",
    "select distinct flag from all_types order by flag",
    "select lender_id, count(*) from portfolio_now group by 1 order by 1",
    "select avg(f8) from all_types where id = 4",
    "select id, length(txt), upper(txt) from all_types where length(txt) < 10 order by id",
    "select i4 + 1 from all_types where i4 + 1 = 2",
    "select a.id from all_types a where exists (select 1 from portfolio p where "
    "p.n_loans_open > a.id) order by 1",
):
    test("foreign", sql, lambda sql=sql: imported().execute(sql).fetchall(), 2, error)


def analyzed():
    imported().execute("analyze all_types")
    return imported().execute("select count(*) from all_types").fetchall()


test("foreign", "ANALYZE of a foreign table", analyzed, 1, error)


def estimated():
    connection = imported()
    connection.execute("alter foreign table all_types options (add use_remote_estimate 'true')")
    try:
        return connection.execute("select id from all_types where id > 3 order by id").fetchall()
    finally:
        connection.execute("alter foreign table all_types options (drop use_remote_estimate)")


test("foreign", "use_remote_estimate (reads EXPLAIN)", estimated, 1, error)


def in_transaction():
    connection = imported()
    with connection.transaction():
        one = connection.execute("select count(*) from all_types").fetchall()
        with connection.transaction():
            two = connection.execute("select count(*) from all_types where id > 2").fetchall()
    return [one, two]


test("foreign", "within a transaction and a savepoint", in_transaction, 2, error)
test(
    "foreign",
    "writes are refused",
    lambda: imported().execute("insert into all_types (id) values (7)").statusmessage,
    1,
    error,
)
