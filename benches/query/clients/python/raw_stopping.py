"""Cancel, time limits, clients that go away."""

import socket
import struct
import time

import tests
import wire
from tests import test
from wire import SYNC, SLOW, Wire, bind, execute, parse, query


def cancel(key):
    with socket.create_connection((tests.HOST, tests.PORT), 5) as connection:
        connection.sendall(struct.pack("!ii", 16, wire.CODES["cancel"]) + key)
        connection.settimeout(5)
        try:
            return connection.recv(1) == b""
        except OSError:
            return False


def cancelled(sql):
    def run():
        connection = Wire()
        connection.send(query(sql))
        time.sleep(0.3)
        began = time.monotonic()
        closed = cancel(connection.key)
        found = connection.until()
        soon = time.monotonic() - began < 1
        return [closed, found[-2:], soon, connection.ask(query("select 1"))]

    return run


for sql in (
    SLOW,
    "select pg_sleep(20)",
    "select a.i from generate_series(1, 3000000) a(i) order by a.i % 1000, a.i desc",
    "select count(distinct a.i) from generate_series(1, 30000000) a(i)",
):
    test("cancel", sql, cancelled(sql))


def wrong_key():
    connection = Wire()
    pid, secret = struct.unpack("!iI", connection.key)
    connection.send(query("select pg_sleep(1)"))
    cancel(struct.pack("!iI", pid, secret ^ 1))
    cancel(struct.pack("!iI", pid + 1, secret))
    return connection.until()[-2:]


test("cancel-fetch", "a wrong key", wrong_key)


def between_fetches():
    connection = Wire()
    found = connection.ask(query("begin"))
    sql = "select i from generate_series(1, 100000) a(i)"
    found += [len(connection.ask(parse(sql), bind(portal="p"), execute("p", 10), SYNC))]
    cancel(connection.key)
    time.sleep(0.2)
    return found + [len(connection.ask(execute("p", 10), SYNC))] + connection.ask(query("commit"))


test("cancel-fetch", "between two fetches nothing is stopped", between_fetches)


def while_fetching():
    connection = Wire()
    connection.ask(query("begin"))
    connection.ask(parse(SLOW), bind(portal="p"), SYNC)
    connection.send(execute("p", 10), SYNC)
    time.sleep(0.3)
    cancel(connection.key)
    return connection.until()[-2:] + connection.ask(query("rollback"))


test("cancel-fetch", "while a portal runs", while_fetching)


def in_copy():
    connection = Wire()
    connection.send(query("copy (select i from generate_series(1, 100000000) a(i)) to stdout"))
    connection.message()
    time.sleep(0.2)
    cancel(connection.key)
    last = []
    while True:
        kind, body = connection.message()
        if kind in "EZ":
            last.append(wire.shown(kind, body))
        if kind == "Z":
            return last


test("cancel", "in COPY", in_copy)


def timed_out(sql):
    def run():
        connection = Wire(options="-c statement_timeout=400")
        began = time.monotonic()
        found = connection.ask(query(sql))
        soon = time.monotonic() - began < 2
        return [
            found[-2:],
            soon,
            connection.ask(query("set statement_timeout = 0"), query("select 1")),
        ]

    return run


for sql in (SLOW, "select pg_sleep(5)"):
    test("timeout", sql, timed_out(sql))


def running(connection):
    """How many statements like the slow one the server works at."""
    ours = (
        "select count(*) from system.queries where state = 'running' and "
        "statement like '%100000) b' and statement not like '%system.queries%'"
    )
    theirs = (
        "select count(*) from pg_stat_activity where state = 'active' and query like '%100000) b'"
    )
    for sql in (ours, theirs):
        answer = connection.ask(query(sql))
        if answer[0][0] == "RowDescription":
            return answer[1][1][0]
    return None


def killed():
    """How many run while a client is there, and a second after it is gone."""
    other = Wire()
    other.send(query(SLOW))
    time.sleep(0.5)
    watcher = Wire()
    found = [running(watcher)]
    other.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.socket.close()
    time.sleep(1)
    return found + [running(watcher)]


test("killed", "the connection is reset", killed)
