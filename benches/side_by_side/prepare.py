"""Writes one file of payments in the two forms that every contender reads: prepare.py
TRANSACTIONS.parquet FOLDER.

payments.parquet (zstd; times without a zone, amounts as doubles) and payments.ndjson hold the same
six columns of the same rows, in the order of event time and transaction id. FOLDER/rows says how
many.
"""

import pathlib
import sys

import polars as pl

source, folder = sys.argv[1], pathlib.Path(sys.argv[2])
payments = (
    pl.read_parquet(source)
    .rename(str.lower)
    .select(
        pl.col("transaction_id").cast(pl.Int64),
        pl.col("tx_datetime").dt.replace_time_zone(None).cast(pl.Datetime("us")),
        pl.col("customer_id").cast(pl.Int32),
        pl.col("terminal_id").cast(pl.Int32),
        pl.col("tx_amount").cast(pl.Float64),
        pl.col("tx_fraud").cast(pl.Int8),
    )
    .sort("tx_datetime", "transaction_id")
)
folder.mkdir(parents=True, exist_ok=True)
payments.write_parquet(folder / "payments.parquet", compression="zstd", row_group_size=131_072)
text = {
    "transaction_id": pl.col("transaction_id"),
    "tx_datetime": pl.concat_str(
        pl.lit('"'), pl.col("tx_datetime").dt.strftime("%Y-%m-%d %H:%M:%S"), pl.lit('"')
    ),
    "customer_id": pl.col("customer_id"),
    "terminal_id": pl.col("terminal_id"),
    "tx_amount": pl.col("tx_amount").cast(pl.Decimal(12, 2)),
    "tx_fraud": pl.col("tx_fraud"),
}
pieces = []
for name, value in text.items():
    pieces += [pl.lit(("," if pieces else "{") + f'"{name}":'), value]
lines = payments.select(pl.concat_str(*pieces, pl.lit("}")).alias("line"))
with open(folder / "payments.ndjson", "w", encoding="utf-8") as out:
    for chunk in lines.iter_slices(100_000):
        out.write("\n".join(chunk["line"]) + "\n")
(folder / "rows").write_text(f"{len(payments)}\n")
