"""Those that answer the analyst's queries, each over the same tables. An engine is opened once per
set of tables and then asked; an answer is rows of Python values, whose making is in the time of
all.
"""

import importlib.util
import pathlib
import time

import psycopg

import servers


class Engine:
    """What all have: a name for people, and the kind that the queries' rewrites go by."""

    name = kind = ""

    def ask(self, text):
        """The rows of a query."""
        raise NotImplementedError

    def cpu_seconds(self):
        """Processor time so far of all threads that work for it, and of this client's."""
        return time.process_time()

    def close(self):
        """Gives everything back."""


class Riskstream(Engine):
    """`riskstream serve`, by its PostgreSQL port: one connection, results in binary."""

    name, kind = "riskstream", "riskstream"

    def __init__(self, server):
        self.pid = server.pid
        self.connection = server.connect()
        self.cursor = self.connection.cursor(binary=True)

    def ask(self, text):
        return self.cursor.execute(text, prepare=False).fetchall()

    def look_up(self, text, parameter):
        """The rows of a prepared statement."""
        return self.cursor.execute(text, (parameter,), prepare=True).fetchall()

    def cpu_seconds(self):
        return super().cpu_seconds() + servers.cpu_seconds(self.pid)

    def close(self):
        self.connection.close()


class DuckDB(Engine):
    """DuckDB with delta_scan, which reads the log for each query; or with tables attached at the
    version that they have now.
    """

    kind = "duckdb"

    def __init__(self, tables, threads, pinned):
        import duckdb

        self.name = "DuckDB attached, pinned" if pinned else "DuckDB delta_scan"
        self.connection = duckdb.connect(config={"threads": threads})
        for extension in ("delta", "icu"):
            self.connection.load_extension(extension_file(extension) or extension)
        self.connection.execute("set TimeZone = 'UTC'")
        for name, path in tables.items():
            if pinned:
                self.connection.execute(f"attach '{path}' as at_{name} (type delta, pin_snapshot)")
                read = f"at_{name}"
            else:
                read = f"delta_scan('{path}')"
            self.connection.execute(f"create view {name} as select * from {read}")

    def ask(self, text):
        return self.connection.execute(text).fetchall()

    def look_up(self, text, parameter):
        """The rows of a prepared statement."""
        return self.connection.execute(text.replace("%s", "?"), [parameter]).fetchall()

    def close(self):
        self.connection.close()


def extension_file(name):
    """A DuckDB extension that was installed as a Python package: the path of its file."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or not spec.origin:
        return None
    found = list(pathlib.Path(spec.origin).parent.rglob("*.duckdb_extension"))
    return str(found[0]) if found else None


class Polars(Engine):
    """Polars' SQL over scan_delta, whose logs are read once."""

    name, kind = "Polars", "polars"

    def __init__(self, tables):
        import polars

        frames = {name: polars.scan_delta(path) for name, path in tables.items()}
        self.context = polars.SQLContext(frames=frames, eager=True)
        self.column = polars.col
        self.payments = frames["payments_scored"]

    def ask(self, text):
        return self.context.execute(text).rows()

    def look_up(self, _text, parameter):
        """The rows with this transaction_id."""
        return self.payments.filter(self.column("transaction_id") == parameter).collect().rows()


class DeltaLake(Engine):
    """deltalake's own SQL (DataFusion), over tables that were opened once."""

    name, kind = "deltalake", "deltalake"

    def __init__(self, tables):
        from deltalake import DeltaTable, QueryBuilder

        self.builder = QueryBuilder()
        for name, path in tables.items():
            self.builder = self.builder.register(name, DeltaTable(path))

    def ask(self, text):
        import pyarrow

        return rows_of(pyarrow.table(self.builder.execute(text)))

    def look_up(self, text, parameter):
        """The rows of a query with the parameter in its text."""
        return self.ask(text.replace("%s", str(int(parameter))))


class DeltaLakeReader(Engine):
    """deltalake's reader: the files that the log leaves, read by pyarrow."""

    name, kind = "deltalake's reader", "deltalake"

    def __init__(self, tables):
        from deltalake import DeltaTable

        self.table = DeltaTable(tables["payments_scored"])

    def look_up(self, _text, parameter):
        """The rows with this transaction_id."""
        filters = [("transaction_id", "=", parameter)]
        return rows_of(self.table.to_pyarrow_table(filters=filters))


def rows_of(table):
    """A table's rows as tuples."""
    return list(zip(*(column.to_pylist() for column in table.columns)))


def sql_engines(tables, server, threads):
    """All that take SQL, ours first."""
    return [
        Riskstream(server),
        DuckDB(tables, threads, pinned=False),
        DuckDB(tables, threads, pinned=True),
        Polars(tables),
        DeltaLake(tables),
    ]


def versions():
    """The versions of the peers."""
    import deltalake
    import duckdb
    import polars

    return {
        "duckdb": duckdb.__version__,
        "polars": polars.__version__,
        "deltalake": deltalake.__version__,
        "psycopg": psycopg.__version__,
    }
