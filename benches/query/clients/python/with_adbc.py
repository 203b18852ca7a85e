"""ADBC: results as Arrow by binary COPY, metadata, parameters; and Polars over it."""

import adbc_driver_postgresql.dbapi as adbc

import tests
from tests import Connection, test

URL = f"postgresql://{tests.USER}@{tests.HOST}:{tests.PORT}/{tests.DATABASE}"


def connect():
    return adbc.connect(URL, autocommit=True)


main = Connection(connect, lambda connection: True, lambda connection: connection.close())


def error(problem):
    return getattr(problem, "sqlstate", None) or None


def run_on(work):
    """Runs on the connection, and on another after an error."""
    try:
        with main.get().cursor() as cursor:
            return work(cursor)
    except Exception:
        main.drop()
        raise


def ask(connection, sql, parameters):
    def work(cursor):
        cursor.execute(sql)
        table = cursor.fetch_arrow_table()
        schema = [[f.name, str(f.type), f.nullable] for f in table.schema]
        return {"columns": schema, "rows": [list(row.values()) for row in rows_of(table)]}

    return run_on(work)


def rows_of(table):
    try:
        return table.to_pylist()
    except Exception as problem:
        return [{"problem": type(problem).__name__, "text": str(table)[:2000]}]


tests.run_cases(
    main,
    ask,
    error,
    only=set(
        "bool int float numeric text bytea date time timestamp timestamptz interval uuid json "
        "array tables types catalog-rows sqlstates forms".split()
    ),
)


def bound(sql, *given):
    def run():
        def work(cursor):
            cursor.execute(sql, given)
            return [str(cursor.fetch_arrow_table().schema), cursor.rowcount]

        return run_on(work)

    return run


for sql, given in (
    ("select $1::int8 + 1 as v", (5,)),
    ("select id from all_types where id = $1", (3,)),
    ("select id from all_types where txt = $1", ("NULL",)),
    ("select $1::float8 as v", (0.5,)),
    ("select $1::text as v", (None,)),
    ("select $1::bool as v", (True,)),
):
    test("p-inferred", sql, bound(sql, *given), 3, error)


def objects(depth, **more):
    def run():
        found = main.get().adbc_get_objects(depth=depth, **more).read_all().to_pylist()
        kept = []
        for catalog in found:
            if catalog["catalog_name"] != "riskstream":
                continue
            for schema in catalog["catalog_db_schemas"] or []:
                if schema["db_schema_name"] != "public":
                    continue
                tables = schema["db_schema_tables"] or []
                # ADBC asks for columns in no order, and says where each one stands.
                for table in tables:
                    if table.get("table_columns"):
                        table["table_columns"].sort(key=lambda one: one["ordinal_position"])
                kept.append(
                    sorted(
                        (
                            t
                            for t in tables
                            if t["table_name"] in ("all_types", "portfolio", "portfolio_now")
                        ),
                        key=lambda t: t["table_name"],
                    )
                )
        return ["riskstream" in [c["catalog_name"] for c in found], kept]

    return run


test("metadata", "objects: catalogs", objects("catalogs"), 1, error)
test("metadata", "objects: schemas", objects("db_schemas"), 1, error)
test("metadata", "objects: tables", objects("tables"), 1, error)
test("metadata", "objects: columns", objects("all", table_name_filter="all_types"), 1, error)
test(
    "metadata", "table schema", lambda: str(main.get().adbc_get_table_schema("all_types")), 2, error
)
test(
    "metadata",
    "table schema in public",
    lambda: str(main.get().adbc_get_table_schema("portfolio_now", db_schema_filter="public")),
    1,
    error,
)
test("metadata", "table types", lambda: main.get().adbc_get_table_types(), 1, error)


def info():
    found = main.get().adbc_get_info()
    return [found.get("vendor_name"), found.get("driver_name")]


test("metadata", "info", info, 1, error)


def current():
    return [main.get().adbc_current_catalog, main.get().adbc_current_db_schema]


test("current", "catalog and schema", current, 1, error)


def in_transaction():
    with adbc.connect(URL) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from all_types")
        found = cursor.fetchall()
        connection.commit()
        cursor.execute("select 1")
        found += cursor.fetchall()
        connection.rollback()
        return found


test("status", "autocommit off", in_transaction, 2, error)


def without_copy():
    from adbc_driver_postgresql import StatementOptions

    def work(cursor):
        cursor.adbc_statement.set_options(**{StatementOptions.USE_COPY.value: "false"})
        cursor.execute("select * from all_types where id in (4, 5) order by id")
        return cursor.fetch_arrow_table().to_pylist()

    return run_on(work)


test("frames", "without COPY", without_copy, 2, error)


def by_polars():
    import polars

    found = polars.read_database_uri(
        "select id, i2, i4, i8, f4, f8, flag, txt, day from all_types order by id",
        URL,
        engine="adbc",
    )
    return [[str(kind) for kind in found.dtypes], found.rows()]


test("frames", "polars.read_database_uri(engine='adbc')", by_polars, 2, error)


def partitioned():
    def work(cursor):
        cursor.execute("select transaction_id from payments_scored order by 1")
        return [batch.num_rows for batch in cursor.fetch_record_batch()] != []

    return run_on(work)


test("frames", "batches", partitioned, 1, error)
test("cancel", "adbc_cancel", lambda: cancelled(), 1, error)


def cancelled():
    import threading

    connection = adbc.connect(URL, autocommit=True)
    cursor = connection.cursor()
    timer = threading.Timer(0.5, cursor.adbc_cancel)
    timer.start()
    try:
        cursor.execute("select pg_sleep(20)::text")
        cursor.fetchall()
        return "it ended"
    except Exception:
        return ["cancelled", ask(None, "select 1 as a", [])]
    finally:
        timer.join()
