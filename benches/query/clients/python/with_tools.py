"""Tools that do not install from packages, by statements with the features that they use: one file
a tool in `tools/`. A statement ends with a line `;;`. Of one that begins with `-- rows` the rows
are compared too, else only names and types. `{all_types}` stands for a table's number, `-- each`
before a statement splits nothing: it is sent as it is, several statements in one message too.
"""

import os
import re
from pathlib import Path

import psycopg

import tests
from tests import Connection, test

FOLDER = Path(__file__).resolve().parent.parent / "tools"
FIRST_OID = 16_384


def connect():
    return psycopg.connect(autocommit=True, connect_timeout=10)


def usable(connection):
    if connection.closed:
        return False
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        connection.rollback()
    return True


main = Connection(connect, usable, lambda connection: connection.close())


def error(problem):
    return getattr(problem, "sqlstate", None)


def numbered(sql):
    """With the numbers of tables in place of their names."""

    def number(found):
        row = main.get().execute(f"select '{found[1]}'::regclass::oid").fetchone()
        return str(row[0])

    return re.sub(r"\{(\w+)\}", number, sql)


def answer(cursor, with_rows):
    if cursor.description is None:
        return cursor.statusmessage
    columns = [[c.name, c.type_code] for c in cursor.description]
    rows = cursor.fetchall()
    if not with_rows:
        return columns
    return [columns, [[shown(value, c) for value, c in zip(row, columns)] for row in rows]]


def shown(value, column):
    """A number that two servers give differently is only known to be one."""
    is_oid = column[1] in (26, 20, 23) and isinstance(value, int) and value >= FIRST_OID
    return "a number" if is_oid else value


def asked(sql, with_rows):
    def run():
        cursor = main.get().execute(numbered(sql))
        found = [answer(cursor, with_rows)]
        while cursor.nextset():
            found.append(answer(cursor, with_rows))
        return found

    return run


for path in sorted(FOLDER.glob("*.sql")):
    for number, statement in enumerate(path.read_text().split("\n;;"), 1):
        statement = statement.strip()
        if not statement:
            continue
        with_rows = statement.startswith("-- rows")
        name = " ".join(re.sub(r"^-- .*$", "", statement, flags=re.M).split())[:80]
        test(path.stem, f"{number} {name}", asked(statement, with_rows), 2, error)
    main.drop()
