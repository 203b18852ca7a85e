"""psycopg 3: text and binary results; then server cursors, COPY, pipelines, cancel and the rest in
modules whose tests run as they are imported.
"""

import tests
from by_psycopg import ask, error, main

tests.run_cases(main, ask, error)
VALUES = {
    *("bool int float numeric text bytea date time timestamp timestamptz interval".split()),
    *("uuid json array tables types forms".split()),
}
tests.run_cases(
    main, lambda c, sql, p: ask(c, sql, p, True), error, suffix=" (binary)", only=VALUES
)
tests.run_cases(
    main,
    lambda c, sql, p: ask(c, sql, p, True),
    error,
    suffix=" (binary)",
    only={f"p-{name}" for name in VALUES} | {"p-null", "p-inferred"},
)

import psycopg_rows  # noqa: E402,F401
import psycopg_statements  # noqa: E402,F401
import psycopg_session  # noqa: E402,F401
