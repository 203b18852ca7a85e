"""Whether two engines have given the same answer.

Types differ between engines where values don't: a count is an integer here and a decimal there, an
instant has a zone or none (all are UTC). Numbers are equal when they are the same, or, where one of
them is a float or has been rounded (averages, sums of floats), when they differ by no more than one
part in 10^9 or 10^-6.
"""

import datetime
import decimal
import math

RELATIVE, ABSOLUTE = 1e-9, 1e-6


def plain(value):
    """A value in one of few types: None, int, Decimal, float, text, date, instant in UTC."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else value.normalize()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return value.replace(tzinfo=datetime.timezone.utc)
        return value.astimezone(datetime.timezone.utc)
    return value


def same(one, other):
    """Whether two plain values are equal."""
    if one == other:
        return True
    numbers = (int, float, decimal.Decimal)
    if isinstance(one, numbers) and isinstance(other, numbers):
        if isinstance(one, int) and isinstance(other, int):
            return False
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return False


def difference(expected, found):
    """What the first difference between two answers is; none where they are equal."""
    if len(expected) != len(found):
        return f"{len(found)} rows instead of {len(expected)}"
    for number, (left, right) in enumerate(zip(expected, found)):
        if len(left) != len(right):
            return f"{len(right)} columns instead of {len(left)}"
        for column, (one, other) in enumerate(zip(left, right)):
            if not same(plain(one), plain(other)):
                return f"row {number}, column {column}: {other!r} instead of {one!r}"
    return None
