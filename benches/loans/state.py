"""The state of many loans: peak memory of a run that holds more loans than fit its memory for
rows, its answer, and how fast it goes on after a kill. Called by state.sh.
"""

import argparse
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import measured  # noqa: E402, it lies one folder up
from compare import differences  # noqa: E402

GOAL_MB, GOAL_RECOVERY_S = 2_048, 30.0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--changes", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main():
    args = arguments()
    import duckdb

    loans, changes = duckdb.execute(
        f"SELECT count(DISTINCT loan_id), count(*) FROM '{args.changes}'"
    ).fetchone()
    measured.warn_if_busy()
    print(f"{changes:,} changes of {loans:,} loans, {args.threads} workers", flush=True)
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)

    def command(data):
        # In arrival order: a table's captured changes come in the database's order, and nothing has
        # to wait for a watermark.
        sets = [
            f"sources.loan-changes.path={args.changes}",
            f"riskstream.data={data}",
            "pipelines.portfolio.order=arrival",
        ]
        return [
            args.program,
            "run",
            str(HERE / "loans.toml"),
            "--workers",
            str(args.threads),
            "--format",
            "json",
            *[a for s in sets for a in ("--set", s)],
        ]

    expected = args.work / "expected.parquet"
    measured.run(
        [
            str(c)
            for c in [
                args.cache / "venv/bin/python",
                HERE / "duckdb_loans.py",
                args.changes,
                expected,
                args.threads,
            ]
        ],
        args.work / "duckdb.log",
    )

    def checked(data):
        rows, wrong = differences(args.work, data.name, expected)
        shutil.rmtree(data)
        if wrong or not rows:
            raise measured.Failed(f"{wrong:,} of {rows:,} rows differ from DuckDB's")
        return rows

    whole = args.work / "whole"
    taken = measured.run(command(whole), args.work / "run.log", cwd=args.work)
    report = measured.report_of(args.work / "run.log")["pipelines"][0]
    files = list((whole / "store/portfolio/history").rglob("*.rows"))
    on_disk = sum(f.stat().st_size for f in files) / 2**20
    rows = checked(whole)
    measured.note_result(args.results, bench="loans-state", loans=loans, changes=changes, **taken)
    state = sum(s["state_bytes"] for s in report["steps"]) / 2**20
    killed = args.work / "killed"
    again = measured.killed_and_again(
        command(killed), killed / "store/portfolio", report["committed_epoch"], args.work
    )
    checked(killed)
    measured.note_result(args.results, bench="loans-recovery", loans=loans, **again)

    header = [
        "loans",
        "changes",
        "peak MB",
        "state MB in memory",
        "MB in files",
        "wall s",
        "changes/s",
    ]
    line = [
        f"{loans:,}",
        f"{changes:,}",
        f"{taken['peak_rss_mb']:,.0f}",
        f"{state:,.0f}",
        f"{on_disk:,.0f} in {len(files)}",
        f"{taken['wall_s']:.1f}",
    ]
    print("\n" + measured.table(header, [[*line, f"{changes / taken['wall_s']:,.0f}"]]))
    peak = max(taken["peak_rss_mb"], again["again_peak_rss_mb"])
    print(
        f"\npeak memory {peak:,.0f} MB (goal below {GOAL_MB:,}: "
        f"{'met' if peak < GOAL_MB else 'MISSED'})"
    )
    verdict = "met" if again["recovery_s"] < GOAL_RECOVERY_S else "MISSED"
    print(
        f"killed near the end: back at reading after {again['recovery_s']:.2f} s (goal under "
        f"{GOAL_RECOVERY_S:g}: {verdict}), first commit after {again['first_commit_s']:.2f} s"
    )
    print(f"{rows:,} rows, all equal to DuckDB's, also after the kill")


if __name__ == "__main__":
    try:
        main()
    except measured.Failed as error:
        sys.exit(f"loans: {error}")
