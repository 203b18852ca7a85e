"""Describe, result formats, portals and cursors."""

from tests import test
from wire import SYNC, INT4, INT8, ROWS, Wire, asked, bind, close, describe, execute, parse, query

KINDS = (
    "select 1 as a, 'x'::text as b",
    "show TimeZone",
    "set extra_float_digits = 1",
    "begin",
    "commit",
    "explain select 1",
    "copy all_types to stdout",
    "discard all",
    "declare c cursor for select 1",
    "fetch 1 from c",
    "close all",
    "table all_types",
    "values (1::int4, 'x'::text)",
    "deallocate all",
    "prepare p as select 1::int4 as a",
    "execute p",
    "savepoint a",
    "select 1::int4 where false",
    "show all",
    "listen x",
    "with a as (select 1::int4 as x) select * from a",
    "select pg_advisory_unlock_all()",
    "insert into all_types (id) values (1)",
    "lock table all_types",
)
for sql in KINDS:
    before = ("prepare p as select 1::int4 as a",) if sql == "execute p" else ()
    test(
        "describe", sql, asked(parse(sql), describe("S"), bind(), describe("P"), SYNC, first=before)
    )
for sql, given in (
    ("select $1", ()),
    ("select $1::int4", ()),
    ("select $1::date, $2::text", ()),
    ("select $1 + 1::int4", ()),
    ("select id from all_types where id = $1", ()),
    ("select id from all_types where id = any($1)", ()),
    ("select id from all_types where txt like $1", ()),
    ("select id from all_types limit $1", ()),
    ("select id from all_types limit $1 offset $2", ()),
    ("select id from all_types where at > $1 and day = $2", ()),
    ("select id from all_types where id between $1 and $2", ()),
    ("select id from all_types where id in ($1, $2)", ()),
    ("select $1", (INT8,)),
    ("select $1, $2", (INT4, 0)),
    ("select $2::int4", ()),
    ("select $1::int4 where $2", ()),
    ("select coalesce($1, 1::int4)", ()),
    ("select upper($1)", ()),
    ("select $1::int4[]", ()),
    ("select id from all_types where id = $1", (INT8,)),
    ("select id from all_types where money = $1", ()),
    ("select date_trunc('day', $1::timestamptz)", ()),
    ("select case when id = $1 then $2 else 'x' end from all_types", ()),
    ("select count(*) from all_types where flag = $1", ()),
):
    test("p-inferred", f"{sql} {given}", asked(parse(sql, types=given), describe("S"), SYNC))

# Formats
WIDE = "select id, txt, at, money, f8, flag, day from all_types where id = 4"
for results in ((), (0,), (1,), (0, 1, 0, 1, 0, 1, 0), (1, 0, 1, 0, 1, 0, 1), (0, 1)):
    test(
        "formats",
        str(results),
        asked(parse(WIDE), bind(results=results), describe("P"), execute(), SYNC),
    )

# Portals
for rows in (1, 2, 10, 0):
    steps = [execute(rows=rows)] * 4
    test("portals", f"limit {rows}", asked(parse(ROWS), bind(), *steps, SYNC))
test(
    "portals",
    "interleaved",
    asked(
        parse(ROWS, "s"),
        bind(portal="a", statement="s"),
        bind(portal="b", statement="s"),
        execute("a", 2),
        execute("b", 3),
        execute("a", 1),
        execute("b", 0),
        close("P", "a"),
        execute("a", 1),
        SYNC,
        first=("begin",),
    ),
)
test(
    "portals",
    "closed in the middle",
    asked(parse(ROWS), bind(portal="a"), execute("a", 1), close("P", "a"), SYNC),
)
test(
    "portals",
    "ends with SYNC outside of a transaction",
    asked(parse(ROWS), bind(portal="a"), execute("a", 1), SYNC, execute("a", 1), SYNC),
)


def across_syncs():
    connection = Wire()
    found = connection.ask(query("begin"))
    found += connection.ask(parse(ROWS), bind(portal="a"), execute("a", 1), SYNC)
    found += connection.ask(query("select 1"))
    found += connection.ask(execute("a", 2), SYNC)
    found += connection.ask(describe("P", "a"), execute("a", 0), SYNC)
    return found + connection.ask(query("commit"))


test("portals", "across SYNC in a transaction", across_syncs)
test("portals", "a name twice", asked(parse(ROWS), bind(portal="a"), bind(portal="a"), SYNC))
test(
    "portals",
    "of a declared cursor",
    asked(
        describe("P", "c"), execute("c", 2), SYNC, first=("begin", "declare c cursor for " + ROWS)
    ),
)
test(
    "cursors",
    "Describe of a declared cursor",
    asked(describe("P", "c"), SYNC, first=("begin", "declare c cursor for " + ROWS)),
)
for sql in (
    "fetch 2 from c",
    "fetch forward 2 from c",
    "fetch all from c",
    "fetch next c",
    "fetch forward all in c",
    "fetch 0 from c",
    "move 2 in c",
    "fetch c",
    "fetch first c",
    "fetch absolute 1 c",
    "fetch relative 1 c",
    "close c",
    "fetch 1 from nothing",
    "declare c cursor for select 1",
):
    test(
        "cursors",
        sql,
        asked(
            query(sql),
            query("fetch all from c"),
            last="Z",
            first=("begin", "declare c no scroll cursor for select id from all_types order by id"),
        ),
    )
for sql in (
    "fetch prior from c",
    "fetch backward 1 from c",
    "fetch last c",
    "move backward all in c",
):
    test(
        "cursors",
        f"scroll: {sql}",
        asked(
            query(sql),
            last="Z",
            first=(
                "begin",
                "declare c scroll cursor for select id from all_types order by id",
                "fetch 3 from c",
            ),
        ),
    )
test("cursors", "outside of a transaction", asked(query("declare c cursor for select 1")))
test(
    "cursors",
    "binary",
    asked(
        query("fetch all from c"),
        first=("begin", "declare c binary cursor for select id, at from all_types where id = 4"),
    ),
)
test(
    "cursors",
    "insensitive",
    asked(query("declare c insensitive cursor for select 1"), first=("begin",)),
)
test(
    "hold",
    "after COMMIT",
    asked(
        query("fetch 2 from c"), first=("begin", "declare c cursor with hold for " + ROWS, "commit")
    ),
)
test(
    "hold",
    "outside of a transaction",
    asked(query("fetch 2 from c"), first=("declare c cursor with hold for " + ROWS,)),
)
test(
    "hold",
    "after ROLLBACK",
    asked(
        query("fetch 2 from c"),
        first=("begin", "declare c cursor with hold for " + ROWS, "rollback"),
    ),
)
test(
    "hold",
    "fetched in two halves",
    asked(
        query("fetch all from c"),
        first=(
            "begin",
            "declare c cursor with hold for " + ROWS,
            "fetch 2 from c",
            "commit",
            "begin",
            "fetch 1 from c",
            "commit",
        ),
    ),
)
test("hold", "closed", asked(query("close c"), first=("declare c cursor with hold for " + ROWS,)))
test(
    "hold",
    "without hold after COMMIT",
    asked(
        query("fetch 2 from c"),
        first=("begin", "declare c cursor without hold for " + ROWS, "commit"),
    ),
)
