#!/usr/bin/env python3
"""How soon a committed change in PostgreSQL shows in the lenders' rollup, asked by `riskstream
query`.

    freshness.py [--binary PATH] [--rate 1000] [--seconds 60]

A client updates loans one by one, each in a transaction of its own, and notes when the server has
said that it is committed; each change adds a cent, so that the sum over all lenders tells how many
changes a query has seen. A change's delay is from its commit to the end of the first query that
shows it: replication, epoch, commit, delivery to the Delta table, and a whole `riskstream query`
from its start. Ends with 1 if the p99 is not below 2 s.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import proof
from postgres import Server

GOAL_S = 2.0
LOANS, LENDERS = 20_000, 20
TABLE = f"""
create table loans (loan_id bigint primary key, lender_id text not null, status text not null,
    balance numeric(14,2) not null);
insert into loans select n, 'lender-' || n % {LENDERS}, 'current', 1000
    from generate_series(1, {LOANS}) n;
"""
NEWEST = (
    "select distinct on (lender_id, status) lender_id, n_loans, balance from lenders order by "
    "lender_id, status, window_end desc, revision desc"
)


def change(url, password, rate, seconds, commits):
    """Commits changes by a schedule; `commits[i]` is when change i was committed."""
    import psycopg

    with psycopg.connect(url, password=password, autocommit=True) as session:
        started = time.monotonic()
        for number in range(rate * seconds):
            wait = started + number / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            session.execute(
                "update loans set balance = balance + 0.01 where loan_id = %s",
                (number * 7_919 % LOANS + 1,),
            )
            commits.append(time.monotonic())


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--rate", type=int, default=1_000, help="changes a second [1000]")
    parser.add_argument("--seconds", type=int, default=60, help="[60]")
    args = parser.parse_args()
    proof.with_readers("psycopg")
    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-freshness-"))
    work.mkdir(parents=True, exist_ok=True)
    work.chmod(0o755)
    server = Server(work)
    sets = [
        "--set",
        f"riskstream.data={work / 'data'}",
        "--set",
        f"sources.loans-again.url={server.url}",
    ]
    config = str(proof.HERE / "postgres.toml")
    ask = [binary, "query", "--config", config, *sets, "--format", "json", NEWEST]

    def seen():
        """How many changes a query has seen, or None before the table is there."""
        asked = subprocess.run(ask, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if asked.returncode != 0:
            return None
        lines = asked.stdout.strip()
        rows = (
            json.loads(lines)
            if lines.startswith("[")
            else [json.loads(line) for line in lines.splitlines()]
        )
        if sum(int(row["n_loans"]) for row in rows) != LOANS:
            return None
        return round(sum(float(row["balance"]) for row in rows) * 100) - LOANS * 100_000

    run = None
    try:
        server.psql(TABLE)
        run = subprocess.Popen(
            [binary, "run", config, *sets, "--only", "lenders"],
            env=server.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while seen() is None:
            if run.poll() is not None or time.monotonic() > deadline:
                sys.exit(
                    "the rollup does not come: "
                    f"{run.stderr.read() if run.poll() is not None else 'the run goes on'}"
                )
        commits, delays, queries, shown = [], [], 0, 0
        client = threading.Thread(
            target=change,
            args=(
                server.url,
                server.environment["LOANS_PASSWORD"],
                args.rate,
                args.seconds,
                commits,
            ),
        )
        client.start()
        started = time.monotonic()
        while shown < args.rate * args.seconds:
            if time.monotonic() > started + args.seconds + 60:
                sys.exit(f"only {shown:,} of {args.rate * args.seconds:,} changes are shown")
            now_shown = seen()
            ended = time.monotonic()
            queries += 1
            if now_shown is not None:
                delays += [ended - committed for committed in commits[shown:now_shown]]
                shown = max(shown, now_shown)
        client.join()
        took = commits[-1] - commits[0]
        delays.sort()
        at = lambda share: delays[min(int(len(delays) * share), len(delays) - 1)]
        print(
            f"{len(commits):,} changes committed at {len(commits) / took:,.0f}/s, {queries} "
            f"queries of {(ended - started) / queries * 1000:.0f} ms"
        )
        proof.print_table(
            ["commit to query, s", "p50", "p99", "max", "goal p99"],
            [["", at(0.5), at(0.99), delays[-1], f"< {GOAL_S}"]],
        )
        sys.exit(0 if at(0.99) < GOAL_S else 1)
    finally:
        if run is not None:
            run.kill()
            run.wait()
        server.script("stop")


if __name__ == "__main__":
    main()
