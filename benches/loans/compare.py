"""Makes each lender's book out of a loan book's changes with riskstream and DuckDB, each alone,
compares the answers and prints what each took. Called by run.sh.
"""

import argparse
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import measured  # noqa: E402, it lies one folder up

# Changes per second.
GOAL = 1_000_000


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--changes", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def differences(out, data, expected):
    """Rows of riskstream's table, and how many of them DuckDB has otherwise or not at all; every
    midnight of the book must be among them.
    """
    import duckdb

    found = measured.landed(out / data, "portfolio")
    connection = duckdb.connect()
    same = " AND ".join(f"f.{c} = e.{c}" for c in ["n_loans", "n_open", "open_balance_cents"])
    rows, wrong = connection.execute(
        f"""SELECT count(*), count(*) FILTER (e.n_loans IS NULL OR NOT ({same})) FROM {found} f
        LEFT JOIN '{expected}' e USING (lender_id, currency, "window", window_end)"""
    ).fetchone()
    days = f"""SELECT count(*) FROM '{expected}' e
        WHERE "window" = 'always by 1d' AND window_end <= (SELECT max(window_end) FROM {found} f
        WHERE f."window" = 'always by 1d')"""
    missing = f"""SELECT ({days}) - count(*) FROM {found} f WHERE f."window" = 'always by 1d'"""
    return rows, wrong + abs(connection.execute(missing).fetchone()[0])


def main():
    args = arguments()
    import duckdb

    changes = duckdb.execute(f"SELECT count(*) FROM '{args.changes}'").fetchone()[0]
    measured.warn_if_busy()
    print(
        f"{changes:,} changes of loans as Parquet, {args.threads} threads, {args.runs} rounds, "
        "each contender alone",
        flush=True,
    )
    out, threads = args.work / "out", str(args.threads)
    sets = [f"sources.loan-changes.path={args.changes}", f"riskstream.data={out}/riskstream"]
    contenders = {
        "DuckDB": [
            args.cache / "venv/bin/python",
            HERE / "duckdb_loans.py",
            args.changes,
            args.work / "expected.parquet",
            threads,
        ],
        "riskstream": [
            args.program,
            "run",
            HERE / "loans.toml",
            "--workers",
            threads,
            "--format",
            "json",
            *[a for s in sets for a in ("--set", s)],
        ],
    }
    taken, answers = {}, set()
    for _ in range(args.runs):
        for name, command in contenders.items():
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            run = measured.run([str(c) for c in command], args.work / f"{name}.log", cwd=args.work)
            taken.setdefault(name, []).append(run)
            measured.note_result(
                args.results, bench="loans", name=name, threads=args.threads, changes=changes, **run
            )
            print(f"  {name}: {run['wall_s']:.2f} s", flush=True)
        answers.add(differences(out, "riskstream", args.work / "expected.parquet"))
    lines = []
    for name, runs in taken.items():
        run = measured.middle(runs)
        rate = changes / run["wall_s"]
        goal = "" if name != "riskstream" else "met" if rate >= GOAL else "MISSED"
        lines.append(
            [
                name,
                f"{run['wall_s']:.2f}",
                f"{run['cpu_s']:.2f}",
                f"{run['peak_rss_mb']:,.0f}",
                f"{rate:,.0f}",
                f"{changes / run['cpu_s']:,.0f}",
                goal,
            ]
        )
    print("\nThe median round of each:\n")
    print(
        measured.table(
            ["", "wall s", "CPU s", "peak MB", "changes/s", "per CPU s", f"{GOAL:,}/s"], lines
        )
    )
    shutil.rmtree(out, ignore_errors=True)
    for rows, wrong in sorted(answers):
        if wrong or not rows:
            raise measured.Failed(f"{wrong:,} of {rows:,} rows differ from DuckDB's")
        print(f"\n{rows:,} rows, all equal to DuckDB's")


if __name__ == "__main__":
    try:
        main()
    except measured.Failed as error:
        sys.exit(f"loans: {error}")
