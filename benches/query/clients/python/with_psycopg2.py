"""psycopg2, and with it pandas' and Superset's way: parameters are put into the text."""

import json
import re
import threading

import psycopg2
import psycopg2.extensions
import psycopg2.extras

import tests
from tests import Connection, test, value


def connect(**more):
    more = {"host": tests.HOST, "port": tests.PORT, "dbname": tests.DATABASE, **more}
    connection = psycopg2.connect(**{"user": tests.USER, "connect_timeout": 10, **more})
    connection.autocommit = True
    return connection


def usable(connection):
    if connection.closed:
        return False
    if connection.status != psycopg2.extensions.STATUS_READY or not connection.autocommit:
        connection.rollback()
        connection.autocommit = True
    return True


main = Connection(connect, usable, lambda connection: connection.close())


def error(problem):
    return getattr(problem, "pgcode", None)


def parameter(given):
    kind, text = given["type"], given["value"]
    if text is not None and kind in ("json", "jsonb"):
        return psycopg2.extras.Json(json.loads(text))
    if text is not None and kind == "uuid":
        return text
    if text is not None and kind == "bytea":
        return psycopg2.Binary(bytes.fromhex(text))
    return value(kind, text)


def answer(cursor):
    if cursor.description is None:
        return {"status": cursor.statusmessage}
    columns = [
        [c.name, c.type_code, c.internal_size, c.precision, c.scale] for c in cursor.description
    ]
    return {"columns": columns, "rows": cursor.fetchall(), "status": cursor.statusmessage}


def ask(connection, sql, parameters):
    with connection.cursor() as cursor:
        if parameters:
            sql = re.sub(r"\$(\d)", r"%(p\1)s", sql.replace("%", "%%"))
            given = {f"p{n}": parameter(p) for n, p in enumerate(parameters, 1)}
            cursor.execute(sql, given)
        else:
            cursor.execute(sql)
        return answer(cursor)


def rows(sql, given=None):
    with main.get().cursor() as cursor:
        cursor.execute(sql, given)
        return cursor.fetchall()


tests.run_cases(main, ask, error, skip=("catalog-columns",))


def named(**more):
    def run():
        connection = main.get()
        connection.autocommit = False
        with connection, connection.cursor("c", **more) as cursor:
            cursor.itersize = 2
            cursor.execute("select id, txt from all_types order by id")
            found = [cursor.fetchone(), cursor.fetchmany(2), list(cursor)]
            return [[c.name for c in cursor.description], found]

    return run


test("cursors", "named", named(), 3, error)
test("cursors", "named, scrollable", named(scrollable=True), 1, error)


def held():
    connection = main.get()
    connection.autocommit = False
    cursor = connection.cursor("held", withhold=True)
    cursor.execute("select id from all_types order by id")
    first = cursor.fetchone()
    connection.commit()
    found = [first, cursor.fetchall()]
    cursor.close()
    connection.commit()
    return found


test("hold", "read after the transaction", held, 3, error)


def moved():
    connection = main.get()
    connection.autocommit = False
    with connection, connection.cursor("c", scrollable=True) as cursor:
        cursor.execute("select id from all_types order by id")
        cursor.scroll(3)
        found = [cursor.fetchone()]
        cursor.scroll(-2)
        return found + [cursor.fetchone()]


test("cursors", "scrolled", moved, 1, error)


class Kept:
    def __init__(self):
        self.parts = []

    def write(self, part):
        self.parts.append(bytes(part) if not isinstance(part, str) else part.encode())


def copied(sql):
    def run():
        kept = Kept()
        with main.get().cursor() as cursor:
            cursor.copy_expert(sql, kept)
        return b"".join(kept.parts)

    return run


test(
    "copy-text",
    "copy_expert",
    copied("copy (select * from all_types order by id) to stdout"),
    3,
    error,
)
test("copy-text", "csv", copied("copy all_types to stdout with csv header"), 1, error)


def copy_to():
    kept = Kept()
    with main.get().cursor() as cursor:
        cursor.copy_to(kept, "all_types", columns=("id", "money"))
    return b"".join(kept.parts)


