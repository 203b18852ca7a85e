"""Two data folders that the program makes, FULL and A-ONLY, and a server over each.

```text
  rows.py ──▶ inputs/*.json ──▶ riskstream run ──▶ data/ ──▶ riskstream serve ──▶ port
                                 │ loans: first half landed; the second run is held (SIGSTOP) when
                                 │        it has committed rows that have not landed
                                 │ book, odd, accounts: runs that have ended
                                 └ flow: goes on; in FULL rows of others come without pause
```
FULL also has pipelines and tables that A may not see; A-ONLY does not have them.
"""

import json
import os
import re
import signal
import subprocess
import threading
import time

import rows as made

SOURCES = {
    "loans": """{ id = "int64", key = "string", lender_id = "string", at = "timestamp",
    user_id = "int64", iban = "string", holder = "string", contact = "string", status = "string",
    currency = "string", flag = "boolean", opened = "date", code = "string", balance = "int64",
    small = "int32", big = "int64", amount = "decimal(14,2)", score = "float64", raw = "string",
    rx = "string", period = "string", note = "string", odd_code = "string", odd_zero = "int64" }""",
    "payments": """{ pay_id = "int64", lender_id = "string", loan_id = "int64", cents = "int64",
    parts = "int32", currency = "string", memo = "string", paid_at = "timestamp" }""",
    "moves": """{ move_id = "int64", lender_id = "string", currency = "string", cents = "int64",
    moved_at = "timestamp" }""",
    "accounts": """{ account_id = "int64", lender_no = "int64", balance = "int64",
    iban = "string", seen_at = "timestamp" }""",
    "odd": """{ odd_id = "int64", lender_id = "string", seen_at = "timestamp", n = "int64" }""",
    "secrets": """{ secret_id = "int64", token = "string", seen_at = "timestamp" }""",
    "everybody": """{ fact_id = "int64", fact = "string", seen_at = "timestamp" }""",
}
TIMES = {
    "loans": ("at", "id"),
    "payments": ("paid_at", "pay_id"),
    "moves": ("moved_at", "move_id"),
    "accounts": ("seen_at", "account_id"),
    "odd": ("seen_at", "odd_id"),
    "secrets": ("seen_at", "secret_id"),
    "everybody": ("seen_at", "fact_id"),
}
HEAD = """
[riskstream]
name          = "rules"
data          = "{data}"
registry      = "{data}/registry"
workers       = 1
dead_rows_max = 1
epoch         = {{ min = "10ms", max = "100ms", rows = 400 }}
"""
QUERY = """
[query]
postgres = "127.0.0.1:{port}"
users    = "{folder}/users.toml"
memory   = "256MiB"
threads  = 2
tls      = {{ certificate = "{folder}/../tls/server.pem", key = "{folder}/../tls/server.key" }}
{more}"""
SOURCE = """
[sources.{name}]
kind       = "file"
path       = "{inputs}/{name}/*.json"
follow     = {follow}
schema     = {schema}
event_time = {{ column = "{time}", out_of_orderness = "400d", ties_by = ["{tie}"] }}
"""
PIPELINE = """
[pipelines.{pipeline}]
from  = "{source}"
order = "arrival"

[[pipelines.{pipeline}.to]]
id    = "{table}-table"
kind  = "delta"
table = "{table}"
about = "{table}, for tests"
{more}
"""
BOOK = """
[pipelines.book]
from = "moves"

[[pipelines.book.steps]]
id        = "days"
aggregate = { n = "count(*)", cents = "sum(cents)" }
by        = ["lender_id", "currency"]
windows   = ["1d"]
results   = "final"
keep      = "1000d"

[[pipelines.book.to]]
id           = "book-table"
kind         = "delta"
table        = "book"
partition_by = []
columns      = ["lender_id", "currency", "window_end", "n", "cents", "revision", "is_final"]
about_columns = { n = "moves of the day" }
"""
BY_NUMBER = 'about_columns = { key = "by which people know it" }'
# Pipelines that both sides have, by source and table; and those of FULL alone.
BOTH = [("loans", "loans", "loans"), ("flow", "payments", "payments")]
BOTH += [("accounts", "accounts", "accounts"), ("odd", "odd", "odd")]
BOTH += [("everybody", "everybody", "everybody")]
HIDDEN = [("secret-tokens", "secrets", "secrets"), ("other-lenders", "moves", "other_moves")]
HIDDEN += [("lacks-lender", "everybody", "lacks_lender")]
# A window's revision is of the epoch in which it was published: with one epoch in a run, rows of
# others change nothing of it.
ONE_EPOCH = ["--set", "riskstream.epoch.rows=1000000", "--set", "riskstream.epoch.max=1m"]
ONE_EPOCH += ["--set", "riskstream.epoch.min=30s"]
# The last rows of loans, which do not land: so few that they are one epoch.
LIVE = 300
# Payments of others while statements run: how many, and how often.
PAYMENTS_MORE, EVERY_S = 20, 2.0
# How long a program may take to do what it does in a second.
PATIENCE_S = 60


