"""The audit: every statement stands in it once, and what was changed of it is found."""

import hashlib
import json
import shutil
import subprocess
import threading
import time

import users
from client import Client

NO_HASH = "0" * 64
# How soon a record is on the disk.
SYNC_S = 0.5


def records(folder):
    """All lines of an audit as objects."""
    lines = []
    for path in sorted(folder.glob("audit-*.ndjson")):
        lines += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return lines


class Sent:
    """Statements that are sent with a mark in each, and how often each has to be recorded."""

    def __init__(self, world):
        self.world = world
        self.client = self.connect()
        # By mark: what was sent, how often it has to be there, and how it ended.
        self.marks = {}
        # The folder may have records of earlier runs.
        self.run = time.time_ns()

    def connect(self):
        return Client(self.world.full.port, "other", users.PASSWORD)

    def mark(self, what, times, outcome):
        name = f"mark-{self.run}-{len(self.marks):02}-"
        self.marks[name] = (what, times, outcome)
        return f"'{name}'"

    def send(self):
        """Each kind of statement, in each way."""
        client = self.client
        m = self.mark("a query", 1, "00000")
        client.simple(f"select {m}, count(*) from loans")
        m = self.mark("a query in a transaction", 1, "00000")
        client.simple("begin")
        client.simple(f"select {m}, count(*) from loans")
        client.simple("commit")
        m = self.mark("several statements in one message", 2, "00000")
        client.simple(f"select {m}; select {m}, 2")
        m = self.mark("a query with parameters", 1, "00000")
        client.extended(f"select {m}, count(*) from loans where id > $1", ["5"])
        m = self.mark("a prepared query, run twice", 2, "00000")
        client.prepare("a", f"select {m}, count(*) from loans where id > $1")
        client.execute("a", ["7"])
        client.execute("a", ["8"])
        m = self.mark("PREPARE, and EXECUTE with a value", 1, "00000")
        client.simple(f"prepare b (int) as select {m}, count(*) from loans where id > $1")
        client.simple("execute b (9)")
        m = self.mark("a cursor, all of it", 1, "00000")
        client.simple(f"declare c cursor with hold for select {m}, id from loans")
        client.simple("fetch all from c")
        client.simple("close c")
        m = self.mark("a cursor, a part of it", 1, None)
        client.simple(f"declare d cursor with hold for select {m}, id from loans")
        client.simple("fetch 2 from d")
        client.simple("close d")
        m = self.mark("COPY", 1, "00000")
        client.simple(f"copy (select {m}, id from loans) to stdout")
        m = self.mark("EXPLAIN", 1, "00000")
        client.simple(f"explain select {m}, id from loans")
        m = self.mark("EXPLAIN ANALYZE", 1, "00000")
        client.simple(f"explain analyze select {m}, id from loans")
        m = self.mark("a query that fails", 1, "22P02")
        client.simple(f"select {m}, cast(code as int) from loans")
        m = self.mark("a query that fails, with parameters", 1, "22P02")
        client.extended(f"select {m}, cast(code as int) from loans where id > $1", ["0"])
        self._refused(client)
        self._stopped()

    def _refused(self, client):
        for what, sql, state in [
            ("a hidden table", "select {m} from secrets", "42P01"),
            ("a table that is not there", "select {m} from nix", "42P01"),
            ("a column that is not there", "select {m}, token from loans", "42703"),
        ]:
            m = self.mark(what, 1, state)
            client.simple(sql.format(m=m))
            m = self.mark(f"{what}, with parameters", 1, state)
            client.extended(sql.format(m=m) + " where 1 = $1", ["1"])
            m = self.mark(f"{what}, prepared", 1, state)
            client.prepare("n", sql.format(m=m))
            m = self.mark(f"{what}, copied", 1, state)
            client.simple(f"copy ({sql.format(m=m)}) to stdout")
        for what, sql, state in [
            ("a change", "insert into loans (id) values ({m})", "25006"),
            ("a definition", "create table x as select {m}", "25006"),
            ("a file", "copy (select {m} from loans) to '/tmp/x'", "42501"),
            ("no SQL", "selec {m} from loans", "42601"),
            ("another role", "set role {m}", "42501"),
            ("a setting", "set application_name = {m}", "00000"),
            ("a function that is not there", "select nix({m})", "42883"),
        ]:
            m = self.mark(what, 1, state)
            client.simple(sql.format(m=m))
        client.simple("reset application_name")

    def _stopped(self):
        m = self.mark("a query that takes too long", 1, "57014")
        self.client.simple("set statement_timeout = 300")
        self.client.simple(f"select {m}, pg_sleep(5)")
        self.client.simple("reset statement_timeout")
        m = self.mark("a query that is cancelled", 1, "57014")
        handle = self.client.cancel()
        sql = f"select {m}, pg_sleep(5)"
        thread = threading.Thread(target=lambda: self.client.simple(sql))
        thread.start()
        time.sleep(0.5)
        handle.cancel()
        thread.join()
        m = self.mark("a query whose client goes", 1, "57014")
        gone = self.connect()
        gone.connection.send_query(f"select {m}, pg_sleep(5)".encode())
        time.sleep(0.5)
        gone.close()
        m = self.mark("a query whose client goes at once", 1, None)
        gone = self.connect()
        gone.connection.send_query(f"select {m}, count(*) from loans a, loans b".encode())
        gone.connection.flush()
        gone.close()
        time.sleep(1)

    def checks(self):
        """What is wrong with the records."""
        lines = records(self.world.full.data / "audit")
        for name, (what, times, outcome) in self.marks.items():
            found = [line for line in lines if name in line["statement"]]
            if len(found) != times:
                yield what, f"stands in the audit {len(found)} times, sent {times} times"
            for line in found:
                if line["user"] != "other" or line["port"] != "postgres":
                    yield what, f"is of {line['user']} through {line['port']}"
                if line["roles"] != ["lender"]:
                    yield what, f"has the roles {line['roles']}"
                if outcome is not None and line["outcome"] != outcome:
                    yield what, f"has ended with {line['outcome']}, not with {outcome}"
                if " loans" in line["statement"] and outcome == "00000":
                    yield from self._policies(what, line)
        yield from self._executed(lines)

    @staticmethod
    def _policies(what, line):
        if line["tables"] != ["loans"]:
            yield what, f"has read {line['tables']}"
        text = " ".join(line["policies"])
        if "lender_id in lender_id (B)" not in text or "holder as null" not in text:
            yield what, f"has the policies {line['policies']}"
        if line["rows"] == 0 or line["bytes"] == 0:
            yield what, f"has given {line['rows']} rows, {line['bytes']} bytes"

    def _executed(self, lines):
        """Records of what nobody has sent."""
        odd = [line["statement"] for line in lines if line["statement"].startswith("SELECT 9 AS p")]
        if odd:
            yield "EXECUTE with a value", f"has a record of its own: {odd}"


