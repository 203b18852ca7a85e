"""Long statements and answers: cancelled, left alone, read slowly; and clients beside a run."""

import socket
import subprocess
import sys
import threading
import time

import pyarrow
import pyarrow.compute
import world
from checking import refused
from raw import Raw
from wire import any_of

# Each takes much longer than any check: in a scan, a join, an aggregate, a sort.
LONG = (
    "select count(*) from generate_series(1, 10000000000000)",
    "select count(*) from payments a, payments b, payments c, payments d",
    "select i % 1000, count(*) from generate_series(1, 10000000000) as t(i) group by 1",
    "select i from generate_series(1, 100000000) as t(i) order by i % 7919 limit 5 offset 90000000",
)
STOPPED_S = 1.0
# Memory that may come while a client reads slowly.
FLAT_MB = 48
CLIENT = """
import sys, adbc_driver_flightsql.dbapi as flight_sql
uri, name, password, sql = sys.argv[1:]
with flight_sql.connect(uri, db_kwargs={"username": name, "password": password}) as connection:
    cursor = connection.cursor()
    print("asks", flush=True)
    cursor.execute(sql)
    cursor.fetchall()
"""


def cancelled(checks):
    """A driver's cancel stops the work, and the connection goes on."""
    most = 0.0
    for sql in LONG:
        with checks.connect("ann") as connection, connection.cursor() as cursor:
            stopped = []

            def stop():
                time.sleep(0.7)
                stopped.append(time.monotonic())
                cursor.adbc_cancel()

            thread = threading.Thread(target=stop)
            thread.start()
            refused(lambda: cursor.execute(sql).fetchall(), "", kinds=Exception)
            took = time.monotonic() - stopped[0]
            thread.join()
            assert took < STOPPED_S, f"{sql}: it took {took:.2f} s"
            most = max(most, took, checks.server.idle_within(STOPPED_S + 0.2))
            # Its place and its work are free.
            assert cursor.execute("select 1").fetchall() == [(1,)]
    return f"{1000 * most:.0f} ms at most"


def cancelled_by_flight(checks):
    """CancelFlightInfo on another connection stops the work."""
    other = Raw(checks.server, "ann")
    for sql in LONG:
        with checks.connect("ann") as connection, connection.cursor() as cursor:
            # A partition is a FlightInfo.
            [info], _ = cursor.adbc_execute_partitions(sql)
            said = []

            # pyarrow takes a call that the server has cancelled for Ctrl-C.
            def read():
                try:
                    cursor.adbc_read_partition(info)
                    cursor.fetchall()
                except Exception as error:  # of several kinds
                    said.append(str(error))

            thread = threading.Thread(target=read)
            thread.start()
            time.sleep(0.5)
            assert other.cancel(info) == 1
            began = time.monotonic()
            thread.join()
            assert time.monotonic() - began < STOPPED_S, sql
            assert "cancel" in said[0].lower(), said
            checks.server.idle_within(STOPPED_S)


def killed(checks):
    """The work of a client that is killed is stopped."""
    for sql in (*LONG, "select i, repeat('x', 100) from generate_series(1, 1000000000) as t(i)"):
        command = [sys.executable, "-c", CLIENT, checks.server.uri, "ann", world.password("ann")]
        client = subprocess.Popen([*command, sql], stdout=subprocess.PIPE)
        client.stdout.readline()
        time.sleep(0.7)
        client.kill()
        client.wait()
        checks.server.idle_within(STOPPED_S)


def slow_readers(checks):
    """Memory stays flat while clients read slowly, and others are answered."""
    sql = "select i, repeat('x', 200) as text from generate_series(1, 1000000000) as t(i)"
    raw = Raw(checks.server, "ann")
    reader = raw.get(raw.info(any_of("CommandStatementQuery", sql)).endpoints[0].ticket)
    with checks.connect("bob") as connection, connection.cursor() as cursor:
        batches = cursor.execute(sql).fetch_record_batch()
        next(batches), reader.read_chunk()
        time.sleep(1)
        cpu, samples = checks.server.cpu_s(), [checks.server.memory_mb()]
        for _ in range(40):
            next(batches), reader.read_chunk()
            time.sleep(0.05)
            samples.append(checks.server.memory_mb())
        assert checks.ask("ann", "select 1") == [(1,)]
        cpu = checks.server.cpu_s() - cpu
    raw.client.close()
    grew = max(samples) - samples[0]
    assert grew < FLAT_MB, f"it grew by {grew:.0f} MB"
    checks.server.idle_within(STOPPED_S)
    return f"{samples[0]:.0f} MB and {grew:.0f} more, {cpu:.1f} s of processors"


