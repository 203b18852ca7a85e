#!/usr/bin/env python3
"""Compares counts of loan transitions per lender and window, and each lender's book as of every
day, with golden answers, for events in order and out of order.

    loans.py EVENTS.parquet GOLDEN_1D.parquet GOLDEN_7D.parquet GOLDEN_30D_BY_1D.parquet
             GOLDEN_PORTFOLIO.parquet [--binary PATH]

Events have the columns event_time, ingest_time, event_seq, lender_id, old_status, new_status,
status_changed and balance_cents; out of order means by ingest_time, at most two days later. Each
runs with 1, 2 and 3 workers, publishing windows as they change and only when they are final. The
newest row of every window, and of every lender and day, must equal the golden answer's, on all
rows. Ends with 1 if one doesn't.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import proof

WINDOWS = ["1d", "7d", "30d by 1d"]
COLUMNS = (
    "lender_id, window_start, window_end, coalesce(old_status, 'NONE') as old_status, new_status, "
    "n_events, sum_balance_cents"
)


def book(data, golden):
    """Rows of the golden portfolio that are not there, those of which a column differs (rates by
    more than 1e-12), and all of them.

    The book ends with the first midnight after the last event; golden days after that are compared
    with this one, since nothing happens in between.
    """
    import duckdb

    _, files = proof.table_files(data, "portfolio")
    duckdb.execute(f"""create or replace view book as select * from read_parquet({files})
        qualify row_number() over (partition by lender_id, as_of order by revision desc) = 1""")
    expected = f"'{golden.resolve()}'"
    columns = [
        (name, kind)
        for name, kind, *_ in duckdb.execute(f"describe select * from {expected}").fetchall()
        if name not in ("lender_id", "as_of")
    ]
    differs = [
        (
            f"coalesce(abs(b.{name} - g.{name}) > 1e-12, (b.{name} is null) <> (g.{name} is null))"
            if kind == "DOUBLE"
            else f"b.{name} is distinct from g.{name}"
        )
        for name, kind in columns
    ]
    return duckdb.execute(f"""select count(*) filter (b.lender_id is null),
            count(*) filter (b.lender_id is not null and ({" or ".join(differs)})), count(*)
        from {expected} g left join book b on g.lender_id = b.lender_id
            and least(g.as_of, (select max(as_of) from book)) = b.as_of""").fetchone()


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("events", type=Path)
    parser.add_argument("golden", type=Path, nargs=4)
    args = parser.parse_args()
    proof.with_readers()
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-loans-"))
    work.mkdir(parents=True, exist_ok=True)
    duckdb.execute("set preserve_insertion_order = true")
    for name, order in (("in order", "event_seq"), ("by ingest time", "ingest_time, event_seq")):
        duckdb.execute(
            f"copy (select * from '{args.events.resolve()}' order by {order}) to "
            f"'{work}/{name}.parquet'"
        )
    results, bad = [], 0
    for name in ("in order", "by ingest time"):
        for number, when in enumerate(["changes", "final"] * 3):
            workers = 1 + number // 2
            data = work / "data"
            shutil.rmtree(data, ignore_errors=True)
            config = work / "loans.toml"
            text = (proof.HERE / "loans.toml").read_text()
            config.write_text(text.replace('= "changes"', f'= "{when}"'))
            report = proof.run(
                binary, config, data, None, workers, [f"sources.loans.path={work}/{name}.parquet"]
            )
            _, files = proof.table_files(data, "loan_transitions")
            duckdb.execute(f"""create or replace view newest as select * from read_parquet({files})
                qualify row_number() over (
                    partition by lender_id, old_status, new_status, "window", window_start
                    order by revision desc) = 1""")
            cells = []
            for window, golden in zip(WINDOWS, args.golden):
                found = f"""select {COLUMNS} from newest where "window" = '{window}'"""
                expected = f"select {COLUMNS} from '{golden.resolve()}'"
                extra, missing = (
                    duckdb.execute(f"select count(*) from ({a} except all {b})").fetchone()[0]
                    for a, b in ((found, expected), (expected, found))
                )
                bad += extra + missing > 0
                cells.append(
                    f"-{missing} +{extra} of "
                    f"{duckdb.execute(f'select count(*) from ({expected})').fetchone()[0]:,}"
                )
            missing, other, golden_rows = book(data, args.golden[3])
            bad += missing + other > 0
            cells.append(f"-{missing} ~{other} of {golden_rows:,}")
            published = duckdb.execute(f"select count(*) from read_parquet({files})").fetchone()[0]
            results.append(
                [
                    name,
                    when,
                    workers,
                    report["rows_in"],
                    report["late"],
                    published,
                    *cells,
                    report["seconds"],
                ]
            )
    proof.print_table(
        ["events", "results", "workers", "rows", "late", "published", *WINDOWS, "book", "seconds"],
        results,
    )
    if not args.work:
        shutil.rmtree(work)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
