"""What is served: two lenders' payments that a run has landed, users of a file and of an issuer, a
certificate; and the servers over them.
"""

import base64
import json
import pathlib
import subprocess
import tempfile
import threading
import time

PAYMENTS = 1_000
LENDERS = {"ann": "17", "bob": "18"}
START_S = 60
ISSUER, AUDIENCE = "https://issuer.example", "riskstream"
CONFIG = """
[riskstream]
name     = "flight"
data     = "{folder}/data"
registry = "{folder}/registry"
workers  = 1

[query]
flight   = "127.0.0.1:0"
postgres = "127.0.0.1:0"
users    = "{folder}/users.toml"

[sources.payments]
kind       = "file"
path       = "{folder}/payments.json"
schema     = {{ id = "int64", lender = "string", card = "string", cents = "int64", \
at = "timestamp" }}
event_time = {{ column = "at", ties_by = ["id"] }}

[pipelines.payments]
from = "payments"

[[pipelines.payments.to]]
id            = "payments"
kind          = "delta"
table         = "payments"
about_columns = {{ cents = "in hundredths" }}

[[pipelines.payments.to]]
id    = "secrets"
kind  = "delta"
table = "secrets"
"""
# Payments that are made while clients ask.
LIVE = """
[riskstream]
name    = "flight"
data    = "{folder}/live"
workers = 1
epoch   = {{ min = "5ms", max = "20ms" }}

[query]
flight   = "127.0.0.1:0"
postgres = "127.0.0.1:0"

[sources.payments]
kind = "generator"
days = 3_000
rate = 2_000

[pipelines.payments]
from = "payments"

[[pipelines.payments.to]]
id    = "payments"
kind  = "delta"
table = "payments"
"""
USERS = """
[roles.lender]
tables = ["payments"]
rows   = [{{ table = "*", column = "lender", in = "lender" }}]
masks  = [{{ table = "payments", column = "card", as = "last4" }}]

[roles.few]
tables = ["payments"]
limits = {{ rows = 100, statement_timeout = "2s" }}

[users.few]
password = "{few}"
roles    = ["few"]

[jwt]
issuer     = "{issuer}"
audience   = "{audience}"
keys       = "{folder}/keys.json"
attributes = {{ lender = "lender" }}
"""
USER = """
[users.{name}]
password   = "{verifier}"
roles      = ["lender"]
attributes = {{ lender = ["{lender}"] }}
"""


def password(name):
    """A user's password."""
    return f"{name}'s password"


def encoded(data):
    """base64 as tokens have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, **more):
    """What openssl gives."""
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **more).stdout


class Issuer:
    """One who signs tokens, and its file of keys."""

    def __init__(self, folder):
        self.key = folder / "issuer.pem"
        openssl("genpkey", "-algorithm", "ed25519", "-out", str(self.key))
        public = openssl("pkey", "-in", str(self.key), "-pubout", "-outform", "DER")[-32:]
        jwk = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k", "x": encoded(public)}
        (folder / "keys.json").write_text(json.dumps({"keys": [jwk]}), encoding="ascii")

    def token(self, seconds=300, **more):
        """A token of lender 17 for so many seconds."""
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "acme", "roles": ["lender"]}
        claims |= {"lender": "17", "exp": int(time.time()) + seconds, **more}
        head = {"alg": "EdDSA", "kid": "k", "typ": "JWT"}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            signed = openssl(
                "pkeyutl", "-sign", "-rawin", "-inkey", str(self.key), "-in", file.name
            )
        return f"{text}.{encoded(signed)}"


def payment(number):
    """A payment as the file has it: of lender 17 where its id is even, else of 18."""
    at = f"2018-04-01T00:{number // 60 % 60:02}:{number % 60:02}Z"
    lender = list(LENDERS.values())[number % 2]
    card = f"4{number:015}"
    return {"id": number, "lender": lender, "card": card, "cents": 100 * number, "at": at}


class World:
    """Everything in a folder of its own, the tables landed."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        rows = "".join(json.dumps(payment(number)) + "\n" for number in range(PAYMENTS))
        (self.folder / "payments.json").write_text(rows, encoding="ascii")
        self.issuer = Issuer(self.folder)
        said = {"issuer": ISSUER, "audience": AUDIENCE, "folder": self.folder}
        text = USERS.format(few=self.verifier("few"), **said)
        for name, lender in LENDERS.items():
            text += USER.format(name=name, verifier=self.verifier(name), lender=lender)
        (self.folder / "users.toml").write_text(text, encoding="utf-8")
        self.config = self.folder / "pipelines.toml"
        self.config.write_text(CONFIG.format(folder=self.folder), encoding="utf-8")
        self.live = self.folder / "live.toml"
        self.live.write_text(LIVE.format(folder=self.folder), encoding="utf-8")
        subprocess.run([binary, "run", str(self.config)], check=True, capture_output=True)

    def verifier(self, name):
        """What the users file has of a user's password."""
        made = subprocess.run(
            [self.binary, "password"],
            input=password(name),
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.strip()

    def certificate(self):
        """A certificate of localhost and its key, as files."""
        files = self.folder / "server.pem", self.folder / "server.key"
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-keyout", str(files[1]), "-out", str(files[0])),
        )
        return files

    def serve(self, *sets):
        """The server over what has landed."""
        return Server([self.binary, "serve", "--config", str(self.config)], self.folder, sets)

    def run(self):
        """The program with its pipeline."""
        return Server([self.binary, "run", str(self.live)], self.folder, ())


class Server:
    """A program that answers, and where it says that it does."""

    def __init__(self, command, folder, sets):
        self.log = pathlib.Path(tempfile.mkstemp(prefix="server-", suffix=".log", dir=folder)[1])
        command += [argument for one in sets for argument in ("--set", one)]
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        self.pid = self.process.pid
        until = time.monotonic() + START_S
        while "Flight SQL at " not in self.said():
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                raise RuntimeError(f"it does not say where it listens: {self.said()!r}")
            time.sleep(0.02)
        self.uri = self.said().split("Flight SQL at ")[1].split()[0]
        words = self.said().split("psql ")[1].split()
        self.postgres_port = int(words[words.index("-p") + 1].rstrip(","))

    def said(self):
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def memory_mb(self):
        """Its resident memory."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def cpu_s(self):
        """Processor time of all its threads so far."""
        nanos = 0
        for thread in pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            try:
                nanos += int(thread.read_text(encoding="ascii").split()[0])
            except (OSError, IndexError):
                continue  # It has ended meanwhile.
        return nanos / 1e9

    def idle_within(self, seconds):
        """How long it takes, at most so long, until it uses less than a tenth of a core."""
        began = time.monotonic()
        while True:
            before, at = self.cpu_s(), time.monotonic()
            time.sleep(0.1)
            if self.cpu_s() - before < 0.1 * (time.monotonic() - at):
                return at - began
            waited = time.monotonic() - began
            assert waited < seconds, f"it still works after {waited:.1f} s"

    def end(self):
        """Asks it to end; its exit code."""
        self.process.terminate()
        timer = threading.Timer(START_S, self.process.kill)
        timer.start()
        code = self.process.wait()
        timer.cancel()
        return code
