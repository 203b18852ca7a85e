"""Runs one command alone and says what it took: wall seconds, CPU seconds and peak memory,
from the kernel's own accounts.
"""

import json
import os
import pathlib
import subprocess
import time


class Failed(Exception):
    """A command ended with an error."""


def run(command, log, cwd=None, environment=None):
    """Runs `command` to its end, its output in the file `log`; a dictionary with wall_s,
    cpu_s and peak_rss_mb.
    """
    # What earlier commands wrote must not be written back at this one's cost.
    os.sync()
    with open(log, "wb") as out:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = pathlib.Path(log).read_text(errors="replace")[-2000:]
        raise Failed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{tail}")
    return {
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_mb": usage.ru_maxrss / 1024,
    }


def report_of(log):
    """The JSON that `riskstream run --format json` printed into `log`,
    after whatever else is there.
    """
    text = pathlib.Path(log).read_text(errors="replace")
    return json.loads(text[text.index("{") :])


def note_result(path, **fields):
    """Appends one line of JSON."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as out:
        out.write(
            json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}) + "\n"
        )


def warn_if_busy():
    """Other work on the machine makes every figure worse, and not for all alike."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > 0.5 * cores:
        print(
            f"NOTE: the machine is busy (load {load:.1f} on {cores} cores): "
            "these figures are not worth much\n",
            flush=True,
        )


def table(header, rows):
    """Text in columns: the first to the left, the others to the right."""
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        lines.append(
            "  ".join(
                c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))
            ).rstrip()
        )
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def middle(runs):
    """The run with the median wall time, so that all its figures belong together."""
    return sorted(runs, key=lambda r: r["wall_s"])[(len(runs) - 1) // 2]


def landed(data, name):
    """The files that the Delta log of a riskstream table names, as a relation of DuckDB's."""
    table = pathlib.Path(data) / "tables" / name
    files = set()
    for commit in sorted((table / "_delta_log").glob("*.json")):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                files.add(action["add"]["path"])
            elif "remove" in action:
                files.discard(action["remove"]["path"])
    return "read_parquet([" + ", ".join(f"'{table / file}'" for file in sorted(files)) + "])"


def flink(cache, job):
    """The command that runs a Flink job that peers.sh has compiled into the cache folder;
    its arguments follow.
    """
    opened = [
        f"--add-opens=java.base/{p}=ALL-UNNAMED"
        for p in ("java.lang", "java.util", "java.time", "java.net")
    ]
    where = pathlib.Path(cache) / "flink"
    return [
        "java",
        "-Xmx2g",
        *opened,
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-cp",
        f"{where}/classes:{where}/lib/*",
        job,
    ]


# The share of the epochs after which a run is killed.
KILL_AT = 0.9


def newest_epoch(store):
    """The number of the newest committed epoch of a pipeline's store;
    its file is named EPOCH-GENERATION.
    """
    numbers = [
        int(f.name.split("-")[0]) for f in (store / "epochs").glob("*") if f.name[0].isdigit()
    ]
    return max(numbers, default=0)


def killed_and_again(command, store, epochs, work):
    """Kills a run of so many epochs near its end and starts it again: how long that took to be
    back at work and at its first commit, and its peak memory.
    """
    target = max(1, int(epochs * KILL_AT))
    with open(work / "killed.log", "wb") as log:
        first = subprocess.Popen(command, stdout=log, stderr=log, cwd=work)
        while newest_epoch(store) < target:
            if first.poll() is not None:
                raise Failed(f"the run ended before epoch {target}, which was to be its last")
            time.sleep(0.002)
        first.kill()
        first.wait()
    at = newest_epoch(store)
    store_mb = sum(f.stat().st_size for f in store.rglob("*") if f.is_file()) / 2**20
    print(f"  killed after epoch {at} of {epochs}, with a store of {store_mb:,.0f} MB", flush=True)
    with open(work / "again.log", "wb") as log:
        started = time.monotonic()
        again = subprocess.Popen(command, stdout=log, stderr=log, cwd=work)
        while newest_epoch(store) <= at:
            if again.poll() is not None:
                raise Failed((work / "again.log").read_text(errors="replace")[-2000:])
            time.sleep(0.002)
        first_commit = time.monotonic() - started
        _, status, usage = os.wait4(again.pid, 0)
        again.returncode = os.waitstatus_to_exitcode(status)
    if again.returncode != 0:
        raise Failed((work / "again.log").read_text(errors="replace")[-2000:])
    report = report_of(work / "again.log")["pipelines"][0]
    return {
        "epoch": at,
        "epochs": epochs,
        "store_mb": store_mb,
        "recovery_s": report["recovery_seconds"],
        "first_commit_s": first_commit,
        "again_peak_rss_mb": usage.ru_maxrss / 1024,
    }