test("copy-text", "copy_to", copy_to, 1, error)


def isolated(**more):
    def run():
        connection = connect()
        connection.autocommit = False
        connection.set_session(**more)
        with connection, connection.cursor() as cursor:
            cursor.execute("show transaction_isolation")
            found = cursor.fetchall()
            cursor.execute("show transaction_read_only")
            return found + cursor.fetchall()

    return run


for level in ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", None):
    test("begin", f"set_session {level}", isolated(isolation_level=level, readonly=True), 1, error)
test("begin", "deferrable", isolated(isolation_level="SERIALIZABLE", deferrable=True), 1, error)
test("begin", "autocommit", isolated(readonly=True, autocommit=True), 1, error)


def failed_one():
    connection = main.get()
    connection.autocommit = False
    found = []
    with connection.cursor() as cursor:
        for sql in ("select 1", "select 1/0", "select 1"):
            try:
                cursor.execute(sql)
                found.append(connection.get_transaction_status())
            except psycopg2.Error as problem:
                found.append([problem.pgcode, connection.get_transaction_status()])
    connection.rollback()
    return found + [connection.get_transaction_status()]


test("status", "a failed transaction", failed_one, 2, error)


def cancelled():
    connection = main.get()
    timer = threading.Timer(0.3, connection.cancel)
    timer.start()
    try:
        rows("select pg_sleep(20)")
    except psycopg2.Error as problem:
        return [problem.pgcode, rows("select 1")]
    finally:
        timer.join()


test("cancel", "cancel()", cancelled, 1, error)


def signed_in(user, password):
    def run():
        try:
            connection = connect(port=tests.USERS_PORT, user=user, password=password)
            return connection.info.ssl_in_use
        except psycopg2.OperationalError as problem:
            text = str(problem)
            return text[text.find("FATAL") :].split("\n")[0]

    return run


test("password", "right", signed_in(tests.USERS_NAME, tests.USERS_PASSWORD), 1, error)
test("password", "wrong", signed_in(tests.USERS_NAME, "wrong"), 1, error)
for sql in ("", "-- ping", ";"):
    test("empty", repr(sql), lambda sql=sql: ask(main.get(), sql, []), 1, error)
test("simple", "several", lambda: ask(main.get(), "select 1; select 2, 3", []), 1, error)


def values_of():
    with main.get().cursor() as cursor:
        sql = "select id from all_types where (id, txt) in %s order by id"
        cursor.execute(sql, (((4, "NULL"), (5, "{1,NULL}")),))
        return cursor.fetchall()


test("p-inferred", "a list of rows", values_of, 1, error)


def extras():
    with main.get().cursor() as cursor:
        sql = "select id from all_types a join (values %s) v(n) on v.n = a.id order by 1"
        return psycopg2.extras.execute_values(cursor, sql, [(1,), (3,)], fetch=True)


test("forms", "execute_values", extras, 1, error)


def hstore():
    return psycopg2.extras.HstoreAdapter.get_oids(main.get())


test("types", "hstore's OIDs", hstore, 1, error)


def asynchronous():
    import select

    connection = psycopg2.connect(
        host=tests.HOST, port=tests.PORT, dbname=tests.DATABASE, user=tests.USER, async_=True
    )

    def wait():
        while True:
            state = connection.poll()
            if state == psycopg2.extensions.POLL_OK:
                return
            ready = [connection.fileno()]
            if state == psycopg2.extensions.POLL_READ:
                select.select(ready, [], [], 10)
            else:
                select.select([], ready, [], 10)

    wait()
    cursor = connection.cursor()
    cursor.execute("select id from all_types order by id")
    wait()
    return cursor.fetchall()


test("extended", "asynchronous", asynchronous, 1, error)


def frame():
    import warnings

    import pandas

    warnings.simplefilter("ignore")
    sql = "select id, at, i2, i8, f8, flag, txt, money, day from all_types where id > 3"
    found = pandas.read_sql(f"{sql} order by id", main.get())
    return [[str(kind) for kind in found.dtypes], found.astype(str).values.tolist()]


test("frames", "pandas.read_sql", frame, 1, error)
