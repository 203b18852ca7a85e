"""Results: large ones, errors in the middle, names of columns, COPY, settings that are told."""

import threading
import time

import tests
import wire
from tests import test
from wire import SYNC, Wire, asked, bind, describe, execute, parse, query


def midway():
    connection = Wire()
    found = []
    for _ in range(2):
        connection.send(query("select 1000/(20000 - i) from generate_series(1, 30000) a(i)"))
        rows = connection.until(last="EZ", most=10**6)
        found += [len(rows) > 1, rows[-1]]
        found += connection.until()
    return found + connection.ask(query("select 1"))


test("error-midway", "simple", midway)


def midway_by_portal():
    connection = Wire()
    sql = "select 1000/(20000 - i) from generate_series(1, 30000) a(i)"
    connection.send(parse(sql), bind(), *[execute(rows=1000)] * 40, SYNC)
    found = connection.until(most=10**6)
    return [found[-2:], connection.ask(query("select 1"))]


test("error-midway", "by a portal", midway_by_portal)


def large(packets):
    def run():
        connection = Wire()
        connection.send(*packets)
        rows = total = 0
        while True:
            kind, body = connection.message()
            rows += kind in "Dd"
            total += len(body) if kind in "Dd" else 0
            if kind in "EZ":
                return [rows, total, wire.shown(kind, body)]

    return run


MANY = "select i, 'a text of some length' from generate_series(1, 200000) a(i)"
test("large", "simple", large([query(MANY)]))
test("large", "extended", large([parse(MANY), bind(), execute(), SYNC]))
test("large", "COPY", large([query(f"copy ({MANY}) to stdout")]))


def slow_reader():
    connection = Wire()
    connection.send(query(MANY))
    time.sleep(1.5)
    rows = 0
    while True:
        kind, body = connection.message()
        rows += kind == "D"
        if kind == "Z":
            return rows


test("large", "a reader that waits", slow_reader)
test(
    "columns-twice",
    "simple",
    asked(query("select 1::int4 as a, 'x'::text as a, id as a from all_types where id = 1")),
)
test(
    "columns-twice",
    "of a table",
    asked(query("select n.oid < 20000, n.* from pg_namespace n where nspname = 'public' limit 0")),
)
test(
    "columns-twice",
    "oid twice",
    asked(query("select c.oid = 0, c.oid < 0, t.oid < 0 from pg_class c, pg_type t limit 1")),
)
for sql in (
    "select 1::int4, 'x'::text, null::int4",
    "select upper('a'), count(*) from all_types",
    "select id::text, -id, id + 1::int4, (id), case when true then id end from all_types limit 0",
    "select exists (select 1), array[1::int4], (select 1::int4), (select 1::int4 as b), not true",
    "select coalesce(id, id), nullif(id, id), greatest(id, id) from all_types where id = 1",
    "select current_date = current_date, now() is null, extract(year from date '2024-01-01') > 1",
    "select 'a'::text || 'b', 'a' like 'b', 1::int4 in (1, 2), 1::int4 between 0 and 2",
    "select max(id), sum(id), all_types.id from all_types where id = 1 group by all_types.id",
    "select cast(1 as int8), 1::int2, date '2024-01-01', interval '1 day'",
    "select row_number() over (), id from all_types where id = 1",
    "select true, false, 1.5::numeric(3,1), 'x'::varchar, $$x$$",
):
    test("unnamed", sql, asked(query(sql)))
for sql in (
    "copy (select 1::int4, 'x', null) to stdout",
    "copy all_types (id) to stdout",
    "copy (select id, txt from all_types where id in (3, 4) order by id) to stdout csv header",
    "copy (select 1) to stdout (format nothing)",
    "copy nothing to stdout",
    "copy (select nothing from all_types) to stdout",
    "copy (select 1/0) to stdout",
    "copy (select 1) to stdout; select 2::int4",
    "copy all_types (nothing) to stdout",
    "copy (select 1 where false) to stdout (format csv, header)",
):
    test("copy-text", sql, asked(query(sql)))
    test(
        "copy-text",
        f"extended {sql}",
        asked(parse(sql), describe("S"), bind(), describe("P"), execute(), SYNC),
    )
