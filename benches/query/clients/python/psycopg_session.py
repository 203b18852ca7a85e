"""Sessions by psycopg 3: cancel, time limits, start, settings, errors, refusals."""

import threading
import time

import psycopg

import tests
from by_psycopg import answer, connect, error, main, rows
from tests import test

# Stopping
SLOW = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b"


def cancelled(sql):
    def run():
        connection = main.get()
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        began = time.monotonic()
        try:
            connection.execute(sql)
            return "it ended"
        except psycopg.Error as problem:
            soon = time.monotonic() - began < 2
            return [problem.sqlstate, soon, rows("select 1")]
        finally:
            timer.join()

    return run


for sql in (
    "select pg_sleep(20)",
    SLOW,
    "select a from generate_series(1, 30000000) a order by a desc",
    "select count(*) from (select distinct a from generate_series(1, 50000000) a) s",
):
    test("cancel", sql, cancelled(sql), 1, error)


def timed_out(sql):
    def run():
        connection = connect(options="-c statement_timeout=300")
        began = time.monotonic()
        try:
            connection.execute(sql)
            return "it ended"
        except psycopg.Error as problem:
            soon = time.monotonic() - began < 2
            text = problem.diag.message_primary
            connection.execute("set statement_timeout = 0")
            return [problem.sqlstate, text, soon, connection.execute("select 1").fetchall()]

    return run


for sql in ("select pg_sleep(20)", SLOW):
    test("timeout", sql, timed_out(sql), 1, error)


def midway():
    connection = main.get()
    try:
        connection.execute("select 1000/(20000 - a) from generate_series(1, 30000) a").fetchall()
        return "no error"
    except psycopg.Error as problem:
        return [problem.sqlstate, rows("select 1")]


test("error-midway", "after 20000 rows", midway, 3, error)


# Start
def started(**more):
    def run():
        with connect(**more) as connection:
            return [
                connection.execute(f"show {name}").fetchall()[0][0]
                for name in ("application_name", "statement_timeout", "TimeZone", "datestyle")
            ]

    return run


test("startup", "application name", started(application_name="a name"), 1, error)
test(
    "startup",
    "options",
    started(options="-c statement_timeout=5s -c TimeZone=Asia/Tokyo"),
    1,
    error,
)
test("startup", "options with a space", started(options="-c application_name=a\\ b"), 1, error)
test("startup", "options --", started(options="--statement-timeout=7s"), 1, error)


def signed_in(password, user=tests.USERS_NAME, **more):
    def run():
        with connect(port=tests.USERS_PORT, user=user, password=password, **more) as connection:
            return connection.execute("select count(*) from all_types").fetchall()

    def told():
        try:
            return run()
        except psycopg.OperationalError as problem:
            text = str(problem)
            return text[text.find("FATAL") :].split("\n")[0]

    return told


test("password", "right", signed_in(tests.USERS_PASSWORD), 2, error)
test("password", "wrong", signed_in("wrong"), 1, error)
test("password", "empty", signed_in(" "), 1, error)
test("password", "unknown user", signed_in("wrong", "nobody_here"), 1, error)
test("ssl", "required", signed_in(tests.USERS_PASSWORD, sslmode="require"), 1, error)
test("ssl", "channel binding", signed_in(tests.USERS_PASSWORD, channel_binding="require"), 1, error)


def no_database():
    try:
        connect(dbname="nothing_here")
    except psycopg.OperationalError as problem:
        text = str(problem)
        return text[text.find("FATAL") :].split("\n")[0]


test("database", "unknown", no_database, 1, error)


def reported():
    connection = connect()
    names = (
        "server_encoding client_encoding DateStyle IntervalStyle TimeZone integer_datetimes "
        "standard_conforming_strings application_name is_superuser in_hot_standby"
    ).split()

    def now():
        found = [connection.info.parameter_status(name) for name in names]
        connection.execute("select 1")
        return found

    before = now()
    connection.execute("set time zone 'Asia/Tokyo'")
    connection.execute("set application_name = 'x'")
    after = now()
    connection.execute("begin")
    connection.execute("set datestyle = 'ISO, DMY'")
    inside = now()
    connection.execute("rollback")
    return [before, after, inside, now()]


test("reported", "after SET and ROLLBACK", reported, 1, error)


def position():
    found = []
    for sql in ("selec 1", "select 1 +", "select * fro all_types", "select (1 from x"):
        try:
            rows(sql)
        except psycopg.Error as problem:
            found.append([problem.diag.message_primary, problem.diag.statement_position])
    return found


test("position", "syntax errors", position, 1, error)


def texts():
    found = []
    for sql in (
        "select * from nothing_here",
        "select nothing from all_types",
        "select nothing_like_it(1)",
        "select 1/0",
        "select 'a'::int4",
        "insert into all_types (id) values (1)",
        "show nothing_like_it",
    ):
        try:
            rows(sql)
        except psycopg.Error as problem:
            found.append(problem.diag.message_primary.split("(")[0])
    return found


test("sqlstates", "texts that tools match", texts, 1, error)
for sql in (
    "listen x",
    "notify x",
    "unlisten *",
    "lock table all_types in access share mode",
    "copy all_types to '/tmp/x'",
    "vacuum",
    "analyze",
    "checkpoint",
    "select pg_read_file('/etc/passwd')",
    "load 'x'",
    "do $$ begin end $$",
    "call x()",
    "create extension x",
):
    test("read-only", sql, lambda sql=sql: answer(main.get().execute(sql)), 1, error)
for sql in (
    "discard all",
    "reset all",
    "deallocate all",
    "close all",
    "unlisten *",
    "discard plans",
    "discard temp",
    "discard sequences",
    "select pg_advisory_unlock_all()",
):
    test("pool", sql, lambda sql=sql: answer(main.get().execute(sql)), 1, error)


def kinds_of_types():
    info = psycopg.types.TypeInfo.fetch(main.get(), "numeric")
    return [info.name, info.oid, info.array_oid]


test("types", "TypeInfo.fetch", kinds_of_types, 1, error)


def composite():
    info = psycopg.types.composite.CompositeInfo.fetch(main.get(), "all_types")
    return [info.field_names, info.field_types]


test("types", "CompositeInfo.fetch of a table", composite, 1, error)


def interleaved():
    connection = main.get()
    with connection.transaction():
        one, two = connection.cursor("one"), connection.cursor("two")
        one.execute("select id from all_types order by id")
        two.execute("select id from all_types order by id desc")
        return [one.fetchone(), two.fetchone(), one.fetchmany(2), two.fetchmany(2), one.fetchall()]


test("portals", "two cursors", interleaved, 3, error)
