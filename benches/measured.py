"""Runs one command alone and says what it took: wall seconds, CPU seconds and peak memory, from the kernel's own accounts."""

import json
import os
import pathlib
import subprocess
import time


class Failed(Exception):
    """A command ended with an error."""


def run(command, log, cwd=None, environment=None):
    """Runs `command` to its end, its output in the file `log`; a dictionary with wall_s, cpu_s and peak_rss_mb."""
    # What earlier commands wrote must not be written back at this one's cost.
    os.sync()
    with open(log, "wb") as out:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = pathlib.Path(log).read_text(errors="replace")[-2000:]
        raise Failed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{tail}")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_rss_mb": usage.ru_maxrss / 1024}


def report_of(log):
    """The JSON that `riskstream run --format json` printed into `log`, after whatever else is there."""
    text = pathlib.Path(log).read_text(errors="replace")
    return json.loads(text[text.index("{") :])


def note_result(path, **fields):
    """Appends one line of JSON."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as out:
        out.write(json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}) + "\n")


def warn_if_busy():
    """Other work on the machine makes every figure worse, and not for all alike."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > 0.5 * cores:
        print(f"NOTE: the machine is busy (load {load:.1f} on {cores} cores): these figures are not worth much\n", flush=True)


def table(header, rows):
    """Text in columns: the first to the left, the others to the right."""
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        lines.append("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip())
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
    """The command that runs a Flink job that peers.sh has compiled into the cache folder; its arguments follow."""
    opened = [f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in ("java.lang", "java.util", "java.time", "java.net")]
    where = pathlib.Path(cache) / "flink"
    return ["java", "-Xmx2g", *opened, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{where}/classes:{where}/lib/*", job]
