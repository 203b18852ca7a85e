#!/usr/bin/env python3
"""Tries what users of other tools have reported in public, with inputs made here, and says of each
case whether it comes out right.

    trials.py [--binary PATH] [--only WORD] [--work FOLDER]

Each case is a configuration, input files and what must come of them: rows, a refusal with what
would be right, or a word at the start. Kinds: time patterns, inference, numbers in JSON, sums,
statistics, files that grow, compression, messages. Ends with 1 if a case is wrong.
"""

import gzip
import json
import math
import shutil
import subprocess
import sys
import tempfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import proof

CASES = []


class Wrong(Exception):
    """What came instead of what is right."""


def case(kind, *variants):
    """Registers a case, once for each variant, which is passed on."""

    def register(function):
        for variant in variants or [()]:
            named = variant[0] if variants else ""
            CASES.append(
                (
                    kind,
                    f"{function.__name__.replace('_', ' ')}{': ' if named else ''}{named}",
                    function,
                    variant,
                )
            )
        return function

    return register


def must(right, said):
    if not right:
        raise Wrong(said)


class Trial:
    """A folder with a configuration of one source, one pipeline and one table `t`."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        folder.mkdir(parents=True)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def config(
        self,
        path,
        schema=None,
        event_time='column = "at"',
        steps="",
        pipeline="",
        to="",
        source="",
        kind="delta",
    ):
        schema = f"schema = {{ {schema} }}\n" if schema else ""
        self.write(
            "pipeline.toml",
            '[riskstream]\ndata = "data"\nworkers = 2\ndead_rows_max = 1\n\n[sources.s]\n'
            f'kind = "file"\npath = "{path}"\n{schema}{source}\n'
            f"event_time = {{ {event_time} }}\n\n[pipelines.p]\nfrom = \"s\"\n{pipeline}\n{steps}\n"
            f'[[pipelines.p.to]]\nid = "t"\nkind = "{kind}"\ntable = "t"\npartition_by = []\n{to}',
        )

    def call(self, *args):
        done = subprocess.run(
            [self.binary, *args],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        must("panicked" not in done.stderr, done.stderr)
        return done

    def check(self, *args):
        return self.call("check", "pipeline.toml", *args)

    def run(self):
        done = self.call("run", "pipeline.toml")
        must(done.returncode == 0, f"the run ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout + done.stderr

    def refused(self, *words):
        """A run that must not start or must end with these words."""
        done = self.call("run", "pipeline.toml")
        said = done.stdout + done.stderr
        must(done.returncode != 0, f"it is taken: {said.strip()}")
        for word in words:
            must(word in said, f"no word of {word!r} in: {said.strip()}")
        return said

    def rows(self, sql="select * from t"):
        done = self.call("query", "--config", "pipeline.toml", "--format", "ndjson", sql)
        must(done.returncode == 0, done.stderr.strip())
        return [json.loads(line, parse_float=str) for line in done.stdout.splitlines()]

    def column(self, name, order="1"):
        return [row.get(name) for row in self.rows(f'select "{name}" from t order by {order}')]

    def dead(self):
        return self.rows("select reason, detail from dead_letters")


def equal(got, expected):
    must(got == expected, f"{got} instead of {expected}")


# Time patterns ------------------------------------------------------------------------------------


def at(pattern):
    return f'column = "at", format = "{pattern}"'


@case(
    "time pattern",
    ("%I without %p", "%d/%m/%Y %I:%M", "01/05/2024 10:30", "%p"),
    ("%I:%M:%S without %p", "%Y-%m-%d %I:%M:%S", "2024-05-01 11:45:10", "%H"),
    ("%l without %P", "%m/%d/%Y %l:%M", "05/01/2024  9:45", "%p"),
    ("%p without %I", "%d/%m/%Y %H:%M %p", "01/05/2024 10:30 AM", "%I"),
    ("a minute without an hour", "%d/%m/%Y %M", "01/05/2024 30", "%H"),
    ("a second without a minute", "%d/%m/%Y %H %S", "01/05/2024 10 30", "%M"),
    ("a fraction without a second", "%d/%m/%Y %H:%M.%f", "01/05/2024 10:30.5", "%S"),
    ("a month alone", "%B %Y", "May 2024", "%d"),
    ("a year alone", "%Y", "2024", "%m"),
    ("no year", "%d/%m %H:%M", "01/05 10:30", "%Y"),
    ("a time of day alone", "%H:%M:%S", "10:30:00", "%Y"),
    ("the name of a zone", "%Y-%m-%d %H:%M:%S %Z", "2024-05-01 10:30:00 CEST", "%z"),
    ("a week without its year", "%Y-W%V-%u", "2024-W18-3", "%G"),
    ("weeks from Sunday", "%Y-%U-%w", "2024-17-3", "%G-W%V-%u"),
    ("a week without its day", "%G-W%V", "2024-W18", "%u"),
    ("what C writes in its language", "%c", "Wed May  1 10:30:00 2024", "%b"),
    ("digits that run together", "%Y%-m%d", "2024111", "%-d"),
)
def a_pattern_that_leaves_the_instant_open_is_refused(t, name, pattern, value, help):
    t.write("in.csv", f"id,at\n1,{value}\n")
    t.config("in.csv", 'id = "int64", at = "timestamp"', at(pattern))
    done = t.check()
    must(done.returncode == 2, f"check takes it: {done.stdout}")
    must(
        help in done.stderr.split("help:")[-1] and "pipeline.toml:" in done.stderr,
        f"no word of {help}: {done.stderr}",
    )


@case(
    "time pattern",
    ("12 hours", "%d/%m/%Y %I:%M %p", "01/05/2024 10:30 PM", "2024-05-01T22:30:00Z"),
    ("noon", "%d/%m/%Y %I:%M %p", "01/05/2024 12:00 PM", "2024-05-01T12:00:00Z"),
    ("midnight", "%d/%m/%Y %I:%M%p", "01/05/2024 12:00am", "2024-05-01T00:00:00Z"),
    ("24 hours", "%d/%m/%Y %H:%M", "01/05/2024 22:30", "2024-05-01T22:30:00Z"),
    ("an hour alone", "%Y-%m-%d %H", "2024-05-01 10", "2024-05-01T10:00:00Z"),
    ("a date alone", "%d.%m.%Y", "1.5.2024", "2024-05-01T00:00:00Z"),
    ("the day of the year", "%Y-%j", "2024-122", "2024-05-01T00:00:00Z"),
    ("an ISO week", "%G-W%V-%u", "2024-W18-3", "2024-05-01T00:00:00Z"),
    ("two digits of a year", "%d/%m/%y", "01/05/68", "dead"),
    ("two digits of an old year", "%d/%m/%y", "01/05/69", "1969-05-01T00:00:00Z"),
    ("four digits of a year where two are said", "%d/%m/%y", "01/05/2024", "dead"),
    ("two digits of a year where four are said", "%d/%m/%Y", "01/05/24", "dead"),
    (
        "a colon in the offset",
        "%Y-%m-%dT%H:%M:%S%z",
        "2024-05-01T10:00:00+02:00",
        "2024-05-01T08:00:00Z",
    ),
    (
        "no colon in the offset",
        "%Y-%m-%dT%H:%M:%S%:z",
        "2024-05-01T10:00:00-0330",
        "2024-05-01T13:30:00Z",
    ),
    ("names", "%a %d %b %Y %H:%M", "Wed 01 May 2024 10:30", "2024-05-01T10:30:00Z"),
    ("a wrong day of the week", "%a %d %b %Y", "Thu 01 May 2024", "dead"),
    ("a percent sign", "%d%%%m%%%Y", "01%05%2024", "2024-05-01T00:00:00Z"),
    ("seconds since 1970", "%s", "1714557600", "2024-05-01T10:00:00Z"),
    ("digits together", "%Y%m%d%H%M%S", "20240501103005", "2024-05-01T10:30:05Z"),
    ("a missing digit", "%Y%m%d%H%M%S", "2024050110305", "dead"),
    ("the 30th of February", "%d/%m/%Y", "30/02/2024", "dead"),
    ("padded with spaces", "%e %b %Y %k:%M", " 1 May 2024  9:05", "2024-05-01T09:05:00Z"),
)
def a_pattern_reads_what_it_says(t, name, pattern, value, expected):
    t.write("in.csv", f'id,at\n1,"{value}"\n')
    t.config("in.csv", 'id = "int64", at = "timestamp"', at(pattern))
    must(t.check().returncode == 0, "check refuses it")
    t.run()
    if expected == "dead":
        equal((t.column("at"), len(t.dead())), ([], 1))
    else:
        equal((t.column("at"), t.dead()), ([expected], []))


@case(
    "fraction",
    ("%S.%f of .5", "%Y-%m-%d %H:%M:%S.%f", "2024-05-01 10:00:00.5", "10:00:00.500Z"),
    (
        "%S.%f of six digits",
        "%Y-%m-%d %H:%M:%S.%f",
        "2024-05-01 10:00:00.123456",
        "10:00:00.123456Z",
    ),
    (
        "%S.%f of nine digits",
        "%Y-%m-%d %H:%M:%S.%f",
        "2024-05-01 10:00:00.123456789",
        "10:00:00.123456Z",
    ),
    ("%S,%f", "%Y-%m-%d %H:%M:%S,%f", "2024-05-01 10:00:00,25", "10:00:00.250Z"),
    ("%S%f", "%Y%m%d%H%M%S%f", "2024050110000005", "10:00:00.050Z"),
    ("%S%.f without one", "%Y-%m-%d %H:%M:%S%.f", "2024-05-01 10:00:00", "10:00:00Z"),
    ("%S%.3f", "%Y-%m-%d %H:%M:%S%.3f", "2024-05-01 10:00:00.007", "10:00:00.007Z"),
    ("%S%3f", "%Y%m%d%H%M%S%3f", "20240501100000007", "10:00:00.007Z"),
)
def digits_after_the_second_are_a_fraction(t, name, pattern, value, expected):
    t.write("in.csv", f'id,at\n1,"{value}"\n')
    t.config("in.csv", 'id = "int64", at = "timestamp"', at(pattern))
    t.run()
    got = t.column("at")
    must(
        len(got) == 1 and instant(got[0]) == instant("2024-05-01T" + expected),
        f"{got} instead of {expected}",
    )


@case(
    "fraction",
    ("RFC 3339, nine digits", "auto", "2024-05-01T10:00:00.123456789Z", "10:00:00.123456Z"),
    (
        "RFC 3339, seven digits and an offset",
        "auto",
        "2024-05-01T12:00:00.1234567+02:00",
        "10:00:00.123456Z",
    ),
    ("seconds, nine digits", "unix-s", "1714557600.123456789", "10:00:00.123456Z"),
    ("milliseconds, six digits", "unix-ms", "1714557600123.456789", "10:00:00.123456Z"),
    ("microseconds", "unix-us", "1714557600123456.7", "10:00:00.123456Z"),
    ("a leap second", "auto", "2024-05-01T09:59:60Z", "09:59:59.999999Z"),
    ("a leap second with a fraction", "auto", "2024-05-01T11:59:60.5+02:00", "09:59:59.999999Z"),
    ("a leap second by a pattern", "%Y-%m-%d %H:%M:%S", "2024-05-01 09:59:60", "09:59:59.999999Z"),
)
def what_is_finer_than_a_microsecond_is_cut_in_every_form(t, name, form, value, expected):
    for file, text in [
        ("in.csv", f"id,at\n1,{value}\n"),
        ("in.json", json.dumps({"id": 1, "at": value}) + "\n"),
    ]:
        t.write(file, text)
        t.config(file, 'id = "int64", at = "timestamp"', at(form))
        shutil.rmtree(t.folder / "data", ignore_errors=True)
        t.run()
        got = t.column("at")
        must(
            len(got) == 1 and instant(got[0]) == instant("2024-05-01T" + expected),
            f"{file}: {got} instead of {expected}; {t.dead()}",
        )


def instant(text):
    """Microseconds of a time as queries write it."""
    day, clock = text.rstrip("Z").split("T")
    hours, minutes, seconds = clock.split(":")
    return day, (int(hours) * 60 + int(minutes)) * 60_000_000 + int(Decimal(seconds) * 1_000_000)


# Inference ----------------------------------------------------------------------------------------


@case(
    "inference of values",
    ("23 digits", ["74063125074063125074063", "74063125074063125074064"], "text"),
    ("20 digits", ["40817810099910004312", "40817810099910004313"], "text"),
    ("one past an int64", ["9223372036854775808"], "text"),
    ("an int64's ends", ["9223372036854775807", "-9223372036854775808"], "number"),
    ("a plus", ["+491701234567", "+491701234568"], "text"),
    ("leading zeros", ["00123", "4567"], "text"),
    ("a zero behind numbers", ["12", "7", "007"], "text"),
    ("an E in a reference", ["12E5", "34E5"], "text"),
    ("1e5", ["1e5", "2e7"], "text"),
    ("money of two decimals", ["12.50", "1.00"], "number"),
    ("floats of whole numbers", ["1200000.0", "3.5"], "number"),
    ("versions", ["1.1", "1.10"], "text"),
    ("18 decimals", ["0.123456789012345678", "0.1"], "text"),
    ("17 digits of money", ["12345678901234567.89"], "text"),
    ("minus zero", ["-0", "5"], "any"),
    ("NaN", ["1.5", "NaN"], "text"),
    ("a mixture", ["12", "twelve"], "text"),
    ("nanoseconds", ["2024-05-01T10:00:00.123456789Z"], "text"),
)
def values_are_given_back(t, name, values, form):
    t.write(
        "in.csv", "at,x\n" + "".join(f"2024-05-01T00:00:0{i}Z,{v}\n" for i, v in enumerate(values))
    )
    t.config("in.csv")
    said = t.run()
    equal(t.dead(), [])
    got = [row["x"] for row in t.rows("select x from t order by at")]
    kind = t.rows("select arrow_typeof(x) as kind from t limit 1")[0]["kind"]
    if form == "text":
        equal(got, values)
        must("x string" in said, f"no word of the type: {said}")
    else:
        equal([Fraction(str(v)) for v in got], [Fraction(v) for v in values])
        must(form == "any" or "Utf8" not in kind, f"it is {kind}")
        must(
            all(str(v).startswith("-") == w.startswith("-") for v, w in zip(got, values)),
            f"{got} lost a sign",
        )


@case("inference of values")
def a_later_value_is_not_changed_in_silence(t):
    t.write(
        "in.csv",
        "at,id\n"
        + "".join(f"2024-05-01T00:00:00Z,{i}\n" for i in range(10_500))
        + "2024-05-01T00:00:00Z,007\n",
    )
    t.config("in.csv")
    t.run()
    equal((len(t.column("id")), len(t.dead())), (10_500, 1))


@case(
    "inference of columns",
    (
        "nested objects",
        {
            "transactionId": "t-1",
            "at": "2023-06-16",
            "transactionAmount": {"amount": "-64.68", "currency": "NOK"},
        },
        {"transactionAmount.amount": "-64.68", "transactionAmount.currency": "NOK"},
    ),
    ("three deep", {"at": "2023-06-16", "a": {"b": {"c": 7}}}, {"a.b.c": 7}),
    ("arrays", {"at": "2023-06-16", "tags": ["x", 1]}, {"tags": '["x", 1]'}),
    ("an array of objects", {"at": "2023-06-16", "lines": [{"sku": 1}]}, {"lines": '[{"sku": 1}]'}),
    ("an empty object", {"at": "2023-06-16", "o": {}}, {"o": "{}"}),
    (
        "a long number",
        {"at": "2023-06-16", "n": 12345678901234567890123},
        {"n": "12345678901234567890123"},
    ),
    ("a number in a string", {"at": "2023-06-16", "n": "0012"}, {"n": "0012"}),
    ("a point in a name", {"at": "2023-06-16", "a.b": 5}, {"a.b": 5}),
)
def json_fields_are_columns(t, name, record, expected):
    t.write("in.json", json.dumps(record) + "\n")
    t.config("in.json")
    t.run()
    row = t.rows()[0]
    equal({name: row.get(name) for name in expected}, expected)


@case("inference of columns")
def a_schema_names_a_nested_field(t):
    t.write(
        "in.json",
        '{"at":"2024-05-01","m":{"amount":"12.50","x":[1]}}\n'
        '{"at":"2024-05-02","m":{"amount":1.5}}\n{"at":"2024-05-03","m":"none"}\n'
        '{"at":"2024-05-04"}\n',
    )
    t.config("in.json", 'at = "timestamp", "m.amount" = "decimal(12,2)"')
    t.run()
    equal(t.column("m.amount", "at"), ["12.50", "1.50", None])
    equal([d["reason"] for d in t.dead()], ["type"])
    must("m" in t.dead()[0]["detail"] and "object" in t.dead()[0]["detail"], str(t.dead()))


def parquet_columns():
    import pyarrow as pa

    return {
        "binary text": (pa.array([b"4111", b"\xc3\xbc", None], pa.binary()), ["4111", "ü", None]),
        "large binary text": (pa.array([b"a", b"b", b""], pa.large_binary()), ["a", "b", ""]),
        "fixed text": (pa.array([b"NOK", b"SEK", b"DKK"], pa.binary(3)), ["NOK", "SEK", "DKK"]),
        "time of day": (
            pa.array([37_800_000_000, 0, 1], pa.time64("us")),
            ["10:30:00", "00:00:00", "00:00:00.000001"],
        ),
        "milliseconds of the day": (
            pa.array([37_800_000, 0, 1], pa.time32("ms")),
            ["10:30:00", "00:00:00", "00:00:00.001"],
        ),
        "half floats": (
            pa.array([1.5, -2.0, 0.25], pa.float32()).cast(pa.float16()),
            ["1.5", "-2.0", "0.25"],
        ),
        "unsigned 64": (pa.array([2**64 - 1, 0, 1], pa.uint64()), [2**64 - 1, 0, 1]),
        "unsigned 32": (pa.array([2**32 - 1, 0, 1], pa.uint32()), [2**32 - 1, 0, 1]),
        "decimals of 50 digits": (
            pa.array([Decimal("1.50"), Decimal("-2.25"), None], pa.decimal256(50, 2)),
            ["1.50", "-2.25", None],
        ),
        "dictionaries": (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        "dates": (pa.array([0, 1, 2], pa.date32()), ["1970-01-01", "1970-01-02", "1970-01-03"]),
        "structs": (
            pa.array([{"b": "x"}, {"b": None}, None], pa.struct([("b", pa.string())])),
            None,
        ),
        "lists": (pa.array([[1], [2], None], pa.list_(pa.int64())), None),
        "maps": (pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())), None),
        "hashes": (pa.array([b"\xff\xfe", b"\x80", b"\x00"], pa.binary()), None),
        "durations": (pa.array([1, 2, 3], pa.duration("us")), None),
        "nothing": (pa.array([None, None, None], pa.null()), None),
        "nanoseconds": (
            pa.array([1_600_000_000_123_456_789, 0, -1], pa.timestamp("ns")),
            ["2020-09-13T12:26:40.123456Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z"],
        ),
    }


PARQUET = [
    "binary text",
    "large binary text",
    "fixed text",
    "time of day",
    "milliseconds of the day",
    "half floats",
    "unsigned 64",
    "unsigned 32",
    "decimals of 50 digits",
    "dictionaries",
    "dates",
    "structs",
    "lists",
    "maps",
    "hashes",
    "durations",
    "nothing",
    "nanoseconds",
]


@case("inference of columns", *[(name,) for name in PARQUET])
def parquet_columns_are_taken_or_named(t, name):
    import pyarrow as pa
    import pyarrow.parquet as pq

    array, expected = parquet_columns()[name]
    table = pa.table(
        {"at": pa.array([1, 2, 3], pa.timestamp("us")), "id": pa.array([1, 2, 3]), "x": array}
    )
    pq.write_table(table, t.folder / "in.parquet")
    t.config("in.parquet")
    checked = t.check("--against-source")
    must(checked.returncode == 0, f"check --against-source: {checked.stderr}")
    said = t.run()
    equal(t.dead(), [])
    row = t.rows("select * from t order by id")[0]
    taken = any(column == "x" or column.startswith("x.") for column in row)
    if expected is None:
        named = lambda text: taken or ("x" in text and "left out" in text)
        must(named(said) and named(checked.stdout), f"it vanishes without a word: {said}")
    else:
        got = t.column("x", "id")
        if name == "half floats":
            got, expected = [float(v) for v in got], [float(v) for v in expected]
        if name == "nanoseconds":
            got, expected = [instant(v) for v in got], [instant(v) for v in expected]
        equal(
            [str(v) if v is not None else None for v in got],
            [str(v) if v is not None else None for v in expected],
        )


@case("inference of columns")
def a_binary_column_is_a_string_where_the_schema_says_so(t):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "at": pa.array([1, 2], pa.timestamp("us")),
            "card": pa.array([b"4111", b"\xff"], pa.binary()),
        }
    )
    pq.write_table(table, t.folder / "in.parquet")
    t.config("in.parquet", 'at = "timestamp", card = "string"')
    t.run()
    equal((t.column("card"), [d["reason"] for d in t.dead()]), (["4111"], ["type"]))


@case(
    "inference over files",
    ("a header first", "id,at,amount\n"),
    ("nothing first", ""),
    ("a blank line first", "\n"),
    ("a header without its line end", "id,at,amount"),
)
def types_come_from_rows(t, name, first):
    t.write("in/a.csv", first)
    t.write("in/b.csv", "id,at,amount\n1,2024-05-01,12.50\n2,2024-05-02,1.50\n")
    t.config("in/*.csv")
    t.run()
    equal(
        [(row["id"], float(row["amount"])) for row in t.rows("select * from t order by id")],
        [(1, 12.5), (2, 1.5)],
    )
    t.write("in/c.csv", "id,at,amount\n3,2024-05-03,2.25\n")
    t.run()
    equal(len(t.rows()), 3)


@case("inference over files")
def headers_alone_are_refused_as_an_empty_file_is(t):
    t.write("in/a.csv", "id,at\n")
    t.config("in/*.csv")
    t.refused("schema")


# Numbers in JSON ----------------------------------------------------------------------------------


@case(
    "numbers in strings",
    ("12", '"12"', 12),
    ("-7", '"-7"', -7),
    ("the last int64", '"9223372036854775807"', 2**63 - 1),
    ("12.0", '"12.0"', 12),
    ("1e2", '"1e2"', 100),
    ("a space before", '" 12"', None),
    ("nothing", '""', None),
    ("0x12", '"0x12"', None),
    ("past an int64", '"9223372036854775808"', None),
    ("a half", '"12.5"', None),
    ("a word", '"twelve"', None),
    ("an object", '{"a":1}', None),
    ("true", "true", None),
)
def integers_are_taken_as_decimals_are(t, name, value, expected):
    t.write("in.json", f'{{"id":{value},"at":"2024-05-01","amount":"12.50"}}\n')
    t.config("in.json", 'id = "int64", at = "timestamp", amount = "decimal(12,2)"')
    t.run()
    if expected is not None:
        equal((t.column("id"), t.column("amount"), t.dead()), ([expected], ["12.50"], []))
    else:
        dead = t.dead()
        must(
            len(dead) == 1 and dead[0]["detail"].startswith("id: the JSON "),
            f"the detail does not say what it is: {dead}",
        )


# Sums ---------------------------------------------------------------------------------------------


def payments(values, key="a"):
    return "id,at,k,v\n" + "".join(
        f"{i},2024-05-01T00:{i:02}:00Z,{key},{v}\n" for i, v in enumerate(values, 1)
    )


STEP = {
    "features": (
        '[[pipelines.p.steps]]\nid = "w"\n'
        'features = { n = "count(*)", s = "sum(v)", a = "avg(v)" }\nby = "k"\nover = ["1h"]\n'
    ),
    "aggregate": (
        '[[pipelines.p.steps]]\nid = "w"\n'
        'aggregate = { n = "count(*)", s = "sum(v)", a = "avg(v)" }\nby = "k"\nwindows = ["1d"]\n'
    ),
}


def sums(t, values, kind, step):
    """The sums that came: of each row, or of the day."""
    t.write("in.csv", payments(values))
    t.config(
        "in.csv",
        f'id = "int64", at = "timestamp", k = "string", v = "{kind}"',
        'column = "at", ties_by = "id", out_of_orderness = "1d"',
        STEP[step],
    )
    t.run()
    if step == "features":
        return [row["s"] for row in t.rows("select s_1h as s from t order by id")]
    return [row["s"] for row in t.rows("select s from t order by revision desc limit 1")]


FLOATS = [
    ("tiny", ["0.000000000123456789", "0.000000000123456789", "1e-30"]),
    ("huge", ["1e18", "2e20", "3e18", "250000000000000000000"]),
    ("tiny and huge", ["1e-30", "1", "0.1", "1e10", "1e-7"]),
    ("crypto", ["0.0000081234567", "0.0000081234567", "0.0000000031709792"]),
    ("what cancels", ["1e16", "1", "-1e16"]),
    ("near the end", ["1e300", "-1e300", "1e-300"]),
]


@case(
    "sums of floats",
    *[(f"{name}, {step}", values, step) for name, values in FLOATS for step in STEP],
)
def a_float_sum_is_the_nearest_float(t, name, values, step):
    got = sums(t, values, "float64", step)
    exact = [math.fsum(map(float, values[: i + 1])) for i in range(len(values))]
    expected = exact if step == "features" else exact[-1:]
    equal([float(v) if v is not None else None for v in got], expected)


@case(
    "sums that overflow",
    *[
        (f"{name}, {step}", kind, values, step)
        for name, kind, values in [
            ("int64", "int64", ["9223372036854775807", "1"]),
            ("int64 below", "int64", ["-9223372036854775808", "-5"]),
            ("decimal(38,0)", "decimal(38,0)", ["9" * 38, "1"]),
            ("decimal(38,2)", "decimal(38,2)", ["9" * 36 + ".99", "0.01"]),
        ]
        for step in STEP
    ],
)
def an_overflow_is_said(t, name, kind, values, step):
    t.write("in.csv", payments(values))
    t.config(
        "in.csv",
        f'id = "int64", at = "timestamp", k = "string", v = "{kind}"',
        'column = "at", ties_by = "id", out_of_orderness = "1d"',
        STEP[step],
    )
    said = t.run()
    dead = t.dead()
    word = dead or "overflow" in said or "does not fit" in said
    column = "s_1h" if step == "features" else "s"
    limit = Decimal(2**63 - 1) if kind == "int64" else Decimal("9" * 38)
    got = [row["s"] for row in t.rows(f"select {column} as s from t")]
    must(
        all(v is None or abs(Decimal(str(v))) <= limit + 1 for v in got),
        f"{got} is not of its type",
    )
    must(word, f"no word of it: {got}; {said}")


@case("sums that overflow")
def a_sum_that_comes_back_is_right(t):
    got = sums(t, ["9223372036854775807", "1", "-5"], "int64", "aggregate")
    equal(got, [9223372036854775803])


@case(
    "statistics",
    ("one of 15 billion", ["50000", "15000000000", "80000"]),
    ("a hundred of 1e8", ["100000000.25"] * 59),
    ("1e150", ["1e150", "2e150"]),
    ("small beside large", ["1e9", "1e-9", "2e9"]),
)
def a_deviation_never_stops_a_run(t, name, values):
    step = STEP["features"].replace('a = "avg(v)"', 'a = "avg(v)", sd = "stddev(v)"')
    t.write("in.csv", payments(values))
    t.config(
        "in.csv",
        'id = "int64", at = "timestamp", k = "string", v = "float64"',
        'column = "at", ties_by = "id", out_of_orderness = "1d"',
        step,
    )
    t.run()
    rows = t.rows("select n_1h, sd_1h from t order by id")
    equal([row["n_1h"] for row in rows], list(range(1, len(values) + 1)))
    exact = [Fraction(float(v)) for v in values]
    mean = sum(exact) / len(exact)
    variance = sum((v - mean) ** 2 for v in exact) / (len(exact) - 1)
    expected = math.sqrt(variance)
    last = rows[-1]["sd_1h"]
    must(
        last is not None and math.isclose(float(last), expected, rel_tol=1e-9, abs_tol=1e-12),
        f"{last} instead of {expected}",
    )


# Files that grow ----------------------------------------------------------------------------------


@case(
    "a file that grew",
    (
        "CSV",
        "in.csv",
        b"id,at,amount\n1,2024-05-01,1.10\n2,2024-05-02,2.20\n",
        b"3,2024-05-03,3.30\n",
    ),
    (
        "CSV without its last line end",
        "in.csv",
        b"id,at,amount\n1,2024-05-01,1.10\n2,2024-05-02,2.20",
        b"\n3,2024-05-03,3.30\n",
    ),
    (
        "JSON",
        "in.json",
        b'{"id":1,"at":"2024-05-01","amount":1.10}\n{"id":2,"at":"2024-05-02","amount":2.20}\n',
        b'{"id":3,"at":"2024-05-03","amount":3.30}\n',
    ),
    (
        "gzip",
        "in.csv.gz",
        gzip.compress(b"id,at,amount\n1,2024-05-01,1.10\n2,2024-05-02,2.20\n"),
        gzip.compress(b"3,2024-05-03,3.30\n"),
    ),
)
def what_was_appended_is_read_or_refused(t, name, file, first, more):
    path = t.write(file, first)
    t.config(file, 'id = "int64", at = "timestamp", amount = "decimal(12,2)"')
    t.run()
    equal(len(t.rows()), 2)
    path.write_bytes(first + more)
    done = t.call("run", "pipeline.toml")
    rows = sorted(row["id"] for row in t.rows())
    must(
        rows == [1, 2, 3] or (done.returncode != 0 and file in done.stderr),
        f"{rows}, exit status {done.returncode}, {done.stdout}{done.stderr}",
    )


# Compression and messages -------------------------------------------------------------------------

TEXT = "id,at,amount\n" + "".join(f"{i},2024-05-01,{i}.99\n" for i in range(500))
SCHEMA = 'id = "int64", at = "timestamp", amount = "decimal(12,2)"'


@case(
    "compression",
    ("gzip without a name for it", "in.csv", gzip.compress(TEXT.encode())),
    (
        "gzip of two members",
        "in.csv.gz",
        gzip.compress(TEXT[:1000].encode()) + gzip.compress(TEXT[1000:].encode()),
    ),
    (
        "gzip of two members without a name for it",
        "in.csv",
        gzip.compress(TEXT[:1000].encode()) + gzip.compress(TEXT[1000:].encode()),
    ),
)
def compressed_data_is_read_or_called_so(t, name, file, content):
    t.write(file, content)
    t.config(file, SCHEMA)
    done = t.call("run", "pipeline.toml")
    if done.returncode == 0:
        equal((len(t.rows()), t.dead()), (500, []))
    else:
        must("gzip" in done.stderr and "compression" in done.stderr, done.stderr)


@case("compression")
def inferred_from_gzip_without_a_name_for_it(t):
    t.write("in.json", gzip.compress(b'{"at":"2024-05-01","x":1}\n'))
    t.config("in.json")
    done = t.call("run", "pipeline.toml")
    must((done.returncode == 0 and t.column("x") == [1]) or "gzip" in done.stderr, done.stderr)


@case(
    "compression",
    ("cut off", gzip.compress(TEXT.encode())[:-200]),
    ("text in its place", TEXT.encode()),
    ("garbage behind it", gzip.compress(TEXT.encode()) + b"garbage"),
)
def damaged_gzip_is_refused(t, name, content):
    t.write("in.csv.gz", content)
    t.config("in.csv.gz", SCHEMA)
    t.refused("in.csv.gz")


@case("messages")
def an_encrypted_parquet_file_is_called_so(t):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"at": pa.array([1], pa.timestamp("us"))}), t.folder / "in.parquet")
    content = (t.folder / "in.parquet").read_bytes()
    t.write("in.parquet", content[:-4] + b"PARE")
    t.config("in.parquet")
    t.refused("encrypted")


@case("messages")
def a_column_without_a_name_is_said_to_be_left_out(t):
    t.write("in.csv", ",at,amt\n0,2019-01-01 00:00:18,4.97\n1,2019-01-01 00:00:44,107.23\n")
    t.config("in.csv")
    said = t.run()
    must("column 1" in said and "left out" in said, f"no word: {said}")
    equal(sorted(set(t.rows()[0]) - {"_late"}), ["amt", "at"])


@case(
    "messages",
    (
        "two names but for capitals",
        "at,Amount,amount\n2024-05-01,1,2\n",
        ["Amount", "amount", "capital"],
    ),
    ("a name twice", "at,Amount,Amount\n2024-05-01,1,2\n", ["Amount", "twice"]),
)
def names_alike_are_refused_clearly(t, name, text, words):
    t.write("in.csv", text)
    t.config("in.csv")
    said = t.refused(*words)
    must("Int64" not in said, f"garbled: {said}")


SESSIONS = """[[pipelines.p.steps]]
id = "w"
aggregate = { n = "count(*)", s = "sum(v)" }
by = "k"
windows = ["session 30m"]
keep = "2d"
"""


@case(
    "sessions",
    (
        "two become one",
        [["a,10:00", "a,10:50", "z,20:00"], ["a,10:25", "a,09:30"], ["a,09:45"]],
        [("09:30", "11:20", 5)],
    ),
    ("a later end", [["a,10:00", "z,20:00"], ["a,10:20"], ["a,10:40"]], [("10:00", "11:10", 3)]),
    (
        "an earlier start",
        [["a,10:00", "z,20:00"], ["a,09:50"], ["a,09:30"]],
        [("09:30", "10:30", 3)],
    ),
    (
        "two that stay two",
        [["a,10:00", "a,12:00", "z,20:00"], ["a,12:10"]],
        [("10:00", "10:30", 1), ("12:00", "12:40", 2)],
    ),
)
def the_newest_row_of_a_start_is_the_session(t, name, runs, expected):
    t.config(
        "in/*.csv",
        'at = "timestamp", k = "string", v = "int64"',
        'column = "at", out_of_orderness = "1m"',
        SESSIONS,
        'order = "arrival"',
        'when = "true"',
        kind="alerts",
    )
    for number, rows in enumerate(runs):
        lines = [row.split(",") for row in rows]
        t.write(
            f"in/{number}.csv",
            "at,k,v\n" + "".join(f"2024-05-01T{clock}:00Z,{key},1\n" for key, clock in lines),
        )
        t.run()
    for known_by in ["k, window_start", "alert_id"]:
        newest = t.rows(
            f"select * from (select distinct on ({known_by}) * from t order by {known_by}, "
            "revision desc) where k = 'a' and n > 0 order by window_start"
        )
        equal(
            [(r["window_start"][11:16], r["window_end"][11:16], r["n"]) for r in newest], expected
        )


@case("messages")
def the_summary_of_a_failed_run_counts_what_was_kept(t):
    good = "".join(f"{i},2024-05-01,1.00\n" for i in range(3_000))
    t.write("in.csv", "id,at,amount\n" + good + "x,yesterday,none\n" * 3_000)
    t.config("in.csv", SCHEMA)
    text = (
        (t.folder / "pipeline.toml").read_text().replace("dead_rows_max = 1", "dead_rows_max = 0.1")
    )
    t.write("pipeline.toml", text)
    done = t.call("run", "pipeline.toml", "--format", "json")
    must(done.returncode == 3, "it does not fail")
    said = sum(
        table["rows"]
        for table in json.loads(done.stdout)["pipelines"][0]["tables"]
        if table["table"] == "t"
    )
    equal(said, len(t.rows()))


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--only", metavar="WORD", help="cases with this word in their kind or name")
    args = parser.parse_args()
    proof.with_readers()
    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-trials-"))
    wrong, kinds = [], {}
    for number, (kind, name, function, variant) in enumerate(CASES):
        if args.only and args.only not in f"{kind}: {name}":
            continue
        folder = work / f"{number:03}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            function(Trial(binary, folder), *variant)
            said = None
        except Wrong as error:
            said = str(error)
        except (
            Exception
        ) as error:  # A case that fails in another way is wrong too, and the others go on.
            said = f"{type(error).__name__}: {error}"
        right, tried = kinds.get(kind, (0, 0))
        kinds[kind] = (right + (said is None), tried + 1)
        print(f"{'right' if said is None else 'WRONG'}  {kind}: {name}", flush=True)
        if said is not None:
            wrong.append((kind, name))
            print(f"       {said[:600]}\n       {folder}", flush=True)
    print()
    proof.print_table(
        ["kind", "right", "of"], [[kind, right, tried] for kind, (right, tried) in kinds.items()]
    )
    total = sum(tried for _, tried in kinds.values())
    print(f"\n{total - len(wrong)} of {total} right")
    if not args.work and not wrong:
        shutil.rmtree(work)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
