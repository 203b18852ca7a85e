#!/usr/bin/env python3
"""What a scrape each second costs: the main job's processor time with `/metrics` asked every second
and without, in pairs.

    scrape.py [--binary PATH] [--config pipelines.toml] [--pairs 10] [--every 1.0]

Each pair runs the configuration twice from nothing, in turns which one comes first: both with the
endpoint open, one of them scraped. Prints each pair, the medians of the rows per second of
processor time, and how long a scrape took. Ends with 1 if a scrape each second costs more than 1%:
if the median of the pairs' ratios is below 0.99, or below 0.90 with `--every 0.1`.

A scrape takes some milliseconds, and two runs of the same differ by several percent: a cost of half
a percent is seen with ten scrapes a second in a few pairs, with one in some hundred.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import proof

# The part of the processor time that a scrape each second may take.
COST_MAX = 0.01


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def scrape(url, every, ended, took):
    """Asks until the run has ended; notes how long each answer took."""
    asked = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while not ended.wait(every):
        began = time.monotonic()
        try:
            asked.open(url, timeout=5).read()
        except OSError:
            continue
        took.append(time.monotonic() - began)


def measure(binary, config, every):
    """Rows per second of processor time of one run, and how long its scrapes took."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        sets = [f"riskstream.data={folder}/data", f"metrics.listen=127.0.0.1:{port}"]
        command = [binary, "run", str(config), "--format", "json", "--log-level", "error"]
        command += [argument for setting in sets for argument in ("--set", setting)]
        ended, took = threading.Event(), []
        if every:
            url = f"http://127.0.0.1:{port}/metrics"
            asking = threading.Thread(target=scrape, args=(url, every, ended, took))
            asking.start()
        with open(f"{folder}/report", "w+", encoding="utf-8") as report:
            process = subprocess.Popen(command, stdout=report, cwd=proof.PROJECT)
            _, status, usage = os.wait4(process.pid, 0)
            ended.set()
            if every:
                asking.join()
            if status != 0:
                sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
            report.seek(0)
            rows = sum(p["rows_in"] for p in proof.json.load(report)["pipelines"])
        return rows / (usage.ru_utime + usage.ru_stime), took


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--config", default=proof.PROJECT / "pipelines.toml", type=Path)
    parser.add_argument("--pairs", type=int, default=10, help="[10]")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between scrapes [1]")
    args = parser.parse_args()
    binary = proof.program(args.binary)
    pairs, scrapes = [], []
    for number in range(args.pairs):
        rates = {}
        for every in [0, args.every] if number % 2 else [args.every, 0]:
            rates[every], took = measure(binary, args.config, every)
            scrapes += took
        pairs.append((rates[args.every], rates[0]))
        print("pair {}: {:,.0f} scraped, {:,.0f} alone".format(number + 1, *pairs[-1]), flush=True)
    ratio = statistics.median(scraped / alone for scraped, alone in pairs)
    print(
        "rows per second of processor time: {:,.0f} scraped, {:,.0f} alone, ratio {:.4f}".format(
            statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs), ratio
        )
    )
    print(f"{len(scrapes)} scrapes, {statistics.median(scrapes) * 1000:.1f} ms each")
    cost = (1 - ratio) * args.every
    print(f"a scrape each second costs {cost:.2%}")
    sys.exit(0 if cost <= COST_MAX else 1)


if __name__ == "__main__":
    main()
