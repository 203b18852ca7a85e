#!/usr/bin/env python3
"""Twenty analyst queries over the program's own tables, as they stand and compacted: riskstream's
PostgreSQL port beside DuckDB, Polars and deltalake.

    run.sh analyst [--runs 5] [--days 183] [--only 05] [--tables standing,compacted]

Nothing is timed before all answers to a query are equal. Times are wall milliseconds from the
query's text to rows of Python values, all engines warm and in this process but riskstream, whose
answers come through a socket: parsing, planning, reading, and up to 200 rows to the client are in
them. Engines take turns within each round; the median is shown. Processor time is of all threads of
the engine and of the client; on a busy machine it says more. Ends with 1 where answers differ or a
goal is missed.
"""

import argparse
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
import measured  # noqa: E402, it lies two folders up

import analyst_page as page  # noqa: E402, after the path is set
import answers  # noqa: E402
import chart  # noqa: E402
import engines  # noqa: E402
import plans  # noqa: E402
import queries  # noqa: E402
import servers  # noqa: E402
import tables  # noqa: E402

LOOK_UP = "select * from payments_scored where transaction_id = %s"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="folder for results.json, analyst-*.svg")
    parser.add_argument("--runs", type=int, default=5, help="rounds [5]")
    parser.add_argument("--days", type=int, default=183, help="days of payments [183]")
    parser.add_argument("--only", default="", help="only queries whose names contain this")
    parser.add_argument("--tables", default="standing,compacted")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each engine")
    parser.add_argument("--processes", type=int, default=1, help="rounds of whole processes [1]")
    return parser.parse_args()


def timed(work):
    """What the work gives, and the milliseconds that it took."""
    started = time.perf_counter()
    given = work()
    return given, 1_000 * (time.perf_counter() - started)


def fully_timed(engine, work):
    """What the work gives, and the milliseconds on the wall and of processors."""
    cpu = engine.cpu_seconds()
    given, wall = timed(work)
    return given, (wall, 1_000 * (engine.cpu_seconds() - cpu))


def compared(asked, contenders):
    """Each query once in each engine: the differences, and the milliseconds of the first time."""
    differences, first = [], {}
    for query in asked:
        expected = None
        for engine in contenders:
            text = query.of(engine.kind)
            if text is None:
                continue
            try:
                rows, took = timed(lambda: engine.ask(text))
            except Exception as error:  # noqa: BLE001, engines have their own kinds
                said = str(error).strip().splitlines() or [type(error).__name__]
                differences.append(f"{query.name}, {engine.name}: fails: {said[0][:200]}")
                continue
            first[query.name, engine.name] = took
            if expected is None:
                expected = (engine.name, rows)
            different = answers.difference(expected[1], rows)
            if different:
                differences.append(f"{query.name}, {engine.name} beside {expected[0]}: {different}")
    return differences, first


def rounds(asked, contenders, runs):
    """Milliseconds of each query in each engine, on the wall and of processors, in turns."""
    taken = {}
    for number in range(runs):
        for place, query in enumerate(asked):
            turn = (number + place) % len(contenders)
            for engine in contenders[turn:] + contenders[:turn]:
                text = query.of(engine.kind)
                if text is not None:
                    _, took = fully_timed(engine, lambda: engine.ask(text))
                    taken.setdefault((query.name, engine.name), []).append(took)
    return taken


def look_ups(contenders, highest, runs):
    """Milliseconds of looking one transaction_id up, all with the same ids, in turns."""
    dice = random.Random(19)
    taken, problems = {}, []
    for number in range(5 * runs + 1):
        key = dice.randrange(1, highest)
        expected = None
        turn = number % len(contenders)
        for engine in contenders[turn:] + contenders[:turn]:
            rows, took = timed(lambda: engine.look_up(LOOK_UP, key))
            expected = rows if expected is None else expected
            if len(rows) != len(expected):
                problems.append(f"id {key}, {engine.name}: {len(rows)} rows, not {len(expected)}")
            if number:
                taken.setdefault(engine.name, []).append(took)
    return taken, problems


