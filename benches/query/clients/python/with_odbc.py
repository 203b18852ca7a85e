"""pyodbc over psqlODBC, as Excel and Tableau come."""

import os
import re

import pyodbc

import tests
from tests import Connection, test, value

STRING = (
    "Driver={{PostgreSQL Unicode}};Server={host};Port={port};Database={database};Uid={user};"
    "Pwd={password};{more}"
)


def connect(more="", **given):
    given = {
        "host": tests.HOST,
        "port": tests.PORT,
        "database": tests.DATABASE,
        "user": tests.USER,
        "password": "",
        **given,
    }
    return pyodbc.connect(STRING.format(more=more, **given), autocommit=True, timeout=10)


def usable(connection):
    try:
        connection.rollback()
        return True
    except pyodbc.Error:
        return False


main = Connection(connect, usable, lambda connection: connection.close())


def error(problem):
    return problem.args[0] if isinstance(problem, pyodbc.Error) and problem.args else None


def answer(cursor):
    if cursor.description is None:
        return {"rows": None}
    columns = [[c[0], c[1].__name__, c[3], c[4], c[5]] for c in cursor.description]
    return {"columns": columns, "rows": [list(row) for row in cursor.fetchall()]}


def ask(connection, sql, parameters):
    cursor = connection.cursor()
    if parameters:
        sql = re.sub(r"\$\d", "?", sql)
        cursor.execute(sql, [value(p["type"], p["value"]) for p in parameters])
    else:
        cursor.execute(sql)
    return answer(cursor)


tests.run_cases(
    main,
    ask,
    error,
    only=set(
        "bool int float numeric text bytea date time timestamp timestamptz uuid json tables "
        "p-bool p-int p-float p-numeric p-text p-date p-timestamp p-inferred sqlstates".split()
    ),
)


def listed(name, *given, keep=None, leave=None, **more):
    """Rows that have `keep` in a column, and `leave` in none; the numbers of tables are left out,
    which are other ones.
    """

    def run():
        cursor = main.get().cursor()
        rows = [list(row) for row in getattr(cursor, name)(*given, **more).fetchall()]
        rows = [row for row in rows if keep is None or keep in row]
        rows = [row for row in rows if leave is None or leave not in row]
        names = [c[0] for c in cursor.description]
        if "table oid" in names:
            place = names.index("table oid")
            rows = [row[:place] + row[place + 1 :] for row in rows]
        return [names, rows]

    return run


test("reflection", "SQLTables", listed("tables", table="all_types"), 2, error)
test(
    "reflection",
    "SQLTables of views",
    listed("tables", tableType="VIEW", keep="portfolio_now"),
    1,
    error,
)
test(
    "reflection", "SQLTables by pattern", listed("tables", schema="public", table="port%"), 1, error
)
test(
    "reflection",
    "SQLTables of catalogs",
    listed("tables", catalog="%", keep="riskstream", leave="system"),
    1,
    error,
)
test(
    "reflection",
    "SQLTables of schemas",
    listed("tables", catalog="", schema="%", keep="public"),
    1,
    error,
)
test("reflection", "SQLColumns", listed("columns", table="all_types"), 2, error)
test("reflection", "SQLPrimaryKeys", listed("primaryKeys", "all_types"), 1, error)
test("reflection", "SQLForeignKeys", listed("foreignKeys", "all_types"), 1, error)
test("reflection", "SQLStatistics", listed("statistics", "all_types"), 1, error)
test("reflection", "SQLSpecialColumns", listed("rowIdColumns", "all_types"), 1, error)
test("reflection", "SQLProcedures", listed("procedures", "nothing"), 1, error)
test("reflection", "SQLGetTypeInfo", listed("getTypeInfo"), 1, error)
for more in (
    "UseDeclareFetch=1;Fetch=2;",
    "UseServerSidePrepare=0;",
    "Protocol=7.4-2;",
    "BoolsAsChar=0;",
    "ByteaAsLongVarBinary=1;",
    "Parse=1;",
    "UnknownsAsLongVarchar=1;TextAsLongVarchar=0;",
    "ReadOnly=1;",
    "ConnSettings=set application_name = 'x'; set extra_float_digits = 3;",
):

    def read(more=more):
        connection = connect(more)
        found = ask(connection, "select * from all_types order by id", [])
        again = ask(
            connection,
            "select id from all_types where id > $1 order by id",
            [{"type": "int4", "value": "2"}],
        )
        connection.close()
        return [found, again]

    feature = "hold" if "DeclareFetch" in more else "tool-start"
    test(feature, more, read, 2, error)


