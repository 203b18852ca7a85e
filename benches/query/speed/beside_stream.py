#!/usr/bin/env python3
"""What clients do to the stream: the pipeline's latency with and without eight clients that run
heavy queries on the same program's port, in turns within one run.

    run.sh beside_stream [--rate 20000] [--phase 15] [--rounds 3] [--clients 8]

Payment i is due at start + i / rate, whether or not the program is ready for it, so that a stall
counts for every payment that it held up. Its latency is from there to the commit of its epoch, as
the program's own spans say when that was. Phases without and with clients follow each other; the
first three seconds of a phase, in which the one before still shows, don't count. Ends with 1 where
the ratio of the 99th percentiles is 1.5 or more.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
import measured  # noqa: E402, it lies two folders up

import servers  # noqa: E402, after the path is set
import tables  # noqa: E402
from collector import Collector  # noqa: E402

CONFIG = HERE / "beside_stream.toml"
# Grouping by many keys, counting what is different, joins, sorts, percentiles.
HEAVY = (
    "05-customers",
    "12-active",
    "13-alerts",
    "14-after-fraud",
    "16-largest",
    "17-percentiles",
    "20-reasons",
)
GOAL = 1.5
SETTLING_S = 3.0
WARM_UP_S = 8.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="folder for beside_stream.json")
    parser.add_argument("--rate", type=int, default=20_000, help="payments a second [20000]")
    parser.add_argument("--phase", type=float, default=15.0, help="seconds of a phase [15]")
    parser.add_argument("--rounds", type=int, default=3, help="of a phase of either kind [3]")
    parser.add_argument("--clients", type=int, default=8, help="[8]")
    parser.add_argument("--workers", type=int, default=1, help="of the pipeline [1]")
    parser.add_argument("--days", type=int, default=183, help="of the tables that are asked [183]")
    return parser.parse_args()


def latencies(epochs, rate, phases):
    """By kind of phase, the latency in milliseconds of each payment that was due in its phases."""
    found = {kind: [] for kind, _, _ in phases}
    if not epochs:
        return found
    _, _, start, _ = epochs[0]
    row, expected = 0, epochs[0][0]
    for number, rows, _, committed in epochs:
        if number != expected:
            raise servers.Failed(f"the span of epoch {expected} did not come")
        expected += 1
        first_due, last_due = start + row / rate, start + (row + rows) / rate
        for kind, begin, end in phases:
            if last_due < begin or first_due > end:
                continue
            for at in range(row, row + rows):
                due = start + at / rate
                if begin <= due <= end:
                    found[kind].append(1_000 * (committed - due))
        row += rows
    return found


def figures(taken):
    """Median, 99th and 99.9th percentiles and the most, in milliseconds."""
    taken = sorted(taken)

    def at(share):
        return taken[min(len(taken) - 1, int(share * len(taken)))]

    return {
        "payments": len(taken),
        "p50": at(0.5),
        "p99": at(0.99),
        "p999": at(0.999),
        "max": taken[-1],
    }


def measure(args, data, collector):
    """Runs the program and its clients; gives phases, and what the clients did."""
    seconds = WARM_UP_S + 2 * args.rounds * args.phase + 5
    sets = [
        f"riskstream.data={data}",
        f"sources.payments.rate={args.rate}",
        f"sources.payments.days={1 + int(seconds * args.rate / 9_000)}",
        f"tracing.otlp={collector.url}",
    ]
    more = ["--workers", str(args.workers), "--log-level", "error"]
    program = servers.Riskstream(args.program, CONFIG, sets, command="run", more=more)
    clients = None
    try:
        command = [sys.executable, HERE / "clients.py", program.port, args.clients, *HEAVY]
        clients = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        if clients.stdout.readline().strip() != "ready":
            raise servers.Failed("the clients did not start")
        phases = []
        time.sleep(WARM_UP_S)
        for _ in range(args.rounds):
            for kind, word in (("alone", "off"), ("with clients", "on")):
                clients.stdin.write(word + "\n")
                began = time.time()
                cpu = servers.cpu_seconds(program.pid)
                time.sleep(args.phase)
                phases.append((kind, began + SETTLING_S, time.time()))
                cores = (servers.cpu_seconds(program.pid) - cpu) / args.phase
                print(f"  {kind}: {cores:.2f} cores", flush=True)
                if program.process.poll() is not None:
                    raise servers.Failed(program.log.read_text(errors="replace")[-2000:])
        clients.stdin.write("off\n")
        told, _ = clients.communicate(timeout=60)
        memory = servers.memory_mb(program.pid)
        time.sleep(2)
        return phases, json.loads(told.splitlines()[-1]), memory
    finally:
        if clients and clients.poll() is None:
            clients.kill()
        program.stop()


def main():
    args = arguments()
    measured.warn_if_busy()
    sets = [] if args.days == 183 else [f"sources.payments.days={args.days}"]
    standing = tables.variants(args.program, args.cache, sets, ["standing"])["standing"]
    # Beside the cache, so that it is on the same disk: what is measured waits for it.
    work = pathlib.Path(tempfile.mkdtemp(prefix="beside-stream-", dir=args.cache))
    collector = Collector("stream")
    try:
        shutil.copytree(standing / "tables", work / "data/tables")
        phases, asked, memory = measure(args, work / "data", collector)
    finally:
        collector.close()
        shutil.rmtree(work, ignore_errors=True)
    epochs = collector.in_order()
    taken = latencies(epochs, args.rate, phases)
    if not all(taken.values()):
        raise servers.Failed(f"of {len(epochs)} epochs none was in a phase")
    by_kind = {kind: figures(times) for kind, times in taken.items()}
    lines = [
        [kind, f"{f['payments']:,}", *(f"{f[key]:.2f}" for key in ("p50", "p99", "p999", "max"))]
        for kind, f in by_kind.items()
    ]
    print(f"\n{args.rate:,} payments a second, {args.clients} clients, {args.workers} worker(s)\n")
    header = ["due to committed, ms", "payments", "p50", "p99", "p99.9", "max"]
    print(measured.table(header, lines))
    ratio = by_kind["with clients"]["p99"] / by_kind["alone"]["p99"]
    print(
        f"\n  p99 with clients over p99 alone: {ratio:.2f} (goal below {GOAL:g}); the clients ran "
        f"{asked['queries']} queries, median {asked['median_s']} s, most {asked['most_s']} s; "
        f"{memory[1]:,.0f} MB at most"
    )
    result = {
        "bench": "query-beside-stream",
        "rate": args.rate,
        "clients": args.clients,
        "workers": args.workers,
        "ms": by_kind,
        "p99_ratio": ratio,
        "queries": asked,
    }
    measured.note_result(args.results, **result)
    tables.write_json((args.out or args.cache / "query-speed") / "beside_stream.json", result)
    return 0 if ratio < GOAL else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.Failed as error:
        servers.fail("beside_stream", error)
