"""The tables that are asked: what the program's own run without any argument gives, as it stands,
and a copy of it that `riskstream maintain` has compacted. Made once, into the cache folder.
"""

import hashlib
import json
import pathlib
import shutil
import subprocess

from servers import PROJECT, Failed, set_arguments

CONFIG = PROJECT / "pipelines.toml"
VARIANTS = ("standing", "compacted")


def variants(program, cache, sets=(), wanted=VARIANTS):
    """The data folders by name."""
    sets, unknown = list(sets), [name for name in wanted if name not in VARIANTS]
    if unknown:
        raise Failed(f"tables are {' or '.join(VARIANTS)}, not {', '.join(unknown)}")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    made_by = [CONFIG.read_text(encoding="utf-8"), version.stdout, *sets]
    key = hashlib.sha256("\n".join(made_by).encode()).hexdigest()[:12]
    folder = pathlib.Path(cache) / f"query-tables-{key}"
    if folder.exists():
        print(f"tables of earlier runs are used; without {folder} they are made again", flush=True)
    standing = folder / "standing"
    if not (standing / "made").exists():
        print(f"making the tables in {standing}", flush=True)
        shutil.rmtree(standing, ignore_errors=True)
        call([program, "run", CONFIG, *set_arguments([f"riskstream.data={standing}", *sets])])
        (standing / "made").touch()
    compacted = folder / "compacted"
    if "compacted" in wanted and not (compacted / "made").exists():
        print(f"making the tables in {compacted}", flush=True)
        shutil.rmtree(compacted, ignore_errors=True)
        shutil.copytree(standing, compacted, ignore=shutil.ignore_patterns("made"))
        call([program, "maintain", CONFIG, *set_arguments([f"riskstream.data={compacted}", *sets])])
        (compacted / "made").touch()
    return {name: folder / name for name in wanted}


def call(command):
    """Runs a command to its end."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}")


def paths(data):
    """The folders of a data folder's tables, by name."""
    found = sorted((pathlib.Path(data) / "tables").iterdir())
    return {path.name: str(path) for path in found if (path / "_delta_log").is_dir()}


def shape(path):
    """Files, rows and bytes of a table, as its log says."""
    from deltalake import DeltaTable

    table = DeltaTable(path)
    actions = table.get_add_actions(flatten=True)
    columns = actions.schema.names if hasattr(actions.schema, "names") else []
    values = {name: list(actions.column(at)) for at, name in enumerate(columns)}

    def total(name):
        numbers = (getattr(v, "as_py", lambda v=v: v)() for v in values.get(name, ()))
        return sum(n for n in numbers if n is not None)

    return {
        "files": len(table.file_uris()),
        "rows": total("num_records"),
        "bytes": total("size_bytes"),
        "version": table.version(),
        "log_files": sum(1 for _ in (pathlib.Path(path) / "_delta_log").glob("*")),
    }


def write_json(path, value):
    """A file of JSON that a person can read too."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
