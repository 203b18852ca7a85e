#!/usr/bin/env python3
"""A real PostgreSQL table changed by several clients at once while runs are killed with SIGKILL;
what landed, folded by key, must be the table.

    postgres.py [--binary PATH] [--changes 200000] [--kills 20] [--clients 4] [--seed N]

The clients insert, update, delete, change keys and move loans between lenders, in transactions of 1
to 20 statements that interleave, of which a tenth is rolled back and some end in a deadlock; on the
way there are a COPY, a TRUNCATE and an ALTER TABLE. Meanwhile runs are killed at random moments. At
the end a last run reads to the server's end, and then: no change has come twice, the changes folded
by key equal the table row by row, and every lender's counts and sums by status, both of the folded
table and as the program's own rollup has them, equal what PostgreSQL itself answers, to the cent.
The server is Debian's (examples/servers/postgres.sh). Ends with 1 if anything differs.
"""

import csv
import io
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path

import proof

SCRIPT = proof.PROJECT / "examples" / "servers" / "postgres.sh"
LOANS_FIRST = 5_000
COPY_ROWS = 10_000
# A stride apart, so that clients never make the same key.
STRIDE = 10_000_000
STATUSES = ["current", "late", "default", "paid"]

TABLE = """
create type loan_status as enum ('current', 'late', 'default', 'paid');
create table loans (loan_id bigint primary key, lender_id text not null,
    status loan_status not null, balance numeric(14,2) not null,
  opened date not null, changed timestamptz not null default now(), note text);
alter table loans alter column note set storage external;
insert into loans select n, 'lender-' || n % 20, 'current', n * 10.01,
    date '2024-01-01' + (n % 300)::int, now(), repeat('long ', 600 * (n % 3)::int)
  from generate_series(1, FIRST) n;
"""


class Server:
    """A server of the proof's own."""

    def __init__(self, folder):
        self.environment = {
            **os.environ,
            "POSTGRES_STATE": str(folder / "server"),
            "POSTGRES_FSYNC": "off",
            "LOANS_PASSWORD": "riskstream",
        }
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql://riskstream@localhost:{self.port}/loans"
        self.script("start", str(self.port))

    def script(self, *args, **kwargs):
        done = subprocess.run(
            [SCRIPT, *args],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **kwargs,
        )
        if done.returncode != 0:
            sys.exit(f"{args}: {done.stderr}{done.stdout}")
        return done.stdout

    def psql(self, sql):
        return self.script("psql", "-qtA", "-f", "-", input=sql)

    def rows(self, sql):
        return list(csv.reader(io.StringIO(self.script("psql", "-qt", "--csv", "-c", sql))))


