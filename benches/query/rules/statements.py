"""Whole statements out of the grammar: what is read, how it is grouped, ordered and asked."""

from dataclasses import dataclass

from grammar import ALL_FAIL, KEYED, KEYS, LOANS, ONE_FAILS, PAYMENTS, TABLES, Grammar
from tree import Node, leaf


@dataclass
class Statement:
    """A query and the way in which it is asked."""

    query: Node
    ordered: bool
    way: str
    values: list
    # Whether some row of A may fail: then nothing of it is left unread.
    own_error: bool


class Statements(Grammar):
    """Queries of a seed."""

    def statement(self):
        way = self.one(
            ["simple"] * 4
            + ["extended", "extended", "binary", "prepared", "named", "cursor", "copy", "copy csv"]
            + ["copy binary", "explain", "explain verbose", "hold", "flight"]
        )
        with_values = way in ("extended", "binary", "prepared")
        self.values = [] if with_values else None
        query, ordered, own_error = self.query()
        values, self.values = self.values or [], None
        return Statement(query, ordered, way, values, own_error)

    def query(self):
        forms = [
            (self.plain, 5),
            (self.joined, 4),
            (self.grouped, 4),
            (self.windowed, 3),
            (self.united, 2),
            (self.with_tables, 2),
            (self.distinct, 2),
            (self.derived, 2),
            (self.recursive, 1),
            (self.beside, 3),
            (self.failing_own, 2),
        ]
        form = self.one([form for form, weight in forms for _ in range(weight)])
        query, ordered = form()
        return query, ordered, form == self.failing_own

    # Parts.

    def where(self, scope, depth=2):
        if self.chance(0.25):
            return Node("where", "", optional=True)
        return Node("where", " where {}", (self.bool(scope, depth),), optional=True)

    def items(self, scope, count, depth=2):
        """A select list with names, so that no two columns have the same."""
        each = [self.expression(scope, depth) for _ in range(count)]
        parts = [
            Node("item", f", {{}} as x{place}", (expression,), optional=True)
            for place, expression in enumerate(each)
        ]
        return parts

    @staticmethod
    def unique(scope):
        """Columns that tell the rows of a scope apart."""
        parts = []
        for table, alias in scope:
            names = KEYS.get(table.name, table.key).split(", ")
            parts += [f"{alias}.{name}" for name in names]
        return ", ".join(parts)

    def order(self, scope, first=None, limit=True):
        """ORDER BY what tells rows apart, perhaps something else first; perhaps a LIMIT."""
        if self.chance(0.35):
            return Node("order", "", optional=True), False
        tail = ""
        if limit and self.chance(0.5):
            tail = f" limit {self.dice.randrange(0, 30)}"
            if self.chance(0.4):
                tail += f" offset {self.dice.randrange(0, 12)}"
        how = self.one(["", " desc", " nulls first", " desc nulls last"])
        unique = self.unique(scope)
        if first is None or self.chance(0.5):
            return leaf("order", f" order by {unique}{tail}"), True
        return Node("order", f" order by {{}}{how}, {unique}{tail}", (first,)), True

    # Forms.

    def plain(self):
        scope = [(self.one(TABLES), self.alias())]
        table, alias = scope[0]
        items = self.items(scope, self.dice.randrange(1, 4))
        star = self.one([self.unique(scope), f"{alias}.*", self.unique(scope)])
        order, ordered = self.order(scope, self.expression(scope, 1))
        text = f"select {star}{'{}' * len(items)} from {table.name} {alias}{{}}{{}}"
        return Node("query", text, (*items, self.where(scope), order)), ordered

    def joined(self):
        scope = [(self.one(KEYED), self.alias()) for _ in range(self.one([2, 2, 2, 3]))]
        source = f"{scope[0][0].name} {scope[0][1]}"
        conditions = []
        for place in range(1, len(scope)):
            table, alias = scope[place]
            kind = self.one(["join", "join", "left join", "right join", "full join"])
            source += f" {kind} {table.name} {alias} on {{}}"
            conditions.append(self._on(scope[:place], scope[place]))
        where = self.where(scope, 1)
        if self.chance(0.4):
            a = self.expression(scope, 1)
            text = f"select count(*), count({{}}) from {source}{{}}"
            return Node("query", text, (a, *conditions, where)), False
        items = self.items(scope, self.dice.randrange(1, 4), 1)
        order, ordered = self.order(scope)
        text = f"select {self.unique(scope)}{'{}' * len(items)} from {source}{{}}{{}}"
        # Rows that a full join has filled with nulls may be equal: then their order is the same.
        return Node("query", text, (*items, *conditions, where, order)), ordered

    def _on(self, before, last):
        """What a join is about: an equality, and perhaps more."""
        left, right = self.one(before), last
        if self.chance(0.3) and left[0].texts and right[0].texts:
            same = f"{left[1]}.{self.one(left[0].texts)} = {right[1]}.{self.one(right[0].texts)}"
            # Few values make many pairs: a number keeps them few.
            same += f" and {left[1]}.{left[0].key} % 7 = {right[1]}.{right[0].key} % 11"
        else:
            same = f"{left[1]}.{self.one(list(left[0].ints))} = {right[1]}.{right[0].key}"
        if self.chance(0.5):
            return leaf("on", same)
        more = self.bool([left, right], 1)
        return Node("on", same + " and ({})", (more,))

    def aggregate(self, scope):
        """An aggregate that is the same in any order of rows."""
        number, most = self.int(scope, 2)
        unique = self.unique(scope)
        keep = Node("filter", " filter (where {})", (self.bool(scope, 1),), optional=True)
        keep = keep if self.chance(0.3) else Node("filter", "", optional=True)
        choice = self.dice.randrange(12)
        texts = {
            0: "count(*)",
            1: "count({})",
            2: "count(distinct {})",
            3: "min({})",
            4: "max({})",
            5: "sum({})" if most < INT_SAFE else "min({})",
            6: "avg({})" if most < INT_SAFE else "max({})",
            7: "bit_xor({})",
            8: "approx_distinct({})",
            9: "array_agg({} order by " + unique + ")",
            10: "string_agg(cast({} as text), ',' order by " + unique + ")",
            11: "bool_or({} > 10)",
        }
        text = texts[choice]
        if choice in (1, 2, 3, 4) and self.chance(0.5):
            number = self.expression(scope, 2)
            if number.kind == "bool":
                number = self.text(scope, 1)
        children = () if choice == 0 else (number,)
        return Node("aggregate", text + "{}", (*children, keep))

    def grouped(self):
        table = self.one(TABLES)
        scope = [(table, self.alias())]
        keys = [self.expression(scope, 1) for _ in range(self.dice.randrange(0, 3))]
        aggregates = [self.aggregate(scope) for _ in range(self.dice.randrange(1, 4))]
        names = ", ".join(f"{{}} as k{place}" for place in range(len(keys)))
        results = ", ".join(f"{{}} as a{place}" for place in range(len(aggregates)))
        text = f"select {names}{', ' if keys else ''}{results} from {table.name} {scope[0][1]}{{}}"
        places = ", ".join(str(place + 1) for place in range(len(keys)))
        if keys:
            grouping = self.one(["{0}", "{0}", "rollup ({0})", "cube ({0})"])
            if grouping != "{0}":
                # Places are not taken within these: the keys are named in a table around them.
                return self._rolled(table, scope, keys, aggregates, grouping), False
            text += f" group by {places}"
        having = Node("having", "", optional=True)
        if self.chance(0.3):
            having = Node("having", " having {} > 3", (self._count(scope),), optional=True)
        order = f" order by {places}" if keys and self.chance(0.6) else ""
        query = Node("query", text + "{}" + order, (*keys, *aggregates, self.where(scope), having))
        return query, bool(order)

    def _count(self, scope):
        return Node("aggregate", "count({})", (self.int(scope, 1)[0],))

    def _rolled(self, table, scope, keys, aggregates, grouping):
        alias = scope[0][1]
        names = [f"k{place}" for place in range(len(keys))]
        inner = ", ".join(f"{{}} as {name}" for name in names)
        source = f"(select {alias}.*, {inner} from {table.name} {alias}) {alias}"
        results = ", ".join(f"{{}} as a{place}" for place in range(len(aggregates)))
        by = grouping.format(", ".join(f"{alias}.{name}" for name in names))
        shown = ", ".join(f"{alias}.{name}" for name in names)
        text = f"select {shown}, {results} from {source}{{}} group by {by}"
        return Node("query", text, (*aggregates, *keys, self.where(scope, 1)))

    def windowed(self):
        table = self.one(TABLES)
        scope = [(table, self.alias())]
        alias = scope[0][1]
        unique = self.unique(scope)
        number, most = self.int(scope, 2)
        calls = ["row_number()", "rank()", "dense_rank()", "lag({})", "lead({}, 2)", "count({})"]
        calls += ["first_value({})", "last_value({})", "min({})", "ntile(4)", "percent_rank()"]
        calls += ["sum({})" if most < INT_SAFE else "max({})"]
        call = self.one(calls)
        by = Node("by", "partition by {} ", (self.expression(scope, 1),), optional=True)
        by = by if self.chance(0.6) else Node("by", "", optional=True)
        frames = ["", "", " rows between 2 preceding and current row"]
        frame = self.one(frames) if "(" in call and "{}" in call else ""
        first = self.expression(scope, 1)
        over = f" over ({{}}order by {{}}, {unique}{frame})"
        children = (number,) if "{}" in call else ()
        order, ordered = self.order(scope, None)
        if self.chance(0.25):
            text = (
                f"select * from (select {unique}, {call}{over} as w from {table.name} {alias}{{}})"
            )
            text += f" s where w is not null{' order by 1, 2' if ordered else ''}"
            if table.name.startswith("book"):
                text, ordered = text.replace(" order by 1, 2", ""), False
            return Node("query", text, (*children, by, first, self.where(scope, 1))), ordered
        text = f"select {unique}, {call}{over} as w from {table.name} {alias}{{}}{{}}"
        return Node("query", text, (*children, by, first, self.where(scope, 1), order)), ordered

    def united(self):
        sides = []
        for _ in range(self.one([2, 2, 3])):
            scope = [(self.one(TABLES), self.alias())]
            number, text = self.int(scope, 2)[0], self.text(scope, 1)
            where = self.where(scope, 1)
            table, alias = scope[0]
            part = f"select {{}} as a, {{}} as b from {table.name} {alias}{{}}"
            sides.append(Node("side", part, (number, text, where)))
        how = self.one(["union", "union all", "intersect", "except", "union"])
        text = f" {how} ".join(["{}"] * len(sides))
        order = self.one(["", " order by 1, 2", " order by 2 desc, 1 limit 20"])
        return Node("query", text + order, tuple(sides)), bool(order)

    def with_tables(self):
        inner, _ = self.one([self.plain_numbers, self.grouped_numbers])()
        scope = [(self.one(KEYED), self.alias())]
        table, alias = scope[0]
        choice = self.dice.randrange(3)
        where = self.where(scope, 1)
        if choice == 0:
            text = f"with c as ({{}}) select {alias}.{table.key}, c.v from {table.name} {alias} "
            text += f"join c on c.k = {alias}.{table.key}{{}} order by 1, 2"
            return Node("query", text, (inner, where)), True
        if choice == 1:
            text = "with c as ({}) select count(*), min(c.v), max(c.k) from c where c.v is not null"
            return Node("query", text, (inner,)), False
        text = "with c as ({}), d as (select k, count(*) as n, max(v) as m from c group by k) "
        text += "select c.k, c.v, d.n from c join d on c.k = d.k and d.m >= c.v order by 1, 2, 3"
        return Node("query", text, (inner,)), True

    def plain_numbers(self):
        """A query with whole numbers `k` and `v`."""
        scope = [(self.one(KEYED), self.alias())]
        table, alias = scope[0]
        value, where = self.int(scope, 2)[0], self.where(scope, 1)
        text = f"select {alias}.{self.one(list(table.ints))} as k, {{}} as v from {table.name} "
        return Node("query", text + f"{alias}{{}}", (value, where)), False

    def grouped_numbers(self):
        scope = [(self.one(KEYED), self.alias())]
        table, alias = scope[0]
        value, where = self.int(scope, 1)[0], self.where(scope, 1)
        how = self.one(["min", "max", "count"])
        text = f"select {alias}.{self.one(list(table.ints))} as k, {how}({{}}) as v from "
        return Node("query", text + f"{table.name} {alias}{{}} group by 1", (value, where)), False

    def distinct(self):
        scope = [(self.one(TABLES), self.alias())]
        table, alias = scope[0]
        where = self.where(scope)
        if self.chance(0.4):
            number = self.expression(scope, 1)
            by, unique = self.text(scope, 1), self.unique(scope)
            text = "select distinct on ({}) {} as x, " + f"{unique} from {table.name} {alias}{{}} "
            text += f"order by {{}}, {unique}"
            return Node("query", text, (by, number, where, by)), False
        items = [self.expression(scope, 2) for _ in range(self.dice.randrange(1, 3))]
        shown = ", ".join(f"{{}} as x{place}" for place in range(len(items)))
        places = ", ".join(str(place + 1) for place in range(len(items)))
        order = self.one(["", f" order by {places}"])
        text = f"select distinct {shown} from {table.name} {alias}{{}}{order}"
        return Node("query", text, (*items, where)), bool(order)

    def derived(self):
        inner, _ = self.plain_numbers()
        a = self.dice.randrange(1, 60)
        texts = [
            "select v % 10 as m, count(*), min(k) from ({}) s group by 1 order by 1",
            f"select * from (select k, v from ({{}}) s where v > {a}) u where k < 900",
            "select (select max(v) from ({}) s) as m, count(*) from odd",
            "select k, lag(v) over (order by k, v) from ({}) s",
            f"select count(*) from ({{}}) s, (values ({a}), (3), (null)) as w (n) where s.v = w.n",
            "select case when count(*) > 5 then max(v) end from ({}) s having count(*) > 0",
            "select s.k, o.n from ({}) s cross join odd o where s.v = o.n",
            "select coalesce(s.k, a.account_id) from ({}) s full join accounts a "
            "on s.v = a.balance",
        ]
        text = self.one(texts)
        return Node("query", text, (inner,)), " order by 1" in text and "group by 1" in text

    def recursive(self):
        scope = [(LOANS, "l")]
        number = self.int(scope, 1)[0]
        text = "with recursive r as (select 1 as n union all select r.n + 1 from r where r.n < 6) "
        text += "select r.n, count(l.id), max({}) from r left join loans l on l.small = r.n"
        return Node("query", text + " group by r.n order by 1", (number,)), True

    def beside(self):
        """Subqueries that look at the row beside them, lists, functions that give several rows."""
        scope, inner = [(LOANS, self.alias())], [(PAYMENTS, self.alias())]
        a, p = scope[0][1], inner[0][1]
        of_a, of_p = self.int(scope, 2)[0], self.int(inner, 2)[0]
        of_both = self.bool(scope + inner, 1)
        where = self.where(scope, 1)
        pays = f"from payments {p} where {p}.loan_id = {a}.id"
        forms = [
            (f"select {a}.id, (select max({{}}) {pays}) as m from loans {a}{{}}", (of_p, where)),
            (f"select {a}.id, (select count(*) {pays} and ({{}})) from loans {a}", (of_both,)),
            (f"select {a}.id from loans {a} where not exists (select {{}} {pays} and ({{}}))",
             (of_p, of_both)),
            (f"select {a}.id, x.v from loans {a} left join lateral (select max({{}}) as v "
             f"{pays}) x on true{{}}", (of_p, where)),
            (f"select {a}.id, x.v from loans {a}, lateral (select {{}} as v {pays}) x{{}}",
             (of_p, where)),
            (f"select {a}.id from loans {a} where {{}} > all (select {{}} from payments {p})",
             (of_a, of_p)),
            (f"select {a}.id from loans {a} where {{}} = any (array[1, 2, {{}}])", (of_a, of_a)),
            (f"select {a}.id from loans {a} where {{}} = any (select {{}} from payments {p})",
             (of_a, of_p)),
            (f"select {a}.id, unnest(array[{{}}, {a}.small]) as u from loans {a}{{}}",
             (of_a, where)),
            (f"select {a}.id, g from loans {a}, generate_series(1, 3) as s (g) where {{}} % 3 = g",
             (of_a,)),
            (f"select percentile_cont(0.5) within group (order by {{}}) from loans {a}{{}}",
             (of_a, where)),
            (f"select {a}.status, {a}.currency, count({{}}) from loans {a}{{}} "
             f"group by grouping sets (({a}.status), ({a}.currency), ())", (of_a, where)),
            (f"select array_length(array_agg({{}}), 1), count(*) from loans {a}{{}}",
             (of_a, where)),
            (f"select {a}.id, json_build_object('v', {{}})->>'v' as j from loans {a}{{}}",
             (of_a, where)),
            (f"select array(select {{}} from payments {p} order by {p}.pay_id limit 5)", (of_p,)),
        ]
        text, children = self.one(forms)
        return Node("query", text, children), False

    def failing_own(self):
        """Errors of A's own rows."""
        alias = self.alias()
        failing = leaf("fails", self.one(ONE_FAILS + ALL_FAIL).replace("{t}", alias))
        texts = [
            f"select {alias}.id, {{}} as x from loans {alias}",
            f"select count(*) from loans {alias} where {{}} is not null",
            f"select max({{}}) from loans {alias}",
            f"select {alias}.status, count({{}}) from loans {alias} group by 1",
            f"select {alias}.id from loans {alias} order by {{}}, {alias}.id",
            f"select distinct {{}} from loans {alias}",
            f"select {alias}.id, row_number() over (order by {{}}, {alias}.id) from loans {alias}",
            f"select count(*) from (select {{}} as x from loans {alias}) s where x is not null",
            f"select count(*) from loans {alias} join odd o on o.n = {{}}",
        ]
        return Node("query", self.one(texts), (failing,)), False


# Sums and averages of as many rows as there are stay exact below this.
INT_SAFE = 10**9
