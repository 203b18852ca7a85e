"""Commands, tickets and bodies of actions, right and wrong, by Flight's own calls."""

import random

import pyarrow
import pyarrow.flight as flight
from checking import refused
from raw import Raw, schema_of
from wire import any_of, message
from world import PAYMENTS

# What must not be answered, by how pyarrow names its code.
INVALID, MISSING = pyarrow.ArrowInvalid, KeyError
DENIED, UNKNOWN = flight.FlightUnauthorizedError, NotImplementedError
QUERY, PREPARED = "CommandStatementQuery", "CommandPreparedStatementQuery"
IDS = "select id from payments order by id"


def every_command(checks):
    """Each command of metadata: its ticket works, its columns are those that were told."""
    raw = Raw(checks.server, "ann")
    for command, rows in (
        (any_of("CommandGetCatalogs"), 1),
        (any_of("CommandGetDbSchemas"), None),
        (any_of("CommandGetDbSchemas", "riskstream", "pub%"), 1),
        (any_of("CommandGetDbSchemas", None, "nothing"), 0),
        (any_of("CommandGetTables"), None),
        (any_of("CommandGetTables", None, None, "pay%", ["TABLE"]), 1),
        (any_of("CommandGetTables", None, None, "secrets"), 0),
        (any_of("CommandGetTables", "riskstream", "public", "payments", ["TABLE"], 1), 1),
        (any_of("CommandGetTables", "other"), 0),
        (any_of("CommandGetTableTypes"), 2),
        (any_of("CommandGetPrimaryKeys", None, "public", "payments"), 0),
        (any_of("CommandGetPrimaryKeys", None, None, "nothing"), 0),
        (any_of("CommandGetExportedKeys", None, None, "payments"), 0),
        (any_of("CommandGetImportedKeys", None, None, "payments"), 0),
        (any_of("CommandGetCrossReference", None, None, "a", None, None, "b"), 0),
        (any_of("CommandGetSqlInfo"), None),
        (any_of("CommandGetSqlInfo", [0, 3, 8, 99_999]), 3),
        (any_of("CommandGetXdbcTypeInfo"), None),
        (any_of("CommandGetXdbcTypeInfo", 4), 1),
    ):
        found = raw.rows(command).num_rows
        assert found > 0 if rows is None else found == rows, (command, found)
    one = raw.rows(any_of("CommandGetTables", None, None, "payments", [], 1))
    told = schema_of(one.column("table_schema")[0].as_py())
    assert told.field("cents").metadata[b"ARROW:FLIGHT:SQL:REMARKS"] == b"in hundredths", told
    plain = raw.ask("select * from payments limit 1").schema
    assert [(f.name, f.type, f.nullable) for f in told] == [
        (f.name, f.type, f.nullable) for f in plain
    ], (told, plain)


def columns(checks):
    """Columns are those that were told, to the nullability, in each call and when prepared."""
    raw = Raw(checks.server, "ann")
    for sql, nullable in (
        ("select 1 as one, 'a' as a, null as n", [False, False, True]),
        ("select count(*) as n, max(id) as m from payments", [False, True]),
        ("select id, coalesce(lender, '') as l from payments", None),
        ("select * from payments where false", None),
        ("select case when id > 5 then 1 end as c, id is null as d from payments", [True, False]),
        ("select 1 as a union all select null", [True]),
        ("select array[1, null] as l, row_number() over () as n", None),
        ("explain select 1", None),
        ("select arrow_cast('a', 'Dictionary(Int32, Utf8)') as d", None),
        ("select now() as n, current_date as d", None),
    ):
        table = raw.ask(sql)
        if nullable is not None:
            assert [field.nullable for field in table.schema] == nullable, table.schema
        handle, told, parameters = raw.prepare(sql)
        assert told.equals(table.schema, check_metadata=True), (told, table.schema)
        assert len(parameters) == 0, parameters
        again = raw.rows(any_of(PREPARED, handle))
        assert again.schema == table.schema and again.num_rows == table.num_rows


