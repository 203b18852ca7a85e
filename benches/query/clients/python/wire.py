"""The protocol's messages over a socket, for tests that no driver can make."""

import hashlib
import hmac
import base64
import os
import socket
import struct

import tests

INT4, INT8, TEXT, DATE = 23, 20, 25, 1082
ROWS = "select id, txt from all_types order by id"
SLOW = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b"
CODES = {"ssl": 80877103, "gss": 80877104, "cancel": 80877102}


def text(value):
    return value.encode() + b"\0"


def packet(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def query(sql):
    return packet("Q", text(sql))


def parse(sql, name="", types=()):
    types = struct.pack(f"!h{len(types)}I", len(types), *types)
    return packet("P", text(name) + text(sql) + types)


def bind(values=(), portal="", statement="", formats=(), results=()):
    body = text(portal) + text(statement)
    body += struct.pack(f"!h{len(formats)}h", len(formats), *formats)
    body += struct.pack("!h", len(values))
    for value in values:
        body += b"\xff\xff\xff\xff" if value is None else struct.pack("!i", len(value)) + value
    return packet("B", body + struct.pack(f"!h{len(results)}h", len(results), *results))


def describe(kind, name=""):
    return packet("D", kind.encode() + text(name))


def execute(portal="", rows=0):
    return packet("E", text(portal) + struct.pack("!i", rows))


def close(kind, name=""):
    return packet("C", kind.encode() + text(name))


SYNC, FLUSH, TERMINATE = packet("S"), packet("H"), packet("X")


class Wire:
    """A connection; `port` None is that without users."""

    def __init__(self, port=None, start=True, timeout=15, user=None, password=None, **more):
        self.socket = socket.create_connection((tests.HOST, port or tests.PORT), timeout)
        self.rest = b""
        self.parameters, self.key = {}, None
        if start:
            names = {"user": user or tests.USER, "database": tests.DATABASE, **more}
            self.start(names, password)

    def send(self, *packets):
        self.socket.sendall(b"".join(packets))

    def request(self, code):
        """SSLRequest or GSSENCRequest; the byte that is answered."""
        self.socket.sendall(struct.pack("!ii", 8, CODES[code]))
        return self.socket.recv(1).decode()

    def start(self, names, password=None, version=196608):
        body = b"".join(text(name) + text(value) for name, value in names.items() if value)
        body = struct.pack("!i", version) + body + b"\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.started = []
        while True:
            kind, body = self.message()
            if kind == "R":
                self.authenticate(body, names["user"], password)
            elif kind == "S":
                name, value = body[:-1].decode().split("\0")
                self.parameters[name] = value
            elif kind == "K":
                self.key = body
            else:
                self.started.append(shown(kind, body))
                if kind == "Z":
                    return
                if kind == "E":
                    return

    def authenticate(self, body, user, password):
        method = struct.unpack("!i", body[:4])[0]
        if method == 10:
            self.nonce = base64.b64encode(os.urandom(18)).decode()
            self.bare = f"n=,r={self.nonce}"
            first = f"n,,{self.bare}".encode()
            self.send(packet("p", text("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first))
        elif method == 11:
            server = body[4:].decode()
            parts = dict(part.split("=", 1) for part in server.split(","))
            salt, rounds = base64.b64decode(parts["s"]), int(parts["i"])
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
            key = hmac.digest(salted, b"Client Key", "sha256")
            final = f"c=biws,r={parts['r']}"
            signed = f"{self.bare},{server},{final}".encode()
            proof = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
            proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, proof))).decode()
            self.send(packet("p", f"{final},p={proof}".encode()))

    def exactly(self, count):
        while len(self.rest) < count:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("closed by the server")
            self.rest += part
        found, self.rest = self.rest[:count], self.rest[count:]
        return found

    def message(self):
        kind, length = struct.unpack("!ci", self.exactly(5))
        return kind.decode(), self.exactly(length - 4)

    def until(self, last="Z", most=10_000):
        """Messages as JSON can hold them, up to one of a kind, or the end of the connection."""
        found = []
        while len(found) < most:
            try:
                kind, body = self.message()
            except ConnectionError:
                return found + ["closed"]
            if kind not in "SN" or kind in last:
                found.append(shown(kind, body))
            if kind in last:
                break
        return found

    def ask(self, *packets, last="Z"):
        self.send(*packets)
        return self.until(last)

    def is_quiet(self, seconds=0.3):
        """Whether nothing comes for a moment."""
        self.socket.settimeout(seconds)
        try:
            part = self.socket.recv(1)
            self.rest += part
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(15)


NAMES = {
    "1": "ParseComplete",
    "2": "BindComplete",
    "3": "CloseComplete",
    "n": "NoData",
    "s": "PortalSuspended",
    "I": "EmptyQueryResponse",
    "c": "CopyDone",
}


def shown(kind, body):
    """A message without what no two servers have in common."""
    if kind == "T":
        return ["RowDescription", columns(body)]
    if kind == "D":
        return ["DataRow", values(body)]
    if kind in "EN":
        fields = dict((part[:1], part[1:]) for part in body.decode().split("\0") if part)
        return ["Error" if kind == "E" else "Notice", fields.get("S"), fields.get("C")]
    if kind == "C":
        return ["CommandComplete", body[:-1].decode()]
    if kind == "Z":
        return ["ReadyForQuery", body.decode()]
    if kind == "t":
        count = struct.unpack("!h", body[:2])[0]
        return ["ParameterDescription", list(struct.unpack(f"!{count}I", body[2:]))]
    if kind == "H":
        form, count = struct.unpack("!bh", body[:3])
        return ["CopyOut", form, list(struct.unpack(f"!{count}h", body[3:]))]
    if kind == "d":
        return ["CopyData", body.hex()]
    if kind == "v":
        version, count = struct.unpack("!ii", body[:8])
        names = [name.decode() for name in body[8:].split(b"\0") if name]
        return ["NegotiateProtocolVersion", version, count, names]
    return [NAMES.get(kind, kind)]


def columns(body):
    count, found = struct.unpack("!h", body[:2])[0], []
    rest = body[2:]
    for _ in range(count):
        end = rest.index(b"\0")
        name, rest = rest[:end].decode(), rest[end + 1 :]
        table, _, oid, size, modifier, form = struct.unpack("!IhIhih", rest[:18])
        rest = rest[18:]
        found.append([name, oid, size, modifier, form])
    return found


def values(body):
    count, found = struct.unpack("!h", body[:2])[0], []
    rest = body[2:]
    for _ in range(count):
        length = struct.unpack("!i", rest[:4])[0]
        rest = rest[4:]
        if length < 0:
            found.append(None)
        else:
            value, rest = rest[:length], rest[length:]
            try:
                found.append(value.decode())
            except UnicodeDecodeError:
                found.append(f"bytes {value.hex()}")
    return found


def asked(*packets, last="Z", first=()):
    """What a connection answers to some packets."""

    def run():
        connection = Wire()
        for sql in first:
            connection.ask(query(sql))
        found = connection.ask(*packets, last=last)
        if found[-1] != "closed" and last == "Z":
            found += connection.ask(query("select 'still here'"))
        return found

    return run
