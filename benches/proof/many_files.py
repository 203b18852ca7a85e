#!/usr/bin/env python3
"""A source of very many files: few are open at once, and those that were read cost nothing.

    many_files.py [--binary PATH] [--work FOLDER] [--large 5000] [--kib 64] [--files 200000] \
        [--batches 10]

1. `--large` files of `--kib` KiB each, which all cover the same hour, so that they are read in
   step, under `ulimit -n 256`: each row must be in the table once.
2. A followed folder into which `--files` gzip files of one row each come in `--batches`, and
   after each one more. A batch is written beside the folder and moved in when it is whole, so
   that what is timed is the program and not the making of files: the processor time that it
   takes per new file, from the move to the commit of the batch. Each batch must be in the
   table; the time per new file of the last batch may be at most twice that of the second one,
   and so may its largest epoch file, and the epoch file that the one more makes. The seconds
   from the move to the commit are shown too; a look at the folder is followed by a pause of
   nine times as long, so they grow with the names in it, by some seconds at 200,000. While
   nothing comes, all these files may take a fifth of one core at most. Then the run is stopped
   and started again, with one more file: every row must be there once.

Prints figures; ends with 1 if something differs.
"""

import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import proof

OPEN_FILES = 256
START = 1_767_225_600
CONFIG = """
[riskstream]
name = "many"
data = "{data}"

[sources.rows]
kind       = "file"
path       = "{inputs}"
{follow}
schema     = {{ id = "int64", at = "timestamp", amount = "decimal(12,2)" }}
event_time = {{ column = "at", format = "unix-s", out_of_orderness = "5s", ties_by = ["id"] }}

[pipelines.all]
from = "rows"

[[pipelines.all.to]]
id           = "rows"
kind         = "delta"
table        = "rows"
partition_by = []
"""


def few_open_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def peak_mib(pid):
    """The most memory that a process had, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return 0


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


def processor_seconds(pid):
    """What a process has taken of the processors, in its own code and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:13]]


def cores_busy(pid, seconds=10):
    """How many cores a process keeps busy, on the average of so many seconds."""
    before = sum(processor_seconds(pid))
    time.sleep(seconds)
    return (sum(processor_seconds(pid)) - before) / seconds


def totals(data):
    """Rows, different ids and the sum of amounts of the table."""
    import duckdb

    _, files = proof.table_files(data, "rows")
    if files == "[]":
        return (0, 0, 0)
    rows, ids, cents = duckdb.sql(
        f"select count(*), count(distinct id), sum(amount) * 100 from read_parquet({files})"
    ).fetchall()[0]
    return (rows, ids, int(cents))


def write_large(folder, count, kib):
    """Files of the same hour; gives rows and cents."""
    folder.mkdir()
    rows, cents = 0, 0
    lines = kib * 1024 // 30
    for file in range(count):
        with open(folder / f"{file:06}.csv", "w") as out:
            out.write("id,at,amount\n")
            for line in range(lines):
                value = rows % 10_000
                out.write(
                    f"{rows:010},{START + line * 3600 // lines},{value // 100}.{value % 100:02}\n"
                )
                rows += 1
                cents += value
    return rows, cents


def large_files(binary, work, count, kib):
    rows, cents = write_large(work / "large", count, kib)
    config, data = work / "large.toml", work / "large-data"
    config.write_text(CONFIG.format(data=data, inputs=work / "large" / "*.csv", follow=""))
    started = time.monotonic()
    process = subprocess.Popen(
        [binary, "run", str(config), "--format", "json"],
        preexec_fn=few_open_files,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak, descriptors = 0, 0
    while process.poll() is None:
        try:
            peak = max(peak, peak_mib(process.pid))
            descriptors = max(descriptors, len(os.listdir(f"/proc/{process.pid}/fd")))
        except OSError:
            pass
        time.sleep(0.2)
    seconds = time.monotonic() - started
    if process.returncode != 0:
        print(process.stderr.read())
        return False
    found = totals(data)
    proof.print_table(
        ["files", "KiB each", "rows", "seconds", "files open, most", "MiB, most", "as expected"],
        [[count, kib, found[0], seconds, descriptors, peak, str(found == (rows, rows, cents))]],
    )
    return found == (rows, rows, cents)


def write_small(folder, first, count):
    """Files of one row each, written beside the folder; gives what moves them in at once."""
    beside = folder.with_name("beside")
    beside.mkdir(exist_ok=True)
    names = [f"{number:08}.csv.gz" for number in range(first, first + count)]
    for number, name in enumerate(names, first):
        content = gzip.compress(
            f"id,at,amount\n{number},{START + number // 100},1.00\n".encode(), compresslevel=1
        )
        (beside / name).write_bytes(content)

    def move_in():
        for name in names:
            os.rename(beside / name, folder / name)

    return move_in


def committed(data):
    """Rows of the table, as its log says; 0 before there is one."""
    from deltalake import DeltaTable

    try:
        table = DeltaTable(str(data / "tables" / "rows"))
    except Exception:
        return 0
    return sum(table.get_add_actions(flatten=True)["num_records"].to_pylist())


def epochs_since(data, moment):
    """Sizes of epoch files that were written since."""
    sizes = []
    for file in (data / "store" / "all" / "epochs").glob("*.epoch"):
        try:
            stat = file.stat()
        except FileNotFoundError:
            continue
        if stat.st_mtime >= moment:
            sizes.append(stat.st_size)
    return sizes


def epoch_of_one(data, write):
    """The size of the epoch file that one more file makes, when nothing else goes on."""
    time.sleep(2)
    moment, until = time.time(), time.monotonic() + 30
    write()
    while not epochs_since(data, moment) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.5)
    return max(epochs_since(data, moment), default=0)


