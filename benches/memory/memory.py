"""Bounded memory and fast recovery, measured. Called by run.sh."""

import argparse
import json
import math
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import measured  # noqa: E402, it lies one folder up

# What has 1.75 million payments in half a year.
CUSTOMERS, TERMINALS, RADIUS = 5_000, 10_000, 5.0
GOAL_MEMORY, GOAL_RECOVERY_S = 1.5, 5.0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--rows", type=int, required=True)
    return parser.parse_args()


def generated(args, times):
    """A file of `times` the payments of as many times the customers and terminals; each customer
    has as many terminals near as before.
    """
    path = args.cache / f"payments-{args.rows * times}-{times}x.parquet"
    if not path.exists():
        part = args.cache / "part.parquet"
        command = [
            args.program,
            "generate",
            "--out",
            part,
            "--rows",
            args.rows * times,
            "--days",
            100_000,
        ]
        command += [
            "--customers",
            CUSTOMERS * times,
            "--terminals",
            TERMINALS * times,
            "--radius",
            f"{RADIUS / math.sqrt(times):.3f}",
        ]
        subprocess.run([str(c) for c in command], check=True)
        part.rename(path)
    return path


def command(args, source, data):
    sets = [
        f"sources.payments.path={source}",
        f"riskstream.data={data}",
        f"riskstream.registry={args.registry}",
    ]
    config = HERE.parent / "side_by_side/card-fraud.toml"
    return [args.program, "run", str(config), "--format", "json"] + [
        a for s in sets for a in ("--set", s)
    ]


def landed(args, data):
    config = HERE.parent / "side_by_side/card-fraud.toml"
    query = [
        args.program,
        "query",
        "select count(*) as n, count(distinct transaction_id) as ids from payments_scored",
        "--config",
        str(config),
    ]
    query += [
        "--set",
        f"riskstream.data={data}",
        "--set",
        f"riskstream.registry={args.registry}",
        "--format",
        "ndjson",
    ]
    answer = json.loads(
        subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()[0]
    )
    return answer["n"], answer["ids"]


def whole_run(args, times, work):
    """One run from start to end; what it took and its report."""
    source, data = generated(args, times), work / f"{times}x"
    taken = measured.run(command(args, source, data), work / "run.log", cwd=work)
    report = measured.report_of(work / "run.log")["pipelines"][0]
    if report["rows_in"] != args.rows * times:
        raise measured.Failed(f"{report['rows_in']} of {args.rows * times} rows were read")
    measured.note_result(args.results, bench="memory", times=times, rows=args.rows * times, **taken)
    shutil.rmtree(data)
    print(
        f"  {times} x: {taken['wall_s']:.1f} s, {taken['peak_rss_mb']:,.0f} MB at most", flush=True
    )
    return taken, report


def killed_run(args, times, epochs, work):
    """Kills a run near its end, starts it again,
    and says how long that took to be back at work and at its first commit.
    """
    data = work / "killed"
    again = measured.killed_and_again(
        command(args, generated(args, times), data), data / "store/card-fraud", epochs, work
    )
    rows, ids = landed(args, data)
    shutil.rmtree(data)
    if (rows, ids) != (args.rows * times, args.rows * times):
        raise measured.Failed(
            f"the table has {rows} rows of {ids} payments; there are {args.rows * times}"
        )
    measured.note_result(args.results, bench="recovery", rows=rows, **again)
    return again["recovery_s"], again["first_commit_s"], again["store_mb"]


def main():
    args = arguments()
    measured.warn_if_busy()
    work = args.cache / "memory"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for times in (1, 10):
        generated(args, times)
    print(f"the whole job on {args.rows:,} and {args.rows * 10:,} payments", flush=True)
    (small, small_report), (large, large_report) = whole_run(args, 1, work), whole_run(
        args, 10, work
    )
    recovery, first_commit, store_mb = killed_run(args, 10, large_report["committed_epoch"], work)
    shutil.rmtree(work)

    lines = []
    for times, taken, report in ((1, small, small_report), (10, large, large_report)):
        state = sum(s["state_bytes"] for s in report["steps"]) / 2**20
        rows = args.rows * times
        lines.append(
            [
                f"{times} x",
                f"{rows:,}",
                f"{taken['peak_rss_mb']:,.0f}",
                f"{state:,.0f}",
                f"{taken['wall_s']:.1f}",
                f"{rows / taken['wall_s']:,.0f}",
            ]
        )
    print(
        "\n"
        + measured.table(
            ["data and keys", "rows", "peak MB", "state MB at the end", "wall s", "events/s"], lines
        )
    )
    ratio = large["peak_rss_mb"] / small["peak_rss_mb"]
    print(
        f"\n10 times the data takes {ratio:.2f} times the memory (goal at most {GOAL_MEMORY:g}: "
        f"{'met' if ratio <= GOAL_MEMORY else 'missed'})"
    )
    verdict = "met" if recovery < GOAL_RECOVERY_S else "missed"
    print(
        f"killed near the end, a store of {store_mb:,.0f} MB: back at reading after {recovery:.2f} "
        f"s (goal under {GOAL_RECOVERY_S:g}: {verdict}), first commit after {first_commit:.2f} s;"
    )
    print("its table has every payment exactly once")


if __name__ == "__main__":
    try:
        main()
    except (measured.Failed, subprocess.CalledProcessError) as error:
        sys.exit(f"memory: {error}")
