"""The Flight SQL port, by ADBC."""

import adbc_driver_flightsql.dbapi as adbc
import users
from client import Answer

# SQLSTATEs that ADBC has none of.
UNKNOWN = "\0\0\0\0\0"


class Flight:
    """A connection for one user."""

    def __init__(self, side, user):
        self.port, self.user = side.flight_port, user
        self.certificate = (side.folder.parent / "tls" / "server.pem").read_text()
        self.connection = self._connect()

    def _connect(self):
        return adbc.connect(
            f"grpc+tls://127.0.0.1:{self.port}",
            db_kwargs={
                "username": self.user,
                "password": users.PASSWORD,
                "adbc.flight.sql.client_option.tls_root_certs": self.certificate,
            },
            autocommit=True,
        )

    def ask(self, sql):
        """The rows as texts, or what the error says."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql)
                table = cursor.fetch_arrow_table()
        except adbc.Error as error:
            state = error.sqlstate if error.sqlstate != UNKNOWN else None
            return Answer(error={"state": state, "text": str(error)})
        columns = [(field.name, f"{field.type} {field.nullable}") for field in table.schema]
        lists = [column.to_pylist() for column in table.columns]
        rows = [tuple(None if v is None else str(v) for v in row) for row in zip(*lists)]
        return Answer(columns=columns, rows=rows)