def tickets(checks):
    """Another user's ticket, statement, transaction: as if they were not there."""
    ann, bob = Raw(checks.server, "ann"), Raw(checks.server, "bob")
    info = ann.info(any_of(QUERY, IDS))
    ticket = info.endpoints[0].ticket
    for secret in (b"payments", b"select", b"ann", b"17"):
        assert secret not in ticket.ticket, ticket
    never = any_of("TicketStatementQuery", b"\7" * 16)
    refused(lambda: ann.get(never).read_all(), "there is no such ticket", MISSING)
    handle, _, _ = ann.prepare(IDS)
    [body] = ann.act("BeginTransaction", any_of("ActionBeginTransactionRequest"))
    transaction = body[-16:]
    for stolen in (
        lambda: bob.get(ticket).read_all(),
        lambda: bob.cancel(info.serialize()),
        lambda: bob.rows(any_of(PREPARED, handle)),
        lambda: bob.get(any_of(PREPARED, handle)).read_all(),
        lambda: bob.put(any_of(PREPARED, handle), pyarrow.record_batch({"a": [1]})),
        lambda: bob.rows(any_of(QUERY, IDS, transaction)),
    ):
        refused(stolen, "there is no such", MISSING)
    bob.act("ClosePreparedStatement", any_of("ActionClosePreparedStatementRequest", handle))
    bob.act("EndTransaction", any_of("ActionEndTransactionRequest", transaction, 1))
    assert ann.rows(any_of(PREPARED, handle)).num_rows == PAYMENTS // 2
    assert ann.rows(any_of(QUERY, IDS, transaction)).num_rows == PAYMENTS // 2
    for _ in range(2):
        assert ann.get(ticket).read_all().num_rows == PAYMENTS // 2
    ann.act("ClosePreparedStatement", any_of("ActionClosePreparedStatementRequest", handle))
    refused(lambda: ann.rows(any_of(PREPARED, handle)), "there is no such", MISSING)


def bad_tickets(checks):
    """What is no ticket and no command: InvalidArgument, NotFound, Unimplemented."""
    raw = Raw(checks.server, "ann")
    plan = any_of("CommandStatementSubstraitPlan", message(b"plan", "0.1"))
    query = any_of(QUERY, "delete from payments")
    update = any_of("CommandStatementUpdate", "delete from payments")
    rows = pyarrow.record_batch({"a": [1]})
    path = flight.FlightDescriptor.for_path("payments")
    for kind, calls in (
        (
            INVALID,
            (
                lambda: raw.info(b""),
                lambda: raw.info(b"junk"),
                lambda: raw.get(b"junk").read_all(),
                lambda: raw.get(b"").read_all(),
                lambda: raw.info(any_of("CommandOfNobody")),
                lambda: raw.info(message("x/y", b"")),
                lambda: raw.info(message("type.googleapis.com/x", b"\xff")),
                lambda: raw.info(any_of("TicketStatementQuery", b"x" * 16)),
                lambda: raw.client.get_flight_info(path, raw.options),
                lambda: raw.put(b"junk", rows),
                lambda: raw.act("CreatePreparedStatement", b"junk"),
                lambda: raw.act("CancelFlightInfo", b"junk"),
                lambda: raw.act("EndTransaction", b"junk"),
                lambda: raw.ask("select $1 + 1"),
                lambda: raw.ask("select 1; select 2"),
                lambda: raw.ask(""),
                lambda: raw.ask("select '" + "x" * 100 + "\0"),
            ),
        ),
        (
            MISSING,
            (
                lambda: raw.get(any_of("TicketStatementQuery", b"x" * 16)).read_all(),
                lambda: raw.get(any_of("TicketStatementQuery", b"")).read_all(),
                lambda: raw.get(any_of(PREPARED, b"x" * 100_000)).read_all(),
                lambda: raw.info(any_of(PREPARED, b"y" * 16)),
                lambda: raw.put(any_of(PREPARED, b"y" * 16), rows),
                lambda: raw.info(any_of(QUERY, "select 1", b"z" * 16)),
            ),
        ),
        (
            DENIED,
            (
                lambda: raw.info(query),
                lambda: raw.put(update, rows),
                lambda: raw.put(any_of("CommandPreparedStatementUpdate", b"x" * 16), rows),
                lambda: raw.put(any_of("CommandStatementIngest"), rows),
                lambda: raw.act(*creation("drop table payments")),
            ),
        ),
        (
            UNKNOWN,
            (
                lambda: raw.info(plan),
                lambda: raw.get(plan).read_all(),
                lambda: raw.put(plan, rows),
                lambda: raw.act("CreatePreparedSubstraitPlan", b""),
                lambda: raw.act("BeginSavepoint", b""),
                lambda: raw.act("Nothing", b""),
                lambda: list(raw.client.list_flights(b"", raw.options)),
            ),
        ),
    ):
        for place, call in enumerate(calls):
            try:
                refused(call, "", kind)
            except Exception as error:
                raise AssertionError(f"{kind.__name__} {place}: {error!r}") from error
    assert raw.ask("select 1").num_rows == 1


