"""harlequin's adapter for PostgreSQL: its catalog tree, completions, statements."""

import tests
from tests import test

state = {}


def connection():
    if "made" not in state:
        from harlequin_postgres import HarlequinPostgresAdapter

        dsn = f"postgresql://{tests.USER}@{tests.HOST}:{tests.PORT}/{tests.DATABASE}"
        state["made"] = HarlequinPostgresAdapter((dsn,)).connect()
    return state["made"]


def error(problem):
    return getattr(problem, "sqlstate", None)


def tree():
    """The databases, and of ours the schema, tables and columns."""
    found = []
    for database in connection().get_catalog().items:
        if database.label != "riskstream":
            continue
        for schema in children(database):
            if schema.label != "public":
                continue
            for relation in children(schema):
                if relation.label in ("all_types", "portfolio_now"):
                    columns = [[c.label, c.type_label] for c in children(relation)]
                    found.append([relation.label, relation.type_label, columns])
    return found


def children(item):
    if not item.children and hasattr(item, "fetch_children"):
        return list(item.fetch_children())
    return list(item.children)


def execute(sql):
    def run():
        cursor = connection().execute(sql)
        if cursor is None:
            return None
        found = cursor.fetchall()
        rows = found.to_pylist() if hasattr(found, "to_pylist") else found
        return [cursor.columns(), rows]

    return run


test("tool-start", "connect", lambda: connection() is not None, 1, error)
test("reflection", "the tree", tree, 1, error)
test("reflection", "completions", lambda: len(connection().get_completions()) > 100, 1, error)
for sql in (
    "select id, txt, at, money, flag, day from all_types where id in (4, 5, 6) order by id",
    "select 1",
    "select 1.5::numeric(5,2) as a, 'x' as b",
    "select count(*) from payments_scored",
    "explain select 1",
):
    if not sql.startswith("explain"):
        test("tables", sql, execute(sql), 2, error)
test("sqlstates", "an error", execute("select nothing from all_types"), 1)
test("tables", "after an error", execute("select 1"), 1, error)
