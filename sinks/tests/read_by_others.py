"""Checks that a table written by riskstream reads the same in deltalake, DuckDB and Polars.

    python read_by_others.py TABLE_FOLDER [APP_ID]

Needs: pip install deltalake duckdb polars pyarrow. With DuckDB's delta extension at hand (pip
install duckdb-extension-delta, or online) its own delta_scan is used, else DuckDB reads the files
that the log names.
"""

import glob
import json
import os
import sys
import decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable


def normal(table: pa.Table) -> pa.Table:
    """The same columns in the same order and types, rows sorted by all columns."""
    columns = {}
    for name in sorted(table.column_names):
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
            column = column.cast(pa.string())
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", "UTC"))
        columns[name] = column.combine_chunks()
    result = pa.table(columns)
    return result.sort_by([(name, "ascending") for name in result.column_names])


def read_by_duckdb(path: str, delta: DeltaTable) -> tuple[str, pa.Table]:
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute("SET TimeZone = 'UTC'")
    found = []
    try:
        import duckdb_extension_delta

        root = os.path.dirname(duckdb_extension_delta.__file__)
        found = glob.glob(f"{root}/extensions/v{duckdb.__version__}/delta.duckdb_extension")
    except ImportError:
        pass
    try:
        connection.execute(f"LOAD '{found[0]}'" if found else "INSTALL delta; LOAD delta")
        return (
            "delta_scan",
            connection.execute("SELECT * FROM delta_scan(?)", [path]).to_arrow_table(),
        )
    except (duckdb.Error, IndexError) as error:
        files = [uri.removeprefix("file://") for uri in delta.file_uris()]
        how = (
            "read_parquet of the log's files, as the delta extension is missing "
            f"({str(error).splitlines()[0][:60]})"
        )
        query = (
            "SELECT * FROM read_parquet(?, hive_partitioning = true, "
            "hive_types = {'event_date': DATE})"
        )
        return how, connection.execute(query, [files]).to_arrow_table()


def check_statistics(path: str, delta: DeltaTable) -> int:
    """Each file's bounds in the log hold for its rows."""
    adds = pa.table(delta.get_add_actions(flatten=True))
    schema = pa.schema(delta.schema().to_arrow())
    checked = 0
    for add in adds.to_pylist():
        rows = pq.read_table(os.path.join(path, add["path"]), partitioning=None)
        assert add["num_records"] == rows.num_rows, add["path"]
        assert add["size_bytes"] == os.path.getsize(os.path.join(path, add["path"])), add["path"]
        for field in schema:
            if field.name not in rows.column_names:
                continue
            column = rows[field.name]
            nulls = add.get(f"null_count.{field.name}")
            assert nulls is None or nulls == column.null_count, (add["path"], field.name)
            low, high = add.get(f"min.{field.name}"), add.get(f"max.{field.name}")
            if low is None or high is None:
                continue
            bounds = pc.min_max(column).as_py()
            if isinstance(low, decimal.Decimal) or not isinstance(bounds["min"], decimal.Decimal):
                assert low <= bounds["min"] and bounds["max"] <= high, (
                    add["path"],
                    field.name,
                    low,
                    bounds,
                    high,
                )
            else:
                # deltalake shows some decimals as floats.
                slack = 1e-9 * max(1.0, abs(low), abs(high))
                assert (
                    low - slack <= float(bounds["min"]) and float(bounds["max"]) <= high + slack
                ), (add["path"], field.name)
            checked += 1
    return checked


def main() -> None:
    path = os.path.abspath(sys.argv[1])
    delta = DeltaTable(path)
    protocol = delta.protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2), protocol
    by_deltalake = normal(pa.table(delta.to_pyarrow_table()))
    how, table = read_by_duckdb(path, delta)
    by_duckdb = normal(table)
    by_polars = normal(pl.read_delta(path).to_arrow())
    for name, other in (("duckdb", by_duckdb), ("polars", by_polars)):
        assert other.column_names == by_deltalake.column_names, (name, other.column_names)
        for column in by_deltalake.column_names:
            expected, found = by_deltalake[column], other[column]
            assert found.cast(expected.type).equals(
                expected
            ), f"{name} reads column {column} differently: {found.type} {expected.type}"
    # Skipping by partition and by statistics gives the same rows as reading everything.
    dates = (
        [date for date in by_deltalake["event_date"].unique().to_pylist() if date is not None]
        if "event_date" in by_deltalake.column_names
        else []
    )
    if dates:
        middle = sorted(dates)[len(dates) // 2]
        expected = pc.sum(pc.equal(by_deltalake["event_date"], middle)).as_py()
        assert delta.to_pyarrow_dataset().count_rows(pc.field("event_date") == middle) == expected
        assert (
            pl.scan_delta(path)
            .filter(pl.col("event_date") == middle)
            .select(pl.len())
            .collect()
            .item()
            == expected
        )
    checked = check_statistics(path, delta)
    result = {
        "rows": by_deltalake.num_rows,
        "files": len(delta.file_uris()),
        "version": delta.version(),
        "columns": {field.name: str(field.type) for field in by_deltalake.schema},
        "duckdb": how,
        "bounds_checked": checked,
    }
    if len(sys.argv) > 2:
        result["epoch"] = delta.transaction_version(sys.argv[2])
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
