"""ibis: expressions that become SQL, tables by their names, results as data frames."""

import ibis

import tests
from tests import test

state = {}


def backend():
    if "made" not in state:
        state["made"] = ibis.postgres.connect(
            host=tests.HOST, port=tests.PORT, user=tests.USER, database=tests.DATABASE, password=""
        )
    return state["made"]


def on(work):
    def run():
        try:
            found = work(backend())
        except Exception:
            state.clear()
            raise
        if isinstance(found, ibis.Expr):
            found = found.to_pandas()
        if hasattr(found, "dtypes"):
            kinds = [
                str(kind) for kind in getattr(found.dtypes, "tolist", lambda: [found.dtypes])()
            ]
            return [list(getattr(found, "columns", [])), kinds, found.astype(str).values.tolist()]
        return found

    return run


def error(problem):
    return getattr(problem, "sqlstate", None)


def table(backend):
    return backend.table("all_types")


WORK = {
    "version": lambda b: int(b.version.split(".")[0]) >= 15,
    "list_tables": lambda b: sorted(
        t for t in b.list_tables() if t in ("all_types", "portfolio", "portfolio_now")
    ),
    "list_databases": lambda b: "public" in b.list_databases(),
    "list_catalogs": lambda b: "riskstream" in b.list_catalogs(),
    "current": lambda b: [b.current_catalog, b.current_database],
    "get_schema": lambda b: str(b.get_schema("all_types")),
    "schema of a query": lambda b: str(
        b.sql("select id, at, money, array[1] as a from all_types").schema()
    ),
    "whole table": lambda b: table(b).order_by("id"),
    "count": lambda b: int(table(b).count().execute()),
    "filter": lambda b: table(b).filter(lambda t: t.id > 3).select("id", "txt").order_by("id"),
    "mutate": lambda b: table(b)
    .select(a=lambda t: t.id + 1, b=lambda t: t.txt.upper())
    .order_by("a"),
    "group": lambda b: table(b)
    .filter(lambda t: t.id > 3)
    .group_by("flag")
    .agg(n=lambda t: t.count(), s=lambda t: t.money.sum(), m=lambda t: t.f8.mean())
    .order_by("flag"),
    "join": lambda b: table(b)
    .select("id", "flag")
    .join(table(b).select("id", "txt"), "id")
    .order_by("id"),
    "window": lambda b: table(b)
    .select("id", n=ibis.row_number().over(order_by="id"))
    .order_by("id"),
    "times": lambda b: table(b)
    .filter(lambda t: t.id > 3)
    .select(
        "id",
        y=lambda t: t.at.year(),
        m=lambda t: t.at.truncate("M"),
        d=lambda t: t.at.date(),
        e=lambda t: t.at.epoch_seconds(),
    )
    .order_by("id"),
    "text": lambda b: table(b)
    .filter(lambda t: t.id.isin([4, 5]))
    .select(
        "id",
        l=lambda t: t.txt.length(),
        c=lambda t: t.txt.contains("NULL"),
        r=lambda t: t.txt.replace("N", "M"),
        s=lambda t: t.txt.substr(0, 2),
    )
    .order_by("id"),
    "case": lambda b: table(b)
    .select("id", k=lambda t: ibis.cases((t.flag, "yes"), else_="no"))
    .order_by("id"),
    "cast": lambda b: table(b)
    .filter(lambda t: t.id > 3)
    .select(
        a=lambda t: t.id.cast("string"),
        b=lambda t: t.id.cast("float64"),
        c=lambda t: t.money.cast("int64"),
    )
    .order_by("a"),
    "quantile": lambda b: float(
        b.table("payments_scored").tx_amount.cast("float64").quantile(0.5).execute()
    ),
    "distinct": lambda b: table(b).select("flag").distinct().order_by("flag"),
    "limit": lambda b: table(b).select("id").order_by("id").limit(2, offset=1),
    "as Arrow": lambda b: str(table(b).select("id", "txt", "day").order_by("id").to_pyarrow()),
    "batches": lambda b: sum(
        batch.num_rows for batch in table(b).select("id").to_pyarrow_batches()
    ),
    "portfolio": lambda b: b.table("portfolio_now")
    .group_by("lender_id")
    .agg(last=lambda t: t.window_end.max())
    .order_by("lender_id"),
    "literal types": lambda b: (
        ibis.memtable([{"a": 1}]).count()
        if False
        else int(b.sql("select 1::int4 as a").a.sum().execute())
    ),
}
for name, work in WORK.items():
    feature = (
        "reflection"
        if name
        in (
            "version",
            "list_tables",
            "list_databases",
            "list_catalogs",
            "get_schema",
            "schema of a query",
        )
        else "tables"
    )
    feature = "current" if name == "current" else feature
    test(feature, name, on(work), 2, error)
