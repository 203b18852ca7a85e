"""asyncpg: all values in binary, prepared statements, cursors, COPY."""

import asyncio
import json

import asyncpg

import tests
from tests import Connection, test, value

LOOP = asyncio.new_event_loop()


def wait(work, seconds=60):
    return LOOP.run_until_complete(asyncio.wait_for(work, seconds))


def connect(**more):
    more = {"host": tests.HOST, "port": tests.PORT, "database": tests.DATABASE, **more}
    return wait(asyncpg.connect(**{"user": tests.USER, "timeout": 10, **more}))


def usable(connection):
    return not connection.is_closed() and not connection.is_in_transaction()


main = Connection(connect, usable, lambda connection: connection.terminate())


def error(problem):
    return getattr(problem, "sqlstate", None)


def parameter(given):
    kind, text = given["type"], given["value"]
    if kind in ("json", "jsonb"):
        return text
    return value(kind, text)


async def answer(connection, sql, parameters):
    statement = await connection.prepare(sql)
    columns = [[a.name, a.type.oid, a.type.name, a.type.kind] for a in statement.get_attributes()]
    expected = [[p.oid, p.name] for p in statement.get_parameters()]
    rows = await statement.fetch(*parameters)
    return {
        "columns": columns,
        "parameters": expected,
        "rows": [list(map(shown, row.values())) for row in rows],
        "status": statement.get_statusmsg(),
    }


def shown(found):
    if isinstance(found, asyncpg.Record):
        return {"record": [shown(part) for part in found.values()]}
    return found


def ask(connection, sql, parameters):
    return wait(answer(connection, sql, [parameter(p) for p in parameters]))


def ask_simple(connection, sql, _parameters):
    return wait(connection.execute(sql))


tests.run_cases(main, ask, error)


def fetched(sql, *given):
    return [list(row.values()) for row in wait(main.get().fetch(sql, *given))]


test(
    "extended",
    "fetch, cached",
    lambda: fetched("select $1::int4 + id from all_types order by 1", 1),
    tests.ROUNDS,
    error,
)


async def cursor_of(size):
    connection = main.get()
    found = []
    async with connection.transaction():
        async for row in connection.cursor("select id from all_types order by id", prefetch=size):
            found.append(row[0])
    return found


for size in (1, 2, 10):
    test("portals", f"prefetch {size}", lambda size=size: wait(cursor_of(size)), 3, error)


async def fetched_in_parts():
    connection = main.get()
    async with connection.transaction():
        one = await connection.cursor("select id from all_types order by id")
        two = await connection.cursor("select id from all_types order by id desc")
        found = [await one.fetch(2), await two.fetch(1), await one.fetch(1), await two.fetch(10)]
        await one.forward(1)
        found.append(await one.fetch(10))
    return [[row[0] for row in rows] for rows in found]


test("portals", "interleaved", lambda: wait(fetched_in_parts()), 3, error)


async def copied(**more):
    connection = main.get()
    parts = []

    async def keep(part):
        parts.append(bytes(part))

    sql = "select * from all_types order by id"
    status = await connection.copy_from_query(sql, output=keep, **more)
    return [status, b"".join(parts)]


test("copy-text", "copy_from_query", lambda: wait(copied()), 2, error)
test("copy-text", "csv", lambda: wait(copied(format="csv", header=True)), 1, error)
test("copy-binary", "copy_from_query", lambda: wait(copied(format="binary")), 2, error)


async def copied_table():
    parts = []

    async def keep(part):
        parts.append(bytes(part))

    found = await main.get().copy_from_table("all_types", columns=["id", "txt"], output=keep)
    return [found, b"".join(parts)]


test("copy-text", "copy_from_table", lambda: wait(copied_table()), 1, error)
for sql in ("", ";", "-- ping"):
    test("empty", repr(sql), lambda sql=sql: wait(main.get().execute(sql)), 1, error)
    test("empty", f"{sql!r} prepared", lambda sql=sql: ask(main.get(), sql, []), 1, error)
test("simple", "several", lambda: wait(main.get().execute("select 1; select 2")), 1, error)
test(
    "simple",
    "an error in the middle",
    lambda: wait(main.get().execute("select 1; select nothing; select 2")),
    1,
    error,
)


async def reset():
    connection = main.get()
    await connection.execute("set extra_float_digits = 2")
    await connection.reset()
    return await connection.fetchval("show extra_float_digits")


test("pool", "reset()", lambda: wait(reset()), 1, error)


async def pooled():
    async with asyncpg.create_pool(
        host=tests.HOST,
        port=tests.PORT,
        user=tests.USER,
        database=tests.DATABASE,
        min_size=2,
        max_size=2,
    ) as pool:
        async with pool.acquire() as connection:
            one = await connection.fetchval("select 1")
        many = await asyncio.gather(*(pool.fetchval("select $1::int4", n) for n in range(10)))
        return [one, many]


test("pool", "create_pool", lambda: wait(pooled()), 1, error)


async def isolated(level, read_only, deferrable):
    connection = main.get()
    async with connection.transaction(isolation=level, readonly=read_only, deferrable=deferrable):
        return await connection.fetchval("show transaction_isolation")


