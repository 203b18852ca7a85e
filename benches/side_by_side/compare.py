"""Runs riskstream, DuckDB, Polars and Flink on the same payments, each alone,
and prints what each took. Called by run.sh.
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

# ns per event on one core, measured apart from each other: the limit of each stage, and what the
# goals come from.
LIMITS = {
    "source.read": {"parquet": 40, "ndjson": None},
    "decode": {"parquet": None, "ndjson": 282},
    "customer-spending": {"parquet": 110, "ndjson": 110},
    "terminal-risk": {"parquet": 110, "ndjson": 110},
    "score": {"parquet": 10, "ndjson": 10},
    "scored": {"parquet": 350, "ndjson": 350},
    # Twice: by customer and by terminal.
    "split": {"parquet": 24, "ndjson": 24},
}
# riskstream's events/s over the other's, from the same form of input; and events per CPU second for
# the last.
GOALS = {"Polars": 1.4, "DuckDB": 3.0, "Flink": 12.0}
GOAL_FLINK_CPU = 10.0
GOAL_RATE = {"parquet": 1.2e6, "ndjson": 1.0e6}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="contenders whose names contain this")
    return parser.parse_args()


def contenders(args):
    """Name, form of the input, command; every command writes to work/out only."""
    python, out = args.cache / "venv/bin/python", args.work / "out"
    threads = str(args.threads)
    found = []
    for form in ("parquet", "ndjson"):
        source = args.data / f"payments.{form}"
        sets = [
            f"sources.payments.path={source}",
            f"riskstream.data={out}/riskstream",
            f"riskstream.registry={args.registry}",
        ]
        riskstream = [
            args.program,
            "run",
            HERE / "card-fraud.toml",
            "--workers",
            threads,
            "--format",
            "json",
        ]
        found.append(("riskstream", form, riskstream + [a for s in sets for a in ("--set", s)]))
        found.append(
            (
                "Polars",
                form,
                [python, HERE / "polars_features.py", source, out / "features.parquet", threads],
            )
        )
        found.append(
            (
                "DuckDB",
                form,
                [python, HERE / "duckdb_features.py", source, out / "features.parquet", threads],
            )
        )
    found.append(
        (
            "Flink",
            "ndjson",
            [
                *measured.flink(args.cache, "PaymentFeatures"),
                args.data / "payments.ndjson",
                out / "flink",
                threads,
            ],
        )
    )
    return [c for c in found if args.only.lower() in c[0].lower()]


def once(args, name, form, command, rows):
    out = args.work / "out"
    # Set aside, not deleted: a file system that has just freed thousands of inodes makes new files
    # slowly, which would be timed.
    if out.exists():
        done = args.work / "done"
        done.mkdir(exist_ok=True)
        out.rename(done / str(len(list(done.iterdir()))))
    out.mkdir(parents=True)
    log = args.work / f"{name}-{form}.log"
    taken = measured.run([str(c) for c in command], log, cwd=args.work)
    if name == "riskstream":
        taken["report"] = measured.report_of(log)
        pipeline = taken["report"]["pipelines"][0]
        landed = sum(t["rows"] for t in pipeline["tables"] if t["table"] == "payments_scored")
        if (pipeline["rows_in"], landed) != (rows, rows):
            raise measured.Failed(
                f"riskstream read {pipeline['rows_in']} and landed {landed} of {rows} rows"
            )
    elif name == "Flink":
        lines = sum(f.read_bytes().count(b"\n") for f in (out / "flink").rglob("*part*"))
        if lines != rows:
            raise measured.Failed(f"Flink wrote {lines} of {rows} rows")
    measured.note_result(
        args.results,
        bench="side_by_side",
        name=name,
        form=form,
        rows=rows,
        threads=args.threads,
        **taken,
    )
    print(f"  {name} from {form}: {taken['wall_s']:.2f} s", flush=True)
    return taken


def comparison(medians, rows):
    lines = []
    for form in ("parquet", "ndjson"):
        ours = medians.get(("riskstream", form))
        for (name, of), run in medians.items():
            if of != form:
                continue
            work = "features, score, decision, Delta" if name == "riskstream" else "features"
            ratio, goal = "", ""
            if ours and name != "riskstream":
                ratio = f"{run['wall_s'] / ours['wall_s']:.2f}"
                goal = f"{GOALS[name]:g}"
            elif name == "riskstream":
                goal = f"{GOAL_RATE[form] / 1e6:g} M/s"
            per_cpu = f"{rows / run['cpu_s']:,.0f}"
            cells = [
                f"{name}, {form}",
                work,
                f"{run['wall_s']:.2f}",
                f"{run['cpu_s']:.2f}",
                f"{run['peak_rss_mb']:,.0f}",
            ]
            lines.append([*cells, f"{rows / run['wall_s']:,.0f}", per_cpu, ratio, goal])
    header = [
        "",
        "what",
        "wall s",
        "CPU s",
        "peak MB",
        "events/s",
        "per CPU s",
        "riskstream is x",
        "goal",
    ]
    return measured.table(header, lines)


def stages(form, run, rows):
    """Where riskstream's time went, per event, beside what each stage costs alone."""
    pipeline = run["report"]["pipelines"][0]
    lines, busy, limit = [], 0.0, 0.0
    for step in pipeline["steps"]:
        ns = step["busy_seconds"] * 1e9 / rows
        known = LIMITS.get(step["step"], {}).get(form)
        busy, limit = busy + ns, limit + (known or 0)
        lines.append(
            [
                step["step"],
                f"{ns:,.0f}",
                known or "",
                f"{step['rows_in']:,}",
                f"{step['state_bytes'] / 2**20:,.1f}",
            ]
        )
    cpu = run["cpu_s"] * 1e9 / rows
    lines.append(["the rest (CPU less the steps)", f"{cpu - busy:,.0f}", "", "", ""])
    lines.append(["all, CPU", f"{cpu:,.0f}", f"{limit:,.0f}", "", ""])
    text = measured.table([f"riskstream, {form}", "ns/event", "limit", "rows", "state MB"], lines)
    cores = pipeline["workers"]
    text += (
        f"\n  limits alone: {cores * 1e9 / limit:,.0f} events/s on {cores} cores; wall "
        f"{run['wall_s'] * 1e9 / rows:,.0f} ns per event"
    )
    text += (
        f"\n  beside the steps, on their own threads: commits {pipeline['commit_seconds']:.2f} s, "
        f"snapshots {pipeline['snapshot_seconds']:.2f} s, deliveries "
        f"{pipeline['delivery_seconds']:.2f} s"
    )
    inside = run["report"]["seconds"]
    text += (
        f"\n  epochs {pipeline['committed_epoch']}; the program's own clock {inside:.2f} s, so "
        f"start and end of the process took {run['wall_s'] - inside:.2f} s"
    )
    return text