def in_transaction(more):
    def run():
        connection = pyodbc.connect(
            STRING.format(
                host=tests.HOST,
                port=tests.PORT,
                database=tests.DATABASE,
                user=tests.USER,
                password="",
                more=more,
            )
        )
        cursor = connection.cursor()
        found = []
        for sql in ("select 1", "select 1/0", "select 2"):
            try:
                found.append(cursor.execute(sql).fetchall()[0][0])
            except pyodbc.Error as problem:
                found.append(error(problem))
        connection.rollback()
        connection.close()
        return found

    return run


for protocol in ("Protocol=7.4-0;", "Protocol=7.4-1;", "Protocol=7.4-2;"):
    test("savepoints", f"rollback on errors: {protocol}", in_transaction(protocol), 1, error)


def signed_in(password):
    def run():
        connection = connect(
            "SSLmode=require;",
            port=tests.USERS_PORT,
            user=tests.USERS_NAME,
            password="{" + password + "}",
        )
        return ask(connection, "select count(*) from all_types", [])

    return run


test("password", "right, over TLS", signed_in(tests.USERS_PASSWORD), 1, error)
test("password", "wrong", signed_in("wrong"), 1, error)
START = (
    "SET DateStyle = 'ISO'; SET extra_float_digits = 2; show transaction_isolation",
    "select oid, typbasetype from pg_type where typname = 'lo'",
    'SELECT "all_types"."flag" AS "flag", SUM("all_types"."money") AS "sum:money:ok" FROM '
    '"public"."all_types" "all_types" GROUP BY 1',
    'SELECT * FROM (SELECT 1 AS "x") AS "t" LIMIT 0',
    "SELECT * FROM ((public.all_types a INNER JOIN public.all_types b ON (a.id = b.id)) LEFT JOIN "
    "public.all_types c ON (b.id = c.id)) WHERE a.id = 4",
    'SELECT CAST("all_types"."at" AS DATE) AS "day", COUNT(1) AS "n" FROM "public"."all_types" '
    '"all_types" WHERE (("all_types"."at" >= (TIMESTAMP \'2024-01-01 00:00:00.000\')) AND '
    '("all_types"."at" < (TIMESTAMP \'2025-01-01 00:00:00.000\'))) GROUP BY 1',
    'SELECT DATE_TRUNC( \'MONTH\', CAST("all_types"."at" AS DATE) ) AS "tmn:at:ok" FROM '
    '"public"."all_types" "all_types" WHERE id = 4 GROUP BY 1',
    'SELECT EXTRACT(YEAR FROM "all_types"."at") AS "yr:at:ok" FROM "public"."all_types" '
    '"all_types" WHERE id = 4 GROUP BY 1',
    'BEGIN; DECLARE "SQL_CUR0x1" CURSOR WITH HOLD FOR select id from all_types order by id; '
    'FETCH 2 IN "SQL_CUR0x1"; CLOSE "SQL_CUR0x1"; COMMIT',
)


def tableau(sql):
    """What a statement of Tableau gives; groups come in no order unless ORDER BY asks for one."""

    def run():
        answer = ask(main.get(), sql, [])
        if "GROUP BY" in sql:
            answer["rows"].sort(key=str)
        return answer

    return run


for sql in START:
    test("tableau", " ".join(sql.split())[:70], tableau(sql), 2, error)
