#!/usr/bin/env python3
"""Runs the blocks of docs/query/tools.md, and Python's of docs/query.md, each with the tool that it
is for. The other blocks of docs/query.md are run by the program's own tests.

    docs.py --binary PATH [--only psql,polars] [--spark]

The blocks are taken from the pages themselves: the words behind a block's language say what runs
it. A small data folder is made by the program and served; addresses in a block become the served
one. A tool that does not install from packages here is named, with the reason. Spark, whose package
is large, runs with `--spark`. Ends with 1 where a block fails or prints nothing.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import grafana
import install
from clients import DRIVERS, PSYCOPG, SQLALCHEMY

DOCS = HERE.parent.parent.parent / "docs"
PAGES = ("query/tools.md", "query.md")
SECONDS_MAX = 240
# What each block of Python needs.
PACKAGES = {
    "duckdb": ("duckdb==1.5.5", "duckdb-extension-postgres==1.5.5", "pytz", "pyarrow"),
    "polars": ("connectorx==0.4.6", "polars==2.1.0", "pyarrow", "pandas"),
    "pandas": DRIVERS,
    "ibis": ("ibis-framework[postgres]==12.0.0", "pandas"),
    "sqlalchemy": (PSYCOPG, SQLALCHEMY),
    "spark": ("pyspark",),
    "adbc": ("adbc-driver-flightsql==1.13.0", "adbc-driver-manager==1.13.0", "pyarrow"),
}
# DuckDB's extension comes from PyPI here, since its own place for them is no package registry.
EXTENSION = """
import importlib.metadata, pathlib, shutil, tempfile
_file = next(f.locate() for f in importlib.metadata.files("duckdb-extension-postgres")
             if str(f).endswith(".duckdb_extension"))
_copy = pathlib.Path(tempfile.mkdtemp()) / "postgres_scanner.duckdb_extension"
shutil.copy(_file, _copy)
"""
INSTEAD = {
    "duckdb.connect()": 'duckdb.connect(config={"allow_unsigned_extensions": "true"})',
    'db.sql("install postgres")': EXTENSION,
    'db.sql("load postgres")': "db.load_extension(str(_copy))",
}
# Blocks that nothing here runs, and why.
NOT_RUN = {
    "text": "DBeaver is no package; its driver and statements are tested by run.py",
    "json": "Metabase is no package; its driver and statements are tested by run.py",
    "sh packages": "Grafana is no package; grafana.py runs the dashboards' statements",
    "python duckdb-delta": "DuckDB's delta extension comes from no package registry",
    "python with users": "it names a server that is nowhere; ../flight.py signs in so",
}
# Blocks of docs/query.md that the program's tests run or read.
OF_TESTS = ("sh", "sql", "text", "text with other numbers", "text in a terminal")


def blocks(page):
    """A page's blocks: the line that each begins on, its heading, language and text."""
    heading, found = "", []
    lines = (DOCS / page).read_text().splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("# ") and start is None:
            heading = line[2:]
        elif line.startswith("```") and start is None:
            start, language = number, line[3:].strip()
        elif line == "```":
            found.append((start, heading, language, "\n".join(lines[start : number - 1]) + "\n"))
            start = None
    return found


def all_blocks():
    """Those of all pages that are run here, or that nothing can run."""
    for page in PAGES:
        for block in blocks(page):
            if page == "query/tools.md" or block[2] not in OF_TESTS:
                yield page, block


def run(language, text, server, flight, work):
    """Runs a block against the served ports; gives what went wrong, or None."""
    text = text.replace("5433", str(server.port)).replace("5434", str(flight))
    if language == "sh":
        command, given = ["bash", "-euo", "pipefail", "-c", text], None
    elif language == "sql grafana":
        return grafana.wrong(text, server)
    else:
        tool = language.split()[1]
        for written, instead in INSTEAD.items() if tool == "duckdb" else ():
            if written not in text:
                return f"the page has no `{written}` any more"
            text = text.replace(written, instead)
        command, given = [str(install.python(PACKAGES[tool])), "-"], text
    environment = {**os.environ, "PGCONNECT_TIMEOUT": "10", "PSQL_PAGER": ""}
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            cwd=work,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {SECONDS_MAX} s"
    if done.returncode or re.search(r"^(ERROR|psql: error)", done.stderr, re.M):
        return done.stderr[-1500:] or f"status {done.returncode}"
    return None if done.stdout.strip() else "it prints nothing"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True, help="the riskstream program")
    parser.add_argument("--only", default="", help="headings of the page, with commas between")
    parser.add_argument("--spark", action="store_true", help="Spark's block too")
    options = parser.parse_args()
    install.within(DRIVERS)
    import world

    only = [name.lower() for name in options.only.split(",") if name]
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix="riskstream-docs-") as work:
        with world.World(options.binary, work, postgres=False) as served:
            flight = world.free_port()
            served.listen(world.free_port(), "flight.log", f"query.flight=127.0.0.1:{flight}")
            for page, (line, heading, language, text) in all_blocks():
                if only and heading.lower() not in only:
                    continue
                why = NOT_RUN.get(language)
                if language == "python spark" and not options.spark:
                    why = "its package is large: --spark"
                if why is None:
                    try:
                        problem = run(language, text, served.ours, flight, work)
                    except install.Missing as reason:
                        why = f"not installed here: {reason}"
                if why is not None:
                    skipped += 1
                    print(f"{page}:{line}: {heading}: not run: {why}", flush=True)
                elif problem:
                    failed += 1
                    print(f"{page}:{line}: {heading}: FAILS: {problem}", flush=True)
                else:
                    passed += 1
                    print(f"{page}:{line}: {heading}: works", flush=True)
    print(f"blocks: {passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
