"""Checks with an expectation of their own, where comparing two servers does not do.

Each gives pairs of what is checked and what is wrong with it; nothing where all is well.
"""

import os
import random
import shutil
import socket
import stat
import struct
import threading
import time

import rows as made
import users
from client import Client, Refused
from compare import Pair

# How soon a changed users file has to count.
RELOAD_S = 5
# A little longer than between two looks at it.
LOOK_S = 1.5


def connect(world, user, **more):
    return Client(world.full.port, user, users.PASSWORD, **more)


def found(client, sql):
    """The first column, or the error."""
    answer = client.simple(sql)
    return answer.values() if answer.error is None else answer.error


def expect(what, wanted, got):
    if wanted != got:
        yield what, f"expected {str(wanted)[:300]}, found {str(got)[:600]}"


def odd_lenders(world):
    """Each lender sees the rows whose text is its own, byte by byte, and no others."""
    for name, lender in users.ODD_USERS.items():
        client = connect(world, name)
        wanted = [str(row["odd_id"]) for row in world.rows.odd if row["lender_id"] == lender]
        got = found(client, "select odd_id from odd order by odd_id")
        yield from expect(f"rows of lender {lender!r}", wanted, got)
        loans = sum(row["lender_id"] == lender for part in world.rows.loans for row in part)
        got = found(client, "select count(*) from loans")
        yield from expect(f"loans of lender {lender!r}", [str(loans)], got)
        client.close()


def users_with_less(world):
    """Users without attributes, without roles, and with limits."""
    nobody = connect(world, "nobody")
    for table in ("loans", "payments", "book", "book_now", "odd", "accounts"):
        yield from expect(
            f"{table} of who has no lender", ["0"], found(nobody, f"select count(*) from {table}")
        )
        yield from expect(f"rows of {table}", [], found(nobody, f"select * from {table}"))
    roleless = connect(world, "roleless")
    for table in ("loans", "secrets", "nix", "book_now"):
        answer = roleless.simple(f"select * from {table}")
        wanted = {"severity": "ERROR", "state": "42P01", "hint": "there are none"}
        wanted["position"] = "15"
        wanted["text"] = f'relation "{table}" does not exist'
        yield from expect(f"{table} of who has no role", wanted, answer.error)
    got = found(
        roleless, "select count(*) from information_schema.tables where table_schema = 'public'"
    )
    yield from expect("tables in the catalog of who has no role", ["0"], got)
    few = Pair(world, "few")
    for sql in (
        "select id from loans",
        "select id from loans limit 50",
        "select count(*) from loans",
    ):
        full, ours = few.both(lambda client, _side, sql=sql: client.simple(sql))
        wanted = None if full.error is None else full.error.get("state")
        yield from expect(f"{sql} within 50 rows", ours.error, full.error)
        yield from expect(
            f"{sql}: state",
            "53400" if sql.endswith("loans") and "count" not in sql else None,
            wanted,
        )
    few.close()
    for client in (nobody, roleless):
        client.close()


def two_roles(world):
    """Rows of either role, each masked as the role that shows it says."""
    client = connect(world, "partner")
    answer = client.simple("select id, key, holder, contact, lender_id from loans order by id")
    wanted = []
    for row in sorted((row for part in world.rows.loans for row in part), key=lambda r: r["id"]):
        if row["lender_id"] == made.LENDER:
            wanted.append((str(row["id"]), row["key"], None, "***", "A"))
        elif row["lender_id"] == "B":
            wanted.append((str(row["id"]), None, row["holder"], row["contact"], "B"))
    yield from expect("rows of two roles", wanted, answer.rows)
    client.close()