def many_small(binary, work, files, batches):
    folder = work / "small"
    folder.mkdir()
    config, data = work / "small.toml", work / "small-data"
    config.write_text(CONFIG.format(data=data, inputs=folder / "*.csv.gz", follow="follow = true"))
    command = [binary, "run", str(config), "--format", "json"]
    process = subprocess.Popen(
        command,
        preexec_fn=few_open_files,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    each, written, table, good = files // batches, 0, [], True
    for batch in range(batches):
        move_in = write_small(folder, written, each)
        before, moment, started = processor_seconds(process.pid), time.time(), time.monotonic()
        move_in()
        written += each
        moved = time.monotonic() - started
        # The last rows wait for the watermark, which trails the newest by five seconds, 500 rows.
        while committed(data) < written - 700:
            if process.poll() is not None:
                print(process.stderr.read())
                return False
            if time.monotonic() - started > 600:
                print(f"batch {batch}: only {committed(data)} rows after ten minutes")
                process.kill()
                return False
            time.sleep(0.1)
        took = time.monotonic() - started
        own, kernel = (
            after - first for after, first in zip(processor_seconds(process.pid), before)
        )
        largest = max(epochs_since(data, moment), default=0)
        one = epoch_of_one(data, write_small(folder, written, 1))
        written += 1
        per_file = (own + kernel) / each * 1e6
        table.append(
            [written, per_file, largest, one, own, kernel, moved, took, resident_mib(process.pid)]
        )
    idle = cores_busy(process.pid)
    process.send_signal(signal.SIGINT)
    process.wait()
    proof.print_table(
        [
            "files",
            "processor us per file",
            "largest epoch file",
            "epoch file of one more",
            "s in its code",
            "s in the kernel",
            "s to move",
            "s to the commit",
            "MiB resident",
        ],
        table,
    )
    good &= (
        all(0 < table[-1][column] <= 2 * table[1][column] for column in (1, 2, 3)) and idle <= 0.2
    )
    print(f"while nothing comes, {written} files take {idle:.2f} of a core")

    write_small(folder, written, 1)()
    config.write_text(CONFIG.format(data=data, inputs=folder / "*.csv.gz", follow=""))
    moment, started = time.time(), time.monotonic()
    done = subprocess.run(
        command,
        preexec_fn=few_open_files,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        print(done.stderr)
        return False
    seconds, rows = time.monotonic() - started, written + 1
    found, status = totals(data), json.loads(
        subprocess.run(
            [binary, "status", str(config), "--format", "json"], stdout=subprocess.PIPE, check=True
        ).stdout
    )
    partitions = status["pipelines"][0]["partitions"]
    listed = len(partitions) == rows and all(p["finished"] for p in partitions)
    proof.print_table(
        ["started again", "seconds", "rows", "largest epoch file", "positions, all finished"],
        [["", seconds, found[0], max(epochs_since(data, moment), default=0), str(listed)]],
    )
    return good and listed and found == (rows, rows, rows * 100)


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--large", type=int, default=5_000, help="large files [default: 5000]")
    parser.add_argument("--kib", type=int, default=64, help="KiB of each [default: 64]")
    parser.add_argument("--files", type=int, default=200_000, help="small files [default: 200000]")
    parser.add_argument("--batches", type=int, default=10, help="in which they come [default: 10]")
    arguments = parser.parse_args()
    proof.with_readers()
    binary = proof.program(arguments.binary)
    work = Path(arguments.work or tempfile.mkdtemp(prefix="many-files-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        good = large_files(binary, work, arguments.large, arguments.kib)
        print()
        good &= many_small(binary, work, arguments.files, max(arguments.batches, 2))
    finally:
        if not arguments.work:
            shutil.rmtree(work, ignore_errors=True)
    print("\nall as expected" if good else "\nNOT as expected")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