for sql in (
    "copy (select id, at, money, txt, flag, day from all_types where id > 3 order by id) "
    "to stdout (format binary)",
    "copy (select 1::int4, null::text) to stdout with binary",
    "copy (select 1::int4 where false) to stdout (format 'binary')",
):
    test("copy-binary", sql, asked(query(sql)))
for sql in (
    "copy all_types from stdin",
    "copy all_types to '/tmp/nothing'",
    "copy all_types from '/etc/passwd'",
    "copy all_types from program 'true'",
):
    test("read-only", sql, asked(query(sql)))


def reported(*steps):
    def run():
        connection = Wire()
        found = []
        for step in steps:
            connection.send(query(step))
            while True:
                kind, body = connection.message()
                if kind == "S":
                    found.append(body[:-1].decode().split("\0"))
                elif kind == "Z":
                    found.append("Z")
                    break
        return found

    return run


for steps in (
    ("set time zone 'Asia/Tokyo'",),
    ("set application_name = 'x'",),
    ("set datestyle = 'ISO, DMY'", "reset datestyle"),
    ("set extra_float_digits = 2",),
    ("begin", "set time zone 'Asia/Tokyo'", "rollback"),
    ("set time zone 'Asia/Tokyo'", "discard all"),
    ("select set_config('TimeZone', 'Asia/Tokyo', false)",),
    ("set intervalstyle = 'iso_8601'",),
):
    test("reported", "; ".join(steps), reported(*steps))


def positions():
    found = []
    connection = Wire()
    for sql in (
        "selec 1",
        "select 1 +",
        "select é, 1 from from x",
        "select 1;\nselec 2",
        "select 'abc",
        'select "abc',
        "select nothing from all_types",
        "select * from nothing_here",
        "select (1, from x",
    ):
        connection.send(query(sql))
        while True:
            kind, body = connection.message()
            if kind == "E":
                fields = dict((p[:1], p[1:]) for p in body.decode().split("\0") if p)
                found.append([sql, fields.get("C"), fields.get("P")])
            if kind == "Z":
                break
    return found


for place in range(9):
    test("position", f"statement {place + 1}", lambda place=place: positions()[place])


def stable():
    """The numbers of tables on this port and on the other one."""
    sql = (
        "select relname, c.oid, reltype from pg_class c join pg_namespace n on "
        "n.oid = relnamespace where nspname = 'public' and relname in "
        "('all_types', 'portfolio', 'alerts') order by 1"
    )
    one = Wire().ask(query(sql))
    other = Wire(port=tests.USERS_PORT, user=tests.USERS_NAME, password=tests.USERS_PASSWORD)
    return one == other.ask(query(sql))


test("stable", "on the port without and with users", stable)


def quick():
    """The median of what tools ask all the time."""
    connection = Wire()
    found = []
    for sql in (
        "select c.oid, c.relname, n.nspname from pg_class c join pg_namespace n on "
        "n.oid = c.relnamespace where c.relkind in ('r', 'v')",
        "select * from information_schema.columns where table_schema = 'public'",
        "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a where "
        "a.attrelid = 'all_types'::regclass and a.attnum > 0",
    ):
        times = []
        for _ in range(7):
            began = time.monotonic()
            connection.ask(query(sql))
            times.append(time.monotonic() - began)
        found.append(sorted(times)[3] < 0.05)
    return found


test("speed", "three queries of the catalog", quick)


def threads():
    """Many connections at once."""
    found, problems = [], []

    def one(n):
        try:
            connection = Wire()
            found.append(len(connection.ask(query(f"select {n}::int4, pg_sleep(0.05)"))))
        except Exception as problem:
            problems.append(str(problem))

    workers = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [sorted(set(found)), len(found), problems]


test("tool-start", "twenty connections at once", threads)