def processes(program, data, asked, runs):
    """Milliseconds of `riskstream query` as a whole process."""
    taken = {}
    for _ in range(runs):
        for query in asked:
            command = [program, "query", query.of(page.OURS), "--config", str(tables.CONFIG)]
            command += ["--format", "json", "--set", f"riskstream.data={data}"]
            run = lambda: subprocess.run(
                command, capture_output=True, cwd=servers.PROJECT
            )  # noqa: E731,B023
            done, took = timed(run)
            if done.returncode != 0:
                raise servers.Failed(f"{query.name}: {done.stderr.decode()[-500:]}")
            taken.setdefault(query.name, []).append(took)
    return taken


def of_tables(args, variant, data, asked):
    """All that is measured of one set of tables."""
    paths = tables.paths(data)
    sets = [f"riskstream.data={data}", f"query.threads={args.threads}"]
    server = servers.Riskstream(args.program, tables.CONFIG, sets)
    contenders = []
    try:
        contenders = engines.sql_engines(paths, server, args.threads)
        differences, first = compared(asked, contenders)
        found = {
            "tables": {name: tables.shape(path) for name, path in paths.items()},
            "differences": differences,
            "first_ms": {f"{query}/{engine}": ms for (query, engine), ms in first.items()},
        }
        if differences:
            return found
        taken = rounds(asked, contenders, args.runs)
        found["ms"] = medians(asked, contenders, taken, 0)
        found["cpu_ms"] = medians(asked, contenders, taken, 1)
        readers = [*contenders, engines.DeltaLakeReader(paths)]
        highest = contenders[0].ask("select max(transaction_id) from payments_scored")[0][0]
        looked, problems = look_ups(readers, highest, args.runs)
        found["differences"] += problems
        found["look_up_ms"] = {name: statistics.median(all) for name, all in looked.items()}
        found["plans"] = reads(server, contenders[0], asked)
        found["memory_mb"] = servers.memory_mb(server.pid)
    finally:
        for engine in contenders:
            engine.close()
        server.stop()
    if args.processes:
        took = processes(args.program, data, asked, args.processes)
        found["process_ms"] = {name: statistics.median(all) for name, all in took.items()}
    return found


def reads(server, engine, asked):
    """Of each query that has run before: bytes that the server reads for it, of rows and of
    anything else. The second is next to nothing where footers and logs stay in memory.
    """
    found = {}
    for query in asked:
        text = query.of(page.OURS)
        before = servers.read_bytes(server.pid)
        engine.ask(text)
        read = servers.read_bytes(server.pid) - before
        plan = plans.explained(server, text)
        found[query.name] = {**plan, "other_bytes": read - plan["scanned_bytes"]}
    return found


def medians(asked, contenders, taken, which):
    """{query: {engine: median ms}}, on the wall (0) or of processors (1)."""
    return {
        query.name: {
            engine.name: statistics.median(took[which] for took in taken[query.name, engine.name])
            for engine in contenders
            if (query.name, engine.name) in taken
        }
        for query in asked
    }


def main():
    args = arguments()
    asked = queries.all_queries(args.only)
    measured.warn_if_busy()
    sets = [] if args.days == 183 else [f"sources.payments.days={args.days}"]
    wanted = args.tables.split(",")
    data = tables.variants(args.program, args.cache, sets, wanted)
    print(f"{len(asked)} queries, {args.threads} threads, {args.runs} rounds; {engines.versions()}")
    everything = {
        "bench": "query-analyst",
        "versions": engines.versions(),
        "threads": args.threads,
        "runs": args.runs,
        "variants": {},
    }
    well = True
    for variant, folder in data.items():
        found = of_tables(args, variant, folder, asked)
        everything["variants"][variant] = found
        well &= page.report(variant, found)
        if "ms" in found:
            measured.note_result(
                args.results,
                bench="query-analyst",
                tables=variant,
                runs=args.runs,
                threads=args.threads,
                totals_ms=found["totals_ms"],
                look_up_ms=found["look_up_ms"],
                over_duckdb=found["over_duckdb"],
            )
    out = args.out or args.cache / "query-speed"
    tables.write_json(out / "results.json", everything)
    for variant, found in everything["variants"].items():
        if "ms" in found:
            picture = chart.picture(f"20 analyst queries, {variant}", found["ms"], "ms, median")
            (out / f"analyst-{variant}.svg").write_text(picture, encoding="utf-8")
    print(f"\n{out}/results.json, {out}/analyst-*.svg")
    return 0 if well else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (servers.Failed, queries.BadQuery) as error:
        servers.fail("analyst", error)
