"""What the tests of psycopg 3 share: connections, parameters, answers."""

import json

import psycopg
from psycopg.types.json import Json, Jsonb

import tests
from tests import Connection, test, value


def connect(**more):
    return psycopg.connect(autocommit=True, connect_timeout=10, **more)


def usable(connection):
    if connection.closed or connection.broken:
        return False
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        connection.rollback()
    return connection.autocommit


main = Connection(connect, usable, lambda connection: connection.close())


def error(problem):
    return getattr(problem, "sqlstate", None)


def parameter(given):
    kind, text = given["type"], given["value"]
    if text is not None and kind in ("json", "jsonb"):
        return (Json if kind == "json" else Jsonb)(json.loads(text))
    return value(kind, text)


def answer(cursor):
    if cursor.description is None:
        return {"status": cursor.statusmessage}
    columns = [
        [c.name, c.type_code, c.internal_size, c.precision, c.scale] for c in cursor.description
    ]
    return {"columns": columns, "rows": cursor.fetchall(), "status": cursor.statusmessage}


def ask(connection, sql, parameters, binary=False):
    cursor = psycopg.RawCursor(connection)
    given = [parameter(p) for p in parameters] or None
    cursor.execute(sql, given, binary=binary)
    return answer(cursor)


def rows(sql, given=None, **more):
    return main.get().execute(sql, given, **more).fetchall()
