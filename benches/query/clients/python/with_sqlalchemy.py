"""SQLAlchemy over four drivers: connecting, reflection, typed columns, server cursors."""

import re

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import tests
from tests import test

DRIVERS = ("psycopg", "psycopg2", "pg8000", "asyncpg")
engines = {}


def engine(driver="psycopg", **more):
    if more:
        return made(driver, **more)
    if driver not in engines:
        engines[driver] = made(driver)
    return engines[driver]


def made(driver, **more):
    url = sa.URL.create(
        f"postgresql+{driver}",
        username=tests.USER,
        host=tests.HOST,
        port=tests.PORT,
        database=tests.DATABASE,
    )
    if driver == "asyncpg":
        from sqlalchemy.ext.asyncio import create_async_engine

        return create_async_engine(url, poolclass=sa.pool.NullPool, **more)
    return sa.create_engine(url, **more)


def error(problem):
    problem = getattr(problem, "orig", None) or problem
    for name in ("sqlstate", "pgcode"):
        if getattr(problem, name, None):
            return getattr(problem, name)
    fields = problem.args[0] if getattr(problem, "args", None) else None
    return fields.get("C") if isinstance(fields, dict) else None


def by(driver, work):
    """Runs `work(connection)` on a connection of the driver."""
    if driver != "asyncpg":
        with engine(driver).connect() as connection:
            return work(connection)
    import asyncio

    async def run():
        async with engine(driver).connect() as connection:
            return await connection.run_sync(work)

    return asyncio.run(asyncio.wait_for(run(), 60))


def ask(driver, case):
    sql = re.sub(r"\$(\d)", r":p\1", case["sql"].replace(":", "\\:"))
    sql = re.sub(r":(p\d)\\:\\:([a-z0-9]+(\[\])?)", r"cast(:\1 as \2)", sql)
    given = {
        f"p{n}": tests.value(p["type"], p["value"]) for n, p in enumerate(case["parameters"], 1)
    }

    def work(connection):
        found = connection.execute(sa.text(sql), given)
        return {"names": list(found.keys()), "rows": [list(row) for row in found.fetchall()]}

    return by(driver, work)


VALUES = (
    "bool int float numeric text bytea date time timestamp timestamptz uuid array tables "
    "p-bool p-int p-float p-numeric p-text p-date p-timestamp p-timestamptz p-uuid p-array "
    "p-inferred forms"
).split()
for case in tests.cases(*VALUES):
    rounds = min(case["rounds"], 6)
    test(case["feature"], case["case"], lambda case=case: ask("psycopg", case), rounds, error)

for driver in DRIVERS:
    test(
        "tool-start",
        f"connect by {driver}",
        lambda driver=driver: by(driver, lambda c: c.execute(sa.text("select 1")).fetchall()),
        3,
        error,
    )

    def version(connection):
        info = connection.dialect.server_version_info
        return [len(info) >= 2, info >= (15,), connection.dialect.default_schema_name]

    test("tool-start", f"dialect by {driver}", lambda d=driver: by(d, version), 1, error)

    def tables(connection):
        inspector = sa.inspect(connection)
        found = {
            "schemas": [s for s in inspector.get_schema_names() if s != "system"],
            "tables": sorted(t for t in inspector.get_table_names() if t != "dead_letters"),
            "views": sorted(v for v in inspector.get_view_names() if v.endswith("_now")),
            "materialized": inspector.get_materialized_view_names(),
            "temporary": inspector.get_temp_table_names(),
            "sequences": inspector.get_sequence_names(),
            "enums": inspector.get_enums(),
            "domains": inspector.get_domains(),
            "has": [inspector.has_table("all_types"), inspector.has_table("nothing_here")],
            "has schema": [inspector.has_schema("public"), inspector.has_schema("nothing_here")],
        }
        return found

    test("reflection", f"names by {driver}", lambda d=driver: by(d, tables), 2, error)

    def columns(connection):
        inspector = sa.inspect(connection)
        found = [
            [c["name"], repr(c["type"]), c["nullable"], c["default"], c.get("comment")]
            for c in inspector.get_columns("all_types")
        ]
        return [
            found,
            inspector.get_pk_constraint("all_types"),
            inspector.get_foreign_keys("all_types"),
            inspector.get_indexes("all_types"),
            inspector.get_unique_constraints("all_types"),
            inspector.get_check_constraints("all_types"),
            inspector.get_table_comment("all_types"),
            inspector.get_table_options("all_types"),
        ]

    test("reflection", f"a table by {driver}", lambda d=driver: by(d, columns), 2, error)

    def reflected(connection):
        table = sa.Table("all_types", sa.MetaData(), autoload_with=connection)
        rows = connection.execute(sa.select(table).order_by(table.c.id)).fetchall()
        return [list(row) for row in rows]

    test(
        "reflection",
        f"rows of a reflected table by {driver}",
        lambda d=driver: by(d, reflected),
        2,
        error,
    )

    def all_reflected(connection):
        data = sa.MetaData()
        names = ["all_types", "payments_scored", "portfolio", "loan_transitions"]
        data.reflect(connection, only=names)
        return sorted([t.name, sorted(t.columns.keys())] for t in data.tables.values())

    test("reflection", f"several by {driver}", lambda d=driver: by(d, all_reflected), 1, error)

    def view(connection):
        definition = sa.inspect(connection).get_view_definition("portfolio_now")
        return isinstance(definition, str) and len(definition) > 0

    test("reflection", f"a view's text by {driver}", lambda d=driver: by(d, view), 1, error)

    def queried(connection):
        table = sa.Table("all_types", sa.MetaData(), autoload_with=connection)
        c = table.c
        found = []
        for statement in (
            sa.select(sa.func.count()).select_from(table),
            sa.select(c.id).where(c.id.in_([1, 3, 5])).order_by(c.id),
            sa.select(c.id).where(c.txt.ilike("%null%")).order_by(c.id),
            sa.select(c.flag, sa.func.sum(c.money)).group_by(c.flag).order_by(c.flag),
            sa.select(c.id).order_by(c.id).limit(2).offset(1),
            sa.select(c.id).where(c.money == sa.literal(-1.5, sa.Numeric(12, 2))),
            sa.select(sa.cast(c.id, sa.String)).order_by(c.id),
            sa.select(c.id).where(c.at > sa.func.now()).order_by(c.id),
            sa.select(sa.extract("year", c.at)).where(c.id == 5),
            sa.select(sa.func.date_trunc("month", c.at)).where(c.id == 5),
            sa.select(sa.case((c.flag, "yes"), else_="no")).order_by(c.id),
            sa.select(sa.exists().where(c.id == 3)),
            sa.select(c.id, sa.func.row_number().over(order_by=c.id)).order_by(c.id),
            sa.select(c.id).where(c.id == sa.any_(sa.literal([1, 2], sa.ARRAY(sa.Integer)))),
            sa.select(sa.literal({"a": 1}, postgresql.JSON)),
            sa.select(c.id).distinct(c.flag).order_by(c.flag, c.id),
        ):
            found.append([list(row) for row in connection.execute(statement).fetchall()])
        return found

    test("tables", f"statements of Core by {driver}", lambda d=driver: by(d, queried), 2, error)


