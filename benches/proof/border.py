#!/usr/bin/env python3
"""Counts without pause, by the port that speaks PostgreSQL's protocol, while rows are committed,
landed, compacted and vacuumed, and the program is killed and started again: no row is ever missing
or seen twice.

    border.py [--binary PATH] [--seconds 120] [--rate 20000] [--kills 3] [--seed N] [--port 25433]

The program compacts in the background, every two seconds, and `riskstream maintain` beside it,
which also removes files that were replaced ten seconds ago, far longer than a statement takes. At
each answer: count(*) = count(distinct id), of each file of the source its beginning is there (a
file is read in its order, while others are, too), what a connection sees never falls, and within a
transaction it does not change. At the end it equals the source. Freshness is the time from the
commit of an epoch (its file has its name) to the end of the first answer that shows it. Ends with 1
where something is wrong, where nothing was compacted or removed, or where the 99th percentile of
freshness is 50 ms or more.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg2

CONFIG = """
[riskstream]
name  = "border"
data  = "{data}"
epoch = {{ min = "10ms", max = "200ms", rows = 50_000 }}

[query]
postgres = "127.0.0.1:{port}"

[maintain]
every       = "2s"
small_files = 4
retention   = "10m"

[sources.payments]
kind       = "file"
path       = "{inputs}/*.csv"
follow     = true
schema     = {{ id = "int64", paid_at = "timestamp", amount = "decimal(12,2)" }}
event_time = {{ column = "paid_at", out_of_orderness = "0s", ties_by = ["id"] }}

[pipelines.p]
from  = "payments"
order = "arrival"

