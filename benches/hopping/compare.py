"""Counts payments in hopping windows with riskstream, DuckDB, Polars and Flink, each alone,
compares their answers and prints what each took. Called by run.sh.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import measured  # noqa: E402, it lies one folder up

# Events per CPU second, riskstream's over the other's.
GOALS = {"Flink": 10.0, "DuckDB": 1.0}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="contenders whose names contain this")
    return parser.parse_args()


def contenders(args):
    """Name, command, and the answer as a table of DuckDB's;
    every command writes to work/out only.
    """
    python, out, threads, source = (
        args.cache / "venv/bin/python",
        args.work / "out",
        str(args.threads),
        args.data / "payments.ndjson",
    )
    sets = [f"sources.payments.path={source}", f"riskstream.data={out}/riskstream"]
    riskstream = [
        args.program,
        "run",
        HERE / "hopping.toml",
        "--workers",
        threads,
        "--format",
        "json",
        *[a for s in sets for a in ("--set", s)],
    ]
    found = [
        ("riskstream", riskstream, None),
        (
            "DuckDB",
            [python, HERE / "duckdb_hopping.py", source, out / "counts.parquet", threads],
            f"read_parquet('{out}/counts.parquet')",
        ),
        (
            "Polars",
            [python, HERE / "polars_hopping.py", source, out / "counts.parquet", threads],
            f"read_parquet('{out}/counts.parquet')",
        ),
        (
            "Flink",
            [*measured.flink(args.cache, "HoppingCount"), source, out / "flink", threads],
            "(SELECT column0 AS customer_id, make_timestamp(column1 * 1000) AS window_end, "
            f"column2 AS n FROM read_csv('{out}/flink/**/*part*', header = false))",
        ),
    ]
    return [c for c in found if args.only.lower() in c[0].lower()]


def answer(relation):
    """Rows, payments counted, and a sum that tells whether any row is another."""
    import duckdb

    return (
        duckdb.connect()
        .execute(
            "SELECT count(*), sum(n), bit_xor(hash(customer_id::BIGINT, epoch_us(window_end), "
            f"n::BIGINT)) FROM {relation}"
        )
        .fetchone()
    )


def once(args, name, command, relation):
    out = args.work / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    taken = measured.run([str(c) for c in command], args.work / f"{name}.log", cwd=args.work)
    taken["answer"] = [
        int(v) for v in answer(relation or measured.landed(out / "riskstream", "counts"))
    ]
    measured.note_result(args.results, bench="hopping", name=name, threads=args.threads, **taken)
    print(f"  {name}: {taken['wall_s']:.2f} s", flush=True)
    return taken


def main():
    args = arguments()
    rows = int((args.data / "rows").read_text())
    measured.warn_if_busy()
    print(
        f"{rows:,} payments as NDJSON, {args.threads} threads, {args.runs} rounds, "
        "each contender alone",
        flush=True,
    )
    taken = {}
    for _ in range(args.runs):
        for name, command, relation in contenders(args):
            taken.setdefault(name, []).append(once(args, name, command, relation))
    medians = {name: measured.middle(runs) for name, runs in taken.items()}
    ours = medians.get("riskstream")
    lines = []
    for name, run in medians.items():
        ratio = f"{run['cpu_s'] / ours['cpu_s']:.2f}" if ours and name != "riskstream" else ""
        lines.append(
            [
                name,
                f"{run['wall_s']:.2f}",
                f"{run['cpu_s']:.2f}",
                f"{run['peak_rss_mb']:,.0f}",
                f"{rows / run['wall_s']:,.0f}",
                f"{rows / run['cpu_s']:,.0f}",
                ratio,
                f"{GOALS[name]:g}" if name in GOALS and ratio else "",
                f"{run['answer'][0]:,}",
            ]
        )
    print("\nThe median round of each:\n")
    print(
        measured.table(
            [
                "",
                "wall s",
                "CPU s",
                "peak MB",
                "events/s",
                "per CPU s",
                "riskstream is x",
                "goal",
                "results",
            ],
            lines,
        )
    )
    shutil.rmtree(args.work / "out", ignore_errors=True)
    answers = {tuple(run["answer"]) for runs in taken.values() for run in runs}
    if len(answers) > 1:
        raise measured.Failed(
            f"the answers differ: {({name: run['answer'] for name, run in medians.items()})}"
        )
    print("\nall answers are equal")


if __name__ == "__main__":
    try:
        main()
    except (measured.Failed, json.JSONDecodeError) as error:
        sys.exit(f"hopping: {error}")
