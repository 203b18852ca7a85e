"""Statements as they are seen from outside: `/metrics`, the log, `system.queries`.

A run with both ports and the endpoint; statements that end in each way are sent, and counted in all
three. The log tells of each, without its text.
"""

import json
import re
import subprocess
import threading
import time
import urllib.request
from collections import Counter

import users
from client import Client

CONFIG = """
[riskstream]
name = "seen"
data = "{folder}/data"
log  = {{ level = "debug", format = "json" }}

[metrics]
listen = "127.0.0.1:0"

[query]
postgres = "127.0.0.1:0"
users    = "{folder}/users.toml"

[sources.facts]
kind       = "file"
path       = "{folder}/facts/*.json"
follow     = true
schema     = {{ fact_id = "int64", seen_at = "timestamp" }}
event_time = {{ column = "seen_at", out_of_orderness = "1s" }}

[pipelines.facts]
from = "facts"

[[pipelines.facts.to]]
id    = "facts-table"
kind  = "delta"
table = "facts"
"""
ROLE = """
[roles.reader]
tables = ["facts"]
"""
USERS = {"reader": (["reader"], {}), "boss": (["owner"], {})}
# What is in each statement, and must not be in the log.
MARK = "mark-of-a-statement"
FACTS = 100
PATIENCE_S = 30
# How soon the end of a statement is counted.
COUNTED_S = 0.5


class Service:
    """A run that listens."""

    def __init__(self, world):
        self.folder = world.folder / f"seen-{time.time_ns()}"
        (self.folder / "facts").mkdir(parents=True)
        lines = [
            json.dumps({"fact_id": n, "seen_at": f"2026-01-01T00:00:{n % 60:02}Z"})
            for n in range(FACTS)
        ]
        (self.folder / "facts" / "0.json").write_text("".join(f"{line}\n" for line in lines))
        config = self.folder / "run.toml"
        config.write_text(CONFIG.format(folder=self.folder))
        of_users = users.Users(world.full.binary)
        of_users.write(self.folder, roles=ROLE, jwt=False, users=USERS)
        self.log = self.folder / "run.log"
        with self.log.open("w", encoding="utf-8") as log:
            command = world.full.command("run", str(config))
            self.program = subprocess.Popen(command, stdout=log, stderr=log)
        self.port = int(self._found(r"-p (\d+)"))
        self.endpoint = self._found(r"http://([0-9.]+:\d+)")

    def _found(self, pattern):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = re.search(pattern, self.log.read_text())
            if found:
                return found[1]
            time.sleep(0.1)
        raise SystemExit(f"the run does not say {pattern}: {self.log.read_text()}")

    def metrics(self):
        """By name and labels, the numbers of `/metrics`."""
        with urllib.request.urlopen(f"http://{self.endpoint}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, value in pairs}

    def client(self, user):
        return Client(self.port, user, users.PASSWORD)

    def stop(self):
        self.program.terminate()
        self.program.wait(timeout=20)


def send(service):
    """Statements of one user; gives how many have ended with each SQLSTATE."""
    client, ended = service.client("reader"), Counter()

    def simple(sql, state):
        error = client.simple(sql).error
        found = "00000" if error is None else error["state"]
        assert found == state, (sql, error)
        ended[state] += 1

    until = time.monotonic() + PATIENCE_S
    # These are statements, too. At first there may be no such table.
    while time.monotonic() < until:
        answer = client.simple(f"select count(*), '{MARK}' from facts")
        ended["00000" if answer.error is None else answer.error["state"]] += 1
        if answer.values() == [str(FACTS)]:
            break
        time.sleep(0.3)
    for _ in range(5):
        simple(f"select fact_id, '{MARK}' from facts", "00000")
    client.extended(f"select fact_id, '{MARK}' from facts where fact_id < $1", ["10"])
    ended["00000"] += 1
    simple(f"select '{MARK}' from nothing_here", "42P01")
    simple(f"select cast('{MARK}' as int) from facts", "22P02")
    simple(f"copy (select fact_id, '{MARK}' from facts) to stdout", "00000")
    handle, stopped = client.cancel(), f"select pg_sleep(5), '{MARK}'"
    thread = threading.Thread(target=lambda: simple(stopped, "57014"))
    thread.start()
    time.sleep(0.5)
    handle.cancel()
    thread.join()
    client.close()
    return ended


def checks(world):
    """What is wrong."""
    service = Service(world)
    try:
        before = service.metrics()
        ended = send(service)
        time.sleep(COUNTED_S)
        after = service.metrics()
        yield from _counted(before, after, ended)
        yield from _queried(service, ended)
    finally:
        service.stop()
    yield from _logged(service, ended)


def _counted(before, after, ended):
    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    classes = Counter()
    for state, count in ended.items():
        classes[state[:2]] += count
    for of_class, count in classes.items():
        labels = f'port="postgres",sqlstate_class="{of_class}"'
        found = grown(f"riskstream_query_statements_total{{{labels}}}")
        if found != count:
            yield "metrics", f"{found} statements of class {of_class}, {count} were sent"
    found = grown("riskstream_query_duration_seconds_count")
    if found != ended.total():
        yield "metrics", f"{found} durations of {ended.total()} statements"
    # Five times all, once ten, once all by COPY; and the counts.
    at_least = 6 * FACTS + 10
    if grown("riskstream_query_rows_total") < at_least:
        yield "metrics", f"{grown('riskstream_query_rows_total')} rows, not {at_least}"
    if grown("riskstream_query_bytes_total") <= 0:
        yield "metrics", "no bytes"
    for name in ("running", "waiting", "open"):
        if after.get(f"riskstream_query_{name}") != 0:
            yield "metrics", f"{name}: {after.get(f'riskstream_query_{name}')}"
    if after.get("riskstream_query_users_file_wrong") != 0:
        yield "metrics", "the users file is said to be wrong"


def _queried(service, ended):
    boss = service.client("boss")
    of_reader = f"from system.queries where user_name = 'reader' and statement like '%{MARK}%'"
    found = Counter(dict(boss.simple(f"select state, count(*) {of_reader} group by 1").rows))
    wanted = Counter()
    for state, count in ended.items():
        name = {"00000": "done", "57014": "cancelled"}.get(state, "failed")
        wanted[name] += count
    if {name: int(count) for name, count in found.items()} != dict(wanted):
        yield "system.queries", f"{dict(found)}, not {dict(wanted)}"
    boss.close()


def _logged(service, ended):
    text = service.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    fields = [line.get("fields", line) for line in lines]
    told = [
        line for line in fields
        if line.get("message") == "statement" and line.get("user") == "reader"
    ]
    found = Counter(line["code"] for line in told)
    if found != ended:
        yield "log", f"{dict(found)}, not {dict(ended)}"
    if MARK in text:
        yield "log", "it has the text of a statement"
