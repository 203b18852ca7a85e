"""psql 15: its backslash commands and its own ways of running statements, text by text."""

import os
import re
import signal
import subprocess
import time

import tests
from tests import test

# What no two servers have in common.
PATTERNS = (
    (r"\b\d{5,10}\b", "N"),
    (r"\d\d:\d\d:\d\d\.\d+", "T"),
    (r"Time: [0-9.,]+ ms.*", "Time"),
    (r"port \"\d+\"", "port"),
    (r"\d+ (bytes|kB|MB)", "SIZE"),
    (r"server version [0-9.]+[^\n]*", "server version"),
)


def psql(*commands, arguments=(), environment=None, stdin=None):
    """What psql prints for commands, one after another."""
    flags = [part for command in commands for part in ("-c", command)]
    done = subprocess.run(
        ["psql", "-X", "-q", *arguments, *flags],
        capture_output=True,
        text=True,
        timeout=15,
        input=stdin,
        env={**os.environ, "PSQL_PAGER": "", **(environment or {})},
    )
    text = done.stdout + done.stderr
    text = "\n".join(line for line in text.splitlines() if not line.startswith("WARNING: psql"))
    for pattern, instead in PATTERNS:
        text = re.sub(pattern, instead, text)
    text = text.replace("             Some psql features might not work.", "")
    return [done.returncode, text.strip().splitlines()]


def ours(*words):
    """Of a listing only the lines with these words, and its head."""

    def keep(answer):
        code, lines = answer
        kept = [line for line in lines if any(word in line for word in words)]
        return [code, lines[1:2], [re.sub(r" +", " ", line) for line in kept]]

    return keep


NAMES = ours("all_types", "portfolio_now", "payments_scored", "loan_updated")
COMMANDS = {
    "\\d": NAMES,
    "\\d+": NAMES,
    "\\dt": NAMES,
    "\\dt+": NAMES,
    "\\dv": NAMES,
    "\\dv+": NAMES,
    "\\dt public.*": NAMES,
    "\\dt *.all_types": None,
    "\\d all_types": None,
    "\\d+ all_types": None,
    "\\d public.all_types": None,
    "\\d portfolio_now": None,
    "\\d nothing_here": None,
    "\\d all*": None,
    "\\dn": ours("public"),
    "\\dn+": ours("public"),
    "\\l": ours("riskstream"),
    "\\l+": ours("riskstream"),
    "\\list risk*": ours("riskstream"),
    "\\du": ours("riskstream"),
    "\\du+": ours("riskstream"),
    "\\dg": ours("riskstream"),
    "\\z all_types": None,
    "\\dp all_types": None,
    "\\df now_here": None,
    "\\df": None,
    "\\da nothing": None,
    "\\dT": None,
    "\\dT+ int4": None,
    "\\dT pg_catalog.int4": None,
    "\\do nothing": None,
    "\\di": None,
    "\\ds": None,
    "\\dm": None,
    "\\dE": None,
    "\\dD": None,
    "\\dx": None,
    "\\dx plpgsql": None,
    "\\dy": None,
    "\\dC int4": None,
    "\\dc nothing": None,
    "\\dO nothing": None,
    "\\dd all_types": None,
    "\\ddp": None,
    "\\des": None,
    "\\det": None,
    "\\deu": None,
    "\\dew": None,
    "\\dF nothing": None,
    "\\dL": None,
    "\\drds": None,
    "\\dRp": None,
    "\\dRs": None,
    "\\dX": None,
    "\\dA": None,
    "\\dA+ btree": None,
    "\\dAc btree int4": None,
    "\\dAf btree int4": None,
    "\\dAo btree nothing": None,
    "\\dAp btree nothing": None,
    "\\dP": None,
    "\\db": ours("pg_default"),
    "\\dconfig TimeZone": None,
    "\\dconfig+ statement_timeout": None,
    "\\sv portfolio_now": lambda answer: answer[0],
    "\\sf array_in": lambda answer: answer[0],
    "\\conninfo": lambda answer: [answer[0], "riskstream" in "".join(answer[1])],
    "\\encoding": None,
    "\\timing on": None,
    "\\c riskstream": None,
    "\\c nothing_here": ours("does not exist"),
    "\\password": lambda answer: answer[0],
    "\\lo_list": None,
    "\\watch": lambda answer: answer[0],
}
for command, keep in COMMANDS.items():
    feature = "current" if command.startswith("\\l") else "reflection"
    test(
        feature,
        command,
        lambda command=command, keep=keep: (keep or (lambda a: a))(psql(command, stdin="")),
        2,
    )


