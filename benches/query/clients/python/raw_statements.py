"""Statements by the simple and the extended protocol, with Flush and in pipelines."""

import struct

from tests import test
from wire import (
    FLUSH,
    SYNC,
    TERMINATE,
    INT4,
    TEXT,
    ROWS,
    Wire,
    asked,
    bind,
    close,
    describe,
    execute,
    packet,
    parse,
    query,
)

for sql in (
    "select 1",
    "select 1; select 'a', 2",
    "select 1; select nothing; select 2",
    "begin; select 1; commit",
    "begin; select 1/0; commit",
    "begin; select 1",
    "select 1; begin; select 2; commit; select 3",
    "set extra_float_digits = 1; show extra_float_digits",
    "select 1;",
    "commit",
    "begin; begin; commit",
    "rollback",
    "select 1; selec 2",
    "begin; select 1; rollback; select 2; select 1/0",
):
    test("simple", sql, asked(query(sql)))
for sql in ("", ";", " ", "-- ping", "/* a */", ";;", "select 1;; select 2", "-- a\n;"):
    test("empty", repr(sql), asked(query(sql)))
    test("empty", f"extended {sql!r}", asked(parse(sql), bind(), describe("P"), execute(), SYNC))

# Extended protocol
test(
    "extended", "unnamed", asked(parse(ROWS), describe("S"), bind(), describe("P"), execute(), SYNC)
)
test("extended", "named twice", asked(parse("select 1", "a"), parse("select 2", "a"), SYNC))
test(
    "extended",
    "unnamed twice",
    asked(parse("select 1"), parse("select 2"), bind(), execute(), SYNC),
)
test("extended", "an unknown statement", asked(bind(statement="nothing"), SYNC))
test("extended", "an unknown portal", asked(execute("nothing"), SYNC))
test("extended", "describe unknown", asked(describe("S", "nothing"), SYNC))
test("extended", "close unknown", asked(close("S", "nothing"), close("P", "nothing"), SYNC))
test(
    "extended", "closed", asked(parse("select 1", "a"), close("S", "a"), bind(statement="a"), SYNC)
)
test("extended", "two statements in Parse", asked(parse("select 1; select 2"), SYNC))
test(
    "extended",
    "too few values",
    asked(parse("select $1::int4", types=(INT4,)), bind(), execute(), SYNC),
)
test("extended", "too many values", asked(parse("select 1"), bind((b"1",)), execute(), SYNC))
test(
    "extended",
    "a value of another length",
    asked(parse("select $1::int4", types=(INT4,)), bind((b"\0\0",), formats=(1,)), execute(), SYNC),
)
test(
    "extended",
    "a text that is no number",
    asked(parse("select $1::int4", types=(INT4,)), bind((b"abc",)), execute(), SYNC),
)
test(
    "extended",
    "invalid UTF-8",
    asked(parse("select $1::text", types=(TEXT,)), bind((b"\xff",)), execute(), SYNC),
)
test(
    "extended",
    "a format that is none",
    asked(parse("select 1"), bind(results=(7,)), execute(), SYNC),
)
test("extended", "a message of an unknown kind", asked(packet("y"), last="E"))
test("extended", "SYNC alone", asked(SYNC))
test("extended", "executed twice", asked(parse("select 1"), bind(), execute(), execute(), SYNC))
test(
    "extended",
    "a portal after SYNC",
    asked(parse(ROWS), bind(portal="p"), execute("p", 2), SYNC, execute("p", 2), SYNC),
)
test("extended", "terminate", asked(TERMINATE, last="E"))
for _ in range(1):
    packets = [
        bind((struct.pack("!i", n),), statement="s", formats=(1,), results=(1,)) + execute()
        for n in range(10)
    ]
    test(
        "extended",
        "one statement, ten executions",
        asked(parse("select $1 + 1", "s", (INT4,)), *packets, SYNC),
    )


def flushed():
    connection = Wire()
    found = [connection.ask(parse("select $1::int4 + 1", "s"), describe("S", "s"), FLUSH, last="T")]
    found.append(connection.ask(bind((b"2",), statement="s"), execute(), FLUSH, last="C"))
    found.append(connection.is_quiet())
    found.append(connection.ask(SYNC))
    return found


test("flush", "Parse, Bind, Execute", flushed, 3)


def error_flushed():
    connection = Wire()
    connection.send(parse("select nothing from all_types"), FLUSH)
    found = [connection.until("E"), connection.is_quiet()]
    connection.send(parse("select 1"), bind(), execute(), FLUSH)
    found.append(connection.is_quiet())
    return found + [connection.ask(SYNC)]


test("flush", "after an error nothing to SYNC", error_flushed)
test(
    "pipeline",
    "three before one SYNC",
    asked(*[parse(f"select {n}") + bind() + execute() for n in range(3)], SYNC),
)
test(
    "pipeline",
    "an error in the middle",
    asked(
        *[parse(sql) + bind() + execute() for sql in ("select 1", "select 1/0", "select 2")], SYNC
    ),
)


def two_batches():
    connection = Wire()
    connection.send(
        parse("selec"), bind(), execute(), SYNC, parse("select 1"), bind(), execute(), SYNC
    )
    return connection.until() + connection.until()


test("pipeline", "an error, SYNC, another batch", two_batches)
test(
    "pipeline",
    "begin and commit among them",
    asked(
        *[parse(sql) + bind() + execute() for sql in ("begin", "select 1", "commit", "select 2")],
        SYNC,
    ),
)
test(
    "pipeline",
    "a failed transaction",
    asked(*[parse(sql) + bind() + execute() for sql in ("begin", "select 1/0", "select 1")], SYNC),
)
