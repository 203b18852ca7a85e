#!/usr/bin/env python3
"""A proxy that shows what a client and a PostgreSQL server say to each other.

    record.py --to 127.0.0.1:5432 [--listen 127.0.0.1:6432] [--rows] [--statements FILE]

Point a client at `--listen`. Each message is a line: `>` from the client, `<` from the server.
SSLRequest and GSSENCRequest are answered with no, so that all can be read. `--rows` shows rows too;
`--statements` keeps the statements alone, one after another with `;;` between, as the tests of the
catalog have them. After a new release of a client, record again.
"""

import argparse
import socket
import struct
import sys
import threading

CLIENT = {
    "Q": "Query",
    "P": "Parse",
    "B": "Bind",
    "D": "Describe",
    "E": "Execute",
    "C": "Close",
    "S": "Sync",
    "H": "Flush",
    "X": "Terminate",
    "p": "Password",
    "d": "CopyData",
    "c": "CopyDone",
    "f": "CopyFail",
    "F": "FunctionCall",
}
SERVER = {
    "R": "Authentication",
    "S": "ParameterStatus",
    "K": "BackendKeyData",
    "Z": "ReadyForQuery",
    "T": "RowDescription",
    "D": "DataRow",
    "C": "CommandComplete",
    "E": "Error",
    "N": "Notice",
    "1": "ParseComplete",
    "2": "BindComplete",
    "3": "CloseComplete",
    "n": "NoData",
    "t": "ParameterDescription",
    "s": "PortalSuspended",
    "I": "EmptyQueryResponse",
    "H": "CopyOut",
    "G": "CopyIn",
    "d": "CopyData",
    "c": "CopyDone",
    "v": "NegotiateProtocolVersion",
    "A": "Notification",
}
SSL, GSS, CANCEL = 80877103, 80877104, 80877102


class Recorder:
    """Writes lines; connections are told apart by a number."""

    def __init__(self, rows, statements):
        self.rows, self.lock = rows, threading.Lock()
        self.statements = open(statements, "w") if statements else None

    def line(self, number, direction, text):
        with self.lock:
            print(f"{number} {direction} {text}", flush=True)

    def statement(self, sql):
        if self.statements and sql.strip():
            with self.lock:
                self.statements.write(f"{sql.strip()}\n;;\n")
                self.statements.flush()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", required=True, help="the server, host:port")
    parser.add_argument("--listen", default="127.0.0.1:6432", help="[127.0.0.1:6432]")
    parser.add_argument("--rows", action="store_true", help="rows are shown too")
    parser.add_argument("--statements", help="a file for the statements alone")
    options = parser.parse_args()
    recorder = Recorder(options.rows, options.statements)
    listener = socket.create_server(address(options.listen))
    print(f"listening on {options.listen}", file=sys.stderr, flush=True)
    number = 0
    while True:
        client, _ = listener.accept()
        number += 1
        serve = threading.Thread(
            target=connection, args=(number, client, address(options.to), recorder), daemon=True
        )
        serve.start()


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def connection(number, client, to, recorder):
    """One client: its start, then messages both ways until one side ends."""
    try:
        start = first(number, client, recorder)
        server = socket.create_connection(to)
        server.sendall(start)
    except (OSError, EOFError) as error:
        recorder.line(number, "-", f"ended: {error}")
        client.close()
        return
    back = threading.Thread(
        target=pump, args=(number, server, client, "<", SERVER, recorder), daemon=True
    )
    back.start()
    pump(number, client, server, ">", CLIENT, recorder)
    back.join()
    client.close()
    server.close()
    recorder.line(number, "-", "closed")


def exactly(from_, count):
    found = b""
    while len(found) < count:
        part = from_.recv(count - len(found))
        if not part:
            raise EOFError("closed")
        found += part
    return found


def first(number, client, recorder):
    """The StartupMessage or CancelRequest, behind requests for encryption."""
    while True:
        head = exactly(client, 8)
        length, code = struct.unpack("!ii", head)
        body = exactly(client, length - 8)
        if code in (SSL, GSS):
            recorder.line(number, ">", "SSLRequest" if code == SSL else "GSSENCRequest")
            client.sendall(b"N")
            continue
        if code == CANCEL:
            recorder.line(number, ">", "CancelRequest")
        else:
            parts = body.decode(errors="replace").split("\0")
            pairs = ", ".join(f"{n}={v!r}" for n, v in zip(parts[::2], parts[1::2]) if n)
            recorder.line(number, ">", f"Startup {code >> 16}.{code & 0xFFFF} {pairs}")
        return head + body


