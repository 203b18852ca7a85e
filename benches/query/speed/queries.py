"""The analyst's queries, from `queries/*.sql`: text that every contender runs unchanged, or with
the rewrites that the file itself states.

    -- What is asked, in a sentence.
    -- polars: TEXT => TEXT        a rewrite for the contenders of that kind
    -- polars: none, REASON        they don't run it
    select ...
"""

import dataclasses
import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent / "queries"
KINDS = ("riskstream", "duckdb", "polars", "deltalake")
NOTE = re.compile(r"^-- (?:(?P<kind>" + "|".join(KINDS) + r"): )?(?P<text>.*)$")


class BadQuery(Exception):
    """A file that is not of the form above."""


@dataclasses.dataclass
class Query:
    """A query, its name that of its file."""

    name: str
    about: str
    text: str
    rewrites: dict
    left_out: dict

    def of(self, kind):
        """The text for contenders of a kind, or None where they don't run it."""
        if kind in self.left_out:
            return None
        text = self.text
        for old, new in self.rewrites.get(kind, ()):
            if old not in text:
                raise BadQuery(f"{self.name}: the rewrite for {kind} finds no {old!r}")
            text = text.replace(old, new)
        return text


def read(path):
    """The query of a file."""
    about, rewrites, left_out, text = [], {}, {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        noted = NOTE.match(line) if not text else None
        if not noted:
            text.append(line)
        elif not noted["kind"]:
            about.append(noted["text"])
        elif noted["text"].startswith("none, "):
            left_out[noted["kind"]] = noted["text"].removeprefix("none, ")
        else:
            old, arrow, new = noted["text"].partition(" => ")
            if not arrow:
                raise BadQuery(f"{path}: neither a rewrite nor a reason: {line}")
            rewrites.setdefault(noted["kind"], []).append((old, new))
    query = Query(path.stem, " ".join(about), "\n".join(text).strip(), rewrites, left_out)
    if not query.about or not query.text:
        raise BadQuery(f"{path}: says not what it asks, or asks nothing")
    for kind in KINDS:
        query.of(kind)
    return query


def all_queries(only=""):
    """All whose names contain `only`, in the order of their names."""
    return [read(path) for path in sorted(FOLDER.glob("*.sql")) if only in path.stem]
