"""How long a look-up takes for a key that is another lender's, and for one that nobody has."""

import math
import random
import time

import rows as made
import users
from client import Client

RUNS = 200
# Below this chance that two kinds of keys take equally long, they are told apart.
CHANCE_MIN = 0.001
# A difference of medians below this share is of no use over a network.
SHARE_MIN = 0.05


def rank_sum(a, b):
    """The chance that two samples are of one distribution (Mann and Whitney, two-sided, by the
    normal approximation), and how often one of `a` is above one of `b`.
    """
    both = sorted([(value, 0) for value in a] + [(value, 1) for value in b])
    ranks, place = 0.0, 0
    ties = 0
    while place < len(both):
        end = place
        while end < len(both) and both[end][0] == both[place][0]:
            end += 1
        mean = (place + 1 + end) / 2
        ranks += mean * sum(1 for _, side in both[place:end] if side == 0)
        ties += (end - place) ** 3 - (end - place)
        place = end
    n, m = len(a), len(b)
    u = ranks - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    z = (u - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0
    return math.erfc(abs(z) / math.sqrt(2)), u / (n * m)


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


class Timing:
    """Look-ups of kinds of keys, one kind after the other in random order."""

    def __init__(self, world, seed):
        self.world, self.dice = world, random.Random(seed)

    def _keys(self):
        rows = [row for part in self.world.rows.loans for row in part]
        hidden = [row["key"] for row in rows if row["lender_id"] != "A"]
        # In the range of the keys that there are, but none of them.
        absent = [key + "x" for key in hidden]
        beyond = [f"L{number:06}" for number in range(1_000)]
        tables = {"hidden": ["secrets", "other_moves"], "absent": ["sekrets", "other_mowes"]}
        others = [lender for lender in made.OTHERS if lender is not None and "'" not in lender]
        payments = self.world.rows.payments
        pays = [row["pay_id"] for row in payments if not made.is_ours(row)]
        # As many, since the plan of a text that comes again is kept.
        nobody = [lender + "x" for lender in others]
        numbers = {
            "hidden": [row["id"] for row in rows if row["lender_id"] != "A"],
            "absent": [-1 - number for number in range(1_000)],
        }
        return {
            "key": {"hidden": hidden, "absent": absent, "beyond all": beyond},
            "id": numbers,
            "table": tables,
            "date and key": {"hidden": hidden, "absent": absent},
            "lender": {"hidden": others, "absent": nobody},
            "payment": {
                "hidden": pays,
                "absent": numbers["absent"],
            },
            "newest": {"hidden": others, "absent": nobody},
        }

    def measure(self):
        """By kind of look-up: the times of each kind of key, in seconds."""
        client = Client(self.world.full.port, "acme", users.PASSWORD)
        sqls = {
            "key": "select * from loans where key = '{}'",
            "id": "select * from loans where id = {}",
            "table": "select * from {}",
            "date and key": "select * from loans where event_date = '2026-01-05' and key = '{}'",
            "lender": "select * from loans where lender_id = '{}'",
            "payment": "select * from payments where pay_id = {}",
            "newest": "select * from book_now where lender_id = '{}'",
        }
        found = {}
        for kind, keys in self._keys().items():
            times = {name: [] for name in keys}
            plan = [name for name in keys for _ in range(RUNS)]
            self.dice.shuffle(plan)
            for name in plan[:10] + plan:
                sql = sqls[kind].format(self.dice.choice(keys[name]))
                began = time.perf_counter()
                client.simple(sql)
                times[name].append(time.perf_counter() - began)
            found[kind] = times
        client.close()
        return found

    def lines(self, found):
        """A line for each pair of kinds, and whether it tells them apart."""
        for kind, times in found.items():
            for other in [name for name in times if name != "absent"]:
                a, b = times[other], times["absent"]
                chance, above = rank_sum(a, b)
                share = median(a) / median(b) - 1
                text = f"{kind}: {other} {median(a) * 1e3:.2f} ms, absent {median(b) * 1e3:.2f} ms"
                text += f" ({share:+.1%}), p = {chance:.2g}, P({other} > absent) = {above:.2f}"
                yield text, chance < CHANCE_MIN and abs(share) > SHARE_MIN