def pump(number, from_, to, direction, names, recorder):
    """Messages of one direction."""
    try:
        while True:
            head = exactly(from_, 5)
            kind, length = head[:1].decode(), struct.unpack("!i", head[1:])[0]
            body = exactly(from_, length - 4)
            name = names.get(kind, kind)
            if recorder.rows or name not in ("DataRow", "CopyData"):
                recorder.line(number, direction, f"{name} {said(name, body)}".rstrip())
            if name == "Query":
                recorder.statement(body[:-1].decode(errors="replace"))
            elif name == "Parse":
                recorder.statement(body.split(b"\0")[1].decode(errors="replace"))
            to.sendall(head + body)
    except (OSError, EOFError):
        try:
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def said(name, body):
    """What is in a message, in short."""
    if name in ("Query", "CommandComplete"):
        return repr(text(body[:-1]))
    if name == "Parse":
        statement, sql, rest = body.split(b"\0", 2)
        types = struct.unpack(f"!{(len(rest) - 2) // 4}I", rest[2:])
        return f"{text(statement)!r} {text(sql)!r} types {list(types)}"
    if name == "Bind":
        portal, statement, rest = body.split(b"\0", 2)
        return f"portal {text(portal)!r} statement {text(statement)!r} {bound(rest)}"
    if name == "Execute":
        portal, rest = body.split(b"\0", 1)
        return f"{text(portal)!r} rows {struct.unpack('!i', rest)[0]}"
    if name in ("Describe", "Close"):
        return f"{text(body[:1])} {text(body[1:-1])!r}"
    if name in ("Error", "Notice"):
        fields = {part[:1]: part[1:] for part in text(body).split("\0") if part}
        return f"{fields.get('S')} {fields.get('C')} {fields.get('M')}"
    if name == "ParameterStatus":
        return "=".join(text(body[:-1]).split("\0"))
    if name == "ReadyForQuery":
        return text(body)
    if name == "RowDescription":
        return columns(body)
    if name == "ParameterDescription":
        return str(list(struct.unpack(f"!{(len(body) - 2) // 4}I", body[2:])))
    if name == "DataRow":
        return str(values(body[2:], struct.unpack("!h", body[:2])[0])[0])
    if name in ("Password", "BackendKeyData", "Authentication"):
        return ""
    return body.hex() if body else ""


def text(body):
    return body.decode(errors="replace")


def bound(rest):
    """Formats and values of a Bind."""
    count = struct.unpack("!h", rest[:2])[0]
    formats = struct.unpack(f"!{count}h", rest[2 : 2 + 2 * count])
    rest = rest[2 + 2 * count :]
    count = struct.unpack("!h", rest[:2])[0]
    found, rest = values(rest[2:], count)
    count = struct.unpack("!h", rest[:2])[0]
    results = struct.unpack(f"!{count}h", rest[2 : 2 + 2 * count])
    return f"formats {list(formats)} values {found} results {list(results)}"


def values(rest, count):
    """So many values with their lengths before them, and what is behind."""
    found = []
    for _ in range(count):
        length = struct.unpack("!i", rest[:4])[0]
        rest = rest[4:]
        if length < 0:
            found.append(None)
            continue
        value, rest = rest[:length], rest[length:]
        shown = value.decode(errors="backslashreplace")
        found.append(shown if shown.isprintable() else value.hex())
    return found, rest


def columns(body):
    """Names, OIDs and formats of a RowDescription."""
    count, rest, found = struct.unpack("!h", body[:2])[0], body[2:], []
    for _ in range(count):
        name, rest = rest.split(b"\0", 1)
        oid, form = struct.unpack("!I", rest[6:10])[0], struct.unpack("!h", rest[16:18])[0]
        rest = rest[18:]
        found.append(f"{text(name)} {oid}{' binary' if form else ''}")
    return ", ".join(found)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
