"""dbt: a project whose sources are our tables: debug, show, compile, docs, a source's tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import tests
from tests import test

place = Path(os.environ["RISKSTREAM_WORK"]) / f"dbt-{tests.PORT}"
PROFILE = """
clients:
  target: dev
  outputs:
    dev:
      type: postgres
      host: {host}
      port: {port}
      user: {user}
      password: ""
      dbname: {database}
      schema: public
      threads: 1
"""
PROJECT = """
name: clients
version: "1"
profile: clients
model-paths: [models]
flags:
  send_anonymous_usage_stats: false
"""
SOURCES = """
version: 2
sources:
  - name: bank
    schema: public
    tables:
      - name: all_types
        columns:
          - name: id
            data_tests: [unique, not_null]
          - name: flag
            data_tests:
              - accepted_values:
                  arguments: {values: [true, false], quote: false}
      - name: portfolio_now
"""
MODEL = "select id, txt from {{ source('bank', 'all_types') }} where id > 3\n"


def dbt(*arguments):
    if not place.exists():
        (place / "models").mkdir(parents=True)
        (place / "profiles.yml").write_text(
            PROFILE.format(
                host=tests.HOST, port=tests.PORT, user=tests.USER, database=tests.DATABASE
            )
        )
        (place / "dbt_project.yml").write_text(PROJECT)
        (place / "models/sources.yml").write_text(SOURCES)
        (place / "models/some.sql").write_text(MODEL)
    program = Path(sys.executable).parent / "dbt"
    done = subprocess.run(
        [str(program), "--no-use-colors", *arguments, "--profiles-dir", "."],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=85,
    )
    lines = [re.sub(r"^\d\d:\d\d:\d\d\s*", "", line) for line in done.stdout.splitlines()]
    lines = [re.sub(r"[\d.]+ ?s(econds)?\b|\d+h? hours.*", "", line) for line in lines]
    lines = [line for line in lines if "port" not in line and "Running with" not in line]
    kept = ("PASS", "ERROR", "FAIL", "|", "Connection test", "Database Error", "does not")
    return [done.returncode, [line for line in lines if any(word in line for word in kept)]]


test("tool-start", "debug", lambda: dbt("debug", "--connection"))
test("tables", "show a model", lambda: dbt("show", "--select", "some", "--limit", "5"))
test(
    "tables",
    "show inline",
    lambda: dbt(
        "show", "--inline", "select count(*) as n from {{ source('bank', 'portfolio_now') }}"
    ),
)
test("tables", "tests of a source", lambda: dbt("test", "--select", "source:bank"))
test("reflection", "docs generate", lambda: dbt("docs", "generate", "--no-compile"))
shutil.rmtree(place, ignore_errors=True)
