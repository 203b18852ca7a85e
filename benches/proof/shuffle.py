#!/usr/bin/env python3
"""Shuffles transactions within an hour, in 1, 4 and 16 files, and compares the table with that of
the ordered file.

    shuffle.py TRANSACTIONS.parquet [--binary PATH] [--rows N] [--seed N]

Every row moves later by up to the allowed out-of-orderness. The shuffled rows are dealt to files in
turn, and in another run cut into one range of time per file. All tables must be equal as multisets,
without a late row. Ends with 1 if one isn't.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import proof

ALLOWED = "1h"
ALLOWED_SECONDS = 3600


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("transactions", type=Path)
    parser.add_argument("--rows", type=int, help="the first N transactions [default: all]")
    parser.add_argument("--seed", type=float, default=0.42, help="of the shuffle, 0 to 1")
    args = parser.parse_args()
    proof.with_readers()
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-shuffle-"))
    work.mkdir(parents=True, exist_ok=True)
    source = (
        f"(select * from read_parquet('{args.transactions.resolve()}') order by tx_datetime, "
        f"transaction_id limit {args.rows or 2**62})"
    )
    duckdb.execute("set threads = 1; set preserve_insertion_order = true")
    duckdb.execute("select setseed(?)", [args.seed])
    duckdb.execute(f"""create table shuffled as select *, row_number()
            over (order by epoch(tx_datetime) + jitter, transaction_id) - 1 as n
        from (select *, random() * {ALLOWED_SECONDS} as jitter from {source})""")
    duckdb.execute(
        "copy (select * exclude (n, jitter) from shuffled order by tx_datetime, transaction_id) "
        f"to '{work}/ordered.parquet'"
    )
    total = duckdb.execute("select count(*) from shuffled").fetchone()[0]

    def run(name, path, workers):
        data = work / f"data-{name}"
        shutil.rmtree(data, ignore_errors=True)
        sets = [f"sources.payments.event_time.out_of_orderness={ALLOWED}"]
        return data, proof.run(binary, proof.HERE / "features.toml", data, path, workers, sets)

    data, report = run("ordered", work / "ordered.parquet", 1)
    _, files = proof.table_files(data, "payment_features")
    duckdb.execute(
        f"create view expected as select * from read_parquet({files}, hive_partitioning = true)"
    )
    results, bad = [
        ["ordered", 1, 1, report["rows_in"], 0, report["late"], 0, 0, report["seconds"], ""]
    ], 0
    for number, (count, cut) in enumerate(
        [(1, "whole"), (4, "in turn"), (4, "ranges"), (16, "in turn"), (16, "ranges")]
    ):
        folder = work / f"files-{count}-{cut.replace(' ', '-')}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in range(count):
            mine = (
                f"n % {count} = {file}" if cut == "in turn" else f"n * {count} // {total} = {file}"
            )
            duckdb.execute(
                f"copy (select * exclude (n, jitter) from shuffled where {mine} order by n) to "
                f"'{folder}/{file:02}.parquet'"
            )
        moved = duckdb.execute(
            "select count(*) from (select *, lag(tx_datetime) over (order by n) as before from "
            "shuffled) where tx_datetime < before"
        ).fetchone()[0]
        data, report = run(folder.name, folder / "*.parquet", 1 + number % 3)
        _, files = proof.table_files(data, "payment_features")
        duckdb.execute(
            f"create or replace view found as select * from read_parquet({files}, "
            "hive_partitioning = true)"
        )
        missing, extra = (
            duckdb.execute(
                f"select count(*) from (select * from {a} except all select * from {b})"
            ).fetchone()[0]
            for a, b in (("expected", "found"), ("found", "expected"))
        )
        ok = missing == extra == report["late"] == 0 and report["rows_in"] == total
        bad += not ok
        results.append(
            [
                cut,
                count,
                1 + number % 3,
                report["rows_in"],
                moved,
                report["late"],
                missing,
                extra,
                report["seconds"],
                "equal" if ok else "OTHER",
            ]
        )
    header = [
        "shuffled",
        "files",
        "workers",
        "rows",
        "behind the row before",
        "late",
        "missing",
        "extra",
        "seconds",
        "",
    ]
    proof.print_table(header, results)
    if not args.work:
        shutil.rmtree(work)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
