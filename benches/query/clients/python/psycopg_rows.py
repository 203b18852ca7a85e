"""Rows by psycopg 3: server cursors, COPY, pipelines."""

import psycopg

from by_psycopg import error, main, parameter, rows
from tests import test


# Cursors on the server
def named(**more):
    def run():
        connection = main.get()
        with connection.transaction():
            with connection.cursor("c", **more) as cursor:
                cursor.execute("select id, txt from all_types order by id")
                first = cursor.fetchone()
                columns = [[c.name, c.type_code] for c in cursor.description]
                return [columns, first, cursor.fetchmany(2), cursor.fetchall()]

    return run


test("cursors", "server cursor", named(), 10, error)
test("cursors", "server cursor, scrollable", named(scrollable=True), 1, error)
test("cursors", "server cursor, not scrollable", named(scrollable=False), 1, error)


def iterated():
    with main.get().transaction(), main.get().cursor("c") as cursor:
        cursor.itersize = 2
        cursor.execute("select id from all_types order by id")
        return list(cursor)


test("cursors", "server cursor, read by two", iterated, 1, error)


def binary_cursor():
    with main.get().transaction(), main.get().cursor("c", binary=True) as cursor:
        cursor.execute("select id, at, money, f8 from all_types order by id")
        return cursor.fetchall()


test("cursors", "server cursor, binary", binary_cursor, 1, error)


def moved():
    with main.get().transaction(), main.get().cursor("c", scrollable=True) as cursor:
        cursor.execute("select id from all_types order by id")
        cursor.scroll(2)
        return cursor.fetchone()


test("cursors", "server cursor, moved", moved, 1, error)


def with_parameters():
    with main.get().transaction(), main.get().cursor("c") as cursor:
        cursor.execute("select id from all_types where id > %s order by id", (3,))
        return cursor.fetchall()


test("cursors", "server cursor with a parameter", with_parameters, 1, error)


def held():
    connection = main.get()
    with connection.cursor("held", withhold=True) as cursor:
        with connection.transaction():
            cursor.execute("select id from all_types order by id")
            first = cursor.fetchone()
        return [first, cursor.fetchall()]


test("hold", "read after the transaction", held, 3, error)


# COPY
def copied(sql):
    def run():
        with main.get().cursor().copy(sql) as copy:
            data = b"".join(bytes(block) for block in copy)
        return data

    return run


TABLE = "(select * from all_types order by id)"
for options in (
    "",
    "(format text)",
    "(format csv)",
    "(format csv, header)",
    "(format csv, header true, delimiter ';', null 'N', quote '''')",
    "(format csv, force_quote *)",
    "with csv header",
    "csv",
    "with (format text, delimiter '|', null '-')",
):
    test("copy-text", options or "plain", copied(f"copy {TABLE} to stdout {options}"), 2, error)
test("copy-text", "a table", copied("copy all_types (id, i2) to stdout"), 1, error)
test("copy-text", "a table, all columns", copied("copy all_types to stdout"), 1, error)
test("copy-text", "no rows", copied("copy (select 1 where false) to stdout"), 1, error)
for options in (
    "(format binary)",
    '(format "binary")',
    "(format 'binary')",
    "with binary",
    "with (format binary)",
):
    test("copy-binary", options, copied(f"copy {TABLE} to stdout {options}"), 2, error)


def copied_rows():
    sql = (
        f"copy (select id, i8, money, at, txt from all_types order by id) to stdout (format binary)"
    )
    with main.get().cursor().copy(sql) as copy:
        copy.set_types(["int4", "int8", "numeric", "timestamptz", "text"])
        return list(copy.rows())


test("copy-binary", "rows of types", copied_rows, 1, error)


def copy_in_error():
    try:
        with main.get().cursor().copy("copy (select 1/(id - 3) from all_types) to stdout") as copy:
            list(copy)
    except psycopg.Error as problem:
        return [problem.sqlstate, rows("select 1")]


test("error-midway", "in COPY", copy_in_error, 1, error)
test("read-only", "copy from stdin", lambda: rows("copy all_types from stdin"), 1, error)
test("read-only", "copy to a program", lambda: rows("copy all_types to program 'cat'"), 1, error)


# Pipelines
def pipelined():
    connection = main.get()
    with connection.pipeline():
        cursors = [connection.execute("select %s::int4 + 1", (n,)) for n in range(20)]
        early = cursors[3].fetchall()
    return [early, [cursor.fetchall() for cursor in cursors[4:]]]


test("pipeline", "twenty statements", pipelined, 3, error)


def pipelined_error():
    connection = main.get()
    seen = []
    try:
        with connection.pipeline() as pipeline:
            first = connection.execute("select 1")
            bad = connection.execute("select nothing from all_types")
            skipped = connection.execute("select 2")
            pipeline.sync()
            after = connection.execute("select 3")
            for cursor in (first, bad, skipped, after):
                try:
                    seen.append(cursor.fetchall())
                except psycopg.Error as problem:
                    seen.append(problem.sqlstate or type(problem).__name__)
    except psycopg.Error as problem:
        seen.append(problem.sqlstate)
    return seen + [rows("select 4")]


test("pipeline", "an error in the middle", pipelined_error, 2, error)


def many():
    cursor = main.get().cursor()
    cursor.executemany("select %s::int4", [(n,) for n in range(5)], returning=True)
    found = [cursor.fetchall()]
    while cursor.nextset():
        found.append(cursor.fetchall())
    return found


test("pipeline", "executemany", many, 1, error)


def flushed():
    connection = main.get()
    with connection.pipeline():
        one = connection.execute("select 1").fetchall()
        two = connection.execute("select 2").fetchall()
    return [one, two]


test("flush", "in a pipeline", flushed, 1, error)
