#!/usr/bin/env python3
"""An hour of payments with ever new cards, one sink away for a quarter of it: memory stays flat,
nothing is lost or twice.

    soak.py [--binary PATH] [--minutes 60] [--rate 20000] [--new-cards 1000] [--port 19392]

A file of payments appears every second. A pipeline gives each payment its card's count and sum of
the trailing ten minutes, into a Delta table and, one payment in ten, into a Kafka topic; another
adds up each card's ten-minute windows. The broker is stopped for the second quarter of an hour
before the last one (15 of 60 minutes). At the end every payment must be in the table once, every
tenth in the topic once (as a read_committed consumer sees it), the values of a sample of cards must
be those of SQL, and the resident memory of the last sixth of the time may be at most 5% above that
of the second sixth. Ends with 1 otherwise.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import kafka
import proof

START = 1_767_225_600
CARD_SECONDS = 60
SAMPLE = 997

CONFIG = """
[riskstream]
name = "soak"
data = "{data}"

[sources.payments]
kind       = "file"
path       = "{inputs}/*.csv"
follow     = true
schema     = {{ id = "int64", paid_at = "timestamp", card = "int64", amount = "decimal(12,2)" }}
event_time = {{ column = "paid_at", out_of_orderness = "1s", ties_by = ["id"] }}

[pipelines.features]
from = "payments"

[[pipelines.features.steps]]
id       = "card"
features = {{ n = "count(*)", s = "sum(amount)" }}
by       = "card"
over     = ["10m"]
keep     = "10s"

[[pipelines.features.to]]
id    = "scored"
kind  = "delta"
table = "scored"

[[pipelines.features.to]]
id      = "topic"
kind    = "kafka"
brokers = "{brokers}"
topic   = "scored"
when    = "id % 10 = 0"

[pipelines.windows]
from = "payments"

[[pipelines.windows.steps]]
id        = "card"
aggregate = {{ n = "count(*)", s = "sum(amount)" }}
by        = "card"
windows   = ["10m"]
results   = "final"
keep      = "10s"

