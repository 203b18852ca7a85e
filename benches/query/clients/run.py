#!/usr/bin/env python3
"""Clients of PostgreSQL, each against PostgreSQL 15 and against our port with the same rows.

    run.py --binary PATH [--only psycopg,asyncpg] [--short] [--feature values,cursors]

Makes a data folder with the program, loads the same rows into PostgreSQL, starts both, runs each
client (installed from package registries into the user's cache) against both, and compares names,
types, values and SQLSTATEs. Each test has a time limit; a test of types runs ten times on one
connection. What was found is a table, `table.md` beside this file (only with all clients), or
`--table FILE`. Ends with 1 where a client fails, or an answer differs without a reason in
`reasons.toml`. `--short` is the part for CI.
"""

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cases
import compare
import install
import table
from clients import CLIENTS, DRIVERS

RESTARTS_MAX = 40


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True, help="the riskstream program")
    parser.add_argument("--only", default="", help="names of clients, with commas between")
    parser.add_argument("--feature", default="", help="ids of features, with commas between")
    parser.add_argument("--short", action="store_true", help="the part for CI")
    parser.add_argument("--work", help="a folder to be kept [default: temporary, removed]")
    parser.add_argument("--table", help="where the table is written")
    parser.add_argument("--found", help="where all answers that differ are written as JSON lines")
    options = parser.parse_args()
    install.within(DRIVERS)
    chosen = picked(options)
    if options.work:
        sys.exit(proof(options, chosen, Path(options.work)))
    with tempfile.TemporaryDirectory(prefix="riskstream-clients-") as work:
        sys.exit(proof(options, chosen, Path(work)))


def picked(options):
    names = [name for name in options.only.split(",") if name]
    unknown = set(names) - {client.name for client in CLIENTS}
    if unknown:
        sys.exit(f"no client is called {', '.join(sorted(unknown))}")
    return [
        client
        for client in CLIENTS
        if (client.name in names if names else client.short or not options.short)
    ]


def proof(options, chosen, work):
    """Runs all; the exit status."""
    import world

    commands, missing = {}, {}
    for client in chosen:
        try:
            commands[client.name] = install.prepared(client)
        except install.Missing as reason:
            missing[client.name] = str(reason)
            print(f"{client.name}: not installed here: {reason}", flush=True)
    reasons, found = compare.Reasons(), {}
    with world.World(options.binary, work) as servers:
        cases.write(work / "cases.json")
        for client in chosen:
            if client.name not in commands:
                continue
            began = time.monotonic()
            answers = [
                Run(client, commands[client.name], server, work, options.feature).answers()
                for server in (servers.postgres, servers.ours)
            ]
            rows = compare.compared(client.name, answers[1], answers[0], reasons)
            found[client.name] = rows
            tell(client, rows, time.monotonic() - began)
    if options.found:
        keep(Path(options.found), found)
    everything = not (options.only or options.feature or options.short)
    target = options.table or (HERE / "table.md" if everything else None)
    if target:
        Path(target).write_text(table.text(CLIENTS, found, missing, reasons.entries))
    unused = set(range(1, len(reasons.entries) + 1)) - reasons.used
    if everything and not missing:
        for number in sorted(unused):
            print(f"reason {number} explains nothing: {reasons.entries[number - 1]}")
    return summary(found, missing)


class Run:
    """A client against one server, started again behind a test that hangs or kills it."""

    def __init__(self, client, command, server, work, feature):
        self.client, self.command, self.server = client, [str(c) for c in command], server
        self.environment = {
            **os.environ,
            **server.environment(),
            "RISKSTREAM_CASES": str(work / "cases.json"),
            "RISKSTREAM_WORK": str(work),
            "RISKSTREAM_FEATURE": feature,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        self.found = {}
        self.begun = None

    def answers(self):
        """Answers by feature and case."""
        skip = 0
        for _ in range(RESTARTS_MAX):
            ended, skip = self.once(skip)
            if ended:
                return self.found
        self.found["start", "too many tests hang"] = {"error": "hang"}
        return self.found

    def once(self, skip):
        """One process; whether it came to its end, and how many tests are done."""
        log = tempfile.TemporaryFile(mode="w+")
        process = subprocess.Popen(
            self.command,
            env={**self.environment, "RISKSTREAM_SKIP": str(skip)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        lines = queue.Queue()
        reader = threading.Thread(target=read, args=(process, lines), daemon=True)
        reader.start()
        self.begun, done = None, skip
        how = None
        while True:
            try:
                line = lines.get(timeout=self.client.seconds)
            except queue.Empty:
                how = "hang"
                break
            if line is None:
                break
            if "begin" in line:
                self.begun, done = line, line["begin"]
            else:
                self.found[line["feature"], line["case"]] = line["answer"]
                self.begun = None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        code = process.wait()
        log.seek(0)
        said = log.read()[-400:].strip()
        if how is None and code == 0:
            return True, done
        if self.begun is None:
            text = f"{how or 'exit ' + str(code)}: {said}"
            self.found["tool-start", "the client itself"] = {"error": "crash", "text": text}
            return True, done
        key = self.begun["feature"], self.begun["case"]
        self.found[key] = {"error": how or "crash", "text": said}
        return False, done


def read(process, lines):
    """Puts the lines of a process into a queue, and None behind the last."""
    for line in process.stdout:
        try:
            lines.put(json.loads(line))
        except ValueError:
            pass
    lines.put(None)


def tell(client, rows, seconds):
    """A line of progress, and what fails."""
    counts = {}
    for _, _, verdict, why, *_ in rows:
        verdict = "unexplained" if verdict == "differs" and not why else verdict
        counts[verdict] = counts.get(verdict, 0) + 1
    print(f"{client.name}: {counts} in {seconds:.0f} s", flush=True)
    for feature, case, verdict, why, ours, postgres in rows:
        if verdict == "fails" or verdict == "differs" and not why:
            print(f"  {verdict}: {feature}: {case}", flush=True)
            print(f"    PostgreSQL: {short(postgres)}\n    riskstream: {short(ours)}", flush=True)


def short(answer):
    text = json.dumps(answer, ensure_ascii=False)
    return text if len(text) < 300 else text[:300] + "…"


def keep(path, found):
    """All that is not the same, as JSON lines."""
    with open(path, "w") as file:
        for client, rows in found.items():
            for feature, case, verdict, why, ours, postgres in rows:
                if verdict == "same":
                    continue
                line = {"client": client, "feature": feature, "case": case, "verdict": verdict}
                line |= {"reason": why, "ours": ours, "postgres": postgres}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def summary(found, missing):
    """Prints the sum of all; the exit status."""
    rows = [row for all_rows in found.values() for row in all_rows]
    fails = sum(verdict == "fails" for _, _, verdict, *_ in rows)
    unexplained = sum(verdict == "differs" and not why for _, _, verdict, why, *_ in rows)
    explained = sum(verdict == "differs" and bool(why) for _, _, verdict, why, *_ in rows)
    same = sum(verdict == "same" for _, _, verdict, *_ in rows)
    print(
        f"{len(found)} clients ({len(missing)} not installed here): {same} answers are the same, "
        f"{explained} differ for a reason, {unexplained} without one, {fails} fail"
    )
    print(f"clients: {same + explained} passed, {fails + unexplained} failed")
    return 1 if fails or unexplained else 0


if __name__ == "__main__":
    main()
