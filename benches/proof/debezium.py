#!/usr/bin/env python3
"""Compares the table that riskstream makes of a connector's recorded topics with the table that the
database had, after every single record.

    debezium.py FOLDER [--binary PATH]

FOLDER holds topics as files of records, one JSON object a line (topic, partition, offset, key,
value), named PREFIX.public.TABLE.jsonl, and the same again in FOLDER/with-restart. Each record
comes as a file of its own, and riskstream is started, reads it and stops: so there is a restart
between any two records. The rows that it has added and not taken back must be those that the
records say, folded here by a dozen lines of Python that know nothing of riskstream: by key,
repeated records (the same pair in `source.sequence`) left out. A flattened topic does not say that
a table was truncated; there the fold does not know it either. Ends with 1 if any table differs.
"""

import base64
import datetime
import decimal
import json
import shutil
import sys
import tempfile
from pathlib import Path

import proof

LOANS = (
    "loan_id user_id lender_id principal_cents outstanding_cents status days_past_due apr late_fee "
    "notes disbursed_on version updated_at"
).split()
EVENTS = "loan_id event amount at".split()
SCALES = {"apr": 4, "amount": 2}


def exact(name, value):
    """A value as text, as DuckDB writes it."""
    if value is None:
        return None
    if isinstance(value, dict):
        unscaled = int.from_bytes(base64.b64decode(value["value"]), "big", signed=True)
        return format(
            decimal.Decimal(unscaled).scaleb(-value["scale"], decimal.Context(prec=60)), "f"
        )
    if name in SCALES:
        try:
            number = decimal.Decimal(value)
        except decimal.InvalidOperation:
            unscaled = int.from_bytes(base64.b64decode(value), "big", signed=True)
            number = decimal.Decimal(unscaled).scaleb(-SCALES[name])
        return format(number.quantize(decimal.Decimal(1).scaleb(-SCALES[name])), "f")
    if name == "disbursed_on":
        return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=value))
    return str(value)


class Table:
    """The table by its records."""

    def __init__(self, columns):
        self.columns, self.rows, self.seen = columns, {}, set()

    def take(self, record):
        if record["value"] is None:
            return
        value = json.loads(record["value"])
        value = value.get("payload", value)
        key = json.loads(record["key"]) if record["key"] else None
        key = key.get("payload", key) if key else None
        if "op" in value:
            op, before, after = value["op"], value["before"], value["after"]
            place = (
                value["source"]["sequence"],
                None if op == "r" else op,
                json.dumps(key),
                json.dumps(after) if op == "r" else None,
            )
        else:
            op, before, after = value["__op"], value, value
            place = (
                value["__source_lsn"],
                None if op == "r" else op,
                json.dumps(key),
                json.dumps(after) if op == "r" else None,
            )
        if place in self.seen:
            return
        self.seen.add(place)
        name = lambda row: (
            json.dumps(key) if key else json.dumps({c: row.get(c) for c in self.columns})
        )
        if op == "t":
            self.rows.clear()
        elif op == "d":
            self.rows.pop(name(before), None)
        else:
            if key is None and op == "u":
                self.rows.pop(name(before), None)
            old = self.rows.get(name(after), {})
            kept = lambda c: (
                old.get(c) if after.get(c) == "__debezium_unavailable_value" else after.get(c)
            )
            self.rows[name(after)] = {c: kept(c) for c in self.columns}

    def all(self):
        return sorted(
            tuple(exact(c, row[c]) or "" for c in self.columns) for row in self.rows.values()
        )


def found(data, columns):
    import duckdb

    _, files = proof.table_files(data, "changes")
    names = ", ".join(f'"{c}"' for c in columns)
    texts = ", ".join(f'"{c}"::varchar' for c in columns)
    rows = duckdb.execute(
        f"select {texts}, sum(_diff)::int from read_parquet({files}) "
        f"group by {names} having sum(_diff) <> 0"
    ).fetchall()
    assert all(
        row[-1] == 1 for row in rows
    ), f"rows that are there more than once, or less than not at all: {rows}"
    return sorted(tuple(value or "" for value in row[:-1]) for row in rows)


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    proof.with_readers()
    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-debezium-"))
    work.mkdir(parents=True, exist_ok=True)
    results, bad = [], 0
    for topic in sorted(args.folder.glob("*.public.*.jsonl")) + sorted(
        args.folder.glob("with-restart/*.public.*.jsonl")
    ):
        records = [json.loads(line) for line in topic.open()]
        keyless = "nopk" in topic.name
        columns = EVENTS if keyless else LOANS
        data, changes = work / "data", work / "changes"
        for folder in (data, changes):
            shutil.rmtree(folder, ignore_errors=True)
        changes.mkdir()
        settings = [f"sources.changes.path={changes}/*.jsonl"]
        if "strnum" in topic.name:
            settings += [
                "sources.changes.debezium.decimals=string",
                "sources.changes.debezium.times=connect",
            ]
        table, wrong, dead = Table(columns), [], 0
        for at, record in enumerate(records):
            (changes / f"{at:04}.jsonl").write_text(json.dumps(record) + "\n")
            table.take(record)
            report = proof.run(
                binary,
                proof.HERE / ("debezium-nopk.toml" if keyless else "debezium.toml"),
                data,
                None,
                1 + at % 3,
                settings,
            )
            dead += report["dead"]
            if found(data, columns) != table.all():
                wrong.append(at)
        bad += bool(wrong) or dead > 0
        name = str(topic.relative_to(args.folder))
        results.append(
            (
                name,
                len(records),
                len(table.rows),
                dead,
                "none" if not wrong else f"{len(wrong)}, first after record {wrong[0]}",
            )
        )
        print(f"  {results[-1]}", file=sys.stderr, flush=True)
    proof.print_table(
        ["topic", "records", "rows at the end", "dead letters", "prefixes that differ"], results
    )
    if not args.work:
        shutil.rmtree(work)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
