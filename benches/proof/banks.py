#!/usr/bin/env python3
"""Files as banks write them: the rows that the program lands are those that pandas reads with its
own options, by the settings of examples/banks and by those that `riskstream sniff` writes.

    banks.py [--binary PATH] [--work FOLDER] [--only WORD] [FILE_OR_FOLDER...]

Then `sniff` looks at generated files, at all files of examples/ and at those that are named: it is
right (no dead letters, and as many records and the same sums as DuckDB finds), or says of what it
is unsure, or refuses with what would help. Ends with 1 if something differs.
"""

import datetime
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from decimal import Decimal
from pathlib import Path

import proof

BANKS = proof.PROJECT / "examples" / "banks"
# What pandas has to be told of each file.
PANDAS = {
    "de-giro": dict(
        sep=";",
        encoding="cp1252",
        skiprows=5,
        decimal=",",
        thousands=".",
        true_values=["Ja"],
        false_values=["Nein"],
    ),
    "uk-current": dict(encoding="utf-8-sig", thousands=",", true_values=["Y"], false_values=["N"]),
    "us-card": dict(escapechar="\\"),
    "fr-compte": dict(
        sep=";",
        encoding="latin1",
        skiprows=2,
        decimal=",",
        thousands="\u00a0",
        # The C engine of pandas takes marks of one byte only.
        engine="python",
        true_values=["Oui"],
        false_values=["Non"],
    ),
    "se-konto": dict(
        sep="\t",
        encoding="utf-16",
        decimal=",",
        thousands=" ",
        true_values=["Ja"],
        false_values=["Nej"],
    ),
    "berlin-group": None,
    "truelayer": None,
}
# How the files write dates, where not as ISO 8601.
DAYS = {
    "de-giro": "%d.%m.%Y",
    "uk-current": "%d/%m/%Y",
    "us-card": "%m/%d/%Y",
    "fr-compte": "%d/%m/%Y",
}


class Expected:
    """A file as pandas reads it: values as they are written, and as pandas types them."""

    def __init__(self, name, path):
        import pandas

        options = PANDAS[name]
        self.days = DAYS.get(name)
        if options is None:
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            self.raw = pandas.json_normalize(lines).astype(object)
            self.typed = self.raw
        else:
            texts = {k: v for k, v in options.items() if k in ("sep", "encoding", "skiprows")}
            texts["escapechar"] = options.get("escapechar")
            self.raw = pandas.read_csv(path, dtype=str, **texts)
            self.typed = pandas.read_csv(path, **options)

    def value(self, column, row, data_type, zone):
        """The value of a column as a table's type has it."""
        import pandas
        import pyarrow

        raw = self.raw[column][row]
        if isinstance(raw, list):
            return raw
        if pandas.isna(raw):
            return None
        if pyarrow.types.is_decimal(data_type):
            typed = self.typed[column][row]
            return Decimal(typed if isinstance(typed, str) else repr(round(float(typed), 2)))
        if pyarrow.types.is_boolean(data_type):
            return bool(self.typed[column][row])
        if pyarrow.types.is_integer(data_type):
            return int(raw)
        if pyarrow.types.is_date(data_type):
            return pandas.to_datetime(raw, format=self.days).date()
        if pyarrow.types.is_timestamp(data_type):
            return self.instant(raw, self.days, zone)
        return raw

    def instant(self, raw, form, zone):
        import pandas

        time = pandas.to_datetime(raw, format=form)
        if time.tzinfo is None:
            # In an hour that comes twice, the time is that of the first one, in summer time.
            time = time.tz_localize(zone or "UTC", ambiguous=True)
        return time.tz_convert("UTC").to_pydatetime()


def landed(binary, config, work, table):
    """Runs a configuration; the table's rows, and the report."""
    from deltalake import DeltaTable

    data = work / "data"
    shutil.rmtree(data, ignore_errors=True)
    report = proof.run(binary, config, data, None, 2)
    rows = DeltaTable(str(data / "tables" / table)).to_pyarrow_table()
    return rows, report


