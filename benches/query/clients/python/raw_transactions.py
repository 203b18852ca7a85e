"""Transactions, savepoints, prepared statements."""

from tests import test
from wire import SYNC, Wire, asked, execute, parse, query

FORMS = (
    "begin",
    "begin work",
    "begin transaction",
    "start transaction",
    "begin read only",
    "begin transaction isolation level serializable read only deferrable",
    "start transaction isolation level repeatable read, read only",
    "begin isolation level read committed",
    "begin read write",
    "begin transaction read only, not deferrable",
    "BEGIN ISOLATION LEVEL READ UNCOMMITTED",
    "begin nonsense",
)
for sql in FORMS:
    test("begin", sql, asked(query(sql), query("show transaction_isolation")))
for sql in (
    "commit work",
    "end",
    "commit and chain",
    "abort",
    "rollback work",
    "rollback and chain",
    "commit and no chain",
    "set transaction read only",
    "prepare transaction 'x'",
    "set transaction isolation level serializable",
    "commit prepared 'x'",
):
    test("begin", f"begin; {sql}", asked(query(sql), first=("begin", "select 1")))
STEPS = (
    ("begin", "select 1/0", "select 1", "commit", "select 2"),
    ("begin", "savepoint a", "select 1/0", "rollback to a", "select 1", "commit"),
    ("begin", "savepoint a", "savepoint b", "release a", "rollback to b"),
    ("begin", "select 1/0", "rollback to nothing", "rollback"),
    ("savepoint a",),
    ("begin", "release savepoint nothing", "commit"),
    ("begin", "savepoint a", "rollback to savepoint a", "release savepoint a", "end"),
    ("begin", 'savepoint "A b"', "savepoint a", 'rollback to "A b"', "rollback"),
    ("begin", "set local time zone 'Asia/Tokyo'", "show timezone", "commit", "show timezone"),
    ("begin", "set time zone 'Asia/Tokyo'", "rollback", "show timezone"),
    (
        "begin",
        "savepoint a",
        "set time zone 'Asia/Tokyo'",
        "rollback to a",
        "show timezone",
        "commit",
    ),
    ("commit",),
    ("begin", "begin", "commit"),
    ("rollback",),
)
for steps in STEPS:
    feature = "savepoints" if any("savepoint" in step for step in steps) else "status"
    test(
        feature,
        "; ".join(steps),
        lambda steps=steps: (lambda c: [c.ask(query(step)) for step in steps])(Wire()),
    )
for sql in (
    "prepare p as select 1::int4",
    "prepare p(int4, text) as select $1, $2; execute p(1, 'x')",
    "prepare p as select $1::int4 + 1::int4; execute p(2)",
    "prepare p as select 1; prepare p as select 2",
    "prepare p as select $1::date; execute p('2024-02-29')",
    "prepare p as select 1::int4; execute p(1)",
    "prepare p as select 1::int4; deallocate p; execute p",
    "deallocate prepare all",
    "prepare p as select id from all_types order by id; execute p; execute p",
):
    test("prepare", sql, asked(query(sql)))
test(
    "prepare",
    "by the protocol, executed in SQL",
    asked(parse("select 1::int4", "p"), SYNC, query("execute p"), last="Z"),
)
