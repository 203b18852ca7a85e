"""The servers that are measured, each started for one bench and stopped at its end: riskstream over
a data folder, and Debian's PostgreSQL (examples/servers/postgres.sh).
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import psycopg

PROJECT = pathlib.Path(__file__).resolve().parents[3]
POSTGRES = PROJECT / "examples" / "servers" / "postgres.sh"
START_S = 60


class Failed(Exception):
    """A server did not start or ended early."""


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def tool(name):
    """A program of PostgreSQL's, Debian's own and not its wrapper, which takes a tenth of a second
    to start.
    """
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise Failed(f"there is no {name} here: apt-get install postgresql")
    return path


def set_arguments(sets):
    """`--set` before each."""
    return [argument for setting in sets for argument in ("--set", setting)]


def knows(program, config, setting):
    """Whether a program takes a setting."""
    command = [program, "check", str(config), *set_arguments([setting])]
    done = subprocess.run(command, capture_output=True, cwd=PROJECT, check=False)
    return done.returncode == 0


def memory_mb(pid):
    """Resident memory of a process in MB, and the most it ever had; zeros when it is gone."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0, 0.0
    found = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)

    def of(name):
        return int(found.get(name, "0 kB").split()[0]) / 1024

    return of("VmRSS"), of("VmHWM")


def cpu_seconds(pid):
    """Processor time that the threads of a process have had so far."""
    nanos = 0
    for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            nanos += int(thread.read_text(encoding="ascii").split()[0])
        except (OSError, IndexError):
            # It has ended meanwhile.
            continue
    return nanos / 1e9


def read_bytes(pid):
    """Bytes that a process has read from files and sockets so far, whether or not a disk was
    needed.
    """
    said = pathlib.Path(f"/proc/{pid}/io").read_text(encoding="ascii")
    return int(dict(line.split(": ") for line in said.splitlines())["rchar"])


class Riskstream:
    """`riskstream serve` (or `run`) with the PostgreSQL port open."""

    def __init__(self, program, config, sets=(), command="serve", log=None, more=()):
        self.port = free_port()
        sets = [f"query.postgres=127.0.0.1:{self.port}", *sets]
        self.log = pathlib.Path(log or tempfile.mkstemp(prefix="riskstream-serve-")[1])
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                (
                    [program, command, str(config), *set_arguments(sets), *more]
                    if command == "run"
                    else [program, command, "--config", str(config), *set_arguments(sets), *more]
                ),
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=PROJECT,
            )
        self.pid = self.process.pid
        until = time.monotonic() + START_S
        while True:
            try:
                self.connect().close()
                return
            except psycopg.Error:
                if self.process.poll() is not None or time.monotonic() > until:
                    said = self.log.read_text(errors="replace")[-2000:]
                    self.stop()
                    raise Failed(f"{command} does not answer:\n{said}") from None
                time.sleep(0.05)

    host, user, database = "127.0.0.1", "bench", "riskstream"

    def connect(self, **more):
        """A connection that commits by itself."""
        return psycopg.connect(self.url, autocommit=True, **more)

    @property
    def url(self):
        """What libpq connects by."""
        return f"host={self.host} port={self.port} user={self.user} dbname={self.database}"

    def stop(self):
        """Ends it; nothing of its log is kept."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.unlink(missing_ok=True)


class Postgres:
    """A PostgreSQL server of the bench's own, with an eighth of the machine's memory as buffers
    and no TLS, which ours does not have here either.
    """

    host, user, database = "127.0.0.1", "postgres", "loans"
    # Each connection has a process of its own.
    pid = None

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="riskstream-speed-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.environment = {
            **os.environ,
            "POSTGRES_STATE": str(self.folder / "server"),
            "POSTGRES_FSYNC": "off",
        }
        buffers = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8 // 2**20
        self.script("start", str(self.port))
        for setting in (
            f"shared_buffers = '{buffers}MB'",
            "ssl = off",
            "max_connections = 200",
            "max_wal_size = '8GB'",
        ):
            self.script("admin", "-q", "-c", f"alter system set {setting}")
        self.script("restart")
        with self.connect() as connection:
            self.version = connection.execute("show server_version").fetchone()[0]

    def script(self, *arguments):
        """Runs the project's script for its servers."""
        done = subprocess.run(
            [POSTGRES, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise Failed(f"postgres.sh {' '.join(arguments)}: {done.stdout}")

    def connect(self, **more):
        """A connection that commits by itself."""
        return psycopg.connect(self.url, autocommit=True, **more)

    url = Riskstream.url

    def stop(self):
        """Ends it and keeps nothing."""
        subprocess.run([POSTGRES, "stop"], env=self.environment, capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def take(self, server, query, table, key=None):
        """Makes `table` of what `server` answers to a query, by binary COPY from one to the other;
        gives the number of rows.
        """
        with server.connect() as source, self.connect() as target:
            with source.cursor() as asked:
                asked.execute(f"select * from ({query}) q limit 0")
                columns = [f'"{c.name}" {type_of(source, c)}' for c in asked.description]
            target.execute(f"drop table if exists {table}")
            target.execute(f"create unlogged table {table} ({', '.join(columns)})")
        out = subprocess.Popen(
            [
                tool("psql"),
                "-Xqc",
                f"copy ({query}) to stdout (format binary)",
                server.url,
            ],
            stdout=subprocess.PIPE,
        )
        into = subprocess.run(
            [tool("psql"), "-Xc", f"copy {table} from stdin (format binary)", self.url],
            stdin=out.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out.stdout.close()
        if out.wait() != 0 or into.returncode != 0:
            raise Failed(f"COPY of {table} failed: {into.stderr}")
        with self.connect() as target:
            if key:
                target.execute(f"alter table {table} add primary key ({key})")
            target.execute(f"vacuum (analyze, freeze) {table}")
        return int(into.stdout.split()[-1])


def type_of(connection, column):
    """A column's type as PostgreSQL writes it, with its precision."""
    name = connection.adapters.types.get(column.type_code)
    if name is None:
        raise Failed(f"column {column.name} has the unknown type {column.type_code}")
    if name.name == "numeric" and column.precision:
        return f"numeric({column.precision},{column.scale})"
    return name.name


class Memory:
    """Samples the resident memory of processes until it is left."""

    def __init__(self, pids, every=0.05):
        self.pids, self.every = list(pids), every
        self.samples = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def sample(self):
        """A thread's work."""
        while True:
            self.samples.append(sum(memory_mb(pid)[0] for pid in self.pids))
            if self.ended.wait(self.every):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def figures(self):
        """MB at the start, after a tenth of the time, at most, and how much it grew in the nine
        tenths that follow.
        """
        at = len(self.samples) // 10
        tenth, most = max(self.samples[: at + 1]), max(self.samples)
        return {
            "start_mb": self.samples[0],
            "tenth_mb": tenth,
            "most_mb": most,
            "grew_mb": most - tenth,
        }


def fail(bench, error):
    """Ends the bench with what went wrong."""
    sys.exit(f"{bench}: {error}")
