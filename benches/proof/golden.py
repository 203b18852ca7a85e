#!/usr/bin/env python3
"""Compares every feature of every row with the golden features, for each input format, number of
workers and epoch length.

    golden.py TRANSACTIONS.parquet GOLDEN.parquet [--binary PATH] [--quick]

Counts must be equal, means and risks equal within 1e-9, and every transaction must be there once.
Prints a table of mismatches and ends with 1 if there is any. TRANSACTIONS has the columns of the
Fraud Detection Handbook, sorted by (tx_datetime, transaction_id); GOLDEN has transaction_id,
customer_id_{nb_tx,avg_amount}_{1,7,30}day_window and terminal_id_{nb_tx,risk}_{1,7,30}day_window.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import proof

COLUMNS = (
    "transaction_id, tx_datetime, customer_id, terminal_id, tx_amount::decimal(12,2) "
    "as tx_amount, tx_fraud"
)
FEATURES = [
    (f"{key}_{ours}_{days}d", f"{key}_id_{theirs}_{days}day_window", exact)
    for key, ours, theirs, exact in [
        ("customer", "nb_tx", "nb_tx", True),
        ("customer", "avg_amount", "avg_amount", False),
        ("terminal", "nb_tx", "nb_tx", True),
        ("terminal", "risk", "risk", False),
    ]
    for days in (1, 7, 30)
]


def write_forms(duckdb, transactions, folder):
    """The transactions as a file of each format."""
    forms = {
        "parquet": transactions,
        "csv": folder / "transactions.csv",
        "ndjson": folder / "transactions.ndjson",
    }
    source = (
        f"(select {COLUMNS} from read_parquet('{transactions}') "
        "order by tx_datetime, transaction_id)"
    )
    times = "timestampformat '%Y-%m-%d %H:%M:%S'"
    duckdb.execute(f"copy {source} to '{forms['csv']}' (format csv, header, {times})")
    duckdb.execute(f"copy {source} to '{forms['ndjson']}' (format json, {times})")
    return forms


def mismatches(duckdb, data, golden):
    """Rows, distinct transactions, transactions of only one side, and mismatches by feature."""
    _, files = proof.table_files(data, "payment_features")
    wrong = [
        f"count(*) filter (where f.{ours} is distinct from g.{theirs})"
        if exact
        else f"count(*) filter (where not coalesce(abs(f.{ours} - g.{theirs}) <= 1e-9, false))"
        for ours, theirs, exact in FEATURES
    ]
    return duckdb.execute(f"""with f as (select * from read_parquet({files})),
            g as (select * from read_parquet('{golden}'))
        select (select count(*) from f), (select count(distinct transaction_id) from f),
               count(*) filter (where f.transaction_id is null or g.transaction_id is null),
               {', '.join(wrong)}
        from f full join g using (transaction_id)""").fetchone()


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("transactions", type=Path)
    parser.add_argument("golden", type=Path)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="each format, number of workers and epoch length once, not all combinations",
    )
    args = parser.parse_args()
    proof.with_readers()
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-golden-"))
    work.mkdir(parents=True, exist_ok=True)
    forms = write_forms(duckdb, args.transactions.resolve(), work)
    golden_rows = duckdb.execute(f"select count(*) from read_parquet('{args.golden}')").fetchone()[
        0
    ]
    epochs, workers = [20_000, 131_072, 1_000_000], [1, 2, 3]
    cases = [(form, w, e) for form in forms for w in workers for e in epochs]
    if args.quick:
        cases = [("parquet", 1, 20_000), ("csv", 2, 131_072), ("ndjson", 3, 1_000_000)]
    rows, bad = [], 0
    for form, count, epoch in cases:
        data = work / "data"
        shutil.rmtree(data, ignore_errors=True)
        sets = [
            f"riskstream.epoch.rows={epoch}",
            "riskstream.epoch.max=10s",
            "riskstream.epoch.bytes=4GiB",
        ]
        report = proof.run(binary, proof.HERE / "features.toml", data, forms[form], count, sets)
        found, distinct, alone, *wrong = mismatches(duckdb, data, args.golden.resolve())
        counts = sum(n for n, (_, _, exact) in zip(wrong, FEATURES) if exact)
        means = sum(wrong) - counts
        ok = found == distinct == golden_rows and alone == counts == means == 0
        bad += not ok
        rows.append(
            [
                form,
                count,
                epoch,
                report["committed_epoch"],
                found,
                golden_rows - distinct + alone,
                counts,
                means,
                report["seconds"],
                "ok" if ok else "WRONG",
            ]
        )
        print(
            f"{form}, {count} workers, epochs of {epoch:,}: {'ok' if ok else 'WRONG'}",
            file=sys.stderr,
        )
        if not ok:
            print(
                "  " + ", ".join(f"{ours} {n:,}" for n, (ours, _, _) in zip(wrong, FEATURES) if n),
                file=sys.stderr,
            )
    header = [
        "input",
        "workers",
        "epoch rows",
        "epochs",
        "rows",
        "missing",
        "wrong counts",
        "wrong means and risks",
        "seconds",
        "",
    ]
    proof.print_table(header, rows)
    print(
        f"{len(rows) - bad} of {len(rows)} runs equal the golden features on all {golden_rows:,} "
        "rows"
    )
    if not args.work:
        shutil.rmtree(work)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
