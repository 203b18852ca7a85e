"""Generated statements to both servers; a difference is made small before it is told."""

import random
import re
import time

from asking import ask
from compare import Difference, Pair, difference
from statements import Statements
from tree import shrink

# Differences that are made small and told; with more something is wrong with all.
TOLD_MAX = 20
SHRINK_TRIES = 120
# How often a plan is asked for again that is another one on the other side.
PLANS_TRIED = 12

# What stands between the names of a plan's line, and the places of columns.
BETWEEN = re.compile(r"@\d+|[][(), ]+")


def words(rows):
    """The lines of a plan, each with its words in their alphabetical order."""
    return [tuple(" ".join(sorted(BETWEEN.split(cell or ""))) for cell in row) for row in rows]


class Generated:
    """A run of generated statements."""

    def __init__(self, world, flights=None):
        self.world = world
        self.flights = flights or [None, None]
        self.pair = Pair(world)
        self.found, self.errors, self.rows, self.asked, self.empty = [], 0, 0, 0, 0

    def close(self):
        self.pair.close()

    def answers(self, text, statement):
        def one(client, side):
            flight = self.flights[self.world.sides.index(side)]
            return ask(client, text, statement.way, statement.values, statement.own_error, flight)

        return self.pair.both(one)

    def run(self, seed, count, until=None):
        """Asks so many statements; each has a number of its own."""
        for number in range(count):
            if until is not None and time.monotonic() > until:
                return
            self.one(seed * 1_000_003 + number)

    def one(self, number):
        """Asks the statement of a number."""
        statement = Statements(random.Random(number)).statement()
        text = str(statement.query)
        answers = self.answers(text, statement)
        self._count(answers[0])
        wrong = self._wrong(text, statement, answers)
        if wrong is not None and statement.way.startswith("explain"):
            wrong = self._each_time(text, statement, wrong)
        if wrong is not None:
            self.found.append(self._smaller(statement, wrong, number))

    def _each_time(self, text, statement, wrong):
        """A difference of plans, unless both sides give the same one now and then.

        DataFusion keeps some columns in sets, so that their order differs from time to time, or
        from process to process.
        """
        for _ in range(PLANS_TRIED):
            if self.check(text, statement) is None:
                return None
        full, ours = self.answers(text, statement)
        full.rows, ours.rows = words(full.rows), words(ours.rows)
        return wrong if self._wrong(text, statement, [full, ours]) else None

    @staticmethod
    def _wrong(text, statement, answers):
        # A prepared statement gives its rows twice.
        ordered = statement.ordered and statement.way != "prepared"
        ordered = ordered or statement.way.startswith("explain")
        # What A sends in values is A's own.
        said = f"{text} {statement.values}"
        return difference(f"generated ({statement.way})", text, answers, ordered, said)

    def check(self, text, statement):
        return self._wrong(text, statement, self.answers(text, statement))

    def _count(self, answer):
        self.asked += 1
        self.errors += answer.error is not None
        self.empty += answer.error is None and not answer.rows
        self.rows += len(answer.rows)

    def _smaller(self, statement, wrong, number):
        """The difference in as small a statement as we find."""
        wrong.group += f", number {number}"
        if len(self.found) >= TOLD_MAX:
            return wrong
        if self.check(str(statement.query), statement) is None:
            wrong.why += "; not a second time"
            return wrong
        small = shrink(
            statement.query,
            lambda tree: self.check(str(tree), statement) is not None,
            SHRINK_TRIES,
        )
        again = self.check(str(small), statement) or wrong
        why = f"{again.why}; values {statement.values}; made of: {statement.query}"
        return Difference(wrong.group, f"{small}", again.full, again.ours, why)
