#!/usr/bin/env python3
"""Compacts a table of thousands of small commits while the stream writes it and readers count it:
no commit conflicts, no row is lost or doubled, few sorted files are left, every reader reads them.

    compaction.py [--binary PATH] [--commits 5000] [--rate 1000] [--by-hand] [--port 25434]
                  [--without-spark]

Small commits are appended to the table's log beside the program, in bursts, each by a put of the
next version, as any writer of Delta does it; the stream lands its own once a second. Meanwhile the
program compacts in the background (or `riskstream maintain` by hand, again and again), and two
readers ask by the port that speaks PostgreSQL's protocol, without pause: what they count never
falls, count(*) = count(distinct id), and within a transaction it does not change. At the end the
table has what was written, in fewer than 20 files, sorted; deltalake, DuckDB and Polars read the
same, and Spark where java is there (it is installed with maven's help, unless --without-spark is
given). Ends with 1 where something is wrong.
"""

import argparse
import datetime
import decimal
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from proof import print_table, program, with_readers

with_readers("psycopg", "psycopg_binary")

import duckdb  # noqa: E402
import polars  # noqa: E402
import psycopg  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from deltalake import DeltaTable  # noqa: E402

CONFIG = """
[riskstream]
name  = "compaction"
data  = "{data}"
epoch = {{ min = "10ms", max = "200ms" }}

[query]
postgres = "127.0.0.1:{port}"

[maintain]
background  = {background}
every       = "2s"
small_files = 16
target_file = "16MiB"
retention   = "10m"

[sources.payments]
kind       = "file"
path       = "{inputs}/*.csv"
follow     = true
schema     = {{ id = "int64", paid_at = "timestamp", card = "string", amount = "decimal(12,2)" }}
event_time = {{ column = "paid_at", out_of_orderness = "0s", ties_by = ["id"] }}

[pipelines.p]
from  = "payments"
order = "arrival"

[[pipelines.p.to]]
id      = "t"
kind    = "delta"
table   = "t"
sort_by = ["card", "paid_at"]
"""
DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
ROWS_PER_COMMIT = 20
COMMITS_PER_BURST = 20
BETWEEN_BURSTS = 0.5
FILES_MAX = 20
DELTA_SPARK = "4.0.0"


def card(number):
    return f"card-{number * 7919 % 4999:04}"


def amount(number):
    return f"{number % 997}.25"