def newest_revisions(world):
    """`NAME_now` under rules that name it, and with a mask on a part of its key."""
    acme = connect(world, "acme")
    count = found(acme, "select count(*) from book_now")
    client = connect(world, "masks-now")
    got = found(client, "select count(cents) from book_now")
    yield from expect("values of book_now that a mask of book_now hides", ["0"], got)
    client.close()
    client = connect(world, "rows-now")
    for table in ("book_now", "book"):
        sql = f"select count(*) from {table} where lender_id <> 'A' or lender_id is null"
        answer = client.simple(sql)
        if answer.error is None and answer.values() != ["0"]:
            yield f"a rule of rows of book_now alone, {table}", f"{answer.values()} of others"
    client.close()
    client = connect(world, "keyless")
    got = found(client, "select count(*) from book_now")
    yield from expect("rows of book_now where a part of its key is masked", count, got)
    got = found(client, "select count(currency) from book_now")
    yield from expect("currencies that are masked", ["0"], got)
    for each in (client, acme):
        each.close()


def dead_letters(world):
    """Records of others that could not be read are not granted by a `*`."""
    client = connect(world, "starred")
    answer = client.simple("select count(*) from dead_letters")
    if answer.error is None and answer.values() != ["0"]:
        yield 'dead letters with `tables = ["*"]`', f"{answer.values()} records of all are seen"
    client.close()


def turns(world):
    """Who opens cursors and leaves them does not keep others from asking."""
    holders = [connect(world, "acme") for _ in range(40)]
    for client in holders:
        client.connection.send_query(
            b"declare c cursor with hold for select l.id from loans l, payments p, odd o"
        )
    time.sleep(1)
    other = connect(world, "other")
    other.simple("set statement_timeout = 10000")
    answer = other.simple("select count(*) from odd")
    yield from expect("a statement beside 40 open cursors of another user", None, answer.error)
    for client in [*holders, other]:
        client.close()
    time.sleep(0.5)


def own_statements(world):
    """`system.queries` and `system.audit` of a user hold its own statements."""
    watcher, other = connect(world, "watcher"), connect(world, "other")
    for number in range(5):
        found(other, f"select 'secret statement {number}', count(*) from loans")
        found(watcher, f"select 'mine {number}'")
        watcher.extended("select count(*) from loans where key = $1", ["secret parameter"])
    for sql in ("begin", "select 'within', count(*) from loans", "commit"):
        watcher.simple(sql)
    # The audit's lines come to the disk ten times a second.
    time.sleep(0.5)
    for table, user in (("queries", "user_name"), ("audit", '"user"')):
        names = f"select distinct {user} from system.{table}"
        yield from expect(f"users in system.{table}", ["watcher"], found(watcher, names))
        texts = found(watcher, f"select statement from system.{table}")
        bad = [text for text in texts if "secret" in text and "system." not in text]
        yield from expect(f"texts in system.{table}", [], bad)
    tables = found(watcher, "select tables from system.audit where statement like '%within%'")
    yield from expect(
        "tables of a statement in a transaction, in system.audit", "{loans}", tables[0]
    )
    mine = "where statement like 'SELECT ''mine %'"
    # These count the statements of everybody, or include what others' records are.
    for table, column in [("queries", "number"), ("audit", "sequence"), ("audit", "hash")]:
        told = set(found(watcher, f"select {column} from system.{table} {mine}"))
        yield from expect(f"{column} in system.{table}, which is hidden", {None}, told)
    runs = found(watcher, "select pipeline from system.runs")
    yield from expect("pipelines in system.runs", ["loans"], runs)
    denied = watcher.simple("select * from system.sinks").error
    yield from expect("system.sinks", "42P01", (denied or {}).get("state"))
    for client in (watcher, other):
        client.close()


