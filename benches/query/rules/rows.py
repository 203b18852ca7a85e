"""The rows: lender A's, and those of others that must not be seen.

A's values never fail: codes are numbers, divisors are not zero, texts of JSON, patterns and dates
are what they say. Those of the others always do, and hold the word `secret`. So a statement that
computes on a hidden row has an error, or a text, that one over A's rows alone has not. In columns
`odd_*` one row of A fails as well: such a statement has the same error on both sides.
"""

import datetime
import json
import random

LENDER = "A"
LENDER_NO = 1
# What looks like A and is not; what is no lender at all.
ODD_LENDERS = [
    "a",
    " A",
    "A ",
    "A\t",
    "A\n",
    "",
    " ",
    "AA",
    "A%",
    "_",
    "%",
    "A'",
    'A"',
    "A\\",
    "A, B",
    "('A')",
    "NULL",
    "null",
    "ALL",
    "\u00c5",
    "A\u030a",
    "\u0391",
    "\u0410",
    "\uff21",
    "A\u200b",
    "\U0001d400",
    None,
]
OTHERS = ["B", "C", *ODD_LENDERS]
STATUSES = ["current", "late", "paid", "default"]
CURRENCIES = ["EUR", "MXN", "GHS"]
DAY = datetime.date(2026, 1, 1)
# Rows of A and of the others in each table.
LOANS, OTHER_LOANS = 400, 2_400
PAYMENTS, OTHER_PAYMENTS = 500, 2_500
MOVES, OTHER_MOVES = 300, 900
ACCOUNTS, OTHER_ACCOUNTS = 40, 160
DAYS = 12
SECRETS = 200


def at(day, second):
    """An instant as text; whole seconds."""
    date = DAY + datetime.timedelta(days=day)
    return f"{date}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def loan(dice, number, lender, phase):
    """A loan of A or of another lender, as an object of JSON."""
    ours = lender == LENDER
    day = dice.randrange(DAYS) + DAYS * phase
    row = {
        "id": number,
        "key": f"K{number:06}",
        "lender_id": lender,
        "at": at(day, dice.randrange(86_400)),
        "user_id": dice.randrange(10_000, 99_999),
        "iban": f"DE{dice.randrange(10**17, 10**18)}",
        "holder": f"holder {dice.randrange(60)}",
        "contact": f"c{dice.randrange(100)}@example.org",
        "status": dice.choice(STATUSES),
        "currency": dice.choice(CURRENCIES),
        "flag": dice.choice([True, False, None]),
        "opened": str(DAY - datetime.timedelta(days=dice.randrange(900))),
    }
    if ours:
        row |= {
            "code": str(dice.randrange(1, 500)),
            "balance": dice.randrange(1, 2_000),
            "small": dice.randrange(1, 10),
            "big": dice.randrange(1, 1_000),
            "amount": f"{dice.randrange(1, 100_000) / 100:.2f}",
            "score": dice.randrange(1, 4_000) / 4,
            "raw": json.dumps({"n": dice.randrange(9), "t": dice.choice("xyz")}),
            "rx": dice.choice(["^K0", "[0-9]+", "a|b"]),
            "period": str(DAY + datetime.timedelta(days=dice.randrange(500))),
            "note": dice.choice(["", "called", "late again", None]),
            "odd_code": str(dice.randrange(1, 500)),
            "odd_zero": dice.randrange(1, 9),
        }
    else:
        row |= {
            "code": f"secret-{number}",
            "balance": dice.choice([0, 0, 7_000_000_000_000]),
            "small": 0,
            "big": dice.choice([2**63 - 1, -(2**63)]),
            "amount": dice.choice(["999999999999.99", "-999999999999.99", "0.00"]),
            "score": dice.choice([-1.0, 1e308, 0.0]),
            "raw": dice.choice(["{secret", '{"secret": [', ""]),
            "rx": dice.choice(["(secret", "[secret", "*secret"]),
            "period": f"secret {number}",
            "note": f"secret note {number}",
            "odd_code": f"secret-odd-{number}",
            "odd_zero": 0,
        }
    return row


def payment(dice, number, lender, loans):
    """A payment for one of the loans 0 to `loans`."""
    ours = lender == LENDER
    return {
        "pay_id": number,
        "lender_id": lender,
        "loan_id": dice.randrange(loans),
        "cents": dice.randrange(1, 90_000) if ours else dice.choice([0, 2**62]),
        "parts": dice.randrange(1, 5) if ours else 0,
        "currency": dice.choice(CURRENCIES),
        "memo": str(dice.randrange(50)) if ours else f"secret memo {number}",
        "paid_at": at(dice.randrange(DAYS), dice.randrange(86_400)),
    }


