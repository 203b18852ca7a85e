"""Who is let in, by what, and what each sees."""

import pathlib
import re
import shutil

import adbc_driver_flightsql.dbapi as flight_sql
import psycopg
import pyarrow
import pyarrow.flight as flight
import world
from adbc_driver_flightsql import DatabaseOptions
from checking import refused
from raw import Raw
from world import LENDERS, PAYMENTS

HEADER = DatabaseOptions.AUTHORIZATION_HEADER.value
# What a lender may ask, answered here and by the port of PostgreSQL.
SAME = (
    "select * from payments order by id limit 3",
    "select count(*), count(distinct card), min(card), max(card) from payments",
    "select id from payments where card = '4000000000000002'",
    "select id from payments where card like '%0002' order by id",
    "select card, count(*) from payments group by card order by card limit 3",
    "select p.id from payments p join payments q on p.card = q.card and p.id <> q.id",
    "select p from payments p order by id limit 1",
    "select count(*) from payments where lender <> '17'",
    "select lender, sum(cents) from payments group by rollup (lender) order by 1",
    "select sum(10 / (cents - 100)) from payments",
    "select max(cast(lender as int)) from payments",
    "select max(cast(card as bigint)) from payments",
    "select * from secrets",
    "select * from nothing",
    "select id from payments for version as of 0",
    "select current_user, current_database()",
    "select table_name from information_schema.tables where table_schema = 'public'",
    "select relname, reltuples from pg_class where relname in ('payments', 'secrets')",
    "select count(*) from system.queries",
    "select * from system.runs",
    "select count(*) from '/etc/passwd'",
    "copy payments to '/tmp/stolen'",
    "create external table stolen stored as csv location '/etc/passwd'",
    "set role bob",
    "explain select id from payments where lender = '18'",
)


