"""The 12 window features in DuckDB, as one query: duckdb_features.py INPUT OUTPUT.parquet THREADS.

A RANGE frame sees all payments of the same second at once, so the first of two payments of one
customer in one second differs from the stream's answer (29 rows per customer column of the Fraud
Detection Handbook's file).
"""

import sys

import duckdb

source, output, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
DAY = 86_400
# Times are whole seconds: the window (t - w, t] begins one second after t - w.
COLUMNS = (
    "{transaction_id: 'BIGINT', tx_datetime: 'TIMESTAMP', customer_id: 'INTEGER', terminal_id: "
    "'INTEGER', tx_amount: 'DOUBLE', tx_fraud: 'TINYINT'}"
)
read = (
    f"read_parquet('{source}')"
    if source.endswith(".parquet")
    else f"read_ndjson('{source}', columns = {COLUMNS})"
)


def window(aggregate, key, days, delay):
    start = (days + delay) * DAY - 1
    end = f"INTERVAL {delay * DAY} SECOND PRECEDING" if delay else "CURRENT ROW"
    return (
        f"{aggregate} OVER (PARTITION BY {key} ORDER BY tx_datetime RANGE BETWEEN INTERVAL {start} "
        f"SECOND PRECEDING AND {end})"
    )


features = []
for days in (1, 7, 30):
    features.append(f"{window('count(*)', 'customer_id', days, 0)} AS customer_nb_tx_{days}d")
    features.append(
        f"{window('avg(tx_amount)', 'customer_id', days, 0)} AS customer_avg_amount_{days}d"
    )
for days in (1, 7, 30):
    features.append(f"{window('count(*)', 'terminal_id', days, 7)} AS terminal_nb_tx_{days}d")
    features.append(
        f"coalesce({window('avg(tx_fraud)', 'terminal_id', days, 7)}, 0) AS terminal_risk_{days}d"
    )

connection = duckdb.connect()
connection.execute(f"SET threads = {threads}")
connection.execute("SET preserve_insertion_order = false")
connection.execute(
    f"COPY (SELECT transaction_id, {', '.join(features)} FROM {read}) "
    f"TO '{output}' (FORMAT parquet)"
)
