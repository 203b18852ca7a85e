"""Statements to a server by libpq, and their answers in a form that can be compared.

An answer is all that a client can see of it: names and types of columns, values as text, tags,
warnings, and of an error every field.
"""

import select
from dataclasses import dataclass, field

from psycopg import OperationalError, pq

FIELDS = {
    "severity": pq.DiagnosticField.SEVERITY_NONLOCALIZED,
    "state": pq.DiagnosticField.SQLSTATE,
    "text": pq.DiagnosticField.MESSAGE_PRIMARY,
    "detail": pq.DiagnosticField.MESSAGE_DETAIL,
    "hint": pq.DiagnosticField.MESSAGE_HINT,
    "position": pq.DiagnosticField.STATEMENT_POSITION,
    "table": pq.DiagnosticField.TABLE_NAME,
    "column": pq.DiagnosticField.COLUMN_NAME,
}
ROWS = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.SINGLE_TUPLE)
DONE = (*ROWS, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY)


@dataclass(eq=True)
class Answer:
    """What came of a statement, or of several."""

    error: dict | None = None
    columns: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    tags: list = field(default_factory=list)
    notices: list = field(default_factory=list)

    def comparable(self, ordered):
        """What has to be equal. Rows that were sent before an error do not count."""
        if self.error is not None:
            return ("error", sorted(self.error.items()), self.notices)
        rows = self.rows if ordered else sorted(self.rows, key=repr)
        return ("rows", self.columns, rows, self.tags, self.notices)

    def shown(self, most=12):
        """A text for people."""
        if self.error is not None:
            return f"{self.error}"
        head = ", ".join(name for name, _ in self.columns)
        rows = [f"{row}" for row in self.rows[:most]]
        more = f"… {len(self.rows)} rows" if len(self.rows) > most else ""
        return "\n".join([f"({head}) {' '.join(self.tags)}", *rows, more]).strip()

    def texts(self):
        """All texts that the client has seen."""
        parts = [name for name, _ in self.columns] + self.tags
        parts += [cell for row in self.rows for cell in row if isinstance(cell, str)]
        parts += [str(value) for value in (self.error or {}).values()]
        return parts + [str(value) for notice in self.notices for value in notice.values()]

    def values(self):
        """The first column, for checks of our own."""
        return [row[0] for row in self.rows]


def text_of(value):
    return None if value is None else value.decode("utf-8", "surrogateescape")


def told(result):
    """The fields of an error or a warning."""
    fields = {name: text_of(result.error_field(code)) for name, code in FIELDS.items()}
    return {name: value for name, value in fields.items() if value is not None}


class Refused(Exception):
    """The server did not let the client in."""


class Client:
    """A connection."""

    def __init__(self, port, user, password=None, **more):
        settings = {"host": "127.0.0.1", "port": port, "user": user, "dbname": "riskstream"}
        settings |= {"sslmode": "disable", "connect_timeout": 10, **more}
        if password is not None:
            settings["password"] = password
        quoted = {
            name: str(value).replace("\\", "\\\\").replace("'", "\\'")
            for name, value in settings.items()
        }
        info = " ".join(f"{name}='{value}'" for name, value in quoted.items())
        self.connection = pq.PGconn.connect(info.encode())
        if self.connection.status != pq.ConnStatus.OK:
            message = self.connection.error_message.decode(errors="replace")
            self.connection.finish()
            raise Refused(message.strip())
        self.notices = []
        self.connection.notice_handler = lambda result: self.notices.append(told(result))

    def close(self):
        self.connection.finish()

    def is_alive(self):
        return self.connection.status == pq.ConnStatus.OK

    def _collect(self, results):
        answer = Answer()
        for result in results:
            if result.status in ROWS:
                answer.columns += [
                    (text_of(result.fname(c)), result.ftype(c)) for c in range(result.nfields)
                ]
                answer.rows += [
                    tuple(text_of(result.get_value(row, c)) for c in range(result.nfields))
                    for row in range(result.ntuples)
                ]
            if result.status in DONE:
                answer.tags.append(text_of(result.command_status) or "")
            elif result.status == pq.ExecStatus.COPY_OUT:
                self._copy(answer)
            else:
                answer.error = told(result) or {"text": text_of(self.connection.error_message)}
        answer.notices, self.notices = self.notices, []
        return answer

    def _copy(self, answer):
        """The lines of a COPY; in the binary form all of it as one."""
        while True:
            length, data = self.connection.get_copy_data(0)
            if length <= 0:
                return
            answer.rows.append((bytes(data).decode("latin-1"),))

    def _results(self):
        while True:
            # Waiting within libpq would keep other threads of Python from their turn.
            while self.connection.status == pq.ConnStatus.OK and self.connection.is_busy():
                select.select([self.connection.socket], [], [])
                try:
                    self.connection.consume_input()
                except OperationalError:
                    break
            result = self.connection.get_result()
            if result is None:
                return
            yield result
            if self.connection.status != pq.ConnStatus.OK:
                return

    def simple(self, sql):
        """One message of the simple protocol, also of several statements."""
        self.connection.send_query(sql.encode())
        return self._collect(self._results())

    def extended(self, sql, values=(), types=None, binary=False):
        """Parse, Bind, Describe, Execute and Sync at once; values as text."""
        self.connection.send_query_params(
            sql.encode(),
            [None if value is None else str(value).encode() for value in values],
            param_types=types,
            result_format=pq.Format.BINARY if binary else pq.Format.TEXT,
        )
        return self._collect(self._results())

    def prepare(self, name, sql):
        self.connection.send_prepare(name.encode(), sql.encode())
        return self._collect(self._results())

    def describe(self, name):
        """The parameters and columns of a prepared statement."""
        self.connection.send_describe_prepared(name.encode())
        answer = Answer()
        for result in self._results():
            if result.status == pq.ExecStatus.COMMAND_OK:
                answer.columns = [
                    (text_of(result.fname(c)), result.ftype(c)) for c in range(result.nfields)
                ]
                answer.rows = [(f"{result.param_type(p)}",) for p in range(result.nparams)]
            else:
                answer.error = told(result)
        return answer

    def execute(self, name, values=()):
        self.connection.send_query_prepared(
            name.encode(), [None if value is None else str(value).encode() for value in values]
        )
        return self._collect(self._results())

    def cancel(self):
        """What stops the statement that runs."""
        return self.connection.get_cancel()
