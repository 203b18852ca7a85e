"""The hopping count in DuckDB, as one query:
duckdb_hopping.py INPUT.ndjson OUTPUT.parquet THREADS.
"""

import sys

import duckdb

source, output, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = duckdb.connect()
connection.execute(f"SET threads = {threads}")
connection.execute("SET preserve_insertion_order = false")
connection.execute(f"""
    COPY (
        SELECT customer_id,
            date_trunc('hour', tx_datetime) + hop.hours * INTERVAL 1 HOUR AS window_end,
            count(*) AS n
        FROM read_ndjson('{source}',
                columns = {{tx_datetime: 'TIMESTAMP', customer_id: 'INTEGER'}}),
            (SELECT unnest(range(1, 25)) AS hours) AS hop
        GROUP BY ALL
    ) TO '{output}' (FORMAT parquet)""")
