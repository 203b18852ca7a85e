"""Statements that are made at random, from a seed.

Each has one answer, so that two servers can be compared letter by letter:

- What fails, fails on rows of others alone, or in one row of A, or on every row with the same text;
  no statement has two ways to fail.
- What may fail in a row of A stands where it is computed for all rows: not behind AND, OR or CASE,
  of which a server may leave out one side for a whole batch of rows.
- LIMIT comes with an order that tells all rows apart; so does each window, `array_agg` and the
  like. Floats are added up only where that is exact, in any order.
"""

from dataclasses import dataclass

from tree import Node, leaf

INT_BOUND = 2_000_000_000


@dataclass(frozen=True)
class Table:
    """A table as A sees it; its columns by type, and what tells its rows apart."""

    name: str
    key: str
    ints: dict
    texts: tuple
    dates: tuple = ()
    times: tuple = ()
    decimals: tuple = ()
    floats: tuple = ()
    bools: tuple = ()
    # Expressions over its columns that fail on rows of others, by type.
    fails: dict = None


LOANS = Table(
    "loans",
    "id",
    {"id": 4_000, "balance": 2_000, "small": 9, "big": 1_000},
    ("key", "lender_id", "status", "currency", "code", "raw", "period", "note", "holder", "contact")
    + ("iban",),
    ("opened", "event_date"),
    ("at",),
    ("amount",),
    ("score",),
    ("flag",),
    {
        "int": [
            ("cast({t}.code as int)", 500),
            ("{t}.code::bigint", 500),
            ("(10000 / {t}.balance)", 10_000),
            ("(10000 % {t}.small)", 9),
            ("(720 / {t}.small)", 720),
            ("({t}.big * 1000000)", 1_000_000_000),
            ("cast(cast({t}.big as smallint) as bigint)", 1_000),
            ("cast(cast({t}.score as smallint) as bigint)", 1_000),
            ("regexp_count({t}.key, {t}.rx)", 10),
            ("cast(date_part('year', cast({t}.period as date)) as int)", 3_000),
            ("length(repeat('x', cast({t}.code as int)))", 500),
            ("arrow_cast({t}.code, 'Int64')", 500),
        ],
        "text": [
            "regexp_replace({t}.key, {t}.rx, 'x')",
            "array_to_string(regexp_match({t}.key, {t}.rx), ',')",
            "to_char(cast({t}.period as date), 'YYYY-MM')",
            "cast(10000 / {t}.balance as text)",
            "lpad({t}.key, cast({t}.code as int) % 20 + 1, '.')",
            "json_build_object('c', cast({t}.code as int))::text",
        ],
        "bool": ["{t}.key ~ {t}.rx", "regexp_like({t}.key, {t}.rx)", "{t}.key !~* {t}.rx"],
        "date": ["cast({t}.period as date)", "to_date({t}.period)"],
        "time": ["cast({t}.period as timestamp)", "to_timestamp({t}.period)"],
        "decimal": ["cast({t}.amount as decimal(8,2))", "cast({t}.code as decimal(9,2))"],
        "float": ["cast({t}.code as double precision)"],
    },
)
PAYMENTS = Table(
    "payments",
    "pay_id",
    {"pay_id": 4_000, "loan_id": 4_000, "cents": 90_000, "parts": 5},
    ("lender_id", "currency", "memo"),
    ("event_date",),
    ("paid_at",),
    fails={
        "int": [
            ("cast({t}.memo as int)", 50),
            ("(120 / {t}.parts)", 120),
            ("({t}.cents * 4)", 360_000),
        ],
        "text": ["cast(7 % {t}.parts as text)"],
        "bool": ["1 / {t}.parts >= 0"],
        "date": ["cast('2026-01-0' || cast(9 / {t}.parts as text) as date)"],
        "decimal": ["cast({t}.memo as decimal(6,2))"],
    },
)
BOOK = Table(
    "book",
    "",
    {"n": 1_000, "cents": 2_000_000, "revision": 20},
    ("lender_id", "currency"),
    (),
    ("window_end",),
    bools=("is_final",),
    fails={"int": [("cast({t}.cents as int)", 2_000_000)]},
)
BOOK_NOW = Table("book_now", *[getattr(BOOK, f) for f in list(Table.__annotations__)[1:]])
ACCOUNTS = Table(
    "accounts",
    "account_id",
    {"account_id": 1_000, "lender_no": 1, "balance": 1_000},
    ("iban",),
    ("event_date",),
    ("seen_at",),
    fails={"int": [("(5000 / {t}.balance)", 5_000)]},
)
ODD = Table("odd", "odd_id", {"odd_id": 200, "n": 200}, ("lender_id",), ("event_date",), fails={})
TABLES = [LOANS, LOANS, LOANS, PAYMENTS, PAYMENTS, BOOK, BOOK_NOW, ACCOUNTS, ODD]
KEYED = [LOANS, LOANS, PAYMENTS, ACCOUNTS, ODD]
# What tells rows apart where no column does.
KEYS = {"book": "lender_id, currency, window_end, revision"}
KEYS["book_now"] = KEYS["book"]
# Fails in one row of A, or on each of its rows with one text.
ONE_FAILS = [
    "cast({t}.odd_code as int)",
    "{t}.odd_code::bigint",
    "1000 / {t}.odd_zero",
    "7 % {t}.odd_zero",
]
ALL_FAIL = [
    "cast('x' as int)",
    "1 / ({t}.id - {t}.id)",
    "cast({t}.contact as int)",
    "cast('2026-13-01' || left({t}.key, 0) as date)",
]
WORDS = ["current", "late", "paid", "EUR", "MXN", "A", "B", "", " A", "K0001", "1", "secret", "***"]


