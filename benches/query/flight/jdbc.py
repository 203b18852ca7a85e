"""Arrow's JDBC driver, by Jdbc.java: from Maven's repository into the user's cache, once."""

import os
import pathlib
import shutil
import subprocess

import world

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
VERSION = "18.3.0"
DRIVER = f"org.apache.arrow:flight-sql-jdbc-driver:{VERSION}"
OPEN = "--add-opens=java.base/java.nio=org.apache.arrow.memory.core,ALL-UNNAMED"


def by_jdbc(checks):
    """Arrow's JDBC driver: metadata, values, parameters, errors, cancel."""
    missing = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
    if missing:
        return f"SKIPPED: there is no {missing[0]} here"
    folder = CACHE / "riskstream-flight-jdbc"
    jar = folder / f"flight-sql-jdbc-driver-{VERSION}.jar"
    if not jar.exists():
        copy = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={DRIVER}"]
        run([*copy, f"-DoutputDirectory={folder}"])
    classes = checks.world.folder / "classes"
    run(["javac", "-nowarn", "-cp", jar, "-d", classes, HERE / "Jdbc.java"])
    address = checks.server.uri.removeprefix("grpc://")
    url = f"jdbc:arrow-flight-sql://{address}/?useEncryption=false"
    java = ["java", OPEN, "-Xmx512m", "-cp", f"{classes}:{jar}", "Jdbc"]
    done = run([*java, url, "ann", world.password("ann")], must=False)
    print(done.stdout, end="", flush=True)
    assert done.returncode == 0, done.stderr[-1_000:]
    return None


def run(command, must=True):
    """Runs a program to its end."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    if must and done.returncode:
        raise RuntimeError(f"{command[0]}: {(done.stderr or done.stdout)[-500:]}")
    return done


CHECKS = (by_jdbc,)
