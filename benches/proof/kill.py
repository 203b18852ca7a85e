#!/usr/bin/env python3
"""Kills runs with SIGKILL at random moments, restarts each with another number of workers, and
compares what lands.

    kill.py [--binary PATH] [--kills 50] [--rows 600000] [--seed N]

Input is a file of generated payments with broken rows. A trial kills one data folder's runs again
and again until its input is done; trials go on until there were enough kills. At the end of each
trial the tables of rows, alerts and dead letters must equal those of an uninterrupted run, as
multisets; no alert may have the id of another; the Delta log's application transactions must be
there (deltalake's transaction_version); and deltalake, DuckDB and Polars must read the same rows.
Ends with 1 if anything differs.
"""

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import proof

TABLES = {"payment_features": "features", "alerts": "alerts", "dead_letters": "dead_letters"}
# The epoch of a dead letter depends on when epochs closed; which rows are dead letters, and why,
# doesn't.
COLUMNS = {"dead_letters": "* exclude (epoch)"}


def load(duckdb, data, prefix):
    """Makes a DuckDB table of each Delta table."""
    for table in TABLES:
        delta, files = proof.table_files(data, table)
        what = COLUMNS.get(table, "*")
        if files == "[]":
            continue
        duckdb.execute(
            f"create or replace table {prefix}_{table} as select {what} from read_parquet({files}, "
            "hive_partitioning = true)"
        )


def compare(duckdb, table):
    """Rows missing and too many."""
    return [
        duckdb.execute(
            f"select count(*) from (select * from {a}_{table} except all select * from {b}_{table})"
        ).fetchone()[0]
        for a, b in (("whole", "killed"), ("killed", "whole"))
    ]


def delta_scan(duckdb):
    """Whether DuckDB's own Delta reader can be had here (its extension is downloaded)."""
    try:
        duckdb.execute("install delta; load delta")
        return True
    except Exception:
        return False


def readers_agree(duckdb, data, has_delta_scan):
    """The three readers' row counts and sums of every table,
    and the last epoch that each sink delivered.
    """
    import polars

    versions, problems = [], []
    for table, sink in TABLES.items():
        path = str(data / "tables" / table)
        delta, files = proof.table_files(data, table)
        version = delta.transaction_version(f"proof/card-fraud/{sink}")
        versions.append(f"{sink} {version}")
        if version is None:
            problems.append(f"{table} has no transaction of its sink")
        key = {
            "payment_features": "transaction_id",
            "alerts": "transaction_id",
            "dead_letters": '"offset"',
        }[table]
        arrow = delta.to_pyarrow_table(columns=[key.strip('"')])
        by_deltalake = (arrow.num_rows, sum(arrow.column(0).to_pylist()))
        scan = f"delta_scan('{path}')" if has_delta_scan else f"read_parquet({files})"
        by_duckdb = duckdb.execute(
            f"select count(*), coalesce(sum({key}), 0)::bigint from {scan}"
        ).fetchone()
        frame = polars.read_delta(path)
        by_polars = (frame.height, frame[key.strip('"')].sum())
        if not by_deltalake == by_duckdb == by_polars:
            problems.append(
                f"{table}: deltalake {by_deltalake}, DuckDB {by_duckdb}, Polars {by_polars}"
            )
    return versions, problems


def trial(binary, path, data, mean_seconds, dice):
    """Kills until the input is done; gives the workers of each run, the kills, those that came
    before the run's first commit, and its report.
    """
    workers, kills, at_start, fruitless = [], 0, 0, 0
    config = proof.HERE / "kill.toml"
    epochs = data / "store" / "card-fraud" / "epochs"
    while True:
        last = workers[-1] if workers else 0
        workers.append(dice.choice([n for n in (1, 2, 3, 4) if n != last]))
        before = {p.name for p in epochs.glob("*")}
        process = subprocess.Popen(
            proof.run_arguments(binary, config, data, path, workers[-1]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Most kills come in the middle of a run, a quarter within start-up and recovery; they
        # come later after runs that committed nothing, so that the trial ends.
        delay = (
            dice.uniform(0.0, 0.1)
            if dice.random() < 0.25
            else dice.uniform(0.05, mean_seconds * 1.1**fruitless)
        )
        try:
            out, err = process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            out, err = process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
            came_to_nothing = not {p.name for p in epochs.glob("*")} - before
            at_start += came_to_nothing
            fruitless = fruitless + 1 if came_to_nothing else 0
            continue
        if process.returncode != 0 or "panicked" in err:
            sys.exit(f"a run after {kills} kills ended with {process.returncode}: {err}{out}")
        return workers, kills, at_start, proof.json.loads(out)["pipelines"][0]


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--kills", type=int, default=50, help="at least so many [50]")
    parser.add_argument("--rows", type=int, default=600_000, help="payments [600000]")
    parser.add_argument(
        "--seed",
        type=int,
        default=int(time.time()),
        help="of the moments and numbers of workers [the clock]",
    )
    args = parser.parse_args()
    proof.with_readers()
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-kill-"))
    work.mkdir(parents=True, exist_ok=True)
    dice = random.Random(args.seed)
    path = work / "payments.json"
    generate = [
        binary,
        "generate",
        "--out",
        str(path),
        "--rows",
        str(args.rows),
        "--broken-share",
        "0.002",
    ]
    subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)

    shutil.rmtree(work / "whole", ignore_errors=True)
    whole = proof.run(binary, proof.HERE / "kill.toml", work / "whole", path, 2)
    load(duckdb, work / "whole", "whole")
    print(
        f"uninterrupted: {whole['rows_in']:,} rows in {whole['seconds']:.2f} s, "
        f"{whole['committed_epoch']} epochs, "
        f"{whole['alerts']:,} alerts, {whole['dead']:,} dead letters; seed {args.seed}",
        flush=True,
    )
    has_delta_scan = delta_scan(duckdb)
    results, total, bad = [], 0, 0
    while total < args.kills:
        data = work / f"killed-{len(results)}"
        shutil.rmtree(data, ignore_errors=True)
        workers, kills, at_start, report = trial(binary, path, data, whole["seconds"] * 0.5, dice)
        load(duckdb, data, "killed")
        differences = [compare(duckdb, table) for table in TABLES]
        twice = duckdb.execute(
            "select count(*) - count(distinct alert_id) from killed_alerts"
        ).fetchone()[0]
        versions, problems = readers_agree(duckdb, data, has_delta_scan)
        ok = not any(sum(d) for d in differences) and twice == 0 and not problems
        bad += not ok
        total += kills
        cells = [f"-{missing} +{extra}" for missing, extra in differences]
        results.append(
            [
                len(results) + 1,
                kills,
                at_start,
                "".join(map(str, workers)),
                report["committed_epoch"],
                *cells,
                twice,
                ", ".join(versions),
                "equal" if ok else "OTHER",
            ]
        )
        for problem in problems:
            print(problem, file=sys.stderr)
        if ok:
            shutil.rmtree(data)
    header = [
        "trial",
        "kills",
        "before a commit",
        "workers",
        "epochs",
        "rows",
        "alerts",
        "dead letters",
        "alert ids twice",
        "transaction versions",
        "",
    ]
    proof.print_table(header, results)
    reader = "its own Delta reader" if has_delta_scan else "the files that the Delta log names"
    print(
        f"{total} kills in {len(results)} trials, {len(results) - bad} of them equal to the "
        f"uninterrupted run; DuckDB read by {reader}"
    )
    if not args.work and not bad:
        shutil.rmtree(work)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