def rows_of_the_user(checks):
    """Each user sees the rows of its lender."""
    for name, odd in (("ann", 0), ("bob", 1)):
        rows = checks.ask(name, "select min(id), count(*), sum(cents) from payments")
        ids = range(odd, PAYMENTS, 2)
        assert rows == [(odd, PAYMENTS // 2, 100 * sum(ids))], rows


def as_on_the_other_port(checks):
    """Rows, masks and errors are those of the PostgreSQL port."""
    for name in LENDERS:
        known = f"host=127.0.0.1 port={checks.server.postgres_port} user={name} dbname=riskstream"
        secret = world.password(name)
        with psycopg.connect(known, password=secret, autocommit=True) as other:
            with checks.connect(name) as connection, connection.cursor() as cursor:
                for sql in SAME:
                    here, there = by_flight(cursor, sql), by_postgres(other, sql)
                    if sql.startswith("explain") and isinstance(here, list):
                        here, there = plan(here), plan(there)
                    assert here == there, f"{name}, {sql}:\n  {here}\nis not\n  {there}"


def by_flight(cursor, sql):
    """Rows as texts, or that there was an error."""
    try:
        return texts(cursor.execute(sql).fetchall())
    except flight_sql.Error as error:
        return told(str(error), sql)


def by_postgres(connection, sql):
    """Rows as texts, or that there was an error."""
    try:
        return texts(connection.execute(sql, prepare=False).fetchall())
    except psycopg.Error as error:
        return told(str(error), sql)


def told(said, sql):
    """That there was an error, which names nobody and no value of others."""
    words = set(re.findall(r"\w+", said)) - set(re.findall(r"\w+", sql))
    assert not words & {"17", "18", *LENDERS}, said
    return "an error"


def plan(rows):
    """The lines of a plan, however they come."""
    lines = [line.strip(" :") for row in rows for cell in row for line in cell.splitlines()]
    return [line for line in lines if line]


def texts(rows):
    """Values as texts; drivers make different types of the same."""
    return [tuple(text(value) for value in row) for row in rows]


def text(value):
    """A value as text, with no zone and no scale."""
    if hasattr(value, "tzinfo"):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, dict):
        return str(list(value))
    return None if value is None else str(value)


def wrong_passwords(checks):
    """A wrong password, an unknown name, a made-up token."""
    for name, word in (("ann", "wrong"), ("eve", "x"), ("ann", "")):
        options = {"username": name, "password": word}
        wanted = f'password authentication failed for user "{name}"'
        refused(lambda: flight_sql.connect(checks.server.uri, db_kwargs=options), wanted)
    issuer = checks.world.issuer
    head, body, signed = issuer.token().split(".")
    other = issuer.token(lender="18").split(".")[1]
    for token in (
        *("", "a.b.c", "x" * 20_000, f"{head}.{body}.", f"{head}.{other}.{signed}"),
        *(issuer.token(seconds=-300), issuer.token(aud="other"), issuer.token(iss="other")),
    ):
        refused(lambda: by_token(checks, token), "Unauthenticated")
    for call in ("info", "get", "act", "put"):
        raw = Raw(checks.server)
        refused(lambda: anything(raw, call), "", flight.FlightUnauthenticatedError)


def anything(raw, call):
    """One call of each kind."""
    match call:
        case "info":
            return raw.ask("select 1")
        case "get":
            return raw.get(b"x").read_all()
        case "act":
            return raw.act("BeginTransaction", b"")
        case "put":
            return raw.put(b"x", pyarrow.record_batch({"a": [1]}))


def by_token(checks, token, uri=None, **more):
    """What the bearer of a token sees."""
    options = {HEADER: f"Bearer {token}", **more}
    with flight_sql.connect(uri or checks.server.uri, db_kwargs=options, autocommit=True) as one:
        with one.cursor() as cursor:
            return cursor.execute("select current_user, count(*) from payments").fetchall()


def tokens(checks):
    """A token of the issuer, as it is and as a password."""
    issuer = checks.world.issuer
    assert by_token(checks, issuer.token()) == [("acme", PAYMENTS // 2)]
    assert by_token(checks, issuer.token(lender=["17", "18"])) == [("acme", PAYMENTS)]
    assert by_token(checks, issuer.token(lender="")) == [("acme", 0)]
    options = {"username": "token", "password": issuer.token()}
    with flight_sql.connect(checks.server.uri, db_kwargs=options, autocommit=True) as one:
        rows = one.cursor().execute("select current_user, count(*) from payments").fetchall()
        assert rows == [("acme", PAYMENTS // 2)], rows
    refused(lambda: by_token(checks, issuer.token(roles=["admin"])), "NotFound")


def encrypted(checks):
    """TLS: with the certificate, without it, in clear."""
    certificate, key = checks.world.certificate()
    tls = f'query.tls={{ certificate = "{certificate}", key = "{key}" }}'
    # A folder has one writer of its audit.
    data = checks.world.folder / "encrypted"
    shutil.copytree(
        checks.world.folder / "data", data, ignore=shutil.ignore_patterns("audit", "spill")
    )
    server = checks.world.serve(tls, f"riskstream.data={data}")
    try:
        assert server.uri.startswith("grpc+tls://"), server.uri
        uri = server.uri.replace("127.0.0.1", "localhost")
        known = {DatabaseOptions.TLS_ROOT_CERTS.value: pathlib.Path(certificate).read_text("ascii")}
        assert by_token(checks, checks.world.issuer.token(), uri, **known)
        signed_in = {"username": "ann", "password": world.password("ann"), **known}
        with flight_sql.connect(uri, db_kwargs=signed_in, autocommit=True) as one:
            assert one.cursor().execute("select 1").fetchall() == [(1,)]
        for said in ({}, {DatabaseOptions.TLS_SKIP_VERIFY.value: "false"}):
            options = {**signed_in, **said}
            options.pop(DatabaseOptions.TLS_ROOT_CERTS.value)
            refused(lambda: flight_sql.connect(uri, db_kwargs=options), "")
        clear = uri.replace("grpc+tls", "grpc")
        signed_in.pop(DatabaseOptions.TLS_ROOT_CERTS.value)
        refused(lambda: flight_sql.connect(clear, db_kwargs=signed_in), "")
    finally:
        server.end()


CHECKS = (rows_of_the_user, as_on_the_other_port, wrong_passwords, tokens, encrypted)
