"""Installs clients from package registries into the user's cache, each once.

`prepared(client)` gives the command that runs it with its environment; it raises [`Missing`] with
the reason where a client can't be had on this machine.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "riskstream-clients"
SECONDS_MAX = 900


class Missing(Exception):
    """Why a client is not here."""


def run(command, **more):
    """Runs an installer; says what it said when it failed."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            **more,
        )
    except FileNotFoundError as error:
        raise Missing(f"`{command[0]}` is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Missing(f"`{command[0]}` took longer than {SECONDS_MAX} s") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Missing(f"`{' '.join(map(str, command[:3]))}` failed: {lines[-1] if lines else ''}")
    return done.stdout


def folder(kind, parts):
    """A folder of the cache for these parts."""
    return CACHE / f"{kind}-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}"


def done_once(place, install):
    """Installs into a folder unless that was done to its end."""
    mark = place / "installed"
    if not mark.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        install()
        mark.write_text("")
    return place


def python(parts):
    """The interpreter of an environment with packages of PyPI."""
    place = folder("python", parts)

    def install():
        run([sys.executable, "-m", "venv", place])
        pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet"]
        run([*pip, "--disable-pip-version-check", *parts])

    return done_once(place, install) / "bin" / "python"


def within(parts):
    """Goes on in an environment with these packages, of which psycopg and deltalake are two."""
    if all(importlib.util.find_spec(name) for name in ("psycopg", "deltalake")):
        return
    interpreter = python(parts)
    os.execv(interpreter, [str(interpreter), *sys.argv])


def debian(packages):
    """Debian's packages; as root they are installed."""
    missing = [
        name
        for name in packages
        if subprocess.run(["dpkg", "-s", name], capture_output=True).returncode
    ]
    if not missing:
        return
    if os.geteuid():
        raise Missing(f"Debian's {' '.join(missing)} would have to be installed by root")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    try:
        run(install, env=environment)
    except Missing:
        run(["apt-get", "update", "-qq"], env=environment)
        run(install, env=environment)


def java(script, parts):
    """Jars by Maven, and a class compiled by javac."""
    for program in ("javac", "mvn"):
        if not shutil.which(program):
            raise Missing(f"`{program}` is not installed")
    source = HERE / "java" / script
    place = folder("java", (*parts, source.read_text(), (HERE / "java/Tests.java").read_text()))

    def install():
        dependencies = "".join(
            "<dependency><groupId>{}</groupId><artifactId>{}</artifactId>"
            "<version>{}</version></dependency>".format(*part.split(":"))
            for part in parts
        )
        (place / "pom.xml").write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>clients</groupId><artifactId>clients</artifactId><version>1</version>"
            f"<dependencies>{dependencies}</dependencies></project>"
        )
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
        run(["mvn", "-q", "-B", "-f", place / "pom.xml", copy, f"-DoutputDirectory={place}/jars"])
        run(
            ["javac", "-nowarn", "-cp", f"{place}/jars/*", "-d", place / "classes"]
            + [HERE / "java" / "Tests.java", source]
        )

    done_once(place, install)
    classes = f"{place}/classes:{place}/jars/*"
    return [
        "java",
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        classes,
        Path(script).stem,
    ]


def node(script, parts):
    """Packages of npm beside a copy of the scripts, since Node looks for them there."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Missing(f"`{program}` is not installed")
    place = folder("node", parts)

    def install():
        (place / "package.json").write_text('{"private": true, "type": "module"}')
        run(["npm", "install", "--no-audit", "--no-fund", "--silent", *parts], cwd=place)

    done_once(place, install)
    for source in (HERE / "node").glob("*.mjs"):
        shutil.copy(source, place / source.name)
    return ["node", place / script]


def go(script, parts):
    """A Go program with its module, built once."""
    if not shutil.which("go"):
        raise Missing("`go` is not installed")
    source = HERE / "go" / script
    texts = [path.read_text() for path in sorted((HERE / "go").rglob("*.go"))]
    place = folder("go", (*parts, *texts))

    def install():
        for path in [*source.glob("*.go"), *(HERE / "go").glob("*.go")]:
            shutil.copy(path, place / path.name)
        run(["go", "mod", "init", "clients"], cwd=place)
        run(["go", "get", *parts], cwd=place)
        run(["go", "build", "-o", "client", "."], cwd=place)

    return [done_once(place, install) / "client"]


def odbc(parts):
    """An environment with pyodbc, and Debian's driver for it."""
    debian(("unixodbc", "odbc-postgresql"))
    return python(parts)


def prepared(client):
    """The command of a client."""
    script = HERE / "python" / client.script
    if client.kind == "python":
        return [python(client.parts), script]
    if client.kind == "odbc":
        return [odbc(client.parts), script]
    if client.kind == "perl":
        debian(client.parts)
        return ["perl", HERE / "perl" / client.script]
    if client.kind == "java":
        return java(client.script, client.parts)
    if client.kind == "node":
        return node(client.script, client.parts)
    if client.kind == "go":
        return go(client.script, client.parts)
    raise ValueError(client.kind)