def chained(contents, previous=NO_HASH):
    """Lines of a chain over these objects, as the program would write them."""
    lines = []
    for content in contents:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        digest = hashlib.sha256(bytes.fromhex(previous) + text.encode()).hexdigest()
        lines.append(f'{text[:-1]},"previous":"{previous}","hash":"{digest}"}}')
        previous = digest
    return lines


def content(line):
    """A line without its hashes."""
    fields = json.loads(line)
    return {name: fields[name] for name in fields if name not in ("previous", "hash")}


class Tampering:
    """Changes of a copy of an audit, each of which has to be found."""

    def __init__(self, side, folder):
        self.side, self.folder = side, folder

    def verify(self, data):
        done = subprocess.run(
            [self.side.binary, "audit", "--config", self.side.run_config]
            + ["--set", f"riskstream.data={data}"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    def untouched(self):
        code, said = self.verify(self.side.data)
        count = len(records(self.side.data / "audit"))
        if code != 0 or f"{count} statements" not in said:
            yield "the audit as it is", f"{code}: {said}, {count} lines"

    def checks(self):
        yield from self.untouched()
        for name, change in self._changes().items():
            data = self.folder / "tampered"
            shutil.rmtree(data, ignore_errors=True)
            shutil.copytree(self.side.data / "audit", data / "audit")
            path = sorted((data / "audit").glob("audit-*.ndjson"))[-1]
            lines = path.read_text(encoding="utf-8").splitlines()
            changed = change(lines, path)
            if changed is not None:
                path.write_text("".join(line + "\n" for line in changed), encoding="utf-8")
            code, said = self.verify(data)
            if code != 1:
                yield name, f"is not found: {code}: {said}"

    @staticmethod
    def _changes():
        def edit(lines, place, old, new):
            line = lines[place]
            assert old in line, line
            return [*lines[:place], line.replace(old, new, 1), *lines[place + 1 :]]

        def forge(lines, place, **fields):
            before = json.loads(lines[place])["previous"]
            made = chained([content(lines[place]) | fields], before)
            return [*lines[:place], *made, *lines[place + 1 :]]

        def anew(lines, **fields):
            contents = [content(line) for line in lines]
            contents[len(contents) // 2] |= fields
            return chained(contents)

        def gone(_lines, path):
            path.unlink()

        def headless(_lines, path):
            (path.parent / "head.json").unlink()

        def second(lines, path):
            (path.parent / "audit-000009.ndjson").write_text(lines[-1] + "\n")

        def torn(lines, path):
            path.write_text("\n".join([*lines[:-1], lines[-1][:40]]), encoding="utf-8")

        return {
            "another user": lambda s, _p: edit(s, len(s) // 2, '"user":"', '"user":"x'),
            "other rows in the first line": lambda s, _p: edit(s, 0, '"rows":', '"rows":1'),
            "another outcome in the last line": lambda s, _p: edit(
                s, len(s) - 1, '"outcome":"', '"outcome":"0'
            ),
            "a space": lambda s, _p: edit(s, 3, '","', '", "'),
            "a letter as its escape": lambda s, _p: edit(s, 4, "SELECT", "\\u0053ELECT"),
            "a space behind a line": lambda s, _p: [*s[:2], s[2] + " ", *s[3:]],
            "a line less": lambda s, _p: [*s[:5], *s[6:]],
            "the first line less": lambda s, _p: s[1:],
            "the last line less": lambda s, _p: s[:-1],
            "the last ten lines less": lambda s, _p: s[:-10],
            "all lines less": lambda s, _p: [],
            "a line twice": lambda s, _p: [*s[:5], s[4], *s[5:]],
            "a line from elsewhere": lambda s, _p: [*s[:5], s[20], *s[5:]],
            "two lines swapped": lambda s, _p: [*s[:7], s[8], s[7], *s[9:]],
            "an empty line": lambda s, _p: [*s[:5], "", *s[5:]],
            "a forged line": lambda s, _p: forge(s, len(s) // 2, user="nobody"),
            "a forged last line": lambda s, _p: forge(s, len(s) - 1, user="nobody"),
            "a line more at the end, not chained": lambda s, _p: [*s, s[-1]],
            "the whole file written anew": lambda s, _p: anew(s, user="nobody"),
            "the file gone": gone,
            "the head gone": headless,
            "a file more": second,
            "the last line cut": torn,
        }