class World:
    """The folder, the source, the program, and who writes and reads beside it."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        self.table = folder / "data/tables/t"
        self.config = folder / "compaction.toml"
        self.config.write_text(
            CONFIG.format(
                data=folder / "data",
                inputs=self.inputs,
                port=options.port,
                background="false" if options.by_hand else "true",
            )
        )
        self.made = 0
        self.appended = 0
        self.taken = 0
        self.answers = [0, 0]
        self.files_most = 0
        self.quiet = threading.Event()
        self.end = threading.Event()
        self.problems = []
        self.program = None

    def wrong(self, text):
        if len(self.problems) < 20:
            print(f"WRONG: {text}", flush=True)
        self.problems.append(text)

    def start(self):
        with open(self.folder / "run.log", "a", encoding="utf-8") as log:
            self.program = subprocess.Popen(
                [self.options.binary, "run", str(self.config), "--workers", "1"],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def make(self):
        """Rows of the stream, a file each tenth of a second."""
        began, number = time.monotonic(), 0
        while not self.quiet.is_set():
            hidden = self.folder / "next.csv"
            with open(hidden, "w", encoding="utf-8") as file:
                file.write("id,paid_at,card,amount\n")
                for row in range(self.made, self.made + self.options.rate // 10):
                    at = DAY + datetime.timedelta(milliseconds=row)
                    file.write(f"{row},{at.isoformat()},{card(row)},{amount(row)}\n")
            os.rename(hidden, self.inputs / f"{number:06}.csv")
            self.made += self.options.rate // 10
            number += 1
            time.sleep(max(0.0, began + number / 10 - time.monotonic()))

    def append(self):
        """Commits of few rows beside the program; their ids are below zero."""
        log = self.table / "_delta_log"
        # The stream's first rows may not have landed yet.
        (self.table / "event_date=2026-01-01").mkdir(exist_ok=True)
        version = 0
        for commit in range(self.options.commits):
            numbers = range(commit * ROWS_PER_COMMIT, (commit + 1) * ROWS_PER_COMMIT)
            rows = pa.table(
                {
                    "id": pa.array([-1 - n for n in numbers], pa.int64()),
                    "paid_at": pa.array(
                        [DAY + datetime.timedelta(seconds=n % 86_400) for n in numbers],
                        pa.timestamp("us", "UTC"),
                    ),
                    "card": pa.array([card(n) for n in numbers]),
                    "amount": pa.array(
                        [decimal.Decimal(amount(n)) for n in numbers], pa.decimal128(12, 2)
                    ),
                }
            )
            path = f"event_date=2026-01-01/beside-{commit:06}.parquet"
            pq.write_table(rows, self.table / path, compression="zstd", store_schema=False)
            now = int(time.time() * 1000)
            add = {
                "path": path,
                "partitionValues": {"event_date": "2026-01-01"},
                "size": os.path.getsize(self.table / path),
                "modificationTime": now,
                "dataChange": True,
                "stats": json.dumps({"numRecords": len(rows)}),
            }
            info = {"timestamp": now, "operation": "WRITE", "operationParameters": {}}
            hidden = log / f".beside-{commit}.tmp"
            hidden.write_text(json.dumps({"add": add}) + "\n" + json.dumps({"commitInfo": info}))
            while True:
                version += 1
                try:
                    os.link(hidden, log / f"{version:020}.json")
                    break
                except FileExistsError:
                    self.taken += 1
            hidden.unlink()
            self.appended += len(rows)
            if commit % COMMITS_PER_BURST == COMMITS_PER_BURST - 1:
                time.sleep(BETWEEN_BURSTS)

    def connect(self):
        return psycopg.connect(
            host="127.0.0.1", port=self.options.port, user="proof", dbname="riskstream"
        )

    def count(self, number):
        """Asks for what there is, without pause; the second reader within transactions."""
        asked = "select count(*), count(distinct id), min(id), max(id) from t"
        latest = (0, 0, 0, -1)
        connection = self.connect()
        connection.autocommit = True
        while not self.end.is_set():
            try:
                if number == 1:
                    connection.execute("begin")
                seen = connection.execute(asked).fetchone()
                rows, ids, lowest, highest = seen
                if rows != ids:
                    self.wrong(f"{rows} rows and {ids} ids")
                if rows < latest[0] or lowest > latest[2] or highest < latest[3]:
                    self.wrong(f"fell from {latest} to {seen}")
                # Both writers number their rows as they are made.
                if rows != highest + 1 - lowest:
                    self.wrong(f"{rows} rows from {lowest} to {highest}")
                latest = seen
                self.answers[number] += 1
                if number == 1:
                    time.sleep(0.2)
                    again = connection.execute(asked).fetchone()
                    if again != seen:
                        self.wrong(f"within a transaction {again} after {seen}")
                    connection.execute("commit")
            except psycopg.Error as error:
                self.wrong(f"an answer failed: {error}")
                time.sleep(0.2)
        connection.close()

    def maintain(self):
        """By hand, beside the program."""
        while not self.end.is_set():
            self.maintain_once("--retain", "10m")
            self.end.wait(2)

    def maintain_once(self, *more):
        done = subprocess.run(
            [self.options.binary, "maintain", str(self.config), "--format", "json", *more],
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
        )
        if done.returncode != 0:
            self.wrong(f"maintain: {done.stderr}")
            return {}
        tables = json.loads(done.stdout)["tables"]
        return next(table for table in tables if table["table"] == "t")

    def watch_files(self):
        """How many files the table had at most."""
        while not self.end.wait(5):
            try:
                self.files_most = max(self.files_most, len(DeltaTable(self.table).file_uris()))
            except Exception as error:  # deltalake raises what it likes
                # It lists names while others are made, and takes those that it misses for lost.
                if "Expected contiguous commit files" not in str(error):
                    self.wrong(f"deltalake beside the program: {error}")

    def wait_for(self, what, is_it, seconds=120):
        until = time.monotonic() + seconds
        while not is_it():
            if time.monotonic() > until:
                self.wrong(f"{what} does not come")
                return
            if self.program.poll() is not None:
                self.wrong(f"the program has ended with {self.program.returncode}")
                return
            time.sleep(0.1)

    def seen(self):
        try:
            with self.connect() as connection:
                return connection.execute("select count(*) from t").fetchone()[0]
        except psycopg.Error:
            return -1

    def expected(self):
        """All rows, by id."""
        numbers = range(self.appended)
        ids = [-1 - n for n in reversed(numbers)] + list(range(self.made))
        times = [DAY + datetime.timedelta(seconds=n % 86_400) for n in reversed(numbers)]
        times += [DAY + datetime.timedelta(milliseconds=n) for n in range(self.made)]
        of = lambda value: [value(n) for n in reversed(numbers)] + [
            value(n) for n in range(self.made)
        ]
        return pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "paid_at": pa.array(times, pa.timestamp("us", "UTC")),
                "card": pa.array(of(card), pa.string()),
                "amount": pa.array([decimal.Decimal(a) for a in of(amount)], pa.decimal128(12, 2)),
                "event_date": pa.array([at.date() for at in times], pa.date32()),
            }
        )


def by_duckdb(table, delta):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute("set timezone = 'UTC'")
    found = []
    try:
        import duckdb_extension_delta

        root = os.path.dirname(duckdb_extension_delta.__file__)
        found = glob.glob(f"{root}/extensions/v{duckdb.__version__}/delta.duckdb_extension")
    except ImportError:
        pass
    try:
        connection.execute(f"load '{found[0]}'" if found else "install delta; load delta")
        rows = connection.execute("select * from delta_scan(?)", [str(table)])
        return "DuckDB, delta_scan", rows.to_arrow_table()
    except (duckdb.Error, IndexError):
        files = [uri.removeprefix("file://") for uri in delta.file_uris()]
        rows = connection.execute(
            "select * from read_parquet(?, hive_partitioning = true, "
            "hive_types = {'event_date': date})",
            [files],
        )
        return "DuckDB, the log's files (no delta extension)", rows.to_arrow_table()


def install_spark():
    """Spark and its reader of Delta, from PyPI and Maven Central."""
    named = ["pyspark==4.0.1", f"delta-spark=={DELTA_SPARK}"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *named], check=True)
    if shutil.which("mvn"):
        artifact = f"io.delta:delta-spark_2.13:{DELTA_SPARK}"
        subprocess.run(["mvn", "-q", "dependency:get", f"-Dartifact={artifact}"], check=True)


def by_spark(table):
    """The rows by Spark; none where it is not there."""
    if not shutil.which("java"):
        return None
    try:
        install_spark()
        import delta as delta_spark
        from pyspark.sql import SparkSession
    except (ImportError, subprocess.CalledProcessError) as error:
        print(f"Spark is not tried: {error}")
        return None
    builder = (
        SparkSession.builder.master("local[2]")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config(
            "spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        )
        .config("spark.sql.session.timeZone", "UTC")
    )
    spark = delta_spark.configure_spark_with_delta_pip(builder).getOrCreate()
    try:
        return spark.read.format("delta").load(str(table)).toArrow()
    finally:
        spark.stop()


def normal(rows, like):
    """Rows by id, with the columns and types of `like`."""
    columns = {}
    for field in like.schema:
        column = rows[field.name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        columns[field.name] = column.cast(field.type)
    return pa.table(columns).sort_by("id").combine_chunks()


def check_readers(world):
    expected = world.expected()
    delta = DeltaTable(world.table)
    readers = [("deltalake", pa.table(delta.to_pyarrow_table()))]
    readers.append(("Polars", polars.read_delta(str(world.table)).to_arrow()))
    readers.append(by_duckdb(world.table, delta))
    spark = None if world.options.without_spark else by_spark(world.table)
    if spark is not None:
        readers.append(("Spark", spark))
    shown = []
    for name, rows in readers:
        same = normal(rows, expected).equals(expected)
        shown.append([name, rows.num_rows, "same" if same else "DIFFERS"])
        if not same:
            world.wrong(f"{name} reads {rows.num_rows} other rows")
    if spark is None:
        shown.append(["Spark", "-", "not tried"])
    print_table(["reader", "rows", ""], shown)


def check_files(world):
    """Fewer than 20 files, sorted, in row groups as promised."""
    delta = DeltaTable(world.table)
    uris = delta.file_uris()
    if len(uris) >= FILES_MAX:
        world.wrong(f"{len(uris)} files are left")
    for uri in uris:
        path = uri.removeprefix("file://")
        if "compact-" not in path:
            continue
        file = pq.ParquetFile(path)
        rows = file.read(columns=["card", "paid_at"])
        order = pc.sort_indices(rows, [("card", "ascending"), ("paid_at", "ascending")])
        if not rows.take(order).equals(rows):
            world.wrong(f"{path} is not sorted")
        groups = [file.metadata.row_group(g) for g in range(file.num_row_groups)]
        if any(group.num_rows > 131_072 for group in groups):
            world.wrong(f"{path} has row groups of {[group.num_rows for group in groups]} rows")
        if not all(group.column(0).has_column_index for group in groups):
            world.wrong(f"{path} has no page index")
    return delta


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", help="the riskstream program [default: built by cargo]")
    arguments.add_argument("--commits", type=int, default=5_000)
    arguments.add_argument("--rate", type=int, default=1_000, help="rows per second of the stream")
    arguments.add_argument("--by-hand", action="store_true", help="not in the background")
    arguments.add_argument("--port", type=int, default=25_434)
    arguments.add_argument("--without-spark", action="store_true")
    options = arguments.parse_args()
    options.binary = program(options.binary)
    with tempfile.TemporaryDirectory() as name:
        world = World(options, Path(name))
        began = time.monotonic()
        world.start()
        making = threading.Thread(target=world.make)
        making.start()
        world.wait_for("the table", lambda: world.seen() > 0)
        others = [threading.Thread(target=world.count, args=(n,)) for n in range(2)]
        others.append(threading.Thread(target=world.watch_files))
        if options.by_hand:
            others.append(threading.Thread(target=world.maintain))
        for thread in others:
            thread.start()
        if not world.problems:
            world.append()
        world.quiet.set()
        making.join()
        all_rows = world.made + world.appended
        world.wait_for(f"row {all_rows}", lambda: world.seen() == all_rows)
        # One more round, of what came last.
        time.sleep(6)
        world.end.set()
        for thread in others:
            thread.join()
        seconds = time.monotonic() - began
        world.program.send_signal(signal.SIGTERM)
        if world.program.wait(60) != 0:
            world.wrong(f"ended with {world.program.returncode}")
        log = (world.folder / "run.log").read_text()
        told = [line for line in log.splitlines() if re.search(r"\b(WARN|ERROR|panicked)\b", line)]
        for line in told[:5]:
            world.wrong(f"the log says: {line}")
        rounds = log.count("files compacted into")
        files_left = len(DeltaTable(world.table).file_uris())
        world.maintain_once()
        delta = check_files(world)
        check_readers(world)
        print(
            f"{options.commits} small commits and {rounds} compactions in the background in "
            f"{seconds:.0f} s, version {delta.version()}; {world.taken} versions were taken by "
            f"others; {sum(world.answers)} answers; at most {world.files_most} files seen, "
            f"{files_left} when the program ended, {len(delta.file_uris())} after `maintain`; "
            f"{len(world.problems)} problems"
        )
        if world.problems:
            print(log[-3000:])
            sys.exit(1)


if __name__ == "__main__":
    main()
