"""The hopping count in Polars, all in memory:
polars_hopping.py INPUT.ndjson OUTPUT.parquet THREADS.
"""

import os
import sys

source, output = sys.argv[1], sys.argv[2]
os.environ["POLARS_MAX_THREADS"] = sys.argv[3]

import polars as pl  # noqa: E402, the number of threads is read when it is imported

payments = pl.read_ndjson(source, schema={"tx_datetime": pl.String, "customer_id": pl.Int32})
payments = payments.with_columns(pl.col("tx_datetime").str.to_datetime("%Y-%m-%d %H:%M:%S")).sort(
    "tx_datetime"
)
# Without the offset, the windows that begin before a customer's first payment would be missing.
counts = payments.group_by_dynamic(
    "tx_datetime", every="1h", period="24h", offset="-23h", group_by="customer_id"
).agg(n=pl.len())
counts.select(
    "customer_id", window_end=pl.col("tx_datetime") + pl.duration(hours=24), n="n"
).write_parquet(output)
