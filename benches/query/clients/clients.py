"""The clients: what each is, where it is installed from, how it is started."""

from dataclasses import dataclass

# What writes and reads tables for all.
READERS = ("deltalake", "pyarrow", "pandas", "pytz", "tzdata")


@dataclass(frozen=True)
class Client:
    """`kind` says who installs and starts it, `parts` what is installed (with versions)."""

    name: str
    group: str
    kind: str
    script: str
    parts: tuple = ()
    short: bool = False
    seconds: int = 20
    about: str = ""

    def __post_init__(self):
        if not self.about:
            parts = [part for part in self.parts if part not in READERS]
            object.__setattr__(self, "about", ", ".join(parts) or "of the system's packages")


PSYCOPG, PSYCOPG2 = "psycopg[binary]==3.3.9", "psycopg2-binary==2.9.13"
ASYNCPG, PG8000 = "asyncpg==0.32.0", "pg8000==1.31.6"
SQLALCHEMY = "SQLAlchemy[asyncio]==2.1.9"
DRIVERS = (PSYCOPG, PSYCOPG2, ASYNCPG, PG8000, SQLALCHEMY, *READERS)
NATIVE, LOWER, PYTHON = "PostgreSQL's own", "A socket, ODBC, Perl", "Python"
JAVA, NODE, TOOLS, FRAMES = "Java and Go", "JavaScript", "Tools", "Data frames and engines"

CLIENTS = [
    Client(
        "raw",
        LOWER,
        "python",
        "raw.py",
        DRIVERS,
        about="Python's socket: the protocol, message by message",
        short=True,
    ),
    Client(
        "psql",
        NATIVE,
        "python",
        "with_psql.py",
        DRIVERS,
        about="15, of the system's packages",
        short=True,
    ),
    Client(
        "pg_dump",
        NATIVE,
        "python",
        "with_pg_dump.py",
        DRIVERS,
        about="15, of the system's packages",
    ),
    Client(
        "pgbench",
        NATIVE,
        "python",
        "with_pgbench.py",
        DRIVERS,
        about="15, of the system's packages",
        seconds=60,
    ),
    Client(
        "postgres_fdw",
        NATIVE,
        "python",
        "with_postgres_fdw.py",
        DRIVERS,
        about="15, of the system's packages",
    ),
    Client(
        "psqlODBC",
        LOWER,
        "odbc",
        "with_odbc.py",
        (*DRIVERS, "pyodbc==5.5"),
        about="odbc-postgresql of the system's packages, pyodbc==5.5",
    ),
    Client("DBD::Pg", LOWER, "perl", "dbd_pg.pl", ("libdbd-pg-perl", "libjson-pp-perl")),
    Client("psycopg", PYTHON, "python", "with_psycopg.py", DRIVERS, about=PSYCOPG, short=True),
    Client("psycopg2", PYTHON, "python", "with_psycopg2.py", DRIVERS, about=PSYCOPG2),
    Client("asyncpg", PYTHON, "python", "with_asyncpg.py", DRIVERS, about=ASYNCPG, short=True),
    Client("pg8000", PYTHON, "python", "with_pg8000.py", DRIVERS, about=PG8000, short=True),
    Client(
        "SQLAlchemy", PYTHON, "python", "with_sqlalchemy.py", DRIVERS, about=SQLALCHEMY, short=True
    ),
    Client(
        "connectorx",
        FRAMES,
        "python",
        "with_connectorx.py",
        ("connectorx==0.4.6", "polars==2.1.0", "pyarrow", "pandas"),
    ),
    Client(
        "ADBC",
        FRAMES,
        "python",
        "with_adbc.py",
        (
            "adbc-driver-postgresql==1.13.0",
            "adbc-driver-manager==1.13.0",
            "polars==2.1.0",
            "pyarrow",
            "pandas",
        ),
    ),
    Client(
        "DuckDB",
        FRAMES,
        "python",
        "with_duckdb.py",
        ("duckdb==1.5.5", "duckdb-extension-postgres==1.5.5", "pytz", "pyarrow"),
    ),
    Client(
        "ibis",
        FRAMES,
        "python",
        "with_ibis.py",
        ("ibis-framework[postgres]==12.0.0", "pandas"),
    ),
    Client("pgcli", TOOLS, "python", "with_pgcli.py", ("pgcli==4.7.1", PSYCOPG)),
    Client(
        "harlequin",
        TOOLS,
        "python",
        "with_harlequin.py",
        ("harlequin==2.17.0", "harlequin-postgres"),
        seconds=40,
    ),
    # Newer ones load a part of theirs from GitHub as they are installed.
    Client(
        "dbt",
        TOOLS,
        "python",
        "with_dbt.py",
        ("dbt-postgres==1.11.0", "dbt-core==1.10.23"),
        seconds=90,
    ),
    Client(
        "by statement",
        TOOLS,
        "python",
        "with_tools.py",
        DRIVERS,
        about="DBeaver, DataGrip, Metabase, Grafana, Power BI, pgAdmin, Tableau: by what they ask",
    ),
    Client(
        "pgjdbc", JAVA, "java", "Pgjdbc.java", ("org.postgresql:postgresql:42.7.14",), seconds=30
    ),
    Client(
        "r2dbc",
        JAVA,
        "java",
        "R2dbc.java",
        ("org.postgresql:r2dbc-postgresql:1.1.3.RELEASE",),
        seconds=30,
    ),
    Client("pg", NODE, "node", "pg.mjs", ("pg@8.23.1", "pg-cursor@2.22.1")),
    Client("postgres.js", NODE, "node", "postgresjs.mjs", ("postgres@3.4.9",)),
    Client("knex", NODE, "node", "knex.mjs", ("knex@3.3.0", "pg@8.23.1")),
    Client("sequelize", NODE, "node", "sequelize.mjs", ("sequelize@6.37.8", "pg@8.23.1")),
    Client(
        "drizzle-kit",
        NODE,
        "node",
        "drizzle.mjs",
        ("drizzle-kit@0.31.11", "drizzle-orm", "pg@8.23.1"),
        seconds=60,
    ),
    Client("pgx", JAVA, "go", "pgx", ("github.com/jackc/pgx/v5@v5.12.0",)),
    Client("lib/pq", JAVA, "go", "pq", ("github.com/lib/pq@v1.12.3",)),
]