def who_may_sign_in(world):
    """Names, passwords, databases and settings at the start."""
    port, password = world.full.port, users.PASSWORD
    refusals = set()
    for user, secret in [
        ("boss", "wrong"),
        ("acme", ""),
        ("acme", password + " "),
        ("nobody here", password),
        ("ACME", password),
        ("acme ", password),
        ("acme\x01", password),
    ]:
        try:
            Client(port, user, secret).close()
            yield f"{user!r} with {secret!r}", "is let in"
        except Refused as refused:
            # Without a password libpq does not even ask.
            if "FATAL:" in str(refused):
                text = str(refused).split("FATAL:")[-1].strip()
                refusals.add(text.replace(f'"{user}"', '""'))
    told = {text for text in refusals if "authentication failed" not in text}
    yield from expect("all refusals say the same", set(), told)
    for options in ("-c role=boss", "-c session_authorization=boss", "-c is_superuser=on"):
        try:
            client = Client(port, "acme", password, options=options)
        except Refused:
            continue
        got = found(
            client, "select current_user || ' ' || count(*) from loans group by current_user"
        )
        yield from expect(f"options {options}", ["acme 400"], got)
        client.close()
    for more in ({"dbname": "secrets"}, {"replication": "database"}):
        try:
            Client(port, "acme", password, **more).close()
            yield f"{more}", "is let in"
        except Refused:
            pass


def cancel(world):
    """Only the right key stops a statement, and only one's own connections can be stopped."""
    port = world.full.port
    runs, other = connect(world, "acme"), connect(world, "other")
    pid = int(found(runs, "select pg_backend_pid()")[0])
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(runs.simple("select pg_sleep(2)")))
    thread.start()
    time.sleep(0.3)
    dice = random.Random(1)
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port)) as stream:
            guess = dice.randrange(-(2**31), 2**31)
            stream.sendall(struct.pack(">iiii", 16, 80_877_102, pid, guess))
    for ask in ("pg_cancel_backend", "pg_terminate_backend"):
        yield from expect(f"{ask} of another user's", ["f"], found(other, f"select {ask}({pid})"))
    thread.join()
    yield from expect("a statement whose key was guessed at", None, outcome[0].error)
    outcome.clear()
    thread = threading.Thread(target=lambda: outcome.append(runs.simple("select pg_sleep(20)")))
    handle = runs.cancel()
    thread.start()
    time.sleep(0.3)
    handle.cancel()
    thread.join()
    state = (outcome[0].error or {}).get("state")
    yield from expect("a statement that is stopped by its key", "57014", state)
    for client in (runs, other):
        client.close()


def memory(world):
    """An error of too little memory tells nothing of what others run."""
    hog = "select count(*) from (select array_agg(p.memo || q.memo) as a from payments p cross join"
    hog += " payments q group by p.pay_id, q.pay_id % 40) s"
    sql = "select count(array_resize([1], balance * 2000)) from loans"
    busy = connect(world, "boss")
    thread = threading.Thread(target=lambda: busy.simple(hog))
    thread.start()
    time.sleep(0.5)
    pair = Pair(world)
    full, ours = pair.both(lambda client, _side: client.simple(sql))
    yield from expect("an error of memory beside another user's statement", ours.error, full.error)
    busy.cancel().cancel()
    thread.join()
    pair.close()
    busy.close()


def folders(world):
    """What the program keeps on the disk of statements is its own."""
    client = connect(world, "acme")
    client.simple("begin")
    sql = (
        "select l.*, p.* from loans l cross join payments p cross join generate_series(1, 20) g "
        "order by l.code, p.memo, l.id, p.pay_id"
    )
    client.simple(f"declare c cursor for {sql}")
    first = client.simple("fetch 1 from c")
    yield from expect("a large sort", None, first.error)
    data = world.full.data
    spilled = [path for path in (data / "spill").rglob("*") if path.is_file()]
    if not spilled:
        yield "spill files", "there are none: the sort was too small to check them"
    for folder in ("spill", "audit"):
        mode = stat.S_IMODE(os.stat(data / folder).st_mode)
        yield from expect(f"mode of data/{folder}", oct(0o700), oct(mode))
    client.close()
    until = time.monotonic() + 5
    while time.monotonic() < until and any(p.is_file() for p in (data / "spill").rglob("*")):
        time.sleep(0.05)
    left = [path.name for path in (data / "spill").rglob("*") if path.is_file()]
    yield from expect("spill files after the client has gone", [], left)