def vanishing(checks):
    """5,000 clients that vanish during the handshake keep nobody out."""
    host, port = checks.server.uri.split("//")[1].split(":")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = b"\0\0\0\x04\0\0\0\0\0"
    parts = (
        b"",
        b"PRI",
        preface,
        preface + settings,
        preface + b"\xff" * 40,
        b"GET / HTTP/1.1\r\n",
    )
    kept = []
    for number in range(5_000):
        one = socket.create_connection((host, int(port)))
        one.sendall(parts[number % len(parts)])
        if number % 10:
            # Without a word of its end.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.close()
        else:
            kept.append(one)
    began = time.monotonic()
    assert checks.ask("ann", "select 1") == [(1,)]
    took = time.monotonic() - began
    for one in kept:
        one.close()
    assert took < 5, f"it took {took:.1f} s"
    return f"the next one is answered after {1000 * took:.0f} ms"


def many_rows(checks):
    """A large answer as Arrow has it, memory flat."""
    rows = checks.rows
    with checks.connect("ann") as connection, connection.cursor() as cursor:
        cursor.execute("select 1").fetchall()
        before, most = checks.server.memory_mb(), 0.0
        began = time.monotonic()
        sql = f"select i, 'text ' || i::text as text from generate_series(1, {rows}) as t(i)"
        cursor.execute(sql)
        count, total, size = 0, 0, 0
        for batch in cursor.fetch_record_batch():
            count += batch.num_rows
            total += pyarrow.compute.sum(batch.column(0)).as_py() or 0
            size += batch.nbytes
            most = max(most, checks.server.memory_mb())
        seconds = time.monotonic() - began
    assert (count, total) == (rows, rows * (rows + 1) // 2), (count, total)
    grew = most - before
    assert grew < FLAT_MB, f"it grew by {grew:.0f} MB"
    return f"{count / seconds / 1e6:.2f} million rows/s, {size / seconds / 1e6:.0f} MB/s"


def long_rows(checks):
    """Rows that would make messages longer than clients take."""
    with checks.connect("ann") as connection, connection.cursor() as cursor:
        cursor.execute("select repeat('x', 20000) as t from generate_series(1, 2000)")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == 2_000 and table.nbytes > 40_000_000, table.nbytes


def beside_a_run(checks):
    """Beside a run: each payment once, never fewer, in columns that stay."""
    server = checks.world.run()
    try:
        raw, last, asked = Raw(server), 0, 0
        until = time.monotonic() + 10
        # The table is there with its first rows.
        while not raw.rows(any_of("CommandGetTables", None, None, "payments")).num_rows:
            assert time.monotonic() < until, "no table comes"
            time.sleep(0.05)
        until = time.monotonic() + 4
        sql = (
            "select count(*) as n, count(distinct transaction_id) as d, epoch() as e from payments"
        )
        while time.monotonic() < until:
            row = raw.ask(sql).to_pylist()[0]
            assert row["n"] == row["d"] and row["n"] >= last, (row, last)
            last, asked = row["n"], asked + 1
        assert last > 1_000, last
        handle, _, _ = raw.prepare("select count(*) from payments")
        first = raw.rows(any_of("CommandPreparedStatementQuery", handle))[0][0].as_py()
        time.sleep(0.5)
        then = raw.rows(any_of("CommandPreparedStatementQuery", handle))[0][0].as_py()
        assert then > first, (first, then)
    finally:
        server.end()
    assert "panicked" not in server.said(), server.said()[-2000:]
    return f"{last:,} rows at the end, asked {asked} times"


CHECKS = (
    cancelled,
    cancelled_by_flight,
    killed,
    slow_readers,
    vanishing,
    many_rows,
    long_rows,
    beside_a_run,
)
