"""pg8000: the protocol in Python alone; text results, types given at Parse."""

import json
import re

import pg8000.dbapi
import pg8000.exceptions
import pg8000.native

import tests
from tests import Connection, test, value


def connect(**more):
    more = {"host": tests.HOST, "port": tests.PORT, "database": tests.DATABASE, **more}
    return pg8000.native.Connection(**{"user": tests.USER, "timeout": 60, **more})


def usable(connection):
    try:
        connection.run("rollback")
        return True
    except Exception:
        return False


main = Connection(connect, usable, lambda connection: connection.close())


def error(problem):
    if isinstance(problem, pg8000.exceptions.DatabaseError):
        fields = problem.args[0] if problem.args else None
        if isinstance(fields, dict):
            return fields.get("C")
    return None


def parameter(given):
    kind, text = given["type"], given["value"]
    if text is not None and kind in ("json", "jsonb"):
        return json.loads(text)
    return value(kind, text)


def ask(connection, sql, parameters):
    if not parameters:
        rows = connection.run(sql)
    else:
        sql = re.sub(r"\$(\d)", r":p\1", sql.replace("::", " :: "))
        rows = connection.run(sql, **{f"p{n}": parameter(p) for n, p in enumerate(parameters, 1)})
    columns = connection.columns
    if columns is None:
        return {"rows": rows}
    keep = ("name", "type_oid", "type_size", "type_modifier", "format")
    return {"columns": [[column[key] for key in keep] for column in columns], "rows": rows}


# Casts are not told from parameters in its text, so those with them are asked by CAST.
def ask_cast(connection, sql, parameters):
    if parameters:
        sql = re.sub(r"\$(\d)::([a-z0-9]+(\[\])?)", r"cast($\1 as \2)", sql)
    return ask(connection, sql, parameters)


tests.run_cases(main, ask_cast, error, skip=("catalog-columns",))


def prepared():
    statement = main.get().prepare("select id + cast(:a as int4) from all_types order by id")
    found = [statement.run(a=n) for n in range(12)]
    statement.close()
    return found


test("extended", "prepare()", prepared, 2, error)


def transactions():
    connection = main.get()
    found = []
    for sql in ("START TRANSACTION", "select 1", "select 1/0", "select 1", "commit", "select 1"):
        try:
            found.append(connection.run(sql))
        except pg8000.exceptions.DatabaseError as problem:
            found.append(problem.args[0]["C"])
    return found


test("status", "a failed transaction", transactions, 2, error)


def signed_in(user, password, **more):
    def run():
        try:
            connection = connect(port=tests.USERS_PORT, user=user, password=password, **more)
        except pg8000.exceptions.DatabaseError as problem:
            return [problem.args[0]["C"], problem.args[0]["M"]]
        found = connection.run("select count(*) from all_types")
        connection.close()
        return found

    return run


test("password", "right", signed_in(tests.USERS_NAME, tests.USERS_PASSWORD), 1, error)
test("password", "wrong", signed_in(tests.USERS_NAME, "wrong"), 1, error)
test(
    "ssl",
    "ssl_context=True",
    signed_in(tests.USERS_NAME, tests.USERS_PASSWORD, ssl_context=True),
    1,
    error,
)
for sql in ("", ";", "-- ping"):
    test("empty", repr(sql), lambda sql=sql: main.get().run(sql), 1, error)


def dbapi():
    connection = pg8000.dbapi.connect(
        user=tests.USER, host=tests.HOST, port=tests.PORT, database=tests.DATABASE
    )
    cursor = connection.cursor()
    cursor.execute("select id, txt from all_types where id > %s order by id", (3,))
    found = [list(map(str, c[:2])) for c in cursor.description], cursor.fetchall()
    connection.rollback()
    connection.close()
    return found


test("extended", "DB-API", dbapi, 2, error)


def copied():
    import io

    kept = io.BytesIO()
    main.get().run("copy (select * from all_types order by id) to stdout", stream=kept)
    return kept.getvalue()


test("copy-text", "run(stream=)", copied, 2, error)


def started():
    connection = connect(application_name="a name")
    return [connection.run("show application_name"), connection.run("show client_encoding")]


test("startup", "application_name", started, 1, error)


def reported():
    connection = connect()
    connection.run("set time zone 'Asia/Tokyo'")
    names = ("TimeZone", "client_encoding", "DateStyle")
    return [connection.parameter_statuses.get(name) for name in names]


test("reported", "after SET", reported, 1, error)
