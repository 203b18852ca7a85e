"""The same statements to both servers, and what differs between their answers."""

import re
from concurrent.futures import ThreadPoolExecutor

import users
from attacks import is_ordered
from client import Client

# Words that A sees only where its own statement says them.
HIDDEN_WORDS = [
    "secret",
    "other_moves",
    "other-lenders",
    "lacks_lender",
    "lacks-lender",
    "dead_letters",
    "boss",
    "partner",
    ".parquet",
    "_delta_log",
]
# The metrics of a node of a plan, of which only rows are no matter of clocks and of layout.
METRICS = re.compile(r"metrics=\[([^]]*)\]")
MEASURED_ROWS = re.compile(r"\boutput_rows[^,]*")
DURATION = re.compile(r"^\s+[\d.]+(ns|µs|ms|s)$")
# When a side's own table was made.
MADE_AT = re.compile(r"(its oldest version, \d+, is of )\S+Z")


class Difference:
    """Two answers to one statement that are not equal, or one that says what it must not."""

    def __init__(self, group, statement, full, ours, why):
        self.group, self.statement, self.why = group, statement, why
        self.full, self.ours = full, ours

    def shown(self):
        lines = [f"{self.group}: {self.statement}", f"  {self.why}"]
        for side, answer in (("full", self.full), ("ours", self.ours)):
            if answer is not None:
                text = answer.shown().replace("\n", "\n    ")
                lines.append(f"  {side}: {text[:3000]}")
        lines += self._first()
        return "\n".join(lines)

    def _first(self):
        """The first rows that differ."""
        if self.full is None or self.ours is None:
            return []
        for number, pair in enumerate(zip(self.full.rows, self.ours.rows, strict=False), 1):
            if pair[0] != pair[1]:
                full, ours = (str(row)[:1000] for row in pair)
                return [f"  row {number}: {full}", f"       not: {ours}"]
        return []


class Pair:
    """A connection to each server for one user."""

    def __init__(self, world, user="acme", **more):
        self.world, self.user, self.more = world, user, more
        self.clients = [self._client(side) for side in world.sides]
        self.threads = ThreadPoolExecutor(len(self.clients))

    def _client(self, side):
        return Client(side.port, self.user, users.PASSWORD, **self.more)

    def close(self):
        self.threads.shutdown()
        for client in self.clients:
            client.close()

    def both(self, ask):
        """What each answers; a client whose server has closed the connection gets a new one."""

        def one(place):
            side = self.world.sides[place]
            if not self.clients[place].is_alive():
                self.clients[place].close()
                self.clients[place] = self._client(side)
            return ask(self.clients[place], side)

        return list(self.threads.map(one, range(len(self.clients))))


def normal(answer):
    """An answer to `explain analyze` without what clocks say."""

    def rows_alone(match):
        # Partitions are measured in the order in which they begin.
        return f"metrics=[{', '.join(sorted(MEASURED_ROWS.findall(match[1])))}]"

    rows = [(METRICS.sub(rows_alone, cell) if cell else cell,) for (cell, *_) in answer.rows]
    answer.rows = [row for row in rows if not (row[0] and DURATION.match(row[0]))]
    return answer


def difference(group, statement, answers, ordered, said=None):
    """What is wrong with the answers to a statement, or none."""
    full, ours = answers
    if full.comparable(ordered) != ours.comparable(ordered):
        return Difference(group, statement, full, ours, "the answers differ")
    said = (said or statement).lower()
    for word in HIDDEN_WORDS:
        if word not in said and any(word in text for text in full.texts()):
            return Difference(group, statement, full, None, f"it says {word!r}")
    return None


def run_case(world, pair, case):
    """The differences of a case."""
    found = []
    own = pair is None or pair.user != case.user or len(case.statements) > 1
    clients = Pair(world, case.user) if own else pair
    try:
        for text in case.statements:
            answers = clients.both(
                lambda client, side, text=text: client.simple(
                    text.replace("{data}", f"{side.data}")
                )
            )
            if "explain" in text.lower() and "analyze" in text.lower():
                answers = [normal(answer) for answer in answers]
            for side, answer in zip(world.sides, answers, strict=True):
                blank(answer, f"{side.data}")
            wrong = difference(case.group, text, answers, is_ordered(text), said=case.name)
            if wrong is not None:
                wrong.statement = case.name
                found.append(wrong)
    finally:
        if own:
            clients.close()
    return found


def blank(answer, folder):
    """Puts a word for the side's own folder, which the statement named."""
    if answer.error is not None:
        answer.error = {
            k: MADE_AT.sub(r"\1{made}", v.replace(folder, "{data}"))
            for k, v in answer.error.items()
        }
    short = folder.lstrip("/")
    answer.rows = [
        tuple(c.replace(short, "{data}") if c else c for c in row) for row in answer.rows
    ]
