#!/usr/bin/env python3
"""Runs the statements of the dashboards in packaging/grafana beside PostgreSQL, macros expanded.

    grafana.py --binary PATH [--only fraud,lender]

Expands Grafana's macros and variables as its PostgreSQL data source does, asks our port and
PostgreSQL 15 over the same rows, and compares columns and rows. A panel of time has a column `time`
and shows something in the range of the data. Ends with 1 where a statement fails or differs.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

DASHBOARDS = HERE.parent.parent.parent / "packaging" / "grafana"
SOURCE = "grafana-postgresql-datasource"
# All that the rows of the proof hold, as a dashboard's range, and a panel's interval in it.
RANGE = ("2018-01-01T00:00:00Z", "2030-12-31T23:59:59.999Z")
INTERVAL = "1h"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(interval):
    """The seconds of `5m` or `'1h'`."""
    found = re.fullmatch(r"'?(\d+)([smhdw])'?", interval.strip())
    return int(found[1]) * UNITS[found[2]]


def expanded(sql, variables=None):
    """A statement as the data source sends it."""
    for name, values in (variables or {}).items():
        quoted = ",".join("'" + str(value).replace("'", "''") + "'" for value in values)
        sql = sql.replace("${%s:sqlstring}" % name, quoted)
    sql = sql.replace("$__interval", INTERVAL)
    begin, end = RANGE

    def macro(found):
        name, given = found[1], [part.strip() for part in found[2].split(",")]
        if name in ("timeGroup", "timeGroupAlias"):
            step = seconds(given[1])
            alias = ' AS "time"' if name.endswith("Alias") else ""
            return f"floor(extract(epoch from {given[0]})/{step})*{step}{alias}"
        if name == "timeFilter":
            return f"{given[0]} BETWEEN '{begin}' AND '{end}'"
        if name == "timeFrom":
            return f"'{begin}'"
        if name == "timeTo":
            return f"'{end}'"
        if name == "timeEpoch":
            return f'extract(epoch from {given[0]}) as "time"'
        raise ValueError(f"the macro $__{name} is not known here")

    return re.sub(r"\$__(\w+)\(([^()]*)\)", macro, sql)


def ask(server, sql):
    """Names and rows, by the simple protocol as Grafana's driver may."""
    import psycopg

    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="riskstream", dbname="riskstream", autocommit=True
    ) as connection:
        cursor = connection.execute(sql)
        return [column.name for column in cursor.description], cursor.fetchall()


def wrong(sql, server):
    """What is wrong with a statement with macros, at one server; or None."""
    import psycopg

    try:
        names, rows = ask(server, expanded(sql))
    except psycopg.Error as problem:
        return str(problem)
    return None if rows and "time" in names else f"no rows of time: {names}"


def statements(dashboard):
    """The variables' statements by their names, and the panels' by their titles."""
    variables = {
        variable["name"]: variable["query"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query" and variable["datasource"]["type"] == SOURCE
    }
    panels = [
        (f"{panel['title']} {target['refId']}", target)
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
        if (panel.get("datasource") or {}).get("type") == SOURCE
    ]
    return variables, panels


def same(one, other):
    """Rows in any order: numbers are equal to nine digits, times as they are."""

    def shown(value):
        if isinstance(value, (bool, str)) or value is None:
            return value
        try:
            return f"{float(value):.9g}"
        except (TypeError, ValueError):
            return str(value)

    rows = [sorted(str([shown(v) for v in row]) for row in answer) for answer in (one, other)]
    return rows[0] == rows[1]


def compare(title, sql, needs_time, servers):
    """What is wrong with a panel, or None."""
    import psycopg

    names, rows = ask(servers.postgres, sql)
    try:
        our_names, our_rows = ask(servers.ours, sql)
    except psycopg.Error as problem:
        return f"fails: {problem}"
    if needs_time and "time" not in names:
        return f"has no column `time`: {names}"
    if not rows:
        return "shows nothing"
    if names != our_names:
        return f"names {our_names}, PostgreSQL {names}"
    if not same(rows, our_rows):
        return f"rows differ: {our_rows[:3]}, PostgreSQL {rows[:3]}"
    return None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True, help="the riskstream program")
    parser.add_argument("--only", default="", help="names of files, with commas between")
    options = parser.parse_args()
    import install
    from clients import DRIVERS

    install.within(DRIVERS)
    import world

    only = options.only.split(",") if options.only else None
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="riskstream-grafana-") as work:
        with world.World(options.binary, work) as servers:
            for path in sorted(DASHBOARDS.glob("*.json")):
                if only and path.stem not in only:
                    continue
                variables, panels = statements(json.loads(path.read_text()))
                values = {
                    name: [row[0] for row in ask(servers.postgres, sql)[1]]
                    for name, sql in variables.items()
                }
                checks = [(f"variable {name}", sql, False) for name, sql in variables.items()]
                for title, target in panels:
                    needs_time = target["format"] == "time_series"
                    checks.append((title, expanded(target["rawSql"], values), needs_time))
                for title, sql, needs_time in checks:
                    problem = compare(title, sql, needs_time, servers)
                    failed, passed = failed + bool(problem), passed + (not problem)
                    if problem:
                        print(f"{path.name}: {title}: {problem}\n{sql}\n", flush=True)
    print(f"statements: {passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
