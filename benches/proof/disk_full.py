#!/usr/bin/env python3
"""Fills the disk under a run, and goes on after there is room again. Needs root, for a small file
system in memory.

    disk_full.py [--binary PATH] [--rows N] [--megabytes 8 16 ...]

For each size: a run on a file system that is too small must end with exit code 1 and a message that
says so, without a panic; what was committed must be readable; and after the file system has grown,
the next run must land exactly what an undisturbed run lands. Ends with 1 if anything differs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import proof
from kill import TABLES, compare, load


def mount(folder, megabytes, again=False):
    options = f"{'remount,' if again else ''}size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 3, 8, 16, 24])
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("mounting a small file system needs root")
    proof.with_readers()
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-disk-full-"))
    work.mkdir(parents=True, exist_ok=True)
    path = work / "payments.json"
    generate = [
        binary,
        "generate",
        "--out",
        str(path),
        "--rows",
        str(args.rows),
        "--broken-share",
        "0.002",
    ]
    subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)
    config = proof.HERE / "kill.toml"
    shutil.rmtree(work / "whole", ignore_errors=True)
    proof.run(binary, config, work / "whole", path, 2)
    load(duckdb, work / "whole", "whole")
    small = work / "small"
    small.mkdir(exist_ok=True)
    results, bad = [], 0
    for megabytes in args.megabytes:
        mount(small, megabytes)
        try:
            data = small / "data"
            done = subprocess.run(
                proof.run_arguments(binary, config, data, path, 2),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            message = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
            said = (
                done.returncode == 3 and "disk is full" in message and "panicked" not in done.stderr
            )
            landed = 0
            if (data / "tables" / "payment_features" / "_delta_log").exists():
                _, files = proof.table_files(data, "payment_features")
                landed = (
                    0
                    if files == "[]"
                    else duckdb.execute(f"select count(*) from read_parquet({files})").fetchone()[0]
                )
            mount(small, 2_000, again=True)
            proof.run(binary, config, data, path, 3)
            load(duckdb, data, "killed")
            differences = [compare(duckdb, table) for table in TABLES]
            ok = said and not any(sum(d) for d in differences)
            bad += not ok
            cells = [f"-{missing} +{extra}" for missing, extra in differences]
            results.append(
                [megabytes, done.returncode, landed, *cells, "ok" if ok else "WRONG", message[:120]]
            )
        finally:
            subprocess.run(["umount", str(small)], check=True)
    proof.print_table(
        [
            "megabytes",
            "exit code",
            "readable then",
            "rows",
            "alerts",
            "dead letters",
            "",
            "message",
        ],
        results,
    )
    if not args.work:
        shutil.rmtree(work)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