def broken_tables(world):
    """What is wrong with tables that A may not see is nothing to A."""
    tables = world.full.data / "tables"
    sqls = [
        "select count(*) from loans",
        "select relname from pg_class where relnamespace = 2200 order by 1",
        "select * from secrets",
        "begin; select count(*) from loans; commit",
        "select epoch('loans') is null",
    ]
    empty, torn = tables / "secret_empty", tables / "secret_torn"
    (torn / "_delta_log").mkdir(parents=True)
    (torn / "_delta_log" / f"{0:020}.json").write_text("{secret garbage\n")
    empty.mkdir()
    time.sleep(1.2)
    yield from _same(world, "a hidden table whose log is damaged", sqls)
    shutil.rmtree(torn)
    shutil.rmtree(empty)
    log = tables / "secrets" / "_delta_log"
    last = sorted(log.glob("0*.json"))[-1]
    last.rename(log / "away")
    time.sleep(1.2)
    yield from _same(world, "a hidden table that lacks epochs", sqls)
    (log / "away").rename(last)
    time.sleep(1.2)


def _same(world, what, sqls):
    pair = Pair(world)
    for sql in sqls:
        full, ours = pair.both(lambda client, _side, sql=sql: client.simple(sql))
        if full.comparable(False) != ours.comparable(False):
            yield f"{what}: {sql}", f"full {full.shown(3)[:400]}; ours {ours.shown(3)[:200]}"
    pair.close()


def policy_change(world):
    """A new users file counts at once, for open connections and prepared statements too."""
    side = world.full
    old, prepared = connect(world, "acme"), connect(world, "acme")
    prepared.prepare("p", "select count(*) from loans")
    prepared.prepare("m", "select max(status) from loans")
    yield from expect("before", ["400"], prepared.execute("p").values())
    side.users.users["acme"] = (["lender"], {"lender_id": ["B"], "lender_no": ["2"]})
    other = sum(row["lender_id"] == "B" for part in world.rows.loans for row in part)
    roles = users.ROLES.replace('"loans", "payments", "book",', '"loans", "book",', 1)
    roles = roles.replace('column = "holder", as = "null"', 'column = "status", as = "null"')
    try:
        side.users.write(side.folder, roles=roles)
        new = connect(world, "acme")
        until = time.monotonic() + RELOAD_S
        while time.monotonic() < until:
            if found(new, "select count(*) from loans") == [str(other)]:
                break
            new.close()
            time.sleep(0.2)
            new = connect(world, "acme")
        wanted = [str(other)]
        yield from expect(
            "a new connection, new lender", wanted, found(new, "select count(*) from loans")
        )
        yield from expect("an open connection", wanted, found(old, "select count(*) from loans"))
        got = prepared.execute("p")
        yield from expect("a prepared statement", wanted, got.values() or got.error)
        got = prepared.execute("m")
        yield from expect("a mask for a prepared statement", [None], got.values() or got.error)
        for name, client in (("new", new), ("open", old)):
            got = client.simple("select * from payments").error or {}
            yield from expect(
                f"a table that is not granted any more, {name}", "42P01", got.get("state")
            )
            got = found(client, "select relname from pg_class where relname = 'payments'")
            yield from expect(f"its name in the catalog, {name}", [], got)
        del side.users.users["acme"]
        side.users.write(side.folder, roles=roles)
        time.sleep(LOOK_S)
        got = old.simple("select count(*) from loans")
        if got.error is None and got.values() != ["0"]:
            yield "an open connection of a user that is gone", f"sees {got.values()} loans"
        for client in (new, old, prepared):
            client.close()
    finally:
        side.users.users["acme"] = (["lender"], {"lender_id": ["A"], "lender_no": ["1"]})
        side.users.write(side.folder)
        time.sleep(LOOK_S)


ALL = [odd_lenders, users_with_less, two_roles, newest_revisions, dead_letters, own_statements]
ALL += [who_may_sign_in, cancel, turns, memory, folders, broken_tables, policy_change]
