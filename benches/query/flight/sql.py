"""Statements, as ADBC's driver (in Go) sends them."""

import datetime
import decimal
import json
import subprocess
import time

import pyarrow
from checking import refused
from world import PAYMENTS


def metadata(checks):
    """Names, columns, types of tables, abilities."""
    with checks.connect("ann") as connection:
        info = connection.adbc_get_info()
        assert info["vendor_name"] == "riskstream", info
        assert connection.adbc_get_table_types() == ["TABLE", "VIEW"]
        objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        assert [catalog["catalog_name"] for catalog in objects] == ["riskstream"], objects
        schemas = {
            schema["db_schema_name"]: schema["db_schema_tables"]
            for schema in objects[0]["catalog_db_schemas"]
        }
        tables = {table["table_name"]: table for table in schemas["public"]}
        assert list(tables) == ["payments"], list(tables)
        columns = [column["column_name"] for column in tables["payments"]["table_columns"]]
        assert columns[:5] == ["id", "lender", "card", "cents", "at"], columns
        found = connection.adbc_get_objects(depth="tables", table_name_filter="nothing%")
        assert not any(
            schema["db_schema_tables"]
            for catalog in found.read_all().to_pylist()
            for schema in catalog["catalog_db_schemas"] or []
        )
        schema = connection.adbc_get_table_schema("payments", db_schema_filter="public")
        assert schema.field("cents").type == pyarrow.int64(), schema
        with connection.cursor() as cursor:
            cursor.execute("select * from payments limit 0")
            assert cursor.fetch_arrow_table().schema.equals(schema), schema


def prepared(checks):
    """Parameters, several rows of them, ten runs of one statement."""
    sql = "select id, lender from payments where id between $1 and $2 order by id"
    assert checks.ask("ann", sql, (10, 14)) == [(10, "17"), (12, "17"), (14, "17")]
    assert checks.ask("bob", sql, (10, 14)) == [(11, "18"), (13, "18")]
    assert checks.ask("ann", "select cents from payments where id = ?", (8,)) == [(800,)]
    with checks.connect("ann") as connection, connection.cursor() as cursor:
        several = pyarrow.record_batch({"id": [4, 99, 2]})
        cursor.execute("select id from payments where id = $1", several)
        assert cursor.fetchall() == [(4,), (2,)]
        for number in range(0, 20, 2):
            cursor.execute("select cents from payments where id = $1", (number,))
            assert cursor.fetchall() == [(100 * number,)]
        schema = cursor.adbc_prepare("select id from payments where id = $1 and lender = $2")
        assert schema.types == [pyarrow.int64(), pyarrow.string()], schema
        refused(lambda: cursor.execute("select 1 + $1", ()), "parameters")


def parameters(checks):
    """Values of each type as parameters, and NULL."""
    for of, value in (
        ("bigint", 2**62),
        ("int", -5),
        ("smallint", 7),
        ("double precision", 0.1),
        ("real", 0.5),
        ("boolean", True),
        ("text", "ä'\"\\ $1 ?"),
        ("date", datetime.date(1969, 12, 31)),
        ("timestamp", datetime.datetime(2018, 4, 1, 12, 0, 0, 1)),
        ("bytea", b"\x00\xff"),
        ("numeric(10, 2)", decimal.Decimal("123.45")),
    ):
        sql = f"select $1::{of} as v"
        for bound in (value, None):
            rows = checks.ask("ann", sql, pyarrow.record_batch({"v": of_type(value, bound)}))
            assert rows == [(bound,)], f"{of}: {rows}"


def of_type(value, bound):
    """One value as an array of the type that `value` has."""
    return pyarrow.array([bound], pyarrow.scalar(value).type)


def values(checks):
    """Types and their extremes, with nulls."""
    sql = """select 9223372036854775807 as big, null as nothing, true as yes, 'ä''' as text,
        1.5::double precision as number, 123.45::decimal(10, 2) as money,
        timestamp '2018-04-01T12:00:00.000001' as at, date '1969-12-31' as day,
        array[1, null, 3] as list"""
    [row] = checks.ask("ann", sql)
    assert row[:5] == (9223372036854775807, None, True, "ä'", 1.5), row
    assert str(row[5]) == "123.45" and str(row[7]) == "1969-12-31" and row[8] == [1, None, 3], row
    assert row[6].isoformat() == "2018-04-01T12:00:00.000001", row
    with checks.connect("ann") as connection, connection.cursor() as cursor:
        cursor.execute("select id, lender from payments where false")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == 0 and table.schema.names == ["id", "lender"], table


def errors(checks):
    """Errors have fitting codes and SQLSTATEs, and the connection goes on."""
    with checks.connect("ann") as connection, connection.cursor() as cursor:
        for sql, words in (
            ("selec 1", "InvalidArgument"),
            ("select * from nothing", "NotFound"),
            ("select * from secrets", "NotFound"),
            ("select nothing from payments", "NotFound"),
            ("select 1 / (id - id) from payments", "InvalidArgument"),
            ("delete from payments", "PermissionDenied"),
        ):
            refused(lambda sql=sql: cursor.execute(sql).fetchall(), words)
            cursor.execute("select 1")
            assert cursor.fetchall() == [(1,)]
        delete = "delete from payments where id = $1"
        refused(lambda: cursor.executemany(delete, [(1,)]), "PermissionDenied")


def limits(checks):
    """Rows and time of a role are limited: ResourceExhausted, DeadlineExceeded."""
    assert checks.ask("few", "select count(*) from payments") == [(PAYMENTS,)]
    refused(lambda: checks.ask("few", "select id from payments"), "ResourceExhausted")
    long = "select count(*) from generate_series(1, 10000000000000)"
    refused(lambda: checks.ask("few", long), "DeadlineExceeded")


def transactions(checks):
    """A connection in a transaction, and its end."""
    with checks.connect("ann", autocommit=False) as connection, connection.cursor() as cursor:
        for number in range(3):
            # The driver prepares a text once, within the transaction of that time.
            for text in (f"select count(*), as_of(), {number}", "select count(*), 7"):
                first = cursor.execute(f"{text} from payments").fetchall()
                time.sleep(0.01)
                assert cursor.execute(f"{text} from payments").fetchall() == first, first
            connection.commit()


def audited(checks):
    """What a user asked is in the audit, with its port and its rows."""
    marked = f"select id, 'audited {checks.server.pid}' from payments where id < 10"
    assert len(checks.ask("ann", marked)) == 5
    # It is written as the statement ends, which the client knows a little earlier.
    until, records = time.monotonic() + 2, []
    while not records and time.monotonic() < until:
        time.sleep(0.05)
        files = (checks.world.folder / "data/audit").glob("*.ndjson")
        lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
        records = [json.loads(line) for line in lines if f"audited {checks.server.pid}" in line]
    [record] = records
    found = [record[name] for name in ("user", "port", "tables", "rows", "outcome")]
    assert found == ["ann", "flight", ["payments"], 5, "00000"], record
    assert any("lender" in policy for policy in record["policies"]), record
    binary = checks.world.binary
    subprocess.run(
        [binary, "audit", "--config", str(checks.world.config)], check=True, capture_output=True
    )


CHECKS = (
    metadata,
    prepared,
    parameters,
    values,
    errors,
    limits,
    transactions,
    audited,
)
