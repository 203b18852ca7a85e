"""What checks share: users' connections by ADBC, and what must be refused."""

import time

import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager
import world


class Checks:
    """Runs checks against a server and remembers what failed."""

    def __init__(self, made, server, rows):
        self.world, self.server, self.rows = made, server, rows
        self.failed = 0

    def connect(self, name, autocommit=True, **more):
        """A connection of a user."""
        options = {"username": name, "password": world.password(name), **more}
        return flight_sql.connect(self.server.uri, db_kwargs=options, autocommit=autocommit)

    def ask(self, name, sql, parameters=None):
        """The rows of a statement of a user."""
        with self.connect(name) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def check(self, check):
        """Runs one, and says how it went."""
        name = check.__doc__.split("\n")[0].rstrip(".")
        began = time.monotonic()
        try:
            said = check(self) or ""
        except Exception as error:  # whatever it is, the others go on
            self.failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
            return
        print(f"ok     {name} ({time.monotonic() - began:.2f} s) {said}".rstrip(), flush=True)


def refused(call, words, kinds=adbc_driver_manager.Error):
    """That a call fails, with these words; the error."""
    try:
        got = call()
    except kinds as error:
        assert words in str(error), f"{words!r} is not in {error}"
        return error
    raise AssertionError(f"nothing was refused but {got!r} given; expected {words!r}")