[[pipelines.p.to]]
id    = "t"
kind  = "delta"
table = "t"
"""
FRESH_P99_MS = 50.0
SECONDS_OF_FILE = 5


class World:
    """The folder, the source and the program."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        self.config = folder / "border.toml"
        self.config.write_text(
            CONFIG.format(data=folder / "data", inputs=self.inputs, port=options.port)
        )
        self.made = 0
        self.of_file = options.rate // 100 * 100 * SECONDS_OF_FILE
        self.end = threading.Event()
        self.problems = []
        self.commits = {}
        self.seen = {}
        self.answers = 0
        self.compacted = 0
        self.removed = 0
        self.downs = []
        self.program = None

    def wrong(self, text):
        if len(self.problems) < 20:
            print(f"WRONG: {text}", flush=True)
        self.problems.append(text)

    def start(self):
        log = open(self.folder / "run.log", "a")
        self.program = subprocess.Popen(
            [self.options.binary, "run", str(self.config), "--workers", "1"],
            stdout=log,
            stderr=log,
            cwd=self.folder,
        )

    def make(self):
        """Rows at the rate, a hundredth of a second at a time, into files of some seconds."""
        rate = self.options.rate
        began = time.monotonic()
        turn = 0
        while not self.end.is_set():
            rows = []
            for row in range(self.made, self.made + rate // 100):
                second, micros = divmod(row * 50, 1_000_000)
                at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_767_225_600 + second))
                rows.append(f"{row},{at}.{micros:06}Z,{row % 997}.25\n")
            path = self.inputs / f"{self.made // self.of_file:06}.csv"
            text = "".join(rows)
            if not path.exists():
                text = f"id,paid_at,amount\n{text}"
            with open(path, "a") as file:
                file.write(text)
            self.made += rate // 100
            turn += 1
            time.sleep(max(0.0, began + turn / 100 - time.monotonic()))

    def watch_commits(self):
        """When each epoch's file got its name, as the file system says (to its clock's tick)."""
        epochs = self.folder / "data/store/p/epochs"
        while not self.end.is_set():
            try:
                for entry in os.scandir(epochs):
                    epoch = int(entry.name.split("-")[0])
                    if epoch not in self.commits:
                        self.commits[epoch] = entry.stat().st_ctime
            except FileNotFoundError:
                pass
            time.sleep(0.01)

    def connect(self):
        return psycopg2.connect(
            host="127.0.0.1", port=self.options.port, user="border", dbname="riskstream"
        )

    def count(self, number):
        """Asks for what there is, on one connection for as long as it lives."""
        files = f"select max(id) % {self.of_file} + 1 as rows from t group by id / {self.of_file}"
        beginnings = f"(select coalesce(sum(rows), 0) from ({files}) files)"
        asked = f"select count(*), count(distinct id), {beginnings}, epoch('p') from t"
        if number == 0:
            # What the logs and the store say, so that the answer takes no longer than the look.
            asked = "select count(*), count(*), count(*), epoch('p') from t"
        latest = (0, 0)
        while not self.end.is_set():
            try:
                connection = self.connect()
            except psycopg2.Error:
                time.sleep(0.02)
                continue
            try:
                connection.autocommit = True
                cursor = connection.cursor()
                while not self.end.is_set():
                    if number == 2:
                        cursor.execute("begin")
                    cursor.execute(asked)
                    rows, ids, begun, epoch = cursor.fetchone()
                    now = time.time()
                    if number == 0:
                        self.seen.setdefault(epoch, now)
                    if not rows == ids == begun:
                        self.wrong(f"{rows} rows, {ids} ids, {begun} in beginnings, epoch {epoch}")
                    if (rows, epoch) < latest and (rows < latest[0] or epoch < latest[1]):
                        self.wrong(f"fell from {latest} to {(rows, epoch)}")
                    latest = (rows, epoch)
                    self.answers += 1
                    if number == 2:
                        time.sleep(0.3)
                        cursor.execute(asked)
                        again = cursor.fetchone()
                        if again != (rows, ids, begun, epoch):
                            self.wrong(f"within a transaction {again} after {(rows, epoch)}")
                        cursor.execute("commit")
            except psycopg2.Error as error:
                # Without a code it is the connection that was lost.
                is_expected = self.is_down() if error.pgcode is None else False
                # The table is there once its first rows have landed.
                is_expected |= error.pgcode == "42P01" and latest == (0, 0)
                if not is_expected:
                    self.wrong(f"an answer failed: {error.pgcode} {str(error).strip()}")
                time.sleep(0.02)
            finally:
                connection.close()

    def is_down(self):
        now = time.monotonic()
        return any(begin <= now <= end for begin, end in self.downs)

    def maintain(self):
        while not self.end.is_set():
            time.sleep(5)
            done = subprocess.run(
                [self.options.binary, "maintain", str(self.config)]
                + ["--retain", "10s", "--format", "json"],
                capture_output=True,
                text=True,
                cwd=self.folder,
                check=False,
            )
            if done.returncode != 0:
                self.wrong(f"maintain: {done.stderr}")
                continue
            for table in json.loads(done.stdout)["tables"]:
                self.compacted += table["files_compacted"]
                self.removed += table["files_removed"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", default="target/release/riskstream")
    arguments.add_argument("--seconds", type=int, default=120)
    arguments.add_argument("--rate", type=int, default=20_000)
    arguments.add_argument("--kills", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments.add_argument("--port", type=int, default=25_433)
    options = arguments.parse_args()
    options.binary = str(Path(options.binary).resolve())
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        world = World(options, Path(name))
        world.start()
        threads = [threading.Thread(target=world.make), threading.Thread(target=world.maintain)]
        threads.append(threading.Thread(target=world.watch_commits))
        threads += [threading.Thread(target=world.count, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        kills = sorted(dice.uniform(5, options.seconds - 5) for _ in range(options.kills))
        began = time.monotonic()
        for at in kills + [options.seconds]:
            time.sleep(max(0.0, began + at - time.monotonic()))
            if at < options.seconds:
                world.downs.append((time.monotonic() - 0.1, time.monotonic() + 15))
                world.program.send_signal(signal.SIGKILL)
                world.program.wait()
                time.sleep(dice.uniform(0, 1))
                world.start()
            elif world.program.poll() is not None:
                world.wrong("the program has ended")
        world.end.set()
        for thread in threads:
            thread.join()
        # What was made by then is seen within a while.
        until, rows = time.monotonic() + 60, -1
        while rows != world.made and time.monotonic() < until:
            time.sleep(0.2)
            try:
                connection = world.connect()
                cursor = connection.cursor()
                cursor.execute("select count(*), count(distinct id) from t")
                rows, ids = cursor.fetchone()
                connection.close()
            except psycopg2.Error as error:
                print(error)
        if not rows == ids == world.made:
            world.wrong(f"at the end {rows} rows and {ids} ids of {world.made}")
        log = (world.folder / "run.log").read_text()
        behind = sum(int(n) for n in re.findall(r"(\d+) files compacted into", log))
        if 0 in (world.compacted + behind, world.removed):
            world.wrong("nothing was compacted, or nothing removed")
        world.program.send_signal(signal.SIGTERM)
        if world.program.wait(30) != 0:
            world.wrong(f"ended with {world.program.returncode}")
        shown, fresh = sorted(world.seen), []
        down = [(began_at, end) for began_at, end in world.downs]
        for epoch, committed in sorted(world.commits.items()):
            later = [world.seen[other] for other in shown if other >= epoch]
            if later and not down_at(committed, down):
                fresh.append(1_000 * (min(later) - committed))
        fresh.sort()
        at = lambda share: fresh[min(len(fresh) - 1, int(share * len(fresh)))] if fresh else 0.0
        print(
            f"seed {options.seed}: {world.answers} answers, {world.made} rows, "
            f"{len(world.commits)} epochs seen being committed, {options.kills} kills, "
            f"{behind} files compacted in the background and {world.compacted} by hand, "
            f"{world.removed} removed; "
            f"freshness p50 {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms, most {at(1.0):.1f} ms; "
            f"{len(world.problems)} problems"
        )
        if world.problems or (fresh and at(0.99) >= FRESH_P99_MS):
            print(log[-3000:])
            sys.exit(1)


def down_at(committed, downs):
    """Whether an epoch was committed about when the program was killed."""
    now, wall = time.monotonic(), time.time()
    at = now - (wall - committed)
    return any(begin - 2 <= at <= end for begin, end in downs)


if __name__ == "__main__":
    main()
