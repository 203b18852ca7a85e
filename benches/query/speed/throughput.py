#!/usr/bin/env python3
"""Ten million rows from the port to a client that throws them away, beside PostgreSQL with the same
rows, in one run: simple query, portal, cursor, COPY in text, csv and binary, and Flight.

    run.sh throughput [--rows 10000000] [--runs 3]

The client of simple queries and portals reads bytes (raw.py), that of COPY and cursors is psql,
that of Flight is ADBC's driver. What is shown: seconds (median of the runs, servers in turns), rows
per second, bytes where the client counts them, and the server's resident memory: at the start, the
most, and how much it grew after the first tenth of the time. Ends with 1 where a count is wrong,
memory is not flat, or Flight or binary COPY is slower than PostgreSQL's binary COPY.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
import measured  # noqa: E402, it lies two folders up

import raw  # noqa: E402, after the path is set
import servers  # noqa: E402
import tables  # noqa: E402

QUERY = (
    "select transaction_id, tx_datetime, customer_id, terminal_id, tx_amount, fraud_score, "
    "decision from {table}"
)
# Customers of the simulator make so many payments in its half year.
PAYMENTS_EACH = 357
FETCH_ROWS = 10_000
# Memory that may come after the first tenth, in MB: buffers of the allocator and the page cache.
FLAT_MB = 64


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="folder for throughput.json")
    parser.add_argument("--rows", type=int, default=10_000_000, help="about so many [10000000]")
    parser.add_argument("--runs", type=int, default=3, help="[3]")
    parser.add_argument("--tables", default="standing", help="or compacted [standing]")
    parser.add_argument("--only", default="", help="only ways whose names contain this")
    return parser.parse_args()


def psql(server, *statements, settings=()):
    """Runs psql with its output thrown away."""
    command = [servers.tool("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", *settings]
    for statement in statements:
        command += ["-c", statement]
    done = subprocess.run(
        [*command, server.url], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise servers.Failed(f"psql: {done.stderr[-500:]}")


def by_simple(server, query):
    """A simple query."""
    client = raw.Client(server)
    count, tag = client.simple(query)
    client.close()
    return {"bytes": count, "rows": int(tag.split()[-1])}


def by_portal(binary):
    """The extended protocol, some rows at a time."""

    def way(server, query):
        client = raw.Client(server)
        client.begin_portal(query, binary)
        total, more = 0, True
        while more:
            count, more = client.execute(FETCH_ROWS)
            total += count
        client.close()
        return {"bytes": total}

    return way


def by_extended(server, query):
    """The extended protocol, all rows at once, in binary."""
    client = raw.Client(server)
    client.begin_portal(query, True)
    count, _ = client.execute()
    client.close()
    return {"bytes": count}


def by_cursor(server, query):
    """A cursor: psql with FETCH_COUNT."""
    psql(server, query, settings=("-v", f"FETCH_COUNT={FETCH_ROWS}"))
    return {}


def by_copy(form):
    """COPY in a format, by psql."""

    def way(server, query):
        psql(server, f"copy ({query}) to stdout (format {form})")
        return {}

    return way


def by_flight(server, query):
    """Flight SQL: record batches, as they come."""
    from adbc_driver_flightsql import dbapi

    with dbapi.connect(f"grpc://127.0.0.1:{server.flight}") as connection:
        with connection.cursor() as cursor:
            cursor.execute(query)
            batches = list_nothing(cursor.fetch_record_batch())
    return batches


def list_nothing(reader):
    """Takes all batches and keeps none: rows and bytes."""
    rows = size = 0
    for batch in reader:
        rows += batch.num_rows
        size += batch.nbytes
    return {"rows": rows, "bytes": size}


WAYS = {
    "simple, text": by_simple,
    "extended, binary": by_extended,
    "portal of 10,000, binary": by_portal(True),
    "cursor of 10,000 (psql)": by_cursor,
    "COPY text": by_copy("text"),
    "COPY csv": by_copy("csv"),
    "COPY binary": by_copy("binary"),
    "Flight": by_flight,
}


def measure(server, way, query, rows):
    """One way once: seconds, and of riskstream the processor's seconds and memory."""
    before = servers.cpu_seconds(server.pid)
    with servers.Memory([server.pid] if server.pid else []) as memory:
        started = time.perf_counter()
        given = way(server, query)
        seconds = time.perf_counter() - started
    if given.get("rows", rows) != rows:
        raise servers.Failed(f"{given['rows']} rows came instead of {rows}")
    found = {"seconds": seconds, "rows_per_s": rows / seconds}
    if server.pid:
        cpu = servers.cpu_seconds(server.pid) - before
        found = {**found, "cpu_s": cpu, **memory.figures()}
    return {**found, **{k: v for k, v in given.items() if k == "bytes"}}