def creation(sql):
    """The action that prepares a statement."""
    return "CreatePreparedStatement", any_of("ActionCreatePreparedStatementRequest", sql)


def broken_bytes(checks):
    """Commands, tickets, values with wrong bytes in them: errors, and never one of the server."""
    dice = random.Random(19)
    raw = Raw(checks.server, "ann")
    handle, _, _ = raw.prepare("select id from payments where id = $1")
    whole = [
        any_of(QUERY, "select id from payments limit 1"),
        any_of("CommandGetTables", "riskstream", "pub%", "p%", ["TABLE", "VIEW"], 1),
        any_of("CommandGetSqlInfo", list(range(20))),
        any_of("CommandGetXdbcTypeInfo", 5),
        any_of(PREPARED, handle),
        any_of("TicketStatementQuery", b"x" * 16),
        any_of("ActionCreatePreparedStatementRequest", "select 1"),
        any_of("ActionEndTransactionRequest", b"x" * 16, 1),
    ]
    actions = ("CreatePreparedStatement", "ClosePreparedStatement", "BeginTransaction")
    actions += ("EndTransaction", "CancelQuery", "CancelFlightInfo")
    answered = 0
    for _ in range(1_500):
        body = bytearray(dice.choice(whole))
        for _ in range(dice.randrange(1, 4)):
            match dice.randrange(3):
                case 0:
                    body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
                case 1:
                    del body[dice.randrange(len(body)) :]
                    body = body or bytearray(b"x")
                case 2:
                    body.insert(dice.randrange(len(body)), dice.randrange(256))
        body = bytes(body)
        try:
            match dice.randrange(4):
                case 0:
                    raw.info(body)
                case 1:
                    raw.get(body).read_all()
                case 2:
                    raw.act(dice.choice(actions), body)
                case 3:
                    raw.put(body, pyarrow.record_batch({"a": [1, None]}))
            answered += 1
        except (flight.FlightInternalError, flight.FlightUnavailableError) as error:
            raise AssertionError(f"{body!r}: {error}") from error
        except (pyarrow.ArrowException, KeyError, NotImplementedError):
            continue
    values = [
        pyarrow.array([[[1]]]),
        pyarrow.array([{"a": 1}]),
        pyarrow.array(["a"]).dictionary_encode(),
        pyarrow.array([None]),
        pyarrow.array(["9" * 400]),
        pyarrow.array([], pyarrow.int64()),
        pyarrow.array([1.5, float("nan")]),
        pyarrow.array([b"\xff"]),
        pyarrow.array(range(2_000)),
        pyarrow.array([2**63], pyarrow.uint64()),
    ]
    for value in values:
        try:
            raw.put(any_of(PREPARED, handle), pyarrow.record_batch({"a": value}))
            raw.rows(any_of(PREPARED, handle))
        except (flight.FlightInternalError, flight.FlightUnavailableError) as error:
            raise AssertionError(f"{value.type}: {error}") from error
        except pyarrow.ArrowException:
            continue
    assert raw.ask("select 1").num_rows == 1
    return f"{answered} of 1,500 were answered"


CHECKS = (every_command, columns, tickets, bad_tickets, broken_bytes)
