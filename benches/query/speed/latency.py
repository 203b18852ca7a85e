#!/usr/bin/env python3
"""The port's latency beside PostgreSQL's, by pgbench: `select 1`, and a prepared look-up of one
payment by its key, at 1, 8 and 64 connections.

    run.sh latency [--seconds 5] [--rounds 3] [--days 183] [--tables standing,compacted]

PostgreSQL has the same rows with an index of the key. Servers take turns; each transaction's time
is pgbench's own (--log): medians and 99th percentiles over all rounds. Ends with 1 where a goal is
missed.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
import measured  # noqa: E402, it lies two folders up

import plans  # noqa: E402, after the path is set
import servers  # noqa: E402
import tables  # noqa: E402

COLUMNS = "transaction_id, tx_datetime, customer_id, terminal_id, tx_amount, fraud_score, decision"
LOOK_UP = f"select {COLUMNS} from payments_scored where transaction_id = :id;\n"
# Our median over PostgreSQL's, at most.
GOALS = {"select 1": 3.0, "look-up": 10.0}
CLIENTS = (1, 8, 64)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="folder for latency.json")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement [5]")
    parser.add_argument("--rounds", type=int, default=3, help="[3]")
    parser.add_argument("--days", type=int, default=183, help="days of payments [183]")
    parser.add_argument("--tables", default="standing,compacted")
    return parser.parse_args()


def measure(server, script, mode, clients, seconds, folder):
    """Milliseconds of each transaction."""
    for old in folder.glob("log*"):
        old.unlink()
    command = [servers.tool("pgbench"), "-n", "-f", script, "-M", mode, "-c", str(clients)]
    command += ["-j", str(min(2, clients)), "-T", str(seconds), "-l"]
    command += [f"--log-prefix={folder}/log", server.url]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=os.environ, check=False
    )
    if done.returncode != 0:
        raise servers.Failed(f"pgbench at {server.url}: {done.stderr[-600:]}")
    taken = []
    for log in folder.glob("log*"):
        for line in log.read_text(encoding="ascii").splitlines():
            fields = line.split()
            if fields[2].isdigit():
                taken.append(int(fields[2]) / 1_000)
    if not taken:
        raise servers.Failed(f"pgbench at {server.url} did nothing: {done.stdout[-600:]}")
    return taken


def at(sorted_values, share):
    """The value that so great a share is not above."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def figures(taken, seconds):
    """Median, 99th percentile and transactions per second."""
    taken = sorted(taken)
    return {
        "p50_ms": at(taken, 0.5),
        "p99_ms": at(taken, 0.99),
        "per_second": len(taken) / seconds,
    }


def anatomy(server, key):
    """Where the time of a look-up goes, in milliseconds of one connection."""
    text = LOOK_UP.strip().rstrip(";").replace(":id", str(key))
    statements = {
        "empty statement": "",
        "select 1": "select 1",
        "plan of the look-up": f"explain {text}",
        "look-up": text,
    }
    found = {}
    with server.connect() as connection:
        for name, statement in statements.items():
            times = []
            for _ in range(30):
                started = time.perf_counter()
                connection.pgconn.exec_(statement.encode())
                times.append(1_000 * (time.perf_counter() - started))
            found[name] = statistics.median(times)
        prepared = LOOK_UP.strip().rstrip(";").replace(":id", "$1").encode()
        connection.pgconn.prepare(b"anatomy", prepared)
        times = []
        for _ in range(30):
            started = time.perf_counter()
            connection.pgconn.exec_prepared(b"anatomy", [str(key).encode()])
            times.append(1_000 * (time.perf_counter() - started))
        found["look-up, prepared"] = statistics.median(times)
    return found


