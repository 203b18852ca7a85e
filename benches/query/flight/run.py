#!/usr/bin/env python3
"""Whether foreign clients of Arrow Flight SQL get what they should: ADBC's driver (in Go), Arrow's
JDBC driver, and pyarrow's Flight client (in C++) for what a driver would not send.

    run.py [--binary PATH] [--rows 1000000] [--only WORDS]

Makes a folder of two lenders' payments and users, serves it, and asks. Needs PyPI's
adbc-driver-flightsql, adbc-driver-manager, pyarrow and psycopg[binary], and openssl; for JDBC Java
and Maven. One line for each check; exit code 1 if one failed.
"""

import argparse
import sys
import tempfile

import commands
import doors
import jdbc
import load
import sql
from checking import Checks
from world import World


def ended_well(checks):
    """The server ends as asked, and nothing in it has panicked."""
    code = checks.server.end()
    said = checks.server.said()
    assert code == 0, f"exit code {code}: {said[-2000:]}"
    for word in ("panicked", "stack overflow", "did not end in time"):
        assert word not in said, said[said.index(word) - 500 :][:2000]


def main():
    """Serves, checks, says what failed."""
    form = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--binary", default="riskstream")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large answer")
    parser.add_argument("--only", default="", help="only checks whose names contain this")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="riskstream-flight-") as folder:
        world = World(arguments.binary, folder)
        checks = Checks(world, world.serve(), arguments.rows)
        try:
            for module in (doors, sql, commands, jdbc, load):
                for check in module.CHECKS:
                    if arguments.only in f"{check.__name__} {check.__doc__}":
                        checks.check(check)
            checks.check(ended_well)
        finally:
            checks.server.end()
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
