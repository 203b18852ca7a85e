"""pgbench 15: its three protocols, with a script of its own."""

import os
import re
import subprocess
from pathlib import Path

from tests import test

SCRIPT = """\\set n random(1, 6)
select id, txt from all_types where id = :n;
"""
PIPELINE = """\\set n random(1, 6)
\\startpipeline
select id from all_types where id = :n;
select count(*) from all_types;
\\endpipeline
"""
place = Path(os.environ["RISKSTREAM_WORK"])


def bench(text, *arguments):
    path = place / f"pgbench-{os.getpid()}.sql"
    path.write_text(text)
    done = subprocess.run(
        ["pgbench", "-n", "-f", str(path), "-t", "20", *arguments],
        capture_output=True,
        text=True,
        timeout=55,
    )
    processed = re.search(r"actually processed: (\S+)", done.stdout)
    failed = re.search(r"failed transactions: (\d+)", done.stdout)
    said = "" if done.returncode == 0 else done.stderr[-300:]
    return [done.returncode, processed and processed[1], failed and failed[1], said]


for protocol in ("simple", "extended", "prepared"):
    test("bench", protocol, lambda p=protocol: bench(SCRIPT, "-M", p))
    test(
        "bench",
        f"{protocol}, 4 clients",
        lambda p=protocol: bench(SCRIPT, "-M", p, "-c", "4", "-j", "2"),
    )
test("bench", "pipeline", lambda: bench(PIPELINE, "-M", "prepared"))
test("bench", "a new connection each", lambda: bench(SCRIPT, "-C", "-M", "simple"))
test(
    "bench",
    "transactions",
    lambda: bench("begin;\nselect count(*) from all_types;\nselect 1;\nend;\n", "-M", "prepared"),
)
test(
    "bench",
    "\\gset",
    lambda: bench(
        "select max(id) as m from all_types \\gset\nselect id from all_types where id = :m;\n"
    ),
)
