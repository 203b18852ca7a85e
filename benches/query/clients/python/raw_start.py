"""The start of a connection: encryption, versions, parameters, passwords."""

import socket
import ssl
import struct
import time

import tests
import wire
from tests import test
from wire import Wire, packet, query


def requests():
    found = []
    for codes in (["ssl"], ["gss"], ["gss", "ssl"], ["ssl", "gss"]):
        connection = Wire(start=False)
        answers = []
        for code in codes:
            answer = connection.request(code)
            answers.append(answer)
            if answer in "SG":
                break
        found.append(answers if tests.PORT != tests.USERS_PORT else answers)
        connection.socket.close()
    # Yes or no, to each of them, is a single byte.
    return [answers[0] in "NSG" for answers in found]


test("ssl", "one byte for SSLRequest and GSSENCRequest", requests)


def encrypted():
    connection = Wire(port=tests.USERS_PORT, start=False)
    answer = connection.request("ssl")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection.socket = context.wrap_socket(connection.socket)
    connection.start({"user": tests.USERS_NAME, "database": tests.DATABASE}, tests.USERS_PASSWORD)
    return [answer, connection.ask(query("select 1"))]


test("ssl", "TLS, then all as in clear", encrypted)


def stuffed():
    """A statement behind SSLRequest in one packet must not be run as if it came encrypted."""
    connection = Wire(port=tests.USERS_PORT, start=False)
    early = struct.pack("!ii", 8, wire.CODES["ssl"])
    body = struct.pack("!i", 196608) + b"user\0reader\0\0"
    connection.socket.sendall(early + struct.pack("!i", len(body) + 4) + body)
    found = b""
    connection.socket.settimeout(3)
    try:
        while part := connection.socket.recv(4096):
            found += part
    except (TimeoutError, ConnectionError):
        pass
    return ["no answer in clear" if b"SCRAM" not in found else "answered in clear"]


test("ssl-buffer", "StartupMessage behind SSLRequest", stuffed)


def version(number, **more):
    def run():
        connection = Wire(start=False)
        connection.start({"user": tests.USER, "database": tests.DATABASE, **more}, None, number)
        return connection.started

    return run


test("version", "3.0", version(196608))
test("version", "3.2", version(196610))
test("version", "3.2 with a parameter of the protocol", version(196610, **{"_pq_.nothing": "1"}))
test("version", "4.0", version(4 << 16))
test("version", "2.0", version(2 << 16))


def start_up(**more):
    def run():
        connection = Wire(**more)
        names = (
            "client_encoding",
            "TimeZone",
            "DateStyle",
            "application_name",
            "standard_conforming_strings",
            "integer_datetimes",
            "server_encoding",
            "IntervalStyle",
            "is_superuser",
            "session_authorization",
        )
        return [connection.started, {name: connection.parameters.get(name) for name in names}]

    return run


test("startup", "plain", start_up())
test("startup", "quoted client_encoding", start_up(client_encoding="'utf-8'"))
test("startup", "settings", start_up(TimeZone="Asia/Tokyo", DateStyle="ISO, DMY"))
test("startup", "options", start_up(options="-c TimeZone=Asia/Tokyo -c datestyle=iso"))
test("startup", "a bad value", start_up(TimeZone="Nowhere/At_All"))
test("startup", "a bad option", start_up(options="-Z nothing"))
test("startup", "an encoding that is not served", start_up(client_encoding="EBCDIC"))
test("startup", "extra_float_digits", start_up(extra_float_digits="2"))
test("startup", "no database", start_up(database="nothing_here"))


def nameless():
    connection = Wire(start=False)
    body = struct.pack("!i", 196608) + b"database\0riskstream\0\0"
    connection.socket.sendall(struct.pack("!i", len(body) + 4) + body)
    return connection.until("E")


test("startup", "no user", nameless)


def bad_start(data):
    def run():
        connection = Wire(start=False)
        connection.socket.sendall(data)
        return connection.until("E")

    return run


test("startup", "a length of nothing", bad_start(struct.pack("!ii", 4, 0)))
test("startup", "a huge length", bad_start(struct.pack("!ii", 2**30, 196608)))
test("startup", "an HTTP request", bad_start(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
for user, password in (
    (tests.USERS_NAME, tests.USERS_PASSWORD),
    (tests.USERS_NAME, "wrong"),
    ("nobody_here", "wrong"),
    (tests.USERS_NAME, ""),
):
    test(
        "password",
        f"{user} {password!r}",
        lambda u=user, p=password: Wire(port=tests.USERS_PORT, user=u, password=p).started,
    )


def vanished():
    """Many clients that go away in the middle; then one more."""
    for n in range(300):
        connection = Wire(port=tests.USERS_PORT, start=False)
        if n % 3 == 1:
            connection.socket.sendall(struct.pack("!i", 100) + b"us")
        elif n % 3 == 2:
            body = struct.pack("!i", 196608) + b"user\0reader\0\0"
            connection.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        connection.socket.close()
    began = time.monotonic()
    connection = Wire(port=tests.USERS_PORT, user=tests.USERS_NAME, password=tests.USERS_PASSWORD)
    return [connection.started, time.monotonic() - began < 2]


test("vanish", "300 of them", vanished)