# Statements
SQL = {
    "simple": ["select 1; select 2", "select 1 \\; select 2, 'x'", "begin; select 1; commit"],
    "empty": ["", ";", "-- ping", "/* a */"],
    "errors": [],
}
for feature in ("simple", "empty"):
    for sql in SQL[feature]:
        test(feature, repr(sql), lambda sql=sql: psql(sql))
for sql in (
    "selec 1",
    "select nothing from all_types",
    "select * from nothing_here",
    "select 1/0",
    "select 'a'::int4",
    "insert into all_types (id) values (1)",
    "select nothing_like_it(1)",
    "select 1 +",
    "select id from all_types order by nothing",
):

    def message(sql=sql):
        code, lines = psql(sql)
        return [code, lines[:1]]

    test("sqlstates", f"text of {sql}", message)
test("position", "the line under a syntax error", lambda: psql("select 1 from\n all_types wher id"))
test(
    "sqlstates",
    "\\errverbose",
    lambda: [
        line for line in psql(stdin="\\set VERBOSITY sqlstate\nselect 1/0;\nselect nothing;\n")[1]
    ],
)
for name, sql in (
    ("aligned", "select * from all_types where id > 3 order by id"),
    ("\\x", "\\x on"),
    ("\\gdesc", "select id, at, money, 1::int4 as a from all_types \\gdesc"),
    ("\\gset", "select 5::int4 as five \\gset\n\\echo :five"),
    ("\\gexec", "select 'select ' || id from all_types where id < 3 order by id \\gexec"),
    ("\\crosstabview", "select id, flag, i4 from all_types where id > 3 order by 1 \\crosstabview"),
    ("\\g csv", "\\pset format csv\nselect id, txt from all_types where id in (3, 4) order by id;"),
    ("variables", "\\set n 3\nselect id from all_types where id = :n and txt <> :'n';"),
    ("FETCH_COUNT", "\\set FETCH_COUNT 2\nselect id from all_types order by id;"),
    ("ON_ERROR_ROLLBACK", "\\set ON_ERROR_ROLLBACK on\nbegin;\nselect 1/0;\nselect 2;\ncommit;"),
    ("AUTOCOMMIT off", "\\set AUTOCOMMIT off\nselect 1;\nselect 1/0;\nselect 2;\nrollback;"),
    ("\\copy", "\\copy (select id, txt from all_types where id = 4) to stdout csv header"),
    ("\\copy table", "\\copy all_types (id, money) to stdout"),
    ("\\i", "\\echo :SERVER_VERSION_NUM\n\\if 1\nselect 1;\n\\endif"),
    ("prepare", "prepare p(int4) as select $1 + 1::int4;\nexecute p(2);\ndeallocate p;"),
    (
        "cursor",
        "begin;\ndeclare c cursor for select id from all_types order by id;\nfetch 2 from c;\n"
        "fetch all from c;\ncommit;",
    ),
    (
        "timeout",
        "set statement_timeout = 200;\nselect pg_sleep(5);\nset statement_timeout = 0;\nselect 1;",
    ),
    (
        "show all",
        "show statement_timeout;\nset time zone 'Asia/Tokyo';\n"
        "select at from all_types where id = 6;",
    ),
    ("copy binary", "copy (select 1::int4) to stdout (format binary);"),
):
    feature = {
        "cursor": "cursors",
        "FETCH_COUNT": "cursors",
        "\\copy": "copy-text",
        "prepare": "prepare",
        "\\copy table": "copy-text",
        "timeout": "timeout",
        "copy binary": "copy-binary",
        "ON_ERROR_ROLLBACK": "savepoints",
        "AUTOCOMMIT off": "status",
        "\\gdesc": "describe",
        "show all": "settings",
    }.get(name, "simple")
    if name == "\\x":
        test(
            feature,
            name,
            lambda: psql(arguments=("-x",), stdin="select * from all_types where id = 4;"),
        )
    elif name == "\\i":
        test(feature, name, lambda sql=sql: psql(stdin=sql)[1][1:])
    else:
        test(feature, name, lambda sql=sql: psql(stdin=sql + "\n"))
