"""JSON Web Tokens as passwords: those that must be taken, and those that must not."""

import base64
import hashlib
import hmac
import json
import subprocess
import time

import rows as made
from client import Client, Refused

ISSUER, AUDIENCE = "https://issuer.example", "riskstream"


def encoded(data):
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A key of RSA."""

    def __init__(self, folder, name):
        self.name = name
        self.file, self.public = folder / f"{name}.pem", folder / f"{name}.pub"
        make = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        subprocess.run([*make, "-out", self.file], check=True, capture_output=True)
        show = ["openssl", "pkey", "-in", self.file, "-pubout", "-out", self.public]
        subprocess.run(show, check=True, capture_output=True)
        modulus = subprocess.run(
            ["openssl", "rsa", "-in", self.file, "-noout", "-modulus"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        self.modulus = bytes.fromhex(modulus.strip().split("=")[1])

    def jwk(self, **more):
        jwk = {"kty": "RSA", "kid": self.name, "use": "sig", "alg": "RS256"}
        return jwk | {"n": encoded(self.modulus), "e": "AQAB"} | more

    def sign(self, text):
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.file],
            input=text,
            check=True,
            capture_output=True,
        )
        return done.stdout


class Tokens:
    """The issuer: its keys, and tokens of it and of others."""

    def __init__(self, folder):
        self.good, self.second = Key(folder, "good"), Key(folder, "second")
        self.stranger = Key(folder, "stranger")

    def key_set(self):
        return json.dumps({"keys": [self.good.jwk(), self.second.jwk()]})

    def claims(self, **more):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "jwt-user", "exp": now + 600}
        claims |= {"iat": now, "roles": ["lender"], "lender_id": made.LENDER, "lender_no": 1}
        claims |= more
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key=None, header=None, **claims):
        key = key or self.good
        head = {"alg": "RS256", "kid": key.name, "typ": "JWT"} | (header or {})
        text = f"{encoded(head)}.{encoded(self.claims(**claims))}"
        return f"{text}.{encoded(key.sign(text.encode()))}"

    def by_secret(self, secret, algorithm="HS256", **header):
        """A token that is signed with a shared secret."""
        head = {"alg": algorithm, "kid": self.good.name} | header
        text = f"{encoded(head)}.{encoded(self.claims())}"
        digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[algorithm]
        return f"{text}.{encoded(hmac.new(secret, text.encode(), digest).digest())}"

    def unsigned(self, algorithm, signature=""):
        text = f"{encoded({'alg': algorithm, 'kid': 'good'})}.{encoded(self.claims())}"
        return f"{text}.{signature}"

    def refused(self):
        """What must not be let in, by what is wrong with it."""
        now = int(time.time())
        good = self.token()
        head, body, signature = good.split(".")
        public = self.good.public.read_bytes()
        jwks = {"keys": [self.stranger.jwk(kid="good")]}
        return {
            "no token": "",
            "words": "not a token",
            "two parts": f"{head}.{body}",
            "four parts": f"{good}.x",
            "no signature": f"{head}.{body}.",
            "a cut signature": f"{head}.{body}.{signature[:-8]}",
            "another body": f"{head}.{encoded(self.claims(lender_id='B'))}.{signature}",
            "another header": f"{encoded({'alg': 'RS256', 'kid': 'second'})}.{body}.{signature}",
            "alg none": self.unsigned("none"),
            "alg None": self.unsigned("None"),
            "alg nOnE with a signature": self.unsigned("nOnE", signature),
            "no alg": f"{encoded({'kid': 'good'})}.{body}.{signature}",
            "alg of another case": f"{encoded({'alg': 'rs256', 'kid': 'good'})}.{body}.{signature}",
            "the public key as a secret": self.by_secret(public),
            "the public key as a secret, HS512": self.by_secret(public, "HS512"),
            "the modulus as a secret": self.by_secret(self.good.modulus),
            "an empty secret": self.by_secret(b""),
            "the wrong family for the key": self.unsigned("ES256", signature),
            "a stranger's key": self.token(self.stranger),
            "a stranger's key under our id": self.token(self.stranger, {"kid": "good"}),
            "a stranger's key, ours named": self.token(self.second, {"kid": "good"}),
            "a key in the header": self.token(
                self.stranger, {"kid": "good", "jwk": self.stranger.jwk(kid="good")}
            ),
            "keys at a URL of the header": self.token(
                self.stranger, {"kid": "good", "jku": f"data:,{json.dumps(jwks)}"}
            ),
            "an id that is a path": self.token(self.stranger, {"kid": "../../../dev/null"}),
            "an id that is SQL": self.token(self.stranger, {"kid": "' or 1=1 --"}),
            "no id, with two keys": self.token(header={"kid": None}),
            "an id that is a number": self.token(header={"kid": 1}),
            "a critical header": self.token(header={"crit": ["b64"], "b64": False}),
            "expired": self.token(exp=now - 3_600),
            "expired a minute ago": self.token(exp=now - 61),
            "no expiry": self.token(exp=None),
            "an expiry that is text": self.token(exp="tomorrow"),
            "not valid yet": self.token(nbf=now + 3_600),
            "issued in the future": self.token(iat=now + 3_600),
            "another issuer": self.token(iss="https://evil.example"),
            "an issuer that begins as ours": self.token(iss=ISSUER + ".evil.example"),
            "no issuer": self.token(iss=None),
            "another audience": self.token(aud="another"),
            "no audience": self.token(aud=None),
            "an audience that holds ours": self.token(aud="riskstream2"),
            "no name": self.token(sub=None),
            "a blank name": self.token(sub=" "),
            "a name that is a list": self.token(sub=["boss"]),
            "the name of a user of the file": self.token(sub="boss"),
            "the name of a lender of the file": self.token(sub="acme"),
        }

    def taken(self, rows):
        """What is let in, with the numbers of rows of loans and of accounts that it sees; none for
        a table that is not there.
        """

        def count(lender):
            return sum(row["lender_id"] == lender for part in rows.loans for row in part)

        all_of = count(made.LENDER)
        return {
            "as it should be": (self.token(), all_of, made.ACCOUNTS),
            "the second key": (self.token(self.second), all_of, made.ACCOUNTS),
            "one of several audiences": (self.token(aud=["x", AUDIENCE]), all_of, made.ACCOUNTS),
            "roles as words": (self.token(roles="x lender y"), all_of, made.ACCOUNTS),
            "a lender in a list": (self.token(lender_id=["A"]), all_of, made.ACCOUNTS),
            "a number as text": (self.token(lender_no="1"), all_of, made.ACCOUNTS),
            "no roles": (self.token(roles=None), None, None),
            "unknown roles": (self.token(roles=["x", "lender2", "Lender"]), None, None),
            "roles that are no texts": (self.token(roles=[1, None, {}]), None, None),
            "the owner's role": (self.token(roles=["owner"]), None, None),
            "the owner's role beside a lender's": (
                self.token(roles=["lender", "owner"]),
                all_of,
                made.ACCOUNTS,
            ),
            "no lender": (self.token(lender_id=None), 0, made.ACCOUNTS),
            "an empty lender": (self.token(lender_id=""), 0, made.ACCOUNTS),
            "a blank lender": (self.token(lender_id="  "), 0, made.ACCOUNTS),
            "an empty list": (self.token(lender_id=[]), 0, made.ACCOUNTS),
            "a list of blanks": (self.token(lender_id=["", " ", None]), 0, made.ACCOUNTS),
            "a lender that is an object": (self.token(lender_id={"A": "A"}), 0, made.ACCOUNTS),
            "a lender that is true": (self.token(lender_id=True), 0, made.ACCOUNTS),
            "a list within a list": (self.token(lender_id=[["A"]]), 0, made.ACCOUNTS),
            "another case": (self.token(lender_id="a"), count("a"), made.ACCOUNTS),
            "a lender and an odd one": (
                self.token(lender_id=["A", " A", ""]),
                all_of + count(" A"),
                made.ACCOUNTS,
            ),
            "a number with a fraction": (self.token(lender_no=1.5), all_of, 0),
            "a number with an exponent": (self.token(lender_no=1e300), all_of, 0),
            "a number with spaces": (self.token(lender_no=" 1"), all_of, 0),
        }


def checks(world, tokens):
    """What is wrong with how tokens are taken."""
    port = world.full.port
    for what, token in tokens.refused().items():
        try:
            client = Client(port, "token", token, sslmode="require")
        except Refused as refused:
            text = str(refused)
            if token and 'password authentication failed for user "token"' not in text:
                yield what, f"is refused with another text: {text[-200:]}"
            continue
        who = client.simple("select current_user").values()
        yield what, f"is let in as {who}"
        client.close()
    for what, (token, loans, accounts) in tokens.taken(world.rows).items():
        try:
            client = Client(port, "token", token, sslmode="require")
        except Refused as refused:
            yield what, f"is not let in: {str(refused)[-200:]}"
            continue
        for table, wanted in (("loans", loans), ("accounts", accounts)):
            answer = client.simple(f"select count(*) from {table}")
            got = answer.error["state"] if answer.error else int(answer.values()[0])
            wanted = "42P01" if wanted is None else wanted
            if got != wanted:
                yield what, f"sees {got} of {table}, where {wanted} is right"
        client.close()
    yield from without_tls(port, tokens)
    yield from ended(port, tokens)


def without_tls(port, tokens):
    try:
        Client(port, "token", tokens.token(), sslmode="disable").close()
        yield "a token in clear", "is let in"
    except Refused as refused:
        if "TLS" not in str(refused):
            yield "a token in clear", f"is refused with {refused}"


def ended(port, tokens):
    """A connection does not outlive its token. The leeway of clocks is half a minute at its begin,
    none at its end.
    """
    client = Client(port, "token", tokens.token(exp=int(time.time()) + 2), sslmode="require")
    time.sleep(3.5)
    answer = client.simple("select count(*) from loans")
    if answer.error is None:
        yield "a connection whose token has ended", f"sees {answer.values()} loans"
    client.close()
