"""The rows of the proof: sizes of the generators, a file of every type that a table can have, and
tables of Arrow as scripts for psql.
"""

import datetime
import io
import re

# Small: the rows are here to be compared, not to be many.
SIZES = [
    "sources.payments.customers=150",
    "sources.payments.terminals=300",
    "sources.payments.days=40",
    "sources.loan-changes.loans=300",
    "sources.loan-changes.lenders=4",
    "sources.loan-changes.months=4",
]
# Every type that a table can have, with null, least, greatest and ordinary values.
TYPES = {
    "id": "int32",
    "seen": "timestamp",
    "at": "timestamp",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "f4": "float32",
    "f8": "float64",
    "flag": "boolean",
    "txt": "string",
    "d38": "decimal(38,0)",
    "d1818": "decimal(38,18)",
    "money": "decimal(12,2)",
    "day": "date",
}
SEEN = "2024-01-01T00:00:00Z"
ROWS = [
    ["1", SEEN] + [None] * 13,
    [
        "2",
        SEEN,
        "0001-01-01T00:00:00Z",
        "-128",
        "-32768",
        "-2147483648",
        "-9223372036854775808",
        "-3.4028235e38",
        "-1.7976931348623157e308",
        "false",
        "",
        "-" + "9" * 38,
        "-" + "9" * 20 + "." + "9" * 18,
        "-9999999999.99",
        "0001-01-01",
    ],
    [
        "3",
        SEEN,
        "9999-12-31T23:59:59.999999Z",
        "127",
        "32767",
        "2147483647",
        "9223372036854775807",
        "1e-45",
        "5e-324",
        "true",
        "tab\tquote \" \\ ' , {} NULL é 𝄞\nline",
        "9" * 38,
        "0.000000000000000001",
        "0.01",
        "9999-12-31",
    ],
    [
        "4",
        SEEN,
        "1999-12-31T23:59:59.123456Z",
        "1",
        "1",
        "1",
        "1",
        "0.1",
        "0.1",
        "true",
        "NULL",
        "0",
        "1",
        "1000000.00",
        "1969-12-31",
    ],
    [
        "5",
        SEEN,
        "2024-02-29T12:00:00.5Z",
        "0",
        "0",
        "0",
        "0",
        "-0",
        "-0",
        "false",
        "{1,NULL}",
        "10000",
        "-12345678.0001",
        "-1.50",
        "2000-01-01",
    ],
    [
        "6",
        SEEN,
        "2024-06-15T10:00:00.000001Z",
        "-1",
        "-1",
        "-1",
        "-1",
        "16777216",
        "1e15",
        "true",
        "x" * 5000,
        "100000000000000000000",
        "10000.00010001",
        "10000",
        "2024-02-29",
    ],
]
TYPES_PIPELINE = """
[sources.types]
kind       = "file"
path       = "{folder}/types.csv"
schema     = {{ {schema} }}
event_time = {{ column = "seen" }}

[pipelines.types]
from  = "types"
order = "arrival"

[[pipelines.types.steps]]
id     = "bytes"
derive = {{ raw = "cast(txt as bytea)" }}

[[pipelines.types.to]]
id            = "types-table"
kind          = "delta"
table         = "all_types"
partition_by  = []
about         = "every type that a table can have"
about_columns = {{ i2 = "sixteen bits", money = "exact, in 'units'" }}

[query]
postgres = "127.0.0.1:{port}"
"""
# What the port says of tables that `about` says nothing of.
ABOUT = {
    "payments_scored": "what pipeline card-fraud writes",
    "alerts": "what pipeline card-fraud writes",
    "portfolio": "what pipeline portfolio writes",
    "loan_transitions": "what pipeline transitions writes",
    "loan_updated": "what pipeline loan-events writes",
}
ABOUT_VIEWS = {
    "portfolio_now": "the newest revisions of portfolio",
    "loan_transitions_now": "the newest revisions of loan_transitions",
}


def postgres_table(name, rows):
    """A table in PostgreSQL with rows of Arrow, as a script for psql."""
    columns = ", ".join(f'"{field.name}" {postgres_type(field.type)}' for field in rows.schema)
    out = io.StringIO()
    out.write(f'create table "{name}" ({columns});\ncopy "{name}" from stdin;\n')
    for row in rows.to_pylist():
        out.write("\t".join(copied(value) for value in row.values()) + "\n")
    out.write("\\.\n")
    return out.getvalue()


def postgres_type(arrow):
    """The type as which the port shows a type of Arrow."""
    text = str(arrow)
    decimal = re.fullmatch(r"decimal128\((\d+), (\d+)\)", text)
    if decimal:
        return f"numeric({decimal[1]},{decimal[2]})"
    if text.startswith("timestamp"):
        return "timestamptz" if "tz=" in text else "timestamp"
    return {
        "int8": "int2",
        "int16": "int2",
        "int32": "int4",
        "int64": "int8",
        "float": "float4",
        "double": "float8",
        "bool": "boolean",
        "string": "text",
        "large_string": "text",
        "string_view": "text",
        "binary": "bytea",
        "large_binary": "bytea",
        "binary_view": "bytea",
        "date32[day]": "date",
    }[text]


def copied(value):
    """A value in the text form of COPY."""
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    text = str(value)
    for raw, kept in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(raw, kept)
    return text
