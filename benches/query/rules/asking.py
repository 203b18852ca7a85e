"""The ways in which a query is asked, and what comes of each in one form."""

import struct

from client import Answer

BINARY_HEAD = 19


def ask(client, sql, way, values=(), own_error=False, flight=None):
    """The answer to a query that is asked in a way."""
    if way == "extended":
        return client.extended(sql, values)
    if way == "binary":
        return client.extended(sql, values, binary=True)
    if way == "prepared":
        return prepared(client, sql, values)
    if way == "named":
        return named(client, sql)
    if way == "cursor":
        return cursor(client, sql, own_error)
    if way == "hold":
        return held(client, sql)
    if way == "copy":
        return client.simple(f"copy ({sql}) to stdout")
    if way == "copy csv":
        return client.simple(f"copy ({sql}) to stdout with (format csv, header)")
    if way == "copy binary":
        return unpacked(client.simple(f"copy ({sql}) to stdout with (format binary)"))
    if way in ("explain", "explain verbose"):
        return client.simple(f"{way} {sql}")
    if way == "flight" and flight is not None:
        return flight.ask(sql)
    return client.simple(sql)


def together(answers):
    """Answers one behind the other as one; the first error counts."""
    whole = Answer()
    for answer in answers:
        whole.columns += [column for column in answer.columns if column not in whole.columns]
        whole.rows += answer.rows
        whole.tags += answer.tags
        whole.notices += answer.notices
        if answer.error is not None and whole.error is None:
            whole.error = answer.error
    return whole


def prepared(client, sql, values):
    """Parse, Describe, and Execute twice."""
    answers = [client.prepare("p", sql)]
    if answers[0].error is None:
        described = client.describe("p")
        described.rows = [("type", *row) for row in described.rows]
        answers += [described, client.execute("p", values), client.execute("p", values)]
        client.simple("deallocate p")
    return together(answers)


def named(client, sql):
    """PREPARE and EXECUTE."""
    answers = [client.simple(f"prepare q as {sql}")]
    if answers[0].error is None:
        answers += [client.simple("execute q"), client.simple("deallocate q")]
    return together(answers)


def cursor(client, sql, own_error):
    """A cursor within a transaction, from which rows are taken in parts."""
    answers = [client.simple("begin"), client.simple(f"declare c cursor for {sql}")]
    if answers[-1].error is None:
        parts = ["fetch all from c"] if own_error else ["fetch 7 from c", "fetch all from c"]
        answers += [client.simple(part) for part in parts]
    answers.append(client.simple("rollback"))
    return together(answers)


def held(client, sql):
    """A cursor that lives on after its transaction."""
    answers = [client.simple(f"declare h cursor with hold for {sql}")]
    if answers[0].error is None:
        answers += [client.simple("fetch forward all from h"), client.simple("close h")]
    return together(answers)


def unpacked(answer):
    """The rows of a binary COPY."""
    data = "".join(row[0] for row in answer.rows).encode("latin-1")
    if answer.error is not None or len(data) < BINARY_HEAD:
        return answer
    (more,) = struct.unpack_from(">i", data, BINARY_HEAD - 4)
    at, rows = BINARY_HEAD + more, []
    while True:
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        if count < 0:
            break
        row = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if length < 0 else data[at : at + length].decode("latin-1"))
            at += max(length, 0)
        rows.append(tuple(row))
    answer.rows = rows
    return answer
