"""ConnectorX, by which Polars and pandas read: binary COPY, cursors, simple, in partitions."""

import connectorx

import tests
from tests import test

URL = f"postgresql://{tests.USER}@{tests.HOST}:{tests.PORT}/{tests.DATABASE}"


def frame(found):
    return [[name, str(kind)] for name, kind in zip(found.columns, found.dtypes)], found.rows()


def read(sql, url=URL, **more):
    def run():
        return frame(connectorx.read_sql(url, sql, return_type="polars", **more))

    return run


COLUMNS = "id, i1, i2, i4, i8, f4, f8, flag, txt, day"
for protocol in ("binary", "csv", "cursor", "simple"):
    test(
        "frames",
        f"{protocol}: columns of a table",
        read(f"select {COLUMNS} from all_types order by id", protocol=protocol),
        3,
    )
    test(
        "frames",
        f"{protocol}: times",
        read(
            "select id, at from all_types where id in (4, 5, 6) " "order by id", protocol=protocol
        ),
        3,
    )
    test(
        "frames",
        f"{protocol}: numeric",
        read(
            "select id, money, d1818 from all_types where id > 3 " "order by id", protocol=protocol
        ),
        3,
    )
    test(
        "frames",
        f"{protocol}: payments",
        read(
            "select transaction_id, tx_datetime, tx_amount, "
            "decision from payments_scored order by 1 limit 500",
            protocol=protocol,
        ),
    )
    test(
        "array",
        f"{protocol}: arrays",
        read(
            "select array[1, 2]::int4[] as a, array[0.5]::float8[] as f, "
            "array['x']::text[] as t",
            protocol=protocol,
        ),
    )
    test(
        "frames",
        f"{protocol}: aggregates",
        read(
            "select flag, count(*) as n, sum(i4) as s, max(day) as d "
            "from all_types group by flag order by flag",
            protocol=protocol,
        ),
    )
    test(
        "frames",
        f"{protocol}: no rows",
        read("select id from all_types where false", protocol=protocol),
    )
test(
    "frames",
    "uuid and json",
    read("select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as u, " "'{\"a\": 1}'::json as j"),
)
test(
    "frames", "time and bytea", read("select time '12:34:56' as t, raw from all_types where id = 4")
)
test(
    "frames",
    "partitions",
    lambda: sorted(
        connectorx.read_sql(
            URL,
            "select transaction_id from payments_scored",
            partition_on="transaction_id",
            partition_num=3,
            return_type="polars",
        ).rows()
    ),
)


def by_polars():
    import polars

    return frame(polars.read_database_uri(f"select {COLUMNS} from all_types order by id", URL))


test("frames", "polars.read_database_uri", by_polars, 2)


def by_arrow():
    found = connectorx.read_sql(
        URL, f"select {COLUMNS} from all_types order by id", return_type="arrow"
    )
    return [str(found.schema), found.to_pylist()]


test("frames", "as Arrow", by_arrow)
secret = f"postgresql://{tests.USERS_NAME}:a%20password%2C%20with%20%C3%BCn%C3%AFcode@{tests.HOST}"
test(
    "password",
    "right",
    read(
        "select count(*) as n from all_types", url=f"{secret}:{tests.USERS_PORT}/{tests.DATABASE}"
    ),
)
test(
    "ssl",
    "sslmode=require",
    read(
        "select count(*) as n from all_types",
        url=f"{secret}:{tests.USERS_PORT}/{tests.DATABASE}?sslmode=require",
    ),
)
