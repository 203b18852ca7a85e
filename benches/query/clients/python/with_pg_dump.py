"""pg_dump 15: refused, or answered without opening rows that were not granted."""

import os
import re
import subprocess

import tests
from tests import test


def dump(*arguments, **more):
    done = subprocess.run(
        ["pg_dump", *arguments],
        capture_output=True,
        text=True,
        timeout=15,
        env={**os.environ, **more},
    )
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("--")]
    said = re.sub(r"\d+", "N", " ".join(done.stderr.split()))
    return [done.returncode, len(lines) > 0, said[:200]]


test("dump", "a table's rows", lambda: dump("-a", "-t", "all_types"))
test("dump", "a schema", lambda: dump("-s"))
test("dump", "one table's schema", lambda: dump("-s", "-t", "all_types"))
test(
    "dump",
    "as the reader",
    lambda: dump(
        "-a",
        "-t",
        "all_types",
        PGPORT=str(tests.USERS_PORT),
        PGUSER=tests.USERS_NAME,
        PGPASSWORD=tests.USERS_PASSWORD,
    ),
)
test(
    "dump",
    "usable afterwards",
    lambda: subprocess.run(
        ["psql", "-XAtq", "-c", "select count(*) from all_types"], capture_output=True, text=True
    ).stdout,
)