def main():
    args = arguments()
    rows = int((args.data / "rows").read_text())
    measured.warn_if_busy()
    print(
        f"{rows:,} payments, {args.threads} threads, {args.runs} rounds, each contender alone",
        flush=True,
    )
    taken = {}
    for _ in range(args.runs):
        for name, form, command in contenders(args):
            taken.setdefault((name, form), []).append(once(args, name, form, command, rows))
    medians = {key: measured.middle(runs) for key, runs in taken.items()}
    print("\nThe median round of each:\n")
    print(comparison(medians, rows))
    spread = {key: [r["wall_s"] for r in runs] for key, runs in taken.items()}
    print(
        "\n  all rounds, s: "
        + "; ".join(
            f"{n} {f} " + " ".join(f"{w:.2f}" for w in walls) for (n, f), walls in spread.items()
        )
    )
    flink, ours = medians.get(("Flink", "ndjson")), medians.get(("riskstream", "ndjson"))
    if flink and ours:
        ratio = flink["cpu_s"] / ours["cpu_s"]
        print(
            f"  events per CPU second: riskstream is {ratio:.1f} times Flink (goal "
            f"{GOAL_FLINK_CPU:g})"
        )
    for form in ("parquet", "ndjson"):
        if ("riskstream", form) in medians:
            print("\n" + stages(form, medians["riskstream", form], rows))
    shutil.rmtree(args.work / "done", ignore_errors=True)
    shutil.rmtree(args.work / "out", ignore_errors=True)
    print(f"\nOne line of JSON per run: {args.results}")


if __name__ == "__main__":
    try:
        main()
    except (measured.Failed, json.JSONDecodeError) as error:
        sys.exit(f"side_by_side: {error}")
