"""Statements and transactions by psycopg 3."""

import psycopg

from by_psycopg import answer, connect, error, main, rows
from tests import test


# Statements
def several(sql):
    def run():
        cursor = main.get().execute(sql)
        found = [answer(cursor)]
        while cursor.nextset():
            found.append(answer(cursor))
        return found

    return run


for sql in (
    "select 1; select 2, 'x'",
    "begin; select 1; commit",
    "set extra_float_digits = 1; select 1;",
    ";;",
    "select 1; ; select 2;",
    "show TimeZone; select 1",
):
    test("simple", sql, several(sql), 1, error)


def several_with_error():
    try:
        several("select 1; select nothing; select 2")()
    except psycopg.Error as problem:
        return [problem.sqlstate, rows("select 3")]


test("simple", "an error in the middle", several_with_error, 1, error)
for sql in ("", ";", "-- ping", "/* only this */", "  "):
    test("empty", repr(sql), lambda sql=sql: answer(main.get().execute(sql)), 2, error)


def prepared(sql, given):
    def run():
        found = [main.get().execute(sql, given, prepare=True).fetchall() for _ in range(12)]
        return found

    return run


test(
    "extended",
    "prepared at once",
    prepared("select %s::int4 + id from all_types order by 1", (1,)),
    1,
    error,
)
test("extended", "prepared show", prepared("show TimeZone", None), 1, error)


def streamed(size):
    def run():
        cursor = main.get().cursor()
        found = cursor.stream("select transaction_id from payments_scored order by 1", size=size)
        return len(list(found))

    return run


test("large", "single row mode", streamed(1), 1, error)
test(
    "large", "200000 rows", lambda: len(rows("select * from generate_series(1, 200000)")), 1, error
)
test("large", "a long text", lambda: len(rows("select repeat('x', 5000000)")[0][0]), 1, error)


def new_state():
    found = []
    for zone in ("UTC", "Asia/Tokyo", "UTC"):
        main.get().execute(f"set time zone '{zone}'")
        sql = "select (timestamptz '2024-06-15 10:00+00')::text"
        found.append(main.get().execute(sql, prepare=True).fetchall())
    return found


test("new-rows", "a setting changes between two executions", new_state, 1, error)


# Transactions
def transactions():
    connection = main.get()
    status = [connection.info.transaction_status.name]
    with connection.transaction():
        status.append(connection.info.transaction_status.name)
        try:
            with connection.transaction():
                connection.execute("select 1/0")
        except psycopg.errors.DivisionByZero:
            status.append(connection.info.transaction_status.name)
        connection.execute("select 1")
    return status + [connection.info.transaction_status.name]


test("savepoints", "nested transactions", transactions, 3, error)


def failed_one():
    connection = main.get()
    found = []
    for sql in ("begin", "select 1/0", "select 1", "commit", "select 1"):
        try:
            found.append(connection.execute(sql).statusmessage)
        except psycopg.Error as problem:
            found.append([problem.sqlstate, connection.info.transaction_status.name])
    return found


test("status", "a failed transaction", failed_one, 2, error)


def isolated(level, read_only, deferrable):
    def run():
        connection = connect()
        connection.autocommit = False
        connection.isolation_level = level
        connection.read_only = read_only
        connection.deferrable = deferrable
        with connection:
            return connection.execute("show transaction_isolation").fetchall()

    return run


for level in (None, *psycopg.IsolationLevel):
    for read_only in (None, True):
        for deferrable in (None, True):
            case = f"{level.name if level else None} {read_only} {deferrable}"
            test("begin", case, isolated(level, read_only, deferrable), 1, error)


def two_phase():
    connection = main.get()
    connection.autocommit = False
    try:
        connection.tpc_begin(connection.xid(1, "g", "b"))
        connection.execute("select 1")
        connection.tpc_rollback()
    finally:
        main.drop()
    return "rolled back"


test("begin", "two-phase, rolled back", two_phase, 1, error)