def differences(expected, rows, source):
    """What differs between a table and what pandas reads, in words."""
    schema = source.get("schema", {})
    time = source["event_time"]
    zone = time.get("zone")
    parts = time["column"] if isinstance(time["column"], list) else None
    made = time.get("as", "event_time") if parts else None
    found = {}
    names = [name for name in rows.column_names if name != "_late"]
    for name in names:
        data_type = rows.schema.field(name).type
        said = schema.get(name, name)
        origin = said.get("from", name) if isinstance(said, dict) else name
        if name == made:
            form = time.get("format")
            texts = expected.raw[parts].agg(" ".join, axis=1)
            found[name] = [expected.instant(text, form, zone) for text in texts]
        else:
            count = len(expected.raw)
            found[name] = [expected.value(origin, i, data_type, zone) for i in range(count)]
    if rows.num_rows != len(expected.raw):
        return [f"{rows.num_rows} rows, pandas reads {len(expected.raw)}"]

    def told(value):
        if isinstance(value, list):
            return json.dumps(value)
        if isinstance(value, datetime.datetime):
            return value.astimezone(datetime.timezone.utc).isoformat()
        if isinstance(value, Decimal):
            return f"{value.normalize():f}"
        return str(value)

    def json_text(value, expected):
        is_list = isinstance(expected, list) and isinstance(value, str)
        return json.loads(value) if is_list else value

    right = sorted(tuple(told(found[n][i]) for n in names) for i in range(rows.num_rows))
    lists = {n for n in names if any(isinstance(v, list) for v in found[n])}
    table = rows.to_pydict()
    mine = sorted(
        tuple(told(json_text(table[n][i], [] if n in lists else None)) for n in names)
        for i in range(rows.num_rows)
    )
    wrong = [(a, b) for a, b in zip(mine, right) if a != b]
    return [f"{len(wrong)} rows differ: {wrong[0][0]}, pandas reads {wrong[0][1]}"] if wrong else []


