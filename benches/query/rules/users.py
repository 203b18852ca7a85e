"""The users of both servers, and the certificate of their ports."""

import subprocess

import rows as made

PASSWORD = "correct horse"
# What a user `odd-N` has for `lender_id`: the values that A could be mistaken for. The file refuses
# blank ones, which no user can have.
ODD_USERS = {
    f"odd-{number}": lender
    for number, lender in enumerate([made.LENDER, *made.ODD_LENDERS])
    if lender is not None and lender.strip()
}
ROLES = """
[roles.lender]
tables = ["loans", "payments", "book", "accounts", "odd", "lacks_lender", "everybody"]
rows   = [
    { table = "loans", column = "lender_id", in = "lender_id" },
    { table = "payments", column = "lender_id", in = "lender_id" },
    { table = "book", column = "lender_id", in = "lender_id" },
    { table = "odd", column = "lender_id", in = "lender_id" },
    { table = "accounts", column = "lender_no", in = "lender_no" },
    { table = "lacks_lender", column = "lender_id", in = "lender_id" },
]
masks  = [
    { table = "loans", column = "holder", as = "null" },
    { table = "loans", column = "contact", as = "***" },
    { table = "loans", column = "user_id", as = "hash" },
    { table = "*", column = "iban", as = "last4" },
]

# Sees others' loans with another lender's eyes, and its own as a lender.
[roles.partner]
tables = ["loans"]
rows   = [{ table = "loans", column = "lender_id", in = "partner_of" }]
masks  = [{ table = "loans", column = "key", as = "null" }]

[roles.watcher]
tables = ["system.queries", "system.audit", "system.runs"]
rows   = [
    { table = "system.queries", column = "user_name", in = "login" },
    { table = "system.audit", column = "user", in = "login" },
    { table = "system.runs", column = "pipeline", in = "pipeline" },
]
# What a rule names as `book_now` is meant for the newest revisions of `book`.
[roles.masks-now]
tables = ["book"]
rows   = [{ table = "book", column = "lender_id", in = "lender_id" }]
masks  = [{ table = "book_now", column = "cents", as = "null" }]

[roles.rows-now]
tables = ["book"]
rows   = [{ table = "book_now", column = "lender_id", in = "lender_id" }]

# Hides a column of the key of `book`.
[roles.keyless]
tables = ["book"]
rows   = [{ table = "book", column = "lender_id", in = "lender_id" }]
masks  = [{ table = "book", column = "currency", as = "null" }]

[roles.starred]
tables = ["*"]
rows   = [{ table = "loans", column = "lender_id", in = "lender_id" }]

[roles.few]
tables = ["loans"]
rows   = [{ table = "loans", column = "lender_id", in = "lender_id" }]
limits = { rows = 50, statement_timeout = "20s" }
"""
USER = """
[users."{name}"]
password   = "{verifier}"
roles      = [{roles}]
attributes = {{ {attributes} }}
"""
JWT = """
[jwt]
issuer     = "https://issuer.example"
audience   = "riskstream"
keys       = "jwks.json"
attributes = { lender_id = "lender_id", lender_no = "lender_no" }
"""


def toml(text):
    """A text as TOML writes it."""
    short = {'"': '\\"', "\\": "\\\\"}
    escaped = "".join(
        short.get(c) or (c if c.isprintable() and ord(c) < 127 else f"\\U{ord(c):08x}")
        for c in text
    )
    return f'"{escaped}"'


class Users:
    """The users file of a side, which is written anew when a policy changes."""

    def __init__(self, binary):
        done = subprocess.run(
            [binary, "password"], input=PASSWORD, capture_output=True, text=True, check=True
        )
        self.verifier = done.stdout.strip()
        self.users = {
            "acme": (["lender"], {"lender_id": [made.LENDER], "lender_no": ["1"]}),
            "nobody": (["lender"], {}),
            "roleless": ([], {"lender_id": [made.LENDER]}),
            "few": (["few"], {"lender_id": [made.LENDER]}),
            "partner": (
                ["lender", "partner"],
                {"lender_id": [made.LENDER], "lender_no": ["1"], "partner_of": ["B"]},
            ),
            "watcher": (
                ["lender", "watcher"],
                {"lender_id": [made.LENDER], "login": ["watcher"], "pipeline": ["loans"]},
            ),
            "other": (["lender"], {"lender_id": ["B"], "lender_no": ["2"]}),
            "boss": (["owner"], {}),
        }
        for role in ("masks-now", "rows-now", "keyless", "starred"):
            self.users[role] = ([role], {"lender_id": [made.LENDER]})
        for name, lender in ODD_USERS.items():
            self.users[name] = (["lender"], {"lender_id": [lender]})

    def text(self, roles=ROLES, jwt=True, users=None):
        text = 'mask_key = "mask.key"\n'
        for name, (held, attributes) in (users or self.users).items():
            pairs = [
                f"{attribute} = [{', '.join(toml(value) for value in values)}]"
                for attribute, values in attributes.items()
            ]
            text += USER.format(
                name=name,
                verifier=self.verifier,
                roles=", ".join(toml(role) for role in held),
                attributes=", ".join(pairs),
            )
        return text + roles + (JWT if jwt else "")

    def write(self, folder, **how):
        """Writes the file of a side, whole at once."""
        hidden = folder / "users.next"
        hidden.write_text(self.text(**how))
        (folder / "mask.key").write_bytes(b"the same key on both of the sides")
        hidden.rename(folder / "users.toml")


def certificate(folder):
    """A certificate for 127.0.0.1 and its key."""
    folder.mkdir()
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"],
            *["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
            *["-keyout", str(folder / "server.key"), "-out", str(folder / "server.pem")],
        ],
        check=True,
        capture_output=True,
    )
