"""Flight's own calls, by pyarrow: what a driver would not send, and exactly what comes back."""

import pyarrow
import pyarrow.flight as flight
import world
from wire import any_of, fields, message, unpacked

TIMEOUT_S = 30
PREPARE = "ActionCreatePreparedStatementRequest"


def schema_of(body):
    """The schema in bytes of a message."""
    return pyarrow.ipc.read_schema(pyarrow.py_buffer(body))


class Raw:
    """A client, signed in or not."""

    def __init__(self, server, name=None, token=None, **more):
        self.client = flight.connect(server.uri, **more)
        self.headers = []
        if name:
            said = world.password(name)
            self.headers = [self.client.authenticate_basic_token(name, said)]
        if token:
            self.headers = [(b"authorization", f"Bearer {token}".encode())]

    @property
    def options(self):
        """Of each call."""
        return flight.FlightCallOptions(timeout=TIMEOUT_S, headers=self.headers)

    def info(self, command):
        """GetFlightInfo of a command."""
        return self.client.get_flight_info(
            flight.FlightDescriptor.for_command(command), self.options
        )

    def schema(self, command):
        """GetSchema of a command."""
        descriptor = flight.FlightDescriptor.for_command(command)
        return self.client.get_schema(descriptor, self.options).schema

    def get(self, ticket):
        """DoGet of a ticket, or of its bytes."""
        if not isinstance(ticket, flight.Ticket):
            ticket = flight.Ticket(ticket)
        return self.client.do_get(ticket, self.options)

    def rows(self, command):
        """All rows of a command, whose columns must be those that were told, in each call."""
        info = self.info(command)
        [endpoint] = info.endpoints
        table = self.get(endpoint.ticket).read_all()
        for told in (info.schema, self.schema(command)):
            assert table.schema.equals(told, check_metadata=True), (table.schema, told)
        return table

    def ask(self, sql):
        """The rows of a statement."""
        return self.rows(any_of("CommandStatementQuery", sql))

    def act(self, kind, body):
        """DoAction: the bodies that come."""
        results = self.client.do_action(flight.Action(kind, body), self.options)
        return [result.body.to_pybytes() for result in results]

    def put(self, command, batch):
        """DoPut of rows: what the server says of them."""
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, reader = self.client.do_put(descriptor, batch.schema, self.options)
        with writer:
            writer.write_batch(batch)
            writer.done_writing()
            said = reader.read()
        return said.to_pybytes() if said else None

    def prepare(self, sql):
        """CreatePreparedStatement: handle, columns, parameters."""
        [body] = self.act("CreatePreparedStatement", any_of(PREPARE, sql))
        found = unpacked(body)
        schemas = [schema_of(found[number][0]) for number in (2, 3)]
        return found[1][0], *schemas

    def cancel(self, info):
        """CancelFlightInfo of a FlightInfo in bytes: 1 is cancelled, 3 can't be."""
        [body] = self.act("CancelFlightInfo", message(info))
        return fields(body)[1][0]
