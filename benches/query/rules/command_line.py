"""`riskstream query --as USER`: the same rights as through the ports."""

import json
import subprocess

import rows as made

QUERIES = [
    "select count(*) as n from loans",
    "select id, holder, contact, iban from loans order by id",
    "select * from secrets",
    "select * from nix",
    "select id from loans where cast(code as int) > 0 order by id",
    "select 10 / odd_zero from loans",
    "select * from '/etc/passwd'",
    "select * from dead_letters",
    "select epoch()",
    "explain select id from loans where lender_id = 'B'",
    "show tables",
]


def asked(side, user, sql):
    command = [side.binary, "query", sql, "--config", str(side.config), "--format", "ndjson"]
    done = subprocess.run([*command, "--as", user], capture_output=True, text=True, check=False)
    said = done.stderr.replace(str(side.folder), "{side}")
    return done.returncode, done.stdout, said


def checks(world):
    """What is wrong with the command line; nothing where it has no `--as`."""
    helped = subprocess.run(
        [world.full.binary, "query", "--help"], capture_output=True, text=True, check=True
    )
    if "--as" not in helped.stdout:
        print("command line: `riskstream query` has no --as")
        return
    for sql in QUERIES:
        full, ours = (asked(side, "acme", sql) for side in world.sides)
        if full != ours:
            yield sql, f"full {full}; ours {ours}"
    code, said, _ = asked(world.full, "acme", QUERIES[0])
    wanted = sum(row["lender_id"] == made.LENDER for part in world.rows.loans for row in part)
    if code != 0 or json.loads(said)["n"] != wanted:
        yield "the number of loans", f"{code}: {said}"
    code, said, error = asked(world.full, "no such user", QUERIES[0])
    if code == 0:
        yield "a user that is not there", f"sees {said}{error}"