[[pipelines.windows.to]]
id    = "windows"
kind  = "delta"
table = "windows"
"""


def rows_of_second(second, rate, new_cards):
    """The lines of a second: each payment is of a card that was made in the last minute."""
    newest = (second + 1) * new_cards
    oldest = max(0, newest - CARD_SECONDS * new_cards)
    span = newest - oldest
    first, whole = second * rate, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(START + second))
    step = 1_000_000 // rate
    return "id,paid_at,card,amount\n" + "".join(
        f"{i},{whole}.{(i - first) * step:06},{oldest + i * 2_654_435_761 % span},"
        f"{i * 7_919 % 99_991 // 100}.{i * 31 % 100:02}\n"
        for i in range(first, first + rate)
    )


def produce(folder, seconds, args, told):
    """Writes a file a second, each under its name once it is whole."""
    started = time.monotonic()
    for second in range(seconds):
        hidden = folder / f".{second}.new"
        hidden.write_text(rows_of_second(second, args.rate, args.new_cards))
        ahead = second + 1 - (time.monotonic() - started)
        if ahead > 0:
            time.sleep(ahead)
        else:
            told["behind"] = max(told.get("behind", 0.0), -ahead)
        hidden.rename(folder / f"{second:06}.csv")
        told["second"] = second


def resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="[60]")
    parser.add_argument(
        "--rate", type=int, default=20_000, help="payments a second, a divisor of a million [20000]"
    )
    parser.add_argument("--new-cards", type=int, default=1_000, help="a second [1000]")
    parser.add_argument(
        "--port",
        type=int,
        default=19_392,
        help="of the broker; the next one is its controller's [19392]",
    )
    args = parser.parse_args()
    proof.with_readers("confluent_kafka")

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-soak-")).resolve()
    data, inputs = work / "data", work / "inputs"
    for folder in (data, inputs):
        shutil.rmtree(folder, ignore_errors=True)
    inputs.mkdir(parents=True)
    broker = kafka.Brokers(args.port, work / "broker", 1)
    config = work / "soak.toml"
    config.write_text(CONFIG.format(data=data, inputs=inputs, brokers=broker.servers))
    broker.script("wipe")
    broker.script("start")
    seconds = int(args.minutes * 60)
    away = range(int(seconds * 0.4), int(seconds * 0.65))
    told, problems, samples = {}, ["not finished"], []
    log = open(work / "run.log", "w")
    process = subprocess.Popen(
        [binary, "run", str(config), "--workers", "2"], stdout=log, stderr=log
    )
    producer = threading.Thread(target=produce, args=(inputs, seconds, args, told), daemon=True)
    started = time.monotonic()
    producer.start()
    try:
        is_away = False
        while producer.is_alive():
            producer.join(10)
            at = time.monotonic() - started
            if process.poll() is not None:
                sys.exit(
                    f"the run ended by itself with {process.returncode}: "
                    f"{(work / 'run.log').read_text()[-4000:]}"
                )
            if is_away != (int(at) in away):
                is_away = not is_away
                broker.script("stop" if is_away else "start")
                print(
                    f"{at:6.0f} s: the broker is {'stopped' if is_away else 'started'}", flush=True
                )
            samples.append((at, resident_mb(process.pid)))
            if len(samples) % 6 == 0:
                print(
                    f"{at:6.0f} s: {samples[-1][1]:,.0f} MB resident, "
                    f"second {told.get('second')} written",
                    flush=True,
                )
        process.send_signal(signal.SIGINT)
        process.wait(120)
        # What was not read when the run was stopped is read now.
        last = subprocess.run(
            [
                binary,
                "run",
                str(config),
                "--set",
                "sources.payments.follow=false",
                "--format",
                "json",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if last.returncode != 0:
            sys.exit(f"the last run ended with {last.returncode}: {last.stderr}{last.stdout}")
        problems = check(broker, data, seconds * args.rate)
        sixth = seconds / 6
        mean = lambda low, high: (lambda part: sum(part) / max(len(part), 1))(
            [mb for at, mb in samples if low <= at < high]
        )
        second, final = mean(sixth, 2 * sixth), mean(5 * sixth, 6 * sixth)
        print(
            f"resident: {second:,.0f} MB in the second sixth, {final:,.0f} MB in the last, "
            f"{100 * (final / second - 1):+.1f}%; "
            f"{max(mb for _, mb in samples):,.0f} MB at most; the producer was "
            f"{told.get('behind', 0):.1f} s behind at most"
        )
        if final > second * 1.05:
            problems.append("memory grows")
        for problem in problems:
            print(problem, file=sys.stderr)
        print(
            f"{seconds * args.rate:,} payments: nothing lost, nothing twice, windows equal SQL's"
            if not problems
            else "OTHER"
        )
    finally:
        if process.poll() is None:
            process.kill()
        broker.script("stop" if problems else "wipe")
        if problems:
            print(f"everything is kept in {work}", file=sys.stderr)
    if not args.work and not problems:
        shutil.rmtree(work)
    sys.exit(1 if problems else 0)


def check(broker, data, payments):
    """What is wrong with the tables and the topic."""
    import duckdb

    problems = []
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    _, files = proof.table_files(data, "scored")
    rows, ids, low, high = connection.execute(
        f"select count(*), count(distinct id), min(id), max(id) from read_parquet({files}, "
        "hive_partitioning = true)"
    ).fetchone()
    if (rows, ids, low, high) != (payments, payments, 0, payments - 1):
        problems.append(
            f"scored: {rows:,} rows, {ids:,} payments of {payments:,}, from {low} to {high}"
        )
    connection.execute(f"""
        create table sample as select id, paid_at, card, amount, n::bigint as n,
            s::decimal(38,2) as s
        from (select id, paid_at, card, amount, n_10m as n, s_10m as s
            from read_parquet({files}, hive_partitioning = true))
        where card % {SAMPLE} = 0""")
    window = (
        "partition by card order by paid_at, id rows between unbounded preceding and current row"
    )
    older = (
        "partition by card order by paid_at range between unbounded preceding and interval 10 "
        "minutes preceding"
    )
    wrong, sampled = connection.execute(f"""
        select count(*) filter (where n <> nn or s <> ss), count(*) from (
            select n, s, count(*) over ({window}) - count(*) over ({older}) as nn,
                   sum(amount) over ({window}) - coalesce(sum(amount) over ({older}), 0) as ss
                   from sample)""").fetchone()
    if wrong or not sampled:
        problems.append(f"{wrong:,} of {sampled:,} sampled payments have other windows than SQL's")
    _, windows = proof.table_files(data, "windows")
    total, money = connection.execute(
        f"select sum(n)::bigint, sum(s)::decimal(38,2) from read_parquet({windows}, "
        "hive_partitioning = true)"
    ).fetchone()
    expected = connection.execute(
        f"select sum(amount)::decimal(38,2) from read_parquet({files}, hive_partitioning = true)"
    ).fetchone()[0]
    if total != payments or money != expected:
        problems.append(
            f"the windows hold {total:,} payments and {money}, not {payments:,} and {expected}"
        )
    messages = kafka.consume(broker, "scored")
    numbers = {json.loads(value)["id"] for _, value in messages}
    tenth = (payments + 9) // 10
    if len(messages) != tenth or len(numbers) != tenth:
        problems.append(
            f"the topic: {len(messages):,} messages, {len(numbers):,} payments of {tenth:,}"
        )
    return problems


if __name__ == "__main__":
    main()
