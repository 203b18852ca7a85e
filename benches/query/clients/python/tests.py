"""What the clients in Python share: tests one after another, a line of JSON each.

`RISKSTREAM_SKIP` says how many tests to leave out: after one that hangs, the driver ends the
process and starts it again behind that test. A line `{"begin": …}` comes before each.
"""

import datetime
import decimal
import json
import math
import os
import sys
import uuid

ROUNDS = 10
HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, DATABASE = os.environ["PGUSER"], os.environ["PGDATABASE"]
USERS_PORT = int(os.environ["USERS_PORT"])
USERS_NAME, USERS_PASSWORD = os.environ["USERS_NAME"], os.environ["USERS_PASSWORD"]
_skip = int(os.environ.get("RISKSTREAM_SKIP", "0"))
_only = os.environ.get("RISKSTREAM_FEATURE", "")
_number = 0


def plain(value):
    """A value as JSON can hold it, with nothing of it lost: its type shows."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else f"int {value}"
    if isinstance(value, float):
        return f"float {value!r}" if not math.isnan(value) else "float nan"
    if isinstance(value, decimal.Decimal):
        return f"decimal {value}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"bytes {bytes(value).hex()}"
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)):
        text = value.isoformat() if hasattr(value, "isoformat") else repr(value)
        return f"{type(value).__name__} {text}"
    if isinstance(value, uuid.UUID):
        return f"uuid {value}"
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return f"{type(value).__name__} {value}"


def test(feature, case, function, rounds=1, error=None):
    """Runs a test unless it was run before; `error` gives the SQLSTATE of an exception."""
    global _number
    if _only and feature not in _only.split(","):
        return
    _number += 1
    if _number <= _skip:
        return
    say({"begin": _number, "feature": feature, "case": case})
    answer = None
    for round_ in range(rounds):
        try:
            now = plain(function())
        except Exception as problem:
            state = error(problem) if error else None
            text = " ".join(str(problem).split())[:300]
            now = {"error": state or type(problem).__name__, "text": text}
        if round_ == 0:
            answer = now
        elif now != answer:
            answer = {"error": "rounds differ", "first": answer, "round": round_ + 1, "now": now}
            break
        if isinstance(now, dict) and "error" in now:
            break
    say({"feature": feature, "case": case, "answer": answer})


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def cases(*features):
    """The shared cases of these features, or all."""
    with open(os.environ["RISKSTREAM_CASES"]) as file:
        found = json.load(file)
    return [case for case in found if not features or case["feature"] in features]


def value(kind, text):
    """A parameter of a case as Python has it."""
    if text is None:
        return None
    if kind.endswith("[]"):
        return [value(kind[:-2], item) for item in text]
    if kind in ("int2", "int4", "int8"):
        return int(text)
    if kind in ("float4", "float8"):
        return float(text)
    if kind == "numeric":
        return decimal.Decimal(text)
    if kind == "bool":
        return text == "t"
    if kind == "bytea":
        return bytes.fromhex(text)
    if kind == "date":
        return datetime.date.fromisoformat(text)
    if kind == "time":
        return datetime.time.fromisoformat(text)
    if kind in ("timestamp", "timestamptz"):
        return datetime.datetime.fromisoformat(text)
    if kind == "interval":
        days, seconds, micros = map(int, text.split())
        return datetime.timedelta(days, seconds, micros)
    if kind == "uuid":
        return uuid.UUID(text)
    return text


class Connection:
    """One connection that is made when it is needed, and again after it was lost or changed."""

    def __init__(self, connect, is_usable, close):
        self.connect, self.is_usable, self.close_it = connect, is_usable, close
        self.made = None

    def get(self):
        if self.made is None or not self.is_usable(self.made):
            self.drop()
            self.made = self.connect()
        return self.made

    def drop(self):
        made, self.made = self.made, None
        if made is not None:
            try:
                self.close_it(made)
            except Exception:
                pass


def run_cases(connection, ask, error=None, skip=(), suffix="", only=None):
    """Runs the shared cases; `ask(connection, sql, parameters)` gives an answer. A case that sets
    something has a connection of its own.
    """
    for case in cases():
        if case["feature"] in skip or (only and case["feature"] not in only):
            continue

        def run(case=case):
            for statement in case["before"]:
                ask(connection.get(), statement, [])
            return ask(connection.get(), case["sql"], case["parameters"])

        if case["before"]:
            connection.drop()
        test(case["feature"], case["case"] + suffix, run, case["rounds"], error)
        if case["before"]:
            connection.drop()
