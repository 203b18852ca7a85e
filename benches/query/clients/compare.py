"""Answers of one client by both servers, side by side: same, differs or fails, and why."""

import fnmatch
import json
import tomllib
from pathlib import Path

# Clients whose answers to most tests are an exit status and what was printed.
PROGRAMS = ("psql", "pg_dump")
REASONS = Path(__file__).resolve().parent / "reasons.toml"


def failed(answer):
    """The SQLSTATE (or the kind) of an answer that is an error, else None."""
    return answer.get("error") if isinstance(answer, dict) else None


def refused(client, answer):
    """Likewise of a program, whose answer begins with its exit status: `exit` for other than 0."""
    if client in PROGRAMS and isinstance(answer, list) and answer:
        return "exit" if type(answer[0]) is int and answer[0] != 0 else None
    return failed(answer)


def fitting(text, patterns):
    """Whether a text fits a pattern, or one of several. A `[` is itself."""
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch.fnmatchcase(text, pattern.replace("[", "[[]")) for pattern in patterns)


class Reasons:
    """The differences that are wanted: by feature, client and case, each a pattern or several. One
    that names a `sqlstate`, or several, explains such errors of ours; others explain no error.
    """

    def __init__(self, path=REASONS):
        self.entries = tomllib.loads(path.read_text())["reason"] if path.exists() else []
        self.used = set()

    def of(self, client, feature, case, error):
        """The number of the first entry that fits, from 1; `error` of ours, if it is one that
        PostgreSQL does not give."""
        for number, entry in enumerate(self.entries, 1):
            fits = (
                fitting(client, entry.get("client", "*"))
                and fitting(feature, entry.get("feature", "*"))
                and fitting(case, entry.get("case", "*"))
            )
            wanted = entry.get("sqlstate", [])
            if fits and (error is None or error in wanted):
                self.used.add(number)
                return number
        return None


def compared(client, ours, postgres, reasons):
    """What a client's cases give: lists of (feature, case, verdict, number of the reason, ours,
    PostgreSQL's).
    """
    found = []
    for key in dict.fromkeys([*postgres, *ours]):
        feature, case = key
        one, other = ours.get(key), postgres.get(key)
        if other is None or failed(other) in ("hang", "crash"):
            # Beside PostgreSQL the client or the test itself is broken, which tells nothing of us.
            ends = other is None and failed(one) in ("hang", "crash")
            found.append((feature, case, "fails" if ends else "untried", None, one, other))
        elif one is None:
            found.append((feature, case, "fails", None, {"error": "not reached"}, other))
        elif same(one, other):
            found.append((feature, case, "same", None, one, other))
        else:
            error = refused(client, one)
            if refused(client, other) == "exit":
                error = None
            number = reasons.of(client, feature, case, error)
            ours_fails = error is not None and refused(client, other) is None
            if failed(one) in ("hang", "crash"):
                ours_fails = True
            verdict = "differs" if number or not ours_fails else "fails"
            found.append((feature, case, verdict, number, one, other))
    return found


def same(one, other):
    """Errors are the same by their SQLSTATE; texts count where a test puts them into answers."""
    if failed(one) is not None and failed(other) is not None:
        return failed(one) == failed(other)
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def cell(rows):
    """The cell of a feature and a client."""
    if not rows:
        return "-"
    for _, _, verdict, why, *_ in rows:
        if verdict == "fails" or verdict == "differs" and not why:
            return "fails"
    numbers = sorted({why for _, _, verdict, why, *_ in rows if verdict == "differs"})
    if numbers:
        more = f" +{len(numbers) - 3}" if len(numbers) > 4 else ""
        return "differs " + " ".join(map(str, numbers[: 3 if more else 4])) + more
    same = sum(verdict == "same" for _, _, verdict, *_ in rows)
    return f"same {same}" if same else "not tried"