test("simple", "one transaction (-1)", lambda: psql("select 1", "select 2", arguments=("-1",)))
test(
    "simple",
    "csv (--csv)",
    lambda: psql("select * from all_types order by id", arguments=("--csv",)),
)
test("tables", "unaligned", lambda: psql("select * from all_types order by id", arguments=("-At",)))
test(
    "tables",
    "json",
    lambda: psql("select row_to_json(a) from all_types a where id = 4", arguments=("-At",)),
)
test(
    "startup",
    "PGOPTIONS",
    lambda: psql("show statement_timeout", environment={"PGOPTIONS": "-c statement_timeout=3s"}),
)
test(
    "startup",
    "PGTZ",
    lambda: psql("select at from all_types where id = 6", environment={"PGTZ": "Asia/Tokyo"}),
)
test(
    "startup",
    "client_encoding",
    lambda: psql("show client_encoding", environment={"PGCLIENTENCODING": "UTF8"}),
)
USERS = {
    "PGPORT": str(tests.USERS_PORT),
    "PGUSER": tests.USERS_NAME,
    "PGPASSWORD": tests.USERS_PASSWORD,
}


def signed_in(**more):
    code, lines = psql("select count(*) from all_types", environment={**USERS, **more})
    text = "\n".join(lines)
    return [code, text[text.find("FATAL") :].split("\n")[0] if "FATAL" in text else lines]


test("password", "right", signed_in)
test("password", "wrong", lambda: signed_in(PGPASSWORD="wrong"))
test("password", "no such user", lambda: signed_in(PGUSER="nobody_here"))
test("database", "unknown", lambda: signed_in(PGDATABASE="nothing_here"))
test("ssl", "sslmode=require", lambda: signed_in(PGSSLMODE="require"))
test(
    "ssl",
    "sslmode=verify-full",
    lambda: signed_in(
        PGSSLMODE="verify-full", PGSSLROOTCERT=f"{os.environ['RISKSTREAM_WORK']}/server.crt"
    ),
)
test("ssl", "sslmode=disable", lambda: signed_in(PGSSLMODE="disable"))


def interrupted(sql):
    """Ctrl-C while a statement runs; psql goes on with the next."""

    def run():
        process = subprocess.Popen(
            ["psql", "-X", "-q", "-At"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        process.stdin.write(sql + ";\n")
        process.stdin.flush()
        time.sleep(1)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate("select 'next';\n", timeout=15)
        return [out.splitlines(), time.monotonic() - began < 2]

    return run


test("cancel", "Ctrl-C in pg_sleep", interrupted("select pg_sleep(20)"))
test(
    "cancel",
    "Ctrl-C in a join",
    interrupted("select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b"),
)
for case in tests.cases(
    "current",
    "functions",
    "text-functions",
    "casts",
    "forms",
    "catalog-rows",
    "types",
    "settings",
    "zone",
    "float-digits",
):

    def ask(case=case):
        return psql(*case["before"], case["sql"].rstrip(";"), arguments=("-At", "-F", "|"))

    # One statement in five: psql starts anew for each.
    if sum(case["case"].encode()) % 5 == 0:
        test(case["feature"], case["case"], ask)
