"""Flight SQL beyond statements: what is there, plans instead of SQL, handles of other users."""

import adbc_driver_flightsql.dbapi as adbc
import pyarrow
from flight import Flight

# Depths of what there is, from catalogs to columns.
DEPTHS = ["catalogs", "db_schemas", "tables", "all"]
HIDDEN = ["secrets", "other_moves", "dead_letters", "nothing_here"]
# The beginning of a Substrait plan that reads `secrets` by its name: relations, root, read.
SUBSTRAIT = bytes.fromhex("1a0d120b0a090a073a050a036f6e65")


def told(ask):
    """What comes of a call: its value, or what its error says."""
    try:
        return ask()
    except (adbc.Error, pyarrow.ArrowException) as error:
        return f"{type(error).__name__}: {error}"


def all_of(connection, depth):
    return connection.adbc_get_objects(depth=depth).read_all().to_pylist()


def checks(world):
    """What is wrong."""
    full, ours = (Flight(side, "acme") for side in world.sides)
    for depth in DEPTHS:
        found = [told(lambda c=f.connection: all_of(c, depth)) for f in (full, ours)]
        if found[0] != found[1]:
            yield f"what there is: {depth}", f"full {found[0]}; ours {found[1]}"
        if any(name in str(found[0]) for name in HIDDEN):
            yield f"what there is: {depth}", f"names hidden tables: {found[0]}"
    for table in ["loans", "book_now", *HIDDEN]:
        found = [
            told(lambda c=f.connection: str(c.adbc_get_table_schema(table))) for f in (full, ours)
        ]
        if found[0] != found[1]:
            yield f"columns of {table}", f"full {found[0]}; ours {found[1]}"
        if table in HIDDEN:
            errors = {str(told(lambda n=n: full.connection.adbc_get_table_schema(n)))
                      .replace(n, "NAME") for n in (table, "nothing_here")}
            if len(errors) != 1:
                yield f"columns of {table}", f"told apart from none: {errors}"
    yield from _plans(full)
    yield from _handles(world, full)


def _plans(flight):
    def run():
        with flight.connection.cursor() as cursor:
            cursor.execute(SUBSTRAIT)
            return cursor.fetchall()

    said = str(told(run))
    if "Substrait plans are not taken" not in said:
        yield "a Substrait plan", said


def _handles(world, full):
    """What another user has from a user's statement."""
    sql = "select id, key from loans"
    with full.connection.cursor() as cursor:
        parts, _schema = cursor.adbc_execute_partitions(sql)
    other = Flight(world.full, "other")
    for part in parts:
        said = told(lambda p=part: _read(other, p))
        if not isinstance(said, str):
            yield "another user's ticket", f"gives {len(said)} rows"
        elif "secret" in said or "loans" in said:
            yield "another user's ticket", said
    rows = [row for part in parts for row in _read(full, part)]
    wanted = full.ask("select count(*) from loans").rows
    if [(str(len(rows)),)] != wanted:
        yield "an own ticket", f"gives {len(rows)} rows of {wanted}"


def _read(flight, part):
    with flight.connection.cursor() as cursor:
        cursor.adbc_read_partition(part)
        return cursor.fetchall()