class Client(threading.Thread):
    """One session that makes `changes` random changes,
    and at its own moments something for the whole table.
    """

    def __init__(self, server, number, changes, seed, special):
        super().__init__(daemon=True)
        self.server, self.number, self.changes, self.special = server, number, changes, special
        self.dice = random.Random(seed * 1_000 + number)
        self.next_key = number * STRIDE
        self.made = 0

    def statement(self):
        dice, what = self.dice, self.dice.random()
        own = self.number * STRIDE
        if self.next_key > own and dice.random() < 0.9:
            # Mostly the newer ones, which are likelier to be there still.
            key = self.next_key - 1 - min(int(dice.expovariate(1 / 800)), self.next_key - own - 1)
        else:
            key = dice.randrange(1, LOANS_FIRST + 1)
        if what < 0.35:
            self.next_key += 1
            note = (
                "null"
                if dice.random() < 0.5
                else f"repeat('n{self.next_key} ', {dice.choice([1, 600])})"
            )
            return (
                f"insert into loans values ({self.next_key - 1}, 'lender-{dice.randrange(20)}', "
                f"'{dice.choice(STATUSES)}', "
                f"{dice.randrange(1, 10**8) / 100:.2f}, date '2024-01-01' + {dice.randrange(600)}, "
                f"clock_timestamp(), {note});"
            )
        if what < 0.65:
            return (
                f"update loans set balance = balance + {dice.randrange(-10**5, 10**5) / 100:.2f}, "
                f"changed = clock_timestamp() where loan_id = {key};"
            )
        if what < 0.75:
            return (
                f"update loans set status = '{dice.choice(STATUSES)}' where loan_id between {key} "
                f"and {key + 2};"
            )
        if what < 0.85:
            return (
                f"update loans set lender_id = 'lender-{dice.randrange(20)}' where loan_id = {key};"
            )
        if what < 0.93:
            return f"delete from loans where loan_id = {key};"
        self.next_key += 1
        return f"update loans set loan_id = {self.next_key - 1} where loan_id = {key};"

    def script(self):
        """Statements, transaction by transaction."""
        left = list(self.special)
        while self.made < self.changes:
            if left and self.made >= left[0][0] * self.changes:
                yield left.pop(0)[1]
            count = min(self.dice.randrange(1, 21), self.changes - self.made)
            self.made += count
            end = "rollback;" if self.dice.random() < 0.1 else "commit;"
            pause = "select pg_sleep(0.002);" if self.dice.random() < 0.05 else ""
            statements = [self.statement() for _ in range(count)]
            yield "\n".join(
                ["begin;", *statements[: count // 2], pause, *statements[count // 2 :], end]
            )
        for _, sql in left:
            yield sql

    def run(self):
        session = subprocess.Popen(
            [SCRIPT, "psql", "-q", "-v", "ON_ERROR_STOP=0"],
            env=self.server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for sql in self.script():
            session.stdin.write(sql + "\n")
        session.stdin.close()
        session.wait()


def copy_of_loans():
    """A COPY, as psql reads it."""
    rows = "\n".join(
        f"{9 * STRIDE + n}\tlender-{n % 20}\tcurrent\t{n}.{n % 100:02}\t2024-05-06\t2024-05-06 "
        f"07:08:09.123456+00\tcopied {n}"
        for n in range(COPY_ROWS)
    )
    return (
        "copy loans (loan_id, lender_id, status, balance, opened, changed, note) from stdin;\n"
        f"{rows}\n\\.\n"
    )


def folded(duckdb, data):
    """The table that the changes make, and what is wrong with them."""
    _, files = proof.table_files(data, "loan_changes")
    rows = duckdb.execute(
        "select _op, _unchanged, loan_id, lender_id, status, balance, opened, "
        "epoch_us(changed), note "
        f"from read_parquet({files}) order by _commit_position, _position, "
        "case _op when 't' then 0 when 'd' then 1 else 2 end"
    ).fetchall()
    problems = []
    twice = duckdb.execute(
        "select count(*) - count(distinct (_commit_position, _position, _op, coalesce(loan_id, "
        f"-1))) from read_parquet({files})"
    ).fetchone()[0]
    if twice:
        problems.append(f"{twice} changes have come twice")
    table, deleted, kinds = {}, None, {}
    for op, unchanged, *values in rows:
        kinds[op] = kinds.get(op, 0) + 1
        key = values[0]
        if op == "t":
            table.clear()
        elif op == "d":
            if key not in table:
                problems.append(f"loan {key} is deleted and was not there")
            deleted = table.pop(key, None)
        else:
            before = table.get(key) or (deleted if op == "c" else None)
            if unchanged:
                if unchanged != "note" or before is None:
                    problems.append(f"loan {key} lacks {unchanged} and nothing was before it")
                else:
                    values[6] = before[6]
            table[key] = values
    return table, kinds, problems


def rollup(duckdb, data):
    """The newest row of each lender and status in the program's own rollup,
    but for those without loans.
    """
    _, files = proof.table_files(data, "lenders")
    rows = duckdb.execute(
        f"select lender_id, status, n_loans, balance from read_parquet({files}) "
        "qualify row_number() over (partition by lender_id, status order by window_end desc, "
        "revision desc) = 1"
    ).fetchall()
    return {
        (lender, status): (count, Decimal(balance))
        for lender, status, count, balance in rows
        if count
    }


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument(
        "--changes", type=int, default=200_000, help="statements of all clients [200000]"
    )
    parser.add_argument("--kills", type=int, default=20, help="at least so many [20]")
    parser.add_argument("--clients", type=int, default=4, help="sessions at once [4]")
    parser.add_argument(
        "--seed",
        type=int,
        default=int(time.time()),
        help="of the changes and the moments [the clock]",
    )
    args = parser.parse_args()
    proof.with_readers()
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-postgres-"))
    work.mkdir(parents=True, exist_ok=True)
    work.chmod(0o755)
    data = work / "data"
    shutil.rmtree(data, ignore_errors=True)
    dice = random.Random(args.seed)
    server = Server(work)
    try:
        server.psql(TABLE.replace("FIRST", str(LOANS_FIRST)))
        special = {
            0: [(0.3, copy_of_loans())],
            1: [(0.4, "truncate loans;")],
            2: [(0.6, "alter table loans add column extra int default 7;")],
        }
        clients = [
            Client(server, n + 1, args.changes // args.clients, args.seed, special.get(n, []))
            for n in range(args.clients)
        ]
        command = [
            binary,
            "run",
            str(proof.HERE / "postgres.toml"),
            "--set",
            f"riskstream.data={data}",
            *(
                arg
                for source in ("loans", "loans-again")
                for arg in ("--set", f"sources.{source}.url={server.url}")
            ),
        ]
        started = time.monotonic()
        for client in clients:
            client.start()
        kills = meanwhile = 0
        while kills < args.kills or any(client.is_alive() for client in clients):
            run = subprocess.Popen(
                [*command, "--workers", str(dice.choice([1, 2, 3]))],
                env=server.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            try:
                run.wait(timeout=dice.uniform(0.2, 2.5))
                sys.exit(
                    f"a run after {kills} kills ended with {run.returncode}: {run.stderr.read()}"
                )
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.communicate()
            kills += 1
            meanwhile += any(client.is_alive() for client in clients)
        seconds = time.monotonic() - started
        done = subprocess.run(
            [*command, "--set", "sources.loans.stop=end", "--set", "sources.loans-again.stop=end"],
            env=server.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            sys.exit(f"the last run ended with {done.returncode}: {done.stdout}")
        table, kinds, problems = folded(duckdb, data)
        if (data / "tables" / "dead_letters" / "_delta_log").exists():
            dead, files = proof.table_files(data, "dead_letters")
            if files != "[]":
                problems.append(
                    "there are dead letters: "
                    f"{duckdb.execute(f'select * from read_parquet({files}) limit 1').fetchone()}"
                )
        found = server.rows(
            "select loan_id, lender_id, status, balance, opened, (extract(epoch from changed) * "
            "1000000)::bigint, coalesce(note, '-') from loans"
        )
        expected = {int(row[0]): row for row in found}
        shown = {
            key: [str(v) for v in values[:6]] + ["-" if values[6] is None else values[6]]
            for key, values in table.items()
        }
        other = [
            key for key in expected.keys() | shown.keys() if expected.get(key) != shown.get(key)
        ]
        if other:
            key = min(other)
            problems.append(
                f"{len(other)} loans differ, as {key}: {expected.get(key)} in PostgreSQL, "
                f"{shown.get(key)} folded"
            )
        sums = {}
        for values in table.values():
            count, total = sums.get((values[1], values[2]), (0, Decimal(0)))
            sums[values[1], values[2]] = (count + 1, total + values[3])
        answer = {
            (r[0], r[1]): (int(r[2]), Decimal(r[3]))
            for r in server.rows(
                "select lender_id, status, count(*), sum(balance) from loans group by 1, 2"
            )
        }
        if sums != answer:
            problems.append("the folded sums by lender and status differ")
        rolled_up = rollup(duckdb, data)
        if rolled_up != answer:
            other = sorted(
                key
                for key in answer.keys() | rolled_up.keys()
                if answer.get(key) != rolled_up.get(key)
            )
            problems.append(
                f"the rollup differs in {len(other)} rows, as {other[0]}: {answer.get(other[0])} "
                f"in PostgreSQL, {rolled_up.get(other[0])} rolled up"
            )
        print(
            f"{sum(kinds.values()):,} changes "
            f"({', '.join(f'{op} {n:,}' for op, n in sorted(kinds.items()))}) of {args.clients} "
            f"clients in {seconds:.0f} s; "
            f"{kills} kills, {meanwhile} of them while the clients worked; seed {args.seed}"
        )
        total = sum((total for _, total in answer.values()), Decimal(0))
        print(
            f"{len(expected):,} loans of {len({l for l, _ in answer}):,} lenders left, {total:,} "
            f"outstanding; {'equal, to the cent' if not problems else 'OTHER'}"
        )
    finally:
        server.script("stop")
    for problem in problems:
        print(problem, file=sys.stderr)
    if not args.work and not problems:
        shutil.rmtree(work)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