def main():
    args = arguments()
    measured.warn_if_busy()
    customers = max(1, round(args.rows / PAYMENTS_EACH))
    sets = [f"sources.payments.customers={customers}"]
    folders = tables.variants(args.program, args.cache, sets, [args.tables])
    ours, postgres, found = None, None, {}
    try:
        more, flight = [], servers.free_port()
        if servers.knows(args.program, tables.CONFIG, f"query.flight=127.0.0.1:{flight}"):
            more = [f"query.flight=127.0.0.1:{flight}"]
        data = folders[args.tables]
        ours = servers.Riskstream(args.program, tables.CONFIG, [f"riskstream.data={data}", *more])
        ours.flight = flight
        postgres = servers.Postgres()
        query = QUERY.format(table="payments_scored")
        rows = postgres.take(ours, query, "payments_scored")
        print(f"{rows:,} rows, {args.runs} runs of each way", flush=True)
        for name, way in WAYS.items():
            if args.only not in name or (name == "Flight" and not more):
                continue
            for number in range(args.runs):
                turns = [("riskstream", ours), ("PostgreSQL", postgres)]
                for who, server in turns[:: 1 if number % 2 == 0 else -1]:
                    if name == "Flight" and who == "PostgreSQL":
                        continue
                    taken = measure(server, way, query, rows)
                    found.setdefault(name, {}).setdefault(who, []).append(taken)
            print(f"  {name}: done", flush=True)
    finally:
        for server in (ours, postgres):
            if server:
                server.stop()
    well = report(found, rows)
    if not more:
        print("\nThis program has no Flight port yet: `query.flight` is refused.")
    tables.write_json(
        (args.out or args.cache / "query-speed") / "throughput.json",
        {"bench": "query-throughput", "rows": rows, "ways": found},
    )
    measured.note_result(args.results, bench="query-throughput", rows=rows, ways=found)
    return 0 if well else 1


def report(found, rows):
    """Prints the table; whether memory is flat and goals are met."""
    middle = {
        (name, who): sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
        for name, by in found.items()
        for who, runs in by.items()
    }
    reference = middle.get(("COPY binary", "PostgreSQL"))
    lines, well = [], True
    for (name, who), run in middle.items():
        theirs = middle.get((name, "PostgreSQL"))
        grew = statistics.median(r.get("grew_mb", 0.0) for r in found[name][who])
        well &= grew < FLAT_MB
        lines.append(
            [
                f"{name}, {who}",
                f"{run['seconds']:.2f}",
                f"{rows / run['seconds'] / 1e6:.2f}",
                f"{run['bytes'] / 2**20:,.0f}" if "bytes" in run else "",
                *(f"{run[key]:,.0f}" if key in run else "" for key in ("start_mb", "most_mb")),
                f"{grew:,.0f}" if "grew_mb" in run else "",
                f"{theirs['seconds'] / run['seconds']:.2f}" if theirs else "",
                f"{reference['seconds'] / run['seconds']:.2f}" if reference else "",
            ]
        )
    header = [
        "",
        "s",
        "M rows/s",
        "MB",
        "memory MB",
        "most",
        "grew",
        "x PostgreSQL",
        "x its COPY binary",
    ]
    print("\n" + measured.table(header, lines))
    print()
    for name in ("Flight", "COPY binary"):
        run = middle.get((name, "riskstream"))
        if run and reference:
            ratio = reference["seconds"] / run["seconds"]
            well &= ratio >= 1
            said = "met" if ratio >= 1 else "MISSED"
            print(f"  {name} over PostgreSQL's COPY binary: {ratio:.2f} (goal 1: {said})")
    return well


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (servers.Failed, raw.Refused) as error:
        servers.fail("throughput", error)