class Unlucky(Exception):
    """The program was faster than we; the next time it is not."""


class Side:
    """One data folder, and the server over it."""

    def __init__(self, options, folder, name, is_made):
        self.binary, self.before = options.binary, options.before.split()
        self.flight = options.flight
        self.name, self.folder = name, folder / name
        self.is_full = name == "full"
        self.inputs, self.data = self.folder / "inputs", self.folder / "data"
        for source in SOURCES:
            (self.inputs / source).mkdir(parents=True, exist_ok=is_made)
        self.run_config, self.config = self.folder / "run.toml", self.folder / "serve.toml"
        self.held, self.flow, self.server = [], None, None
        self.port, self.flight_port, self.users = None, None, None
        self._write_configs(0)

    def _text(self):
        text = HEAD.format(data=self.data)
        pipelines = BOTH + (HIDDEN if self.is_full else [])
        used = {source for _, source, _ in pipelines} | {"moves"}
        for name in sorted(used):
            time_column, tie = TIMES[name]
            text += SOURCE.format(
                name=name,
                inputs=self.inputs,
                follow="true" if name in ("loans", "payments") else "false",
                schema=" ".join(SOURCES[name].split()),
                time=time_column,
                tie=tie,
            )
        for pipeline, source, table in pipelines:
            more = BY_NUMBER if table == "loans" else ""
            text += PIPELINE.format(pipeline=pipeline, source=source, table=table, more=more)
        # Windows end by event time: rows come in its order.
        return text.replace('"400d", ties_by = ["move_id"]', '"0s", ties_by = ["move_id"]') + BOOK

    def _write_configs(self, port, more=""):
        text = self._text()
        self.run_config.write_text(text)
        if self.flight:
            more += 'flight = "127.0.0.1:0"\n'
        self.config.write_text(text + QUERY.format(port=port, folder=self.folder, more=more))

    def put(self, source, name, rows):
        """A file of rows, which is there at once."""
        is_text = isinstance(rows, str)
        text = rows if is_text else made.lines(row for row in rows if self.shows(row))
        hidden = self.folder / f"{source}-{name}.next"
        hidden.write_text(text)
        os.rename(hidden, self.inputs / source / f"{name}.json")

    def shows(self, row):
        """Whether a row is one of this side's."""
        return self.is_full or made.is_ours(row)

    def command(self, *arguments):
        return [*self.before, self.binary, *arguments]

    def begin(self, pipeline, *sets):
        log = open(self.folder / f"run-{pipeline}.log", "a", encoding="utf-8")
        with log:
            return subprocess.Popen(
                self.command("run", str(self.run_config), "--only", pipeline, *sets),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, pipeline, *sets):
        """Runs a pipeline whose source ends."""
        program = self.begin(pipeline, *sets)
        if program.wait(timeout=PATIENCE_S) != 0:
            log = (self.folder / f"run-{pipeline}.log").read_text()
            raise SystemExit(f"{self.name}: the run of {pipeline} has failed:\n{log}")

    def ask(self, sql):
        """What `riskstream query` answers."""
        command = [self.binary, "query", sql, "--config", str(self.run_config)]
        command += ["--format", "ndjson"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def sinks(self):
        """How far each pipeline's table has come."""
        lines = self.ask(
            "select pipeline, sink, delivered_epoch, waiting_epochs, committed_epoch "
            "from system.sinks join system.runs using (pipeline)"
        )
        return {line["pipeline"]: line for line in lines if line["sink"].endswith("-table")}

    def serve(self, more=""):
        """Starts the server, on a port that is free."""
        self._write_configs(0 if self.port is None else self.port, more)
        log = open(self.folder / "serve.log", "a", encoding="utf-8")
        with log:
            self.server = subprocess.Popen(
                self.command("serve", "--config", str(self.config)),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        said = self.server.stdout.readline()
        port = re.search(r"-p (\d+)", said)
        if port is None:
            log = (self.folder / "serve.log").read_text()
            raise SystemExit(f"{self.name}: no server: {said}{log}")
        self.port = int(port[1])
        flight = re.search(r"grpc\+tls://\S*?:(\d+)", said)
        self.flight_port = int(flight[1]) if flight else None

    def stop_server(self):
        if self.server is not None:
            end(self.server)
            self.server = None

    def stop(self):
        self.stop_server()
        for program in [*self.held, self.flow]:
            if program is not None:
                program.send_signal(signal.SIGCONT)
                end(program)


def end(program):
    """Ends a program that we have started."""
    if program.poll() is None:
        program.terminate()
        try:
            program.wait(timeout=10)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


class World:
    """Both sides, and the rows of others that go on to come."""

    def __init__(self, options, folder, is_made=False):
        self.options, self.folder = options, folder
        self.rows = made.Rows(options.seed)
        self.full = Side(options, folder, "full", is_made)
        self.ours = Side(options, folder, "ours", is_made)
        self.sides = [self.full, self.ours]
        self._ended = threading.Event()
        self._comes = None

    def stop(self):
        self._ended.set()
        if self._comes is not None:
            self._comes.join()
        for side in self.sides:
            side.stop()

    def come(self):
        """Rows of others come from now on, as long as the servers are asked."""
        for side in self.sides:
            if side.flow is None:
                side.flow = side.begin("flow")
        self._comes = threading.Thread(target=self._come)
        self._comes.start()

    def _come(self):
        number = 0
        while not self._ended.wait(EVERY_S):
            number += 1
            rows = self.rows.more_payments(PAYMENTS_MORE)
            self.full.put("payments", f"more-{time.time_ns()}-{number}", rows)

    def make(self):
        """Makes the data: tables, what has not landed, and runs that go on."""
        for side in self.sides:
            self._make(side)

    def _make(self, side):
        rows, put = self.rows, side.put
        for name, part in enumerate(rows.moves):
            put("moves", f"{name}", part)
            side.run("book", *ONE_EPOCH)
        put("odd", "0", rows.odd)
        put("accounts", "0", rows.accounts)
        put("everybody", "0", rows.everybody)
        for pipeline in ("odd", "accounts", "everybody"):
            side.run(pipeline)
        put("payments", "0", rows.payments)
        side.flow = side.begin("flow")
        self._wait_for(side, "flow")
        if side.is_full:
            put("secrets", "0", rows.secrets)
            for pipeline, _, _ in HIDDEN:
                side.run(pipeline)
            put("loans", "bad", "".join(f"secret bad record {n}\n" for n in range(40)))
        for name, part in enumerate(split(rows.loans[0], 3)):
            put("loans", f"a{name}", part)
        last = rows.loans[1]
        put("loans", "b", last[:-LIVE])
        run = side.begin("loans")
        side.held.append(run)
        self._wait_for(side, "loans")
        self._leave_live(side, run, last[-LIVE:])

    def _wait_for(self, side, pipeline):
        """Waits until a pipeline has committed something and all of it has landed."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            time.sleep(0.3)
            sink = side.sinks().get(pipeline)
            if sink and sink["committed_epoch"] and sink["waiting_epochs"] == 0:
                return
        raise SystemExit(f"{side.name}: the rows of {pipeline} do not land")

    def _leave_live(self, side, run, rows):
        """Stops a run of loans when it has committed the last rows and not landed them."""
        epochs = side.data / "store" / "loans" / "epochs"
        known = set(os.listdir(epochs))
        side.put("loans", "c", rows)
        until = time.monotonic() + PATIENCE_S
        while not [name for name in os.listdir(epochs) if name not in known]:
            if time.monotonic() > until:
                raise SystemExit(f"{side.name}: the last rows of loans are not committed")
            time.sleep(0.0005)
        run.send_signal(signal.SIGSTOP)
        expected = sum(side.shows(row) for part in self.rows.loans for row in part)
        found = side.ask("select count(*) as n from loans")[0]["n"]
        if not side.sinks()["loans"]["waiting_epochs"] or found != expected:
            raise Unlucky(f"{side.name}: {found} of {expected} loans are committed, none live")


def split(rows, parts):
    """Rows in so many parts, as they come."""
    size = -(-len(rows) // parts)
    return [rows[first : first + size] for first in range(0, len(rows), size)]