class Grammar:
    """Statements of a seed, one after the other."""

    def __init__(self, dice):
        self.dice = dice
        self.names = 0
        # Values of parameters, where literals become `$1` and so on.
        self.values = None

    def one(self, of):
        return self.dice.choice(of)

    def chance(self, share):
        return self.dice.random() < share

    def alias(self):
        self.names += 1
        return f"t{self.names}"

    def literal(self, value, kind):
        """A value in the text, or as a parameter."""
        if self.values is None or not self.chance(0.6):
            quoted = str(value).replace("'", "''")
            text = f"'{quoted}'" if kind in ("text", "date", "time") else str(value)
            typed = {"date": f"date {text}", "time": f"timestamptz {text}"}
            return leaf(kind, typed.get(kind, text))
        self.values.append(value)
        types = {"int": "bigint", "text": "text", "date": "date", "time": "timestamptz"}
        return leaf(kind, f"cast(${len(self.values)} as {types[kind]})")

    # Expressions. A scope is a list of pairs: a table and its alias.

    def column(self, scope, kind):
        """A column of a kind, if some table has one."""
        found = []
        for table, alias in scope:
            names = {
                "int": tuple(table.ints),
                "text": table.texts,
                "date": table.dates,
                "time": table.times,
                "decimal": table.decimals,
                "float": table.floats,
                "bool": table.bools,
            }[kind]
            found += [(table, alias, name) for name in names]
        if not found:
            return None
        return self.one(found)

    def failing(self, scope, kind):
        """An expression that fails on rows of others: its text and its bound."""
        found = [
            (each, alias) for table, alias in scope for each in (table.fails or {}).get(kind, ())
        ]
        if not found:
            return None
        each, alias = self.one(found)
        text, bound = each if isinstance(each, tuple) else (each, 0)
        return leaf(kind, text.replace("{t}", alias)), bound

    def int(self, scope, depth):
        """A whole number and how large it is at most."""
        if depth > 0 and self.chance(0.35):
            found = self.failing(scope, "int")
            if found:
                return found
        if depth > 0 and self.chance(0.5):
            return self._int_of(scope, depth - 1)
        found = self.column(scope, "int")
        if found is None or self.chance(0.25):
            value = self.dice.randrange(0, 300)
            return self.literal(value, "int"), 300
        table, alias, name = found
        return leaf("int", f"{alias}.{name}"), table.ints[name]

    def _int_of(self, scope, depth):
        a, most = self.int(scope, depth)
        b, other = self.int(scope, depth)
        choice = self.dice.randrange(8)
        if choice == 0 and most + other < INT_BOUND:
            return Node("int", "({} + {})", (a, b)), most + other
        if choice == 1 and most + other < INT_BOUND:
            return Node("int", "({} - {})", (a, b)), most + other
        if choice == 2 and most * other < INT_BOUND:
            return Node("int", "({} * {})", (a, b)), most * other
        if choice == 3:
            return Node("int", "coalesce({}, {})", (a, b)), max(most, other)
        if choice == 4:
            when = self.bool(scope, depth)
            return Node("int", "case when {} then {} else {} end", (when, a, b)), max(most, other)
        if choice == 5:
            return Node("int", "length({})", (self.text(scope, depth),)), 10_000
        if choice == 6:
            return Node("int", "abs({})", (a,)), most
        return Node("int", "nullif({}, {})", (a, b)), most

    def text(self, scope, depth):
        if depth > 0 and self.chance(0.25):
            found = self.failing(scope, "text")
            if found:
                return found[0]
        if depth > 0 and self.chance(0.5):
            return self._text_of(scope, depth - 1)
        found = self.column(scope, "text")
        if found is None or self.chance(0.2):
            return self.literal(self.one(WORDS), "text")
        return leaf("text", f"{found[1]}.{found[2]}")

    def _text_of(self, scope, depth):
        a = self.text(scope, depth)
        choice = self.dice.randrange(9)
        if choice == 0:
            return Node("text", "({} || {})", (a, self.text(scope, depth)))
        if choice == 1:
            return Node("text", f"{self.one(['upper', 'lower', 'trim', 'reverse'])}({{}})", (a,))
        if choice == 2:
            return Node("text", f"substr({{}}, 1, {self.dice.randrange(1, 6)})", (a,))
        if choice == 3:
            return Node("text", "cast({} as text)", (self.int(scope, depth)[0],))
        if choice == 4:
            when = self.bool(scope, depth)
            other = self.text(scope, depth)
            return Node("text", "case when {} then {} else {} end", (when, a, other))
        if choice == 5:
            return Node("text", "coalesce({}, {})", (a, self.text(scope, depth)))
        if choice == 6:
            return Node("text", "replace({}, 'e', {})", (a, self.text(scope, 0)))
        if choice == 7:
            number = self.int(scope, depth)[0]
            return Node("text", "json_build_object('n', {}, 't', {})::text", (number, a))
        return Node("text", f"split_part({{}}, '0', {self.dice.randrange(1, 3)})", (a,))

    def other(self, scope, kind, depth):
        """A date, an instant, a decimal or a float."""
        if depth > 0 and self.chance(0.4):
            found = self.failing(scope, kind)
            if found:
                return found[0]
        found = self.column(scope, kind)
        if found is None or self.chance(0.2):
            if kind in ("date", "time"):
                return self.literal(f"2026-01-{self.dice.randrange(1, 25):02}", kind)
            return leaf(kind, f"{self.dice.randrange(1, 900)}.25")
        text = leaf(kind, f"{found[1]}.{found[2]}")
        if depth > 0 and kind == "time" and self.chance(0.4):
            return Node(kind, f"date_trunc('{self.one(['day', 'hour', 'month'])}', {{}})", (text,))
        if depth > 0 and kind == "decimal" and self.chance(0.4):
            return Node(kind, f"({{}} * {self.dice.randrange(1, 9)})", (text,))
        return text

    def bool(self, scope, depth):
        if depth > 0 and self.chance(0.15):
            found = self.failing(scope, "bool")
            if found:
                return found[0]
        choice = self.dice.randrange(12 if depth > 0 else 5)
        op = self.one(["=", "<>", "<", ">", "<=", ">="])
        if choice == 0:
            a, b = self.int(scope, depth)[0], self.int(scope, 0)[0]
            return Node("bool", f"{{}} {op} {{}}", (a, b))
        if choice == 1:
            return Node("bool", f"{{}} {op} {{}}", (self.text(scope, depth), self.text(scope, 0)))
        if choice == 2:
            kind = self.one(["date", "time", "decimal", "float"])
            a, b = self.other(scope, kind, depth), self.other(scope, kind, 0)
            return Node("bool", f"{{}} {op} {{}}", (a, b))
        if choice == 3:
            is_null = self.one(["is null", "is not null"])
            return Node("bool", f"{{}} {is_null}", (self.text(scope, depth),))
        if choice == 4:
            found = self.column(scope, "bool")
            if found:
                how = self.one(["", " is true", " is not false", " is null"])
                return leaf("bool", f"{found[1]}.{found[2]}{how}")
            return leaf("bool", self.one(["true", "false", "1 = 1"]))
        return self._bool_of(scope, depth - 1, choice)

    def _bool_of(self, scope, depth, choice):
        a = self.bool(scope, depth)
        if choice == 5:
            return Node("bool", "({} and {})", (a, self.bool(scope, depth)))
        if choice == 6:
            return Node("bool", "({} or {})", (a, self.bool(scope, depth)))
        if choice == 7:
            return Node("bool", "not ({})", (a,))
        if choice == 8:
            pattern = self.one(["%7", "s%", "A", "_", "%0%", "secret%"])
            how = self.one(["like", "not like", "ilike"])
            return Node("bool", f"{{}} {how} '{pattern}'", (self.text(scope, depth),))
        if choice == 9:
            items = [self.int(scope, 0)[0] for _ in range(self.dice.randrange(1, 4))]
            marks = ", ".join(["{}"] * len(items))
            return Node("bool", f"{{}} in ({marks})", (self.int(scope, depth)[0], *items))
        if choice == 10:
            low = self.int(scope, 0)[0]
            high = self.int(scope, 0)[0]
            return Node("bool", "{} between {} and {}", (self.int(scope, depth)[0], low, high))
        return self._subquery_test(scope, depth)

    def _subquery_test(self, scope, depth):
        """IN, EXISTS and comparisons with a subquery."""
        table, alias = self.one(KEYED), self.alias()
        inner = [(table, alias)]
        where = self.bool(inner, depth)
        outer = self.column(scope, "int")
        mine = self.one(list(table.ints))
        choice = self.dice.randrange(4)
        source = f"from {table.name} {alias}"
        if choice == 0 and outer:
            text = f"exists (select 1 {source} where {alias}.{mine} = {outer[1]}.{outer[2]} and "
            return Node("bool", text + "({}))", (where,))
        if choice == 1:
            left = self.int(scope, depth)[0]
            how = self.one(["in", "not in"])
            text = f"{{}} {how} (select {alias}.{mine} {source} where {{}})"
            return Node("bool", text, (left, where))
        if choice == 2:
            left = self.int(scope, depth)[0]
            how = self.one(["max", "min", "count", "sum"])
            text = f"{{}} < (select {how}({alias}.{mine}) {source} where {{}})"
            return Node("bool", text, (left, where))
        text = f"exists (select 1 {source} where {{}})"
        return Node("bool", text, (where,))

    def expression(self, scope, depth=2):
        """An expression of any type."""
        kind = self.one(["int"] * 4 + ["text"] * 4 + ["bool", "date", "time", "decimal", "float"])
        if kind == "int":
            return self.int(scope, depth)[0]
        if kind == "text":
            return self.text(scope, depth)
        if kind == "bool":
            return Node("bool", "({})", (self.bool(scope, depth),))
        return self.other(scope, kind, depth)