def sniffed(binary, path, name="sniffed"):
    """What `sniff` says of a file: its answer, or its refusal."""
    done = subprocess.run(
        [binary, "sniff", str(path), "--name", name, "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode == 2 and done.stderr.startswith("error: "):
        return None, done.stderr.strip()
    if done.returncode != 0:
        sys.exit(f"sniff {path} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout), None


def banks(binary, work, only):
    """Compares each form, by its own settings and by those that `sniff` writes."""
    results = []
    for name in PANDAS:
        if only not in name:
            continue
        config = BANKS / f"{name}.toml"
        settings = tomllib.loads(config.read_text("utf-8"))
        (source,) = settings["sources"].values()
        (pipeline,) = settings["pipelines"].values()
        path = proof.PROJECT / source["path"]
        expected = Expected(name, path)
        here = work / name
        here.mkdir(parents=True, exist_ok=True)
        by_hand = here / "hand.toml"
        text = config.read_text("utf-8").replace(source["path"], str(path))
        by_hand.write_text(text, "utf-8")
        rows, report = landed(binary, by_hand, here, pipeline["to"][0]["table"])
        wrong = differences(expected, rows, source)
        if report["dead"]:
            wrong.append(f"{report['dead']} dead letters")
        results.append([name, "by hand", rows.num_rows, "; ".join(wrong) or "equal"])
        answer, refused = sniffed(binary, path)
        if refused:
            results.append([name, "sniff", 0, refused])
            continue
        by_sniff = here / "sniff.toml"
        by_sniff.write_text(
            answer["block"]
            + '\n[pipelines.p]\nfrom = "sniffed"\n[[pipelines.p.to]]\nid = "t"\n'
            + 'kind = "delta"\ntable = "t"\npartition_by = []\n',
            "utf-8",
        )
        rows, report = landed(binary, by_sniff, here, "t")
        source = tomllib.loads(answer["block"])["sources"]["sniffed"]
        wrong = differences(expected, rows, source)
        if report["dead"] or answer["dead"]:
            wrong.append("dead letters")
        results.append([name, "sniff", rows.num_rows, "; ".join(wrong) or "equal"])
    return results


def counted(path, answer):
    """The records that DuckDB finds in a file, and the sums of its numbers; None if it can't."""
    import duckdb

    source = tomllib.loads(answer["block"])["sources"]["sniffed"]
    numbers = [
        name
        for name, said in source.get("schema", {}).items()
        if isinstance(said, str) and (said.startswith("decimal") or said == "int64")
    ]
    quoted = str(path).replace("'", "''")
    try:
        if source["format"] == "parquet":
            relation, numbers = f"read_parquet('{quoted}')", []
        elif source["format"] == "csv":
            relation = f"read_csv('{quoted}', all_varchar = true)"
        elif source["format"] == "json":
            relation = f"read_json('{quoted}', format = 'newline_delimited')"
        else:
            return None
        columns = [c[0] for c in duckdb.sql(f"describe select * from {relation}").fetchall()]
        numbers = [name for name in numbers if name in columns]
        sums = [f'sum(cast("{name}" as decimal(38, 6)))' for name in numbers]
        (found,) = duckdb.sql(f"select {', '.join(['count(*)', *sums])} from {relation}").fetchall()
        return found[0], dict(zip(numbers, found[1:]))
    except duckdb.Error:
        return None


def compared(binary, path, work, answer):
    """What differs from what DuckDB reads, in words; empty if nothing does, None if it can't."""
    found = counted(path, answer)
    if found is None or "event_time" not in tomllib.loads(answer["block"])["sources"]["sniffed"]:
        return None
    count, sums = found
    if count != answer["rows"]:
        return f"{answer['rows']} rows, DuckDB reads {count}"
    config = work / "judged.toml"
    config.write_text(
        answer["block"]
        + '\n[pipelines.p]\nfrom = "sniffed"\n[[pipelines.p.to]]\nid = "t"\nkind = "delta"\n'
        + 'table = "t"\npartition_by = []\n',
        "utf-8",
    )
    try:
        rows, _ = landed(binary, config, work, "t")
    except SystemExit as refused:
        return str(refused).splitlines()[1]
    for name, expected in sums.items():
        values = [Decimal(str(v)) for v in rows.column(name).to_pylist() if v is not None]
        if sum(values) != (expected or 0):
            return f"the sum of {name} is {sum(values)}, DuckDB's {expected}"
    return ""


def judged(binary, path, work):
    """Whether `sniff` is right about a file, or says what it is not sure of."""
    answer, refused = sniffed(binary, path)
    if refused:
        return "refused", refused.split(": ", 2)[-1]
    differs = None if answer["dead"] else compared(binary, path, work, answer)
    unsure = answer["unsure"]
    if differs or answer["dead"]:
        what = differs or f"{answer['dead']} dead letters"
        return ("unsure", f"{what}; {unsure[0]}") if unsure else ("WRONG", what)
    if differs is None:
        return ("unsure", unsure[0]) if unsure else ("right", "DuckDB does not read it")
    said = f", unsure of {len(unsure)}: {unsure[0]}" if unsure else ""
    return "right", f"{answer['rows']} rows{said}"


def generated(binary, work):
    """Files that the program writes, and some of them compressed."""
    made = []
    for of in ("payments", "loans"):
        for ending in ("csv", "json", "parquet"):
            path = work / f"{of}.{ending}"
            size = ["--rows", "2000"]
            subprocess.run(
                [binary, "generate", "--of", of, "--out", str(path), *size],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            made.append(path)
    packed = work / "packed.csv.gz"
    packed.write_bytes(gzip.compress((work / "payments.csv").read_bytes()))
    return [*made, packed]


def files_of(paths):
    """The data files below these paths."""
    wanted = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".zst"}
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (p for p in inside if p.is_file() and p.suffix in wanted)


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--only", default="", help="only banks with this in their names")
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE_OR_FOLDER")
    arguments = parser.parse_args()
    proof.with_readers("pandas")
    binary = proof.program(arguments.binary)
    folder = None if arguments.work else tempfile.TemporaryDirectory()
    work = Path(arguments.work or folder.name)
    work.mkdir(parents=True, exist_ok=True)
    results = banks(binary, work, arguments.only)
    proof.print_table(["bank", "settings", "rows", "beside pandas"], results)
    failed = [row for row in results if row[3] != "equal"]
    if not arguments.only:
        print()
        judgements = []
        examples = proof.PROJECT / "examples"
        for path in [*generated(binary, work), *files_of([examples, *arguments.paths])]:
            verdict, why = judged(binary, path, work)
            parts = path.parts[-2:]
            judgements.append(["/".join(parts), verdict, why[:100]])
        proof.print_table(["file", "sniff is", "why"], judgements)
        failed += [row for row in judgements if row[1] == "WRONG"]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