for level in ("read_uncommitted", "read_committed", "repeatable_read", "serializable"):
    for read_only, deferrable in ((False, False), (True, False), (True, True)):
        if deferrable and level != "serializable":
            continue
        case = f"{level} {read_only} {deferrable}"
        test("begin", case, lambda a=(level, read_only, deferrable): wait(isolated(*a)), 1, error)


async def nested():
    connection = main.get()
    found = []
    async with connection.transaction():
        try:
            async with connection.transaction():
                await connection.fetchval("select 1/0")
        except asyncpg.DivisionByZeroError as problem:
            found.append(problem.sqlstate)
        found.append(await connection.fetchval("select 7"))
    return found


test("savepoints", "nested transactions", lambda: wait(nested()), 2, error)


async def cancelled(sql):
    connection = main.get()
    try:
        await asyncio.wait_for(connection.fetch(sql), 0.3)
    except asyncio.TimeoutError:
        return ["cancelled", await connection.fetchval("select 1")]


for sql in (
    "select pg_sleep(20)",
    "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b",
):
    test("cancel", sql, lambda sql=sql: wait(cancelled(sql)), 1, error)


async def timed_out():
    found = []
    connection = main.get()
    await connection.execute("set statement_timeout = 300")
    try:
        await connection.fetch("select pg_sleep(20)")
    except asyncpg.QueryCanceledError as problem:
        found.append([problem.sqlstate, str(problem)])
    await connection.execute("reset statement_timeout")
    return found + [await connection.fetchval("select 1")]


test("timeout", "statement_timeout", lambda: wait(timed_out()), 1, error)


async def midway():
    connection = main.get()
    try:
        await connection.fetch("select 1000/(20000 - a) from generate_series(1, 30000) a")
    except asyncpg.DivisionByZeroError as problem:
        return [problem.sqlstate, await connection.fetchval("select 1")]


test("error-midway", "after 20000 rows", lambda: wait(midway()), 2, error)


async def midway_by_cursor():
    connection = main.get()
    found = 0
    try:
        async with connection.transaction():
            sql = "select 1000/(2000 - a) from generate_series(1, 3000) a"
            async for _ in connection.cursor(sql, prefetch=100):
                found += 1
    except asyncpg.DivisionByZeroError as problem:
        return [problem.sqlstate, found >= 1000, await connection.fetchval("select 1")]


test("error-midway", "by a cursor", lambda: wait(midway_by_cursor()), 1, error)


async def large():
    return len(await main.get().fetch("select * from generate_series(1, 200000)"))


test("large", "200000 rows", lambda: wait(large()), 1, error)


def signed_in(user, password, **more):
    def run():
        try:
            connection = connect(port=tests.USERS_PORT, user=user, password=password, **more)
        except asyncpg.PostgresError as problem:
            return [problem.sqlstate, str(problem)]
        found = wait(connection.fetchval("select count(*) from all_types"))
        wait(connection.close())
        return found

    return run


test("password", "right", signed_in(tests.USERS_NAME, tests.USERS_PASSWORD), 1, error)
test("password", "wrong", signed_in(tests.USERS_NAME, "wrong"), 1, error)
test("password", "unknown user", signed_in("nobody_here", "wrong"), 1, error)
test("ssl", "required", signed_in(tests.USERS_NAME, tests.USERS_PASSWORD, ssl="require"), 1, error)


def no_database():
    try:
        connect(database="nothing_here")
    except asyncpg.PostgresError as problem:
        return [problem.sqlstate, str(problem)]


test("database", "unknown", no_database, 1, error)


def with_settings():
    settings = {"application_name": "x", "TimeZone": "Asia/Tokyo", "statement_timeout": "5000"}
    connection = connect(server_settings=settings)
    found = [wait(connection.fetchval(f"show {name}")) for name in settings]
    return found + [connection.get_settings().TimeZone, connection.get_settings().client_encoding]


test("startup", "server_settings", with_settings, 1, error)


def settings_follow():
    connection = connect()
    wait(connection.execute("set time zone 'Asia/Tokyo'"))
    return connection.get_settings().TimeZone


test("reported", "after SET", settings_follow, 1, error)


async def described():
    found = []
    for sql in (
        "show TimeZone",
        "begin",
        "set extra_float_digits = 1",
        "explain select 1",
        "select 1 where false",
        "table all_types",
        "values (1, 'x')",
        "commit",
        "declare c cursor for select 1",
        "fetch 1 from c",
        "deallocate all",
        "copy all_types to stdout",
        "with a as (select 1 as x) select x from a",
        "select $1::int4, $2::text",
    ):
        try:
            statement = await main.get().prepare(sql)
            attributes = [[a.name, a.type.oid] for a in statement.get_attributes()]
            found.append([sql, attributes, [p.oid for p in statement.get_parameters()]])
        except asyncpg.PostgresError as problem:
            found.append([sql, problem.sqlstate])
    return found


test("describe", "all kinds", lambda: wait(described()), 1, error)


async def many():
    await main.get().executemany("select $1::int4", [(n,) for n in range(10)])
    return "done"


test("pipeline", "executemany", lambda: wait(many()), 1, error)


async def codec():
    connection = main.get()
    await connection.set_type_codec(
        "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )
    return await connection.fetchval("select $1::json", {"a": [1, None]})


test("json", "set_type_codec", lambda: wait(codec()), 1, error)
main.drop()
test(
    "types",
    "a row",
    lambda: ask(main.get(), "select a from all_types a where id = 4", []),
    1,
    error,
)
