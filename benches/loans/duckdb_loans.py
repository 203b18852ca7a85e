"""Each lender's book as of every midnight, and its changes within 30 days, in DuckDB:
duckdb_loans.py CHANGES.parquet OUTPUT.parquet THREADS.
"""

import sys

import duckdb

source, output, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = duckdb.connect()
connection.execute(f"SET threads = {threads}")
connection.execute("SET preserve_insertion_order = false")
connection.execute("SET timezone = 'UTC'")
connection.execute(f"""
    COPY (
        WITH versions AS (
            SELECT lender_id, currency, status, balance_cents, _op,
                date_trunc('day', _committed_at) AS day, lag(lender_id) OVER own AS old_lender,
                lag(currency) OVER own AS old_currency, lag(status) OVER own AS old_status,
                lag(balance_cents) OVER own AS old_balance, lag(_op) OVER own AS old_op
            FROM '{source}'
            WINDOW own AS (PARTITION BY loan_id ORDER BY _commit_position NULLS FIRST, _position)
        ),
        changes AS (
            SELECT lender_id, currency, day, 1 AS n, status, balance_cents FROM versions
            WHERE _op <> 'd'
            UNION ALL
            SELECT old_lender, old_currency, day, -1, old_status, old_balance FROM versions
            WHERE old_op <> 'd'
        ),
        days AS (
            SELECT lender_id, currency, day, sum(n)::BIGINT AS n_loans,
                coalesce(sum(n) FILTER (is_open), 0)::BIGINT AS n_open,
                coalesce(sum(n * balance_cents) FILTER (is_open), 0)::BIGINT AS open_balance_cents
            FROM (SELECT *, status IN ('CURRENT', 'DPD30', 'DPD60', 'DPD90P') AS is_open
                FROM changes)
            GROUP BY ALL
        ),
        calendar AS (
            SELECT lender_id, currency,
                unnest(generate_series(first, last + INTERVAL 29 DAY, INTERVAL 1 DAY)) AS day
            FROM (SELECT lender_id, currency, min(day) AS first FROM days GROUP BY ALL),
                (SELECT max(day) AS last FROM days)
        ),
        dense AS (
            SELECT lender_id, currency, day, coalesce(n_loans, 0) AS n_loans,
                coalesce(n_open, 0) AS n_open, coalesce(open_balance_cents, 0) AS open_balance_cents
            FROM calendar LEFT JOIN days USING (lender_id, currency, day)
        )
        SELECT lender_id, currency, 'always by 1d' AS "window", day + INTERVAL 1 DAY AS window_end,
            (sum(n_loans) OVER ever)::BIGINT AS n_loans,
            (sum(n_open) OVER ever)::BIGINT AS n_open,
            (sum(open_balance_cents) OVER ever)::BIGINT AS open_balance_cents
        FROM dense WINDOW ever AS (PARTITION BY lender_id, currency ORDER BY day)
        UNION ALL
        SELECT lender_id, currency, '30d by 1d', day + INTERVAL 1 DAY,
            (sum(n_loans) OVER month)::BIGINT, (sum(n_open) OVER month)::BIGINT,
            (sum(open_balance_cents) OVER month)::BIGINT
        FROM dense WINDOW month AS (PARTITION BY lender_id, currency ORDER BY day ROWS 29 PRECEDING)
    ) TO '{output}' (FORMAT parquet)""")
