"""pgcli's own class for servers: completion, its listings, statements."""

import re

from pgcli.pgexecute import PGExecute

import tests
from tests import test

state = {}


def executor():
    if "made" not in state:
        state["made"] = PGExecute(
            tests.DATABASE, tests.USER, "", tests.HOST, str(tests.PORT), dsn=None
        )
    return state["made"]


def error(problem):
    return getattr(problem, "sqlstate", None)


NAMES = ("all_types", "portfolio", "portfolio_now", "payments_scored")


def named(rows):
    """Only what is of our tables."""
    rows = [
        [str(part) for part in (row if isinstance(row, (list, tuple)) else [row])] for row in rows
    ]
    return sorted(row for row in rows if any(part in NAMES for part in row))


for name in ("tables", "views", "table_columns", "view_columns", "foreignkeys"):
    test("reflection", name, lambda name=name: named(getattr(executor(), name)()), 2, error)
test(
    "reflection", "schemata", lambda: [s for s in executor().schemata() if s != "system"], 1, error
)
test("reflection", "databases", lambda: "riskstream" in executor().databases(), 1, error)
test("reflection", "full_databases", lambda: "riskstream" in executor().full_databases(), 1, error)
test("reflection", "functions", lambda: [str(f) for f in executor().functions()][:0], 1, error)
test("reflection", "datatypes", lambda: sorted(map(str, executor().datatypes()))[:20], 1, error)
test("reflection", "casing", lambda: len(list(executor().casing())) > 0, 1, error)
test("current", "search_path", lambda: executor().search_path(), 1, error)
test(
    "current",
    "view_definition",
    lambda: "select" in executor().view_definition("portfolio_now").lower(),
    1,
    error,
)
test("types", "is_superuser", lambda: executor().is_superuser, 1, error)


def run(sql):
    def work():
        found = []
        for title, rows, headers, status, _, success, _ in executor().run(sql):
            rows = [list(map(str, row)) for row in rows] if rows else rows
            text = re.sub(r"port \S+|pid \S+", "", str(status))
            found.append([title, rows, headers, text.split("\n")[0], success])
        return found

    return work


for sql in (
    "select 1",
    "select * from all_types order by id",
    "select nothing from all_types",
    "begin",
    "select 1/0",
    "rollback",
    "select 1; select 2",
):
    test("simple", sql, run(sql), 1, error)
LISTS = (
    "\\d all_types",
    "\\d+ all_types",
    "\\dt all_types",
    "\\dv portfolio_now",
    "\\df nothing",
    "\\dT int4",
    "\\dn public",
    "\\d portfolio_now",
    "\\dx",
    "\\di",
    "\\ds",
    "\\dm",
    "\\db",
    "\\du riskstream",
    "\\dp all_types",
    "\\dD nothing",
    "\\dF nothing",
    "\\dE",
    "\\ddp",
)
for command in LISTS:
    test("reflection", command, run(command), 1, error)
