"""What the proofs share: the readers of tables, the program, runs of it, and tables of results.

The readers (deltalake, duckdb, polars, pyarrow) are installed from PyPI into a virtual environment
in the user's cache, once.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

READERS = ["deltalake", "duckdb", "polars", "pyarrow"]
HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "riskstream-proof"


def with_readers(*more):
    """Goes on in an environment that has the readers, and what else is named;
    makes it if need be.
    """
    readers = [*READERS, *more]
    try:
        for reader in readers:
            __import__(reader)
        return
    except ImportError:
        pass
    venv = CACHE / "venv"
    python = venv / "bin" / "python"
    if os.environ.get("RISKSTREAM_PROOF_VENV"):
        sys.exit(
            f"the readers {', '.join(readers)} can't be imported in {venv}; "
            "remove it and start again"
        )
    if not python.exists():
        print(f"installing {', '.join(readers)} into {venv}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *readers],
        check=True,
    )
    os.environ["RISKSTREAM_PROOF_VENV"] = "1"
    os.execv(str(python), [str(python), *sys.argv])


def arguments(description):
    """A parser with what every proof takes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--binary", metavar="PATH", help="the riskstream program [default: built by cargo]"
    )
    parser.add_argument(
        "--work",
        metavar="FOLDER",
        help="where inputs and tables go [default: a temporary folder, removed at the end]",
    )
    return parser


def program(binary):
    """The path of the program, built if none is named."""
    if binary:
        return str(Path(binary).resolve())
    cargo = ["cargo", "build", "--release", "-p", "riskstream-pipeline"]
    subprocess.run(cargo, cwd=PROJECT, check=True)
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=PROJECT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return str(Path(json.loads(metadata.stdout)["target_directory"]) / "release" / "riskstream")


def run_arguments(binary, config, data, path, workers, sets=()):
    """The command line of a run."""
    sets = [f"riskstream.data={data}", *([f"sources.payments.path={path}"] if path else []), *sets]
    return [
        binary,
        "run",
        str(config),
        "--workers",
        str(workers),
        "--format",
        "json",
        *[a for s in sets for a in ("--set", s)],
    ]


def run(*args, **kwargs):
    """Runs to the end; gives the pipeline's report with the seconds that the process took."""
    started = time.monotonic()
    done = subprocess.run(
        run_arguments(*args, **kwargs), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(done.args)}\nended with {done.returncode}: {done.stderr}{done.stdout}")
    report = json.loads(done.stdout)["pipelines"][0]
    report["seconds"] = time.monotonic() - started
    return report


def table_files(data, table):
    """The Delta table, and its files as an SQL list for read_parquet."""
    from deltalake import DeltaTable

    delta = DeltaTable(str(Path(data) / "tables" / table))
    return (
        delta,
        "[" + ", ".join("'" + uri.replace("'", "''") + "'" for uri in delta.file_uris()) + "]",
    )


def print_table(header, rows):
    """Prints columns; numbers to the right."""
    cells = [header] + [
        [
            f"{c:,}" if isinstance(c, int) else f"{c:.2f}" if isinstance(c, float) else str(c)
            for c in row
        ]
        for row in rows
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        print(
            "  ".join(
                c.rjust(w) if any(ch.isdigit() for ch in c) else c.ljust(w)
                for c, w in zip(row, widths)
            ).rstrip(),
            flush=True,
        )