def streamed():
    with engine().connect() as connection:
        found = connection.execution_options(stream_results=True, yield_per=50).execute(
            sa.text("select transaction_id from payments_scored order by 1 limit 180")
        )
        return [len(part) for part in found.partitions()]


test("cursors", "stream_results", streamed, 2, error)


def isolated(level):
    with engine(isolation_level=level).connect() as connection:
        return [
            connection.get_isolation_level(),
            connection.default_isolation_level,
            connection.execute(sa.text("show transaction isolation level")).scalar(),
        ]


for level in ("AUTOCOMMIT", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
    test("begin", level, lambda level=level: isolated(level), 1, error)


def read_only():
    with engine().connect() as connection:
        connection = connection.execution_options(
            postgresql_readonly=True, postgresql_deferrable=True
        )
        return connection.execute(sa.text("select 1")).scalar()


test("begin", "postgresql_readonly", read_only, 1, error)


def nested():
    with engine().connect() as connection:
        found = []
        with connection.begin():
            try:
                with connection.begin_nested():
                    connection.execute(sa.text("select 1/0"))
            except sa.exc.DBAPIError as problem:
                found.append(error(problem))
            found.append(connection.execute(sa.text("select 1")).scalar())
        return found


test("savepoints", "begin_nested", nested, 2, error)


def pings():
    with engine(pool_pre_ping=True).connect() as connection:
        return connection.execute(sa.text("select 1")).scalar()


test("pool", "pool_pre_ping", pings, 2, error)


def read_by_pandas():
    import pandas

    with engine().connect() as connection:
        whole = pandas.read_sql_table("all_types", connection)
        some = pandas.read_sql(
            sa.text("select id, money from all_types where id > :n order by id"),
            connection,
            params={"n": 3},
        )
    whole = whole.sort_values("id")
    kinds = [str(kind) for kind in whole.dtypes]
    return [
        list(whole.columns),
        kinds,
        whole.astype(str).values.tolist(),
        some.astype(str).values.tolist(),
    ]


test("frames", "pandas.read_sql_table", read_by_pandas, 1, error)


def as_superset():
    """What Superset asks for when it lists schemas, tables and columns, and previews a table."""
    with engine().connect() as connection:
        inspector = sa.inspect(connection)
        tables = sorted(inspector.get_table_names("public"))
        views = sorted(inspector.get_view_names("public"))
        found = [t for t in tables + views if t in ("all_types", "portfolio", "portfolio_now")]
        for sql in (
            "SELECT relname FROM pg_class WHERE relkind = 'm'",
            "SELECT * FROM public.all_types LIMIT 1001",
            "SELECT DATE_TRUNC('day', at) AS __timestamp, count(*) AS count FROM public.all_types "
            "WHERE at >= TO_TIMESTAMP('2024-01-01 00:00:00.000000', "
            "'YYYY-MM-DD HH24:MI:SS.US') AND at < TO_TIMESTAMP('2025-01-01 00:00:00.000000', "
            "'YYYY-MM-DD HH24:MI:SS.US') GROUP BY DATE_TRUNC('day', at) ORDER BY count DESC "
            "LIMIT 1000",
            'SELECT flag AS flag, sum(money) AS "SUM(money)", COUNT(DISTINCT id) AS '
            '"COUNT_DISTINCT(id)" FROM public.all_types GROUP BY flag ORDER BY "SUM(money)" '
            "DESC LIMIT 100",
            "SELECT * FROM (SELECT lender_id, par30 FROM portfolio_now WHERE is_final) AS "
            "virtual_table WHERE lender_id IN ('lender-1') LIMIT 10",
        ):
            rows = connection.execute(sa.text(sql.replace(":", "\\:"))).fetchall()
            found.append(sorted(str(list(row)) for row in rows)[:20])
        return found


test("superset", "its statements", as_superset, 1, error)
