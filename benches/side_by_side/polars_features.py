"""The 12 window features in Polars, all in memory: polars_features.py INPUT OUTPUT.parquet THREADS.

A delayed window is the difference of two windows that end now: the trailing w + 7 days less the
trailing 7 days.
"""

import os
import sys

source, output = sys.argv[1], sys.argv[2]
os.environ["POLARS_MAX_THREADS"] = sys.argv[3]

import polars as pl  # noqa: E402, the number of threads is read when it is imported

DELAY = 7
DAYS = (1, 7, 30)

if source.endswith(".parquet"):
    payments = pl.read_parquet(source)
else:
    payments = pl.read_ndjson(source).with_columns(
        pl.col("tx_datetime").str.to_datetime("%Y-%m-%d %H:%M:%S")
    )
payments = payments.sort("tx_datetime", maintain_order=True).with_columns(
    one=1.0, fraud=pl.col("tx_fraud").cast(pl.Float64)
)


def trailing(column, days, key):
    return (
        pl.col(column)
        .rolling_sum_by("tx_datetime", window_size=f"{days}d", closed="right")
        .over(key)
    )


sums = []
for days in DAYS:
    sums.append(trailing("one", days, "customer_id").alias(f"customer_count_{days}"))
    sums.append(trailing("tx_amount", days, "customer_id").alias(f"customer_sum_{days}"))
for days in (DELAY, *(d + DELAY for d in DAYS)):
    sums.append(trailing("one", days, "terminal_id").alias(f"terminal_count_{days}"))
    sums.append(trailing("fraud", days, "terminal_id").alias(f"terminal_frauds_{days}"))
payments = payments.with_columns(sums)

features = [pl.col("transaction_id")]
for days in DAYS:
    count = pl.col(f"customer_count_{days}")
    features.append(count.cast(pl.Int64).alias(f"customer_nb_tx_{days}d"))
    features.append((pl.col(f"customer_sum_{days}") / count).alias(f"customer_avg_amount_{days}d"))
for days in DAYS:
    count = pl.col(f"terminal_count_{days + DELAY}") - pl.col(f"terminal_count_{DELAY}")
    frauds = pl.col(f"terminal_frauds_{days + DELAY}") - pl.col(f"terminal_frauds_{DELAY}")
    features.append(count.cast(pl.Int64).alias(f"terminal_nb_tx_{days}d"))
    features.append((frauds / count).fill_nan(0).alias(f"terminal_risk_{days}d"))
payments.select(features).write_parquet(output)
