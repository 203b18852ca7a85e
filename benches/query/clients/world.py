"""The two servers that clients are pointed at, with the same rows: PostgreSQL 15 of the system's
packages, and `riskstream serve` over a data folder that the program itself has made.

Each has an owner, who comes without a password, and `reader`, who gives one. PostgreSQL's database
is read-only, has the same name, tables, types and comments, and gets its rows from the Delta files
by another reader than ours.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from rows import ABOUT, ABOUT_VIEWS, ROWS, SIZES, TYPES, TYPES_PIPELINE, postgres_table

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent.parent
DATABASE = "riskstream"
OWNER = "riskstream"
READER, PASSWORD = "reader", "a password, with ünïcode"
USERS = """
[users.{reader}]
password = "{verifier}"
roles    = ["reading"]

[roles.reading]
tables = ["public.*"]
"""


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port, process, log, seconds=60):
    """Waits until somebody listens."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if process.poll() is not None:
            sys.exit(f"the server ended with {process.returncode}: {log.read_text()[-2000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nobody listens at {port} after {seconds} s: {log.read_text()[-2000:]}")


def server_bin():
    """The folder of PostgreSQL's programs."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not folders:
        sys.exit("PostgreSQL's server is not installed: apt-get install postgresql-15")
    return folders[0].parent


class Server:
    """Where a client goes: the owner without, the reader with a password."""

    def __init__(self, name, port, port_with_users, postgres):
        self.name, self.port, self.port_with_users = name, port, port_with_users
        self.postgres = postgres

    def environment(self):
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": OWNER,
            "PGDATABASE": DATABASE,
            "PGSSLMODE": "prefer",
            "USERS_PORT": str(self.port_with_users),
            "USERS_NAME": READER,
            "USERS_PASSWORD": PASSWORD,
            # Where postgres_fdw is, which reads either server.
            "FDW_PORT": str(self.postgres),
        }


class World:
    """The folder of a proof and what runs in it. To be used with `with`."""

    def __init__(self, binary, work, postgres=True):
        self.binary, self.work = str(Path(binary).resolve()), Path(work)
        self.with_postgres = postgres
        self.data = self.work / "data"
        self.started = []

    def __enter__(self):
        self.work.mkdir(parents=True, exist_ok=True)
        self.work.chmod(0o755)
        try:
            self.make_data()
            port = self.start_postgres() if self.with_postgres else 0
            self.postgres = Server("PostgreSQL", port, port, port)
            self.ours = self.serve(port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in reversed(self.started):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # Our side

    def make_data(self):
        """Runs the program over its generators and a file of every type."""
        with open(self.work / "types.csv", "w", newline="") as file:
            file.write(",".join(TYPES) + "\n")
            for row in ROWS:
                quoted = ['"' + v.replace('"', '""') + '"' if v is not None else "" for v in row]
                file.write(",".join(quoted) + "\n")
        schema = ", ".join(f'{name} = "{kind}"' for name, kind in TYPES.items())
        self.config = self.work / "clients.toml"
        main = (PROJECT / "pipelines.toml").read_text()
        types = TYPES_PIPELINE.format(folder=self.work, schema=schema, port=free_port())
        self.config.write_text(main + types)
        if (self.data / "tables").exists():
            return
        command = [self.binary, "run", str(self.config), *self.sets(), "--workers", "1"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300)
        if done.returncode:
            sys.exit(f"the run ended with {done.returncode}: {done.stderr}{done.stdout}")

    def sets(self, *more):
        values = [f"riskstream.data={self.data}", *SIZES, *more]
        return [part for value in values for part in ("--set", value)]

    def serve(self, postgres):
        """Two servers of the program: without users, and with them and TLS."""
        verifier = subprocess.run(
            [self.binary, "password"], input=PASSWORD + "\n", capture_output=True, text=True
        )
        if verifier.returncode:
            sys.exit(f"`riskstream password` ended with {verifier.returncode}: {verifier.stderr}")
        self.certificate()
        users = self.work / "users.toml"
        users.write_text(USERS.format(reader=READER, verifier=verifier.stdout.strip()))
        tls = f'{{ certificate = "{self.work}/server.crt", key = "{self.work}/server.key" }}'
        ports = free_port(), free_port()
        self.listen(ports[0], "open.log")
        self.listen(ports[1], "users.log", f"query.users={users}", f"query.tls={tls}")
        return Server("riskstream", *ports, postgres)

    def listen(self, port, log, *more):
        log = self.work / log
        sets = self.sets(f"query.postgres=127.0.0.1:{port}", *more)
        command = [self.binary, "serve", "--config", str(self.config), *sets]
        with open(log, "w") as file:
            process = subprocess.Popen(command, cwd=PROJECT, stdout=file, stderr=file)
        self.started.append(process)
        wait_for(port, process, log)
        return process

    def certificate(self):
        if (self.work / "server.key").exists():
            return
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
            + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
            + ["-keyout", self.work / "server.key", "-out", self.work / "server.crt"],
            check=True,
            capture_output=True,
        )

    # PostgreSQL's side

    def start_postgres(self):
        bins, folder, port = server_bin(), self.work / "postgres", free_port()
        self.certificate()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        # PostgreSQL refuses to be run by root.
        self.as_user = {}
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
            self.as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        cluster = folder / "cluster"
        self.command(
            [bins / "initdb", "-D", cluster, "-U", "postgres", "-E", "UTF8", "--no-sync"]
            + ["--locale=C.UTF-8", "-A", "trust"]
        )
        for name in ("server.crt", "server.key"):
            shutil.copy(self.work / name, cluster / name)
            shutil.chown(cluster / name, "postgres") if self.as_user else None
            (cluster / name).chmod(0o600)
        (cluster / "pg_hba.conf").write_text(
            f"local all all trust\n"
            f"host all {OWNER},postgres 127.0.0.1/32 trust\n"
            f"host all all 127.0.0.1/32 scram-sha-256\n"
        )
        log = folder / "log"
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": cluster,
            "fsync": "off",
            "ssl": "on",
            "timezone": "UTC",
            "shared_buffers": "32MB",
            "max_connections": 60,
            "client_connection_check_interval": "100ms",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(log, "w") as file:
            command = [bins / "postgres", "-D", cluster, *options]
            process = subprocess.Popen(command, stdout=file, stderr=file, cwd="/", **self.as_user)
        self.started.append(process)
        wait_for(port, process, log)
        self.load(bins, port)
        return port

    def command(self, command):
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, cwd="/", **self.as_user
        )
        if done.returncode:
            sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr}")

    def psql(self, bins, port, database, text, user=OWNER):
        done = subprocess.run(
            [bins / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
            + ["-p", str(port), "-U", user, "-d", database],
            input=text,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"loading PostgreSQL: {done.stderr}")

    def load(self, bins, port):
        """The same tables, by the Delta files."""
        from deltalake import DeltaTable

        made = (
            f"create role {OWNER} login;\ncreate database {DATABASE} owner {OWNER};\n"
            f"create role {READER} login password '{PASSWORD}';\n"
        )
        self.psql(bins, port, "postgres", made, "postgres")
        self.psql(bins, port, DATABASE, f"alter schema public owner to {OWNER};", "postgres")
        script = []
        for path in sorted((self.data / "tables").iterdir()):
            rows = DeltaTable(str(path)).to_pyarrow_table()
            script.append(postgres_table(path.name, rows))
        script += [
            'create view portfolio_now as select distinct on (lender_id, currency, "window", '
            'window_end) * from portfolio order by lender_id, currency, "window", window_end, '
            "revision desc;",
            "create view loan_transitions_now as select distinct on (lender_id, currency, "
            'old_status, new_status, "window", window_end) * from loan_transitions order by '
            'lender_id, currency, old_status, new_status, "window", window_end, revision desc;',
            *(f"comment on table {name} is '{text}';" for name, text in ABOUT.items()),
            *(f"comment on view {name} is '{text}';" for name, text in ABOUT_VIEWS.items()),
            "comment on table all_types is 'every type that a table can have';",
            "comment on column all_types.i2 is 'sixteen bits';",
            "comment on column all_types.money is $$exact, in 'units'$$;",
            f"grant select on all tables in schema public to {READER};",
            "vacuum analyze all_types;",
            f"alter database {DATABASE} set default_transaction_read_only = on;",
            f"alter database {DATABASE} set default_transaction_isolation = 'repeatable read';",
        ]
        self.psql(bins, port, DATABASE, "\n".join(script))
