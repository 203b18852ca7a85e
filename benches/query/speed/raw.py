"""A client of PostgreSQL's protocol that takes answers as fast as they come and throws them away:
what is measured with it is the server, not a client that makes values of rows.
"""

import socket
import struct

CHUNK = 1 << 20
# ReadyForQuery outside a transaction, within one, within a failed one.
READY = tuple(b"Z\x00\x00\x00\x05" + state for state in (b"I", b"T", b"E"))


class Refused(Exception):
    """The server has answered with an error."""


def message(kind, body=b""):
    """A message of a type."""
    return kind + struct.pack("!i", len(body) + 4) + body


def texts(*values):
    """Texts, each with its end."""
    return b"".join(value.encode() + b"\x00" for value in values)


class Client:
    """A connection that needs no password."""

    def __init__(self, server):
        self.socket = socket.create_connection((server.host, server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(CHUNK)
        self.pid = 0
        said = texts("user", server.user, "database", server.database) + b"\x00"
        body = struct.pack("!i", 196_608) + said
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        _, tail = self.drain()
        at = tail.find(b"K\x00\x00\x00\x0c")
        if at >= 0:
            (self.pid,) = struct.unpack("!i", tail[at + 5 : at + 9])

    def close(self):
        """Says that it goes."""
        self.socket.sendall(message(b"X"))
        self.socket.close()

    def drain(self):
        """Takes everything up to the server's being ready: the bytes, and the last of them."""
        count, tail = 0, b""
        while True:
            got = self.socket.recv_into(self.buffer)
            if got == 0:
                raise Refused(f"the server has closed the connection: {tail[-300:]!r}")
            count += got
            tail = (tail + bytes(self.buffer[max(0, got - 4096) : got]))[-4096:]
            if tail.endswith(READY):
                if b"SERROR\x00" in tail:
                    raise Refused(tail[tail.index(b"SERROR\x00") :][:300])
                return count, tail

    def simple(self, text):
        """A simple query: bytes of the answer, and its tag."""
        self.socket.sendall(message(b"Q", texts(text)))
        count, tail = self.drain()
        return count, tag_of(tail)

    def begin_portal(self, text, binary):
        """Parses and binds a statement, within a transaction, as the portal `p`."""
        self.simple("begin")
        formats = struct.pack("!hh", 1, 1) if binary else struct.pack("!h", 0)
        parse = message(b"P", texts("", text) + struct.pack("!h", 0))
        bind = message(b"B", texts("p", "") + struct.pack("!hh", 0, 0) + formats)
        self.socket.sendall(parse + bind + message(b"S"))
        self.drain()

    def execute(self, rows_max=0):
        """Takes rows of the portal; bytes, and whether more are to come."""
        execute = message(b"E", texts("p") + struct.pack("!i", rows_max))
        self.socket.sendall(execute + message(b"S"))
        count, tail = self.drain()
        return count, tail[:-6].endswith(b"s\x00\x00\x00\x04")


def tag_of(tail):
    """The tag of the last statement that was done, in an answer's last bytes."""
    body = tail[:-6]
    at = body.rfind(b"C\x00\x00\x00")
    return body[at + 5 :].rstrip(b"\x00").decode(errors="replace") if at >= 0 else ""