def move(dice, number, lender, day):
    """A row that is counted in windows of a day."""
    ours = lender == LENDER
    return {
        "move_id": number,
        "lender_id": lender,
        "currency": dice.choice(CURRENCIES),
        "cents": dice.randrange(1, 10_000) if ours else 2**40,
        "moved_at": at(day, dice.randrange(1, 86_399)),
    }


def account(dice, number, lender_no):
    return {
        "account_id": number,
        "lender_no": lender_no,
        "balance": dice.randrange(1, 900) if lender_no == LENDER_NO else 0,
        "iban": f"DE{dice.randrange(10**17, 10**18)}",
        "seen_at": at(dice.randrange(DAYS), dice.randrange(86_400)),
    }


def mixed(dice, ours, others, names=OTHERS):
    """Lenders of rows in random order: so many of A, so many of others."""
    lenders = [LENDER] * ours + [dice.choice(names) for _ in range(others)]
    dice.shuffle(lenders)
    return lenders


class Rows:
    """All rows of a seed; `full` or those of A alone."""

    def __init__(self, seed):
        dice = random.Random(seed)
        number = iter(range(10**6))
        self.loans = [
            [
                loan(dice, next(number), lender, phase)
                for lender in mixed(dice, LOANS // 2, OTHER_LOANS // 2)
            ]
            for phase in range(2)
        ]
        self._fail_once(dice)
        count = LOANS + OTHER_LOANS
        self.payments = [
            payment(dice, number, lender, count)
            for number, lender in enumerate(mixed(dice, PAYMENTS, OTHER_PAYMENTS))
        ]
        self.moves = [self._moves(dice, first, last) for first, last in [(0, 6), (4, 9)]]
        self.accounts = [
            account(dice, number, LENDER_NO if lender == LENDER else dice.choice([0, 2, 11, -1]))
            for number, lender in enumerate(mixed(dice, ACCOUNTS, OTHER_ACCOUNTS))
        ]
        lenders = [LENDER, *OTHERS]
        self.odd = [
            {"odd_id": number, "lender_id": lender, "seen_at": at(0, number), "n": number}
            for number, lender in enumerate(lenders * 3)
        ]
        self.secrets = [
            {"secret_id": number, "token": f"secret token {number}", "seen_at": at(0, number)}
            for number in range(SECRETS)
        ]
        self.everybody = [
            {"fact_id": number, "fact": f"fact {number % 7}", "seen_at": at(number % 5, number)}
            for number in range(60)
        ]
        self._later = dice

    def _fail_once(self, dice):
        """One row of A for each column `odd_*` that fails."""
        ours = [row for phase in self.loans for row in phase if row["lender_id"] == LENDER]
        code, zero = dice.sample(ours, 2)
        code["odd_code"], zero["odd_zero"] = "odd of A", 0

    def _moves(self, dice, first, last):
        """Moves of some days. Each lender has the last one, so that event time comes as far with
        A's rows alone.
        """
        ours, others = MOVES // 2, OTHER_MOVES // 2
        rows = [
            move(dice, number, lender, dice.randrange(first, last))
            for number, lender in enumerate(mixed(dice, ours, others), first * 10_000)
        ]
        rows.sort(key=lambda row: row["moved_at"])
        end = {"currency": "EUR", "cents": 1, "moved_at": at(last, 43_200)}
        for number, lender in enumerate([*OTHERS, LENDER], last * 10_000 + 5_000):
            rows.append({"move_id": number, "lender_id": lender, **end})
        return rows

    def more_payments(self, count):
        """Payments of others that come while statements run."""
        dice = self._later
        number = 1_000_000 + dice.randrange(10**9)
        return [
            payment(dice, number + row, dice.choice(OTHERS), LOANS + OTHER_LOANS)
            for row in range(count)
        ]


def is_ours(row):
    """Whether A may see a row."""
    if "lender_no" in row:
        return row["lender_no"] == LENDER_NO
    return "fact_id" in row or row.get("lender_id") == LENDER


def lines(rows):
    """Rows as lines of JSON."""
    return "".join(json.dumps(row) + "\n" for row in rows)
