"""The rows of the table: what clients need of a server that speaks PostgreSQL's protocol.

Each has an id, what it is, and reports of other servers that failed at it.
"""

PARTS = {
    "Start": [
        ("ssl", "SSLRequest and GSSENCRequest are answered by one byte; TLS", ""),
        ("ssl-buffer", "bytes that come in clear behind SSLRequest end the connection", ""),
        ("startup", "start-up parameters, `options=-c`, quoted client_encoding", ""),
        ("version", "a client of protocol 3.2 is told 3.0", ""),
        ("database", "a database that isn't there: 3D000", ""),
        ("password", "SCRAM; wrong password and unknown user: 28P01, alike", ""),
        ("vanish", "clients that vanish during the handshake keep nobody out", "xtdb#5850"),
        (
            "tool-start",
            "what tools send at their start is accepted",
            "risingwave#2613, #10459; gel#6642; cockroach#25135",
        ),
        ("pool", "DISCARD ALL, RESET ALL on return to a pool", "npgsql#3571; crate#4607"),
    ],
    "Statements and results": [
        ("simple", "simple protocol: one statement, several, an error in the middle", ""),
        ("empty", "empty statement, only a comment", ""),
        ("extended", "Parse, Bind, Execute; the same prepared query ten times", "readyset#1365"),
        ("flush", "Flush without Sync is answered at once", ""),
        (
            "pipeline",
            "several statements before one Sync; after an error all is skipped to it",
            "npgsql#3571; questdb#828, #1230",
        ),
        (
            "describe",
            "Describe of all kinds of statements, of statement and portal alike",
            "greptimedb#5271, #2017, #8050",
        ),
        ("formats", "result formats per column, text and binary mixed", ""),
        (
            "portals",
            "fetch size 1, 10, 0; portals suspended, interleaved, closed in the middle",
            "risingwave#26999; pgwire#252, #305",
        ),
        ("large", "a large result, with and without fetch size", ""),
        ("columns-twice", "two columns of one name", "questdb#2438"),
        ("unnamed", "an unnamed column is `?column?`, of a function by its name", ""),
        (
            "error-midway",
            "an error after rows were sent: the connection is usable",
            "glaredb#473",
        ),
        ("new-rows", "a prepared statement sees the state of each execution", ""),
    ],
    "Stopping": [
        ("cancel", "CancelRequest stops a running statement: 57014", "xtdb#5929"),
        (
            "cancel-fetch",
            "cancel between two fetches of a portal; a wrong key does nothing",
            "risingwave#26999; datafusion-postgres#330",
        ),
        ("timeout", "statement_timeout: 57014", ""),
        (
            "killed",
            "a client that is killed: its statement ends within a second",
            "xtdb#5930; yugabyte-db#28984",
        ),
    ],
    "Errors": [
        ("sqlstates", "SQLSTATEs, and texts that tools match", ""),
        ("position", "the position of syntax errors", ""),
        ("read-only", "writes: 25006; LISTEN, COPY FROM, files: refused", ""),
    ],
    "Transactions and cursors": [
        ("status", "ReadyForQuery is I, T, E; 25P02; COMMIT of a failed one is ROLLBACK", ""),
        ("begin", "BEGIN in all forms; isolation, READ ONLY, DEFERRABLE", ""),
        ("savepoints", "SAVEPOINT, RELEASE, ROLLBACK TO", ""),
        (
            "cursors",
            "DECLARE, FETCH, MOVE, CLOSE; Describe of a declared cursor",
            "",
        ),
        (
            "hold",
            "cursors WITH HOLD live after COMMIT",
            "cockroach#41412, #77101; crate#10212",
        ),
        ("prepare", "PREPARE, EXECUTE, DEALLOCATE", ""),
    ],
    "COPY": [
        ("copy-text", "COPY TO STDOUT as text and csv", ""),
        ("copy-binary", "COPY TO STDOUT as binary, in all spellings", "cockroach#103542"),
    ],
    "Settings": [
        ("settings", "SHOW and SET of what clients set; unknown ones: 42704", ""),
        ("zone", "SET TIME ZONE in all forms; timestamptz is shown in it", "risingwave#18079"),
        ("reported", "ParameterStatus follows a change", ""),
        ("float-digits", "extra_float_digits 0 to 3", "spiceai#10136"),
    ],
    "Values": [
        ("bool", "boolean", ""),
        ("int", "int2, int4, int8, oid", ""),
        ("float", "float4, float8, NaN, infinities", ""),
        ("numeric", "numeric: 38 digits, scales, signs", ""),
        ("text", 'text, varchar, name, "char"', ""),
        ("bytea", "bytea", ""),
        ("date", "date, binary and text, before 1970 and 2000", "greptimedb#7819"),
        ("time", "time", ""),
        ("timestamp", "timestamp", "questdb#4935, #1421"),
        ("timestamptz", "timestamptz", "risingwave#18079, #25563; readyset#1612"),
        ("interval", "interval", ""),
        ("uuid", "uuid", ""),
        ("json", "json, jsonb", "risingwave#8087; materialize#9373"),
        ("array", "arrays with nulls", "risingwave#14783; crate#11757, #17053"),
        ("tables", "columns of tables, all types, whole tables", ""),
    ],
    "Parameters": [
        ("p-bool", "boolean", ""),
        ("p-int", "int2, int4, int8", ""),
        ("p-float", "float4, float8", ""),
        ("p-numeric", "numeric", ""),
        ("p-text", "text", ""),
        ("p-bytea", "bytea", ""),
        ("p-date", "date", ""),
        ("p-time", "time", ""),
        ("p-timestamp", "timestamp", "questdb#4935, #1421"),
        ("p-timestamptz", "timestamptz", "questdb#4935"),
        ("p-interval", "interval", ""),
        ("p-uuid", "uuid", ""),
        ("p-json", "json, jsonb", ""),
        ("p-array", "arrays; `= any($1)`", "risingwave#14783; crate#11757"),
        ("p-null", "null, with a type and without", "risingwave#11392"),
        (
            "p-inferred",
            "types that are found: `limit $1`, `$1 + 1`, `col = $1`, `$1::date`",
            "greptimedb#8050",
        ),
    ],
    "Catalog": [
        ("catalog-columns", "tables of pg_catalog and information_schema: columns and types", ""),
        (
            "catalog-rows",
            "what they say of the user's tables",
            "risingwave#10051, #9097, #10914; questdb#3640; cockroach#28309; greptimedb#7095",
        ),
        (
            "types",
            "each OID in a result has a row in pg_type; typarray and typelem agree",
            "risingwave#11145; cockroach#9955, #63146",
        ),
        (
            "functions",
            "functions of the catalog and the session",
            "risingwave#7915; crate#14395; cockroach#55328",
        ),
        ("text-functions", "format, quote_ident, to_char, arrays, json", "materialize#9719"),
        ("casts", 'regclass, regtype, oid, name, "char", arrays in casts', "materialize#8229"),
        (
            "forms",
            "forms of SQL: array(select), exists, correlated, distinct on, collate, operator()",
            "",
        ),
        (
            "current",
            "current_catalog, current_schema, session_user, psql -l",
            "greptimedb#8408, #3560; crate#10950",
        ),
        (
            "schemata",
            "information_schema.schemata with catalog_name",
            "risingwave#19362; crate#19164",
        ),
        ("row-statistics", "pg_stat_user_tables has n_live_tup", "risingwave#17753"),
        ("stable", "numbers are the same on another port and after a restart", ""),
        ("speed", "catalog queries take under 50 ms", "cockroach#113292"),
        ("reflection", "the client's own listing of tables, columns, keys", "materialize#9245"),
        ("metadata", "all methods of DatabaseMetaData", "materialize#3727"),
    ],
    "Tools, by what they ask": [
        (
            "dbeaver",
            "DBeaver: tree of databases, schemas, tables, columns, comments",
            "dbeaver#6576, #9566; cockroach#25135, #28309; greptimedb#7095",
        ),
        ("datagrip", "DataGrip: introspection", "risingwave#23133; materialize#9720"),
        ("metabase", "Metabase: sync and questions", "metabase-materialize-driver#59"),
        ("grafana", "Grafana: editor, macros, time filters", "grafana#51611, #70786"),
        ("superset", "Superset: by SQLAlchemy's statements", "materialize#9245"),
        ("tableau", "Tableau and Excel by ODBC", "risingwave#10459"),
        (
            "powerbi",
            "Power BI and Npgsql: type batch, keys",
            "materialize#2206; datafusion-postgres#218; npgsql#3571",
        ),
        ("pgadmin", "pgAdmin: dashboard and tree", ""),
        ("dump", "pg_dump is refused or answered without opening rows", ""),
        ("bench", "pgbench in its three protocols", ""),
        ("foreign", "postgres_fdw reads by cursors, with conditions pushed down", ""),
        ("frames", "data frames: whole tables by binary COPY", "cockroach#103542"),
    ],
}


def features():
    """All rows: id, part, text, reports."""
    return [(name, part, text, seen) for part, rows in PARTS.items() for name, text, seen in rows]