def main():
    args = arguments()
    measured.warn_if_busy()
    sets = [] if args.days == 183 else [f"sources.payments.days={args.days}"]
    folders = tables.variants(args.program, args.cache, sets, args.tables.split(","))
    work = pathlib.Path(tempfile.mkdtemp(prefix="riskstream-latency-"))
    ours, postgres = {}, None
    everything = {"bench": "query-latency", "seconds": args.seconds, "rounds": args.rounds}
    try:
        for variant, data in folders.items():
            sets = [f"riskstream.data={data}"]
            ours[variant] = servers.Riskstream(args.program, tables.CONFIG, sets)
        first = next(iter(ours.values()))
        postgres = servers.Postgres()
        rows = postgres.take(
            first, "select * from payments_scored", "payments_scored", key="transaction_id"
        )
        print(f"PostgreSQL {postgres.version} has taken {rows:,} rows by binary COPY", flush=True)
        with first.connect() as connection:
            least, most = connection.execute(
                "select min(transaction_id), max(transaction_id) from payments_scored"
            ).fetchone()
        (work / "one.sql").write_text("select 1;\n")
        (work / "look-up.sql").write_text(f"\\set id random({least}, {most})\n{LOOK_UP}")
        runs = {"select 1": ("one.sql", "simple"), "look-up": ("look-up.sql", "prepared")}
        everything["figures"] = measure_all(args, runs, ours, postgres, work)
        everything["anatomy"] = {
            name: anatomy(server, (least + most) // 2)
            for name, server in {**ours, "PostgreSQL": postgres}.items()
        }
        everything["plans"] = {
            name: plans.explained(server, LOOK_UP.strip(";\n").replace(":id", str(most // 2)))
            for name, server in ours.items()
        }
    finally:
        for server in [*ours.values(), *([postgres] if postgres else [])]:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)
    well = report(everything)
    measured.note_result(args.results, bench="query-latency", figures=everything["figures"])
    tables.write_json((args.out or args.cache / "query-speed") / "latency.json", everything)
    return 0 if well else 1


def measure_all(args, runs, ours, postgres, work):
    """{what: {clients: {server: figures}}}"""
    found = {}
    contenders = {
        **{f"riskstream, {name}": server for name, server in ours.items()},
        "PostgreSQL": postgres,
    }
    for what, (script, mode) in runs.items():
        for clients in CLIENTS:
            taken = {name: [] for name in contenders}
            for number in range(args.rounds):
                names = list(contenders)
                turn = number % len(names)
                for name in names[turn:] + names[:turn]:
                    taken[name] += measure(
                        contenders[name], work / script, mode, clients, args.seconds, work
                    )
            spent = args.rounds * args.seconds
            found.setdefault(what, {})[clients] = {
                name: figures(all_taken, spent) for name, all_taken in taken.items()
            }
            print(f"  {what} at {clients}: done", flush=True)
    return found


def report(everything):
    """Prints the tables; whether all goals are met."""
    lines, well = [], True
    for what, by_clients in everything["figures"].items():
        for clients, by_server in by_clients.items():
            theirs = by_server["PostgreSQL"]
            for name, values in by_server.items():
                # pgbench tells whole microseconds.
                ratio = values["p50_ms"] / max(theirs["p50_ms"], 0.001)
                well &= name == "PostgreSQL" or ratio <= GOALS[what]
                lines.append(
                    [
                        f"{what}, {clients} connections, {name}",
                        f"{values['p50_ms']:.3f}",
                        f"{values['p99_ms']:.3f}",
                        f"{values['per_second']:,.0f}",
                        "" if name == "PostgreSQL" else f"{ratio:.1f}",
                        "" if name == "PostgreSQL" else f"{GOALS[what]:g}",
                    ]
                )
    header = ["", "median ms", "p99 ms", "per second", "over PostgreSQL", "goal"]
    print("\n" + measured.table(header, lines))
    names = list(next(iter(everything["anatomy"].values())))
    rows = [
        [name, *(f"{times[what]:.3f}" for what in names)]
        for name, times in everything["anatomy"].items()
    ]
    print("\n" + measured.table(["one connection, median ms", *names], rows))
    for name, plan in everything["plans"].items():
        print(f"\n{name}: the look-up's plan takes {plan['plan_ms']:.2f} ms to make; analyzed:")
        print("\n".join(f"  {line[:400]}" for line in plan["text"]))
    return well


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.Failed as error:
        servers.fail("latency", error)
